"""Archives whose digests are right and whose contents contradict one another: of a writer's bug."""

import json
import secrets
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from backup_engine.archive import reading
from backup_engine.archive.encryption import NO_RECIPIENTS
from backup_engine.archive.manifest import (
    BackupFacts,
    ClusterIdentity,
    Host,
    ListEntry,
    Product,
    Scope,
)
from backup_engine.archive.pacing import ReadPace
from backup_engine.archive.part import KindName, Part, PartBuilder, pack
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.tarform import BLOCK_BYTES
from backup_engine.archive.verifying import Verification, verify_archive
from backup_engine.archive.writing import ArchiveWriter, build_origin

NAME = "backup.odd.console_1.23_11_2026.config.0.tar"
SECRETS = KindName("v1", "Secret", "secrets")
LISTED = ListEntry(
    api_version="v1",
    kind="Secret",
    resource="secrets",
    namespace=None,
    resource_version="1",
    is_consistent=True,
    objects=2,
)


def a_part(*names: str, kind: KindName = SECRETS, lines: tuple[str, ...] = ()) -> Part:
    """Two Secrets; ``lines`` are stored in place of those that the index tells of."""
    told, stored = PartBuilder(kind), PartBuilder(kind)
    for name, line in zip(names, lines or names, strict=True):
        told.add(json.dumps({"x": name}).encode(), "red", name, "", "1")
        stored.add(json.dumps({"x": line}).encode(), "red", line, "", "1")
    part, content = told.finish(), stored.finish()
    assert part is not None
    assert content is not None
    return replace(part, content=content.content)


async def write(
    part: Part,
    lists: tuple[ListEntry, ...] = (LISTED,),
    meddle: Callable[[ArchiveWriter], None] = lambda _: None,
) -> ArchiveStore:
    """Write an archive of this one part; ``meddle`` changes what its writer still knows."""
    host = Host(id=1, name="console")
    facts = BackupFacts(
        id=1, name="odd", type="CONFIG", time_initiated_ms=0, initiated_by=None, host=host
    )
    cluster = ClusterIdentity(uid="here", kubernetes_version="v1")
    origin = build_origin(facts, Product(name="backup-operator", version="0"), cluster)
    store = ArchiveStore.open("memory:///")
    async with store.writer(NAME) as place:
        archive = ArchiveWriter(place, origin)
        await archive.begin()
        await archive.add(part)
        meddle(archive)
        await archive.commit(Scope(namespaces=None), lists, ())
    return store


async def verdict_on(
    part: Part,
    lists: tuple[ListEntry, ...] = (LISTED,),
    meddle: Callable[[ArchiveWriter], None] = lambda _: None,
) -> Verification:
    return await verify_archive(await write(part, lists, meddle), NAME)


def rename(archive: ArchiveWriter) -> None:
    origin = archive._origin
    backup = msgspec.structs.replace(origin.backup, name="another")
    archive._origin = msgspec.structs.replace(origin, backup=backup)


def count_one_more(archive: ArchiveWriter) -> None:
    (part,) = archive._parts
    archive._parts = [msgspec.structs.replace(part, objects=part.objects + 1)]


def claim_another_size(archive: ArchiveWriter) -> None:
    (part,) = archive._parts
    archive._parts = [msgspec.structs.replace(part, raw_bytes=part.raw_bytes - 1)]


async def test_an_archive_without_contradiction_is_valid() -> None:
    assert (await verdict_on(a_part("a", "b"))).reason == "Verified"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        pytest.param(a_part("a", "b", lines=("a", "c")), "IndexMismatch", id="another object"),
        pytest.param(a_part("a", "b", lines=("a", "bb")), "IndexMismatch", id="a longer object"),
        pytest.param(a_part("a", "b", lines=("b", "a")), "IndexMismatch", id="another order"),
        pytest.param(
            replace(a_part("a", "b"), kind=KindName("v2", "Secret", "secrets")),
            "IndexMismatch",
            id="objects of another version",
        ),
        pytest.param(
            replace(a_part("a", "b"), index=a_part("a").index), "CountMismatch", id="fewer objects"
        ),
        pytest.param(
            replace(a_part("a", "b"), index=a_part("a", "b").content),
            "IndexUnreadable",
            id="no index",
        ),
        pytest.param(
            replace(a_part("a", "b"), content=pack(b"no frame", 20, NO_RECIPIENTS)),
            "PartUnreadable",
            id="no frame",
        ),
    ],
)
async def test_a_part_that_its_index_does_not_describe_is_not_valid(
    part: Part, reason: str
) -> None:
    verdict = await verdict_on(part)

    assert (verdict.is_valid, verdict.reason) == (False, reason)


@pytest.mark.parametrize(
    ("meddle", "reason"),
    [
        (rename, "HeaderMismatch"),
        (count_one_more, "CountMismatch"),
        (claim_another_size, "PartUnreadable"),
    ],
)
async def test_a_manifest_that_says_otherwise_than_the_members_is_not_valid(
    meddle: Callable[[ArchiveWriter], None], reason: str
) -> None:
    verdict = await verdict_on(a_part("a", "b"), meddle=meddle)

    assert (verdict.is_valid, verdict.reason) == (False, reason)


@pytest.mark.parametrize("lists", [(), (LISTED, LISTED)])
async def test_lists_that_gave_another_number_of_objects_make_an_archive_not_valid(
    lists: tuple[ListEntry, ...],
) -> None:
    verdict = await verdict_on(a_part("a", "b"), lists)

    assert (verdict.is_valid, verdict.reason) == (False, "CountMismatch")
    assert "the parts hold 2" in verdict.message


class NotingPace(ReadPace):
    """Notes how much is read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.lengths: list[int] = []

    async def spend(self, length: int) -> None:
        self.lengths.append(length)


async def test_a_member_that_would_fill_the_memory_is_not_read_to_be_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest, pace = 4_000, NotingPace()
    monkeypatch.setattr(reading, "LARGEST_UNPACKED_BYTES", largest)
    store = await write(a_part("a", secrets.token_hex(10_000)))

    verdict = await verify_archive(store, NAME, pace=pace)

    assert (verdict.is_valid, verdict.reason) == (False, "PartTooLarge")
    assert max(pace.lengths) < largest + 2 * BLOCK_BYTES
