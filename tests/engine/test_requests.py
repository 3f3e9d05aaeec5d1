"""Headers, bodies, paths and errors, beyond the order of the checks."""

import logging

import pytest

from localengine import BACKUPS, LocalEngine

ERROR_MEMBERS = {"http_response", "code", "description", "details", "message"}


async def code_of(engine: LocalEngine, body: bytes | str) -> int:
    answer = await engine.send("POST", BACKUPS, headers={"backup_type": "CONFIG"}, content=body)
    assert set(answer.json()) == ERROR_MEMBERS
    return int(answer.json()["code"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", 10),
        ("null", 10),
        ("[]", 11),
        ('"x"', 11),
        ("{", 11),
        ("[" * 100_000, 11),
        (b"\xff\xfe", 11),
        ('{"name": NaN}', 11),
        ('{"name": 5, "configuration_id": 1}', 11),
        ('{"name": "a", "configuration_id": "1"}', 11),
        ('{"name": "a", "configuration_id": 1.0}', 11),
        ('{"name": "a", "configuration_id": true}', 11),
        ('{"name": "a", "configuration_id": 9223372036854775808}', 11),
        ('{"name": "a", "configuration_id": 1, "description": "\\u0000"}', 11),
        ('{"name": "a", "configuration_id": 1, "description": "\\ud800"}', 11),
        ('{"name": "\\ud800", "configuration_id": 1}', 1004),
        ('{"name": "a\\u0000", "configuration_id": 1}', 1004),
        ('{"name": "a\\n", "configuration_id": 1}', 1004),
        ('{"name": "é", "configuration_id": 1}', 1004),
        ("{}", 1002),
        ('{"name": null, "configuration_id": 1}', 1002),
        ('{"name": "a"}', 1006),
        ('{"name": "a", "name": "", "configuration_id": 1}', 1002),
        ('{"name": "a", "configuration_id": 1, "host_id": 0}', 1009),
    ],
)
async def test_a_body_that_is_refused(resting: LocalEngine, body: str, code: int) -> None:
    assert await code_of(resting, body) == code


async def test_unknown_and_read_only_members_are_ignored_whatever_they_hold(
    resting: LocalEngine,
) -> None:
    body = '{"name": "fine", "configuration_id": 1, "id": 99, "status": 5, "nonsense": "\\ud800"}'
    headers = {"backup_type": "CONFIG"}
    answer = await resting.send("POST", BACKUPS, headers=headers, content=body)
    assert answer.status_code == 201
    assert answer.json()["id"] == 1


async def test_lengths_count_code_points(resting: LocalEngine) -> None:
    assert (await resting.create("a", description="\U0001f600" * 255)).status_code == 201
    answer = await resting.create("b", description="\U0001f600" * 256)
    assert answer.json()["code"] == 1008


async def test_a_new_record_shows_what_is_not_known_yet(resting: LocalEngine) -> None:
    record = (await resting.create("first", description="why")).json()
    initiated = record.pop("time_initiated")
    assert isinstance(initiated, int)
    assert record == {
        "id": 1,
        "configuration_id": 1,
        "host_id": 1,
        "name": "first",
        "description": "why",
        "type": "CONFIG",
        "version": "1.2.3",
        "build_version": "1.2.3.4",
        "time_completed": None,
        "intiated_by": "API_user: backup-bot",
        "status": "INITIALIZING",
        "size_on_disk": 0,
        "content_file_path": None,
        "is_valid": False,
        "is_version_compatible": True,
    }


async def test_only_the_list_of_26_tells_where_applications_ran(resting: LocalEngine) -> None:
    await resting.create("first")
    for version, has_it in (("26.0", True), ("27", True), ("25.0", False), ("12", False)):
        listed = (await resting.send("GET", BACKUPS, headers={"Version": version})).json()
        assert ("app_deployment_location" in listed[0]) is has_it
        answer = await resting.send(
            "GET",
            BACKUPS,
            headers={"Version": version},
            params={"filter": "app_deployment_location = CONSOLE"},
        )
        assert (answer.status_code == 200) is has_it
    answer = await resting.send("GET", f"{BACKUPS}/1", params={"fields": "app_deployment_location"})
    assert answer.json()["code"] == 30


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("26.0", 200),
        ("26", 200),
        ("99", 200),
        ("24.0", 200),
        ("9.0", "deprecated"),
        ("23.0", "deprecated"),
        ("8.0", "has been removed"),
        ("322.0123", "is not a valid version"),
        ("x", "is not a valid version"),
        ("", "is not a valid version"),
        ("-1", "is not a valid version"),
    ],
)
async def test_versions(resting: LocalEngine, version: str, outcome: int | str) -> None:
    answer = await resting.send("GET", BACKUPS, headers={"Version": version})
    assert ("Deprecated" in answer.headers) is (outcome == "deprecated")
    if outcome in {200, "deprecated"}:
        assert answer.status_code == 200
    else:
        assert answer.json()["code"] == 7
        assert str(outcome) in answer.json()["message"]


