"""The link to one engine: its client, whether it can be used, and what it said of itself."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from backup_api.about import SystemAbout
from backup_api.backups import LEAVING, RUNNING
from backup_api.client import BackupApiClient
from backup_api.exceptions import BackupApiError
from backup_api.exchange import NoWatch, RequestWatch
from backup_api.filters import status_in
from backup_api.hosts import HostRecord
from backup_api.paging import ItemRange
from backup_api.versions import choose_version
from backup_operator.decisions.circuit import (
    FIRST_PAUSE_S,
    CircuitState,
    after_answer,
    after_failure,
    try_once,
)
from backup_operator.decisions.engine_status import EngineFacts
from backup_operator.decisions.engine_trouble import (
    explain_trouble,
    is_silence,
    needs_new_access,
)
from backup_operator.decisions.facts import EngineSeen, Trouble
from backup_operator.engines.access import EngineAccess, SecretSource, read_access
from backup_operator.engines.lending import ClientLending
from backup_operator.errors import AccessError
from backup_operator.resources.backup_status import EngineIdentity
from backup_operator.resources.engine import BackupEngineResource, BackupEngineSpec, Circuit

HEARTBEAT_S: Final = 60.0
HOSTS_EVERY: Final = 5  # heartbeats
UNFINISHED: Final = status_in(RUNNING | LEAVING)

logger = logging.getLogger(__name__)

RequestWatchFor = Callable[[str], RequestWatch]
"""Builds what watches the requests to the engine of this name."""


def watch_nothing(_: str) -> RequestWatch:
    """Watch no requests."""
    return NoWatch()


class EngineUnusableError(Exception):
    """No request may go to the engine now."""


class EngineLink:
    """One BackupEngine: connects, notices silence and rotated Secrets, and lends its client.

    ``on_change`` is called whenever it becomes usable or unusable, or says something new of
    itself.
    """

    def __init__(
        self,
        resource: BackupEngineResource,
        secrets: SecretSource,
        on_change: Callable[[], None],
        request_watch: RequestWatchFor = watch_nothing,
    ) -> None:
        self._resource = resource
        self._secrets = secrets
        self._on_change = on_change
        self._request_watch = request_watch(resource.metadata.name)
        self._client: BackupApiClient | None = None
        self._access: EngineAccess | None = None
        self._circuit = CircuitState()
        self._trouble: Trouble | None = None
        self._needs_access = True
        self._api_version: str | None = None
        self._about: SystemAbout | None = None
        self._hosts: tuple[HostRecord, ...] | None = None
        self._running: int | None = None
        self._last_contact: datetime | None = None
        self._offers_verification = True
        self._poked = asyncio.Event()
        self._lending = ClientLending()

    @property
    def uid(self) -> str:
        """Uid of the BackupEngine."""
        return self._resource.metadata.uid

    @property
    def resource(self) -> BackupEngineResource:
        """The newest state of the BackupEngine."""
        return self._resource

    @property
    def spec(self) -> BackupEngineSpec:
        """The newest spec."""
        return self._resource.spec

    @property
    def circuit(self) -> Circuit:
        """State of the circuit."""
        return self._circuit.state

    @property
    def is_usable(self) -> bool:
        """Whether requests may go out."""
        return self._client is not None and self._circuit.is_closed and not self._needs_access

    def seen(self) -> EngineSeen:
        """Return what decisions about Backups need to know of the engine."""
        identity = EngineIdentity(
            name=self._resource.metadata.name,
            uid=self.uid,
            url=self.spec.url,
            api_version=self._api_version,
        )
        if self.is_usable:
            offset = self._client.clock_offset if self._client is not None else None
            return EngineSeen(
                identity,
                clock_offset=offset,
                offers_verification=self._offers_verification,
            )
        if self._trouble is None:
            return EngineSeen(identity, is_connecting=True)
        message = f"BackupEngine {identity.name}: {self._trouble.message}"
        return EngineSeen(identity, replace(self._trouble, message=message))

    def facts(self) -> EngineFacts:
        """Return what the status of the BackupEngine tells."""
        return EngineFacts(
            is_connecting=self._trouble is None and not self.is_usable,
            trouble=None if self.is_usable else self._trouble,
            circuit=self._circuit.state,
            about=self._about,
            api_version=self._api_version,
            hosts=self._hosts,
            running_backups=self._running,
            last_contact=self._last_contact,
        )

    def change(self, resource: BackupEngineResource) -> None:
        """Take over a newer state of the BackupEngine; connect anew if it matters."""
        matters = resource.spec != self._resource.spec
        self._resource = resource
        if matters:
            self._needs_access = True
            self._trouble = None
            self._poked.set()
            self._on_change()

    def note_no_verification(self) -> None:
        """Take over that the engine has no endpoint that tells why an archive is not valid."""
        self._offers_verification = False

    def note_running(self, count: int) -> None:
        """Take over how many backups a poll found running."""
        if count != self._running:
            self._running = count
            self._on_change()

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[BackupApiClient]:
        """Lend the client for some requests; raises EngineUnusableError when none may go out."""
        client = self._client
        if client is None or not self.is_usable:
            raise EngineUnusableError(f"BackupEngine {self._resource.metadata.name}: no requests")
        async with self._lent(client):
            yield client

    async def run(self) -> None:
        """Keep the link until cancelled."""
        try:
            beats = 0
            while True:
                await self._check(with_hosts=beats % HOSTS_EVERY == 0)
                beats = beats + 1 if self.is_usable else 0
                await self._pause()
        finally:
            client, self._client = self._client, None
            await self._lending.close(client)

    async def _check(self, *, with_hosts: bool) -> None:
        before = self.facts()
        if not self._circuit.is_closed:
            self._circuit = try_once(self._circuit)
        try:
            await self._connect_if_needed()
            await self._ask_about_itself(with_hosts=with_hosts)
        except AccessError as trouble:
            self._fail(trouble.trouble)
        except BackupApiError as trouble:
            self._fail(explain_trouble(trouble, self.spec.url))
        else:
            self._circuit = after_answer()
            self._trouble = None
        after = self.facts()
        if after != before:
            self._log(before, after)
            self._on_change()

    async def _connect_if_needed(self) -> None:
        access = await read_access(self.spec, self._secrets)
        unchanged = self._access is not None and access.fingerprint == self._access.fingerprint
        if unchanged and self._client is not None and not self._needs_access:
            return
        options = replace(
            access.options,
            api_version=self.spec.api_version,
            request_watch=self._request_watch,
        )
        client = await asyncio.to_thread(BackupApiClient, options)  # reads certificates
        try:
            await client.about()
            version = self.spec.api_version or await _negotiate(client)
        except BaseException:
            await client.__aexit__(None, None, None)
            raise
        if version != options.api_version:  # a version is a property of a client
            await client.__aexit__(None, None, None)
            spoken = replace(options, api_version=version)
            client = await asyncio.to_thread(BackupApiClient, spoken)
        self._lending.retire(self._client)
        self._client, self._access = client, access
        self._api_version = version
        self._needs_access = False
        self._offers_verification = True  # another server may answer by now

    async def _ask_about_itself(self, *, with_hosts: bool) -> None:
        client = self._client
        assert client is not None
        async with self._lent(client, is_probe=True):
            self._about = await client.about()
            page = await client.list_backups_page(ItemRange(0, 0), filter_by=UNFINISHED)
            self._running = page.total if page.total is not None else self._running
            if with_hosts:
                with contextlib.suppress(BackupApiError):  # hosts are a courtesy, not a need
                    self._hosts = await client.list_hosts()

    @contextlib.asynccontextmanager
    async def _lent(
        self, client: BackupApiClient, *, is_probe: bool = False
    ) -> AsyncIterator[None]:
        try:
            async with self._lending.lent(client):
                yield
        except BackupApiError as trouble:
            if not is_probe:
                self._note_trouble(trouble)
            raise
        except AccessError as trouble:  # a ServiceAccount token could not be renewed
            if not is_probe:
                self._turn_away(trouble.trouble)
            raise EngineUnusableError(str(trouble)) from trouble
        else:
            self._last_contact = datetime.now(UTC)
            if self._circuit.is_closed:
                self._circuit = after_answer()

    def _note_trouble(self, trouble: BackupApiError) -> None:
        if needs_new_access(trouble):
            self._turn_away(explain_trouble(trouble, self.spec.url))
            return
        if not is_silence(trouble):
            self._last_contact = datetime.now(UTC)
            if self._circuit.is_closed:
                self._circuit = after_answer()
            return
        was_closed = self._circuit.is_closed
        self._circuit = after_failure(self._circuit, self._now())
        if was_closed and not self._circuit.is_closed:
            self._trouble = explain_trouble(trouble, self.spec.url)
            logger.warning("BackupEngine %s: %s", self._resource.metadata.name, trouble)
            self._poked.set()  # the pause is a new one
            self._on_change()

    def _turn_away(self, trouble: Trouble) -> None:
        """Send nothing more until the credentials are read anew, which happens at once."""
        if not self._needs_access:
            self._needs_access = True
            self._trouble = trouble
            self._poked.set()
            self._on_change()

    def _fail(self, trouble: Trouble) -> None:
        self._trouble = trouble
        opened = self._circuit.state is Circuit.CLOSED
        self._circuit = (
            CircuitState(Circuit.OPEN, 1, self._now() + FIRST_PAUSE_S)
            if opened
            else after_failure(self._circuit, self._now())
        )

    async def _pause(self) -> None:
        if self._circuit.is_closed and not self._needs_access:
            delay_s = HEARTBEAT_S
        else:
            delay_s = max(0.0, self._circuit.probe_at - self._now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._poked.wait()
                self._poked.clear()
                if not self._circuit.is_closed and not self._needs_access:
                    await asyncio.sleep(max(0.0, self._circuit.probe_at - self._now()))

    def _log(self, before: EngineFacts, after: EngineFacts) -> None:
        if before.trouble != after.trouble:
            name = self._resource.metadata.name
            said = after.trouble.message if after.trouble is not None else "usable"
            logger.log(
                logging.INFO if after.trouble is None else logging.WARNING,
                "BackupEngine %s: %s",
                name,
                said,
            )

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def _negotiate(client: BackupApiClient) -> str:
    """Choose the API version to speak; raises AccessError if there is none in common."""
    offered = await client.list_versions()
    version = choose_version(offered)
    if version is None:
        shown = ", ".join([entry.version for entry in offered][:10]) or "none"
        message = (
            f"The engine offers no API version that the operator knows, but {shown};"
            " upgrade one of them."
        )
        raise AccessError(Trouble("NoCommonVersion", message, needs_people=True))
    return version
