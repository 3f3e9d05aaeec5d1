import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fixtures.archive_command import run


@pytest.fixture
def written(archive: Path) -> str:
    return str(archive)


def test_list_names_each_archive_on_a_line(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", str(Path(written).parent)) == 0

    (line,) = capsys.readouterr().out.splitlines()
    size = Path(written).stat().st_size
    assert line.split("\t") == [Path(written).name, f"{size} bytes", "9 objects, 3 kinds"]


def test_show_describes_an_archive_for_people_or_programs(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", written) == 0
    shown = capsys.readouterr().out
    assert run("show", "--json", Path(written).as_uri()) == 0
    manifest = json.loads(capsys.readouterr().out)

    assert "cluster-uid, Kubernetes v1.36.3" in shown
    assert "5  Secret (v1)" in shown
    assert "events (v1): Ephemeral" in shown
    assert manifest["totals"]["objects"] == 9


def test_verify_tells_the_verdict_by_exit_code_and_reason(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", written) == 0
    assert capsys.readouterr().out.startswith("Verified: 9 objects")

    content = Path(written).read_bytes()
    Path(written).write_bytes(content[:-700])

    assert run("verify", written) == 3
    assert capsys.readouterr().out.startswith("ManifestMissing: ")


def test_extract_prints_stored_lines(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("extract", written, "--kind", "secret", "--name", "secret-3") == 0

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["metadata"] == {"name": "secret-3", "namespace": "red"}


def test_extract_prints_yaml_that_kubectl_could_apply(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", written, "--namespace", "blue", "--output", "yaml") == 0

    (document,) = yaml.safe_load_all(capsys.readouterr().out)
    assert document["metadata"]["name"] == "größe"


def test_extract_without_a_filter_prints_everything(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", written) == 0

    assert len(capsys.readouterr().out.splitlines()) == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "{}/backup.x.y_1.1_1_2026.config.0.tar"), "does not exist"),
        (("extract", "{}", "--name", "nobody"), "no object matches"),
        (("list", "{}/nowhere"), "does not exist"),
        (("show", "ftp://nowhere/x.tar"), "archive URL"),
        (("show", "{}/.hidden"), "archive name"),
    ],
)
def test_trouble_is_explained_on_stderr(
    written: str,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    place = written if arguments[0] == "extract" else str(Path(written).parent)

    assert run(*(argument.format(place) for argument in arguments)) == 3

    said = capsys.readouterr()
    assert said.err.startswith("backup_engine: ")
    assert message in said.err
    assert said.out == ""


READER = """
import argparse, asyncio, sys
from backup_engine.archive.command import add_archive_parser, run_archive

sys.stdin.read()
parser = argparse.ArgumentParser()
add_archive_parser(parser.add_subparsers())
sys.exit(asyncio.run(run_archive(parser.parse_args(sys.argv[1:]))))
"""


def test_a_reader_that_leaves_early_is_no_trouble(written: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READER, "archive", "extract", written],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as extract:
        assert extract.stdout is not None
        extract.stdout.close()
        _, said = extract.communicate(timeout=30)

    assert (extract.returncode, said) == (0, b"")
