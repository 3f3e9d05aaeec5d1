"""What a priority of the deployed configuration governs: load on the API server (spec §5.0)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backup_api.configurations import BackupConfigurationRecord, BackupPriority
from backup_engine.archive.store import ArchiveStore
from backup_engine.capture.pacing import LONGEST_REST_S
from backup_engine.capture.request import CaptureRequest
from backup_engine.capture.run import capture
from backup_engine.cluster import ClusterConnection
from backup_engine.host_definition import DEFAULT_CONSOLE
from backup_engine.runs.rules import build_rules
from listserver import Listing, ListServer, a_config_map

ANSWER_S = 0.03
OBJECTS = 120
REQUEST = CaptureRequest(
    backup_id=1,
    name="load",
    host_id=1,
    hostname="console",
    time_initiated_ms=1_795_435_200_000,
    initiated_by=None,
    product_version="0",
)


@pytest.fixture
async def server() -> AsyncIterator[ListServer]:
    async with ListServer().running() as server:
        for letter in "abcde":
            objects = [a_config_map(f"{letter}-{number:03d}") for number in range(OBJECTS)]
            server.add(Listing("zoo.io", "v1", f"kind{letter}s", letter.upper(), objects))
        server.answers_after_s = ANSWER_S
        yield server


@pytest.mark.parametrize(
    ("priority", "abreast", "pages", "rests_per_answer"),
    [
        (BackupPriority.LOW, {1}, 3, 3.0),
        (BackupPriority.MEDIUM, {2}, 1, 1.0),
        (BackupPriority.HIGH, {3, 4}, 1, 0.0),
    ],
)
async def test_a_priority_governs_answers_at_once_their_size_and_the_rests_between(
    server: ListServer,
    tmp_path: Path,
    priority: BackupPriority,
    abreast: set[int],
    pages: int,
    rests_per_answer: float,
) -> None:
    deployed = BackupConfigurationRecord(
        configuration_id=1,
        configuration_backup_time_limit=1000,
        configuration_backup_priority=priority,
    )
    limits = build_rules(deployed, DEFAULT_CONSOLE.definition).limits
    rested: list[float] = []

    async def rest(duration_s: float) -> None:
        rested.append(duration_s)

    limits = replace(limits, pacing=replace(limits.pacing, sleep=rest))
    store = ArchiveStore.open((tmp_path / "archives").as_uri())
    async with ClusterConnection.from_kubeconfig(server.kubeconfig(tmp_path)) as cluster:
        outcome = await capture(REQUEST, cluster, store, limits=limits)

    lists = [path for path, query in server.requests if "limit" in query]
    assert outcome.objects == 5 * OBJECTS
    assert server.most_abreast in abreast
    assert len(lists) == 5 * pages
    assert len(rested) == (5 * pages if rests_per_answer else 0)
    assert all(ANSWER_S * rests_per_answer <= one <= LONGEST_REST_S for one in rested)
