"""Assemble the root of the image: our programs, the interpreter, what both load, and no more.

    python3 image/assemble.py ROOT PREFIX [PROGRAM]…

Runs in the build stage of the Dockerfile. There is no shell, no package manager and no pip in what
comes out, whichever base it came from: both Debian's Python and the official image's are found by
asking the interpreter.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

UNUSED = ("test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data")
FOREIGN = ("site-packages", "dist-packages")  # the base's own packages: ours are below PREFIX
ELF = b"\x7fELF"
LIBRARY = re.compile(r"(/\S+) \(0x[0-9a-f]+\)$")
LOADED_BY_NAME = ("libgcc_s.so.1",)  # by libc, when a thread is cancelled
MERGED = ("bin", "lib", "lib64", "sbin")  # links into usr on today's systems
KEPT = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ld.so.cache",
    "/etc/os-release",
    "/usr/lib/os-release",
)
USER = 65532
WRITTEN = {
    "etc/passwd": f"root:x:0:0:root:/root:/none\nbackup:x:{USER}:{USER}:backup:/tmp:/none\n",
    "etc/group": f"root:x:0:\nbackup:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main(arguments: Sequence[str]) -> None:
    """Fill ROOT."""
    root, prefix = Path(arguments[0]), Path(arguments[1])
    root.mkdir(parents=True)
    for name in MERGED:
        if (link := Path("/", name)).is_symlink():
            (root / link.readlink()).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(link.readlink())
    interpreter = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001
    standard = Path(sysconfig.get_path("stdlib"))
    copy(interpreter, root)
    for name in ("python3", interpreter.name):
        link = root / str(interpreter.parent / name)[1:]
        if not link.exists():
            link.symlink_to(interpreter.name)
    copy_tree(standard, root, (*UNUSED, *FOREIGN))
    copy_tree(prefix, root, ())
    programs = [Path(argument) for argument in arguments[2:]]
    for program in programs:
        target = root / "usr/local/bin" / program.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program, target)
    for library in find_libraries(root, [interpreter]):
        copy(library, root)
    for name in KEPT:
        if Path(name).exists():
            copy(Path(name), root)
    for name, text in WRITTEN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def copy(path: Path, root: Path) -> None:
    """Copy one file to its place below ``root``; a link becomes the file it leads to."""
    target = root / str(path)[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path, target)


def copy_tree(tree: Path, root: Path, without: Sequence[str]) -> None:
    """Copy a folder to its place below ``root``, leaving out the named folders at its top."""

    def leave_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder) == tree and name in without]

    target = root / str(tree)[1:]
    shutil.copytree(tree, target, symlinks=True, ignore=leave_out, dirs_exist_ok=True)


def find_libraries(root: Path, programs: Sequence[Path]) -> Iterator[Path]:
    """Find every shared library outside of ``root`` that one of ``programs`` or it loads."""
    found: dict[str, None] = {}
    for path in [*programs, *root.rglob("*.so"), *root.rglob("*.so.*")]:
        if path.is_symlink() or not path.is_file() or not is_elf(path):
            continue
        answer = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False)
        for line in answer.stdout.splitlines():
            if (named := LIBRARY.search(line)) and not named[1].startswith(str(root)):
                found[named[1]] = None
    folders = {Path(name).parent for name in found}
    for name in LOADED_BY_NAME:
        found.update({str(f / name): None for f in sorted(folders) if (f / name).exists()})
    yield from map(Path, found)


def is_elf(path: Path) -> bool:
    """Tell a program or library from everything else."""
    with path.open("rb") as content:
        return content.read(len(ELF)) == ELF


if __name__ == "__main__":
    main(sys.argv[1:])
