"""Restores of volumes, through the engine's extension, by a real kopia."""

import asyncio
from typing import Any

from fixtures.volumes import VolumeScene

RESTORES = "/api/backup_engine/volume_restores"


async def restored(shop: VolumeScene, **body: Any) -> dict[str, Any]:  # noqa: ANN401
    """Restore, and wait until it has ended."""
    answer = await shop.engine.send("POST", RESTORES, json=body)
    assert answer.status_code == 201, answer.text
    restore_id = answer.json()["id"]
    async with asyncio.timeout(100):
        while True:
            record: dict[str, Any] = (
                await shop.engine.send("GET", f"{RESTORES}/{restore_id}")
            ).json()
            if record["time_completed"] is not None:
                return record
            await asyncio.sleep(0.05)


async def refused(shop: VolumeScene, **body: Any) -> tuple[int, int]:  # noqa: ANN401
    answer = await shop.engine.send("POST", RESTORES, json=body)
    return answer.status_code, int(answer.json().get("code", 0))


async def test_volumes_come_back_new_empty_and_by_path_and_nothing_else_is_touched(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"base/1": "one", "base/2": "two", "log": "old"})
    backup = await shop.make("whole")
    source = {"namespace": "shop", "claim": "data"}
    shop.fill("data", {"base/1": "changed", "log": "new"})
    shop.fill("full", {"mine": "kept"})
    shop.fill("empty", {})

    whole = await restored(
        shop,
        backup_id=backup["id"],
        volumes=[
            {**source, "target_claim": "copy", "create_claim": True},
            {**source, "target_claim": "empty"},
            {**source, "paths": ["base/1"]},
            {**source, "target_claim": "full"},
            {**source, "target_namespace": "media", "target_claim": "absent"},
        ],
    )

    told = [(each["status"], each.get("reason")) for each in whole["volumes"]]
    assert told == [
        ("SUCCESS", None),
        ("SUCCESS", None),
        ("SUCCESS", None),
        ("FAILED", "TargetNotEmpty"),
        ("FAILED", "TargetMissing"),
    ]
    assert whole["status"] == "FAILED"
    exact = [
        (each["bytes_done"], each["files_done"], each.get("size")) for each in whole["volumes"][:3]
    ]
    assert exact == [(9, 3, 9), (9, 3, 9), (3, 1, None)]
    folder = shop.root / "shop"
    for name in ("copy", "empty"):
        assert (folder / name / "base" / "2").read_text() == "two"
    assert (folder / "data" / "base" / "1").read_text() == "one"
    assert (folder / "data" / "log").read_text() == "new"
    assert [each.name for each in (folder / "full").iterdir()] == ["mine"]


async def test_the_newest_good_backup_of_a_time_is_restored(shop: VolumeScene) -> None:
    shop.fill("data", {"a": "first"})
    first = await shop.make("first")
    shop.fill("data", {"a": "second"})
    second = await shop.make("second")
    volume = {"namespace": "shop", "claim": "data", "create_claim": True}

    def at(when: int | None, claim: str) -> dict[str, Any]:
        wish = {**volume, "target_claim": claim}
        return {"host_id": shop.host_id, "point_in_time": when, "volumes": [wish]}

    assert (await restored(shop, **at(first["time_completed"], "then")))["status"] == "SUCCESS"
    newest = await restored(shop, **at(None, "now"))

    assert newest["backup_id"] == second["id"]
    assert (shop.root / "shop" / "then" / "a").read_text() == "first"
    assert (shop.root / "shop" / "now" / "a").read_text() == "second"
    assert await refused(shop, **at(first["time_initiated"] - 1, "before")) == (422, 1003)
    listed = (await shop.engine.send("GET", RESTORES)).json()
    assert [each["status"] for each in listed] == ["SUCCESS", "SUCCESS"]


