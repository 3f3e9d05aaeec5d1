"""Write manifests.yaml: what ``manifests/overlays/cluster`` of an earlier commit installs.

python tests/e2e/previous/render.py COMMIT

Needs a clone that has the commit, and kubectl on PATH. The descriptions in the CRDs are left out:
they are three quarters of the text, and no rule.
"""

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
TARGET = Path(__file__).with_name("manifests.yaml")
OVERLAY = "manifests/overlays/cluster"
HEAD = """\
# What {overlay} installed as of {commit}, {date}, less the descriptions in the CRDs.
# Made by render.py; test_upgrading.py goes from here to today.
"""


def main(arguments: Sequence[str]) -> None:
    """Render the commit in the one argument."""
    (commit,) = arguments
    short, date = run("git", "log", "-1", "--format=%h %cs", commit).decode().split()
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(run("git", "archive", commit, "manifests"))) as files:
            files.extractall(folder, filter="data")
        rendered = run("kubectl", "kustomize", str(Path(folder, OVERLAY)))
    documents = [
        without_descriptions(each) if each["kind"] == "CustomResourceDefinition" else each
        for each in yaml.safe_load_all(rendered)
    ]
    text = yaml.safe_dump_all(documents, default_flow_style=None, width=160)
    TARGET.write_text(HEAD.format(overlay=OVERLAY, commit=short, date=date) + text)


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout


def without_descriptions(value: object) -> object:
    """Leave out texts; a property of that name, which is a schema, stays."""
    if isinstance(value, list):
        return [without_descriptions(each) for each in value]
    if isinstance(value, dict):
        return {
            key: without_descriptions(each)
            for key, each in value.items()
            if key != "description" or not isinstance(each, str)
        }
    return value


if __name__ == "__main__":
    main(sys.argv[1:])
