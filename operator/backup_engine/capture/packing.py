"""From pages to finished parts: what the worker thread of a capture does."""

from dataclasses import dataclass
from typing import Final

from backup_engine.archive.encryption import NO_RECIPIENTS, Recipients
from backup_engine.archive.part import KindName, Part, PartBuilder
from backup_engine.capture.discovery import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, Kind
from backup_engine.capture.listing import Page
from backup_engine.capture.split import split


@dataclass(frozen=True, slots=True)
class PackedPage:
    """What became of one page: objects kept, and the parts that they filled up."""

    objects: int
    parts: list[Part]


NOTHING_PACKED: Final = PackedPage(0, [])


class Packer:
    """Pages in, finished parts out; to be used by one thread at a time."""

    def __init__(self, recipients: Recipients = NO_RECIPIENTS) -> None:
        self.defined: list[str] = []  # ``<resource>.<group>`` of each definition packed
        self._recipients = recipients
        self._kind: Kind | None = None
        self._builder: PartBuilder | None = None

    def add(self, page: Page) -> PackedPage:
        """Pack the objects of one page; a page of another kind closes the part before it."""
        only = page.target.only
        is_namespace = page.target.kind.key == NAMESPACES
        objects = 0
        kind = page.target.kind
        parts = self.finish() if kind != self._kind else []
        if self._builder is None:
            kind_name = KindName(kind.api_version, kind.kind, kind.resource)
            self._builder = PartBuilder(kind_name, self._recipients)
            self._kind = kind
        add = self._builder.add
        for line, namespace, name, uid, resource_version in split(
            page.items, page.api_version, kind.kind
        ):
            if only is not None and (name if is_namespace else namespace) not in only:
                continue
            objects += 1
            if kind.key == CUSTOM_RESOURCE_DEFINITIONS:
                self.defined.append(name)
            part = add(line, namespace, name, uid, resource_version)
            if part is not None:
                parts.append(part)
        return PackedPage(objects, parts)

    def finish(self) -> list[Part]:
        """Close the part under way."""
        part = self._builder.finish() if self._builder is not None else None
        self._builder = None
        self._kind = None
        return [part] if part is not None else []
