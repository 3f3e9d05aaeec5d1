"""One small namespace, captured: what most tests of restore policies play on."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from backup_engine.cluster import ClusterConnection
from backup_engine.restore.planning import Existing, Plan, PlanItem
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import RestoreOutcome, plan_restore, restore
from backup_engine.restore.selection import Selection
from restorescene.objects import make
from restorescene.stage import Stage, deadline


class Options(TypedDict, total=False):
    selection: Selection
    namespace_mapping: Mapping[str, str]
    existing: Existing
    status_kinds: frozenset[str]


class Small:
    """Two ConfigMaps, a Secret and a Job in one namespace, captured."""

    def __init__(self, stage: Stage, archive: Path) -> None:
        self.stage = stage
        self.archive = archive
        self.namespace = f"{stage.prefix}-a"
        self.core = f"/api/v1/namespaces/{self.namespace}"

    async def plan(self, **options: Unpack[Options]) -> tuple[Plan, dict[str, PlanItem]]:
        items: dict[str, PlanItem] = {}

        def take(item: PlanItem) -> None:
            items[f"{item.key.kind} {item.key.name}"] = item

        reader = await self.stage.open(self.archive)
        asked = RestoreOptions(**({"selection": self.stage.selection()} | options))
        return await plan_restore(asked, reader, self.stage.connection, take=take), items

    async def restore(
        self, connection: ClusterConnection | None = None, **options: Unpack[Options]
    ) -> RestoreOutcome:
        reader = await self.stage.open(self.archive)
        asked = RestoreOptions(**({"selection": self.stage.selection()} | options))
        return await restore(asked, reader, connection or self.stage.connection)

    async def merge(self, path: str, change: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/merge-patch+json"}
        status, body = await self.stage.request("PATCH", path, json=change, headers=headers)
        assert status == 200, body
        found: dict[str, Any] = body
        return found


async def capture_small(stage: Stage) -> Small:
    """Make the namespace and capture it."""
    namespace = f"{stage.prefix}-a"
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    await stage.create(
        make("v1", "Namespace", namespace),
        make("v1", "ConfigMap", "one", namespace, data={"a": "1", "b": "2"}),
        make("v1", "ConfigMap", "two", namespace, data={"a": "1"}),
        make("v1", "Secret", "hidden", namespace, data={"p": "aGlkZGVuLTE="}),
        make(
            "batch/v1",
            "Job",
            "once",
            namespace,
            spec={"suspend": True, "completions": 1, "template": {"spec": pod}},
        ),
    )
    small = Small(stage, Path())
    await until_controllers_have_been(small)
    return Small(stage, await stage.capture())


async def until_controllers_have_been(small: Small) -> None:
    """Wait for what controllers make in a new namespace, and tell of its Job."""
    job = f"/apis/batch/v1/namespaces/{small.namespace}/jobs/once"
    async with deadline() as expired:
        for path in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            while (await small.stage.request("GET", f"{small.core}/{path}"))[0] != 200:
                expired(path)
                await asyncio.sleep(0.05)
        while not (await small.stage.get(job)).get("status", {}).get("conditions"):
            expired("the Job is told to be suspended")
            await asyncio.sleep(0.05)
