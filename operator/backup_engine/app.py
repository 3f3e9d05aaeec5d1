"""The composition root: alone reads settings, opens clients and hands them on."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from ssl import SSLContext
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from backup_api.endpoints import API_ROOT
from backup_api.extensions.engine import (
    ARCHIVES_EXTENSION,
    HOSTS_EXTENSION,
    RESTORES_EXTENSION,
    VERIFICATION_EXTENSION,
    VOLUMES_EXTENSION,
)
from backup_engine.api_versions import list_api_versions
from backup_engine.archive.bucket import BucketAccess
from backup_engine.archive.encryption import Recipients, load_identities, load_recipients
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archives import Archives
from backup_engine.auth.gate import Gate
from backup_engine.auth.logins import Logins
from backup_engine.auth.passwords import Users, UsersFileError, parse_users_file
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import OWN_LABEL, TokenFile, ensure_token
from backup_engine.auth.watched_file import WatchedFile
from backup_engine.backups import Backups
from backup_engine.cluster import ClusterConnection
from backup_engine.cluster_keys.certificate import SharedCertificate
from backup_engine.cluster_keys.secrets import ClusterSecrets
from backup_engine.cluster_keys.signing import SharedSigning
from backup_engine.configurations import DEFAULT, Configurations
from backup_engine.data_directory import DataDirectory, locked
from backup_engine.deploys import Deploys
from backup_engine.documentation import Documentation, build_documentation
from backup_engine.hosts import Hosts
from backup_engine.product import Product, build_about, build_console, installed_product
from backup_engine.records.configurations import ConfigurationRecords
from backup_engine.records.database import Database
from backup_engine.records.sqlite import build_sqlite_url, is_sqlite
from backup_engine.restore_extension import RestoreExtension
from backup_engine.restores import Restores
from backup_engine.routes.archives import build_archive_routes
from backup_engine.routes.backups import build_backup_routes
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
from backup_engine.runs.deploying import Deployer, Preparation
from backup_engine.runs.host_watch import PACE, HostWatch, WatchPace
from backup_engine.runs.lookout import Lookout, LookoutRules, build_lookout
from backup_engine.runs.nightly import Nightly, NightlyRules
from backup_engine.runs.origins import Origins
from backup_engine.runs.planning import Planning
from backup_engine.runs.repositories import Repositories
from backup_engine.runs.repository_keeping import KeepingRules, RepositoryKeeper
from backup_engine.runs.restorer import Restorer
from backup_engine.runs.restoring import ArchiveOpener, RestoreRules, Restoring
from backup_engine.runs.rules import DeployedRules, ReadRules
from backup_engine.runs.runner import Runner
from backup_engine.runs.safekeeping import UNPROTECTED, Safekeeping
from backup_engine.runs.scanning import ScanRules
from backup_engine.runs.schedule import NightlySchedule
from backup_engine.runs.volume_restoring import VolumeRestorer
from backup_engine.serving import Departure, EngineServer, open_listener
from backup_engine.settings import DEFAULT_ENGINE_NAME, Settings, UsageError
from backup_engine.tls.directory import ensure_self_signed
from backup_engine.tls.serving import (
    CertificateFiles,
    build_server_context,
    keep_certificate_fresh,
)
from backup_engine.verifications import Verifications
from backup_engine.volume_restores import VolumeRestores
from backup_engine.volumes.executor import Executor
from backup_engine.volumes.jobs import JobExecutor
from backup_engine.volumes.kopia import find_kopia
from backup_engine.volumes.local import LocalExecutor
from backup_engine.volumes.mover_job import MoverSettings
from backup_engine.volumes.passwords import FilePasswords, SecretPasswords
from backup_engine.volumes.place import RepositoryPlaces

ALWAYS_NAMED: Final = ("localhost", "127.0.0.1")

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


Work = tuple[Callable[[], Awaitable[None]], ...]


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

    app: FastAPI
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
    volumes = build_volumes(database, conduct.volume_work, claims, clock)
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
        volume_restores=VolumeRestores(
            database, clock, volumes.restorer.wake if volumes is not None else None
        ),
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
    database: Database, work: VolumeWork | None, claims: Claims, clock: Callable[[], datetime]
) -> Volumes | None:
    """Put together what works on volumes; None: nothing does."""
    if work is None:
        return None
    return Volumes(
        DataBackups(database, work.executor, work.repositories, clock),
        RepositoryKeeper(database, work.repositories, clock, work.rules),
        VolumeRestorer(database, work.executor, work.repositories, claims, clock),
    )


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
) -> FastAPI:
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
    app.include_router(build_logout_routes(gate))
    app.include_router(build_health_routes(database, is_leaving))
    table = ServedTable(list_operations())
    app.add_middleware(FrontDoor, gate=gate, table=table, is_leaving=is_leaving)
    return app


async def serve(settings: Settings, environment: Mapping[str, str]) -> None:
    """Serve the API until told to stop; raises EngineError for trouble that can be mended."""
    directory = DataDirectory(settings.data_dir)
    await asyncio.to_thread(directory.ensure)
    database_url = settings.database_url or build_sqlite_url(directory.database)
    async with AsyncExitStack() as opened:
        if is_sqlite(database_url):
            # two engines on one SQLite file would each restart the captures of the other
            opened.enter_context(locked(directory))
        listener = opened.enter_context(open_listener(settings.listen))
        connection = _find_cluster(settings, environment)
        cluster = await opened.enter_async_context(connection)
        secrets = ClusterSecrets(cluster)
        tls, certificate_work = await _open_tls(settings, directory, secrets)
        signing_work = await _share_signing(settings, directory, secrets)
        tokens = await _open_tokens(settings, directory)
        archive_url = settings.archive_url or directory.archives.as_uri()
        places = ArchivePlaces(archive_url, BucketAccess(settings.archive_credentials_file))
        store = places.open(None)
        if settings.archive_url is None:
            await store.ensure_no_leftovers()
        database = Database.open(database_url, settings.database_password_file)
        opened.push_async_callback(database.close)
        await database.migrate()

        logins = await _open_logins(settings, database)
        gate = Gate(tokens, Reviews(cluster), logins)
        schedule = NightlySchedule(settings.nightly_at, settings.time_zone)
        safekeeping = await asyncio.to_thread(_load_safekeeping, settings, directory)
        conduct = Conduct(
            _utc_now,
            NightlyRules(schedule),
            lease=Lease(settings.takeover_after),
            safekeeping=safekeeping,
            engine_name=settings.engine_name,
            lookout=LookoutRules(
                settings.scan_interval,
                ScanRules(settings.verify_interval, settings.verify_rate or None),
            ),
            volume_work=_find_volume_work(settings, directory, cluster, environment),
            restore_rules=RestoreRules(settings.restore_time_limit),
            departure=Departure(settings.drain),
        )
        engine = await build_engine(database, cluster, places, gate, installed_product(), conduct)
        if not database.is_shared:  # the lock says that no other engine is alive
            await engine.claims.clear()
        server = EngineServer(engine.app, listener, tls, conduct.departure)
        await _run_together(server, (*engine.background, *certificate_work, *signing_work))


async def _run_together(
    server: EngineServer, background: Sequence[Callable[[], Awaitable[None]]]
) -> None:
    """Serve, with the background beside it: whichever fails ends all, for a supervisor to see."""

    async def work(run: Callable[[], Awaitable[None]]) -> None:
        await run()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(run)) for run in background]
        await server.run_until_stopped()
        for task in tasks:
            task.cancel()


def _load_safekeeping(settings: Settings, directory: DataDirectory) -> Safekeeping:
    """Read keys and make those that sign; raises KeyFileError, SigningError."""
    signing = None if settings.no_signing else SigningDirectory(directory.signing)
    if signing is not None:
        signing.ensure_signer(_utc_now())  # what is wrong is told at the start, not at night
    return Safekeeping(
        signing,
        Recipients((*settings.recipient, *load_recipients(settings.recipients_file))),
        load_identities(settings.identity_file),
        settings.require_signature,
    )


def _find_volume_work(
    settings: Settings,
    directory: DataDirectory,
    cluster: ClusterConnection,
    environment: Mapping[str, str],
) -> VolumeWork | None:
    """Choose what works on volumes; None: this engine has no DATA backups."""
    if settings.volumes_dir is None and settings.mover_image is None:
        return None
    places = RepositoryPlaces(
        settings.repository_url or directory.repositories.as_uri(),
        settings.repository_credentials_file,
        environment,
    )
    named = settings.repository_password_secret
    passwords = (
        FilePasswords(directory.repository_passwords)
        if named is None
        else SecretPasswords(ClusterSecrets(cluster), named.resolve())
    )
    binary = find_kopia(settings.kopia)
    executor: Executor = (
        JobExecutor(cluster, MoverSettings(settings.mover_image))
        if settings.mover_image is not None
        else LocalExecutor(settings.volumes_dir or Path(), binary, directory.kopia / "movers")
    )
    return VolumeWork(
        executor,
        Repositories(places, passwords, binary, directory.kopia / "engine"),
        KeepingRules(settings.scan_interval, settings.verify_interval, settings.verify_percent),
    )


async def _open_tls(
    settings: Settings, directory: DataDirectory, secrets: ClusterSecrets
) -> tuple[SSLContext | None, Work]:
    """Prepare TLS and the work that keeps it fresh; (None, ()) for plain HTTP."""
    if settings.plain_http:
        return None, ()
    own = () if settings.listen.is_any else (settings.listen.host,)
    names = (*ALWAYS_NAMED, *own, *settings.tls_name)
    if settings.tls_secret is not None:
        ref = settings.tls_secret.resolve()
        shared = SharedCertificate(secrets, ref, directory.tls, names, _utc_now)
        await shared.ensure()
        context = await asyncio.to_thread(build_server_context, shared.files)
        return context, (lambda: shared.keep_fresh(context),)
    if settings.tls_cert is not None and settings.tls_key is not None:
        files, ensure = CertificateFiles(settings.tls_cert, settings.tls_key), None
    else:

        def ensure() -> CertificateFiles:
            return ensure_self_signed(directory.tls, names, _utc_now())

        files = await asyncio.to_thread(ensure)
    context = await asyncio.to_thread(build_server_context, files)
    return context, (lambda: keep_certificate_fresh(context, files, ensure),)


async def _share_signing(
    settings: Settings, directory: DataDirectory, secrets: ClusterSecrets
) -> Work:
    """Take the signing keys from a Secret, where one is named, and go on doing so."""
    if settings.signing_secret is None:
        return ()
    signing = SigningDirectory(directory.signing)
    shared = SharedSigning(secrets, settings.signing_secret.resolve(), signing, _utc_now)
    await shared.ensure()
    return (shared.keep_fresh,)


async def _open_tokens(settings: Settings, directory: DataDirectory) -> TokenFile:
    if settings.token_file is not None:
        tokens = TokenFile(settings.token_file)
    else:
        await asyncio.to_thread(ensure_token, directory.token)
        tokens = TokenFile(directory.token, OWN_LABEL)
    await tokens.load()
    return tokens


async def _open_logins(settings: Settings, database: Database) -> Logins | None:
    path = settings.users_file
    if path is None:
        return None
    users: WatchedFile[Users] = WatchedFile(
        path, "users file", lambda text: parse_users_file(text, path), UsersFileError, empty={}
    )
    await users.load()
    return Logins(users, database, _utc_now)


def _find_cluster(settings: Settings, environment: Mapping[str, str]) -> ClusterConnection:
    """Choose the cluster as kubectl does: the option, $KUBECONFIG, ~/.kube/config, the pod's."""
    if settings.kubeconfig is not None:
        return ClusterConnection.from_kubeconfig(settings.kubeconfig)
    named = [Path(name) for name in environment.get("KUBECONFIG", "").split(os.pathsep) if name]
    if len(named) > 1:
        raise UsageError("$KUBECONFIG names several files; choose one with --kubeconfig")
    if named:
        return ClusterConnection.from_kubeconfig(named[0])
    usual = Path(environment.get("HOME", "/")) / ".kube" / "config"
    if usual.is_file():
        return ClusterConnection.from_kubeconfig(usual)
    return ClusterConnection.in_cluster()


def _operation_id(route: APIRoute) -> str:
    return route.name


def _utc_now() -> datetime:
    return datetime.now(UTC)
