"""Writes the members of one archive in their order, and remembers where each came to lie."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from backup_engine.archive.envelope import (
    HEADER_PATH,
    SEAL_PATH,
    SIGNATURE_PATH,
    TABLE_PATH,
    MemberTable,
    build_header,
    build_manifest_path,
    build_part_paths,
    build_seal,
)
from backup_engine.archive.manifest import (
    CODEC_ZSTD,
    NO_GAPS,
    THIS_FORMAT,
    BackupFacts,
    ClusterIdentity,
    ListEntry,
    Manifest,
    Origin,
    PackedMember,
    PartEntry,
    Policy,
    Product,
    Scope,
    Skipped,
    StoredMember,
    Totals,
    encode_document,
)
from backup_engine.archive.part import Packed, Part
from backup_engine.archive.protection import UNPROTECTED, Protection
from backup_engine.archive.tarform import BLOCK_BYTES, END_OF_TAR, build_member


class Place(Protocol):
    """Where the bytes of an archive go; somebody else makes them visible, or not."""

    async def write(self, content: bytes) -> None:
        """Append ``content``; raises StorageError."""


class ArchiveWriter:
    """One archive under way: ``begin`` or ``resume``, any number of ``add``, ``commit``."""

    def __init__(self, place: Place, origin: Origin, protection: Protection = UNPROTECTED) -> None:
        self._place = place
        self._origin = origin
        self._recipients = protection.recipients
        self._signer = protection.signer
        self._valid_at_ms: int | None = None
        # no clock: same input, same bytes
        self._mtime_s = origin.backup.time_initiated_ms // 1000
        self._header: StoredMember | None = None
        self._parts: list[PartEntry] = []
        self.size_bytes = 0

    async def begin(self) -> None:
        """Write the header; raises StorageError, and SigningError for a signer past its end."""
        self._choose_time()
        self._header = await self._append(HEADER_PATH, self._encode_header())

    def resume(self, parts: Sequence[PartEntry], size_bytes: int) -> None:
        """Go on behind what another process began; raises SigningError as ``begin`` does.

        The place holds ``size_bytes``: the header of this very archive, then ``parts``.
        """
        self._choose_time()
        content = self._encode_header()
        self._header = StoredMember(
            path=HEADER_PATH,
            offset=BLOCK_BYTES,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._parts = list(parts)
        self.size_bytes = size_bytes

    async def add(self, part: Part) -> PartEntry:
        """Write one part and its index, packed for this archive; raises StorageError.

        Raises ValueError for one that is packed for another: what is clear must not slip in.
        """
        encryption = self._recipients.encryption
        if {part.content.encryption, part.index.encryption} != {encryption}:
            raise ValueError(f"part of {part.kind.kind}: expected encryption {encryption!r}")
        paths = build_part_paths(len(self._parts) + 1, encryption)
        content = await self._append_packed(paths[0], part.content)
        index = await self._append_packed(paths[1], part.index)
        entry = build_part_entry(part, content, index)
        self._parts.append(entry)
        return entry

    async def commit(
        self,
        scope: Scope,
        lists: Sequence[ListEntry],
        skipped: Sequence[Skipped],
        policy: Policy = NO_GAPS,
    ) -> Manifest:
        """Write what ends the archive, from the manifest to the seal; return the manifest."""
        assert self._header is not None
        account = Account(scope, policy, tuple(lists), tuple(skipped))
        manifest = build_manifest(self._origin, self._header, account, self._parts)
        stored = await asyncio.to_thread(self._encode_manifest, manifest)
        encryption = self._recipients.encryption
        place = await self._append(build_manifest_path(encryption), stored)
        content = encode_document(build_table(manifest, place, self._valid_at_ms))
        table = await self._append(TABLE_PATH, content)
        signature = None
        if self._signer is not None:
            signature = await self._append(SIGNATURE_PATH, self._signer.sign(content))
        await self._append(SEAL_PATH, build_seal(encryption, place, table, signature))
        await self._place.write(END_OF_TAR)
        self.size_bytes += len(END_OF_TAR)
        return manifest

    def _choose_time(self) -> None:
        if self._signer is not None:
            initiated_ms = self._origin.backup.time_initiated_ms
            self._valid_at_ms = self._signer.choose_time_ms(initiated_ms)

    def _encode_header(self) -> bytes:
        return encode_document(build_header(self._origin, self._recipients.encryption))

    def _encode_manifest(self, manifest: Manifest) -> bytes:
        return self._recipients.encrypt(encode_document(manifest))

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
            encryption=packed.encryption,
        )

    async def _write(self, path: str, content: bytes, digest: str) -> StoredMember:
        member = build_member(path, content, self._mtime_s)
        await self._place.write(member)
        offset = self.size_bytes + BLOCK_BYTES
        self.size_bytes += len(member)
        return StoredMember(path=path, offset=offset, size_bytes=len(content), sha256=digest)


def build_origin(backup: BackupFacts, product: Product, cluster: ClusterIdentity) -> Origin:
    """Build the origin of a new archive, in this version of the format."""
    return Origin(format=THIS_FORMAT, backup=backup, product=product, cluster=cluster)


def build_table(manifest: Manifest, place: StoredMember, valid_at_ms: int | None) -> MemberTable:
    """Build the table of all members up to the manifest, which lies at ``place``."""
    members = [manifest.header]
    for part in manifest.parts:
        members += [part, part.index]
    return MemberTable(
        format=manifest.format,
        valid_at_ms=valid_at_ms,
        members=tuple(build_place(member) for member in [*members, place]),
    )


def build_place(member: StoredMember) -> StoredMember:
    """Return path, offset, size and digest alone, which is all that a clear member may tell."""
    return StoredMember(
        path=member.path,
        offset=member.offset,
        size_bytes=member.size_bytes,
        sha256=member.sha256,
    )


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


@dataclass(frozen=True, slots=True)
class Account:
    """What a capture was to do and what came of it, beside the parts."""

    scope: Scope
    policy: Policy
    lists: tuple[ListEntry, ...]
    skipped: tuple[Skipped, ...]


def build_manifest(
    origin: Origin, header: StoredMember, account: Account, parts: Sequence[PartEntry]
) -> Manifest:
    """Build the manifest of finished parts; ``kinds`` counts the kinds that have objects."""
    return Manifest(
        format=origin.format,
        backup=origin.backup,
        product=origin.product,
        cluster=origin.cluster,
        scope=account.scope,
        policy=account.policy,
        header=header,
        parts=tuple(parts),
        lists=account.lists,
        skipped=account.skipped,
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