async def test_head_trailing_slash_and_unknown_parameters(resting: LocalEngine) -> None:
    await resting.create("first")
    head = await resting.send("HEAD", f"{BACKUPS}/", params={"nonsense": "1", "fields": "id"})
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Range"] == "items 0-0/1"
    assert (await resting.send("GET", f"{BACKUPS}//")).status_code == 404
    answer = await resting.send(
        "POST", f"{BACKUPS}/1/", params={"fields": "nope"}, json={"description": "d"}
    )
    assert answer.json()["description"] == "d"


@pytest.mark.parametrize(
    ("identifier", "http_status", "code"),
    [
        ("0", 404, 1001),
        ("-1", 404, 1001),
        ("x", 404, 1001),
        ("1.0", 404, 1001),
        ("9223372036854775808", 404, 1001),
        ("9" * 50, 404, 1001),
        ("2", 404, 1001),
    ],
)
async def test_ids_that_are_none(
    resting: LocalEngine, identifier: str, http_status: int, code: int
) -> None:
    for method in ("GET", "DELETE"):
        answer = await resting.send(method, f"{BACKUPS}/{identifier}")
        assert (answer.status_code, answer.json()["code"]) == (http_status, code)


async def test_hosts(resting: LocalEngine) -> None:
    hosts = "/api/config/deployment/hosts"
    answer = await resting.send(
        "GET",
        hosts,
        params={"filter": 'components contains "magistrate"', "fields": "id,hostname,status"},
    )
    assert answer.json() == [{"id": 1, "hostname": "console", "status": "Active"}]
    assert answer.headers["Content-Range"] == "items 0-0/1"
    answer = await resting.send("GET", hosts, headers={"Range": "items=1-5"})
    assert answer.json() == []
    assert answer.headers["Content-Range"] == "items */1"
    for identifier, code in (("0", 1003), ("-4", 1003), ("x", 1002), ("2", 1002)):
        assert (await resting.send("GET", f"{hosts}/{identifier}")).json()["code"] == code


async def test_ranges_are_cut_from_the_filtered_and_sorted_list(local: LocalEngine) -> None:
    for number in range(5):
        record = (await local.create(f"b{number}")).json()
        await local.until(record["id"], "SUCCESS")
    answer = await local.send(
        "GET",
        BACKUPS,
        params={"filter": 'name != "b1"', "sort": "-name", "fields": "name"},
        headers={"Range": "items=1-2"},
    )
    assert answer.json() == [{"name": "b3"}, {"name": "b2"}]
    assert answer.headers["Content-Range"] == "items 1-2/4"
    answer = await local.send(
        "GET", BACKUPS, headers={"Range": f"items=0-{2**63 - 1}"}, params={"fields": "id"}
    )
    assert len(answer.json()) == 5
    for bad in ("items=0-4,6-7", "0-4", "items=3-1", f"items=0-{2**63}"):
        answer = await local.send("GET", BACKUPS, headers={"Range": bad})
        assert answer.json()["code"] == 36


@pytest.mark.parametrize(
    ("accept", "is_fine"),
    [
        ("*/*", True),
        ("application/*;q=0.1", True),
        ("text/html, application/json", True),
        ("application/json;q=0, */*", False),
        ("application/json;q=0", False),
        ("text/plain", False),
    ],
)
async def test_accept(resting: LocalEngine, accept: str, is_fine: bool) -> None:
    answer = await resting.send("GET", BACKUPS, headers={"Accept": accept})
    assert answer.status_code == (200 if is_fine else 406)


async def test_a_failing_database_gives_the_endpoints_own_code_and_a_traceback_with_the_request_id(
    resting: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    async with resting.database.writing() as connection:
        await connection.exec_driver_sql("DROP TABLE backups")
    request_id = {"X-Request-Id": "my-request.1"}
    with caplog.at_level(logging.ERROR):
        answer = await resting.send("GET", BACKUPS, headers=request_id)

    assert answer.status_code == 500
    assert answer.json()["code"] == 1000
    assert answer.headers["X-Request-Id"] == "my-request.1"
    failure = next(record for record in caplog.records if record.exc_info)
    assert "my-request.1" in failure.getMessage()


async def test_a_request_id_that_could_forge_a_log_line_is_replaced(resting: LocalEngine) -> None:
    answer = await resting.send("GET", BACKUPS, headers={"X-Request-Id": "a b=c"})
    assert answer.headers["X-Request-Id"].isalnum()


async def test_changes_are_audited_with_who_what_and_result(
    resting: LocalEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "backup_engine.audit"):
        await resting.create("first")
        await resting.create("first")
        await resting.send("DELETE", f"{BACKUPS}/1", headers={"SEC": "guess"})
        await resting.send("GET", BACKUPS)

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "who='API_user: backup-bot'" in lines[0]
    assert "backup 1 first" in lines[0]
    assert "status=201 code=0" in lines[0]
    assert "status=409 code=1005" in lines[1]
    assert "who='unknown'" in lines[2]
    assert "status=401 code=18" in lines[2]
    assert "guess" not in "".join(lines)
