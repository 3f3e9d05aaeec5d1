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


_HOST_WORDS = "SUCCESS, INITIATING, IN_PROGRESS, TIMED_OUT or ERROR"


class DeployHost(WireRecord):
    """Progress on one host; ``ip`` is its private address (spec §7.0)."""

    ip: str | None = Field(None, description="private address of the host")
    host_status: str | None = Field(None, description=_HOST_WORDS)
    status: str | None = Field(None, description=_HOST_WORDS)


class DeployStatus(WireRecord):
    """The running or the last deploy (spec §7.0).

    Prose and sample of the reference disagree, so ``status`` is any word and a map of hosts is
    read as an empty list.
    """

    type: str | None = Field(None, description="INCREMENTAL or FULL")
    status: str | None = Field(None, description="INITIALIZING, IN_PROGRESS or COMPLETE")
    percent_complete: int | None = Field(None, description="0 to 100")
    initiated_by: str | None = Field(None, description="who started it")
    initiated_from: str | None = Field(None, description="host it was started from")
    hosts: tuple[DeployHost, ...] = Field((), description="progress host by host")
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
