"""Write what the image is made of: its software bill of materials, in CycloneDX JSON.

    python3 image/sbom.py OUT ROOT PREFIX [PROGRAM]…

Runs in the build stage of the Dockerfile after ``assemble.py``. Python packages are those installed
below PREFIX, Debian packages those that own a file below ROOT, Go modules those that each PROGRAM
says it was built from. Equal input gives equal bytes: its time is SOURCE_DATE_EPOCH, and its serial
number is derived from what it lists.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SOURCES = Path(__file__).resolve().parents[1]
# a module and its version, and what took its place if anything did
GO_MODULE = re.compile(rb"\n(?:mod|dep)\t(\S+)\t(v\S+)(?:\t\S+)?(?:\n=>\t(\S+)\t(v\S+))?")
OWNER = re.compile(r"^([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9]+)?: /")
PACKAGES_AT_ONCE = 500


def main(arguments: Sequence[str]) -> None:
    """Write OUT."""
    out, root, prefix = map(Path, arguments[:3])
    components = {
        str(component.purl): component
        for component in (
            *list_python(prefix),
            *list_debian(root),
            *(found for name in arguments[3:] for found in list_go(Path(name))),
        )
    }
    out.write_text(render([components[key] for key in sorted(components)]))


def render(components: Iterable[Component]) -> str:
    """Render the document: the image, and what it depends on."""
    project = tomllib.loads((SOURCES / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    subject = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=name)
    parts = list(components)
    text = " ".join(str(part.purl) for part in parts)
    bom = Bom(components=parts, serial_number=uuid5(NAMESPACE_URL, text))
    bom.metadata.component = subject
    bom.register_dependency(subject, parts)
    bom.metadata.timestamp = datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH", "0")), tz=UTC
    )
    written: str = JsonV1Dot6(bom).output_as_string(indent=2)
    return written + "\n"


def list_python(prefix: Path) -> Iterator[Component]:
    """List the interpreter and the packages installed below ``prefix``."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield build("generic", "python", version)
    folders = [str(folder) for folder in prefix.glob("lib/python3*/site-packages")]
    for found in importlib.metadata.distributions(path=folders):
        yield build("pypi", re.sub(r"[-_.]+", "-", found.name).lower(), found.version)


def list_debian(root: Path) -> Iterator[Component]:
    """List the Debian packages that own a file below ``root``; none where there is no dpkg."""
    paths = [f"/{path.relative_to(root)}" for path in root.rglob("*") if not path.is_dir()]
    aliases = [path.removeprefix("/usr") for path in paths if path.startswith("/usr/lib")]
    owners: set[str] = set()
    for start in range(0, len(names := [*paths, *aliases]), PACKAGES_AT_ONCE):
        some = names[start : start + PACKAGES_AT_ONCE]
        owners |= {found[1] for line in ask("-S", *some) if (found := OWNER.match(line))}
    for line in ask("-W", "-f=${Package} ${Version}\n", *sorted(owners)) if owners else ():
        name, version = line.split()
        yield build("deb", name, version, namespace="debian")


def list_go(program: Path) -> Iterator[Component]:
    """List the Go modules a program was linked from, as it says itself."""
    for module, version, other, its_version in GO_MODULE.findall(program.read_bytes()):
        namespace, _, name = (other or module).decode().rpartition("/")
        yield build("golang", name, (its_version or version).decode(), namespace=namespace or None)


def build(kind: str, name: str, version: str, namespace: str | None = None) -> Component:
    """Build one component; its package URL is its reference."""
    purl = PackageURL(kind, namespace, name, version)
    return Component(
        name=name,
        version=version,
        group=namespace,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
    )


def ask(*arguments: str) -> list[str]:
    """Ask dpkg's database; what it does not know is no error here."""
    try:
        answer = subprocess.run(
            ["dpkg-query", *arguments], capture_output=True, text=True, check=False, timeout=300
        )
    except FileNotFoundError:
        return []
    return answer.stdout.splitlines()


if __name__ == "__main__":
    main(sys.argv[1:])
