"""The engine put together from its parts, on what ``app`` has opened; nothing works yet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Final

from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from backup_api.endpoints import API_ROOT
from backup_api.extensions.engine import (
    ARCHIVES_EXTENSION,
    HOSTS_EXTENSION,
    RESTORES_EXTENSION,
    VERIFICATION_EXTENSION,
    VOLUMES_EXTENSION,
)
from backup_engine.api_versions import list_api_versions
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archives import Archives
from backup_engine.auth.gate import Gate
from backup_engine.backups import Backups
from backup_engine.cluster import ClusterConnection
from backup_engine.configurations import DEFAULT, Configurations
from backup_engine.deploys import Deploys
from backup_engine.documentation import Documentation, build_documentation
from backup_engine.hosts import Hosts
from backup_engine.product import Product, build_about, build_console
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.restore_extension import RestoreExtension
from backup_engine.restores import Restores
from backup_engine.routes.archives import build_archive_routes
from backup_engine.routes.backups import build_backup_routes
from backup_engine.routes.call import Handler, find_handlers
from backup_engine.routes.configurations import build_configuration_routes
from backup_engine.routes.deploys import build_deploy_routes
from backup_engine.routes.descriptions import build_about_routes
from backup_engine.routes.engine import build_engine_routes
from backup_engine.routes.engine_hosts import build_engine_host_routes
from backup_engine.routes.front_door import FrontDoor
from backup_engine.routes.health import build_health_routes
from backup_engine.routes.help import build_help_routes
from backup_engine.routes.hosts import (
    build_host_routes,
    build_refused_routes,
    build_server_routes,
    build_tunnel_routes,
)
from backup_engine.routes.logout import build_logout_routes
from backup_engine.routes.openapi import PublishedApi
from backup_engine.routes.restore_extension import build_restore_extension_routes
from backup_engine.routes.restores import build_restore_routes
from backup_engine.routes.table import OPENAPI_PATH, RIGHTS, ServedTable, list_operations
from backup_engine.routes.verifications import build_verification_routes
from backup_engine.routes.volumes import build_volume_routes
from backup_engine.runs.capturing import Capturing
from backup_engine.runs.claims import ClaimKind, Claims, Lease
from backup_engine.runs.data_backups import DataBackups
from backup_engine.runs.deploying import Deployer
from backup_engine.runs.hook_running import HookRunning
from backup_engine.runs.host_watch import PACE, HostWatch, WatchPace
from backup_engine.runs.lookout import Lookout, LookoutRules, build_lookout
from backup_engine.runs.nightly import Nightly, NightlyRules
from backup_engine.runs.origins import Origins
from backup_engine.runs.planning import Planning
from backup_engine.runs.preparing import Preparation
from backup_engine.runs.repositories import Repositories
from backup_engine.runs.repository_keeping import KeepingRules, RepositoryKeeper
from backup_engine.runs.restorer import Restorer
from backup_engine.runs.restoring import ArchiveOpener, RestoreRules, Restoring
from backup_engine.runs.rules import DeployedRules, ReadRules
from backup_engine.runs.runner import Runner
from backup_engine.runs.safekeeping import UNPROTECTED, Safekeeping
from backup_engine.runs.volume_restoring import VolumeRestorer
from backup_engine.serving import Departure
from backup_engine.settings import DEFAULT_ENGINE_NAME
from backup_engine.verifications import Verifications
from backup_engine.volume_plans import VolumePlanner
from backup_engine.volume_restores import VolumeRestores
from backup_engine.volumes.executor import Executor
from backup_engine.volumes.job_calls import JobCalls
from backup_engine.volumes.pod_commands import PodCommands

SERVED_EXTENSIONS: Final = (
    ARCHIVES_EXTENSION,
    HOSTS_EXTENSION,
    RESTORES_EXTENSION,
    VERIFICATION_EXTENSION,
    VOLUMES_EXTENSION,
)


@dataclass(frozen=True, slots=True)
class VolumeWork:
    """What works on volumes, and where their repositories are."""

    executor: Executor
    repositories: Repositories
    rules: KeepingRules = field(default_factory=KeepingRules)


@dataclass(frozen=True, slots=True)
class Volumes:
    """All that the engine does with volumes, put together."""

    backups: DataBackups
    keeper: RepositoryKeeper
    restorer: VolumeRestorer


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    backups: Backups
    configurations: Configurations
    deploys: Deploys
    archives: Archives
    restores: Restores
    restore_extension: RestoreExtension
    hosts: Hosts
    verifications: Verifications
    volume_restores: VolumeRestores


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine's parts, put together but not at work: the app and what runs beside it."""

    app: ASGIApp
    claims: Claims
    runner: Runner
    deployer: Deployer
    nightly: Nightly
    restorer: Restorer
    host_watch: HostWatch
    lookout: Lookout
    volumes: Volumes | None = None

    @property
    def background(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """Work that goes on while the app is served; each ends by cancellation."""
        return (
            self.claims.run,
            self.runner.run,
            self.deployer.run,
            self.restorer.run,
            self.host_watch.run,
            self.alone(ClaimKind.NIGHTLY, self.nightly.run),
            self.alone(ClaimKind.WATCH, self.lookout.watch.run),
            self.alone(ClaimKind.SCAN, self.lookout.scan.run),
            self.alone(ClaimKind.COMPATIBILITY, self.lookout.compatibility.run),
            *(
                (
                    self.alone(ClaimKind.REPOSITORIES, self.volumes.keeper.run),
                    self.volumes.restorer.run,
                )
                if self.volumes is not None
                else ()
            ),
        )

    def alone(
        self, kind: ClaimKind, run: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        """Return ``run`` as the work of one engine only, of all on the database."""
        return partial(self.claims.alone, kind, run)


@dataclass(frozen=True, slots=True)
class Conduct:
    """What time it is, and how the engine behaves in time; no rules: those deployed."""

    clock: Callable[[], datetime]
    nightly: NightlyRules = field(default_factory=NightlyRules)
    capture_rules: ReadRules | None = None
    restore_rules: RestoreRules = field(default_factory=RestoreRules)
    lease: Lease = field(default_factory=Lease)
    safekeeping: Safekeeping = UNPROTECTED
    engine_name: str = DEFAULT_ENGINE_NAME
    host_pace: WatchPace = PACE
    lookout: LookoutRules = field(default_factory=LookoutRules)
    volume_work: VolumeWork | None = None
    departure: Departure = field(default_factory=Departure)


async def build_engine(
    database: Database,
    cluster: ClusterConnection,
    places: ArchivePlaces,
    gate: Gate,
    product: Product,
    conduct: Conduct,
) -> Engine:
    """Put the parts together on a migrated database."""
    clock = conduct.clock
    console = build_console(product)
    async with database.writing() as connection:
        now_ms = int(clock().timestamp() * 1000)
        await ConfigurationRecords(connection).ensure(DEFAULT, now_ms)
    rules = conduct.capture_rules or DeployedRules(database)
    claims = Claims(database, conduct.lease)
    volumes = build_volumes(database, cluster, conduct.volume_work, claims, clock)
    data = volumes.backups if volumes is not None else None
    capturing = Capturing(
        database, cluster, places, (console,), product, clock, rules, conduct.safekeeping, data
    )
    runner = Runner(database, places, capturing, claims, data)
    deployer = Deployer(database, Preparation(cluster, places, data), clock, claims)
    nightly = Nightly(database, places, console, product, clock, conduct.nightly, runner.wake)
    origins = Origins(places, cluster)
    restorer = build_restorer(database, cluster, places, origins, conduct, claims, runner.wake)
    cases = UseCases(
        backups=Backups(database, product, clock, runner.wake),
        configurations=Configurations(database, product, places),
        deploys=Deploys(database, clock, deployer.wake),
        hosts=Hosts(database, product),
        archives=Archives(database, places, conduct.safekeeping, cluster),
        restores=Restores(database, console, origins, clock, restorer.wake),
        restore_extension=RestoreExtension(database, restorer.wake),
        verifications=Verifications(database, clock),
        volume_restores=build_volume_restores(database, conduct.volume_work, volumes, clock),
    )
    app = build_app(database, gate, cases, product, conduct.departure)
    watch = HostWatch(database, cluster, conduct.engine_name, conduct.host_pace)
    lookout = build_lookout(
        database,
        places,
        cluster,
        console=console,
        product_version=product.version,
        safekeeping=conduct.safekeeping,
        clock=clock,
        rules=conduct.lookout,
    )
    return Engine(app, claims, runner, deployer, nightly, restorer, watch, lookout, volumes)


def build_volumes(
    database: Database,
    cluster: ClusterConnection,
    work: VolumeWork | None,
    claims: Claims,
    clock: Callable[[], datetime],
) -> Volumes | None:
    """Put together what works on volumes; None: nothing does."""
    if work is None:
        return None
    hooks = HookRunning(database, PodCommands(cluster, JobCalls(cluster)))
    return Volumes(
        DataBackups(database, work.executor, work.repositories, clock, hooks),
        RepositoryKeeper(database, work.repositories, clock, work.rules),
        VolumeRestorer(database, work.executor, work.repositories, claims, clock),
    )


def build_volume_restores(
    database: Database,
    work: VolumeWork | None,
    volumes: Volumes | None,
    clock: Callable[[], datetime],
) -> VolumeRestores:
    """Put together what restores of volumes are asked of; without ``work`` it refuses them."""
    planner = VolumePlanner(database, work.executor if work is not None else None)
    wake = volumes.restorer.wake if volumes is not None else None
    return VolumeRestores(database, clock, planner, wake)


def build_restorer(
    database: Database,
    cluster: ClusterConnection,
    places: ArchivePlaces,
    origins: Origins,
    conduct: Conduct,
    claims: Claims,
    wake_runner: Callable[[], None],
) -> Restorer:
    """Put together what carries restores out."""
    opener = ArchiveOpener(database, places, conduct.safekeeping)
    clock, rules = conduct.clock, conduct.restore_rules
    restoring = Restoring(database, cluster, opener, origins, clock, rules)
    planning = Planning(database, cluster, opener, clock, rules)
    return Restorer(database, restoring, planning, claims, wake_runner)


def build_app(
    database: Database,
    gate: Gate,
    cases: UseCases,
    product: Product,
    departure: Departure,
) -> ASGIApp:
    """Put routes and the checks before them together."""

    def is_leaving() -> bool:
        return departure.has_begun

    app = PublishedApi(
        title="backup-engine",
        generate_unique_id_function=_operation_id,
        version=product.version,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )

    @cache
    def read_documentation() -> Documentation:
        supported = [each for each in list_api_versions() if not each.deprecated]
        return build_documentation(tuple(RIGHTS), supported, app.openapi())

    handlers: dict[tuple[str, str], Handler] = {}
    for router in (
        build_backup_routes(cases.backups),
        build_configuration_routes(cases.configurations),
        build_deploy_routes(cases.deploys),
        build_host_routes(cases.hosts),
        build_tunnel_routes(cases.hosts),
        build_server_routes(cases.hosts),
        build_engine_host_routes(cases.hosts),
        build_refused_routes(),
        build_about_routes(build_about(product), list_api_versions(), read_documentation),
        build_help_routes(read_documentation, gate),
        build_archive_routes(cases.archives, gate),
        build_restore_routes(cases.restores),
        build_verification_routes(cases.verifications),
        build_engine_routes(product, SERVED_EXTENSIONS),
        build_restore_extension_routes(cases.restore_extension),
        build_volume_routes(cases.volume_restores),
    ):
        app.include_router(router, prefix=API_ROOT)
        handlers.update(find_handlers(router, API_ROOT))
    app.include_router(build_logout_routes(gate))
    app.include_router(build_health_routes(database, is_leaving))
    table = ServedTable(list_operations())
    # outside of FastAPI's own layers, which take a tenth of a millisecond for each request
    return FrontDoor(app, gate, table, handlers, is_leaving)


def _operation_id(route: APIRoute) -> str:
    return route.name
