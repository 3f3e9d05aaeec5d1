"""What the tests apply: our resources, and a small real application."""

from collections.abc import Callable

from e2e.kubectl import ROLLOUT_S, Kubectl

Resource = dict[str, object]

PSQL = ("psql", "--username=postgres", "--tuples-only", "--no-align", "--command")


def ours(kind: str, name: str, spec: Resource, namespace: str | None = None) -> Resource:
    """Build one of our resources."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "backup-operator.io/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def a_backup(name: str, **spec: object) -> Resource:
    """Build a Backup, of CONFIG unless ``spec`` has it otherwise."""
    return ours("Backup", name, {"backupType": "CONFIG", **spec}, "ops")


def a_claim(name: str, namespace: str) -> Resource:
    """Build a claim of the default StorageClass."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def a_database(claim: str, namespace: str, volume: Resource) -> Resource:
    """Build a PostgreSQL with its files in a volume."""
    labels = {"app": claim}
    command = ["psql", "-U", "postgres", "-c", "SELECT 1"]
    probe = {"exec": {"command": command}, "periodSeconds": 1, "timeoutSeconds": 10}
    container = {
        "name": "database",
        "image": "localhost/database:1",
        "readinessProbe": probe,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "volumes": [{"name": "data", **volume}],
                    # its smart shutdown would wait for whoever is connected
                    "terminationGracePeriodSeconds": 5,
                },
            },
        },
    }


def start_database(
    kubectl: Kubectl, name: str, namespace: str, volume: Resource | None = None
) -> Callable[[str], str]:
    """Start PostgreSQL on the claim of its name, or on ``volume``; returns how to ask it."""
    chosen = volume or {"persistentVolumeClaim": {"claimName": name}}
    kubectl.apply(a_database(name, namespace, chosen))
    kubectl("rollout", "status", "-n", namespace, f"deploy/{name}", f"--timeout={ROLLOUT_S}s")

    def ask(sql: str) -> str:
        return kubectl("exec", "-n", namespace, f"deploy/{name}", "--", *PSQL, sql).stdout

    return ask
