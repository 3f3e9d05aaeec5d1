"""What the engine knows about a caller, and why one is turned away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, unique


@unique
class Verb(StrEnum):
    """What is asked for on a virtual resource of Kubernetes' access control."""

    GET = "get"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@unique
class Resource(StrEnum):
    """The virtual resources, one per capability; no such objects exist in the cluster."""

    BACKUPS = "backups"
    CONFIGURATIONS = "configurations"
    DEPLOYS = "deploys"
    HOSTS = "hosts"
    ARCHIVES = "archives"  # what is in them, Secrets apart
    SECRETS = "secrets"  # those in archives, in clear
    RESTORES = "restores"


@dataclass(frozen=True, slots=True)
class Right:
    """What an endpoint asks of its caller."""

    verb: Verb
    resource: Resource

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(frozen=True, slots=True)
class ClusterUser:
    """Whom the API server recognised by a token."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    ``name`` is what records tell as their initiator; ``user`` None: an authorized-service token or
    a user with a password, who may do everything (spec §13 no. 1).
    """

    name: str
    user: ClusterUser | None = None


class UnknownCallerError(Exception):
    """No credentials, or none that are accepted: 401/18.

    ``is_failure``: some were sent and are wrong. ``retry_after_s`` None: trying again is no use.
    """

    def __init__(
        self, message: str, *, is_failure: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.is_failure = is_failure
        self.retry_after_s = retry_after_s


class ReviewFailedError(Exception):
    """The API server could not be asked who a caller is or what they may do: 503."""
