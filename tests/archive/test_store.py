import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from obstore.store import LocalStore

from backup_engine.archive import store as store_module
from backup_engine.archive.errors import ArchiveExistsError, ArchiveMissingError, StorageError
from backup_engine.archive.store import UPLOAD_BYTES, ArchiveStore

NAME = "backup.x.console_1.23_11_2026.config.1.tar"


@pytest.fixture(params=["file", "memory"])
def any_store(request: pytest.FixtureRequest, archives: Path) -> ArchiveStore:
    return ArchiveStore.open(archives.as_uri() if request.param == "file" else "memory:///")


async def write(store: ArchiveStore, *pieces: bytes) -> None:
    async with store.writer(NAME) as place:
        for piece in pieces:
            await place.write(piece)


@pytest.mark.parametrize("size", [10, UPLOAD_BYTES + 5, 3 * UPLOAD_BYTES])
async def test_what_is_written_is_read_back(any_store: ArchiveStore, size: int) -> None:
    content = os.urandom(size)
    half = size // 2

    await write(any_store, content[:half], content[half:])

    reader = any_store.reader(NAME)
    assert await any_store.list_names() == [NAME]
    assert await reader.get_size() == size
    assert await reader.read(0, size) == content
    assert await reader.read(half, 3) == content[half : half + 3]


async def test_a_name_is_written_only_once(any_store: ArchiveStore) -> None:
    await write(any_store, b"first")

    with pytest.raises(ArchiveExistsError, match=NAME):
        await write(any_store, b"second")

    assert await any_store.reader(NAME).read(0, 5) == b"first"


async def test_of_two_writers_at_once_one_wins(any_store: ArchiveStore) -> None:
    async def write_slowly() -> None:
        async with any_store.writer(NAME) as slow:
            await slow.write(b"slow")
            await write(any_store, b"fast")

    with pytest.raises(ArchiveExistsError):
        await write_slowly()

    assert await any_store.reader(NAME).read(0, 4) == b"fast"


@pytest.mark.parametrize("size", [10, 2 * UPLOAD_BYTES])
async def test_nothing_is_visible_before_the_end(any_store: ArchiveStore, size: int) -> None:
    async with any_store.writer(NAME) as place:
        await place.write(bytes(size))
        assert await any_store.find_size(NAME) is None

    assert await any_store.find_size(NAME) == size


@pytest.mark.parametrize("size", [10, 2 * UPLOAD_BYTES])
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_an_error_leaves_nothing_behind(
    any_store: ArchiveStore, archives: Path, size: int, error: type[BaseException]
) -> None:
    async def fail() -> None:
        async with any_store.writer(NAME) as place:
            await place.write(bytes(size))
            raise error

    with pytest.raises(error):
        await fail()

    assert await any_store.find_size(NAME) is None
    assert not list_files(archives)


async def test_deleting_may_be_repeated(any_store: ArchiveStore) -> None:
    await write(any_store, b"content")

    await any_store.delete(NAME)
    await any_store.delete(NAME)

    assert await any_store.find_size(NAME) is None
    with pytest.raises(ArchiveMissingError):
        await any_store.reader(NAME).read(0, 1)


async def test_only_from_a_store_that_is_there_can_an_archive_be_gone(
    store: ArchiveStore, archives: Path
) -> None:
    await write(store, b"content")
    present = await store.is_gone(NAME)
    await store.delete(NAME)
    deleted = await store.is_gone(NAME)
    archives.rename(archives.with_name("unmounted"))  # noqa: ASYNC240 - nothing else runs

    with pytest.raises(ArchiveMissingError, match=str(archives)):
        await store.is_gone(NAME)
    assert (present, deleted) == (False, True)


async def test_a_directory_that_goes_while_it_is_opened_is_no_store(
    archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives.mkdir(exist_ok=True)  # noqa: ASYNC240 - nothing else runs

    def unmount_and_open(prefix: Path) -> LocalStore:
        prefix.rmdir()
        return LocalStore(prefix=prefix)

    monkeypatch.setattr(store_module, "LocalStore", unmount_and_open)
    with pytest.raises(ArchiveMissingError, match="does not exist"):
        await ArchiveStore.open(archives.as_uri()).list_names()


async def test_directory_and_files_are_their_owners_alone(
    store: ArchiveStore, archives: Path
) -> None:
    await write(store, b"secret")

    assert modes_of(archives, archives / NAME) == [0o700, 0o600]


async def test_a_location_is_a_path_or_a_url(archives: Path) -> None:
    assert ArchiveStore.open(archives.as_uri()).location(NAME) == str(archives / NAME)
    assert ArchiveStore.open("s3://bucket/some/place/").location(NAME) == (
        f"s3://bucket/some/place/{NAME}"
    )


@pytest.mark.parametrize("url", ["ftp://x", "file://host/x", "file:relative", "nonsense"])
def test_a_url_nobody_serves_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="archive URL"):
        ArchiveStore.open(url)


@pytest.mark.parametrize("name", ["../x.tar", "a/b.tar", ".hidden", ""])
async def test_a_name_cannot_leave_the_store(store: ArchiveStore, name: str) -> None:
    await store.ensure_no_leftovers()

    with pytest.raises(ValueError, match="archive name"):
        await store.delete(name)
    with pytest.raises(ValueError, match="archive name"):
        store.writer(name)


async def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    place = tmp_path / "a b#c%20d" / "größe"
    store = ArchiveStore.open(place.as_uri())

    await write(store, b"content")

    assert await store.reader(NAME).read(0, 7) == b"content"
    assert list_files(place) == [NAME]


CRASHING_WRITER = """
import asyncio, os, sys
from backup_engine.archive.store import ArchiveStore

async def main():
    async with ArchiveStore.open(sys.argv[1]).writer(sys.argv[2]) as place:
        await place.write(b"half")
        print("writing", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""


async def test_leftovers_of_a_killed_writer_go_but_a_living_one_keeps_its_file(
    store: ArchiveStore, archives: Path
) -> None:
    await store.ensure_no_leftovers()
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CRASHING_WRITER,
        archives.as_uri(),
        NAME,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert await asyncio.wait_for(writer.stdout.readline(), timeout=200) == b"writing\n"
    (staged,) = list_files(archives)

    assert await store.ensure_no_leftovers() == []
    assert list_files(archives) == [staged]

    writer.kill()
    await writer.communicate()
    assert await store.list_names() == []
    assert await store.ensure_no_leftovers() == [staged]
    assert list_files(archives) == []


def list_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def modes_of(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]
