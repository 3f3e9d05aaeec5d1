"""Calls that look into archives; of an in-cluster engine only."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from pydantic import TypeAdapter

from backup_api.calls.calling import PAGE_LENGTH, Calls
from backup_api.exceptions import LostAnswerError, NotSentError
from backup_api.extensions.archives import (
    DIFF_ARCHIVES,
    DIFF_LIVE,
    DOWNLOAD_ARCHIVE,
    GET_OBJECT,
    LIST_KINDS,
    LIST_NAMESPACES,
    LIST_OBJECTS,
    NO_NAMESPACE,
    ArchiveDifferences,
    ArchivedKind,
    ArchivedNamespace,
    ArchivedObject,
)
from backup_api.paging import ItemRange, Page, parse_total

_KINDS: Final = TypeAdapter(tuple[ArchivedKind, ...])
_NAMESPACES: Final = TypeAdapter(tuple[ArchivedNamespace, ...])
_OBJECTS: Final = TypeAdapter(tuple[ArchivedObject, ...])
_OBJECT: Final = TypeAdapter(dict[str, Any])
_DIFFERENCES: Final = TypeAdapter(ArchiveDifferences)


class ArchiveCalls(Calls):
    """Browse, compare and download the archives of CONFIG backups."""

    async def list_archived_kinds(self, backup_id: int) -> tuple[ArchivedKind, ...]:
        """List the kinds of an archive in the order of restore."""
        return await self._get(LIST_KINDS, _KINDS, ids={"id": backup_id})

    async def list_archived_namespaces(self, backup_id: int) -> tuple[ArchivedNamespace, ...]:
        """List the namespaces of an archive by name."""
        return await self._get(LIST_NAMESPACES, _NAMESPACES, ids={"id": backup_id})

    async def list_archived_objects_page(
        self,
        backup_id: int,
        items: ItemRange,
        *,
        kind: str | None = None,
        namespace: str | None = None,
        name: str | None = None,
    ) -> Page[ArchivedObject]:
        """List one stretch of the objects that match; ``namespace`` and ``name`` are globs."""
        answer = await self._exchange.send(
            LIST_OBJECTS,
            ids={"id": backup_id},
            query=_choice(kind, namespace, name),
            headers={"Range": str(items)},
        )
        total = parse_total(answer.headers.get("Content-Range"))
        return Page(answer.parsed(_OBJECTS), items.first, total)

    async def list_archived_objects(
        self,
        backup_id: int,
        *,
        kind: str | None = None,
        namespace: str | None = None,
        name: str | None = None,
        page_length: int = PAGE_LENGTH,
    ) -> AsyncIterator[ArchivedObject]:
        """List all objects that match, one page in memory at a time."""
        first = 0
        while True:
            page = await self.list_archived_objects_page(
                backup_id,
                ItemRange(first, first + page_length - 1),
                kind=kind,
                namespace=namespace,
                name=name,
            )
            for each in page.records:
                yield each
            first += page_length
            if len(page.records) < page_length:
                return

    async def get_archived_object(
        self, backup_id: int, resource: str, namespace: str | None, name: str
    ) -> dict[str, Any]:
        """Get one object as captured; a Secret needs the right ``get secrets`` of the engine."""
        ids: dict[str, int | str] = {
            "id": backup_id,
            "resource": resource,
            "namespace": namespace if namespace is not None else NO_NAMESPACE,
            "name": name,
        }
        return await self._get(GET_OBJECT, _OBJECT, ids=ids)

    async def diff_archive(
        self,
        backup_id: int,
        other_id: int | None = None,
        *,
        items: ItemRange | None = None,
        kind: str | None = None,
        namespace: str | None = None,
        name: str | None = None,
    ) -> ArchiveDifferences:
        """Tell what changed since the backup: in the cluster, or up to another backup."""
        ids = {"id": backup_id} if other_id is None else {"id": backup_id, "other": other_id}
        answer = await self._exchange.send(
            DIFF_LIVE if other_id is None else DIFF_ARCHIVES,
            ids=ids,
            query=_choice(kind, namespace, name),
            headers={"Range": str(items)} if items is not None else None,
        )
        return answer.parsed(_DIFFERENCES)

    async def download_archive(
        self, backup_id: int, *, first_byte: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an archive from ``first_byte`` on, piece by piece.

        A connection that breaks is resumed where it broke, as often as a GET is repeated.
        """
        attempts = self._exchange.options.retry.attempts
        failed = 0
        while True:
            headers = {"Range": f"bytes={first_byte}-"} if first_byte else {}
            pieces = self._exchange.stream(DOWNLOAD_ARCHIVE, ids={"id": backup_id}, headers=headers)
            try:
                async for piece in pieces:
                    first_byte += len(piece)
                    failed = 0
                    yield piece
            except (LostAnswerError, NotSentError):
                failed += 1
                if failed >= attempts:
                    raise
                await self._exchange.pause(failed)
            else:
                return


def _choice(kind: str | None, namespace: str | None, name: str | None) -> dict[str, str]:
    given = {"kind": kind, "namespace": namespace, "name": name}
    return {key: value for key, value in given.items() if value is not None}
