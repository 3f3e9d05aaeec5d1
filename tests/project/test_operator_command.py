"""The operator's command line: what it loads for whom, and how it answers wrong usage."""

import subprocess
import sys
from pathlib import Path

import pytest

from backup_operator.__main__ import main

HEAVY = ("aiohttp", "httpx2", "kopf", "kubernetes", "pydantic")


@pytest.mark.parametrize(
    ("arguments", "code", "loaded"),
    [
        (("--help",), 0, []),
        (("run", "--workers", "many"), 2, []),
        (("run", "--workers", "0"), 2, ["pydantic"]),
        (("crds",), 0, ["pydantic"]),
    ],
)
def test_nobody_waits_for_what_his_command_does_not_need(
    arguments: tuple[str, ...], code: int, loaded: list[str]
) -> None:
    program = (
        "import contextlib, io, sys; from backup_operator.__main__ import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: code = main(sys.argv[1:])\n"
        "    except SystemExit as end: code = end.code\n"
        f"print(code, *sorted({set(HEAVY)!r} & sys.modules.keys()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [str(code), *loaded]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--log-level", "loud"), "--log-level (BACKUP_OPERATOR_LOG_LEVEL): "),
        (("--log-level", "loud"), "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        (("--sweep-interval", "often"), "such as 90s or 1h30m"),
        (("--renew-deadline", "20s"), "--renew-deadline, and that shorter than --lease-duration"),
    ],
)
def test_an_option_without_sense_is_named_and_what_it_takes(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    assert main(["crds", "--out", str(tmp_path / "file" / "crds")]) == 3

    said = capsys.readouterr().err
    assert str(tmp_path / "file") in said
    assert "Not a directory" in said