async def test_a_plan_writes_nothing_and_only_the_approved_one_is_carried_out(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"a": "1", "b/c": "22"})
    backup = await shop.make("whole")
    shop.fill("full", {"mine": "kept"})
    source = {"namespace": "shop", "claim": "data"}
    wishes: list[dict[str, Any]] = [
        {**source, "target_claim": "copy", "create_claim": True},
        {**source, "target_claim": "full"},
        {**source, "target_claim": "full", "target_namespace": "media"},
        {**source, "create_claim": True},
        {**source, "target_claim": "here", "paths": ["b"]},
    ]
    shop.fill("here", {"old": "x"})

    async def plan(*chosen: dict[str, Any]) -> dict[str, Any]:
        body = {"hostname": "shop", "volumes": [*chosen]}
        answer = await shop.engine.send("POST", "/api/backup_engine/volume_plans", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    told = await plan(*wishes)
    assert (told["backup_id"], told["backup_name"], told["hostname"]) == (
        backup["id"],
        "whole",
        "shop",
    )
    assert [(each["target"], each.get("reason")) for each in told["volumes"]] == [
        ("ABSENT", None),
        ("NOT_EMPTY", "TargetNotEmpty"),
        ("ABSENT", "TargetMissing"),
        ("NOT_EMPTY", "TargetExists"),
        ("NOT_EMPTY", None),
    ]
    assert {(each["size"], each["files"]) for each in told["volumes"]} == {(3, 2)}
    assert (await shop.engine.send("GET", RESTORES)).json() == []
    assert not (shop.root / "shop" / "copy").exists()

    first = await plan(wishes[0])
    assert (await plan(wishes[0]))["digest"] == first["digest"]
    shop.fill("copy", {})
    body = {"backup_id": backup["id"], "volumes": wishes[:1], "approved_plan": first["digest"]}
    assert await refused(shop, **body) == (409, 1010)
    (shop.root / "shop" / "copy").rmdir()
    assert (await restored(shop, **body))["status"] == "SUCCESS"
    assert await refused(shop, hostname="nobody", volumes=wishes[:1]) == (422, 1003)


async def test_a_key_stands_for_one_restore_however_often_it_is_asked_for(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"a": "1"})
    backup = await shop.make("whole")
    wish = {"namespace": "shop", "claim": "data", "target_claim": "b", "create_claim": True}
    body: dict[str, Any] = {"backup_id": backup["id"], "volumes": [wish], "key": "restore-uid-1"}

    answers = await asyncio.gather(
        *(shop.engine.send("POST", RESTORES, json=body) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await restored(shop, **body))["status"] == "SUCCESS"  # after its end as well

    other = {**body, "volumes": [{**wish, "target_claim": "c"}]}
    assert await refused(shop, **other) == (409, 1011)
    assert await refused(shop, **{**body, "key": "no key"}) == (422, 1012)
    found = await shop.engine.send("GET", RESTORES, params={"filter": 'key = "restore-uid-1"'})
    assert [each["key"] for each in found.json()] == ["restore-uid-1"]
    none = await shop.engine.send("GET", RESTORES, params={"filter": 'key = "another"'})
    assert none.json() == []


async def test_what_cannot_be_restored_is_refused_before_anything_is_written(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"a": "1"})
    backup = (await shop.make("whole"))["id"]
    wish = {"namespace": "shop", "claim": "data"}

    assert await refused(shop, volumes=[wish]) == (422, 1002)
    assert await refused(shop, backup_id=backup, host_id=2, volumes=[wish]) == (422, 1002)
    assert await refused(shop, backup_id=4711, volumes=[wish]) == (422, 1003)
    assert await refused(shop, backup_id=backup) == (422, 1005)
    unknown = {"backup_id": backup, "volumes": [{**wish, "claim": "b"}]}
    assert await refused(shop, **unknown) == (422, 1006)
    told = (await shop.engine.send("POST", RESTORES, json=unknown)).json()["message"]
    assert told == "The backup has no volume shop/b; of namespace shop it has data"
    assert await refused(shop, backup_id=backup, volumes=[wish, wish]) == (422, 1007)
    escaping = {**wish, "target_claim": "../other"}
    assert await refused(shop, backup_id=backup, volumes=[escaping]) == (422, 1007)
    for path in ("/etc", "../x", "a/../../b", ""):
        wrong = {**wish, "paths": [path]}
        assert await refused(shop, backup_id=backup, volumes=[wrong]) == (422, 1008)
    assert (await shop.engine.send("GET", RESTORES)).json() == []


async def test_an_unfinished_restore_is_carried_on_and_an_ended_one_cannot_be_cancelled(
    shop: VolumeScene,
) -> None:
    shop.fill("data", {"a": "1"})
    backup = await shop.make("whole")
    await shop.engine.stop()
    wish = {"namespace": "shop", "claim": "data", "target_claim": "b", "create_claim": True}
    body = {"backup_id": backup["id"], "volumes": [wish]}
    begun = (await shop.engine.send("POST", RESTORES, json=body)).json()
    unwanted = (await shop.engine.send("POST", RESTORES, json=body)).json()
    cancelled = await shop.engine.send("DELETE", f"{RESTORES}/{unwanted['id']}")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "CANCELLING")

    shop.engine.start()

    async with asyncio.timeout(100):
        while True:
            first, second = (await shop.engine.send("GET", RESTORES)).json()
            if first["time_completed"] and second["time_completed"]:
                break
            await asyncio.sleep(0.05)
    assert (first["id"], first["status"]) == (begun["id"], "SUCCESS")
    assert second["status"] == "CANCELLED"
    again = await shop.engine.send("DELETE", f"{RESTORES}/{begun['id']}")
    assert (again.status_code, again.json()["code"]) == (409, 1002)
