import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backup_engine.archive.manifest import IndexEntry
from backup_engine.browse.contents import FoundObject
from backup_engine.command.extracting import build_file_path
from fixtures.archive_command import run

AGE_KEY = "age1qdljxuv9md5nkz4tvegjsg8tgap55hcachz8d7k0pyx3auv9yfdqyujgr0"


@pytest.fixture
def written(archive: Path) -> str:
    return str(archive)


def test_list_names_each_archive_on_a_line(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", str(Path(written).parent)) == 0

    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "INITIATED", "SIZE", "KINDS", "OBJECTS", "STATE"]
    size = f"{Path(written).stat().st_size / 1024:.1f}"
    moment = "2026-11-23T12:00:00Z"
    assert line.split() == [Path(written).name, moment, size, "KiB", "3", "9", "readable"]
    assert run("list", str(Path(written).parent), "-o", "json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["sizeBytes"], told["objects"]) == (Path(written).stat().st_size, 9)


def test_show_lists_kinds_namespaces_and_objects_of_a_kind(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def shown(*arguments: str) -> list[list[str]]:
        assert run("show", written, *arguments) == 0
        return [line.split() for line in capsys.readouterr().out.splitlines()]

    assert ["Widget", "zoo.io/v1", "widgets", "2"] in [row[:4] for row in shown("kinds")]
    assert shown("namespaces") == [["NAMESPACE", "OBJECTS"], ["blue", "1"], ["red", "6"]]
    assert [row[:3] for row in shown("widgets.zoo.io")] == [
        ["NAMESPACE", "NAME", "KIND"],
        ["blue", "größe", "Widget"],
        ["red", "wheel", "Widget"],
    ]
    assert len(shown("secrets", "-n", "r*")) == 6


def test_show_prints_one_object(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", written, "secret", "secret-3", "-n", "red") == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert run("show", written, "secret", "secret-3", "--json") == 0
    same = json.loads(capsys.readouterr().out)

    assert document == same
    assert document["metadata"] == {"name": "secret-3", "namespace": "red"}
    assert run("show", written, "pods", "nobody") == 3
    assert "'show URL kinds' lists the kinds" in capsys.readouterr().err


def test_options_may_stand_between_arguments(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", "-n", "red", written, "--json", "secret", "secret-3") == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "secret-3"
    with pytest.raises(SystemExit, match="2"):
        run("show", written, "--jsn", "secret")
    refused = capsys.readouterr().err
    assert "archive show" in refused.splitlines()[0]
    assert "unrecognized arguments: --jsn" in refused


def test_show_describes_an_archive_for_people_or_programs(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", written) == 0
    shown = capsys.readouterr().out
    assert run("show", "--json", Path(written).as_uri()) == 0
    manifest = json.loads(capsys.readouterr().out)

    assert "cluster-uid, Kubernetes v1.36.3" in shown
    assert ["Secret", "v1", "5"] in [line.split() for line in shown.splitlines()]
    assert "not captured: events (v1): Ephemeral" in shown
    assert "2026-11-23T12:00:00Z by admin" in shown
    assert manifest["totals"]["objects"] == 9


def test_verify_tells_the_verdict_by_exit_code_and_reason(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", written) == 0
    assert capsys.readouterr().out.startswith("valid: Verified: 9 objects")

    content = Path(written).read_bytes()
    Path(written).write_bytes(content[:-700])

    assert run("verify", written) == 3
    assert capsys.readouterr().out.startswith("NOT VALID: ManifestMissing: ")
    assert run("verify", written, "-o", "json") == 3
    assert json.loads(capsys.readouterr().out)["reason"] == "ManifestMissing"


def test_extract_prints_stored_lines(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("extract", written, "--kind", "secret", "--name", "secret-3") == 0

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["metadata"] == {"name": "secret-3", "namespace": "red"}


def test_extract_prints_yaml_that_kubectl_could_apply(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", written, "--namespace", "blue", "--output", "yaml") == 0

    found = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [one["metadata"]["name"] for one in found] == ["blue", "größe"]


def test_extract_without_a_filter_prints_everything(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("extract", written) == 0

    assert len(capsys.readouterr().out.splitlines()) == 9


def test_extract_writes_files_in_the_order_of_restore(
    written: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "files"
    rules = ("--include", "namespace=blue", "--include", "kind=Secret", "--exclude", "name=*-3")

    assert run("extract", written, *rules, "--to", str(place)) == 0
    assert "6 objects written" in capsys.readouterr().err
    files = sorted(str(file.relative_to(place)) for file in place.rglob("*.yaml"))

    assert files[0] == "01-namespaces/_cluster/blue.yaml"
    assert files[1] == "05-secrets/red/secret-0.yaml"
    assert files[-1] == "10-widgets.zoo.io/blue/größe.yaml"
    assert {file.stat().st_mode & 0o777 for file in place.rglob("*.yaml")} == {0o600}
    document = yaml.safe_load((place / files[1]).read_text())
    assert document == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "secret-0", "namespace": "red"},
    }
    assert run("extract", written, "--to", str(place)) == 3
    assert "never overwritten" in capsys.readouterr().err
    assert run("extract", written, "--to", str(place / "x"), "-o", "ndjson") == 2


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("a", "../../x"), ("..", "x"), ("a", ".."), ("a/b", "x"), ("a", "x\0y"), ("a", "")],
)
def test_a_forged_name_never_leads_out_of_the_folder(namespace: str, name: str) -> None:
    entry = IndexEntry(
        api_version="v1",
        kind="ConfigMap",
        length=0,
        name=name,
        namespace=namespace,
        offset=0,
        resource="configmaps",
        resource_version="1",
        sha256="",
        uid="",
    )

    with pytest.raises(ValueError, match="is no name for a file"):
        build_file_path(FoundObject(("", "configmaps"), entry, b""), "yaml")


def test_diff_wants_exactly_one_other_side(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("diff", written) == 2
    assert "--kubeconfig" in capsys.readouterr().err
    assert run("diff", written, written) == 0
    assert capsys.readouterr().out == "0 added, 0 removed, 0 changed, 9 the same\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "{}/backup.x.y_1.1_1_2026.config.0.tar"), "does not exist"),
        (("extract", "{}", "--name", "nobody"), "no object matches"),
        (("list", "{}/nowhere"), "does not exist"),
        (("show", "{}"), "is a directory; name an archive in it"),
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


def test_a_file_is_no_directory_of_archives(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", written) == 3
    assert "is a file; expected a directory of archives" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--truststore", "{}/nowhere"), "expected a directory with CA certificates (*.crt)"),
        (("--require-signature",), "say by --truststore DIR whom to trust"),
    ],
)
def test_a_truststore_that_trusts_nobody_is_not_the_fault_of_the_archive(
    written: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    options = [argument.format(Path(written).parent) for argument in arguments]

    assert run("verify", written, *options) == 2

    said = capsys.readouterr()
    assert expected in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("diff", "--group", "WORKLOADS"), "DEPLOYMENT_CONFIG"),
        (("restore", "--kubeconfig", "f", "--existing", "keep"), "'Keep', 'Update', 'Recreate'"),
    ],
)
def test_a_word_that_is_none_of_the_choices_is_answered_with_them(
    written: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*arguments, written)
    assert expected in capsys.readouterr().err


def test_diff_says_if_nothing_was_chosen(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", written, written, "--include", "kind=Depolyment") == 0
    assert "no object on either side matches" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "ftp://nowhere/x.tar"), "archive URL 'ftp://nowhere': expected file://"),
        (("list", "s3://key:hidden@bucket/x"), "credentials do not belong into it"),
        (("show", "{}/.hidden"), "archive name '.hidden'"),
        (("show", "s3://bucket/"), "'archive list' shows its archives"),
        (("show", "{}/none.tar", "kinds", "x"), "'kinds' is a list as it stands"),
        (("show", "{}/none.tar", "namespaces", "-n", "x"), "'namespaces' is a list"),
        (("show", "{}/none.tar", "-n", "x"), "--namespace goes with a kind"),
        (("show", "{}/none.tar", "secret", "--json"), "--json goes with"),
        (("extract", "{}/none.tar", "--to", "{}/x", "-o", "ndjson"), "ndjson goes to stdout"),
        (("diff", "{}/none.tar"), "--kubeconfig"),
        (("rewrap", "{}/none.tar", "{}/copy.tar"), "--recipient or --recipients-file"),
        (("rewrap", "{}/none.tar", "{}/copy.tar", "--recipient", "SECRET"), "begins with age1"),
        (
            ("rewrap", "{}/none.tar", "{}/copy.tar", "--recipient", AGE_KEY, "--accept-unsigned"),
            "--accept-unsigned goes with --signing-dir",
        ),
        *(
            ((*given, "--require-signature"), "--truststore DIR")
            for given in (
                ("show", "{}/none.tar"),
                ("show", "{}/none.tar", "kinds"),
                ("verify", "{}/none.tar"),
                ("extract", "{}/none.tar"),
                ("diff", "{}/none.tar", "{}/other.tar"),
                ("restore", "{}/none.tar", "--kubeconfig", "none"),
                ("rewrap", "{}/none.tar", "{}/copy.tar", "--recipient", AGE_KEY),
            )
        ),
    ],
    ids=lambda value: " ".join(value[:1] + value[3:]) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_told_before_any_archive_is_opened(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(*(argument.format(tmp_path) for argument in arguments)) == 2

    said = capsys.readouterr()
    assert said.err.startswith("backup_engine: ")
    assert message in said.err
    assert not any(secret in said.err for secret in ("hidden@", "SECRET", "does not exist"))
    assert said.out == ""


SILENT = """
import os, signal, socket, sys, threading
from backup_engine.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs this may ignore it

server = socket.create_server(("127.0.0.1", 0))
held = []

def listen():
    held.append(server.accept())  # and never answers
    print("asked", flush=True)

threading.Thread(target=listen, daemon=True).start()
os.environ |= {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
    "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
}
sys.exit(main(["archive", "list", "s3://bucket/x"]))
"""


def test_what_was_interrupted_is_not_done() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SILENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as listing:
        assert listing.stdout is not None
        assert listing.stdout.readline() == b"asked\n"
        listing.send_signal(signal.SIGINT)
        _, said = listing.communicate(timeout=30)

    # a thread of the storage library may still complain that Python has ended
    assert (listing.returncode, b"Traceback" in said) == (130, False)


READER = """
import argparse, asyncio, sys
from backup_engine.command.archive import add_archive_parser, run_archive

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
        _, said = extract.communicate(timeout=200)

    assert (extract.returncode, said) == (0, b"")
