"""Reconciling one BackupConfiguration: look, stage, deploy, compare, tell."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from backup_api.client import BackupApiClient
from backup_api.errors import ErrorClass, StartDeployErrors
from backup_api.exceptions import RefusedError
from backup_operator.cluster.cache import Entry, Key, ObjectCache
from backup_operator.cluster.entries import mapping
from backup_operator.decisions.configuration import decide_configuration
from backup_operator.decisions.configuration_facts import (
    ChangeRefused,
    ConfigurationDecision,
    ConfigurationMemory,
    ConfigurationReport,
    ConfigurationSeen,
    ConfigurationStanding,
    ConfigurationView,
    DeployConfiguration,
    LookAtConfiguration,
    RestConfiguration,
    StageConfiguration,
)
from backup_operator.decisions.configuration_status import build_configuration_status
from backup_operator.decisions.engine_trouble import needs_new_access
from backup_operator.decisions.facts import EngineSeen
from backup_operator.decisions.refusals import cut, refusal_reason
from backup_operator.engines.directory import KnownEngine
from backup_operator.engines.link import EngineUnusableError
from backup_operator.reconcile.engine_finding import EngineFinder
from backup_operator.reconcile.stepping import Resting, Stepper
from backup_operator.reconcile.writing import Clock, StatusWriter
from backup_operator.resources.configuration import (
    BackupConfigurationResource,
    BackupConfigurationSpec,
)
from backup_operator.resources.configuration_status import BackupConfigurationStatus
from backup_operator.resources.errors import InvalidSpecError
from backup_operator.resources.group import BACKUP_CONFIGURATION
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.reading import read_status

logger = logging.getLogger(__name__)


class ConfigurationReconciler:
    """Keeps the configuration of engines as BackupConfigurations say."""

    def __init__(
        self,
        cache: ObjectCache,
        finder: EngineFinder,
        writer: StatusWriter,
        interval: timedelta,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._stepper = Stepper(BACKUP_CONFIGURATION, cache, writer, clock)
        self._finder = finder
        self._writer = writer
        self._interval = interval
        self._clock = clock
        self._memories: dict[str, tuple[str, ConfigurationMemory]] = {}  # with the engine's uid

    async def reconcile(self, key: Key) -> timedelta | None:
        """Take steps until the object rests; returns when to come back. Raises RetryLaterError."""
        return await self._stepper.run(key, self._take_step, self._report_invalid)

    async def _take_step(self, entry: Entry, body: dict[str, Any]) -> Resting | None:
        resource = BackupConfigurationResource.from_body(body)
        engine, seen = await self._see(entry, resource)
        decision = decide_configuration(resource.spec, seen, self._clock())
        logger.debug("%s: %s", entry.key, decision)
        match decision:
            case RestConfiguration():
                return Resting()
            case ConfigurationReport(standing, until):
                await self._report(body, seen, standing)
                return Resting(until)
            case _:
                await self._apply(body, engine, seen, decision)
                return None

    async def _see(
        self, entry: Entry, resource: BackupConfigurationResource
    ) -> tuple[KnownEngine | None, ConfigurationSeen]:
        engine, engine_seen = await self._finder.find(resource.spec.engine_ref, None, None)
        known = self._memories.get(entry.uid)
        is_same = known is not None and engine is not None and known[0] == engine.link.uid
        memory = known[1] if known is not None and is_same else ConfigurationMemory()
        seen = ConfigurationSeen(
            metadata=resource.metadata,
            status=resource.status,
            engine=engine_seen,
            memory=memory,
            interval=self._interval,
            rival=await self._find_rival(entry, resource, engine),
        )
        return engine, seen

    async def _find_rival(
        self, entry: Entry, resource: BackupConfigurationResource, engine: KnownEngine | None
    ) -> str | None:
        """Find an older object for the same configuration of the same engine."""
        if engine is None:
            return None
        mine = _age(entry.body())
        for other in list(self._cache.entries(BACKUP_CONFIGURATION)):
            body = other.body()
            if other.uid == entry.uid or _age(body) > mine:
                continue
            try:
                spec = BackupConfigurationResource.from_body(body).spec
            except InvalidSpecError:
                continue
            found, _ = await self._finder.find(spec.engine_ref, None, None)
            same = found is not None and found.link.uid == engine.link.uid
            if same and spec.configuration_id == resource.spec.configuration_id:
                return other.key.name
        return None

    async def _apply(
        self,
        body: dict[str, Any],
        engine: KnownEngine | None,
        seen: ConfigurationSeen,
        step: ConfigurationDecision,
    ) -> None:
        if engine is None:
            raise EngineUnusableError("no engine")
        spec = BackupConfigurationResource.from_body(body).spec
        async with engine.link.client() as client:
            match step:
                case LookAtConfiguration():
                    await self._look(client, spec, seen, step)
                case StageConfiguration():
                    await self._stage(body, client, spec, seen, step)
                case DeployConfiguration():
                    await self._deploy(body, client, seen)
                case _:
                    raise AssertionError(step)

    async def _look(
        self,
        client: BackupApiClient,
        spec: BackupConfigurationSpec,
        seen: ConfigurationSeen,
        step: LookAtConfiguration,
    ) -> None:
        at = self._clock()
        staged_hosts = await client.list_staged_hosts() if step.with_hosts else ()
        view = ConfigurationView(
            at=at,
            staged=await client.get_staged_configuration(spec.configuration_id),
            deployed=await client.get_configuration(spec.configuration_id),
            deploy=await client.deploy_status(),
            hosts=(
                {host.hostname: host.id for host in await client.list_hosts() if host.hostname}
                if step.with_hosts
                else {}
            ),
            staged_hosts=frozenset(host.hostname for host in staged_hosts if host.hostname),
        )
        self._remember(seen, view=view)

    async def _stage(
        self,
        body: dict[str, Any],
        client: BackupApiClient,
        spec: BackupConfigurationSpec,
        seen: ConfigurationSeen,
        step: StageConfiguration,
    ) -> None:
        names = ", ".join(step.fields)
        if step.drift is not None:  # told before it is undone: a crash must not hide it
            status = seen.status.model_copy(update={"last_drift": step.drift})
            if await self._writer.write_status(BACKUP_CONFIGURATION, body, status):
                note = f"Others have changed {names} at the engine; staging the spec again."
                self._writer.tell(BACKUP_CONFIGURATION, body, "DriftFound", note, warn=True)
        try:
            staged = await client.change_configuration(step.body, spec.configuration_id)
        except RefusedError as refusal:
            if refusal.error_class is not ErrorClass.FINAL or needs_new_access(refusal):
                raise
            self._remember(seen, refused=_explain(refusal, seen, self._clock()))
            return
        view = seen.memory.view
        assert view is not None
        changed = replace(view, staged=staged)
        self._remember(seen, view=changed, refused=None, deploy_asked_at=None)
        self._writer.tell(BACKUP_CONFIGURATION, body, "Staged", f"Staged {names}.")

    async def _deploy(
        self, body: dict[str, Any], client: BackupApiClient, seen: ConfigurationSeen
    ) -> None:
        trouble = None
        try:
            await client.start_deploy()
        except RefusedError as refusal:
            if needs_new_access(refusal):
                raise
            if refusal.row not in _LOOK_AT_DEPLOY:
                trouble = f"The deploy was refused: {cut(refusal.wire_message, 300)}."
        else:
            note = "Started an incremental deploy of everything that is staged."
            self._writer.tell(BACKUP_CONFIGURATION, body, "DeployStarted", note)
        # Running, nothing to do, or begun: in each case the engine is looked at anew.
        self._remember(seen, view=None, deploy_asked_at=self._clock(), deploy_trouble=trouble)

    def _remember(self, seen: ConfigurationSeen, **changes: Any) -> None:  # noqa: ANN401
        engine = seen.engine.identity
        if engine is not None and engine.uid is not None:
            self._memories[seen.metadata.uid] = (engine.uid, replace(seen.memory, **changes))

    async def _report(
        self, body: dict[str, Any], seen: ConfigurationSeen, standing: ConfigurationStanding
    ) -> None:
        status = build_configuration_status(seen, standing, self._clock())
        await self._writer.write_status(BACKUP_CONFIGURATION, body, status)

    async def _report_invalid(self, body: dict[str, Any], problem: InvalidSpecError) -> None:
        stored, _ = read_status(BackupConfigurationStatus, body)
        seen = ConfigurationSeen(
            metadata=ObjectMetadata.from_body(body),
            status=stored,
            engine=EngineSeen(None),
            memory=ConfigurationMemory(),
            interval=self._interval,
        )
        standing = ConfigurationStanding(
            reason="InvalidSpec", message=str(problem), is_stalled=True
        )
        await self._report(body, seen, standing)


_LOOK_AT_DEPLOY: Final = frozenset(
    {StartDeployErrors.BUSY_OR_NOTHING, StartDeployErrors.NOTHING_TO_DEPLOY}
)


def _age(body: dict[str, Any]) -> tuple[str, str]:
    metadata = mapping(body.get("metadata"))
    return str(metadata.get("creationTimestamp")), str(metadata.get("name"))


def _explain(refusal: RefusedError, seen: ConfigurationSeen, now: datetime) -> ChangeRefused:
    words = refusal.row.description if refusal.row is not None else "The engine refuses the spec."
    said = f"HTTP {refusal.http_status}, code {refusal.code}: {refusal.wire_message}"
    return ChangeRefused(
        now, seen.metadata.generation, refusal_reason(refusal.row), cut(f"{words} ({said})")
    )
