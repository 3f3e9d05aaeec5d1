"""The configuration, staged and deployed: what a change may be, and when it counts (spec §5)."""

from pathlib import Path
from typing import Any

import pytest

from backup_engine.capture.listing import PAGE_OBJECTS
from backup_engine.configurations import DEFAULT
from backup_engine.host_definition import DEFAULT_CONSOLE
from backup_engine.runs.rules import build_rules
from localengine import DEPLOYED, STAGED, LocalEngine

DAY = 86_400_000
MINUTE = 60_000


async def test_the_default_is_deployed_from_the_start(resting: LocalEngine, tmp_path: Path) -> None:
    expected = {
        "configuration_id": 1,
        "backup_directory_path": str(tmp_path / "archives"),
        "backup_retention_period": 7 * DAY,
        "data_backup_host_configuration": [],
        "configuration_backup_enabled": True,
        "data_backup_priority": "LOW",
        "configuration_backup_priority": "HIGH",
        "data_backup_time_limit": 1020 * MINUTE,
        "configuration_backup_time_limit": 180 * MINUTE,
    }
    for view in (DEPLOYED, STAGED):
        assert (await resting.send("GET", view)).json() == [expected]
        assert (await resting.send("GET", f"{view}/1")).json() == expected


async def test_a_change_shows_in_the_staged_view_alone(resting: LocalEngine) -> None:
    changed = await resting.stage(configuration_backup_enabled=False)
    assert changed["configuration_backup_enabled"] is False
    staged = (await resting.send("GET", f"{STAGED}/1")).json()
    assert staged == changed
    deployed = (await resting.send("GET", f"{DEPLOYED}/1")).json()
    assert deployed == {**changed, "configuration_backup_enabled": True}


async def test_periods_are_cut_to_days_and_minutes(resting: LocalEngine) -> None:
    changed = await resting.stage(
        backup_retention_period=2 * DAY + 5,
        data_backup_time_limit=7 * MINUTE + 59_999,
        configuration_backup_time_limit=5 * MINUTE + 1,
    )
    assert changed["backup_retention_period"] == 2 * DAY
    assert changed["data_backup_time_limit"] == 7 * MINUTE
    assert changed["configuration_backup_time_limit"] == 5 * MINUTE


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"backup_retention_period": None}, 1002),
        ({"configuration_backup_enabled": None, "backup_directory_path": "relative"}, 1002),
        ({"data_backup_priority": "low"}, 1002),
        ({"data_backup_host_configuration": [{"host_id": 99}]}, 1002),
        ({"data_backup_host_configuration": [{"host_id": 1}, {"host_id": 1}]}, 1002),
        ({"data_backup_host_configuration": [{}]}, 1002),
        (
            {"data_backup_host_configuration": [{"host_id": 1, "flow_data_backup_enabled": None}]},
            1002,
        ),
        ({"backup_directory_path": "relative", "backup_retention_period": 0}, 1004),
        ({"backup_directory_path": ""}, 1004),
        ({"backup_directory_path": "/tmp/../etc"}, 1004),
        ({"backup_directory_path": "/no such directory", "backup_retention_period": 0}, 1003),
        ({"backup_directory_path": "/" + "x" * 300}, 1003),
        ({"backup_directory_path": "/dev/null", "backup_retention_period": 0}, 1005),
        ({"backup_retention_period": DAY - 1, "data_backup_time_limit": 0}, 1006),
        ({"backup_retention_period": -DAY}, 1006),
        ({"data_backup_time_limit": MINUTE - 1}, 1007),
        ({"configuration_backup_time_limit": 0}, 1007),
        ({"data_backup_time_limit": 1261 * MINUTE}, 1008),
        ({"data_backup_host_configuration": [{"host_id": 1}]}, 1010),
        ({"backup_retention_period": "7"}, 11),
        ({"backup_directory_path": "/\u0000"}, 11),
        ({"data_backup_host_configuration": {}}, 11),
        ({"data_backup_host_configuration": [{"host_id": "1"}]}, 11),
        ({"data_backup_host_configuration": [{"host_id": 2**63}]}, 11),
    ],
)
async def test_a_change_that_is_refused_leaves_no_trace(
    resting: LocalEngine, members: dict[str, Any], code: int
) -> None:
    before = (await resting.send("GET", f"{STAGED}/1")).json()
    refusal = await resting.stage(**members)
    assert (refusal["http_response"]["code"], refusal["code"]) == (422, code)
    assert (await resting.send("GET", f"{STAGED}/1")).json() == before


async def test_both_limits_together_fit_exactly_a_day(resting: LocalEngine) -> None:
    changed = await resting.stage(data_backup_time_limit=1260 * MINUTE + 59_999)
    assert changed["data_backup_time_limit"] == 1260 * MINUTE


async def test_members_that_cannot_be_changed_are_ignored(resting: LocalEngine) -> None:
    changed = await resting.stage(configuration_id=7, nonsense=[None], data_backup_priority="LOW")
    assert changed["configuration_id"] == 1
    assert "nonsense" not in changed


@pytest.mark.parametrize("number", ["2", "0", "-1", "x", str(2**63)])
@pytest.mark.parametrize(("method", "view"), [("GET", DEPLOYED), ("GET", STAGED), ("POST", STAGED)])
async def test_there_is_one_configuration(
    resting: LocalEngine, method: str, view: str, number: str
) -> None:
    content = "{}" if method == "POST" else None
    answer = await resting.send(method, f"{view}/{number}", content=content)
    assert (answer.status_code, answer.json()["code"]) == (404, 1001)


async def test_fields_reach_into_the_list_of_hosts(resting: LocalEngine) -> None:
    fields = "configuration_id,data_backup_host_configuration(host_id)"
    answer = await resting.send("GET", DEPLOYED, params={"fields": fields})
    assert answer.json() == [{"configuration_id": 1, "data_backup_host_configuration": []}]
    answer = await resting.send("POST", f"{STAGED}/1", json={}, headers={"fields": "nonsense"})
    assert answer.json()["code"] == 30


async def test_deeply_nested_bodies_are_refused(resting: LocalEngine) -> None:
    for depth in (100, 400, 700, 900, 100_000):
        body = '{"data_backup_host_configuration": ' + "[" * depth + "]" * depth + "}"
        answer = await resting.send("POST", f"{STAGED}/1", content=body)
        assert answer.json()["code"] == 11


@pytest.mark.parametrize(
    ("priority", "objects"), [("LOW", PAGE_OBJECTS // 10), ("HIGH", PAGE_OBJECTS)]
)
def test_priority_and_limit_govern_a_capture(priority: str, objects: int) -> None:
    deployed = DEFAULT.model_validate(
        {**DEFAULT.model_dump(), "configuration_backup_priority": priority}
    )
    rules = build_rules(deployed, DEFAULT_CONSOLE.definition)
    assert rules.time_limit_s == 180 * 60
    assert rules.limits.page.objects == objects
