"""``make e2e``: build the image, and try it on a real node; say so where that cannot be.

Exit code 0 also where this machine has no way to run pods, unless BACKUP_E2E=require.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.node.requirements import find_machine, list_obstacles
from backup_sandbox.versions import ALL
from e2e.application import build_application

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "image.tar"
APPLICATION = ROOT / "build" / "database.tar"
TESTS = ROOT / "tests" / "e2e"
LOG = ROOT / "build" / "e2e.log"
STORY = ("cluster", "volumes", "rights", "chart", "upgrading", "postgresql", "appliance")
BUILDERS = ("buildah", "debootstrap")
NO_BASE = 4  # of image/build.py: Debian's packages cannot be had here
STRICT = os.environ.get("BACKUP_E2E") == "require"


def main() -> int:
    """Run the tests of this folder; return their exit code."""
    obstacles = list_obstacles(find_machine())
    if missing := [name for name in BUILDERS if shutil.which(name) is None]:
        obstacles.append(f"the image cannot be built without {' and '.join(missing)}")
    if obstacles:
        sys.stderr.write(f"e2e: NOT TRIED on a node: {'; '.join(obstacles)}\n")
        return 3 if STRICT else 0
    ensure_binaries(ALL, os.environ)
    build = [sys.executable, str(ROOT / "image" / "build.py"), "--out", str(IMAGE)]
    built = subprocess.run(build, check=False, cwd=ROOT).returncode
    if built == NO_BASE and not STRICT:
        sys.stderr.write("e2e: NOT TRIED on a node, for there is no base to build the image on\n")
        return 0
    if built != 0:
        sys.stderr.write("e2e: the image could not be built\n")
        return built
    build_application(APPLICATION)
    environment = {
        **os.environ,
        "BACKUP_E2E_IMAGE": str(IMAGE),
        "BACKUP_E2E_APPLICATION": str(APPLICATION),
    }
    story = [str(TESTS / f"test_{name}.py") for name in STORY]
    talk = [
        f"--log-file={LOG}",
        "--log-file-level=INFO",
        "--log-file-format=%(asctime)s %(message)s",
    ]
    tests = [sys.executable, "-m", "pytest", "-v", "--durations=20", *talk, *story]
    return subprocess.run(tests, check=False, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
