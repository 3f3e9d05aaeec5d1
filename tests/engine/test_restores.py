"""Restores inside of the engine: what excludes what, options, plans, and who is told of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backup_api.backups import BackupType, RecordStatus
from backup_api.extensions.restores import PlanItem, PlanState, RestorePlan
from backup_engine.records.backups import BackupRecords
from backup_engine.records.restore_plans import PlanStaleError, RestorePlanRecords
from backup_engine.records.restores import RestoreRecords
from backup_engine.runs.restoring import TOO_LONG, RestoreRules
from listserver import ListServer
from localengine import LocalEngine, local_engine

RESTORES = "/api/backup_and_restore/restores"
EXTENSION = "/api/backup_engine/restores"
GROUPS = ["DEPLOYMENT_CONFIG"]
LAUNCH = {"status": "REQUESTING"}
DIGEST = "sha256:" + "ab" * 32
WRONG_OPTIONS = [
    ({"existing": "Replace"}, 11, "existing"),
    ({"exclud": []}, 11, "exclud"),
    ({"include": [{"names": "a"}]}, 11, "include.0.names"),
    ({"include": "a"}, 11, "include"),
    ({"namespace_mapping": {"a": "B_"}}, 1020, "'B_'"),
    ({"namespace_mapping": {"a": "c", "b": "c"}}, 1020, "'c'"),
    ({"include": [{"name": "a"}, {}]}, 1021, "include[1]"),
    ({"include": [{"name": ""}]}, 1021, "include[0].name"),
    ({"include": [{"kind": "no kind"}]}, 1021, "include[0].kind"),
    ({"exclude": [{"label": "a in b"}]}, 1022, "exclude[0].label"),
    ({"with_status": ["Widget", "/"]}, 1023, "with_status[1]"),
    ({"approved_plan": "sha256:abc"}, 1024, "approved_plan"),
]


async def fit(engine: LocalEngine, name: str = "first", **changes: Any) -> int:  # noqa: ANN401
    """A backup that could be restored, but for ``changes``; no archive is looked at yet."""
    backup_id: int = (await engine.create(name)).json()["id"]
    members = {"is_valid": True, "content_file_path": f"/x/{name}.tar", **changes}
    to = members.pop("status", RecordStatus.SUCCESS)
    async with engine.database.writing() as connection:
        running = {RecordStatus.INITIALIZING}
        assert await BackupRecords(connection).move(backup_id, running, to, members)
    return backup_id


async def ask(engine: LocalEngine, backup_id: int) -> dict[str, Any]:
    body = {"backup_id": backup_id, "groups": GROUPS}
    answer: dict[str, Any] = (await engine.send("POST", RESTORES, json=body)).json()
    return answer


async def pending(engine: LocalEngine) -> int:
    restore_id: int = (await ask(engine, await fit(engine)))["id"]
    return restore_id


async def launch(engine: LocalEngine, restore_id: int) -> tuple[int, int]:
    answer = await engine.send("POST", f"{RESTORES}/{restore_id}", json=LAUNCH)
    return answer.status_code, answer.json().get("code", 0)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"type": BackupType.DATA}, 1004),
        ({"status": RecordStatus.FAILED}, 1005),
        ({"is_valid": False}, 1006),
        ({"is_version_compatible": False}, 1007),
    ],
)
async def test_an_unfit_backup_cannot_be_restored(
    resting: LocalEngine, spoil: dict[str, Any], code: int
) -> None:
    assert (await ask(resting, await fit(resting, **spoil)))["code"] == code
    assert (await resting.send("GET", RESTORES)).json() == []


async def test_a_running_backup_keeps_a_restore_from_being_launched(resting: LocalEngine) -> None:
    restore_id = await pending(resting)
    assert (await resting.create("running")).status_code == 201

    assert await launch(resting, restore_id) == (409, 1015)


async def test_a_running_restore_keeps_backups_from_beginning(resting: LocalEngine) -> None:
    restore_id = await pending(resting)
    assert await launch(resting, restore_id) == (200, 0)

    taken, other = await resting.create("first"), await resting.create("other")

    assert taken.json()["code"] == 1005  # counts before 1016 (spec §14)
    assert other.json()["code"] == 1016


async def test_backups_and_restores_that_begin_at_once_never_both_run(
    resting: LocalEngine,
) -> None:
    restore_id = await pending(resting)

    async def begin(number: int) -> int:
        if number % 10 == 5:
            return (await launch(resting, restore_id))[0]
        return (await resting.create(f"n{number}")).status_code

    codes = await asyncio.gather(*(begin(number) for number in range(40)))

    assert sum(code in {200, 201} for code in codes) == 1


async def test_of_racing_requests_one_restore_is_open(resting: LocalEngine) -> None:
    backup_id = await fit(resting)

    answers = await asyncio.gather(*(ask(resting, backup_id) for _ in range(20)))

    assert sum("groups" in answer for answer in answers) == 1
    assert {answer["code"] for answer in answers if "code" in answer} == {1011}


async def test_what_runs_without_its_record_still_counts_as_running(resting: LocalEngine) -> None:
    backup_id = await fit(resting)
    first = (await ask(resting, backup_id))["id"]
    await launch(resting, first)
    assert (await resting.send("DELETE", f"{RESTORES}/{first}")).status_code == 204

    assert (await resting.send("GET", f"{RESTORES}/{first}")).status_code == 404
    assert (await resting.send("DELETE", f"{RESTORES}/{first}")).json()["code"] == 1001
    second = (await ask(resting, backup_id))["id"]  # 1011 does not hold (spec §14 no. 20)
    assert await launch(resting, second) == (409, 1016)
    assert (await resting.create("other")).json()["code"] == 1016


async def test_the_archive_of_a_running_restore_outlives_its_backups_deletion(
    resting: LocalEngine,
) -> None:
    backup_id = await fit(resting)
    await launch(resting, (await ask(resting, backup_id))["id"])
    await resting.send("DELETE", f"/api/backup_and_restore/backups/{backup_id}")

    due = await resting.parts.runner._list_due()

    assert [backup.id for backup in due] == []


@pytest.mark.parametrize(("wrong", "code", "named"), WRONG_OPTIONS, ids=str)
async def test_wrong_options_are_refused_and_the_member_is_named(
    resting: LocalEngine, wrong: dict[str, Any], code: int, named: str
) -> None:
    path = f"{EXTENSION}/{await pending(resting)}/options"
    before = (await resting.send("GET", path)).json()

    answer = await resting.send("PUT", path, json=wrong)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert named in answer.json()["message"]
    assert (await resting.send("GET", path)).json() == before


async def test_options_are_replaced_as_a_whole_while_the_restore_is_pending(
    resting: LocalEngine,
) -> None:
    restore_id = await pending(resting)
    path = f"{EXTENSION}/{restore_id}/options"
    wanted = {"existing": "Update", "namespace_mapping": {"a": "b"}, "include": [{"kind": "Pod"}]}

    put = (await resting.send("PUT", path, json=wanted)).json()

    assert put["include"] == [{"namespace": None, "kind": "Pod", "name": None, "label": None}]
    assert (await resting.send("GET", path)).json() == put
    assert (await resting.send("PUT", path, json={})).json()["existing"] == "Keep"
    await launch(resting, restore_id)
    assert (await resting.send("PUT", path, json={})).json()["code"] == 1012


async def test_a_plan_follows_its_options_and_its_restore(resting: LocalEngine) -> None:
    restore_id = await pending(resting)
    plan, options = f"{EXTENSION}/{restore_id}/plan", f"{EXTENSION}/{restore_id}/options"

    async def state() -> str:
        return str((await resting.send("GET", plan)).json()["state"])

    assert (await resting.send("GET", f"{plan}/items")).json()["code"] == 1025
    assert (await resting.send("POST", plan)).status_code == 202
    assert (await resting.send("GET", f"{plan}/items")).json()["code"] == 1026
    await resting.send("PUT", options, json={"approved_plan": DIGEST})
    assert await state() == "COMPUTING"  # an approval changes nothing about the plan
    await resting.send("PUT", options, json={"existing": "Update", "approved_plan": DIGEST})
    assert await state() == "ABSENT"
    await resting.send("POST", plan)
    assert (await resting.send("DELETE", plan)).json()["state"] == "ABSENT"
    await resting.send("POST", plan)
    await launch(resting, restore_id)
    assert await state() == "ABSENT"
    assert (await resting.send("POST", plan)).json()["code"] == 1012


async def test_a_computation_that_is_not_wanted_any_more_writes_nothing(
    resting: LocalEngine,
) -> None:
    restore_id = await pending(resting)
    item = PlanItem(action="create", api_version="v1", kind="ConfigMap", name="a")
    async with resting.database.writing() as connection:
        plans = RestorePlanRecords(connection)
        begun = await plans.begin(await plans.start(restore_id))
        await plans.add_items(begun, [item])
        await plans.drop(restore_id)
        await plans.start(restore_id)

        with pytest.raises(PlanStaleError):
            await plans.add_items(begun, [item])
        with pytest.raises(PlanStaleError):
            await plans.finish(begun, RestorePlan(digest=DIGEST), PlanState.READY)

        again = await plans.begin(await plans.get(restore_id))
        assert (await plans.list_items(again, None, None)).total == 0


async def test_items_of_a_plan_are_ordered_cut_and_chosen(resting: LocalEngine) -> None:
    restore_id = await pending(resting)
    names = [
        ("v1", "Secret", "b", "x"),
        ("v1", "ConfigMap", "b", "y"),
        ("v1", "ConfigMap", "a", "z"),
    ]
    items = [
        PlanItem(action="create", api_version=version, kind=kind, namespace=namespace, name=name)
        for version, kind, namespace, name in names
    ]
    async with resting.database.writing() as connection:
        plans = RestorePlanRecords(connection)
        begun = await plans.begin(await plans.start(restore_id))
        await plans.add_items(begun, items)
        await plans.finish(begun, RestorePlan(digest=DIGEST), PlanState.READY)
    path = f"{EXTENSION}/{restore_id}/plan/items"

    async def found(query: str = "", **headers: str) -> list[str]:
        answer = await resting.send("GET", f"{path}{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()]

    assert await found() == ["z", "y", "x"]
    assert await found(Range="items=1-1") == ["y"]
    assert await found("?kind=ConfigMap&namespace=b&action=create") == ["y"]
    assert await found('?filter=name = "x" or namespace = a') == ["z", "x"]
    assert await found("?action=update") == []
    for wrong in ("?action=Create", "?kind=%00", "?filter=changes is null"):
        assert (await resting.send("GET", path + wrong)).json()["code"] == 11


async def test_a_restore_without_its_archive_fails_with_the_reason(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    restore_id = (await ask(local, backup_id))["id"]
    (local.directory / "archives" / local.archives[0]).unlink()

    assert await launch(local, restore_id) == (200, 0)

    record = await ended(local, restore_id)
    assert (record["status"], record["backup_id"]) == ("FAILED", None)
    progress = (await local.send("GET", f"{EXTENSION}/{restore_id}/progress")).json()
    assert progress["reason"] in {"ArchiveMissing", "BackupNotReady"}
    assert "first" in progress["message"] or str(backup_id) in progress["message"]
    assert (await local.create("second")).status_code == 201  # it blocks nothing any more


async def test_a_plan_that_cannot_be_computed_tells_why(local: LocalEngine) -> None:
    backup_id = (await local.create("first")).json()["id"]
    await local.until(backup_id, "SUCCESS")
    restore_id = (await ask(local, backup_id))["id"]
    path = local.directory / "archives" / local.archives[0]
    path.write_bytes(path.read_bytes()[:-512])

    await local.send("POST", f"{EXTENSION}/{restore_id}/plan")

    async with asyncio.timeout(100):
        while True:
            plan = (await local.send("GET", f"{EXTENSION}/{restore_id}/plan")).json()
            if plan["state"] != "COMPUTING":
                break
            await asyncio.sleep(0.02)
    assert plan["state"] == "FAILED"
    # the watch may have noticed before, and then the backup is not valid any more
    assert plan["reason"] in {"ManifestMissing", "BackupNotValid"}
    assert plan["message"]


async def test_a_dropped_restore_leaves_no_row_behind(resting: LocalEngine) -> None:
    restore_id = await pending(resting)
    await resting.send("POST", f"{EXTENSION}/{restore_id}/plan")
    assert (await resting.send("DELETE", f"{RESTORES}/{restore_id}")).status_code == 204

    async with resting.database.reading() as connection:
        assert await RestorePlanRecords(connection).list_computing() == []
        assert await RestoreRecords(connection).find_open() is None


async def ended(engine: LocalEngine, restore_id: int) -> dict[str, Any]:
    async with asyncio.timeout(100):
        while True:
            record: dict[str, Any] = (await engine.send("GET", f"{RESTORES}/{restore_id}")).json()
            if record["status"] in {"SUCCESS", "FAILED"}:
                return record
            await asyncio.sleep(0.02)


async def test_a_restore_fails_when_its_time_is_up_and_no_restart_begins_it_anew(
    tmp_path: Path, source: ListServer, database_url: str
) -> None:
    ahead_s = 0.0

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=ahead_s)

    kubeconfig = source.kubeconfig(tmp_path)
    rules = RestoreRules(time_limit_s=60)
    async with local_engine(
        tmp_path, kubeconfig, clock=clock, database_url=database_url, restore_rules=rules
    ) as engine:
        engine.start()
        backup = await engine.until((await engine.create("first")).json()["id"], "SUCCESS")
        await engine.stop()
        restore_id = (await ask(engine, backup["id"]))["id"]
        assert await launch(engine, restore_id) == (200, 0)
        ahead_s = 61  # the engine was down for so long
        engine.start()
        async with asyncio.timeout(100):
            while True:
                record = (await engine.send("GET", f"{RESTORES}/{restore_id}")).json()
                if record["time_completed"] is not None:
                    break
                await asyncio.sleep(0.02)
        told = (await engine.send("GET", f"{EXTENSION}/{restore_id}/progress")).json()
    assert record["status"] == "FAILED"
    assert told["reason"] == TOO_LONG
    assert "not finished within 60 s; " in told["message"]
