"""Applying objects with the sandbox's own kubectl."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from backup_sandbox.layout import Layout

TIMEOUT_S = 60


def build_apply_commands(
    kubectl: Path, layout: Layout, crds: Sequence[Path]
) -> Iterator[list[str]]:
    """Build the commands that apply ``crds`` (files or folders) and wait until they serve."""
    client = _client(kubectl, layout)
    files = [f"--filename={path}" for path in crds]
    if files:
        yield [*client, "apply", "--server-side", "--force-conflicts", *files]
        yield [*client, "wait", "--for=condition=Established", f"--timeout={TIMEOUT_S}s", *files]


def build_node_commands(kubectl: Path, layout: Layout, resources: Path) -> Iterator[list[str]]:
    """Build the commands that tell the cluster of its node."""
    apply = ["apply", "--server-side", "--force-conflicts", f"--filename={resources}"]
    yield [*_client(kubectl, layout), *apply]


def _client(kubectl: Path, layout: Layout) -> list[str]:
    cache = f"--cache-dir={layout.kubectl_cache}"
    return [str(kubectl), f"--kubeconfig={layout.kubeconfig}", cache]
