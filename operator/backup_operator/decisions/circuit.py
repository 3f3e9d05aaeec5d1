"""When an engine is left in peace, and when it is tried again."""

from dataclasses import dataclass, replace
from typing import Final

from backup_operator.resources.engine import Circuit

FAILURES_TO_OPEN: Final = 3
FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class CircuitState:
    """State of the circuit of one engine; times are seconds of the caller's clock.

    Open: no request before ``probe_at``, when one may try.
    """

    state: Circuit = Circuit.CLOSED
    failures: int = 0  # in a row
    probe_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S

    @property
    def is_closed(self) -> bool:
        """Whether requests flow."""
        return self.state is Circuit.CLOSED


def after_failure(before: CircuitState, now: float) -> CircuitState:
    """Count a request that the engine did not answer; a failed probe doubles the pause."""
    failures = before.failures + 1
    match before.state:
        case Circuit.CLOSED if failures < FAILURES_TO_OPEN:
            return replace(before, failures=failures)
        case Circuit.CLOSED:
            return CircuitState(Circuit.OPEN, failures, now + FIRST_PAUSE_S, FIRST_PAUSE_S)
        case Circuit.OPEN:  # a request that was under way when it opened
            return replace(before, failures=failures)
        case Circuit.HALF_OPEN:
            pause_s = min(before.pause_s * 2, LONGEST_PAUSE_S)
            return CircuitState(Circuit.OPEN, failures, now + pause_s, pause_s)


def after_answer() -> CircuitState:
    """Return the state after any answer, be it a refusal: the engine is there."""
    return CircuitState()


def try_once(before: CircuitState) -> CircuitState:
    """Let one request through."""
    return replace(before, state=Circuit.HALF_OPEN)
