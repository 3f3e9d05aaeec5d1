"""A restore reads of an archive what it needs, and leaves the rest in the store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.run import CaptureRequest, capture
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.request import RestoreOptions
from backup_engine.restore.run import plan_restore
from backup_engine.restore.selection import Selection, parse_object_rule
from fixtures.archive_reads import RecordingReader
from listserver import Listing, ListServer, a_config_map

REQUEST = CaptureRequest(1, "parts", 1, "console", 1_795_435_200_000, None, "0.1.0")
VERBS = ("create", "get", "list")
LARGE = "y" * 1_500_000  # three of them fill a part


@pytest.fixture
async def server() -> AsyncIterator[ListServer]:
    """A cluster whose ConfigMaps need two parts."""
    server = ListServer()
    names = ("red", "blue")
    namespaces = [{"metadata": a_config_map(name)["metadata"]} for name in names]
    for one in namespaces:
        del one["metadata"]["namespace"]
    node = {"metadata": {"name": "n", "uid": "n", "resourceVersion": "1"}}
    maps = [a_config_map(f"map-{number}", "red", x=LARGE) for number in range(4)]
    server.add(
        Listing("", "v1", "namespaces", "Namespace", namespaces, is_namespaced=False, verbs=VERBS),
        Listing("", "v1", "nodes", "Node", [node], is_namespaced=False, verbs=VERBS),
        Listing("", "v1", "configmaps", "ConfigMap", maps, verbs=VERBS),
        Listing("", "v1", "secrets", "Secret", [a_config_map("s", "blue")], verbs=VERBS),
    )
    async with server.running():
        yield server


@pytest.mark.parametrize(
    ("rule", "parts", "indexes"),
    [
        ("kind=Secret", ["secrets"], ["secrets"]),
        ("namespace=blue", ["namespaces", "secrets"], None),
        ("kind=ConfigMap;name=map-3", ["configmaps 2"], ["configmaps", "configmaps 2"]),
        ("kind=Node", [], ["nodes"]),  # nothing of this kind is restored
        ("name=nobody", [], None),
    ],
)
async def test_only_parts_with_chosen_objects_are_read(
    server: ListServer, tmp_path: Path, rule: str, parts: list[str], indexes: list[str] | None
) -> None:
    store = ArchiveStore.open((tmp_path / "archives").as_uri())
    options = RestoreOptions(selection=Selection(include=(parse_object_rule(rule),)))
    async with ClusterConnection.from_kubeconfig(server.kubeconfig(tmp_path)) as cluster:
        source = RecordingReader(store, (await capture(REQUEST, cluster, store)).archive_name)
        archive = await ArchiveReader.open(source)
        source.stretches.clear()

        await plan_restore(options, archive, cluster)

    names = [part.resource for part in archive.manifest.parts]
    assert names == ["namespaces", "configmaps", "configmaps", "nodes", "secrets"]
    names[2] = "configmaps 2"
    told = dict(zip(names, archive.manifest.parts, strict=True))
    assert [name for name, part in told.items() if source.has_read(part)] == parts
    read = [name for name, part in told.items() if source.has_read(part.index)]
    assert read == (names if indexes is None else indexes)
