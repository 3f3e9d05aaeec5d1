"""Write the templates of the chart that stand in the kustomize base word for word.

Roles, accounts and CRDs differ by their namespace and Helm's labels only; deployments and what
selects their pods are templates of their own. A test renders both ways and compares.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MANIFESTS: Final = Path(__file__).parent
TEMPLATES: Final = MANIFESTS / "chart" / "templates"
HEAD: Final = "{{- /* Generated from manifests/%s by make generate. */ -}}\n"
CLUSTER_WIDE: Final = frozenset(
    {"ClusterRole", "ClusterRoleBinding", "PriorityClass", "CustomResourceDefinition"}
)
KEEP: Final = (
    "  {{- if .Values.crds.keep }}\n  annotations: {helm.sh/resource-policy: keep}\n  {{- end }}\n"
)

# template: the manifests in it, the program whose part they are, the value that has them installed
SOURCES: Final[dict[str, tuple[tuple[str, ...], str | None, str | None]]] = {
    "crds.yaml": (("crds/crds.yaml",), None, "crds.install"),
    "system.yaml": (("system/priority-class.yaml", "system/roles.yaml"), "", None),
    "operator-rights.yaml": (
        ("operator/service-account.yaml", "operator/rbac.yaml"),
        "backup-operator",
        None,
    ),
    "engine-rights.yaml": (
        ("engine/service-account.yaml", "engine/rbac.yaml"),
        "backup-engine",
        "engine.install",
    ),
    "restore.yaml": (("restore/rbac.yaml",), "", "restore.allow"),
    "movers.yaml": (("movers/rbac.yaml",), None, "volumes.repositoryUrl"),
    "hooks.yaml": (("hooks/rbac.yaml",), "", "volumes.allowHooks"),
    "volume-snapshots.yaml": (("volume-snapshots/rbac.yaml",), "", "volumes.allowSnapshots"),
}


def render_templates() -> Iterator[tuple[Path, str]]:
    """Yield each generated template: its path and its text."""
    for name, (manifests, program, value) in SOURCES.items():
        texts = [(MANIFESTS / path).read_text() for path in manifests]
        documents = [
            _render_document(document, program)
            for text in texts
            for document in re.split(r"^---\n", text, flags=re.MULTILINE)
            if document.strip()
        ]
        body = "---\n".join(documents)
        if value is not None:
            body = f"{{{{- if .Values.{value} }}}}\n{body}{{{{- end }}}}\n"
        yield TEMPLATES / name, HEAD % ", manifests/".join(manifests) + body


def _render_document(document: str, program: str | None) -> str:
    kind = re.search(r"^kind: (\w+)$", document, re.MULTILINE)
    name = re.search(r"^  name: \S+\n", document, re.MULTILINE)
    if kind is None or name is None:
        raise ValueError(f"expected a manifest with a kind and a name; found {document[:80]!r}")
    added = "" if kind[1] in CLUSTER_WIDE else "  namespace: {{ .Release.Namespace }}\n"
    if kind[1] == "CustomResourceDefinition":
        added += KEEP
    call = f'(dict "context" . "name" "{program}")' if program else '(dict "context" .)'
    labels = f'include "labels" {call} | nindent 4'
    if program is not None and "\n  labels:\n" in document:
        document = document.replace("\n  labels:\n", f"\n  labels: {{{{- {labels} }}}}\n", 1)
    elif program is not None:
        added += f"  labels: {{{{- {labels} }}}}\n"
    document = document.replace(name[0], name[0] + added, 1)
    return document.replace("namespace: backup-system", "namespace: {{ .Release.Namespace }}")


def main() -> int:
    """Write the templates."""
    for path, text in render_templates():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
