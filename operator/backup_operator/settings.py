"""Settings of the operator: command line first, then ``BACKUP_OPERATOR_…``."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backup_operator.errors import ExpectedError
from backup_operator.resources.durations import Between, Duration

PREFIX: Final = "BACKUP_OPERATOR_"


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
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @field_validator("namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):  # of the environment
            if value.startswith("["):
                return json.loads(value)
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value


def read_settings(given: dict[str, Any]) -> OperatorSettings:
    """Combine what was given on the command line with the environment; raises SettingsError."""
    try:
        return OperatorSettings(
            **{name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as findings:
        problems = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in findings.errors()
        )
        raise SettingsError(f"settings: {problems} (option or {PREFIX}…)") from None
