import hashlib
import json
import subprocess
import sys
import tarfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_engine.archive.encryption import (
    Identities,
    Recipients,
    load_identities,
    load_recipients,
    make_identity,
    write_private,
)
from backup_engine.archive.errors import (
    ArchiveDamagedError,
    ArchiveFormatError,
    ArchiveLockedError,
    KeyFileError,
)
from backup_engine.archive.manifest import (
    BackupFacts,
    ClusterIdentity,
    Host,
    PackedMember,
    Product,
)
from backup_engine.archive.part import KindName, PartBuilder
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader, read_checked
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from backup_engine.archive.writing import ArchiveWriter, build_origin

WriteArchive = Callable[..., Awaitable[str]]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
AN_ORIGIN = build_origin(
    BackupFacts(
        id=1,
        name="x",
        type="CONFIG",
        time_initiated_ms=0,
        initiated_by=None,
        host=Host(id=1, name="y"),
    ),
    Product(name="backup-operator", version="0"),
    ClusterIdentity(uid=None, kubernetes_version="v1"),
)
WORDS = (b"Secret", b"secret-3", b"Widget", b"cluster-uid-is-clear", b"v1.36.3", b"admin", b"wheel")


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Two public keys; their identities are in the files ``first`` and ``second``."""
    made = {name: make_identity(NOW) for name in ("first", "second", "stranger")}
    for name, identity in made.items():
        write_private(tmp_path / name, identity.text)
    return [made["first"].recipient, made["second"].recipient]


@pytest.fixture
async def encrypted(
    store: ArchiveStore, write_archive: WriteArchive, archives: Path, keys: list[str]
) -> Path:
    """The small archive, encrypted to both keys, as a file."""
    return archives / await write_archive(store, Protection(Recipients(keys)))


async def kinds_of(archive: Path, identities: Identities) -> list[str]:
    store = ArchiveStore.open(archive.parent.as_uri())
    reader = await ArchiveReader.open(store.reader(archive.name), identities=identities)
    return [entry.kind async for entry, _ in reader.list_objects(lambda _: True)]


def content_of(archive: Path) -> bytes:
    return archive.read_bytes()


def flip_a_bit_of_the_first_part(archive: Path) -> None:
    content = bytearray(content_of(archive))
    content[content.index(b"age-encryption.org") + 300] ^= 1
    archive.write_bytes(content)


@pytest.mark.parametrize("name", ["first", "second"])
async def test_each_recipient_opens_the_archive_alone(
    encrypted: Path, store: ArchiveStore, tmp_path: Path, name: str
) -> None:
    identities = load_identities([tmp_path / name])

    assert len(await kinds_of(encrypted, identities)) == 9
    verdict = await verify_archive(store, encrypted.name, identities=identities)
    assert (verdict.is_valid, verdict.reason) == (True, "Verified")


async def test_one_fitting_identity_among_others_is_enough(encrypted: Path, tmp_path: Path) -> None:
    files = [tmp_path / "stranger", tmp_path / "second"]

    assert len(await kinds_of(encrypted, load_identities(files))) == 9


def test_without_a_key_no_name_is_readable(encrypted: Path) -> None:
    content = encrypted.read_bytes()

    assert [word for word in WORDS if word in content] == []
    with tarfile.open(encrypted) as tar:
        names = tar.getnames()
        header = tar.extractfile("header.json")
        assert header is not None
        told = json.load(header)
    assert names[1:3] == ["parts/000001.ndjson.zst.age", "index/000001.ndjson.zst.age"]
    assert names[-3:] == ["manifest.json.age", "members.json", "seal.json"]
    assert told["backup"] == {
        "host": {"id": 1, "name": None},
        "id": 1,
        "initiatedBy": None,
        "name": None,
        "timeInitiatedMs": 1_795_435_200_000,
        "type": "CONFIG",
    }


async def test_without_a_key_every_stored_byte_is_still_checked(
    encrypted: Path, store: ArchiveStore
) -> None:
    verdict = await verify_archive(store, encrypted.name)

    assert (verdict.is_valid, verdict.reason) == (True, "StoredBytesVerified")
    assert "checked without decrypting" in verdict.message


@pytest.mark.parametrize("identity", [None, "first"])
async def test_a_bit_flipped_anywhere_in_an_encrypted_archive_is_found(
    encrypted: Path, tmp_path: Path, identity: str | None
) -> None:
    identities = load_identities([tmp_path / identity] if identity else [])
    content = content_of(encrypted)
    missed = []
    for place in range(0, len(content), 13):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        other = ArchiveStore.open("memory:///")
        async with other.writer(encrypted.name) as to:
            await to.write(bytes(flipped))
        if (await verify_archive(other, encrypted.name, identities=identities)).is_valid:
            missed.append(place)

    assert missed == []


async def test_a_missing_or_wrong_identity_is_explained(
    encrypted: Path, store: ArchiveStore, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveLockedError) as missing:
        await kinds_of(encrypted, Identities())
    with pytest.raises(ArchiveLockedError) as wrong:
        await kinds_of(encrypted, load_identities([tmp_path / "stranger"]))

    assert missing.value.reason == "IdentityMissing"
    assert wrong.value.reason == "IdentityMismatch"
    assert str(tmp_path / "stranger") in wrong.value.message
    verdict = await verify_archive(
        store, encrypted.name, identities=load_identities([tmp_path / "stranger"])
    )
    assert (verdict.is_valid, verdict.reason) == (False, "IdentityMismatch")


async def test_damage_is_told_before_a_wrong_identity(
    encrypted: Path, store: ArchiveStore, tmp_path: Path
) -> None:
    flip_a_bit_of_the_first_part(encrypted)

    verdict = await verify_archive(
        store, encrypted.name, identities=load_identities([tmp_path / "stranger"])
    )

    assert verdict.reason == "ChecksumMismatch"


STANDARD_LIBRARY_AND_PYRAGE = """
import hashlib, io, json, sys, tarfile
import pyrage
from backports.zstd import decompress

