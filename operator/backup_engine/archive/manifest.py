"""The manifest of an archive and the lines of its indexes as typed models.

docs/archive-format.md specifies each member. Names are camelCase like Kubernetes' own; keys are
sorted, so that the same content gives the same bytes. Reading tolerates what it does not know: a
newer minor version may add members.
"""

from typing import Annotated, Final, TypeVar

import msgspec

from backup_engine.archive.errors import ArchiveDamagedError, ArchiveFormatError

FORMAT_NAME: Final = "backup-operator.config-archive"
FORMAT_MAJOR: Final = 1
FORMAT_MINOR: Final = 1
PRODUCT_NAME: Final = "backup-operator"

CODEC_ZSTD: Final = "zstd"
ENCRYPTION_NONE: Final = "none"
ENCRYPTION_AGE: Final = "age"

MANIFEST_PATH: Final = "manifest.json"
Count = Annotated[int, msgspec.Meta(ge=0)]


class Model(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Base of everything stored as JSON in an archive."""


class Format(Model, frozen=True, kw_only=True):
    """Name and version of the form; a reader refuses a major version it does not know."""

    name: str  # no defaults here: a lost member must be noticed
    major: int
    minor: int


THIS_FORMAT: Final = Format(name=FORMAT_NAME, major=FORMAT_MAJOR, minor=FORMAT_MINOR)


class Host(Model, frozen=True, kw_only=True):
    """The host whose scope was captured (spec §6); ``name`` is its host name."""

    id: int
    name: str


class BackupFacts(Model, frozen=True, kw_only=True):
    """Which backup the archive is the result of; times in epoch ms, None initiator: not known."""

    id: int
    name: str
    type: str
    time_initiated_ms: int
    initiated_by: str | None
    host: Host


class Product(Model, frozen=True, kw_only=True):
    """The program that wrote the archive."""

    name: str
    version: str


class ClusterIdentity(Model, frozen=True, kw_only=True):
    """Which cluster it was.

    ``uid`` is that of namespace kube-system, the usual stand-in for a cluster's identity; None if
    the engine's account may not read that namespace. ``kubernetes_version`` is the git version.
    """

    uid: str | None
    kubernetes_version: str


class Origin(Model, frozen=True, kw_only=True):
    """Where an archive is from; the header tells it, too, unless the archive is encrypted."""

    format: Format
    backup: BackupFacts
    product: Product
    cluster: ClusterIdentity


class StoredMember(Model, frozen=True, kw_only=True):
    """A member's place and digest as stored, i.e. of the compressed (and encrypted) bytes."""

    path: str
    offset: Count  # of the content, in the tar file, in bytes
    size_bytes: Count
    sha256: str


class PackedMember(StoredMember, frozen=True, kw_only=True):
    """A member with a codec; ``raw_bytes`` is its size once unpacked."""

    raw_bytes: Count
    codec: str
    encryption: str


class PartEntry(PackedMember, frozen=True, kw_only=True):
    """A part: objects of one kind, one a line, and the index that names them."""

    api_version: str
    kind: str
    resource: str
    objects: int
    index: PackedMember


class ListEntry(Model, frozen=True, kw_only=True):
    """One LIST: None as namespace means all of them (or a cluster-scoped kind).

    Not consistent: the list's continue token expired half-way, so that later objects are from a
    newer state than ``resource_version`` tells; none is lost or doubled.
    """

    api_version: str
    kind: str
    resource: str
    namespace: str | None
    resource_version: str
    is_consistent: bool
    objects: int

    @property
    def key(self) -> tuple[str, str]:
        """Group and resource."""
        return build_kind_key(self.api_version, self.resource)


class Skipped(Model, frozen=True, kw_only=True):
    """What is not in the archive, and why; resource ``*`` stands for a whole group version."""

    api_version: str
    resource: str
    namespace: str | None
    reason: str
    message: str

    @property
    def key(self) -> tuple[str, str]:
        """Group and resource."""
        return build_kind_key(self.api_version, self.resource)


class Scope(Model, frozen=True, kw_only=True):
    """What was asked for; ``namespaces`` as they were found, None: every one.

    Globs and label selectors (as text) as the host's settings have them. All but ``namespaces`` is
    new in format 1.1.
    """

    namespaces: tuple[str, ...] | None
    include_namespaces: tuple[str, ...] = ()
    exclude_namespaces: tuple[str, ...] = ()
    namespace_selector: str = ""
    include_kinds: tuple[str, ...] = ()
    exclude_kinds: tuple[str, ...] = ()
    object_selector: str = ""
    has_cluster_scoped: bool = True
    has_default_excludes: bool = True


class Policy(Model, frozen=True, kw_only=True):
    """The gaps that a capture was allowed: globs of kinds, by gap; new in format 1.1."""

    tolerate_forbidden: tuple[str, ...] = ()
    tolerate_unavailable: tuple[str, ...] = ()
    tolerate_failed: tuple[str, ...] = ()


NO_GAPS: Final = Policy()


class Totals(Model, frozen=True, kw_only=True):
    """Sums over all parts."""

    objects: int
    kinds: int
    parts: int
    raw_bytes: int
    stored_bytes: int


class Manifest(Model, frozen=True, kw_only=True):
    """The table of contents, written once all parts are in place."""

    format: Format
    backup: BackupFacts
    product: Product
    cluster: ClusterIdentity
    scope: Scope
    policy: Policy = NO_GAPS
    header: StoredMember
    parts: tuple[PartEntry, ...]
    lists: tuple[ListEntry, ...]
    skipped: tuple[Skipped, ...]
    totals: Totals


class IndexEntry(Model, frozen=True, kw_only=True, gc=False):
    """One object of a part; offset and length in the unpacked part, length without line feed."""

    api_version: str
    kind: str
    length: Count
    name: str
    namespace: str | None
    offset: Count
    resource: str
    resource_version: str
    sha256: str
    uid: str


class _Versioned(msgspec.Struct):
    """The one thing to be read from a document of unknown version."""

    format: Format


ENCODER: Final = msgspec.json.Encoder(order="sorted")
ModelT = TypeVar("ModelT", bound=Model)
DocumentT = TypeVar("DocumentT", bound=msgspec.Struct)


def build_kind_key(api_version: str, resource: str) -> tuple[str, str]:
    """Build group and resource, which are the same in every version; the core group is ``""``."""
    return api_version.rpartition("/")[0], resource


def encode_document(model: Model) -> bytes:
    """Encode a JSON member: sorted keys, indented for people, one line feed at the end."""
    return msgspec.json.format(ENCODER.encode(model), indent=1) + b"\n"


def parse_document(content: bytes, model: type[ModelT], path: str) -> ModelT:
    """Read a JSON member.

    Raises ArchiveFormatError for another format or newer major version, ArchiveDamagedError where
    it is no JSON (reason ManifestUnreadable) or lacks members (ManifestIncomplete), spec §3.0.
    """
    declared = _decode(content, _Versioned, path).format
    if declared.name != FORMAT_NAME or declared.major != FORMAT_MAJOR:
        raise ArchiveFormatError(
            "FormatUnknown",
            f"{path} declares format {declared.name!r} version {declared.major}.{declared.minor};"
            f" this program reads {FORMAT_NAME!r} version {FORMAT_MAJOR}.x only",
        )
    return _decode(content, model, path)


def _decode(content: bytes, model: type[DocumentT], path: str) -> DocumentT:
    try:
        return msgspec.json.decode(content, type=model)
    except msgspec.ValidationError as lack:
        raise ArchiveDamagedError("ManifestIncomplete", f"{path}: {lack}") from lack
    except (msgspec.DecodeError, UnicodeDecodeError) as garbage:
        raise ArchiveDamagedError(
            "ManifestUnreadable", f"{path} is not JSON: {garbage}"
        ) from garbage


def ensure_readable(member: PackedMember) -> None:
    """Raise ArchiveFormatError unless this version can unpack ``member``."""
    if member.codec != CODEC_ZSTD:
        raise ArchiveFormatError(
            "CodecUnknown",
            f"{member.path} is packed with codec {member.codec!r}; this program reads"
            f" {CODEC_ZSTD!r} only, use a newer version",
        )
    ensure_known_encryption(member.encryption, member.path)


def ensure_known_encryption(encryption: str, path: str) -> None:
    """Raise ArchiveFormatError unless this version knows how ``path`` is encrypted."""
    if encryption not in {ENCRYPTION_NONE, ENCRYPTION_AGE}:
        raise ArchiveFormatError(
            "EncryptionUnknown",
            f"{path} is encrypted with {encryption!r}; this program reads {ENCRYPTION_AGE!r} only,"
            " use a newer version",
        )
