"""Which gaps a capture may have and still be a success. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backup_engine.archive.manifest import Policy, Skipped
from backup_engine.capture.errors import CaptureError
from backup_engine.capture.scope import matches_kind


class Gap(StrEnum):
    """Why a kind that belongs into the archive is not in it, or not all of it."""

    FORBIDDEN = "Forbidden"  # the engine's account may not list it
    UNAVAILABLE = "Unavailable"  # the API server behind the group does not answer
    FAILED = "Failed"  # refused in another way, or answered with what cannot be read


@dataclass(frozen=True, slots=True)
class SuccessPolicy:
    """For each gap the kinds in which it is tolerated, by the globs of a scope; by default none.

    A group whose server is down has the one name ``*.<group>``, as its kinds are not known.
    """

    tolerate_forbidden: tuple[str, ...] = ()
    tolerate_unavailable: tuple[str, ...] = ()
    tolerate_failed: tuple[str, ...] = ()

    def tolerates(self, gap: Gap, group: str, resource: str) -> bool:
        """Tell whether a capture with this gap may be a success."""
        globs = {
            Gap.FORBIDDEN: self.tolerate_forbidden,
            Gap.UNAVAILABLE: self.tolerate_unavailable,
            Gap.FAILED: self.tolerate_failed,
        }
        return matches_kind(globs[gap], group, resource)

    def judge(self, gap: Gap, group: str, skipped: Skipped) -> Skipped:
        """Return ``skipped`` if the gap is tolerated; else raise CaptureError with its reason."""
        if self.tolerates(gap, group, skipped.resource):
            return skipped
        raise CaptureError(skipped.reason, skipped.message)

    def describe(self) -> Policy:
        """Build the manifest's account."""
        return Policy(
            tolerate_forbidden=self.tolerate_forbidden,
            tolerate_unavailable=self.tolerate_unavailable,
            tolerate_failed=self.tolerate_failed,
        )


STRICT: Final = SuccessPolicy()