tar = tarfile.open(sys.argv[1])
text = open(sys.argv[2]).read().splitlines()
key = [pyrage.x25519.Identity.from_str(line) for line in text if not line.startswith("#")]
read = lambda path: tar.extractfile(path).read()
manifest = json.loads(pyrage.decrypt(read("manifest.json.age"), key))
for place in json.loads(read("members.json"))["members"]:
    assert hashlib.sha256(read(place["path"])).hexdigest() == place["sha256"]
for part in manifest["parts"]:
    for line in decompress(pyrage.decrypt(read(part["path"]), key)).splitlines():
        print(json.loads(line)["metadata"]["name"])
assert not any(name.startswith("backup_") for name in sys.modules)
"""


def test_an_encrypted_archive_opens_without_any_code_of_ours(
    encrypted: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",  # an open file at the end of a script of eleven lines is no matter
            "-c",
            STANDARD_LIBRARY_AND_PYRAGE,
            str(encrypted),
            str(tmp_path / "first"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
    )

    assert done.stdout.split() == [
        *("blue", "red"),
        *(f"secret-{number}" for number in range(5)),
        *("größe", "wheel"),
    ]


def test_encryption_is_never_twice_the_same_and_always_reversible(
    tmp_path: Path, keys: list[str]
) -> None:
    content = bytes(range(256)) * 1000
    recipients = Recipients(keys)
    first, second = recipients.encrypt(content), recipients.encrypt(content)

    assert first != second
    assert load_identities([tmp_path / "first"]).decrypt("x", first) == content
    assert load_identities([tmp_path / "second"]).decrypt("x", second) == content


async def test_a_clear_part_cannot_slip_into_an_encrypted_archive(
    store: ArchiveStore, keys: list[str]
) -> None:
    clear = PartBuilder(KindName("v1", "Secret", "secrets"))
    clear.add(b"{}", None, "a", "", "")
    part = clear.finish()
    assert part is not None

    async with store.writer("backup.x.y_1.1_1_2026.config.0.tar") as place:
        archive = ArchiveWriter(place, AN_ORIGIN, Protection(Recipients(keys)))
        await archive.begin()
        with pytest.raises(ValueError, match="expected encryption 'age'"):
            await archive.add(part)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_every_size_survives(tmp_path: Path, keys: list[str], size: int) -> None:
    content = hashlib.shake_256(b"content").digest(size)

    stored = Recipients(keys).encrypt(content)

    assert load_identities([tmp_path / "first"]).decrypt("x", stored) == content


@pytest.mark.parametrize("cut", [0, 10, 300, -1])
def test_a_torn_age_file_is_damage_not_a_wrong_key(
    tmp_path: Path, keys: list[str], cut: int
) -> None:
    stored = Recipients(keys).encrypt(bytes(1000))

    with pytest.raises(ArchiveDamagedError) as caught:
        load_identities([tmp_path / "first"]).decrypt("parts/x", stored[:cut])

    assert caught.value.reason == "DecryptionFailed"
    assert "parts/x" in caught.value.message


def test_recipients_are_read_from_files(tmp_path: Path, keys: list[str]) -> None:
    file = tmp_path / "recipients"
    file.write_text(f"# team\n{keys[0]}\n\n{keys[1]}\n")

    assert load_recipients([file]) == keys
    assert Recipients([*keys, keys[0]]).keys == tuple(keys)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "SECRET-THING\n", "AGE-SECRET-KEY-1SECRET\n", "age1xyz\n"]
)
def test_key_files_that_cannot_be_used_are_named_and_not_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)

    for load in (load_identities, load_recipients):
        with pytest.raises(KeyFileError) as caught:
            load([file])
        assert str(file) in caught.value.message
        assert "SECRET" not in caught.value.message.replace("AGE-SECRET-KEY-1…", "")


def test_a_private_key_given_as_recipient_is_not_repeated() -> None:
    key = make_identity(NOW).text.splitlines()[-1]

    with pytest.raises(KeyFileError) as caught:
        Recipients([key])

    assert key not in caught.value.message


def test_an_identity_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = make_identity(NOW)
    write_private(file, made.text)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().startswith("# created: 2026-11-23T12:00:00+00:00\n# public key: age1")
    assert "AGE-SECRET" not in repr(made) + repr(load_identities([file]))
    with pytest.raises(KeyFileError, match="never overwritten"):
        write_private(file, made.text)


async def test_a_member_that_would_not_fit_into_memory_is_not_read(store: ArchiveStore) -> None:
    member = PackedMember(
        path="parts/000001.ndjson.zst.age",
        offset=1024,
        size_bytes=1 << 33,
        sha256="",
        raw_bytes=1,
        codec="zstd",
        encryption="age",
    )

    with pytest.raises(ArchiveFormatError) as caught:
        await read_checked(store.reader("x"), 1 << 34, member)

    assert caught.value.reason == "PartTooLarge"
