"""The watches: kopf keeps them up, lists anew after a loss, and hands every object over."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import kopf

from backup_operator.resources.group import GROUP, KINDS, VERSION, Kind

KOPF_FINALIZER: Final = "kopf.backup-operator.io/never-set"
"""kopf takes its own finalizer off objects that none of its handlers blocks. Ours must differ."""

IDLE_S: Final = 0.5  # kopf keeps a task and a queue for each object that long
PAGE_LENGTH: Final = 500  # objects parsed at once
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0

logger = logging.getLogger(__name__)


class NoDifferences(kopf.DiffBaseStorage):
    """Takes no picture of an object, for nothing is compared; copies cost half of a start."""

    def build(
        self,
        *,
        body: kopf.Body,  # noqa: ARG002 - the signature is kopf's
        extra_fields: object = None,  # noqa: ARG002
    ) -> kopf.BodyEssence:
        """Return an empty picture."""
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: object) -> kopf.BodyEssence | None:
        """Find no earlier picture."""
        return None

    def store(self, **_: object) -> None:
        """Keep none."""


class NoProgress(kopf.ProgressStorage):
    """Keeps no progress, for event handlers have none."""

    def fetch(self, **_: object) -> kopf.ProgressRecord | None:
        """Find none."""
        return None

    def store(self, **_: object) -> None:
        """Keep none."""

    def purge(self, **_: object) -> None:
        """Remove none."""

    def touch(self, **_: object) -> None:
        """Change nothing to wake anybody."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """Return the picture as it is."""
        return essence


class Sink(Protocol):
    """Where the watches deliver."""

    def saw(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the state of an object that exists."""
        ...

    def saw_deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """Take the last state of an object that is gone."""
        ...


def build_registry(sink: Sink, log_in: Callable[[], Awaitable[kopf.ConnectionInfo]]) -> Any:  # noqa: ANN401 - kopf's registry
    """Build the registry of handlers: one event handler for each kind, and the login."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in_to_cluster(**_: object) -> kopf.ConnectionInfo:
        return await log_in()

    for kind in KINDS:
        _register(registry, sink, kind)
    return registry


def _register(registry: kopf.OperatorRegistry, sink: Sink, kind: Kind) -> None:
    @kopf.on.event(GROUP, VERSION, kind.plural, registry=registry, id=f"{kind.singular}-seen")
    async def object_seen(event: Mapping[str, Any], **_: object) -> None:
        body = cast("dict[str, Any]", event["object"])
        if event["type"] == "DELETED":
            sink.saw_deleted(kind, body)
        else:
            sink.saw(kind, body)


def build_settings() -> kopf.OperatorSettings:
    """Build kopf's settings: it watches, and keeps its hands off the objects."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.persistence.finalizer = KOPF_FINALIZER
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.diffbase_storage = NoDifferences()
    settings.queueing.idle_timeout = IDLE_S
    settings.watching.chunk_size = PAGE_LENGTH
    settings.watching.reconnect_backoff = 0.5
    settings.networking.request_timeout = 30.0
    return settings


class Watches:
    """kopf's watches, begun anew whenever kopf gives up, for example for want of rights."""

    def __init__(
        self,
        registry: Any,  # noqa: ANN401 - kopf's registry
        namespaces: Sequence[str],
    ) -> None:
        self._registry = registry
        self._namespaces = namespaces
        self._down_since: float | None = None
        self._has_begun = False

    @property
    def down_s(self) -> float:
        """For how many seconds there have been no watches; 0: there are."""
        since = self._down_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Watch until ``stop`` is set; ``on_ready`` is called at each beginning.

        What ends the very first watches is raised, for then nothing can be done at all. A signal
        that comes while kopf begins ends it as well, for until ``on_ready`` the signals are its.
        """
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._watch_once(stop, on_ready)
            except Exception as trouble:
                if not self._has_begun:
                    raise
                logger.warning("the watches ended and begin anew: %r", trouble)
            else:
                return
            now = asyncio.get_running_loop().time()
            self._down_since = self._down_since or now
            pause_s = FIRST_PAUSE_S if now - began > LONGEST_PAUSE_S else pause_s * 2
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause_s, LONGEST_PAUSE_S)):
                    await stop.wait()

    async def _watch_once(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        ready = asyncio.Event()
        noticing = asyncio.create_task(self._notice(ready, on_ready))
        try:
            await kopf.operator(
                registry=self._registry,
                settings=build_settings(),
                standalone=True,
                clusterwide=not self._namespaces,
                namespaces=list(self._namespaces),
                identity=cast("Any", "backup-operator"),  # else kopf asks for the user's name
                ready_flag=ready,
                stop_flag=stop,
            )
        finally:
            noticing.cancel()
            await asyncio.wait({noticing})

    async def _notice(self, ready: asyncio.Event, on_ready: Callable[[], None]) -> None:
        await ready.wait()
        self._has_begun = True
        self._down_since = None
        on_ready()
