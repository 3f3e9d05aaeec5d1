"""Two engines that share a PostgreSQL and a bucket: one dies in the midst of a backup."""

import re
from pathlib import Path

import pytest

from e2e.installation import Installation, commands_of, readme_block
from e2e.kubectl import FINISH_S, NAMESPACE, ROLLOUT_S, ROOT, Kubectl, until
from e2e.resources import a_backup, start_database
from fixtures.s3_server import S3Server

OVERLAY = "manifests/overlays/postgresql"
TOLD = f"`{OVERLAY}` is two such engines"
URL = "postgresql+asyncpg://postgres@postgres.database.svc:5432/postgres"
HOLDER = "SELECT split_part(holder, ',', 1) FROM claims WHERE kind = 'backup'"

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


def test_a_backup_whose_engine_dies_is_ended_once_by_the_other(
    kubectl: Kubectl, installation: Installation, bucket: S3Server, tmp_path: Path
) -> None:
    kubectl("create", "namespace", "database")
    ask = start_database(kubectl, "postgres", "database", {"emptyDir": {}})
    kubectl("expose", "deployment", "postgres", "-n", "database", "--port=5432")
    lines = [f"{name}={value}\n" for name, value in bucket.environment.items()]
    (tmp_path / "bucket.env").write_text("".join(lines))
    (tmp_path / "url").write_text(URL)
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    for command in commands_of(readme_block(TOLD, "console", "docs/engine.md"), "kubectl"):
        kubectl(*command, folder=tmp_path)
    kubectl("apply", "-f", "manifests/samples/backupengine.yaml")
    kubectl.roll_out()
    kubectl("wait", "--for=condition=Ready", "backupengine/in-cluster", f"--timeout={FINISH_S}s")
    engines = kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=backup-engine")[
        "items"
    ]
    assert len(engines) == 2

    with bucket.frozen():  # so that it cannot end yet
        kubectl.apply(a_backup("shared"))
        until(lambda: ask(HOLDER).strip() != "", FINISH_S, "an engine works on it")
        first = ask(HOLDER).strip()
        kubectl("delete", "pod", first, "-n", NAMESPACE, "--grace-period=0", "--force")
        until(lambda: ask(HOLDER).strip() not in {"", first}, FINISH_S, "another takes it over")

    kubectl.wait("Complete", "backup/shared", ROLLOUT_S)
    assert ask("SELECT count(*) FROM backups").strip() == "1"
    listed = bucket.call("GET", "/backups", "list-type=2&prefix=cluster%2F").body
    archives = {key for key in re.findall("<Key>(.*?)</Key>", listed) if key.endswith(".tar")}
    assert len(archives) == 1
    installation.uninstall(OVERLAY)
    kubectl("delete", "namespace", "database", "--wait=false")
