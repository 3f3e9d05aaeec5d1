"""The members that every reader can read, also of an encrypted archive, as typed models.

Header, table of members, signature and seal tell ids, times, sizes and digests. Names are in the
manifest, and an encrypted archive has that encrypted, too (docs/archive-format.md).
"""

from collections.abc import Sequence
from typing import Final

from backup_engine.archive.manifest import (
    ENCODER,
    ENCRYPTION_AGE,
    ENCRYPTION_NONE,
    MANIFEST_PATH,
    THIS_FORMAT,
    Format,
    Model,
    Origin,
    Product,
    StoredMember,
)

HEADER_PATH: Final = "header.json"
TABLE_PATH: Final = "members.json"
SIGNATURE_PATH: Final = "members.json.sig"
SEAL_PATH: Final = "seal.json"
SEAL_BYTES: Final = 1024  # whole blocks, so that a reader finds it at a fixed place
ALGORITHM: Final = "Ed25519"
AGE_SUFFIX: Final = ".age"


class ClearHost(Model, frozen=True, kw_only=True):
    """The host; None as name in an encrypted archive."""

    id: int
    name: str | None


class ClearBackup(Model, frozen=True, kw_only=True):
    """The backup; None as name in an encrypted archive, and so is who asked for it."""

    id: int
    name: str | None
    type: str
    time_initiated_ms: int
    initiated_by: str | None
    host: ClearHost


class ClearCluster(Model, frozen=True, kw_only=True):
    """The cluster; None as version in an encrypted archive."""

    uid: str | None
    kubernetes_version: str | None


class Header(Model, frozen=True, kw_only=True):
    """First member: what a reader wants to know before it has the end of the file."""

    format: Format
    encryption: str
    backup: ClearBackup
    product: Product
    cluster: ClearCluster


class MemberTable(Model, frozen=True, kw_only=True):
    """Every member in front of the table, in order: all that is signed hangs on its digest.

    ``valid_at_ms`` is the time at which the signer's certificates are judged; None: not signed.
    """

    format: Format
    valid_at_ms: int | None
    members: tuple[StoredMember, ...]


class Signature(Model, frozen=True, kw_only=True):
    """Ed25519 over the stored table, in base64; certificates in PEM, the signer's own first."""

    format: Format
    algorithm: str
    certificates: tuple[str, ...]
    signature: str


class Seal(Model, frozen=True, kw_only=True):
    """Last member, padded to whole blocks: where manifest, table and signature lie.

    ``encryption`` is that of parts, indexes and manifest. None as signature: it is not signed.
    """

    format: Format
    encryption: str
    manifest: StoredMember
    members: StoredMember
    signature: StoredMember | None


def build_header(origin: Origin, encryption: str) -> Header:
    """Build the first member; of an encrypted archive it keeps ids and times, no names."""
    is_clear = encryption == ENCRYPTION_NONE
    backup, host, cluster = origin.backup, origin.backup.host, origin.cluster
    return Header(
        format=origin.format,
        encryption=encryption,
        backup=ClearBackup(
            id=backup.id,
            name=backup.name if is_clear else None,
            type=backup.type,
            time_initiated_ms=backup.time_initiated_ms,
            initiated_by=backup.initiated_by if is_clear else None,
            host=ClearHost(id=host.id, name=host.name if is_clear else None),
        ),
        product=origin.product,
        cluster=ClearCluster(
            uid=cluster.uid,
            kubernetes_version=cluster.kubernetes_version if is_clear else None,
        ),
    )


def build_seal(
    encryption: str, manifest: StoredMember, members: StoredMember, signature: StoredMember | None
) -> bytes:
    """Build the content of the seal: one JSON line, filled up with spaces to whole blocks."""
    return encode_seal(
        Seal(
            format=THIS_FORMAT,
            encryption=encryption,
            manifest=manifest,
            members=members,
            signature=signature,
        )
    )


def encode_seal(seal: Seal) -> bytes:
    """Encode a seal as it lies in the archive."""
    return ENCODER.encode(seal).ljust(SEAL_BYTES - 1) + b"\n"


def build_manifest_path(encryption: str) -> str:
    """Return the path of the manifest, which tells whether it is encrypted."""
    return MANIFEST_PATH + _suffix(encryption)


def build_part_paths(number: int, encryption: str) -> tuple[str, str]:
    """Return the paths of part and index ``number``, counted from 1."""
    name = f"{number:06d}.ndjson.zst{_suffix(encryption)}"
    return f"parts/{name}", f"index/{name}"


def build_table_paths(part_count: int, encryption: str) -> Sequence[str]:
    """Return the paths that the table of members has, in order."""
    paths = [HEADER_PATH]
    for number in range(1, part_count + 1):
        paths += build_part_paths(number, encryption)
    return [*paths, build_manifest_path(encryption)]


def _suffix(encryption: str) -> str:
    return AGE_SUFFIX if encryption == ENCRYPTION_AGE else ""
