"""Where the repositories of data hosts lie: a directory, or a prefix of an S3 bucket."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from backup_engine.archive.credentials_file import CredentialsFile
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.object_lock import ObjectLock

_KEY: Final = "AWS_ACCESS_KEY_ID"
_SECRET: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
_TOKEN: Final = "AWS_SESSION_TOKEN"  # noqa: S105 - the name of a variable
PASSED: Final = (_KEY, _SECRET, _TOKEN)
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,252}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RepositoryPlace:
    """One repository: how kopia is told where it is, and the secrets that it needs for that.

    ``directory`` None: it is in a bucket, where ``lock`` keeps what is stored. ``url`` is for
    people.
    """

    url: str
    arguments: tuple[str, ...]
    directory: Path | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    lock: ObjectLock | None = None


@dataclass(frozen=True, slots=True)
class RepositoryPlaces:
    """``file:///directory`` or ``s3://bucket/prefix``, below which each host has its own.

    S3 credentials are those of ``credentials_file`` (as the AWS tools read it), read again each
    time, else those of ``environment``, which also names another endpoint as it does for archives.
    """

    url: str
    credentials_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    lock: ObjectLock | None = None

    def find(self, host_id: int, hostname: str) -> RepositoryPlace:
        """Return the place of a host's repository; raises VolumeError."""
        name = build_repository_name(host_id, hostname)
        parts = urlsplit(self.url)
        if parts.scheme == "file":
            directory = Path(unquote(parts.path)) / name
            return RepositoryPlace(
                directory.as_uri(), ("filesystem", f"--path={directory}"), directory
            )
        prefix = f"{parts.path.strip('/')}/{name}/".lstrip("/")
        arguments = ("s3", f"--bucket={parts.netloc}", f"--prefix={prefix}", *self._endpoint())
        url = f"s3://{parts.netloc}/{prefix.rstrip('/')}"
        return RepositoryPlace(url, arguments, None, self._read_secrets(), self.lock)

    def _endpoint(self) -> tuple[str, ...]:
        region = self.environment.get("AWS_REGION") or self.environment.get("AWS_DEFAULT_REGION")
        chosen = [f"--region={region}"] if region else []
        named = self.environment.get("AWS_ENDPOINT_URL_S3") or self.environment.get(
            "AWS_ENDPOINT_URL"
        )
        if named:
            endpoint = urlsplit(named)
            chosen.append(f"--endpoint={endpoint.netloc}")
            if endpoint.scheme == "http":
                chosen.append("--disable-tls")
        elif region:
            chosen.append(f"--endpoint=s3.{region}.amazonaws.com")
        return tuple(chosen)

    def _read_secrets(self) -> dict[str, str]:
        if self.credentials_file is not None:
            found = CredentialsFile(self.credentials_file)()  # StorageError: a VolumeError outside
            secrets = {_KEY: found["access_key_id"], _SECRET: found["secret_access_key"]}
            token = found.get("token")
            return secrets | ({_TOKEN: token} if token else {})
        given = {name: self.environment[name] for name in PASSED if self.environment.get(name)}
        if _KEY not in given or _SECRET not in given:
            raise VolumeError(
                "CredentialsMissing",
                f"{self.url}: no credentials; set {_KEY} and {_SECRET}, or name a file with"
                " --repository-credentials-file",
            )
        return given


def build_repository_name(host_id: int, hostname: str) -> str:
    """Build ``<hostname>_<id>``, one safe path segment; raises VolumeError."""
    if not _NAME.fullmatch(hostname) or ".." in hostname:
        raise VolumeError("HostUnknown", f"{hostname!r} is no name of a data host")
    return f"{hostname}_{host_id}"


def parse_repository_url(text: str) -> str:
    """Return ``text`` if it is the URL of a place for repositories; raises ValueError."""
    parts = urlsplit(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("credentials do not belong into it; use the environment or a file")
    is_directory = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    if not is_directory and not (parts.scheme == "s3" and parts.netloc):
        raise ValueError(f"expected file:///directory or s3://bucket/prefix, found {text!r}")
    return text
