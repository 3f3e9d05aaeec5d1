"""Which of several replicas may act (ADR 2): the rules of a lease, on clocks that agree in rate.

No replica trusts the time that another one wrote. Each measures by its own clock for how long the
lease has not changed; only the lengths have to agree, never the hours.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Lengths of time in seconds: ``retry`` < ``renew_deadline`` < ``duration``.

    ``duration``: how long the others leave a lease alone that is not renewed. ``renew_deadline``:
    how long its holder goes on acting without a renewal. ``retry``: between two attempts.
    """

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """A lease as it was read; ``holder`` empty: nobody has it."""

    holder: str
    duration_s: float


def may_take(lease: LeaseSeen | None, me: str, unchanged_s: float) -> bool:
    """Tell whether ``me`` may take a lease that has not changed for ``unchanged_s``.

    The holder's own duration counts, for it may have been started with another one.
    """
    if lease is None or not lease.holder or lease.holder == me:
        return True
    return unchanged_s >= lease.duration_s


def next_look_s(lease: LeaseSeen, unchanged_s: float, times: LeaseTimes) -> float:
    """Return how long a standby waits before it looks again: never past the lease's end."""
    return max(0.0, min(times.retry_s, lease.duration_s - unchanged_s))


def may_act(renewed_ago_s: float, times: LeaseTimes) -> bool:
    """Tell whether a holder that asked for its last renewal ``renewed_ago_s`` ago may act.

    Counted from the sending, not from the answer: the others may have seen it as early as that.
    """
    return renewed_ago_s < times.renew_deadline_s
