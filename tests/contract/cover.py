"""What covers a row of the code tables: a case, or the reason why none can."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """A test of this suite, as ``file::function``."""

    test: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Why no case can exist."""

    reason: str


Cover = Case | Absent

BROKEN = Absent(
    "a server in good health never answers so; tests/api plays it as a fault for the client"
)
NO_ACTIVE_DATA_HOST = Absent(
    "the engine of this suite works on no volumes, so 1010 always comes first; tests/volumes"
    " provokes it on one that does"
)
OPEN_TO_ALL = Absent(
    "any known caller may read hosts and versions; spec §2.2 speaks of the backup endpoints only"
)
NO_DATA_RUNS = Absent(
    "the engine of this suite works on no volumes; tests/volumes provokes it on one that does"
)
ONLY_BY_LEVER = Absent("no request brings the engine there; tests/engine plays it from inside")
NO_SERIALIZED_LICENCE = Absent("no host of the engine has a licence")
NO_HARDWARE_LIMIT = Absent("the engine knows no hardware limit; its empty licence pool answers")
NO_TUNNELS = Absent("no host of the engine has a tunnel, so 404/1012 always comes first")
NO_TEXT = Absent("the reference publishes neither text nor cause (spec §13 no. 13)")
NO_SUCH_MEMBER = Absent("it concerns members outside the published request (spec §13 no. 14)")
NO_SUCH_GROUP = Absent("no documented group leads to it (spec §12 no. 3)")
REFUSED_ALWAYS = Absent("the operation is refused with 404/1001, so it cannot fail (spec §4.6)")
NOT_YET = Absent("the engine does not serve this endpoint yet")
