"""The shape of the repository itself."""

import operator
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"backup_api", "backup_engine", "backup_operator", "backup_sandbox"}


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def test_the_operator_folder_holds_packages_only() -> None:
    entries = {entry.name for entry in (ROOT / "operator").iterdir()} - {"__pycache__"}

    assert entries == PACKAGES
    assert all((ROOT / "operator" / name / "__init__.py").is_file() for name in PACKAGES)
    assert not (ROOT / "tests" / "operator").exists()


def test_the_module_named_operator_is_pythons_own() -> None:
    assert operator.attrgetter("imag")(1) == 0  # ours would have none
    seen = subprocess.run(
        [sys.executable, "-c", "import operator; print(operator.__file__)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not Path(seen.stdout.strip()).is_relative_to(ROOT / "operator")


def test_the_locks_satisfy_the_ranges_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [entry for names in project["optional-dependencies"].values() for entry in names]
    for lock, wanted in {
        "requirements.lock": project["dependencies"],
        "requirements-dev.lock": [*project["dependencies"], *extras],
    }.items():
        pins = dict(
            re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", (ROOT / lock).read_text(), re.MULTILINE)
        )
        for requirement in map(Requirement, wanted):
            pin = pins.get(canonicalize_name(requirement.name))
            assert pin, f"{lock} lacks {requirement.name}: run make lock"
            assert requirement.specifier.contains(pin), f"{lock}: {requirement} has {pin}"


def test_the_locks_carry_hashes_and_no_index_address() -> None:
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-build.lock"):
        text = (ROOT / lock).read_text()
        pins = re.findall(r"^[A-Za-z0-9._-]+==.*$", text, re.MULTILINE)
        assert pins
        assert "://" not in text
        assert "--index" not in text
        assert text.count("--hash=sha256:") >= len(pins)


def test_no_file_is_binary_or_tells_of_the_machine_it_was_written_on() -> None:
    homes = re.compile(r"(?<![\w./-])/(?:home|root|Users)/\w")
    for path in tracked_files():
        content = path.read_bytes()
        assert b"\0" not in content, f"{path} is binary"
        assert homes.findall(content.decode()) == [], f"{path} names a path of one machine"


def test_every_target_of_the_makefile_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z0-9]+):", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z0-9]+):.*## ", makefile, re.MULTILINE))

    assert {"install", "demo", "test", "lint", "bench", "e2e", "clean"} <= explained
    assert targets == explained
