"""The bill of materials of the image: whole, valid, and the same for the same input."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[2]
BUILD_INFORMATION = (
    b"\x00go1.26\npath\texample.net/tool\nmod\texample.net/tool\tv1.2.3\th1:x=\n"
    b"dep\texample.net/old/part\tv0.1.0\n=>\texample.net/new/part\tv0.2.0\th1:y=\n\x00"
)


@pytest.fixture
def write_materials(tmp_path: Path) -> Path:
    (program := tmp_path / "tool").write_bytes(BUILD_INFORMATION)
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/env").touch()
    out = tmp_path / "sbom.cdx.json"
    command = [sys.executable, str(ROOT / "image/sbom.py")]
    arguments = [str(out), str(tmp_path / "root"), sys.prefix, str(program)]
    subprocess.run([*command, *arguments], check=True, timeout=200)
    first = out.read_bytes()
    subprocess.run([*command, *arguments], check=True, timeout=200)
    assert out.read_bytes() == first
    return out


def test_the_materials_of_the_image_are_told_by_name_and_version(write_materials: Path) -> None:
    text = write_materials.read_text()
    document = json.loads(text)
    found = {component["purl"] for component in document["components"]}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert f"pkg:pypi/kopf@{version('kopf')}" in found
    assert "pkg:golang/example.net/tool@v1.2.3" in found
    assert "pkg:golang/example.net/new/part@v0.2.0" in found
    assert not any("old/part" in purl for purl in found)
    assert document["metadata"]["component"]["name"] == "backup-operator"
    depended = {entry["ref"]: entry for entry in document["dependencies"]}
    assert set(depended["backup-operator"]["dependsOn"]) == found
