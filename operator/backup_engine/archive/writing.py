"""Writes the members of one archive in their order, and remembers where each came to lie."""

import hashlib
from collections.abc import Sequence

from backup_engine.archive.manifest import (
    CODEC_ZSTD,
    ENCRYPTION_NONE,
    HEADER_PATH,
    MANIFEST_PATH,
    SEAL_PATH,
    THIS_FORMAT,
    BackupFacts,
    ClusterIdentity,
    Header,
    ListEntry,
    Manifest,
    PackedMember,
    PartEntry,
    Product,
    Scope,
    Skipped,
    StoredMember,
    Totals,
    build_seal,
    encode_document,
)
from backup_engine.archive.part import Packed, Part
from backup_engine.archive.store import StoreWriter
from backup_engine.archive.tarform import BLOCK_BYTES, END_OF_TAR, build_member


class ArchiveWriter:
    """One archive under way: ``begin``, any number of ``add``, ``commit``.

    Works inside an entered StoreWriter, which makes the bytes visible, or not, when it is left.
    """

    def __init__(self, store: StoreWriter, header: Header) -> None:
        self._store = store
        self._header = header
        self._mtime_s = header.backup.time_initiated_ms // 1000  # no clock: same input, same bytes
        self._header_member: StoredMember | None = None
        self._parts: list[PartEntry] = []
        self.size_bytes = 0

    async def begin(self) -> None:
        """Write the header; raises StorageError."""
        self._header_member = await self._append(HEADER_PATH, encode_document(self._header))

    async def add(self, part: Part) -> None:
        """Write one part and its index; raises StorageError."""
        number = f"{len(self._parts) + 1:06d}"
        content = await self._append_packed(f"parts/{number}.ndjson.zst", part.content)
        index = await self._append_packed(f"index/{number}.ndjson.zst", part.index)
        self._parts.append(build_part_entry(part, content, index))

    async def commit(
        self, scope: Scope, lists: Sequence[ListEntry], skipped: Sequence[Skipped]
    ) -> Manifest:
        """Write the manifest and the seal that ends the archive; return the manifest."""
        assert self._header_member is not None
        manifest = build_manifest(
            self._header, self._header_member, scope, self._parts, lists, skipped
        )
        member = await self._append(MANIFEST_PATH, encode_document(manifest))
        await self._append(SEAL_PATH, build_seal(member))
        await self._store.write(END_OF_TAR)
        self.size_bytes += len(END_OF_TAR)
        return manifest

    async def _append(self, path: str, content: bytes) -> StoredMember:
        digest = hashlib.sha256(content).hexdigest()
        return await self._write(path, content, digest)

    async def _append_packed(self, path: str, packed: Packed) -> PackedMember:
        stored = await self._write(path, packed.stored, packed.sha256)
        return PackedMember(
            path=stored.path,
            offset=stored.offset,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
            raw_bytes=packed.raw_bytes,
            codec=CODEC_ZSTD,
            encryption=ENCRYPTION_NONE,
        )

    async def _write(self, path: str, content: bytes, digest: str) -> StoredMember:
        member = build_member(path, content, self._mtime_s)
        await self._store.write(member)
        offset = self.size_bytes + BLOCK_BYTES
        self.size_bytes += len(member)
        return StoredMember(path=path, offset=offset, size_bytes=len(content), sha256=digest)


def build_header(backup: BackupFacts, product: Product, cluster: ClusterIdentity) -> Header:
    """Build the first member."""
    return Header(format=THIS_FORMAT, backup=backup, product=product, cluster=cluster)


def build_part_entry(part: Part, content: PackedMember, index: PackedMember) -> PartEntry:
    """Build the manifest's entry of one stored part."""
    return PartEntry(
        path=content.path,
        offset=content.offset,
        size_bytes=content.size_bytes,
        sha256=content.sha256,
        raw_bytes=content.raw_bytes,
        codec=content.codec,
        encryption=content.encryption,
        api_version=part.kind.api_version,
        kind=part.kind.kind,
        resource=part.kind.resource,
        objects=part.objects,
        index=index,
    )


def build_manifest(
    header: Header,
    header_member: StoredMember,
    scope: Scope,
    parts: Sequence[PartEntry],
    lists: Sequence[ListEntry],
    skipped: Sequence[Skipped],
) -> Manifest:
    """Build the manifest of finished parts; ``kinds`` counts the kinds that have objects."""
    return Manifest(
        format=header.format,
        backup=header.backup,
        product=header.product,
        cluster=header.cluster,
        scope=scope,
        header=header_member,
        parts=tuple(parts),
        lists=tuple(lists),
        skipped=tuple(skipped),
        totals=build_totals(parts),
    )


def build_totals(parts: Sequence[PartEntry]) -> Totals:
    """Sum up the parts."""
    return Totals(
        objects=sum(part.objects for part in parts),
        kinds=len({(part.api_version, part.resource) for part in parts}),
        parts=len(parts),
        raw_bytes=sum(part.raw_bytes for part in parts),
        stored_bytes=sum(part.size_bytes + part.index.size_bytes for part in parts),
    )
