"""Figures that are read from the objects at each scrape, and so are true after any restart."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from backup_operator.cluster.cache import ObjectCache
from backup_operator.cluster.entries import ScheduledSuccess
from backup_operator.resources.engine import Circuit
from backup_operator.resources.group import BACKUP

MOST_SCHEDULES: Final = 1000
UNKNOWN: Final = "none"


@dataclass(frozen=True, slots=True)
class EngineReading:
    """One engine at the moment of a scrape."""

    name: str
    is_usable: bool
    circuit: Circuit
    poll_lag_s: float


@dataclass(frozen=True, slots=True)
class Reading:
    """The program at the moment of a scrape; a standby has no queue and no engines."""

    is_leader: bool
    queue_length: int = 0
    queue_oldest_wait_s: float = 0.0
    engines: tuple[EngineReading, ...] = ()
    watches_down_s: float = 0.0


class DerivedFigures(Collector):
    """Yields gauges from the cache, whose statuses hold everything that must outlive a restart."""

    def __init__(self, cache: ObjectCache, read: Callable[[], Reading]) -> None:
        self._cache = cache
        self._read = read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Describe nothing beforehand, or registering would already collect."""
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every gauge."""
        reading = self._read()
        yield _gauge("leader", "Whether this replica leads.", float(reading.is_leader))
        yield _gauge(
            "queue_length", "Objects that wait or are worked on.", float(reading.queue_length)
        )
        yield _gauge(
            "queue_oldest_wait_seconds",
            "How long the next object has been waiting for a worker.",
            reading.queue_oldest_wait_s,
        )
        yield _gauge(
            "watches_down_seconds", "How long nothing has been watched.", reading.watches_down_s
        )
        yield from _engines(reading.engines)
        yield self._backups()
        yield from self._schedules()

    def _backups(self) -> GaugeMetricFamily:
        counts = Counter(
            (entry.engine_name or UNKNOWN, entry.backup_type or UNKNOWN, entry.phase or UNKNOWN)
            for entry in self._cache.entries(BACKUP)
        )
        family = _family("backups", "Backups by engine, type and phase.", "engine", "type", "phase")
        for labels, count in sorted(counts.items()):
            family.add_metric(labels, count)
        return family

    def _schedules(self) -> Iterator[GaugeMetricFamily]:
        latest: dict[tuple[str, str], ScheduledSuccess] = {}
        for entry in self._cache.entries(BACKUP):
            success = entry.success
            if success is None:
                continue
            place = (entry.key.namespace, success.schedule)
            known = latest.get(place)
            if known is None or known.completed_at < success.completed_at:
                latest[place] = success
        newest = sorted(latest.items(), key=lambda item: item[1].completed_at, reverse=True)
        ends = _family(
            "schedule_last_success_timestamp_seconds",
            "When the newest good backup of a schedule ended.",
            "namespace",
            "schedule",
        )
        sizes = _family("schedule_last_success_size_bytes", "Its size.", "namespace", "schedule")
        lengths = _family(
            "schedule_last_success_duration_seconds", "How long it took.", "namespace", "schedule"
        )
        for place, success in newest[:MOST_SCHEDULES]:
            ends.add_metric(place, success.completed_at.timestamp())
            if success.size_bytes is not None:
                sizes.add_metric(place, success.size_bytes)
            if success.duration_s is not None:
                lengths.add_metric(place, success.duration_s)
        yield from (ends, sizes, lengths)


def _engines(engines: Iterable[EngineReading]) -> Iterator[GaugeMetricFamily]:
    up = _family("engine_up", "Whether requests flow to the engine.", "engine")
    circuit = _family(
        "engine_circuit_state", "1 for the state that the circuit is in.", "engine", "state"
    )
    lag = _family(
        "engine_poll_lag_seconds",
        "How long ago the running backups were last read; 0: none runs.",
        "engine",
    )
    for engine in engines:
        up.add_metric((engine.name,), float(engine.is_usable))
        lag.add_metric((engine.name,), engine.poll_lag_s)
        for state in Circuit:
            circuit.add_metric((engine.name, state.value), float(state is engine.circuit))
    yield from (up, circuit, lag)


def _family(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"backup_operator_{name}", words, labels=labels)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    family = _family(name, words)
    family.add_metric((), value)
    return family
