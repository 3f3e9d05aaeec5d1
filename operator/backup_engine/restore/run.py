"""A restore from beginning to end: the seam that the engine's use cases and the CLI call."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from backup_api.restores import RestoreGroup
from backup_engine.archive.errors import ArchiveError
from backup_engine.archive.reading import ArchiveReader
from backup_engine.cluster import ClusterConnection
from backup_engine.restore.applying import Applier, ObjectError, Tally
from backup_engine.restore.archived import ChosenObjects, Contents
from backup_engine.restore.errors import PlanChangedError, RestoreError, WriteRefusedError
from backup_engine.restore.groups import ADMISSION, WITHOUT_KINDS
from backup_engine.restore.identity import KubeObject
from backup_engine.restore.live import ListForbiddenError, LiveCluster
from backup_engine.restore.mapping import ensure_mapping
from backup_engine.restore.planning import Action, Existing, Plan, PlanItem, PlanLedger
from backup_engine.restore.rehearsing import Planner, TakeItem
from backup_engine.restore.request import RestoreLimits, RestoreOptions
from backup_engine.restore.sending import OK, send
from backup_engine.restore.serving import ServedKinds
from backup_engine.restore.walking import Walk
from backup_engine.restore.webhooks import ServiceName, find_blocking, list_services

__all__ = [
    "Action",
    "Existing",
    "ObjectError",
    "Plan",
    "PlanChangedError",
    "PlanItem",
    "RestoreError",
    "RestoreLimits",
    "RestoreOptions",
    "RestoreOutcome",
    "RestoreProgress",
    "plan_restore",
    "restore",
]

_WEBHOOK_KINDS: Final = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


@dataclass(frozen=True, slots=True)
class RestoreProgress:
    """How far a restore is; ``total`` may be too high while labels are unknown.

    ``done`` is counted on while the restore runs: copy it to keep it.
    """

    settled: int
    total: int
    failed: int
    done: Mapping[Action, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What a restore did.

    ``errors`` names the objects that are not as wanted (the first thousand of ``failed``);
    ``remaining`` counts those it did not get to, ``interruption`` tells why if nobody stopped it.
    Conflicts under ``Keep`` are no errors.
    """

    done: dict[Action, int]
    failed: int
    remaining: int
    errors: tuple[ObjectError, ...] = ()
    interruption: str | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether everything that was to be restored is."""
        return not self.failed and not self.remaining


ReportProgress = Callable[[RestoreProgress], None]
TakeError = Callable[[ObjectError], None]
IsStopped = Callable[[], bool]


def _ignore(_: object) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Ground:
    """What planning and applying both begin with."""

    chosen: ChosenObjects
    contents: Contents
    live: LiveCluster
    limits: RestoreLimits = field(default_factory=RestoreLimits)

    def walk(self, options: RestoreOptions, is_stopped: IsStopped) -> Walk:
        return Walk(options, self.limits, self.chosen, self.contents, self.live, is_stopped)


async def plan_restore(
    options: RestoreOptions,
    archive: ArchiveReader,
    cluster: ClusterConnection,
    *,
    limits: RestoreLimits | None = None,
    take: TakeItem = _ignore,
) -> Plan:
    """Tell what a restore would do, changing nothing; ``take`` gets every item, in no set order.

    Raises RestoreError, ArchiveError. Memory grows by some hundred bytes per object.
    """
    ground = await _prepare(options, archive, cluster, limits)
    return await _plan(options, archive, ground, take)


async def restore(  # noqa: PLR0913 - keywords, and each has a default
    options: RestoreOptions,
    archive: ArchiveReader,
    cluster: ClusterConnection,
    *,
    approved: str | None = None,
    limits: RestoreLimits | None = None,
    report: ReportProgress = _ignore,
    take_error: TakeError = _ignore,
    is_stopped: IsStopped = _never,
) -> RestoreOutcome:
    """Make the cluster hold what was chosen from the archive.

    ``approved`` is the digest of a plan: if that of this moment differs, PlanChangedError is raised
    and nothing changed. None: apply whatever the plan is; so is a restore begun before resumed,
    for what it has done already is no longer in the plan. ``is_stopped`` is asked between objects.

    An object that is refused is an error in the outcome, and ``take_error`` gets every one; the
    others go on. Where none can go on any
    more, the outcome tells what was done and what remains. Raises RestoreError or ArchiveError if
    that is so from the beginning.
    """
    ground = await _prepare(options, archive, cluster, limits)
    if approved is not None:
        found = (await _plan(options, archive, ground, _ignore)).digest
        if found != approved:
            raise PlanChangedError(approved, found)
    tally = Tally(take=take_error)
    total = ground.contents.objects

    def settled() -> None:
        report(RestoreProgress(tally.settled, total, tally.failed, tally.done))

    applier = Applier(ground.live, options.existing, ground.limits, tally, settled)
    interruption = None
    try:
        is_whole = await ground.walk(options, is_stopped).walk(applier)
    except (RestoreError, ArchiveError) as trouble:
        if not tally.settled:
            raise
        is_whole, interruption = False, f"{trouble.reason}: {trouble.message}"
    return RestoreOutcome(
        done={action: tally.done[action] for action in Action},
        failed=tally.failed,
        remaining=0 if is_whole else max(total - tally.settled, 1),
        errors=tuple(tally.errors),
        interruption=interruption,
    )


async def _prepare(
    options: RestoreOptions,
    archive: ArchiveReader,
    cluster: ClusterConnection,
    limits: RestoreLimits | None,
) -> _Ground:
    limits = limits or RestoreLimits()
    chosen = ChosenObjects(archive, options.selection)
    contents = await chosen.survey(options.namespace_mapping)
    try:
        ensure_mapping(options.namespace_mapping, contents.sources)
    except ValueError as trouble:
        raise RestoreError("MappingCollision", str(trouble)) from trouble
    return _Ground(chosen, contents, LiveCluster(cluster, limits.retries), limits)


async def _plan(
    options: RestoreOptions, archive: ArchiveReader, ground: _Ground, take: TakeItem
) -> Plan:
    digest = archive.seal.manifest.sha256
    ledger = PlanLedger(secret=bytes.fromhex(digest), request=options.build_digest(digest))
    planner = Planner(ground.live, options.existing, ledger, take)
    walk = ground.walk(options, _never)
    await walk.walk(planner)
    warnings = list(_list_idle_groups(options))
    warnings += _list_idle_mappings(options, ground.contents)
    warnings += await _list_blocking_webhooks(ground.live, planner, walk)
    return ledger.finish(tuple(warnings))


def _list_idle_groups(options: RestoreOptions) -> Iterable[str]:
    """Say which groups restore nothing, unless all groups were asked for."""
    groups = options.selection.groups
    if groups != frozenset(RestoreGroup):
        for group in sorted(groups & WITHOUT_KINDS.keys()):
            yield f"{group} restores nothing: {WITHOUT_KINDS[group]}"


def _list_idle_mappings(options: RestoreOptions, contents: Contents) -> Iterable[str]:
    """Say which mappings move nothing: a name misspelt restores over what it was to spare."""
    for source, target in sorted(options.namespace_mapping.items()):
        if source not in contents.sources:
            yield f"no object of this restore is in namespace {source}: none moves to {target}"


async def _list_blocking_webhooks(
    live: LiveCluster, planner: Planner, walk: Walk
) -> tuple[str, ...]:
    served = await live.fetch_served()
    try:
        configurations = await _list_webhooks(live, served)
        services = list_services(configurations)
        silent = [service for service in services if not await _is_ready(live, served, service)]
    except (ListForbiddenError, WriteRefusedError) as refusal:
        return (f"whether webhooks would block is not known: {refusal.message}",)
    return find_blocking(configurations, planner.writes, silent, walk.namespaces)


async def _list_webhooks(live: LiveCluster, served: ServedKinds) -> list[KubeObject]:
    found: list[KubeObject] = []
    for resource in _WEBHOOK_KINDS:
        kind = served.find(f"{ADMISSION}/v1", resource)
        if kind is not None:
            found += await live.list_objects(kind.kind, has_status=False)
    return found


async def _is_ready(live: LiveCluster, served: ServedKinds, service: ServiceName) -> bool:
    """Tell whether a Service exists and has an endpoint that is ready (or does not say)."""
    namespace, name = service
    slices = served.find("discovery.k8s.io/v1", "endpointslices")
    if slices is None:
        return True
    answer = await send(
        live.connection,
        "GET",
        slices.kind.path(namespace),
        live.retries,
        params={"labelSelector": f"kubernetes.io/service-name={name}"},
    )
    if answer.status != OK:
        raise WriteRefusedError(answer.status, "Forbidden", answer.message)
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return any(
        (endpoint.get("conditions") or {}).get("ready", True) is not False
        for one in found.get("items") or ()
        for endpoint in one.get("endpoints") or ()
    )
