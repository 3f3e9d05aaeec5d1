"""The composition root: alone reads settings, opens clients and hands them on."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from ssl import SSLContext
from typing import Final

from backup_engine.archive.bucket import BucketAccess
from backup_engine.archive.encryption import Recipients, load_identities, load_recipients
from backup_engine.archive.places import ArchivePlaces
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.auth.gate import Gate
from backup_engine.auth.logins import Logins
from backup_engine.auth.passwords import Users, UsersFileError, parse_users_file
from backup_engine.auth.reviews import Reviews
from backup_engine.auth.sec_tokens import OWN_LABEL, TokenFile, ensure_token
from backup_engine.auth.watched_file import WatchedFile
from backup_engine.cluster import ClusterConnection
from backup_engine.cluster_keys.certificate import SharedCertificate
from backup_engine.cluster_keys.secrets import ClusterSecrets
from backup_engine.cluster_keys.signing import SharedSigning
from backup_engine.composition import Conduct, VolumeWork, build_engine
from backup_engine.data_directory import DataDirectory, locked
from backup_engine.product import installed_product
from backup_engine.records.database import Database
from backup_engine.records.sqlite import build_sqlite_url, is_sqlite
from backup_engine.records.version import wait_until_current
from backup_engine.runs.claims import Lease
from backup_engine.runs.lookout import LookoutRules
from backup_engine.runs.nightly import NightlyRules
from backup_engine.runs.repositories import Repositories
from backup_engine.runs.repository_keeping import KeepingRules
from backup_engine.runs.restoring import RestoreRules
from backup_engine.runs.safekeeping import Safekeeping
from backup_engine.runs.scanning import ScanRules
from backup_engine.runs.schedule import NightlySchedule
from backup_engine.serving import Departure, EngineServer, open_listener
from backup_engine.settings import Settings, UsageError
from backup_engine.tls.directory import ensure_self_signed
from backup_engine.tls.serving import (
    CertificateFiles,
    build_server_context,
    keep_certificate_fresh,
)
from backup_engine.volumes.executor import Executor
from backup_engine.volumes.jobs import JobExecutor
from backup_engine.volumes.kopia import find_kopia
from backup_engine.volumes.local import LocalExecutor
from backup_engine.volumes.object_lock import ObjectLock
from backup_engine.volumes.passwords import FilePasswords, SecretPasswords
from backup_engine.volumes.place import RepositoryPlaces

ALWAYS_NAMED: Final = ("localhost", "127.0.0.1")

Work = tuple[Callable[[], Awaitable[None]], ...]


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
        await wait_until_current(database, database_url, settings.database_password_file)

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
        ObjectLock(settings.repository_lock, settings.repository_lock_days)
        if settings.repository_lock is not None
        else None,
    )
    named = settings.repository_password_secret
    passwords = (
        FilePasswords(directory.repository_passwords)
        if named is None
        else SecretPasswords(ClusterSecrets(cluster), named.resolve())
    )
    binary = find_kopia(settings.kopia)
    executor: Executor = (
        JobExecutor(cluster, mover)
        if (mover := settings.mover) is not None
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


def _utc_now() -> datetime:
    return datetime.now(UTC)
