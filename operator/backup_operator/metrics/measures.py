"""What is counted while it happens; it begins at zero with each process, as counters do."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from backup_api.endpoints import Endpoint
from backup_api.exceptions import NotSentError
from backup_operator.cluster.cache import Key
from backup_operator.reconcile.queue import Outcome

NO_ANSWER: Final = "none"
MOST_ENGINES: Final = 100
OTHER: Final = "other"

REQUEST_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECONCILE_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class Measures:
    """Counters and histograms, in a registry of their own.

    No label takes its value from a Backup: kinds, endpoints and statuses are few, and engines
    beyond the first hundred share one name.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._reconciles = Counter(
            "backup_operator_reconciles",
            "Reconciliations by kind and outcome: done, retry, or error (a bug).",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._reconcile_s = Histogram(
            "backup_operator_reconcile_duration_seconds",
            "How long a reconciliation took, its requests included.",
            ("kind",),
            buckets=RECONCILE_BUCKETS_S,
            registry=self.registry,
        )
        self._request_s = Histogram(
            "backup_operator_engine_request_duration_seconds",
            "How long an engine took to answer, by endpoint and HTTP status; none: no answer.",
            ("engine", "endpoint", "status"),
            buckets=REQUEST_BUCKETS_S,
            registry=self.registry,
        )
        self._engines: set[str] = set()

    def account(self, key: Key, outcome: Outcome, seconds: float) -> None:
        """Count one reconciliation."""
        self._reconciles.labels(key.kind, outcome.value).inc()
        self._reconcile_s.labels(key.kind).observe(seconds)

    def request_ended(
        self, engine: str, endpoint: Endpoint, http_status: int | None, seconds: float
    ) -> None:
        """Count one request to an engine."""
        status = NO_ANSWER if http_status is None else str(http_status)
        self._request_s.labels(self._known(engine), str(endpoint), status).observe(seconds)

    def _known(self, engine: str) -> str:
        if engine not in self._engines and len(self._engines) >= MOST_ENGINES:
            return OTHER
        self._engines.add(engine)
        return engine


class LeaderRequests:
    """Watches the requests to one engine: none leaves once this replica does not lead."""

    def __init__(self, engine: str, may_act: Callable[[], bool], measures: Measures) -> None:
        self._engine = engine
        self._may_act = may_act
        self._measures = measures

    def leaving(self, endpoint: Endpoint) -> None:
        """Let a request go; raises NotSentError if another replica leads by now."""
        if not self._may_act():
            raise NotSentError(endpoint, "another replica leads")

    def ended(self, endpoint: Endpoint, http_status: int | None, seconds: float) -> None:
        """Count the request."""
        self._measures.request_ended(self._engine, endpoint, http_status, seconds)
