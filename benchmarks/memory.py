"""Peak memory of this process alone."""

import re
from pathlib import Path


def peak_rss_mb() -> float:
    """Return the largest resident set so far, in MiB.

    Read from the kernel's own account: ``ru_maxrss`` of a child begins with that of its parent.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError("this kernel does not tell VmHWM; the benchmarks need Linux")
    return int(found[1]) / 1024
