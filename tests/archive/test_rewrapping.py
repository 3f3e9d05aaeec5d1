import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backup_engine.archive.encryption import (
    Recipients,
    load_identities,
    make_identity,
    write_private,
)
from backup_engine.archive.errors import ArchiveDamagedError, ArchiveExistsError, ArchiveLockedError
from backup_engine.archive.protection import Protection
from backup_engine.archive.reading import ArchiveReader
from backup_engine.archive.rewrapping import rewrap
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore
from backup_engine.archive.verifying import verify_archive
from fixtures.archive_command import run

WriteArchive = Callable[..., Awaitable[str]]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def recipients(tmp_path: Path) -> dict[str, str]:
    """Public keys by the name of the identity file in ``tmp_path``."""
    made = {name: make_identity(NOON) for name in ("old", "new")}
    for name, identity in made.items():
        write_private(tmp_path / name, identity.text)
    return {name: identity.recipient for name, identity in made.items()}


@pytest.fixture
async def original(
    store: ArchiveStore,
    write_archive: WriteArchive,
    archives: Path,
    recipients: dict[str, str],
    signing: SigningDirectory,
) -> Path:
    """The small archive, encrypted to the old key and signed."""
    protection = Protection(Recipients([recipients["old"]]), signing.ensure_signer(NOON))
    return archives / await write_archive(store, protection)


async def objects_of(store: ArchiveStore, name: str, identity: Path) -> list[bytes]:
    reader = await ArchiveReader.open(store.reader(name), identities=load_identities([identity]))
    return [line async for _, line in reader.list_objects(lambda _: True)]


async def test_a_copy_opens_with_the_new_key_only_and_holds_the_same_objects(
    original: Path,
    store: ArchiveStore,
    recipients: dict[str, str],
    signing: SigningDirectory,
    tmp_path: Path,
) -> None:
    other = ArchiveStore.open((tmp_path / "copies").as_uri())
    before = content_of(original)

    await rewrap(
        (store, original.name),
        (other, original.name),
        Protection(Recipients([recipients["new"]]), signing.ensure_signer(NOON)),
        trust=signing.load_trust(is_signature_required=True),
        identities=load_identities([tmp_path / "old"]),
    )

    assert await objects_of(other, original.name, tmp_path / "new") == (
        await objects_of(store, original.name, tmp_path / "old")
    )
    with pytest.raises(ArchiveLockedError):
        await objects_of(other, original.name, tmp_path / "old")
    verdict = await verify_archive(
        other,
        original.name,
        trust=signing.load_trust(is_signature_required=True),
        identities=load_identities([tmp_path / "new"]),
    )
    assert verdict.is_valid
    assert content_of(original) == before


async def test_an_archive_is_never_copied_over_itself(
    original: Path, store: ArchiveStore, recipients: dict[str, str], tmp_path: Path
) -> None:
    before = content_of(original)

    with pytest.raises(ArchiveExistsError):
        await rewrap(
            (store, original.name),
            (store, original.name),
            Protection(Recipients([recipients["new"]])),
            identities=load_identities([tmp_path / "old"]),
        )

    assert content_of(original) == before


async def test_a_damaged_archive_is_not_copied(
    original: Path, store: ArchiveStore, recipients: dict[str, str], tmp_path: Path
) -> None:
    damage(original)
    other = ArchiveStore.open((tmp_path / "copies").as_uri())

    with pytest.raises(ArchiveDamagedError):
        await rewrap(
            (store, original.name),
            (other, original.name),
            Protection(Recipients([recipients["new"]])),
            identities=load_identities([tmp_path / "old"]),
        )

    assert not (tmp_path / "copies").exists()


def test_keys_are_rotated_from_the_command_line(
    original: Path, signing: SigningDirectory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("keygen", "--output", str(tmp_path / "third")) == 0
    recipient = capsys.readouterr().out.strip()
    copy = tmp_path / "copies" / original.name

    assert (
        run(
            "rewrap",
            *("--identity", str(tmp_path / "old")),
            *("--recipient", recipient),
            *("--signing-dir", str(signing.path)),
            str(original),
            str(copy),
        )
        == 0
    )

    assert "9 objects in 3 parts, encrypted to 1 recipient, signed" in capsys.readouterr().out
    verify = ("verify", "--truststore", str(signing.truststore), "--require-signature", str(copy))
    assert run(*verify, "--identity", str(tmp_path / "third")) == 0
    assert capsys.readouterr().out.startswith("valid: Verified: 9 objects")
    assert run(*verify) == 0
    assert "checked without decrypting, signature trusted" in capsys.readouterr().out
    assert run(*verify, "--identity", str(tmp_path / "old")) == 3
    assert capsys.readouterr().out.startswith("NOT VALID: IdentityMismatch: ")
    assert run("extract", str(copy), "--identity", str(tmp_path / "third")) == 0
    assert len(capsys.readouterr().out.splitlines()) == 9


def test_an_encrypted_archive_shows_without_a_key_what_is_clear(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", str(original.parent)) == 0
    assert capsys.readouterr().out.endswith("   encrypted\n")
    assert run("show", str(original)) == 0
    shown = capsys.readouterr().out
    assert "cluster-uid" in shown
    assert "encrypted   with age" in shown
    assert run("show", str(original), "--json") == 3
    assert "identity file" in capsys.readouterr().err
    assert run("show", str(original), "--json", "--identity", str(tmp_path / "old")) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["objects"] == 9


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "--recipient"),
        (("--recipient", "age1nonsense"), 2, "age1nonsense"),
        (("--recipients-file", "{}/nowhere"), 3, "nowhere"),
        (("--recipients-file", "{}/list"), 3, "identity file"),
        (("--recipients-file", "{}/list", "--identity", "{}/nobody"), 3, "nobody"),
        (("--recipients-file", "{}/list", "--require-signature"), 2, "--truststore"),
        (("--recipients-file", "{}/list", "--truststore", "{}/empty"), 2, "(*.crt)"),
    ],
)
def test_a_rotation_that_cannot_be_done_is_explained(
    original: Path,
    recipients: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    (tmp_path / "list").write_text(recipients["new"] + "\n")
    given = [option.format(tmp_path) for option in options]

    assert run("rewrap", *given, str(original), str(tmp_path / original.name)) == code

    assert message in capsys.readouterr().err
    assert not (tmp_path / original.name).exists()


def test_an_unsigned_archive_gets_a_signature_only_if_that_is_asked_for(
    archive: Path,
    recipients: dict[str, str],
    signing: SigningDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = tmp_path / archive.name
    command = (
        "rewrap",
        *("--recipient", recipients["new"], "--signing-dir", str(signing.path)),
        str(archive),
        str(copy),
    )

    assert run(*command) == 3
    assert "is not signed" in capsys.readouterr().err
    assert run(*command, "--truststore", str(signing.truststore)) == 3
    assert "is not signed" in capsys.readouterr().err
    assert run(*command, "--accept-unsigned", "--require-signature") == 2
    assert not copy.exists()
    assert run(*command, "--accept-unsigned") == 0
    assert run("verify", "--truststore", str(signing.truststore), str(copy)) == 0


def content_of(archive: Path) -> bytes:
    return archive.read_bytes()


def damage(archive: Path) -> None:
    content = bytearray(content_of(archive))
    content[content.index(b"age-encryption.org") + 300] ^= 1
    archive.write_bytes(content)
