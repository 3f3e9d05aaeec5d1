"""The modules that are compiled, and the Go that compiles them."""

from pathlib import Path

import pytest

from backup_sandbox.cache import BinaryCache
from backup_sandbox.errors import BinaryError
from backup_sandbox.gobuild import (
    SOURCES,
    build_arguments,
    build_coredns_module,
    build_environment,
    build_helm_module,
    build_kopia_module,
    build_kubernetes_module,
    parse_libraries,
)
from backup_sandbox.toolchain import ensure_go, find_go, parse_go_version
from backup_sandbox.versions import (
    APISERVER,
    COREDNS_BINARY,
    ETCD_BINARY,
    HELM,
    HELM_BINARY,
    KOPIA,
    KOPIA_BINARY,
    PAUSE_BINARY,
    Platform,
)

GO_MOD = """module k8s.io/kubernetes

require (
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.140.0
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/other => ../elsewhere
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


def a_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    program.chmod(0o755)
    return program


def test_staged_libraries_are_read_from_the_published_go_mod() -> None:
    assert parse_libraries(GO_MOD) == ["k8s.io/api", "k8s.io/client-go"]


def test_a_go_mod_without_staged_libraries_is_refused() -> None:
    with pytest.raises(BinaryError, match="names no staged library"):
        parse_libraries("module k8s.io/kubernetes\n")


def test_every_staged_library_is_replaced_by_its_published_version() -> None:
    module = build_kubernetes_module(["k8s.io/api", "k8s.io/client-go"])

    assert "require k8s.io/kubernetes v1.36.3\n" in module
    assert "\tk8s.io/api => k8s.io/api v0.36.3\n" in module
    assert "\tk8s.io/client-go => k8s.io/client-go v0.36.3\n" in module


def test_binaries_tell_the_version_they_were_built_from() -> None:
    command = build_arguments(Path("/go"), APISERVER, Path("/out"))

    assert command[0] == "/go"
    assert "version.gitVersion=v1.36.3 " in command[command.index("-ldflags") + 1]
    assert command[-1] == "k8s.io/kubernetes/cmd/kube-apiserver"
    assert build_arguments(Path("/go"), ETCD_BINARY, Path("/out"))[-1].endswith("etcd/server/v3")


def test_kopia_is_built_from_its_module_at_one_version_without_web_pages() -> None:
    command = build_arguments(Path("/go"), KOPIA_BINARY, Path("/out"))

    assert build_kopia_module().endswith(f"require github.com/kopia/kopia v{KOPIA}\n")
    assert command[-1] == "github.com/kopia/kopia"
    assert command[command.index("-tags") + 1] == "nohtmlui"
    assert f"BuildVersion={KOPIA}" in command[command.index("-ldflags") + 1]


def test_helm_is_built_with_the_libraries_of_this_kubernetes() -> None:
    module = build_helm_module()

    assert f"require helm.sh/helm/v4 v{HELM}\n" in module
    assert "\tk8s.io/client-go v0.36.3\n" in module
    assert build_arguments(Path("/go"), HELM_BINARY, Path("/out"))[-1] == "helm.sh/helm/v4/cmd/helm"


def test_dns_and_pause_are_built_from_sources_of_ours() -> None:
    for name in (COREDNS_BINARY, PAUSE_BINARY):
        assert build_arguments(Path("/go"), name, Path("/out"))[-1] == "."
        assert "package main" in (SOURCES / f"{name}.go").read_text()
    assert "require github.com/coredns/coredns v1." in build_coredns_module()


def test_the_checksum_database_stays_as_the_user_has_it() -> None:
    user = {"GOPROXY": "https://proxy.test", "GOFLAGS": "-insecure"}

    environment = build_environment(user)

    assert environment["GOPROXY"] == "https://proxy.test"
    assert environment["GOFLAGS"] == "-mod=mod"
    assert not {"GONOSUMDB", "GONOSUMCHECK", "GOSUMDB", "GOINSECURE"} & set(environment)


def test_go_tells_its_version_in_many_forms() -> None:
    assert parse_go_version("go version go1.26.3 linux/amd64") == (1, 26)
    assert parse_go_version("go version devel go1.27-abcdef") == (1, 27)
    assert parse_go_version("command not found") is None


def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    a_go(tmp_path / "old", "1.25.9")
    recent = a_go(tmp_path / "recent", "1.26.0")

    assert find_go(str(tmp_path / "old")) is None
    assert find_go(str(tmp_path / "recent")) == recent
    assert find_go(str(tmp_path / "empty")) is None


def test_a_go_in_the_cache_serves_if_none_is_on_the_path(tmp_path: Path) -> None:
    cache = BinaryCache(tmp_path, Platform("linux", "amd64"))
    cached = a_go(tmp_path / "go-1.26" / "go" / "bin", "1.26.4")

    assert ensure_go(cache, tmp_path, search_path="", installer=None) == cached


def test_without_go_and_without_an_installer_the_message_says_what_to_do(tmp_path: Path) -> None:
    cache = BinaryCache(tmp_path, Platform("linux", "amd64"))

    with pytest.raises(BinaryError, match=r"no Go 1\.26 or newer on PATH.*Install Go or pip.*KUBE"):
        ensure_go(cache, tmp_path, search_path="", installer=None)


def test_a_failing_installer_is_quoted(tmp_path: Path) -> None:
    cache = BinaryCache(tmp_path, Platform("linux", "amd64"))
    installer = ["/bin/sh", "-c", "echo no network here >&2; exit 1"]

    with pytest.raises(BinaryError, match="no network here"):
        ensure_go(cache, tmp_path, search_path="", installer=installer)
