import re
from pathlib import Path

import backup_engine.archive
from backup_engine.archive.criteria import CRITERIA, find_criterion

PAGE = Path(__file__).parents[2] / "docs" / "archive-format.md"
REASON = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
RAISED = re.compile(
    r"Archive(?:Format|Damaged|Locked|Untrusted)Error\(\s*(?:\n\s*#[^\n]*)?\s*\"(\w+)\""
)
SOURCES = Path(backup_engine.archive.__file__).parent


def documented() -> set[str]:
    _, _, section = PAGE.read_text(encoding="utf-8").partition("\n## Checking an archive\n")
    table, _, _ = section.partition("\nWithout our program")
    return set(re.findall(r"`(\w+)`", "".join(REASON.findall(table))))


def test_every_documented_reason_has_a_criterion() -> None:
    assert documented() - {"reason"} <= CRITERIA.keys()
    assert len(documented()) >= 25


def test_every_reason_that_can_be_raised_has_a_criterion() -> None:
    raised = {
        reason
        for file in SOURCES.glob("*.py")
        for reason in RAISED.findall(file.read_text(encoding="utf-8"))
    }

    assert raised <= CRITERIA.keys()
    assert {"ChecksumMismatch", "SignerUnknown", "IdentityMismatch"} <= raised


def test_what_says_nothing_about_the_archive_has_no_criterion() -> None:
    assert find_criterion(None) is None
    assert find_criterion("Verified") is None
    assert find_criterion("StorageUnreachable") is None
