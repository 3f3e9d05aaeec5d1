"""Images without a registry: archives of ours, and the import of any."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from backup_sandbox.node.configuration import RUNTIME_SOCKET
from backup_sandbox.versions import this_platform


def write_image(path: Path, name: str, binary: Path) -> None:
    """Write a docker-archive of an image that is one static binary and nothing else."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as files:
        _add(files, binary.name, binary.read_bytes(), mode=0o755)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    configuration = {
        "architecture": this_platform().architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/{binary.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, mode="w") as archive:
        _add(archive, "config.json", json.dumps(configuration).encode())
        _add(archive, "layer.tar", layer.getvalue())
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def import_arguments(archive: Path) -> list[str]:
    """Build the command, to be run inside, that makes an archive's images known to the kubelet."""
    client = ["ctr", f"--address={RUNTIME_SOCKET}", "--namespace=k8s.io"]
    return [*client, "images", "import", str(archive)]


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    archive.addfile(member, io.BytesIO(content))
