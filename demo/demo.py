"""`make demo`: from nothing to a real backup, each step shown with the command that takes it.

Starts a real kube-apiserver, the engine and the operator on this machine, creates sample
workloads, backs the cluster up, opens the archive with tar and zstd, restores a namespace that was
lost, backs a volume up and restores it, and deletes a backup through Kubernetes. Everything it
makes lies in `.demo/`, and everything it starts it stops.
"""

import argparse
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from kubectl import Kubectl, show
from programs import DemoError, Programs
from restoring import restore_namespace
from volumes import (
    CLAIM,
    COPY,
    HOST,
    build_configuration,
    build_host,
    deploy_host,
    digest_of,
    fill_volume,
    restore_volume,
)
from workloads import NAMESPACES, build_workloads

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".demo"
ARCHIVES = FOLDER / "engine" / "archives"
SAMPLE = Path("manifests/samples/backup-config.yaml")
ENGINE = "in-cluster"
SHORT_LIVED = "short-lived"
VOLUMES = FOLDER / "volumes"
EVENTS_WITHIN_S = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo: exit code 0 done, 3 trouble that the message explains."""
    arguments = _parser().parse_args(argv)
    os.chdir(ROOT)
    programs = Programs(FOLDER)
    try:
        if arguments.stop:
            _stop(programs)
            return 0
        _run(arguments, programs)
    except (DemoError, subprocess.SubprocessError) as trouble:
        sys.stderr.write(f"demo: {trouble}\n")
        return 3
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted; everything it started has been stopped\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description="A real backup from nothing.")
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster instead of a sandbox")
    return parser


def _run(arguments: argparse.Namespace, programs: Programs) -> None:
    began = time.monotonic()
    _stop(programs, is_quiet=True)
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    is_kept = False
    cluster: Kubectl | None = None
    try:
        with _step("A Kubernetes API server"):
            cluster = _open_cluster(arguments.kubeconfig)
            cluster.shown("version")
        _tell_story(cluster, programs)
        is_kept = arguments.keep
    finally:
        if not is_kept:
            with _step("Stopping everything that was started"):
                if cluster is not None and arguments.kubeconfig is not None:
                    _leave_as_found(cluster)
                _stop(programs)
    print(f"\nDone in {time.monotonic() - began:.0f} s.")
    if is_kept and cluster is not None:
        _explain_how_to_go_on(cluster)


def _tell_story(cluster: Kubectl, programs: Programs) -> None:
    environment = {"KUBECONFIG": str(cluster.kubeconfig)}
    with _step("The engine: the appliance's backup API, served for this cluster"):
        serve = ["serve", "--listen", "127.0.0.1:0", "--data-dir", str(FOLDER / "engine")]
        serve += ["--tls-self-signed", "--volumes-dir", str(VOLUMES)]
        VOLUMES.mkdir(exist_ok=True)
        show("python -m backup_engine " + " ".join(_relative(word) for word in serve))
        serve += ["--kubeconfig", str(cluster.kubeconfig), "--kopia", _find_kopia()]
        ready = programs.start("engine", "backup_engine", serve, environment)
        print(ready)
    with _step("The operator: makes a backup of each Backup resource"):
        show("python -m backup_operator run")
        run = ["run", "--kubeconfig", str(cluster.kubeconfig)]
        print(programs.start("operator", "backup_operator", run, environment))
    with _step("Sample workloads"):
        workloads = build_workloads()
        cluster.apply(*workloads)
        print(f"{len(workloads)} objects in {', '.join(NAMESPACES)}")
    with _step("A BackupEngine tells the operator where the engine is and whom to trust"):
        _register_engine(cluster, url=ready.rpartition(" ")[2])
        cluster.shown("wait", "--for=condition=Ready", f"backupengine/{ENGINE}", "--timeout=20s")
        cluster.shown("get", "backupengines", "-o", "wide")
    backup = yaml.safe_load(SAMPLE.read_text())["metadata"]["name"]
    namespace = NAMESPACES[0]
    with _step("A Backup"):
        print(textwrap.indent(SAMPLE.read_text().strip(), "  "))
        with _following(cluster, "get", "backups", "-n", namespace, "--watch"):
            cluster.shown("apply", "-n", namespace, "-f", str(SAMPLE))
            _wait(cluster, namespace, backup, "Finished")
        _wait(cluster, namespace, backup, "Complete")
        cluster.shown("get", "backups", "-A", "-o", "wide")
        _show_events(cluster, namespace, backup)
    with _step("The archive opens with tar and zstd alone"):
        _open_archive(_archive_of(cluster, namespace, backup))
    with _step("A namespace is lost, and restored: planned, approved, carried out"):
        _show_restore(cluster, ready.rpartition(" ")[2], namespace, backup)
    with _step("A volume: files on disk, backed up by kopia, and restored to a new claim"):
        _show_volume(cluster, ready.rpartition(" ")[2], namespace)
    with _step("Deleting a Backup whose deletionPolicy is Delete deletes the archive"):
        _show_deletion(cluster, namespace)


@contextmanager
def _step(title: str) -> Iterator[None]:
    print(f"\n=== {title}", flush=True)
    began = time.monotonic()
    yield
    print(f"    ({time.monotonic() - began:.1f} s)", flush=True)


@contextmanager
def _following(cluster: Kubectl, *arguments: str) -> Iterator[None]:
    follower = cluster.watch(*arguments)
    try:
        yield
    finally:
        follower.terminate()
        follower.wait(timeout=10)


def _open_cluster(kubeconfig: Path | None) -> Kubectl:
    if kubeconfig is not None:
        binary = shutil.which("kubectl")
        if binary is None:
            raise DemoError("KUBECONFIG names your own cluster, which needs kubectl on PATH")
        if not kubeconfig.is_file():
            raise DemoError(f"KUBECONFIG: there is no file {kubeconfig}")
        cluster = Kubectl(Path(binary), kubeconfig.resolve())
        cluster.shown("apply", "--server-side", "-f", "crds/")
        return cluster
    folder = FOLDER / "sandbox"
    arguments = ["up", "--dir", str(folder), "--controllers", "--crds", "crds"]
    show("python -m backup_sandbox " + " ".join(_relative(word) for word in arguments))
    done = subprocess.run(
        [sys.executable, "-m", "backup_sandbox", *arguments],
        stdout=subprocess.PIPE,  # its talk, progress of a first build included, is for the reader
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError("the sandbox did not start; its message stands above")
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    return Kubectl(Path(said["kubectl"]), Path(said["kubeconfig"]))


def _register_engine(cluster: Kubectl, url: str) -> None:
    token = (FOLDER / "engine" / "token").read_text().split()[0]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "backup-engine", "namespace": "default"},
        "stringData": {"token": token},
    }
    engine = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "BackupEngine",
        "metadata": {
            "name": ENGINE,
            "annotations": {"backup-operator.io/is-default-engine": "true"},
        },
        "spec": {
            "url": url,
            "auth": {"secToken": {"secretRef": {"namespace": "default", "name": "backup-engine"}}},
            "tls": {"caBundle": (FOLDER / "engine" / "tls" / "ca.crt").read_text()},
            "pollInterval": "1s",
        },
    }
    cluster.apply(secret, engine)


def _wait(cluster: Kubectl, namespace: str, backup: str, condition: str) -> None:
    wanted = f"--for=condition={condition}"
    cluster.shown("wait", wanted, f"backup/{backup}", "-n", namespace, "--timeout=60s")


def _show_events(cluster: Kubectl, namespace: str, backup: str) -> None:
    arguments = ("events", "-n", namespace, "--for", f"backup/{backup}")
    deadline = time.monotonic() + EVENTS_WITHIN_S
    while "Succeeded" not in cluster.quiet(*arguments) and time.monotonic() < deadline:
        time.sleep(0.2)  # events follow the status, never lead it
    cluster.shown(*arguments)


def _archive_of(cluster: Kubectl, namespace: str, backup: str) -> Path:
    path = "jsonpath={.status.contentFilePath}"
    archive = Path(cluster.quiet("get", "backup", backup, "-n", namespace, "-o", path))
    if not archive.is_file():
        raise DemoError(
            f"Backup {namespace}/{backup} names the archive {archive}, which is not there"
        )
    return archive


def _open_archive(archive: Path) -> None:
    name = _relative(archive)
    _shell(f"tar -tvf {name} | sed -n '1,5p;$p'")
    if shutil.which("zstd") is None:
        print("(zstd is not installed here, so the parts stay closed; any zstd opens them)")
        return
    unpack = f"tar -xOf {name} --wildcards"
    kinds = 'grep -o \'"kind":"[A-Za-z]*"\' | sort | uniq -c | sort -rn | head -n 8'
    _shell(f"{unpack} 'parts/*' | zstd -dcq | wc -l")
    _shell(f"{unpack} 'index/*' | zstd -dcq | {kinds}")


def _show_restore(cluster: Kubectl, url: str, namespace: str, backup: str) -> None:
    lost = NAMESPACES[1]
    cluster.shown("delete", "namespace", lost, "--timeout=60s")
    path = "jsonpath={.status.id}"
    backup_id = int(cluster.quiet("get", "backup", backup, "-n", namespace, "-o", path))
    restore_namespace(url, FOLDER / "engine", backup_id, lost)
    found = cluster.quiet("get", "deployments,secrets", "-n", lost, "-o", "name").split()
    print(f"{len(found)} Deployments and Secrets are back in {lost}")


def _find_kopia() -> str:
    """Return the pinned kopia, built with the rest of the sandbox where it is not cached yet."""
    done = subprocess.run(
        [sys.executable, "-m", "backup_sandbox", "build"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoError("kopia could not be had; the message stands above")
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    return said["kopia"]


def _show_volume(cluster: Kubectl, url: str, namespace: str) -> None:
    folder = VOLUMES / namespace / CLAIM
    wanted = fill_volume(folder)
    _shell(f"du -sh {_relative(folder)}")
    cluster.apply(build_host(ENGINE, namespace))
    deploy_host(url, FOLDER / "engine")
    cluster.apply(build_configuration(ENGINE))
    cluster.shown("wait", "--for=condition=Ready", "backupconfiguration/demo", "--timeout=60s")
    resource = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "Backup",
        "metadata": {"name": "orders", "namespace": namespace},
        "spec": {"backupType": "DATA", "hostname": HOST},
    }
    cluster.apply(resource)
    _wait(cluster, namespace, "orders", "Finished")
    _wait(cluster, namespace, "orders", "Complete")
    cluster.shown("get", "backups", "-n", namespace, "-o", "wide")
    path = "jsonpath={.status.id}"
    backup_id = int(cluster.quiet("get", "backup", "orders", "-n", namespace, "-o", path))
    restore_volume(url, FOLDER / "engine", backup_id, namespace)
    if digest_of(VOLUMES / namespace / COPY) != wanted:
        raise DemoError("what was restored is not what was backed up")
    print("every file is back, byte for byte")


def _show_deletion(cluster: Kubectl, namespace: str) -> None:
    resource = {
        "apiVersion": "backup-operator.io/v1",
        "kind": "Backup",
        "metadata": {"name": SHORT_LIVED, "namespace": namespace},
        "spec": {"backupType": "CONFIG", "deletionPolicy": "Delete"},
    }
    cluster.apply(resource)
    _wait(cluster, namespace, SHORT_LIVED, "Complete")
    archive = _archive_of(cluster, namespace, SHORT_LIVED)
    _shell(f"ls -l {_relative(archive.parent)}")
    cluster.shown("delete", "backup", SHORT_LIVED, "-n", namespace, "--timeout=60s")
    _shell(f"ls -l {_relative(archive.parent)}")
    if archive.exists():
        raise DemoError(f"{archive} is still there although its Backup was deleted")


def _shell(command: str) -> None:
    """Show and run a pipeline exactly as a reader would type it; its words are all the demo's."""
    show(command)
    done = subprocess.run(command, shell=True, check=False, cwd=ROOT)  # noqa: S602
    if done.returncode:
        raise DemoError(f"{command}: exit code {done.returncode}")


