"""Write the parts of manifests/gitops that repeat one script for every kind.

Usage: python tests/gitops/generate.py
"""

from pathlib import Path

GITOPS = Path(__file__).resolve().parents[2] / "manifests" / "gitops"
KINDS = (
    "Backup",
    "BackupConfiguration",
    "BackupEngine",
    "BackupHost",
    "BackupSchedule",
    "Restore",
)
GROUP = "backup-operator.io"
HEAD = "# Written by tests/gitops/generate.py."


def indented(text: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())


def render_config_map() -> str:
    lines = [
        f"{HEAD} Patch for Argo CD's own ConfigMap:\n",
        "# kubectl -n argocd patch configmap argocd-cm --patch-file argocd-cm.yaml\n",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\n",
        "data:\n",
    ]
    health = (GITOPS / "argocd" / "health.lua").read_text()
    lines.extend(
        f"  resource.customizations.health.{GROUP}_{kind}: |\n{indented(health)}" for kind in KINDS
    )
    for path in sorted((GITOPS / "argocd" / "actions").glob("*.yaml")):
        key = f"resource.customizations.actions.{GROUP}_{path.stem}"
        lines.append(f"  {key}: |\n{indented(path.read_text())}")
    return "".join(lines)


CHECK = """    - apiVersion: backup-operator.io/v1
      kind: {kind}
      inProgress: >-
        !has(status.observedGeneration) || status.observedGeneration != metadata.generation
        || (has(status.conditions)
        && status.conditions.exists(c, c.type == 'Reconciling' && c.status == 'True'))
      failed: >-
        has(status.conditions)
        && status.conditions.exists(c, c.type == 'Stalled' && c.status == 'True')
      current: >-
        has(status.conditions)
        && status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')
"""


def render_kustomization() -> str:
    return (
        f"{HEAD} A Flux Kustomization that waits until backups are made; take over the\n"
        "# healthCheckExprs. An object without a status is waited for.\n"
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        "metadata:\n  name: backups\n  namespace: flux-system\n"
        "spec:\n  interval: 10m\n  path: ./backups\n  prune: true\n  wait: true\n  timeout: 1h\n"
        "  sourceRef: {kind: GitRepository, name: backups}\n  healthCheckExprs:\n"
        + "".join(CHECK.format(kind=kind) for kind in KINDS)
    )


def main() -> None:
    """Write both files."""
    (GITOPS / "argocd" / "argocd-cm.yaml").write_text(render_config_map())
    (GITOPS / "flux" / "kustomization.yaml").write_text(render_kustomization())


if __name__ == "__main__":
    main()
