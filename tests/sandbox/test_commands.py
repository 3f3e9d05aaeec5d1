"""The command line, as far as it needs no cluster."""

from pathlib import Path

import pytest

from backup_sandbox.__main__ import main
from backup_sandbox.layout import Layout
from backup_sandbox.ports import Ports
from backup_sandbox.state import Process, State


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["up"],
        ["down"],
        ["up", "--dir", "d", "--port", "0"],
        ["up", "--dir", "d", "--port", "65536"],
        ["up", "--dir", "d", "--port", "http"],
        ["up", "--dir", "d", "--crds", "no/such/file"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)

    assert end.value.code == 2


def test_a_node_is_refused_clearly_where_none_can_be_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert main(["up", "--dir", str(tmp_path / "d"), "--node"]) == 3

    said = capsys.readouterr()
    assert "--node is not possible here" in said.err
    assert said.out == ""
    assert not (tmp_path / "d").exists()


def test_images_are_for_a_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "image.tar").write_text("")

    assert main(["up", "--dir", str(tmp_path / "d"), "--image", str(tmp_path / "image.tar")]) == 3

    assert "add --node" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_stopping_what_never_ran_is_no_trouble_and_leaves_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("a file of the user")

    assert main(["down", "--dir", str(tmp_path), "--purge"]) == 0
    assert main(["down", "--dir", str(tmp_path / "absent")]) == 0

    assert "no sandbox" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")

    assert main(["up", "--dir", str(tmp_path / "file" / "d")]) == 3
    assert "cannot hold a sandbox" in capsys.readouterr().err


def test_a_folder_with_a_kubeconfig_of_the_user_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kubeconfig").write_text("of the user")

    assert main(["up", "--dir", str(tmp_path)]) == 3

    assert "is not of a sandbox" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kubeconfig"]


def test_a_purge_removes_the_sandbox_and_nothing_of_the_user(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "sandbox")
    for folder in (layout.logs, layout.certificates, layout.etcd):
        folder.mkdir(parents=True)
    ended = Process(1, "started in another life")
    State(ended, Ports(1, 2, 3), has_controllers=False, has_audit=False, kubectl="").store(
        layout.state
    )
    (layout.root / "mine").write_text("a file of the user")

    assert main(["down", "--dir", str(layout.root), "--purge"]) == 0

    assert [path.name for path in layout.root.iterdir()] == ["mine"]
