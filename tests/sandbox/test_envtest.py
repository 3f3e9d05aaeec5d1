"""The official archive: only what its publisher vouches for is unpacked."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from backup_sandbox.envtest import ARCHIVES_URL, Archive, parse_index, unpack
from backup_sandbox.errors import BinaryError
from backup_sandbox.versions import Platform

LINUX = Platform("linux", "amd64")
FILE = "envtest-v1.36.3-linux-amd64.tar.gz"


def an_index(url: str) -> str:
    return f"releases:\n  v1.36.3:\n    {FILE}:\n      hash: abc\n      selfLink: {url}\n"


def an_archive(path: Path, **members: str) -> Archive:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return Archive(f"{ARCHIVES_URL}{FILE}", hashlib.sha512(path.read_bytes()).hexdigest())


def test_the_index_gives_place_and_sum() -> None:
    url = f"{ARCHIVES_URL}envtest-v1.36.3/{FILE}"

    assert parse_index(an_index(url), "1.36.3", LINUX) == Archive(url, "abc")


@pytest.mark.parametrize(
    "text", ["", "<html>", "releases: {}", "releases: [", "releases:\n v1.36.3:"]
)
def test_an_index_without_our_version_is_refused(text: str) -> None:
    with pytest.raises(BinaryError, match=f"no {FILE}"):
        parse_index(text, "1.36.3", LINUX)


def test_an_index_that_points_elsewhere_is_refused() -> None:
    with pytest.raises(BinaryError, match="points"):
        parse_index(an_index("https://elsewhere.test/envtest.tar.gz"), "1.36.3", LINUX)


def test_a_checked_archive_yields_the_wanted_binaries_only(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    archive = an_archive(packed, etcd="an etcd", kubectl="a kubectl")

    assert unpack(packed, archive, ["etcd"], tmp_path) == {"etcd": tmp_path / "etcd"}
    assert (tmp_path / "etcd").read_text() == "an etcd"
    assert not (tmp_path / "kubectl").exists()


def test_an_archive_with_another_sum_is_refused_unopened(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    archive = an_archive(packed, etcd="an etcd")
    packed.write_bytes(packed.read_bytes() + b"more")

    with pytest.raises(BinaryError, match="SHA-512"):
        unpack(packed, archive, ["etcd"], tmp_path)
    assert not (tmp_path / "etcd").exists()


def test_an_archive_that_lacks_a_binary_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "packed"

    with pytest.raises(BinaryError, match="does not hold kubectl"):
        unpack(packed, an_archive(packed, etcd="an etcd"), ["etcd", "kubectl"], tmp_path)
