"""Makes a copy of an archive for other keys: other recipients, another signature."""

import asyncio

from backup_engine.archive.encryption import Identities
from backup_engine.archive.errors import ArchiveDamagedError
from backup_engine.archive.manifest import THIS_FORMAT, Manifest, Origin, PackedMember, PartEntry
from backup_engine.archive.part import KindName, Packed, Part, pack
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.trust import Trust
from backup_engine.archive.verifying import verify_archive
from backup_engine.archive.writing import ArchiveWriter


async def rewrap(
    source: tuple[ArchiveStore, str],
    target: tuple[ArchiveStore, str],
    protection: Protection,
    *,
    trust: Trust | None = None,
    identities: Identities,
) -> Manifest:
    """Copy an archive into a new one that is protected anew; return the copy's manifest.

    Objects, compression and manifest stay as they are; nothing is compressed again. The source is
    verified first, for a new signature must not vouch for a damaged or forged archive. Raises
    ArchiveError; then there is no copy. Holds one part in memory.
    """
    await _ensure_sound(*source, trust, identities)
    store, name = source
    reader = await ArchiveReader.open(store.reader(name), trust=trust, identities=identities)
    manifest = reader.manifest
    origin = Origin(
        format=THIS_FORMAT,  # written by this version, whatever wrote the original
        backup=manifest.backup,
        product=manifest.product,
        cluster=manifest.cluster,
    )
    target_store, target_name = target
    await target_store.ensure_no_leftovers()
    async with target_store.writer(target_name) as place:
        archive = ArchiveWriter(place, origin, protection)
        await archive.begin()
        for entry in manifest.parts:
            await archive.add(await _repack(reader, entry, protection))
        return await archive.commit(
            manifest.scope, manifest.lists, manifest.skipped, manifest.policy
        )


async def _ensure_sound(
    store: ArchiveStore, name: str, trust: Trust | None, identities: Identities
) -> None:
    await ArchiveReader.open(store.reader(name), trust=trust, identities=identities)
    verdict = await verify_archive(store, name, trust=trust, identities=identities)
    if not verdict.is_valid:
        raise ArchiveDamagedError(verdict.reason, verdict.message)


async def _repack(reader: ArchiveReader, entry: PartEntry, protection: Protection) -> Part:
    async def repack(member: PackedMember) -> Packed:
        frame = await reader.read_frame(member)
        return await asyncio.to_thread(pack, frame, member.raw_bytes, protection.recipients)

    return Part(
        KindName(entry.api_version, entry.kind, entry.resource),
        entry.objects,
        await repack(entry),
        await repack(entry.index),
    )
