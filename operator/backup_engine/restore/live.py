"""Reads what a cluster holds: kinds served, objects by LIST and GET, namespaces."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.capture.asking import RetryPolicy
from backup_engine.capture.discovery import DISCOVERY_ACCEPT, DISCOVERY_PATHS, Kind, Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.listing import Listed, PageLimits, list_pages
from backup_engine.cluster import ClusterConnection, ClusterSettingsError
from backup_engine.restore.cleaning import clean
from backup_engine.restore.errors import RestoreError, WriteRefusedError
from backup_engine.restore.identity import KubeObject
from backup_engine.restore.planning import build_content_digest
from backup_engine.restore.sending import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    Answer,
    build_object_path,
    send,
)
from backup_engine.restore.serving import RESTORABLE, ServedKinds, parse_served

LARGEST_NAMESPACE_LISTS: Final = 10  # beyond that one LIST of all namespaces is cheaper

Place = tuple[str | None, str]
"""Namespace and name of an object of a known kind."""


class ListForbiddenError(RestoreError):
    """The account may not list this kind, so what exists of it is unknown."""


@dataclass(frozen=True, slots=True)
class LiveObject:
    """What is remembered of a live object: enough to see whether it differs, not how."""

    uid: str
    resource_version: str
    digest: bytes


class LiveCluster:
    """The reading side of a cluster under restore."""

    def __init__(self, connection: ClusterConnection, retries: RetryPolicy) -> None:
        self.connection = connection
        self.retries = retries

    async def fetch_served(self, verbs: frozenset[str] = RESTORABLE) -> ServedKinds:
        """Ask which kinds the cluster serves with all of ``verbs``; raises RestoreError."""
        documents = []
        for path in DISCOVERY_PATHS:
            headers = {"Accept": DISCOVERY_ACCEPT}
            answer = await send(self.connection, "GET", path, self.retries, headers=headers)
            if answer.status != OK:
                raise RestoreError("DiscoveryRefused", f"GET {path}: {describe(answer)}")
            documents.append(answer.body)
        return parse_served(documents, verbs)

    async def list_objects(self, kind: Kind, *, has_status: bool) -> list[KubeObject]:
        """Return all objects of a kind that has few; raises ListForbiddenError, RestoreError."""
        found: list[KubeObject] = []
        async with aclosing(self.list_pages(Target(kind))) as pages:
            async for items in pages:
                found += [_decode(item, kind) for item in items]
        return found if has_status else [clean(one, kind.key) for one in found]

    async def load(
        self, kind: Kind, namespaces: Sequence[str], *, has_status: bool = False
    ) -> dict[Place, LiveObject]:
        """Return digests of all objects of ``kind`` in ``namespaces``, those being deleted apart.

        Raises ListForbiddenError, RestoreError.
        """
        found: dict[Place, LiveObject] = {}
        is_narrow = kind.is_namespaced and len(namespaces) <= LARGEST_NAMESPACE_LISTS
        targets = [Target(kind, name) for name in namespaces] if is_narrow else [Target(kind)]
        for target in targets:
            async with aclosing(self.list_pages(target)) as pages:
                async for items in pages:
                    found |= await asyncio.to_thread(_remember, items, kind, has_status)
        return found

    async def find(self, kind: Kind, namespace: str | None, name: str) -> KubeObject | None:
        """Return one object, None if there is none; raises WriteRefusedError if not allowed."""
        path = build_object_path(kind, namespace, name)
        answer = await send(self.connection, "GET", path, self.retries)
        if answer.status == NOT_FOUND:
            return None
        if answer.status != OK:
            reason = "Forbidden" if answer.status == FORBIDDEN else "UnexpectedAnswer"
            raise WriteRefusedError(answer.status, reason, describe(answer))
        found: KubeObject = msgspec.json.decode(answer.body)
        return found

    async def list_pages(self, target: Target) -> AsyncGenerator[list[msgspec.Raw], None]:
        """Yield the items of one LIST page by page; raises ListForbiddenError, RestoreError."""
        pages = list_pages(self.connection, target, PageLimits(), self.retries)
        try:
            async with aclosing(pages) as items:
                async for item in items:
                    if not isinstance(item, Listed):
                        yield item.items
        except CaptureError as trouble:
            refused = ListForbiddenError if trouble.reason == "Forbidden" else RestoreError
            raise refused(trouble.reason, trouble.message) from trouble
        except ClusterSettingsError as trouble:
            raise RestoreError("Unauthorized", str(trouble)) from trouble


def describe(answer: Answer) -> str:
    """Describe a refusal for people."""
    return f"status {answer.status}, {answer.message}"


def _decode(item: msgspec.Raw, kind: Kind) -> KubeObject:
    decoded: KubeObject = msgspec.json.decode(item)
    return {"apiVersion": kind.api_version, "kind": kind.kind} | decoded


def _remember(
    items: Sequence[msgspec.Raw], kind: Kind, has_status: bool
) -> dict[Place, LiveObject]:
    found: dict[Place, LiveObject] = {}
    for item in items:
        one = _decode(item, kind)
        metadata = one["metadata"]
        if metadata.get("deletionTimestamp") is not None:
            continue
        digest = build_content_digest(clean(one, kind.key, has_status=has_status))
        place = (metadata.get("namespace"), metadata["name"])
        found[place] = LiveObject(metadata["uid"], metadata["resourceVersion"], digest)
    return found
