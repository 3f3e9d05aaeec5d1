"""The deploy on the wire: staged configuration becoming the one in force (spec §7)."""

from enum import StrEnum

from pydantic import Field, field_validator

from backup_api.wire import WireRecord, WireRequest


class DeployType(StrEnum):
    """How much is restarted; FULL interrupts event processing (spec §7.0)."""

    INCREMENTAL = "INCREMENTAL"
    FULL = "FULL"


FINISHED_DEPLOY = frozenset({"COMPLETE", "DONE"})
"""The sample's word and the prose's word for a deploy that is over (spec §7.0)."""


class DeployHost(WireRecord):
    """Progress on one host; ``ip`` is its private address (spec §7.0)."""

    ip: str | None = None
    host_status: str | None = None
    status: str | None = None


class DeployStatus(WireRecord):
    """The running or the last deploy (spec §7.0).

    Prose and sample of the reference disagree, so ``status`` is any word and a map of hosts is
    read as an empty list.
    """

    type: str | None = None
    status: str | None = None
    percent_complete: int | None = None  # 0 to 100
    initiated_by: str | None = None
    initiated_from: str | None = None
    hosts: tuple[DeployHost, ...] = Field(default=())
    error_message: str | None = None
    has_errors: bool | None = None

    @field_validator("hosts", mode="before")
    @classmethod
    def _only_the_array_form(cls, value: object) -> object:
        return value if isinstance(value, list | tuple) else ()

    @property
    def is_finished(self) -> bool:
        """Whether no deploy is running."""
        return self.status in FINISHED_DEPLOY


class StartDeploy(WireRequest):
    """Body of POST /staged_config/deploy_status: only the type matters (spec §7.2)."""

    type: DeployType = DeployType.INCREMENTAL
