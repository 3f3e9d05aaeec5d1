"""Reads one LIST page by page: adapts the page size, survives an expired continue token.

No LIST names a ``resourceVersion``: the server answers with its newest state (from etcd, or from a
watch cache that it has made sure is as new), so nothing that was written before the capture is
missed. ``resourceVersion=0`` would be cheaper, but may be stale, and older servers then ignore
``limit``, so that one answer would hold a whole kind.
"""

import time
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
    ServerUnavailableError,
    ask,
    parse_status,
)
from backup_engine.capture.discovery import Target
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.expiry import Progress
from backup_engine.capture.pacing import UNPACED, Pacing
from backup_engine.capture.policy import STRICT, Gap, SuccessPolicy
from backup_engine.capture.split import ListPage, parse_page
from backup_engine.cluster import ClusterConnection

PAGE_OBJECTS: Final = 500
PAGE_BYTES: Final = 8 * 1024 * 1024
# of an answer that cannot be had in smaller pieces: far beyond any object of etcd, but a server may
# ignore the limit and send a whole kind at once
LARGEST_BYTES: Final = 64 * 1024 * 1024
FORBIDDEN: Final = 403
VANISHED: Final = frozenset({404, 405})

_SHRINK: Final = 4
_GROW: Final = 2


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How much to ask for at once: objects per page, and bytes before a page is asked anew.

    ``largest_bytes`` bounds the answer to the smallest question there is: for one object.
    """

    objects: int = PAGE_OBJECTS
    bytes: int = PAGE_BYTES
    largest_bytes: int = LARGEST_BYTES


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


class _GapError(Exception):
    """This LIST ends here, and other kinds can go on."""

    def __init__(self, gap: Gap | None, reason: str, message: str) -> None:
        super().__init__(message)
        self.gap = gap  # None: no gap, for the kind itself is gone
        self.reason = reason
        self.message = message


async def list_pages(
    cluster: ClusterConnection,
    target: Target,
    limits: PageLimits,
    retries: RetryPolicy,
    policy: SuccessPolicy = STRICT,
    pacing: Pacing = UNPACED,
) -> AsyncGenerator[Page | Listed, None]:
    """Yield the pages of one LIST in the server's order, and Listed last.

    A kind that is gone or cannot be listed (404, 405) ends with a note, and so does any other
    refusal that ``policy`` tolerates; else that raises CaptureError, as does a cluster that cannot
    be reached at all. Each answer is at most ``limits.bytes`` long, single objects excepted, and
    those have a bound as well.
    """
    progress = Progress()
    limit, token = limits.objects, ""
    resource_version, is_consistent, objects = "", True, 0
    skipped: Skipped | None = None
    try:
        while True:
            try:
                begun = time.monotonic()
                answer = await _ask(cluster, target, limits, (limit, token), retries)
            except AnswerTooLargeError:
                if limit == 1:
                    raise _too_large(target, limits) from None
                limit = max(1, limit // _SHRINK)
                continue
            if answer.status == GONE and token:
                token = _go_on(answer, target, progress)
                is_consistent = False
                continue
            page = _read_page(answer, target)
            resource_version = resource_version or page.metadata.resource_version
            items = progress.sift(page.items or [])
            objects += len(items)
            if items:
                yield Page(target, page.api_version or target.kind.api_version, items)
            token = page.metadata.continue_
            if len(answer.body) * _GROW <= limits.bytes:  # small objects again: do not crawl on
                limit = min(limit * _GROW, limits.objects)
            await pacing.rest(time.monotonic() - begun)
            if not token:
                break
    except _GapError as gap:
        skipped = _judge(target, gap, objects, policy)
        is_consistent = False
    entry = _entry(target, resource_version, is_consistent, objects)
    yield Listed(target, entry if objects or skipped is None else None, skipped)


async def _ask(
    cluster: ClusterConnection,
    target: Target,
    limits: PageLimits,
    at: tuple[int, str],
    retries: RetryPolicy,
) -> Answer:
    limit, token = at
    try:
        return await ask(
            cluster,
            target.kind.path(target.namespace),
            retries,
            params=_params(target, limit, token),
            longest_bytes=limits.bytes if limit > 1 else limits.largest_bytes,
        )
    except ServerUnavailableError as trouble:
        raise _GapError(Gap.UNAVAILABLE, trouble.reason, trouble.message) from trouble


def _params(target: Target, limit: int, token: str) -> dict[str, str]:
    params = {"limit": str(limit)}
    if token:
        params["continue"] = token
    if target.field_selector is not None:
        params["fieldSelector"] = target.field_selector
    if target.label_selector is not None:
        params["labelSelector"] = target.label_selector
    return params


def _read_page(answer: Answer, target: Target) -> ListPage:
    if answer.status == OK:
        try:
            return parse_page(answer.body, _name(target))
        except CaptureError as trouble:
            raise _GapError(Gap.FAILED, trouble.reason, trouble.message) from trouble
    said = parse_status(answer.body).message
    if answer.status in VANISHED:
        message = f"discovered, but then refused with status {answer.status}: {said}"
        raise _GapError(None, "Vanished", message)
    if answer.status == FORBIDDEN:
        message = f"the engine may not list {_name(target)}: {said}; grant it the verb list there"
        raise _GapError(Gap.FORBIDDEN, "Forbidden", message)
    message = f"listing {_name(target)}: status {answer.status}, {said}"
    raise _GapError(Gap.FAILED, "UnexpectedAnswer", message)


def _go_on(answer: Answer, target: Target, progress: Progress) -> str:
    """Return the token to go on with behind the last object seen, in the newest state.

    Without one from the server the list begins anew (an empty token), and what was seen is left out
    of it; raises _GapError (ListExpired) where that cannot be told or leads nowhere.
    """
    status = parse_status(answer.body)
    if status.metadata.continue_:
        return status.metadata.continue_
    if not progress.begin_anew():
        raise _GapError(
            Gap.FAILED,
            "ListExpired",
            f"the list of {_name(target)} took longer than the server keeps its state, and it"
            f" cannot be gone on with: {status.message}",
        )
    return ""


def _too_large(target: Target, limits: PageLimits) -> _GapError:
    return _GapError(
        Gap.FAILED,
        "AnswerTooLarge",
        f"the list of {_name(target)}: more than {limits.largest_bytes} bytes in answer to limit=1;"
        " the object is larger than can be captured, or the server of this kind ignores the limit",
    )


def _judge(target: Target, gap: _GapError, objects: int, policy: SuccessPolicy) -> Skipped:
    seen = f" (after {objects} objects, which are in the archive)" if objects else ""
    skipped = Skipped(
        api_version=target.kind.api_version,
        resource=target.kind.resource,
        namespace=target.namespace,
        reason=gap.reason,
        message=gap.message + seen,
    )
    return skipped if gap.gap is None else policy.judge(gap.gap, target.kind.group, skipped)


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
