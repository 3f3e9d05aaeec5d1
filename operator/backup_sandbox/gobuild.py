"""Building the binaries from the published Go modules, checked against Go's checksum database.

Kubernetes refers to its own libraries by folders of its repository. A module that requires it
must replace each of these by the published library; which ones they are, its go.mod tells.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from backup_sandbox.errors import BinaryError
from backup_sandbox.progress import run_step
from backup_sandbox.versions import (
    COREDNS,
    COREDNS_BINARY,
    ETCD,
    ETCD_BINARY,
    GO,
    HELM,
    HELM_BINARY,
    KOPIA,
    KOPIA_BINARY,
    KUBERNETES,
    PAUSE_BINARY,
)

KUBERNETES_MODULE = "k8s.io/kubernetes"
ETCD_MODULE = "go.etcd.io/etcd/server/v3"
KOPIA_MODULE = "github.com/kopia/kopia"
COREDNS_MODULE = "github.com/coredns/coredns"
HELM_MODULE = "helm.sh/helm/v4"
SOURCES = Path(__file__).parent / "gosource"  # programs whose main function is ours
LIBRARY_VERSION = f"v0.{KUBERNETES.split('.', 1)[1]}"  # 1.36.3 comes with libraries 0.36.3
STAGED = re.compile(r"^\s*(?:replace\s+)?(\S+) => \./staging/src/\1$", re.MULTILINE)
HEAD = f"module backup-sandbox/build\n\ngo {GO[0]}.{GO[1]}.0\n\n"
DOWNLOAD_TIMEOUT_S = 300
HELMS_LIBRARIES = (
    "api",
    "apiextensions-apiserver",
    "apimachinery",
    "apiserver",
    "cli-runtime",
    "client-go",
    "component-base",
    "kubectl",
)


def parse_libraries(go_mod: str) -> list[str]:
    """Return the libraries that Kubernetes' go.mod takes from its own folders."""
    libraries: list[str] = STAGED.findall(go_mod)
    if not libraries:
        raise BinaryError(f"go.mod of {KUBERNETES_MODULE} v{KUBERNETES} names no staged library")
    return libraries


def build_kubernetes_module(libraries: Iterable[str]) -> str:
    """Build the go.mod that requires Kubernetes and replaces its libraries."""
    replaced = "".join(f"\t{name} => {name} {LIBRARY_VERSION}\n" for name in libraries)
    return f"{HEAD}require {KUBERNETES_MODULE} v{KUBERNETES}\n\nreplace (\n{replaced})\n"


def build_etcd_module() -> str:
    """Build the go.mod that requires etcd."""
    return f"{HEAD}require {ETCD_MODULE} v{ETCD}\n"


def build_kopia_module() -> str:
    """Build the go.mod that requires kopia.

    ``go install`` of the module would do as well, but asks for the list of its versions, which not
    every module proxy has.
    """
    return f"{HEAD}require {KOPIA_MODULE} v{KOPIA}\n"


def build_helm_module() -> str:
    """Build the go.mod that requires helm, with the libraries that kubectl has compiled already."""
    libraries = "".join(f"\tk8s.io/{name} {LIBRARY_VERSION}\n" for name in HELMS_LIBRARIES)
    return f"{HEAD}require {HELM_MODULE} v{HELM}\n\nrequire (\n{libraries})\n"


def build_coredns_module() -> str:
    """Build the go.mod of our CoreDNS, which has the plugins of a sandbox only."""
    return f"{HEAD}require {COREDNS_MODULE} v{COREDNS}\n"


def build_pause_module() -> str:
    """Build the go.mod of the pause, which needs nothing but Go itself."""
    return HEAD


def build_arguments(go: Path, name: str, output: Path) -> list[str]:
    """Build the ``go build`` command line of one binary."""
    if name == KOPIA_BINARY:
        flags = f"-s -w -X {KOPIA_MODULE}/repo.BuildVersion={KOPIA}"
        # its web pages are of no use here, and a third of its size
        options = ["-trimpath", "-buildvcs=false", "-tags", "nohtmlui", "-ldflags", flags]
        return [str(go), "build", *options, "-o", str(output), KOPIA_MODULE]
    if name == HELM_BINARY:
        options = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        return [str(go), "build", *options, "-o", str(output), f"{HELM_MODULE}/cmd/helm"]
    if name in {COREDNS_BINARY, PAUSE_BINARY}:
        options = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"]
        return [str(go), "build", *options, "-o", str(output), "."]
    major, minor, _ = KUBERNETES.split(".")
    version = "k8s.io/component-base/version"
    flags = (
        f"-s -w -X {version}.gitVersion=v{KUBERNETES}"
        f" -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )
    package = ETCD_MODULE if name == ETCD_BINARY else f"{KUBERNETES_MODULE}/cmd/{name}"
    options = ["-trimpath", "-buildvcs=false", "-ldflags", flags]
    return [str(go), "build", *options, "-o", str(output), package]


def build_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Build the environment of every Go command: the user's own, less what changes the result.

    Proxies, checksum database and caches stay as the user has them.
    """
    # Go takes an empty GOFLAGS for an absent one and reads the user's file instead.
    fixed = {"GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    return {**environment, **fixed}


_ALONE = {
    ETCD_BINARY: build_etcd_module,
    KOPIA_BINARY: build_kopia_module,
    COREDNS_BINARY: build_coredns_module,
    PAUSE_BINARY: build_pause_module,
    HELM_BINARY: build_helm_module,
}


def compile_binaries(
    names: Iterable[str], go: Path, scratch: Path, log: Path
) -> Iterable[tuple[str, Path]]:
    """Compile ``names`` one by one below ``scratch``, yielding each with its path when done.

    Raises BinaryError with the end of Go's output if a download or a compilation fails.
    """
    environment = build_environment(os.environ)
    for name in names:
        alone = _ALONE.get(name)
        folder = scratch / (f"{name}-module" if alone else "kubernetes-module")
        if not folder.exists():
            folder.mkdir()
            module = (
                alone()
                if alone
                else build_kubernetes_module(_find_libraries(go, folder, environment))
            )
            (folder / "go.mod").write_text(module)
            if (source := SOURCES / f"{name}.go").exists():
                shutil.copy(source, folder / "main.go")
        output = scratch / name
        run_step(
            f"building {name}",
            build_arguments(go, name, output),
            cwd=folder,
            env=environment,
            log=log,
        )
        yield name, output


def _find_libraries(go: Path, folder: Path, environment: Mapping[str, str]) -> list[str]:
    command = [str(go), "mod", "download", "-json", f"{KUBERNETES_MODULE}@v{KUBERNETES}"]
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as silence:
        raise BinaryError(f"{' '.join(command)} took more than {DOWNLOAD_TIMEOUT_S} s") from silence
    try:
        go_mod = Path(json.loads(answer.stdout)["GoMod"])
    except (ValueError, KeyError) as problem:
        raise BinaryError(
            f"{' '.join(command)} failed: {answer.stderr.strip() or answer.stdout.strip()}\n"
            "Is the Go module proxy reachable (see go env GOPROXY)?"
        ) from problem
    return parse_libraries(go_mod.read_text())