def _relative(word: str | Path) -> str:
    return str(word).replace(f"{ROOT}/", "")


def _leave_as_found(cluster: Kubectl) -> None:
    """Take the demo's objects out of somebody's own cluster; the resource kinds stay."""
    cluster.quiet("delete", "backups", "--all", "-n", NAMESPACES[0], "--ignore-not-found")
    cluster.quiet("delete", "backupconfiguration", "demo", "--ignore-not-found")
    cluster.quiet("delete", "backuphost", HOST, "--ignore-not-found")
    cluster.quiet("delete", "backupengine", ENGINE, "--ignore-not-found")
    cluster.quiet("delete", "secret", "backup-engine", "-n", "default", "--ignore-not-found")
    cluster.quiet("delete", "namespace", *NAMESPACES, "--ignore-not-found", "--wait=false")


def _stop(programs: Programs, *, is_quiet: bool = False) -> None:
    for name in programs.stop_all():
        if not is_quiet:
            print(f"stopped the {name}")
    sandbox = FOLDER / "sandbox"
    if sandbox.exists():
        down = [sys.executable, "-m", "backup_sandbox", "down", "--dir", str(sandbox), "--purge"]
        subprocess.run(down, check=True, stdout=subprocess.DEVNULL, timeout=60)
        if not is_quiet:
            print("stopped the sandbox")
    shutil.rmtree(FOLDER / "engine", ignore_errors=True)
    shutil.rmtree(VOLUMES, ignore_errors=True)


def _explain_how_to_go_on(cluster: Kubectl) -> None:
    print(
        textwrap.dedent(f"""
        Everything keeps running. Go on with
          export KUBECONFIG={cluster.kubeconfig}
          alias kubectl={cluster.binary}
          kubectl get backups -A -o wide
          kubectl explain backup.spec
        The logs are in {_relative(FOLDER / "logs")}, the archives in {_relative(ARCHIVES)}.
        Stop it with
          make demo STOP=1""")
    )


if __name__ == "__main__":
    sys.exit(main())
