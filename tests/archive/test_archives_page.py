"""The commands of docs/archives.md do what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from fixtures.archive_command import run

PAGE = Path(__file__).parents[2] / "docs" / "archives.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
OURS = "$ python -m backup_engine archive "


def test_the_commands_of_the_page_run_in_their_order(
    archive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    places = {"$ARCHIVE": str(archive), "$STORE": str(archive.parent)}
    ours = [shlex.split(line.removeprefix(OURS)) for line in lines if line.startswith(OURS)]

    for command in ours:
        assert run(*(places.get(word, word) for word in command)) == 0

    printed = capsys.readouterr().out
    assert len(ours) == 10
    assert "valid: Verified: 9 objects" in printed
    assert "name: wheel" in printed
    assert (tmp_path / "files/05-secrets/red/secret-3.yaml").exists()
    assert printed.endswith("0 added, 0 removed, 0 changed, 9 the same\n")
