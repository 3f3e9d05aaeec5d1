"""Build the image without a public image registry, from Debian's own packages.

    python image/build.py --out FILE [--base-image NAME]

Makes the base with debootstrap once (kept in the user's cache), builds the Dockerfile on it with
buildah, and writes a docker-archive that ``backup_sandbox up --node --image FILE`` takes; beside it
``sbom.cdx.json``, what the image is made of. Needs Linux, root, buildah and, without --base-image,
debootstrap. Exit code 3: trouble that the message explains; 4: there is no base, for Debian's
packages cannot be had here.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backup_sandbox.binaries import ensure_binaries
from backup_sandbox.cache import cache_root, exclusive
from backup_sandbox.progress import step
from backup_sandbox.versions import KOPIA_BINARY

ROOT = Path(__file__).resolve().parents[1]
SUITE = "trixie"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
BASE = f"localhost/backup-base:{SUITE}"
CONTEXT = ("LICENSE", "README.md", "pyproject.toml", "requirements.lock", "requirements-build.lock")
FOLDERS = ("operator", "image")
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PIP_SETTING = re.compile(
    r"^(?:global|install|:env:)\.(index-url|extra-index-url|proxy|trusted-host|timeout)='(.*)'$"
)
TIMEOUT_S = 1800
NO_BASE = 4
SBOM = Path("opt/backup/sbom.cdx.json")  # in the image
UNNEEDED = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man")
STORAGE = '[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'


class BuildError(Exception):
    """Trouble that its message explains."""


class NoBaseError(BuildError):
    """Debian's packages cannot be had here."""


def main(argv: Sequence[str] | None = None) -> int:
    """Build, and print the image's name and archive."""
    parser = argparse.ArgumentParser(prog="image/build.py", description="Build the image.")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the archive")
    parser.add_argument("--base-image", metavar="NAME", help="instead of a base made here")
    arguments = parser.parse_args(argv)
    try:
        require_tools("buildah", *(() if arguments.base_image else ("debootstrap",)))
        name = build(arguments.out.absolute(), arguments.base_image)
    except BuildError as trouble:
        sys.stderr.write(f"image/build.py: {trouble}\n")
        return NO_BASE if isinstance(trouble, NoBaseError) else 3
    out: Path = arguments.out.absolute()
    materials = out.with_name(SBOM.name)
    materials.write_bytes(read_from_image(out, SBOM))
    sys.stdout.write(f"image: {name}\narchive: {out}\nmaterials: {materials}\n")
    return 0


def require_tools(*names: str) -> None:
    """Raise BuildError unless this is Linux and root with all of ``names``."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise BuildError("only root on Linux can build without a container engine: use docker")
    if missing := [name for name in names if shutil.which(name) is None]:
        raise BuildError(f"on Debian and Ubuntu: apt-get install {' '.join(missing)}")


@contextmanager
def storage() -> Iterator[tuple[Path, dict[str, str]]]:
    """Lend our cache of layers, to one at a time, with the environment that buildah finds it by."""
    cache = cache_root(os.environ) / "images"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive(cache / "lock", "waiting for another build of an image to end"):
        environment = with_storage(cache)
        run(["buildah", "rm", "--all"], environment)  # what a build that failed has left
        yield cache, environment


def build(archive: Path, base: str | None) -> str:
    """Build the image into ``archive``; return its name."""
    with storage() as (cache, environment):
        if base is None:
            base = ensure_base(cache, environment)
        name = f"backup-operator:{version()}"  # as the manifests call it
        with build_context() as context, step(f"building {name}"):
            run(["buildah", "bud", *build_options(context, base, name)], environment)
        with step(f"writing {archive}"):
            write_archive(name, archive, environment)
    return name


def write_archive(name: str, archive: Path, environment: Mapping[str, str]) -> None:
    """Write an image as a docker-archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.unlink(missing_ok=True)  # buildah would refuse to write over it
    run(["buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}"], environment)


