"""The password of each host's repository: made once, kept in a file or in a Secret.

Whoever loses it loses the backups, so it is never made anew where one was before.
"""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Final, Protocol

from backup_engine.cluster_keys.secrets import (
    OPAQUE,
    ClusterSecrets,
    SecretChangedError,
    SecretError,
    SecretRef,
)
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.place import build_repository_name

KEY: Final = "password"
_BYTES: Final = 32


class Passwords(Protocol):
    """Knows the passwords of repositories."""

    async def get(self, host_id: int, hostname: str) -> str:
        """Get the password of a host's repository; raises VolumeError."""

    async def ensure(self, host_id: int, hostname: str) -> str:
        """Get it, or make and keep one; raises VolumeError."""


class FilePasswords:
    """One file a host, for the engine's user only: ``<folder>/<hostname>_<id>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, host_id: int, hostname: str) -> str:
        """Read it from its file."""
        return await asyncio.to_thread(self._read, build_repository_name(host_id, hostname))

    async def ensure(self, host_id: int, hostname: str) -> str:
        """Read it, or write one first; two engines at once agree on one."""
        name = build_repository_name(host_id, hostname)
        return await asyncio.to_thread(self._ensure, name)

    def _read(self, name: str) -> str:
        try:
            password = (self._folder / name).read_text().strip()
        except OSError as trouble:
            raise _unreadable(f"{self._folder / name}: {trouble.strerror}") from trouble
        if not password:
            raise _unreadable(f"{self._folder / name} is empty")
        return password

    def _ensure(self, name: str) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / name
        if not path.exists():
            unfinished = path.with_name(f".{name}.{os.getpid()}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(f"{secrets.token_urlsafe(_BYTES)}\n")
                handle.flush()
                os.fsync(handle.fileno())
            try:
                os.link(unfinished, path)  # refuses to replace: whoever was first has made it
            except FileExistsError:
                pass
            finally:
                unfinished.unlink()
        return self._read(name)


class SecretPasswords:
    """One Secret a host, ``<prefix>-<hostname>``, its password under ``password``."""

    def __init__(self, cluster_secrets: ClusterSecrets, prefix: SecretRef) -> None:
        self._secrets = cluster_secrets
        self._prefix = prefix

    async def get(self, host_id: int, hostname: str) -> str:  # noqa: ARG002 - the name is enough
        """Read it from its Secret."""
        password = await self._find(self._ref(hostname))
        if password is None:
            raise _unreadable(f"there is no Secret {self._ref(hostname)}")
        return password

    async def ensure(self, host_id: int, hostname: str) -> str:
        """Read it, or create the Secret first; two engines at once agree on one."""
        ref = self._ref(hostname)
        if (password := await self._find(ref)) is not None:
            return password
        made = secrets.token_urlsafe(_BYTES).encode()
        try:
            await self._secrets.create(ref, {KEY: made}, OPAQUE)
        except SecretChangedError:
            pass
        except SecretError as trouble:
            raise _unreadable(str(trouble)) from trouble
        return await self.get(host_id, hostname)

    def _ref(self, hostname: str) -> SecretRef:
        return SecretRef(f"{self._prefix.name}-{hostname}", self._prefix.namespace)

    async def _find(self, ref: SecretRef) -> str | None:
        try:
            stored = await self._secrets.find(ref)
        except SecretError as trouble:
            raise _unreadable(str(trouble)) from trouble
        if stored is None:
            return None
        password = stored.data.get(KEY, b"").decode(errors="replace").strip()
        if not password:
            raise _unreadable(f"Secret {ref} has nothing under {KEY!r}")
        return password


def _unreadable(what: str) -> VolumeError:
    return VolumeError("PasswordMissing", f"password of the repository: {what}")
