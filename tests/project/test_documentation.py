"""What the README and the docs say is true."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from backup_operator.crds.build import RESOURCES
from backup_operator.resources.reading import parse_spec

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
SPECS = {resource.kind.kind: resource.spec for resource in RESOURCES}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def manifests(page: Path) -> list[dict[str, Any]]:
    documents = [each for block in blocks(page, "yaml") for each in yaml.safe_load_all(block)]
    return [each for each in documents if isinstance(each, dict) and each.get("kind") in SPECS]


def test_the_readme_opens_with_what_it_is_a_backup_and_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])

    assert "kind: Backup" in first_screen
    assert "make demo" in first_screen
    assert "make test" in first_screen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_manifest_of_a_page_is_valid(page: Path) -> None:
    for manifest in manifests(page):
        parse_spec(SPECS[manifest["kind"]], manifest)  # raises, naming field and rule


def test_the_readme_shows_what_one_needs_to_begin_and_names_every_kind() -> None:
    readme = ROOT / "README.md"

    assert {each["kind"] for each in manifests(readme)} >= {"Backup", "BackupEngine"}
    assert [kind for kind in SPECS if f"`{kind}`" not in readme.read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]

    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_and_program_that_a_page_names_exists(page: Path) -> None:
    commands = "\n".join(blocks(page, "console") + blocks(page, "sh"))
    targets = set(re.findall(r"\bmake ([a-z]+)\b", commands))
    modules = set(re.findall(r"python -m (backup_[a-z]+)", page.read_text()))
    makefile = (ROOT / "Makefile").read_text()

    assert {target for target in targets if f"\n{target}:" not in makefile} == set()
    for module in modules:
        assert (ROOT / "operator" / module / "__main__.py").is_file()


def test_every_decision_has_a_number_of_its_own() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]

    assert numbers == list(range(1, len(pages) + 1))
    for page, number in zip(pages, numbers, strict=True):
        assert page.read_text().startswith(f"# {number}. ")


def test_every_reason_of_the_troubleshooting_is_one_that_the_programs_give() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    reasons = {
        word for cell in cells for word in re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)`", cell)
    }
    source = "\n".join(
        path.read_text()
        for program in ("backup_api", "backup_operator", "backup_engine")
        for path in (ROOT / "operator" / program).rglob("*.py")
    )

    def is_given(reason: str) -> bool:  # in words, or as the row of the table that it comes of
        row = re.sub(r"(?<=.)(?=[A-Z])", "_", reason).upper()
        return f'"{reason}"' in source or f"{row} = 4" in source

    assert len(reasons) > 40
    assert [reason for reason in sorted(reasons) if not is_given(reason)] == []
