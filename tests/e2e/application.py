"""The image of a small real application: PostgreSQL, out of Debian's packages here."""

import shutil
import tempfile
from pathlib import Path

from assemble import copy, copy_tree, find_libraries
from build import run, storage, write_archive
from fixtures.postgresql import find_binaries

IMAGE = "localhost/database:1"
USER = 999
DATA = "/data/files"
PROGRAMS = ("initdb", "postgres", "psql")
UNUSED = ("bitcode", "llvmjit.so", "llvmjit_types.bc")  # a compiler of a hundred megabytes
FILES = ("/usr/share/zoneinfo/UTC", "/etc/ld.so.cache")
START = (
    f"test -d {DATA} || {{ initdb --pgdata={DATA} --username=postgres --locale=C --encoding=UTF8"
    f" --auth=trust && echo host all all all trust >>{DATA}/pg_hba.conf; }} && exec postgres"
    f" -D {DATA} -c listen_addresses=* -c jit=off -c timezone=UTC"
    " -c unix_socket_directories=/tmp"
)


def build_application(archive: Path) -> None:
    """Write a docker-archive of the image; raises BuildError."""
    folder = find_binaries()
    version = folder.parent.name
    with storage() as (_, environment), tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        programs = [folder / name for name in PROGRAMS]
        for program in programs:
            copy(program, root)
        (root / "bin").mkdir()
        shutil.copy("/bin/sh", root / "bin/sh")
        copy_tree(folder.parent / "lib", root, UNUSED)
        copy_tree(Path("/usr/share/postgresql", version), root, ("man",))
        for library in find_libraries(root, [*programs, Path("/bin/sh")]):
            copy(library, root)
        for name in FILES:
            copy(Path(name), root)
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        (root / "etc/passwd").write_text(f"postgres:x:{USER}:{USER}::/tmp:/bin/sh\n")
        root.chmod(0o755)
        container = run(["buildah", "from", "scratch"], environment)
        run(["buildah", "add", "--quiet", container, str(root), "/"], environment)
        settings = (f"--user={USER}", f"--env=PATH={folder}:/bin", "--env=PGHOST=/tmp")
        command = ("--entrypoint", f'["/bin/sh", "-c", "{START}"]')
        run(["buildah", "config", *settings, *command, container], environment)
        run(["buildah", "commit", "--quiet", "--rm", container, IMAGE], environment)
        write_archive(IMAGE, archive, environment)
