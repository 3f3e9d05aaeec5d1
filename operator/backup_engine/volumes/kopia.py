"""kopia as a child process: secrets by its environment, results as JSON, progress on stderr."""

import asyncio
import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backup_engine.volumes.errors import RepositoryUnreachableError, VolumeError
from backup_engine.volumes.snapshots import Progress, parse_progress

LARGEST_ANSWER_BYTES: Final = 256 * 1024 * 1024
KEPT_LINES: Final = 20
SHOWN_CHARACTERS: Final = 500
LONGEST_LINE: Final = 8192
PROGRESS_EVERY_S: Final = 1.0
SHORT_CALL_S: Final = 120.0
"""For whatever reads or writes no volume; one that finds its directory gone tries for longer."""

UNLIMITED: Final = math.inf

_CHUNK: Final = 64 * 1024
_UNREACHABLE: Final = (
    "connection refused",
    "no such host",
    "i/o timeout",
    "connection reset",
    "service unavailable",
    "internal error",
)

Report = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one call ended; ``told`` is the end of what kopia said to people."""

    code: int
    output: bytes
    told: str


@dataclass(frozen=True, slots=True)
class Load:
    """How much of the machine one kopia may take: files at once (0: its own choice), niceness.

    The kernel derives the I/O priority from the niceness.
    """

    parallel: int = 0
    niceness: int = 0


FREELY: Final = Load()


class Kopia:
    """Runs one kopia binary with one configuration file, and never waits without a limit.

    ``secrets`` go to the child by its environment, where other users cannot read them; a command
    line they could. ``home`` keeps its configuration and cache; ``limit_s`` is for calls that
    have no other.
    """

    def __init__(
        self,
        binary: str,
        home: Path,
        secrets: Mapping[str, str],
        inherited: Sequence[int] = (),
        limit_s: float = SHORT_CALL_S,
    ) -> None:
        self._binary = binary
        self._home = home
        self._secrets = secrets
        self._inherited = inherited
        self._limit_s = limit_s

    async def run(
        self,
        *arguments: str,
        report: Report | None = None,
        load: Load = FREELY,
        limit_s: float | None = None,
    ) -> Answer:
        """Run one command to its end; cancellation and ``limit_s``, None: the usual, kill it.

        Raises VolumeError if kopia cannot be started or does not end in time.
        """
        limit_s = self._limit_s if limit_s is None else limit_s
        shown = ["--progress", f"--progress-update-interval={PROGRESS_EVERY_S:.0f}s"]
        command = [
            *_nicely(load),
            self._binary,
            *arguments,
            f"--config-file={self._home / 'repository.config'}",
            f"--log-dir={self._home / 'logs'}",
            "--disable-file-logging",
            "--no-auto-maintenance",  # the engine's own business, and not in the midst of a backup
            "--disable-color",
            *(shown if report is not None else ["--no-progress"]),
        ]
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**_plain(os.environ), **self._secrets, "HOME": str(self._home)},
                start_new_session=True,  # Ctrl-C ends the engine, which then ends kopia
                pass_fds=self._inherited,
            )
        except OSError as trouble:
            raise VolumeError(
                "KopiaMissing",
                f"{self._binary} cannot be run: {trouble.strerror}; name kopia with --kopia",
            ) from trouble
        try:
            async with asyncio.timeout(limit_s if limit_s < UNLIMITED else None):
                output, told = await asyncio.gather(
                    _read_output(child), _read_talk(child, report or ignore)
                )
                code = await child.wait()
        except TimeoutError as trouble:
            raise RepositoryUnreachableError(
                "RepositorySlow", f"kopia {arguments[0]} did not end within {limit_s:.0f} s"
            ) from trouble
        finally:
            if child.returncode is None:
                child.kill()  # it keeps nothing half done in the repository
                await asyncio.shield(child.wait())
        return Answer(code, output, told)

    async def ask(self, *arguments: str, limit_s: float | None = None) -> bytes:
        """Run one command and return its output; raises VolumeError if it fails."""
        answer = await self.run(*arguments, limit_s=limit_s)
        if answer.code:
            raise explain(answer, " ".join(arguments[:2]))
        return answer.output


def find_kopia(named: str | None) -> str:
    """Return the kopia to run: the one that is named, else the one on PATH."""
    return named or shutil.which("kopia") or "kopia"


def explain(answer: Answer, doing: str) -> VolumeError:
    """Build our error from what kopia said at last."""
    said = answer.told[-SHOWN_CHARACTERS:].strip() or f"exit code {answer.code}"
    lowered = said.lower()
    if "invalid repository password" in lowered:
        return VolumeError(
            "PasswordWrong", "the repository does not open with the password that the engine has"
        )
    if any(words in lowered for words in _UNREACHABLE):
        return RepositoryUnreachableError("RepositoryUnreachable", f"kopia {doing}: {said}")
    is_format_lost = "kopia.repository" in lowered and "blob not found" in lowered
    if "repository not initialized" in lowered or is_format_lost:
        return VolumeError("RepositoryMissing", f"kopia {doing}: {said}")
    return VolumeError("KopiaFailed", f"kopia {doing}: {said}")


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment less what would change kopia's doings, or is no business of it."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("KOPIA_", "BACKUP_ENGINE_", "AWS_"))
    }


def _nicely(load: Load) -> list[str]:
    nice = shutil.which("nice") if load.niceness else None
    return [nice, "-n", str(load.niceness)] if nice else []


async def _read_output(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    pieces, length = [], 0
    while piece := await child.stdout.read(_CHUNK):
        length += len(piece)
        if length > LARGEST_ANSWER_BYTES:
            raise VolumeError(
                "KopiaUnknown", f"kopia's answer exceeds {LARGEST_ANSWER_BYTES} bytes"
            )
        pieces.append(piece)
    return b"".join(pieces)


async def _read_talk(child: asyncio.subprocess.Process, report: Report) -> str:
    """Hand progress on as it comes; return the last lines of the rest."""
    assert child.stderr is not None
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    rest = ""
    while piece := await child.stderr.read(_CHUNK):
        *lines, rest = (rest + piece.decode(errors="replace")).replace("\r", "\n").split("\n")
        rest = rest[-LONGEST_LINE:]
        for line in lines:
            _take_line(line, report, kept)
    _take_line(rest, report, kept)
    return "\n".join(kept)


def _take_line(line: str, report: Report, kept: deque[str]) -> None:
    progress, rest = parse_progress(line.rstrip())
    if progress is not None:
        report(progress)
    if rest.strip():
        kept.append(rest.strip())
