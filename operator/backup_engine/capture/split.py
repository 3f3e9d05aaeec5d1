"""Cuts one LIST page into objects without decoding them. CPU only.

An object's bytes stay those of the server. A typed list leaves out ``apiVersion`` and ``kind`` of
its items; they are put back in front, again without touching the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from backup_engine.capture.errors import CaptureError

_LINE_FEED: Final = b"\n"


class ListMetadata(msgspec.Struct, rename="camel"):
    """What a page says of its list; a non-empty ``continue_`` asks for the next page."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class ListPage(msgspec.Struct, rename="camel"):
    """One page: its items are views into the answer's bytes."""

    metadata: ListMetadata
    api_version: str = ""
    items: list[msgspec.Raw] | None = None


class _ItemMetadata(msgspec.Struct, rename="camel", gc=False):
    name: str
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""


class _Item(msgspec.Struct, rename="camel", gc=False):
    metadata: _ItemMetadata
    api_version: str | None = None
    kind: str | None = None


class SplitObject(NamedTuple):
    """One object: its JSON on one line without line feed, and how the cluster knows it."""

    line: bytes
    namespace: str | None
    name: str
    uid: str
    resource_version: str


_PAGE_DECODER = msgspec.json.Decoder(ListPage)
_ITEM_DECODER = msgspec.json.Decoder(_Item)


def parse_page(body: bytes, what: str) -> ListPage:
    """Read one page; raises CaptureError (UnreadableAnswer) naming ``what`` was listed."""
    try:
        return _PAGE_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise CaptureError("UnreadableAnswer", f"the list of {what}: {trouble}") from trouble


def split(items: Sequence[msgspec.Raw], api_version: str, kind: str) -> Iterator[SplitObject]:
    """Yield the objects of a page in its order.

    ``api_version`` and ``kind`` are for items that do not tell their own. Raises CaptureError
    (UnreadableAnswer) for an item that is no Kubernetes object.
    """
    head = _build_head(api_version, kind)
    decode = _ITEM_DECODER.decode
    for item in items:
        try:
            seen = decode(item)
        except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
            raise CaptureError("UnreadableAnswer", f"an item of {kind}: {trouble}") from trouble
        line = bytes(item)
        if _LINE_FEED in line:  # a server that indents; a line feed inside a string is escaped
            line = msgspec.json.format(line, indent=-1)
        if seen.api_version is None or seen.kind is None:
            if seen.api_version is not None:
                line = _build_head(None, kind) + line[1:]
            elif seen.kind is not None:
                line = _build_head(api_version, None) + line[1:]
            else:
                line = head + line[1:]
        about = seen.metadata
        yield SplitObject(line, about.namespace, about.name, about.uid, about.resource_version)


def read_key(item: msgspec.Raw) -> bytes:
    """Return ``<namespace>/<name>``, or the name alone: what an API server sorts a list by.

    Raises CaptureError (UnreadableAnswer) for an item that is no Kubernetes object.
    """
    try:
        about = _ITEM_DECODER.decode(item).metadata
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise CaptureError("UnreadableAnswer", f"an item of a list: {trouble}") from trouble
    place = f"{about.namespace}/{about.name}" if about.namespace is not None else about.name
    return place.encode()


def _build_head(api_version: str | None, kind: str | None) -> bytes:
    """Build the beginning of an object, up to the comma behind the members named here.

    An item always has metadata, so something follows the comma.
    """
    given = {"apiVersion": api_version, "kind": kind}
    encoded = msgspec.json.encode({name: value for name, value in given.items() if value})
    return encoded[:-1] + b","
