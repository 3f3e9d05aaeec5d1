"""Applying custom resource definitions with the sandbox's own kubectl."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from backup_sandbox.layout import Layout

TIMEOUT_S = 60


def build_apply_commands(
    kubectl: Path, layout: Layout, crds: Sequence[Path]
) -> Iterator[list[str]]:
    """Build the commands that apply ``crds`` (files or folders) and wait until they serve."""
    client = [
        str(kubectl),
        f"--kubeconfig={layout.kubeconfig}",
        f"--cache-dir={layout.kubectl_cache}",
    ]
    files = [f"--filename={path}" for path in crds]
    if files:
        yield [*client, "apply", "--server-side", "--force-conflicts", *files]
        yield [*client, "wait", "--for=condition=Established", f"--timeout={TIMEOUT_S}s", *files]
