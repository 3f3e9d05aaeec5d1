"""Settings of the operator: command line first, then ``BACKUP_OPERATOR_…``."""

import json
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backup_operator.decisions.leadership import LeaseTimes
from backup_operator.errors import ExpectedError
from backup_operator.resources.durations import Between, Duration

PREFIX: Final = "BACKUP_OPERATOR_"
LeaseTime = Annotated[Duration, Between("1s", "1h")]


class SettingsError(ExpectedError):
    """An option or an environment variable has a value that makes no sense."""


class OperatorSettings(BaseSettings):
    """What ``run`` can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    kubeconfig: Path | None = None  # None: the pod's ServiceAccount, or the user's kubeconfig
    namespaces: Annotated[tuple[str, ...], NoDecode] = ()  # none: all
    metrics_port: int | None = Field(default=None, ge=0, le=65535)  # None: none are served
    metrics_address: str = "127.0.0.1"
    sweep_interval: Annotated[Duration, Between("1s", "24h")] = timedelta(minutes=5)
    workers: int = Field(default=64, ge=1, le=1000)
    leader_elect: bool = False
    leader_election_namespace: str | None = None  # None: that of the pod
    leader_election_name: str = "backup-operator"
    lease_duration: LeaseTime = timedelta(seconds=15)
    renew_deadline: LeaseTime = timedelta(seconds=10)
    retry_period: LeaseTime = timedelta(seconds=2)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):  # of the environment
            if value.startswith("["):
                return json.loads(value)
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _stop_before_the_lease_ends(self) -> Self:
        if not self.retry_period < self.renew_deadline < self.lease_duration:
            raise ValueError(
                "--retry-period must be shorter than --renew-deadline, and that shorter than"
                f" --lease-duration; found {self.retry_period.total_seconds():g},"
                f" {self.renew_deadline.total_seconds():g} and"
                f" {self.lease_duration.total_seconds():g} s"
            )
        return self

    @property
    def instance(self) -> str:
        """Name of this replica for people: that of its pod, or of the machine."""
        return os.environ.get("POD_NAME") or socket.gethostname()

    @property
    def lease_times(self) -> LeaseTimes:
        """How the lease is kept."""
        return LeaseTimes(
            self.lease_duration.total_seconds(),
            self.renew_deadline.total_seconds(),
            self.retry_period.total_seconds(),
        )


def read_settings(given: dict[str, Any]) -> OperatorSettings:
    """Combine what was given on the command line with the environment; raises SettingsError."""
    try:
        return OperatorSettings(
            **{name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as findings:
        problems = "; ".join(
            _name(error["loc"])
            + ("expected " if error["type"] == "rule" else "")
            + error["msg"].removeprefix("Value error, ")
            for error in findings.errors(include_url=False, include_input=False)
        )
        raise SettingsError(problems) from None


def _name(location: tuple[int | str, ...]) -> str:
    """Name an option as it can be given; empty for what concerns several of them."""
    if not location:
        return ""
    name = str(location[0])
    option = name.removesuffix("s") if name == "namespaces" else name
    return f"--{option.replace('_', '-')} ({PREFIX}{name.upper()}): "
