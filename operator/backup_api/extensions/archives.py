"""What is in the archive of a backup: kinds, namespaces, objects, differences, and its bytes."""

from enum import StrEnum
from typing import Annotated, Any, Final

from backup_api.endpoints import Endpoint
from backup_api.errors import FINAL, TRANSIENT, EndpointErrors
from backup_api.extensions.paths import EXTENSION_BACKUPS
from backup_api.wire import WireRecord, known_word

TAR: Final = "application/x-tar"
YAML: Final = "application/yaml"
NO_NAMESPACE: Final = "-"
"""Stands in a path for the namespace of an object without one; no namespace can be called so."""


class ArchivedKind(WireRecord):
    """One kind that an archive has objects of."""

    api_version: str
    kind: str
    resource: str  # with its group, as kubectl takes it: deployments.apps
    objects: int
    raw_size: int  # bytes, before compression


class ArchivedNamespace(WireRecord):
    """One namespace with objects in an archive; ``is_archived``: the Namespace itself, too."""

    name: str
    objects: int
    is_archived: bool


class ArchivedObject(WireRecord):
    """One object of an archive, without its content; ``path`` is where that is, below the server.

    A None as ``namespace``: its kind has none.
    """

    api_version: str
    kind: str
    resource: str
    namespace: str | None = None
    name: str
    uid: str
    resource_version: str
    raw_size: int  # bytes
    path: str


class ChangeType(StrEnum):
    """How an object of the newer state relates to the older one."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


class ChangedField(WireRecord):
    """One field; ``path`` is a JSON pointer (RFC 6901), None: absent. Secrets stay hidden."""

    path: str
    old: Any = None
    new: Any = None


class ObjectDifference(WireRecord):
    """One object that differs; ``fields`` for CHANGED only."""

    change: Annotated[ChangeType | None, known_word(ChangeType)] = None
    api_version: str
    kind: str
    namespace: str | None = None
    name: str
    fields: tuple[ChangedField, ...] = ()


class ArchiveDifferences(WireRecord):
    """A stretch of all that differs, from an archive to the cluster or to another archive.

    The counts are of everything, whatever the ``Range``. ``not_compared`` names kinds that one
    side knows nothing of, and why.
    """

    added: int
    removed: int
    changed: int
    same: int
    not_compared: tuple[str, ...] = ()
    differences: tuple[ObjectDifference, ...] = ()


class ReadArchiveErrors(EndpointErrors):
    """Refusals of everything that looks into the archive of a backup."""

    UNKNOWN_BACKUP = 404, 1001, FINAL, "There is no backup with this id."
    UNKNOWN_OBJECT = 404, 1002, FINAL, "The archive has no such object."
    NO_ARCHIVE = 422, 1005, FINAL, "The backup has no archive of API objects."
    NOT_VALID = 422, 1006, FINAL, "The archive is not valid."
    NOT_COMPATIBLE = 422, 1007, FINAL, "The archive needs a newer program."
    LOCKED = 422, 1020, FINAL, "The archive is encrypted to keys that the engine does not hold."
    WRONG_RANGE = 416, 1021, FINAL, "The range of bytes lies outside of the archive."
    CLUSTER_SILENT = 503, 1022, TRANSIENT, "The cluster could not be read."
    UNREADABLE = 500, 1000, TRANSIENT, "The archive could not be read."


_ARCHIVE: Final = EXTENSION_BACKUPS + "/{id}"

DOWNLOAD_ARCHIVE: Final = Endpoint(
    "GET", _ARCHIVE + "/archive", 200, ReadArchiveErrors, media_type=TAR
)
LIST_KINDS: Final = Endpoint("GET", _ARCHIVE + "/kinds", 200, ReadArchiveErrors, is_list=True)
LIST_NAMESPACES: Final = Endpoint(
    "GET", _ARCHIVE + "/namespaces", 200, ReadArchiveErrors, is_list=True
)
LIST_OBJECTS: Final = Endpoint("GET", _ARCHIVE + "/objects", 200, ReadArchiveErrors)
GET_OBJECT: Final = Endpoint(
    "GET",
    _ARCHIVE + "/objects/{resource}/{namespace}/{name}",
    200,
    ReadArchiveErrors,
    alternatives=(YAML,),
)
DIFF_LIVE: Final = Endpoint("GET", _ARCHIVE + "/diff", 200, ReadArchiveErrors)
DIFF_ARCHIVES: Final = Endpoint("GET", _ARCHIVE + "/diff/{other}", 200, ReadArchiveErrors)

ARCHIVE_EXTENSION: Final = (
    DOWNLOAD_ARCHIVE,
    LIST_KINDS,
    LIST_NAMESPACES,
    LIST_OBJECTS,
    GET_OBJECT,
    DIFF_LIVE,
    DIFF_ARCHIVES,
)
"""Every endpoint of this extension."""
