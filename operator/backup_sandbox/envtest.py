"""The official envtest archive: kube-apiserver, etcd and kubectl, built by the Kubernetes project.

It has no kube-controller-manager, and not every patch release of Kubernetes has an archive.
"""

import hashlib
import shutil
import tarfile
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath

import yaml

from backup_sandbox.errors import BinaryError
from backup_sandbox.progress import Step, step
from backup_sandbox.versions import APISERVER, ETCD_BINARY, KUBECTL, KUBERNETES, Platform

INDEX_URL = (
    "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
)
ARCHIVES_URL = "https://github.com/kubernetes-sigs/controller-tools/releases/download/"
CONTENT = (APISERVER, ETCD_BINARY, KUBECTL)
TIMEOUT_S = 10.0  # per read: a blocked network must cost seconds, not minutes
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive of the index, with the SHA-512 published for it."""

    url: str
    sha512: str


def parse_index(text: str, version: str, platform: Platform) -> Archive:
    """Return the archive that the published index names; raises BinaryError if it has none."""
    file = f"envtest-v{version}-{platform.system}-{platform.architecture}.tar.gz"
    try:
        entry = yaml.safe_load(text)["releases"][f"v{version}"][file]
        archive = Archive(url=entry["selfLink"], sha512=entry["hash"])
    except (yaml.YAMLError, KeyError, TypeError) as problem:
        raise BinaryError(f"the envtest index has no {file}") from problem
    if not archive.url.startswith(ARCHIVES_URL):
        raise BinaryError(f"the envtest index points {file} at {archive.url}, not {ARCHIVES_URL}…")
    return archive


def fetch_envtest(names: Iterable[str], platform: Platform, into: Path) -> dict[str, Path]:
    """Fetch, check and unpack those of ``names`` that the archive holds; return their paths.

    Raises BinaryError if the place cannot be reached, has no such archive or its sum is wrong.
    """
    wanted = [name for name in names if name in CONTENT]
    if not wanted:
        return {}
    try:
        with step("fetching the envtest archive") as running:
            index = b"".join(_chunks(INDEX_URL, running)).decode(errors="replace")
            archive = parse_index(index, KUBERNETES, platform)
            packed = into / "envtest.tar.gz"
            with packed.open("wb") as output:
                for chunk in _chunks(archive.url, running):
                    output.write(chunk)
    except (OSError, HTTPException) as problem:
        raise BinaryError(f"the envtest archive is out of reach: {problem}") from problem
    return unpack(packed, archive, wanted, into)


def unpack(packed: Path, archive: Archive, wanted: list[str], into: Path) -> dict[str, Path]:
    """Unpack ``wanted`` out of the checked archive; raises BinaryError if sum or content differ."""
    with packed.open("rb") as content:
        found = hashlib.file_digest(content, "sha512").hexdigest()
    if found != archive.sha512:
        raise BinaryError(
            f"{archive.url} has the SHA-512 {found}, but {archive.sha512} is published for it"
        )
    paths: dict[str, Path] = {}
    with tarfile.open(packed) as members:
        for member in members:
            name = PurePosixPath(member.name).name
            source = members.extractfile(member) if name in wanted else None
            if source is None:
                continue
            paths[name] = into / name
            with source, paths[name].open("wb") as output:
                shutil.copyfileobj(source, output)
    if missing := [name for name in wanted if name not in paths]:
        raise BinaryError(f"{archive.url} does not hold {', '.join(missing)}")
    return paths


def _chunks(url: str, running: Step) -> Iterable[bytes]:
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - https constants
        while chunk := answer.read(CHUNK_BYTES):
            running.tick()
            yield chunk
