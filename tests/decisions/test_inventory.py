"""The cache compared with the cluster: what a watch has missed is noticed and made good."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest

from backup_operator.cluster.api import ClusterApi, GoneError
from backup_operator.cluster.cache import ObjectCache
from backup_operator.reconcile.dispatch import Dispatcher
from backup_operator.reconcile.inventory import Inventory
from backup_operator.resources.group import BACKUP, Kind

pytestmark = pytest.mark.looptime


def a_body(version: int, name: str = "one") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ops", "uid": f"u-{name}"}
    return {"metadata": {**metadata, "resourceVersion": str(version)}, "spec": {}, "status": {}}


class Shelf:
    """A cluster that holds some Backups."""

    def __init__(self, *bodies: dict[str, Any]) -> None:
        self.bodies = {body["metadata"]["name"]: body for body in bodies}

    async def list_metadata(self, kind: Kind, _: str | None) -> AsyncIterator[dict[str, Any]]:
        for body in self.bodies.values() if kind is BACKUP else ():
            yield body

    async def list_objects(self, kind: Kind, _: str | None) -> AsyncIterator[dict[str, Any]]:
        async for body in self.list_metadata(kind, None):
            yield body

    async def get_object(self, kind: Kind, _: str | None, name: str) -> dict[str, Any]:
        if name not in self.bodies:
            raise GoneError(f"GET {kind.kind}", 404, name)
        return self.bodies[name]


def stand(*bodies: dict[str, Any]) -> tuple[Shelf, ObjectCache, Inventory, Dispatcher]:
    shelf, cache = Shelf(*bodies), ObjectCache()
    inventory = Inventory(cast("ClusterApi", shelf), cache, ())
    return shelf, cache, inventory, Dispatcher(cache)


async def test_a_watch_that_is_behind_is_noticed_and_made_good() -> None:
    _, cache, inventory, dispatcher = stand(a_body(9))
    dispatcher.saw(BACKUP, a_body(5))
    await inventory.compare(dispatcher)

    assert inventory.late_comparisons == 1
    assert [entry.version for entry in cache.entries(BACKUP)] == [9]
    await inventory.compare(dispatcher)
    assert inventory.late_comparisons == 0


async def test_an_object_that_no_watch_has_told_of_is_fetched() -> None:
    _, cache, inventory, dispatcher = stand(a_body(9))
    await inventory.compare(dispatcher)
    assert len(cache) == 1
    assert inventory.late_comparisons == 1


async def test_a_deletion_that_nobody_told_is_found() -> None:
    shelf, cache, inventory, dispatcher = stand(a_body(9))
    dispatcher.saw(BACKUP, a_body(9))
    del shelf.bodies["one"]
    await inventory.compare(dispatcher)
    assert len(cache) == 0


async def test_everything_that_exists_is_seen_before_anything_is_decided() -> None:
    _, cache, inventory, dispatcher = stand(a_body(9), a_body(4, "two"))
    before = inventory.has_seen_all
    await inventory.take_over(dispatcher)
    assert (before, inventory.has_seen_all) == (False, True)
    assert [entry.version for entry in cache.entries(BACKUP)] == [9, 4]


async def test_a_deletion_between_the_first_list_and_the_watches_is_soon_found() -> None:
    shelf, cache, inventory, dispatcher = stand(a_body(9))
    await inventory.take_over(dispatcher)
    del shelf.bodies["one"]
    comparing = asyncio.create_task(inventory.compare_forever(dispatcher, timedelta(hours=1)))
    await asyncio.sleep(timedelta(minutes=1).total_seconds())
    comparing.cancel()
    assert len(cache) == 0
