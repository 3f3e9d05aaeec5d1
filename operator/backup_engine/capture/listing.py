"""Reads one LIST page by page: adapts the page size, survives an expired continue token."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

import msgspec

from backup_engine.archive.manifest import ListEntry, Skipped
from backup_engine.capture.asking import (
    GONE,
    OK,
    Answer,
    AnswerTooLargeError,
    RetryPolicy,
    ask,
    parse_status,
)
from backup_engine.capture.discovery import Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.split import parse_page
from backup_engine.cluster import ClusterConnection

PAGE_OBJECTS: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024
FORBIDDEN: Final = 403
VANISHED: Final = frozenset({404, 405})

_SHRINK: Final = 4
_GROW: Final = 2


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How much to ask for at once: objects per page, and bytes before a page is asked anew."""

    objects: int = PAGE_OBJECTS
    bytes: int = PAGE_BYTES


@dataclass(frozen=True, slots=True)
class Page:
    """Objects of one target, undecoded; ``api_version`` is what the list says they have."""

    target: Target
    api_version: str
    items: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Listed:
    """The end of one target: its entry for the manifest, or why there is none (or not all)."""

    target: Target
    entry: ListEntry | None
    skipped: Skipped | None


async def list_pages(
    cluster: ClusterConnection, target: Target, limits: PageLimits, retries: RetryPolicy
) -> AsyncGenerator[Page | Listed, None]:
    """Yield the pages of one LIST in the server's order, and Listed last.

    A kind that is gone or cannot be listed (404, 405) ends with a note; any other refusal raises
    CaptureError. Each answer is at most ``limits.bytes`` long, single objects excepted.
    """
    kind = target.kind
    limit, token = limits.objects, ""
    resource_version, is_consistent, objects = "", True, 0
    while True:
        try:
            answer = await ask(
                cluster,
                kind.path(target.namespace),
                retries,
                params=_params(target, limit, token),
                longest_bytes=limits.bytes if limit > 1 else None,
            )
        except AnswerTooLargeError:
            limit = max(1, limit // _SHRINK)
            continue
        if answer.status == GONE and token:
            token = _fresh_token(answer, target)
            is_consistent = False
            continue
        if answer.status in VANISHED:
            entry = _entry(target, resource_version, False, objects) if objects else None
            yield Listed(target, entry, _vanished(target, answer, objects))
            return
        if answer.status != OK:
            raise _refusal(target, answer)
        page = parse_page(answer.body, _name(target))
        resource_version = resource_version or page.metadata.resource_version
        items = page.items or []
        objects += len(items)
        if items:
            yield Page(target, page.api_version or kind.api_version, items)
        token = page.metadata.continue_
        if len(answer.body) * _GROW <= limits.bytes:  # small objects again: do not crawl on
            limit = min(limit * _GROW, limits.objects)
        if not token:
            yield Listed(target, _entry(target, resource_version, is_consistent, objects), None)
            return


def _params(target: Target, limit: int, token: str) -> dict[str, str]:
    params = {"limit": str(limit)}
    if token:
        params["continue"] = token
    if target.field_selector is not None:
        params["fieldSelector"] = target.field_selector
    return params


def _fresh_token(answer: Answer, target: Target) -> str:
    """Return the token that goes on behind the last object seen, in the newest state.

    Raises CaptureError (ListExpired) if the server gave none: to begin anew would double objects.
    """
    status = parse_status(answer.body)
    if not status.metadata.continue_:
        raise CaptureError(
            "ListExpired",
            f"the list of {_name(target)} took longer than the server keeps its state, and the"
            f" server gave no token to go on with: {status.message}",
        )
    return status.metadata.continue_


def _refusal(target: Target, answer: Answer) -> CaptureError:
    said = parse_status(answer.body).message
    if answer.status == FORBIDDEN:
        return CaptureError(
            "Forbidden",
            f"the engine may not list {_name(target)}: {said}; grant it the verb list there",
        )
    return CaptureError(
        "UnexpectedAnswer", f"listing {_name(target)}: status {answer.status}, {said}"
    )


def _vanished(target: Target, answer: Answer, objects: int) -> Skipped:
    said = parse_status(answer.body).message
    seen = f" after {objects} objects" if objects else ""
    return Skipped(
        api_version=target.kind.api_version,
        resource=target.kind.resource,
        namespace=target.namespace,
        reason="Vanished",
        message=f"discovered, but then refused with status {answer.status}{seen}: {said}",
    )


def _entry(target: Target, resource_version: str, is_consistent: bool, objects: int) -> ListEntry:
    kind = target.kind
    return ListEntry(
        api_version=kind.api_version,
        kind=kind.kind,
        resource=kind.resource,
        namespace=target.namespace,
        resource_version=resource_version,
        is_consistent=is_consistent,
        objects=objects,
    )


def _name(target: Target) -> str:
    place = f" in namespace {target.namespace}" if target.namespace is not None else ""
    return f"{target.kind.resource} of {target.kind.api_version}{place}"
