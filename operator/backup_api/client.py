"""The async client of the backup API: one typed method per endpoint (spec §1)."""

from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx2

from backup_api.calls.backups import BackupCalls
from backup_api.calls.calling import PAGE_LENGTH
from backup_api.calls.configurations import ConfigurationCalls
from backup_api.calls.descriptions import DescriptionCalls
from backup_api.calls.hosts import HostCalls
from backup_api.calls.restores import RestoreCalls
from backup_api.exchange import ClientOptions, Exchange
from backup_api.extensions.archive_calls import ArchiveCalls
from backup_api.extensions.engine_calls import EngineCalls
from backup_api.extensions.hook_calls import HookCalls
from backup_api.extensions.host_calls import EngineHostCalls
from backup_api.extensions.restore_calls import EngineRestoreCalls
from backup_api.extensions.verification_calls import VerificationCalls
from backup_api.extensions.volume_calls import VolumeCalls
from backup_api.extensions.volume_plan_calls import VolumePlanCalls

__all__ = ["PAGE_LENGTH", "BackupApiClient", "ClientOptions"]


class BackupApiClient(
    BackupCalls,
    RestoreCalls,
    ConfigurationCalls,
    HostCalls,
    DescriptionCalls,
    EngineCalls,
    EngineHostCalls,
    EngineRestoreCalls,
    ArchiveCalls,
    VerificationCalls,
    VolumeCalls,
    HookCalls,
    VolumePlanCalls,
):
    """Speaks to one server of the API; an async context manager that owns its connections.

    Every method raises a BackupApiError: NotSentError, LostAnswerError, MalformedAnswerError, or
    RefusedError with the row of the endpoint's code table. Only GETs are repeated (spec §2.11).
    """

    def __init__(
        self, options: ClientOptions, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(Exchange(options, transport))

    async def __aenter__(self) -> Self:
        await self._exchange.http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exchange.http.__aexit__(kind, error, trace)

    @property
    def options(self) -> ClientOptions:
        """What this client was made with."""
        return self._exchange.options

    @property
    def clock_offset(self) -> timedelta | None:
        """How far the server's clock is ahead of ours by its last ``Date``; None: not told."""
        return self._exchange.clock_offset
