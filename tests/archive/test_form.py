import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from backup_engine.archive.names import build_archive_name, is_archive_name
from backup_engine.archive.part import KindName, Part, PartBuilder
from backup_engine.archive.tarform import build_member_header

MEMBERS = [
    "header.json",
    *(f"{kind}/00000{n}.ndjson.zst" for n in (1, 2, 3) for kind in ("parts", "index")),
    "manifest.json",
    "members.json",
    "seal.json",
]


def run(*command: str, cwd: Path) -> bytes:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=200).stdout


def test_python_reads_the_archive_as_an_ordinary_tar(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()

    assert [member.name for member in members] == MEMBERS
    assert {(member.mode, member.uid, member.gid, member.mtime) for member in members} == {
        (0o600, 0, 0, 1_795_435_200)
    }


def test_tar_and_zstd_open_the_archive_without_us(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "unpacked"
    place.mkdir()

    listed = run("tar", "--list", "--file", str(archive), cwd=place).decode().split()
    run("tar", "--extract", "--file", str(archive), cwd=place)

    assert listed == MEMBERS
    manifest = json.loads((place / "manifest.json").read_bytes())
    for part in manifest["parts"]:
        for member in (part, part["index"]):
            stored = (place / member["path"]).read_bytes()
            assert hashlib.sha256(stored).hexdigest() == member["sha256"]
        lines = run("zstd", "--decompress", "--stdout", part["path"], cwd=place)
        entries = run("zstd", "--decompress", "--stdout", part["index"]["path"], cwd=place)
        assert len(lines) == part["rawBytes"]
        for line, entry in zip(lines.splitlines(), entries.splitlines(), strict=True):
            told = json.loads(entry)
            assert list(told) == sorted(told)
            assert told["sha256"] == hashlib.sha256(line).hexdigest()
            assert lines[told["offset"] :][: told["length"]] == line


@pytest.mark.parametrize(
    ("path", "size", "mtime_s"), [("header.json", 0, 0), ("a" * 100, 8**11 - 1, 8**11 - 1)]
)
def test_a_header_is_what_other_programs_write(path: str, size: int, mtime_s: int) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mtime, member.mode = size, mtime_s, 0o600

    assert build_member_header(path, size, mtime_s) == member.tobuf(format=tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    ("path", "size", "mtime_s"), [("a" * 101, 0, 0), ("a", 8**11, 0), ("a", 0, -1), ("ä", 0, 0)]
)
def test_what_fits_no_header_is_refused(path: str, size: int, mtime_s: int) -> None:
    with pytest.raises(ValueError, match=r"no room in a tar header|ascii"):
        build_member_header(path, size, mtime_s)


def test_every_offset_points_at_its_member(archive: Path) -> None:
    content = archive.read_bytes()
    with tarfile.open(archive) as tar:
        places = {member.name: (member.offset_data, member.size) for member in tar}
    manifest = json.loads(content[slice_of(places["manifest.json"])])
    seal = json.loads(content[slice_of(places["seal.json"])])

    told = [manifest["header"], seal["manifest"], seal["members"]]
    for part in manifest["parts"]:
        told += [part, part["index"]]
    assert {one["path"]: (one["offset"], one["sizeBytes"]) for one in told} == {
        name: place for name, place in places.items() if name != "seal.json"
    }
    assert places["seal.json"] == (len(content) - 2048, 1024)


def slice_of(place: tuple[int, int]) -> slice:
    return slice(place[0], place[0] + place[1])


def test_a_part_is_closed_before_it_grows_too_large() -> None:
    builder = PartBuilder(KindName("v1", "ConfigMap", "configmaps"))
    line = b'{"x":"' + b"y" * 1_000_000 + b'"}'
    parts: list[Part] = []
    for number in range(100):
        part = builder.add(line, "default", f"map-{number}", "uid", "1")
        parts += [part] if part else []
    last = builder.finish()
    parts += [last] if last else []

    assert sum(part.objects for part in parts) == 100
    assert [part.content.raw_bytes < 5 * 1024 * 1024 for part in parts] == [True] * 20
    assert builder.finish() is None


def test_a_name_is_that_of_the_appliance_but_for_its_ending() -> None:
    name = build_archive_name("nightly", "console1", 53, 1_763_856_000_000)

    assert name == "backup.nightly.console1_53.23_11_2025.config.1763856000000.tar"
    assert is_archive_name(name)
    assert not is_archive_name(f".{name}.0123abcd.partial")


@pytest.mark.parametrize("hostname", ["../x", "a/b", "a b", "a\nb", "x" * 250])
def test_a_name_that_is_no_safe_path_segment_is_refused(hostname: str) -> None:
    with pytest.raises(ValueError, match="archive name"):
        build_archive_name("nightly", hostname, 1, 0)
