"""The sample workloads of the demo: a few hundred real objects, the same in every run."""

from collections.abc import Iterator

Resource = dict[str, object]

NAMESPACES = ("backup-demo-shop", "backup-demo-search", "backup-demo-billing")
SERVICES_PER_NAMESPACE = 14


def build_workloads() -> list[Resource]:
    """Build the namespaces and what runs in them, in an order that can be applied."""
    return [resource for namespace in NAMESPACES for resource in _namespace(namespace)]


def _namespace(namespace: str) -> Iterator[Resource]:
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for number in range(SERVICES_PER_NAMESPACE):
        yield from _service(namespace, f"service-{number:02}")


def _service(namespace: str, name: str) -> Iterator[Resource]:
    labels = {"app": name, "part-of": namespace}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    settings = {"log-level": "info", "motd": f"{name} of {namespace} says hello. " * 20}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings}
    secret = {"password": f"not-really-secret-{name}"}
    yield {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 0,  # nothing has to run for its definition to be worth a backup
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": name,
                    "containers": [{"name": "main", "image": f"{name}:1.0"}],
                },
            },
        },
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
