"""What can be set: options of ``serve``, each also an environment variable BACKUP_ENGINE_…."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backup_engine.cluster_keys.secrets import SecretRef, parse_secret_ref
from backup_engine.environment import PREFIX
from backup_engine.errors import EngineError
from backup_engine.records.sqlite import is_sqlite
from backup_engine.runs.claims import TAKEOVER_S
from backup_engine.runs.repository_keeping import VERIFY_PERCENT
from backup_engine.runs.restoring import TIME_LIMIT_S
from backup_engine.runs.scanning import VERIFY_BYTES_PER_S, VERIFY_EVERY_S
from backup_engine.runs.schedule import parse_time_of_day
from backup_engine.volumes.mover_job import (
    CPU_REQUEST,
    MEMORY_LIMIT,
    MEMORY_REQUEST,
    MoverSettings,
)
from backup_engine.volumes.object_lock import (
    DEFAULT_DAYS,
    LONGEST_DAYS,
    SHORTEST_DAYS,
    LockMode,
)
from backup_engine.volumes.place import parse_repository_url
from backup_engine.volumes.tolerations import parse_toleration

HIGHEST_PORT: Final = 65535
DEFAULT_ENGINE_NAME: Final = "in-cluster"
"""What our manifests call the BackupEngine that is this engine."""

_QUANTITY: Final = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?", re.ASCII)


class UsageError(EngineError):
    """The options or environment variables make no sense; ends the program with 2."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the server listens; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_any(self) -> bool:
        """Whether the address stands for all of the machine's addresses, as 0.0.0.0 does."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False


def parse_listen_address(text: str) -> ListenAddress:
    """Read ``ADDRESS:PORT``, an IPv6 address in square brackets; raises ValueError."""
    host, separator, port = text.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    is_port = port.isascii() and port.isdecimal() and int(port) <= HIGHEST_PORT
    if not (separator and host and is_port) or (":" in host and not is_bracketed):
        raise ValueError(f"expected ADDRESS:PORT such as 127.0.0.1:8443, found {text!r}")
    return ListenAddress(host, int(port))


class Settings(BaseSettings):
    """Settings of ``serve``; a None falls back to what architecture §7 says."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    listen: Annotated[ListenAddress, NoDecode]
    data_dir: Path
    kubeconfig: Path | None = None
    engine_name: str = DEFAULT_ENGINE_NAME
    token_file: Path | None = None
    users_file: Path | None = None
    database_url: str | None = Field(default=None, repr=False)  # may hold a password
    database_password_file: Path | None = None
    takeover_after: float = Field(default=TAKEOVER_S, ge=1, le=600)  # seconds
    archive_url: str | None = None
    recipient: Annotated[tuple[str, ...], NoDecode] = ()
    recipients_file: Annotated[tuple[Path, ...], NoDecode] = ()
    identity_file: Annotated[tuple[Path, ...], NoDecode] = ()
    require_signature: bool = False
    no_signing: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_self_signed: bool = False
    tls_secret: Annotated[SecretRef | None, NoDecode] = None
    signing_secret: Annotated[SecretRef | None, NoDecode] = None
    plain_http: bool = False
    tls_name: Annotated[tuple[str, ...], NoDecode] = ()
    archive_credentials_file: Path | None = None
    volumes_dir: Path | None = None
    mover_image: str | None = None
    mover_cpu_request: str = CPU_REQUEST
    mover_memory_request: str = MEMORY_REQUEST
    mover_memory_limit: str = MEMORY_LIMIT
    mover_toleration: Annotated[tuple[str, ...], NoDecode] = ()
    repository_url: str | None = None
    repository_credentials_file: Path | None = None
    repository_password_secret: Annotated[SecretRef | None, NoDecode] = None
    repository_lock: LockMode | None = None
    repository_lock_days: int = Field(default=DEFAULT_DAYS, ge=SHORTEST_DAYS, le=LONGEST_DAYS)
    kopia: str | None = None
    verify_percent: float = Field(default=VERIFY_PERCENT, ge=0, le=100)  # of a snapshot's files
    scan_interval: float = Field(default=60.0, gt=0)  # seconds
    verify_interval: float = Field(default=VERIFY_EVERY_S, gt=0)  # seconds
    verify_rate: int = Field(default=VERIFY_BYTES_PER_S, ge=0)  # bytes a second; 0: unbounded
    nightly_at: Annotated[time, NoDecode] = time(0, 0)
    time_zone: Annotated[ZoneInfo, NoDecode] = ZoneInfo("UTC")
    restore_time_limit: float = Field(default=TIME_LIMIT_S, ge=60)  # seconds
    drain: float = Field(default=0.0, ge=0, le=600)  # seconds
    log_level: str = "info"

    @field_validator("listen", mode="before")
    @classmethod
    def _parse_listen(cls, value: object) -> object:
        return parse_listen_address(value) if isinstance(value, str) else value

    @field_validator("tls_secret", "signing_secret", "repository_password_secret", mode="before")
    @classmethod
    def _parse_secret(cls, value: object) -> object:
        return parse_secret_ref(value) if isinstance(value, str) else value

    @field_validator("nightly_at", mode="before")
    @classmethod
    def _parse_nightly_at(cls, value: object) -> object:
        return parse_time_of_day(value) if isinstance(value, str) else value

    @field_validator("time_zone", mode="before")
    @classmethod
    def _parse_time_zone(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as trouble:
            raise ValueError(
                f"expected the name of a time zone such as Europe/Berlin, found {value!r}"
            ) from trouble

    @field_validator(
        *("tls_name", "recipient", "recipients_file", "identity_file", "mover_toleration"),
        mode="before",
    )
    @classmethod
    def _split_names(cls, value: object) -> object:
        if isinstance(value, str):  # in the environment: separated by commas
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("repository_url")
    @classmethod
    def _check_repository_url(cls, value: str | None) -> str | None:
        return parse_repository_url(value) if value is not None else None

    @field_validator("mover_cpu_request", "mover_memory_request", "mover_memory_limit")
    @classmethod
    def _check_quantity(cls, value: str) -> str:
        if _QUANTITY.fullmatch(value) is None:
            raise ValueError(f"expected a quantity such as 100m, 2 or 512Mi, found {value!r}")
        return value

    @field_validator("mover_toleration")
    @classmethod
    def _check_tolerations(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            parse_toleration(each)
        return value

    @field_validator("log_level")
    @classmethod
    def _check_level(cls, value: str) -> str:
        if value.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("expected debug, info, warning or error")
        return value.lower()

    @field_validator(
        "data_dir",
        "kubeconfig",
        "token_file",
        "archive_credentials_file",
        "repository_credentials_file",
        "volumes_dir",
        "users_file",
        "database_password_file",
        "tls_cert",
        "tls_key",
    )
    @classmethod
    def _make_absolute(cls, value: Path | None) -> Path | None:
        return value.absolute() if value is not None else None

    @field_validator("recipients_file", "identity_file")
    @classmethod
    def _make_all_absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.absolute() for path in value)

    @model_validator(mode="after")
    def _check_database(self) -> Self:
        url = self.database_url
        if self.database_password_file is not None and (url is None or is_sqlite(url)):
            raise ValueError("--database-password-file belongs to a --database-url of PostgreSQL")
        return self

    @model_validator(mode="after")
    def _check_signing(self) -> Self:
        if self.no_signing and self.require_signature:
            raise ValueError("--no-signing and --require-signature exclude each other")
        if self.no_signing and self.signing_secret is not None:
            raise ValueError("--no-signing and --signing-secret exclude each other")
        return self

    @model_validator(mode="after")
    def _check_volumes(self) -> Self:
        if self.volumes_dir is not None and self.mover_image is not None:
            raise ValueError("--volumes-dir and --mover-image exclude each other")
        is_in_bucket = (self.repository_url or "").startswith("s3://")
        if self.mover_image is not None and not is_in_bucket:
            raise ValueError(
                "--mover-image needs --repository-url s3://bucket/prefix: movers run in other pods,"
                " which have no part in the engine's directories"
            )
        if self.repository_lock is not None and not is_in_bucket:
            raise ValueError(
                "--repository-lock needs --repository-url s3://bucket/prefix: a directory locks"
                " nothing"
            )
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        given = self.tls_cert is not None or self.tls_key is not None
        if given and (self.tls_cert is None or self.tls_key is None):
            raise ValueError("--tls-cert and --tls-key belong together")
        is_shared = self.tls_secret is not None
        if [given, self.tls_self_signed, is_shared, self.plain_http].count(True) != 1:
            raise ValueError(
                "choose one of --tls-cert with --tls-key, --tls-self-signed, --tls-secret,"
                " --plain-http"
            )
        if self.plain_http and not self.listen.is_loopback:
            raise ValueError(
                "--plain-http would send tokens over the network in the clear; it is only for a"
                f" loopback address such as 127.0.0.1, not {self.listen.host}"
            )
        return self

    @property
    def mover(self) -> MoverSettings | None:
        """What all movers have in common; None: there are none."""
        if self.mover_image is None:
            return None
        return MoverSettings(
            image=self.mover_image,
            cpu_request=self.mover_cpu_request,
            memory_request=self.mover_memory_request,
            memory_limit=self.mover_memory_limit,
            tolerations=tuple(parse_toleration(each) for each in self.mover_toleration),
        )


def read_settings(options: dict[str, object]) -> Settings:
    """Combine ``options`` with the environment, options first; raises UsageError."""
    try:
        return Settings(**options)  # type: ignore[arg-type]
    except ValidationError as trouble:
        problems = [
            f"{_option(problem['loc'])}{problem['msg'].removeprefix('Value error, ')}"
            for problem in trouble.errors(include_url=False, include_input=False)
        ]
        raise UsageError("; ".join(problems)) from trouble


def _option(location: tuple[int | str, ...]) -> str:
    return f"--{str(location[0]).replace('_', '-')}: " if location else ""
