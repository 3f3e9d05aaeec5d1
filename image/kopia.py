"""Put kopia where the Dockerfile wants it: ``python3 image/kopia.py FILE``."""

import os
import shutil
import sys
from pathlib import Path

from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.versions import KOPIA_BINARY


def main(target: Path) -> None:
    """Copy kopia from the sandbox's cache, which builds it if need be."""
    found = ensure_binaries([KOPIA_BINARY], os.environ)[KOPIA_BINARY]
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(found, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
