"""The Jobs that work on volumes: as built, as placed, as read back. Pure."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from backup_engine.volumes.claims import build_chosen, choose_placement
from backup_engine.volumes.errors import VolumeError
from backup_engine.volumes.executor import HostRepository, RestoreRun, SnapshotRun
from backup_engine.volumes.kopia import Load
from backup_engine.volumes.mover import KILLED
from backup_engine.volumes.mover_job import (
    DONE,
    REFUSED,
    REQUEST,
    MoverReport,
    MoverSettings,
    Placement,
    build_claim,
    build_mover_secret,
    build_restore_job,
    build_snapshot_job,
)
from backup_engine.volumes.mover_state import explain_waiting, find_end, is_started, parse_line
from backup_engine.volumes.place import RepositoryPlaces
from backup_engine.volumes.snapshots import Progress
from backup_engine.volumes.tolerations import CORDONED, parse_toleration
from backup_engine.volumes.volume import STRICT, Volume

DATA = Volume("shop", "data")
SETTINGS = MoverSettings("registry.example/backup:1")
KEYS = {"AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "key-secret"}


def a_repository() -> HostRepository:
    place = RepositoryPlaces("s3://bucket/volumes", environment=KEYS).find(2, "shop")
    return HostRepository(2, "shop", place, "the-password")


def a_snapshot_run(**changes: Any) -> SnapshotRun:  # noqa: ANN401
    made = {
        "archive_name": "backup.x.shop_2.1_1_2026.data.1.kopia",
        "volume": DATA,
        "repository": a_repository(),
        "time_limit_s": 3600.0,
        "load": Load(1, 15),
    }
    return SnapshotRun(**{**made, **changes})


def a_claim(phase: str = "Bound", modes: tuple[str, ...] = ("ReadWriteOnce",)) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": "data"},
        "spec": {
            "accessModes": list(modes),
            "storageClassName": "fast",
            "resources": {"requests": {"storage": "5Gi"}},
        },
        "status": {"phase": phase},
    }


def a_pod(node: str | None, phase: str = "Running", claim: str = "data") -> dict[str, Any]:
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim}}
    spec: dict[str, Any] = {"volumes": [volume, {"name": "e", "emptyDir": {}}]}
    if node is not None:
        spec["nodeName"] = node
    return {"metadata": {"name": "db-0"}, "spec": spec, "status": {"phase": phase}}


def an_ended_job(kind: str, **condition: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": kind, "status": "True", **condition}]}}


def an_ended_pod(message: str | None, exit_code: int | None = None) -> dict[str, Any]:
    ended: dict[str, object] = {} if message is None else {"message": message}
    if exit_code is not None:
        ended["exitCode"] = exit_code
    return {"status": {"containerStatuses": [{"state": {"terminated": ended}}]}}


def test_the_same_run_gives_the_same_job_and_another_volume_another() -> None:
    first = build_snapshot_job(a_snapshot_run(), SETTINGS, Placement())

    assert build_snapshot_job(a_snapshot_run(), SETTINGS, Placement()) == first
    other = build_snapshot_job(a_snapshot_run(volume=Volume("shop", "logs")), SETTINGS, Placement())
    assert other["metadata"]["name"] != first["metadata"]["name"]
    assert other["metadata"]["labels"] == first["metadata"]["labels"]  # of one backup


def test_a_mover_reads_its_volume_and_can_do_nothing_else() -> None:
    spec = build_snapshot_job(a_snapshot_run(), SETTINGS, Placement())["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]

    assert spec["activeDeadlineSeconds"] == 3600
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data", "readOnly": True}
    assert container["volumeMounts"][0]["readOnly"]
    assert container["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["DAC_READ_SEARCH"],
    }
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert not pod["automountServiceAccountToken"]


def test_a_reader_that_was_killed_is_made_anew_and_one_that_says_why_is_not() -> None:
    reading = build_snapshot_job(a_snapshot_run(), SETTINGS, Placement())["spec"]
    run = RestoreRun(3, 0, "snap", DATA, Volume("shop", "copy"), a_repository(), 60)
    writing = build_restore_job(run, SETTINGS, Placement())["spec"]

    drained, refused = reading["podFailurePolicy"]["rules"]
    assert (drained["action"], refused["action"]) == ("Ignore", "FailJob")
    assert refused["onExitCodes"]["values"] == [REFUSED] != [KILLED]
    assert (reading["backoffLimit"], writing["backoffLimit"]) == (2, 0)
    assert "podFailurePolicy" not in writing


def test_no_secret_is_in_a_job_and_its_secret_goes_with_it() -> None:
    job = build_snapshot_job(a_snapshot_run(), SETTINGS, Placement())
    text = json.dumps(job)
    assert not any(secret in text for secret in ("the-password", "key-secret", "key-id"))

    job["metadata"]["uid"] = "u-1"
    secret = build_mover_secret(job, a_repository())

    assert secret["stringData"] == {**KEYS, "KOPIA_PASSWORD": "the-password"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert "the-password" not in repr(a_repository())


def test_a_restore_writes_and_is_asked_what_it_is_to_write() -> None:
    run = RestoreRun(3, 0, "snap", DATA, Volume("shop", "copy"), a_repository(), 60, ("a/b",))
    pod = build_restore_job(run, SETTINGS, Placement("node-1"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "copy"}
    assert "readOnly" not in container["volumeMounts"][0]
    above = PurePosixPath(container["volumeMounts"][0]["mountPath"]).parents
    assert PurePosixPath(container["volumeMounts"][2]["mountPath"]) in above  # kopia writes there
    request = json.loads(next(e["value"] for e in container["env"] if e["name"] == REQUEST))
    assert (request["snapshot_id"], request["paths"], request["claim"]) == ("snap", ["a/b"], "copy")
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchFields"][0]["values"] == ["node-1"]


def test_a_new_claim_is_as_its_source_unless_wished_otherwise() -> None:
    run = RestoreRun(3, 0, "s", DATA, Volume("shop", "copy"), a_repository(), 60, is_new=True)
    wished = RestoreRun(
        3, 0, "s", DATA, DATA, a_repository(), 60, size_bytes=7, storage_class="slow"
    )

    assert build_claim(run, a_claim())["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "fast",
    }
    spec = build_claim(wished, a_claim())["spec"]
    assert (spec["resources"]["requests"]["storage"], spec["storageClassName"]) == ("7", "slow")
    assert build_claim(run, None)["spec"]["resources"]["requests"]["storage"] is None


@pytest.mark.parametrize("phase", ["Pending", "Lost"])
def test_a_claim_that_is_not_bound_has_nothing_to_read(phase: str) -> None:
    assert build_chosen(a_claim(), STRICT).trouble is None
    assert phase in str(build_chosen(a_claim(phase), STRICT).trouble)


def test_a_mover_goes_where_a_claim_of_one_node_is_in_use() -> None:
    once, many = a_claim(), a_claim(modes=("ReadWriteMany",))

    assert choose_placement(DATA, once, [a_pod("node-1")]).node == "node-1"
    assert choose_placement(DATA, many, [a_pod("node-1")]) == Placement()
    for idle in (a_pod("node-1", "Succeeded"), a_pod("node-1", claim="other"), a_pod(None)):
        assert choose_placement(DATA, once, [idle]) == Placement()


def test_a_mover_bears_the_taints_of_the_pod_that_has_the_volume_and_no_others() -> None:
    lost = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    borne = [{"key": "dedicated", "operator": "Exists"}, {**lost, "tolerationSeconds": 300}]
    using = a_pod("node-1")
    using["spec"]["tolerations"] = borne
    named = MoverSettings("i", tolerations=(parse_toleration("gpu=a100:NoSchedule"),))

    def tolerations_of(settings: MoverSettings, *pods: dict[str, Any]) -> list[dict[str, Any]]:
        placement = choose_placement(DATA, a_claim(), pods)
        job = build_snapshot_job(a_snapshot_run(), settings, placement)
        told: list[dict[str, Any]] = job["spec"]["template"]["spec"]["tolerations"]
        return told

    assert tolerations_of(SETTINGS) == []
    assert tolerations_of(SETTINGS, using) == [*borne, CORDONED]
    chosen = {"key": "gpu", "operator": "Equal", "value": "a100", "effect": "NoSchedule"}
    assert tolerations_of(named, using) == [chosen, *borne, CORDONED]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("dedicated", {"key": "dedicated", "operator": "Exists"}),
        ("a.b/c=", {"key": "a.b/c", "operator": "Equal", "value": ""}),
        ("a:NoExecute", {"key": "a", "operator": "Exists", "effect": "NoExecute"}),
    ],
)
def test_a_toleration_is_read_as_kubectl_writes_taints(text: str, read: dict[str, str]) -> None:
    assert parse_toleration(text) == read


@pytest.mark.parametrize("text", ["", "*", "=x", "a:Never", "a=b c", "a:NoSchedule-"])
def test_what_is_no_toleration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected KEY\[=VALUE\]\[:EFFECT\]"):
        parse_toleration(text)


def test_a_claim_of_one_pod_is_not_waited_for_while_that_pod_has_it() -> None:
    claim = a_claim(modes=("ReadWriteOncePod",))

    assert choose_placement(DATA, claim, []) == Placement()
    with pytest.raises(VolumeError, match="pod db-0 has the claim") as trouble:
        choose_placement(DATA, claim, [a_pod("node-1")])
    assert trouble.value.reason == "ClaimInUse"


def test_the_movers_own_word_counts_before_what_the_job_knows() -> None:
    said = '{"reason":"RepositoryMissing","message":"gone"}'

    assert find_end({}, an_ended_pod(said), DATA) is None  # the Job has not ended yet
    assert find_end(an_ended_job("Failed"), an_ended_pod(said), DATA) == MoverReport(
        "RepositoryMissing", "gone"
    )
    assert find_end(an_ended_job("Complete"), an_ended_pod("{}"), DATA) == MoverReport()
    assert find_end(an_ended_job("Complete"), None, DATA) == MoverReport()


def test_a_mover_that_ended_for_good_is_not_waited_for_until_its_job_knows() -> None:
    refused = '{"reason":"RepositoryMissing","message":"gone"}'
    interrupted = '{"reason":"Interrupted","message":"the mover was told to stop"}'

    assert find_end({}, an_ended_pod("{}", DONE), DATA) == MoverReport()
    assert find_end({}, an_ended_pod(refused, REFUSED), DATA) == MoverReport(
        "RepositoryMissing", "gone"
    )
    assert find_end({}, an_ended_pod(interrupted, KILLED), DATA) is None  # another one follows
    assert find_end({}, an_ended_pod("{cut", DONE), DATA) is None


def test_a_mover_without_a_word_is_told_by_its_job() -> None:
    late = find_end(an_ended_job("Failed", reason="DeadlineExceeded"), None, DATA)
    killed = find_end(an_ended_job("Failed", message="evicted"), an_ended_pod("{cut"), DATA)

    assert late is not None
    assert late.reason == "TimeLimitExceeded"
    assert killed == MoverReport("MoverFailed", "shop/data: evicted")


def test_why_a_mover_does_not_start_is_said_in_the_clusters_words() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pulling = {"status": {"containerStatuses": [{"state": waiting}]}}
    unmet = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}

    assert "no pod" in explain_waiting(None, DATA)
    assert "ImagePullBackOff: no such image" in explain_waiting(pulling, DATA)
    assert "Unschedulable: 0/3" in explain_waiting({"status": {"conditions": [unmet]}}, DATA)
    assert not is_started(pulling)
    assert is_started({"status": {"containerStatuses": [{"state": {"running": {}}}]}})


@pytest.mark.parametrize("line", [b"", b"Traceback", b"[1]", b'{"files":"3"}'])
def test_a_line_that_is_no_progress_is_none(line: bytes) -> None:
    assert parse_line(line) is None
    assert parse_line(b'{"files":3,"bytes":10}\n') == Progress(3, 10)


def test_a_repository_in_a_bucket_is_told_to_kopia_without_its_secrets(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = i\naws_secret_access_key = s\n")
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_REGION": "eu"}

    place = RepositoryPlaces("s3://bucket/some/prefix", file, environment).find(2, "shop")

    assert place.arguments == (
        "s3",
        "--bucket=bucket",
        "--prefix=some/prefix/shop_2/",
        "--region=eu",
        "--endpoint=127.0.0.1:9000",
        "--disable-tls",
    )
    assert place.secrets == {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
    assert place.url == "s3://bucket/some/prefix/shop_2"
    with pytest.raises(VolumeError, match="AWS_ACCESS_KEY_ID"):
        RepositoryPlaces("s3://bucket").find(2, "shop")
