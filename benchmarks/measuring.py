"""What the benchmarks share: a measured run, the row it becomes, and a cluster to run against."""

import contextlib
import os
import re
import resource
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from backup_sandbox import running_sandbox


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; seconds are those of the work, without starting Python."""

    objects: int
    seconds: float
    peak_rss_mb: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    what: str
    objects: int
    min_s: float
    median_s: float
    objects_per_s: int
    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True, slots=True)
class Budget:
    """One figure, as text, beside what it may be at most, unless ``allowed`` says otherwise."""

    what: str
    found: str
    allowed: str
    is_met: bool

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.found} (budget {self.allowed}){'' if self.is_met else ' MISSED'}"
        )


def finish_run(objects: int, seconds: float) -> Run:
    """Sum up the work that this process has done, and nothing else."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Run(objects, seconds, read_peak_rss_mb(), used.ru_utime + used.ru_stime)


def read_cpu_s(pid: int) -> float:
    """Return the processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_peak_rss_mb(pid: int | None = None) -> float:
    """Return the largest resident set of a process so far, in MiB; None: of this one.

    Read from the kernel's own account: ``ru_maxrss`` of a child begins with that of its parent.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid or 'self'}/status").read_text())
    if found is None:
        raise RuntimeError("this kernel does not tell VmHWM; the benchmarks need Linux")
    return int(found[1]) / 1024


def build_row(what: str, objects: int, runs: Sequence[Run]) -> Row:
    """Sum up the runs of one kind; the rate is that of the median."""
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    return Row(
        what=what,
        objects=objects,
        min_s=round(min(seconds), 3),
        median_s=round(median, 3),
        objects_per_s=round(objects / median),
        cpu_s=round(statistics.median(run.cpu_s for run in runs), 2),
        peak_rss_mb=round(max(run.peak_rss_mb for run in runs), 1),
    )


def build_table(rows: Sequence[Row]) -> list[str]:
    """Lay the rows out for people, a line each under a heading."""
    head = f"{'what':<12}{'objects':>9}{'min s':>9}{'median s':>10}{'objects/s':>11}"
    return [
        head + f"{'cpu s':>8}{'peak RSS MB':>13}",
        *(
            f"{row.what:<12}{row.objects:>9}{row.min_s:>9.3f}{row.median_s:>10.3f}"
            f"{row.objects_per_s:>11}{row.cpu_s:>8.2f}{row.peak_rss_mb:>13.1f}"
            for row in rows
        ),
    ]


@contextlib.contextmanager
def api_server(given: Path | None) -> Iterator[Path]:
    """Yield a kubeconfig: the given one, or that of a sandbox for the time being."""
    if given is not None:
        yield given
        return
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-sandbox-") as place,
        running_sandbox(Path(place)) as sandbox,
    ):
        yield Path(sandbox.kubeconfig)
