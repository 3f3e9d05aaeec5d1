"""Health and figures over HTTP, in the text format that Prometheus reads."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Figures:
    """A moment of the operator."""

    reconciles: int
    unexpected_errors: int
    queue_length: int
    backups_by_phase: Mapping[str, int]
    engines_usable: Mapping[str, bool]


def build_exposition(figures: Figures) -> str:
    """Write the figures in the Prometheus text format."""
    lines = [
        "# HELP backup_operator_reconciles_total Reconciliations since the start.",
        "# TYPE backup_operator_reconciles_total counter",
        f"backup_operator_reconciles_total {figures.reconciles}",
        "# HELP backup_operator_unexpected_errors_total Reconciliations that met a bug.",
        "# TYPE backup_operator_unexpected_errors_total counter",
        f"backup_operator_unexpected_errors_total {figures.unexpected_errors}",
        "# HELP backup_operator_queue_length Objects that wait or are worked on.",
        "# TYPE backup_operator_queue_length gauge",
        f"backup_operator_queue_length {figures.queue_length}",
        "# HELP backup_operator_backups Backups by phase.",
        "# TYPE backup_operator_backups gauge",
    ]
    lines += [
        f'backup_operator_backups{{phase="{phase}"}} {count}'
        for phase, count in sorted(figures.backups_by_phase.items())
    ]
    lines += [
        "# HELP backup_operator_engine_usable Whether requests flow to the engine.",
        "# TYPE backup_operator_engine_usable gauge",
    ]
    lines += [
        f'backup_operator_engine_usable{{engine="{name}"}} {int(usable)}'
        for name, usable in sorted(figures.engines_usable.items())
    ]
    return "\n".join(lines) + "\n"


def count_phases(phases: Counter[str | None]) -> dict[str, int]:
    """Name the phase of Backups that have none yet."""
    return {phase or "None": count for phase, count in phases.items()}


def build_application(figures: Callable[[], Figures]) -> web.Application:
    """Build the web application with ``/healthz`` and ``/metrics``."""

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=build_exposition(figures()), content_type="text/plain")

    application = web.Application()
    application.add_routes([web.get("/healthz", health), web.get("/metrics", metrics)])
    return application
