"""Where the credentials of a bucket come from, and what is told of wrong ones."""

import asyncio
from pathlib import Path

import pytest

from backup_engine.archive.credentials_file import CredentialsFile
from backup_engine.archive.errors import StorageError
from backup_engine.archive.store import UPLOAD_BYTES, ArchiveStore, BucketAccess
from fixtures.archive_command import run
from fixtures.s3_server import S3Server

pytest_plugins = ["fixtures.s3"]

NAME = "backup.x.console_1.23_11_2026.config.1.tar"
SMALL = 1000
LARGE = 3 * UPLOAD_BYTES + 5
HASTY = BucketAccess(retry_s=5, retries=4)  # where it fails in the end


@pytest.mark.parametrize(
    "wrong", [{"AWS_ACCESS_KEY_ID": "nobody-at-all"}, {"AWS_SECRET_ACCESS_KEY": "wrong-secret"}]
)
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_wrong_credentials_are_refused_and_never_shown(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, str],
    size: int,
) -> None:
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    store = ArchiveStore.open(f"s3://{bucket}/place", HASTY)

    with pytest.raises(StorageError) as caught:
        async with store.writer(NAME) as writer:
            await writer.write(bytes(size))

    assert caught.value.reason == "StorageDenied"
    told = caught.value.message + repr(store)
    assert not any(secret in told for secret in (*wrong.values(), s3_server.secret))


async def test_credentials_come_from_a_file(
    s3_server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id = {s3_server.key_id}\n"
        f"aws_secret_access_key = {s3_server.secret}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = ArchiveStore.open(f"s3://{bucket}/place", BucketAccess(credentials_file=file))

    async with store.writer(NAME) as writer:
        await writer.write(b"content")

    assert await store.reader(NAME).read(0, 7) == b"content"


async def test_the_command_line_needs_credentials_and_takes_a_file_of_them(
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id = {s3_server.key_id}\n"
        f"aws_secret_access_key = {s3_server.secret}\n"
    )
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    url = f"s3://{bucket}/place"

    named = await asyncio.to_thread(run, "list", url, "--credentials-file", str(file))
    told = capsys.readouterr().err
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key_id)
    refused = await asyncio.to_thread(run, "list", url)

    assert (named, told) == (0, f"backup_engine: {url}: no archives (backup.….tar)\n")
    assert refused == 3
    assert "SignatureDoesNotMatch); check the credentials" in capsys.readouterr().err


def test_a_credentials_file_is_read_again_while_the_store_is_in_use(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    provider = CredentialsFile(file)
    before = provider()
    file.write_text("[default]\naws_access_key_id = c\naws_secret_access_key = d%\n")
    after = provider()

    assert (before["access_key_id"], before["secret_access_key"]) == ("a", "b")
    assert (after["access_key_id"], after["secret_access_key"]) == ("c", "d%")
    assert before["expires_at"] is not None


@pytest.mark.parametrize("content", [None, "", "[default]\naws_access_key_id: SECRET", "SECRET"])
def test_a_credentials_file_that_cannot_be_used_is_told_at_once(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "credentials"
    if content is not None:
        file.write_text(content)

    with pytest.raises(StorageError) as caught:
        ArchiveStore.open("s3://bucket/place", BucketAccess(credentials_file=file))

    assert caught.value.reason == "CredentialsUnreadable"
    assert str(file) in caught.value.message
    assert "SECRET" not in caught.value.message


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(StorageError) as caught:
        ArchiveStore.open("s3://key:hidden@bucket/place")

    assert "hidden" not in caught.value.message
