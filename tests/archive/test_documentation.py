"""The shell examples of docs/archive-format.md work on a real archive."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "archive-format.md"
TOOLS = ("bash", "tar", "zstd", "jq", "sha256sum", "head", "tail")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = SHELL_BLOCK.findall(PAGE.read_text(encoding="utf-8"))


@pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS), reason=f"needs the commands {', '.join(TOOLS)}"
)
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
            timeout=30,
        )
        assert done.returncode == 0, f"{example}\n{done.stderr}"
        printed.append(done.stdout)

    assert len(EXAMPLES) == 4
    assert '"path": "manifest.json"' in printed[1]
    assert '{"kind":"Namespace","namespace":null,"name":"blue"}' in printed[2]


def test_a_changed_member_fails_the_documented_check(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "examples"
    place.mkdir()
    subprocess.run(["tar", "-xf", str(archive), "-C", str(place)], check=True, timeout=30)
    part = place / "parts" / "000002.ndjson.zst"
    part.write_bytes(part.read_bytes()[:-1] + b"?")

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", EXAMPLES[-1]],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode != 0
    assert "parts/000002.ndjson.zst" in done.stdout + done.stderr