def build_options(context: Path, base: str, name: str) -> list[str]:
    """Build the arguments of ``buildah bud``; they are the same for equal sources."""
    options = ["--quiet", "--layers", "--isolation=chroot", "--format=docker", "--pull-never"]
    arguments = {"BASE_IMAGE": base, "VERSION": version(), "REVISION": revision()}
    options += [f"--build-arg={key}={value}" for key, value in arguments.items()]
    # Trust and package index of this machine, for the build only: neither stays in the image.
    options.append(f"--volume={CA_BUNDLE}:{CA_BUNDLE}:ro")
    options.append(f"--volume={context / 'pip.conf'}:/etc/pip.conf:ro")
    return [*options, f"--tag={name}", str(context)]


@contextmanager
def build_context() -> Iterator[Path]:
    """Lend a folder with exactly what the Dockerfile copies, kopia included."""
    with tempfile.TemporaryDirectory(prefix="backup-image-") as folder:
        context = Path(folder)
        for name in ("Dockerfile", ".dockerignore", *CONTEXT):
            shutil.copy2(ROOT / name, context / name)  # times count in the cache of layers
        for name in FOLDERS:
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, context / name, ignore=ignore)
        (context / "image/bin").mkdir(exist_ok=True)
        kopia = ensure_binaries([KOPIA_BINARY], os.environ)[KOPIA_BINARY]
        shutil.copy2(kopia, context / "image/bin/kopia")
        (context / "pip.conf").write_text(pip_settings())
        yield context


def pip_settings() -> str:
    """Return a pip.conf with what pip is told on this machine of its index."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = [PIP_SETTING.match(line) for line in listed.stdout.splitlines()]
    lines = [f"{match[1]} = {match[2]}" for match in found if match]
    return "\n".join(["[global]", f"cert = {CA_BUNDLE}", *lines, ""])


def ensure_base(cache: Path, environment: Mapping[str, str]) -> str:
    """Make the base image unless it is there; its packages are signed by Debian."""
    known = subprocess.run(
        ["buildah", "inspect", "--type=image", BASE],
        capture_output=True,
        env=environment,
        check=False,
        timeout=60,
    )
    if known.returncode == 0:
        return BASE
    with tempfile.TemporaryDirectory(prefix="base-", dir=cache) as folder:
        root, archive = Path(folder, "root"), Path(folder, "base.tar")
        with step(f"making a base of Debian {SUITE}"):
            include = f"--include={','.join(PACKAGES)}"
            try:
                run(["debootstrap", "--variant=minbase", include, SUITE, str(root)], environment)
            except BuildError as trouble:
                raise NoBaseError(str(trouble)) from trouble
            trim(root)
            run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(archive), "."], environment)
            container = run(["buildah", "from", "scratch"], environment)
            run(["buildah", "add", "--quiet", container, str(archive), "/"], environment)
            path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            run(["buildah", "config", "--env", path, container], environment)
            run(["buildah", "commit", "--quiet", "--rm", container, BASE], environment)
    return BASE


def trim(root: Path) -> None:
    """Remove what no build needs, and leave a place for pip's settings."""
    for name in UNNEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/pip.conf").touch()


def with_storage(cache: Path) -> dict[str, str]:
    """Return an environment in which buildah keeps its layers in our cache, not in the system's."""
    folder = cache / "buildah"
    folder.mkdir(exist_ok=True)
    settings = cache / "storage.conf"
    settings.write_text(STORAGE.format(driver="overlay", folder=folder))
    return {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings)}


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a command and return what it printed; raises BuildError with its last words."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=TIMEOUT_S
    )
    if done.returncode != 0:
        words = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-20:])
        raise BuildError(f"{' '.join(command)} failed:\n{words}")
    return done.stdout.strip()


def read_from_image(archive: Path, path: Path) -> bytes:
    """Return one file of the image in a docker-archive; raises BuildError if it has none."""
    with tarfile.open(archive) as image:
        for layer in json.load(take(image, "manifest.json"))[0]["Layers"]:
            with tarfile.open(fileobj=take(image, layer)) as files:
                if str(path) in files.getnames():
                    return take(files, str(path)).read()
    raise BuildError(f"{archive}: no layer has {path}; was it built from another Dockerfile?")


def take(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open one member; raises KeyError if there is none, BuildError if it is no file."""
    member = archive.extractfile(name)
    if member is None:
        raise BuildError(f"{name} is no file")
    return member


def version() -> str:
    """Return the version the project calls itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def revision() -> str:
    """Return the commit that is built; "unknown" outside of a repository."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
