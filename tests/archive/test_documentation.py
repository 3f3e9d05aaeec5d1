"""The shell examples of docs/archive-format.md work on a real archive."""

import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from backup_engine.archive.encryption import Recipients, make_identity
from backup_engine.archive.protection import Protection
from backup_engine.archive.signing_directory import SigningDirectory
from backup_engine.archive.store import ArchiveStore

WriteArchive = Callable[..., Awaitable[str]]
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs" / "archive-format.md"
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROTECTED_BLOCK = re.compile(r"^```shell\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = SHELL_BLOCK.findall(PAGE.read_text(encoding="utf-8"))


def test_the_examples_of_the_format_run_in_their_order(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "examples"
    place.mkdir()
    shutil.copy(archive, place / "archive.tar")
    printed = []

    for example in EXAMPLES:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", example],
            cwd=place,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, f"{example}\n{done.stderr}"
        printed.append(done.stdout)

    assert len(EXAMPLES) == 4
    assert '"path": "manifest.json"' in printed[1]
    assert '{"kind":"Namespace","namespace":null,"name":"blue"}' in printed[2]


def test_a_changed_member_fails_the_documented_check(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "examples"
    place.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(place)], check=True, timeout=200)
    part = place / "parts" / "000002.ndjson.zst"
    part.write_bytes(part.read_bytes()[:-1] + b"?")

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", EXAMPLES[-1]],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert done.returncode != 0
    assert "parts/000002.ndjson.zst" in done.stdout + done.stderr


async def test_the_examples_open_an_encrypted_and_signed_archive(
    store: ArchiveStore, write_archive: WriteArchive, archives: Path, tmp_path: Path
) -> None:
    signing = SigningDirectory(tmp_path / "signing")
    identity = make_identity(datetime.now(UTC))
    signer = signing.ensure_signer(NOON)
    protection = Protection(Recipients([identity.recipient]), signer)
    name = await write_archive(store, protection)
    place = tmp_path / "examples"
    place.mkdir()
    run("tar", "-xf", str(archives / name), "-C", str(place), cwd=place)
    (place / "key.txt").write_text(identity.text)
    (certificate,) = signing.truststore.glob("*.crt")
    shutil.copy(certificate, place / "truststore.crt")

    examples = PROTECTED_BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    opened, verified = [
        run("bash", "-euo", "pipefail", "-c", each, cwd=place).decode() for each in examples
    ]

    assert '"objects": 9' in opened
    assert opened.endswith('"blue"\n"red"\n')
    assert "Signature Verified Successfully" in verified


def run(*command: str, cwd: Path) -> bytes:
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
