"""Building ``filter`` expressions (spec §2.8)."""

from collections.abc import Iterable
from enum import StrEnum


def quoted(text: str) -> str:
    """Quote ``text`` for a filter; a backslash escapes the next character (spec §14 no. 9)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def name_is(name: str) -> str:
    """Build the filter that finds a backup by its name."""
    return f"name = {quoted(name)}"


def key_is(key: str) -> str:
    """Build the filter that finds a restore of volumes by the key of who asked for it."""
    return f"key = {quoted(key)}"


def status_in(statuses: Iterable[StrEnum]) -> str:
    """Build the filter for records in any of ``statuses``."""
    return f"status in ({','.join(quoted(status) for status in sorted(statuses))})"


def id_in(ids: Iterable[int]) -> str:
    """Build the filter for the backups with these ids; the caller bounds how many."""
    return f"id in ({','.join(str(identifier) for identifier in sorted(ids))})"
