import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_api.backups import NAME_PATTERN, BackupType
from backup_operator.resources.backup import BackupSpec, requested_name
from backup_operator.resources.durations import (
    DURATION_PATTERN,
    format_duration,
    parse_duration,
)
from backup_operator.resources.names import derive_name
from backup_operator.resources.parts import ObjectMetadata
from backup_operator.resources.readable import format_elapsed, format_size

KIB, MIB, GIB = 1024, 1024**2, 1024**3
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("90s", 90), ("1h", 3600), ("1h30m", 5400), ("2m5s", 125), ("99999h", 359996400)],
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "s", "1.5h", "-1h", "30m1h", "1h 30m", "1d", "100000h", "1H", "1s\n", "٣s"]
)
def test_what_is_no_duration_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"found {text!r}")):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=99_999 * 3600))
def test_a_written_duration_is_read_back(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    text = format_duration(length)

    assert parse_duration(text) == length
    assert re.fullmatch(DURATION_PATTERN, text)


def test_a_negative_duration_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="zero or more"):
        format_duration(timedelta(seconds=-1))


@given(st.from_regex(DURATION_PATTERN, fullmatch=True).filter(bool))
def test_the_pattern_of_the_schema_admits_nothing_that_cannot_be_read(text: str) -> None:
    assert parse_duration(text.removesuffix("\n")) >= timedelta(0)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (KIB, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * KIB, "10 KiB"),
        (int(9.96 * MIB), "10 MiB"),
        (734 * MIB, "734 MiB"),
        (MIB - 1, "1.0 MiB"),
        (int(1.5 * GIB), "1.5 GiB"),
        (2**63 - 1, "8.0 EiB"),
    ],
)
def test_sizes_are_short_and_never_reach_the_next_unit(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


def test_elapsed_time_is_readable_and_never_negative() -> None:
    assert format_elapsed(NOON, NOON + timedelta(minutes=6, seconds=52.9)) == "6m52s"
    assert format_elapsed(NOON, NOON - timedelta(minutes=1)) == "0s"


NAMESPACES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True)


@given(NAMESPACES, NAMES, st.uuids())
def test_every_derived_name_is_one_that_the_api_takes(
    namespace: str, name: str, uid: object
) -> None:
    derived = derive_name(namespace, name, str(uid))

    assert re.fullmatch(NAME_PATTERN, derived)
    assert derived.endswith(f".{str(uid)[:8]}")
    assert derived == derive_name(namespace, name, str(uid))


def test_a_derived_name_can_be_read_and_differs_for_an_object_made_anew() -> None:
    first = derive_name("ops", "pre-upgrade", "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
    second = derive_name("ops", "pre-upgrade", "9c0c8a2e-2fa1-11d2-883f-0016d3cca427")

    assert first == "ops.pre-upgrade.1b4e28ba"
    assert second == "ops.pre-upgrade.9c0c8a2e"


def test_a_long_name_is_cut_before_the_uid() -> None:
    derived = derive_name("n" * 63, "x" * 253, "1b4e28ba-2fa1-11d2-883f-0016d3cca427")

    assert len(derived) == 100
    assert derived.endswith("xxx.1b4e28ba")


def test_the_spec_decides_on_the_name_if_it_says_one() -> None:
    metadata = ObjectMetadata(name="pre-upgrade", namespace="ops", uid="1b4e28ba-2fa1")

    assert (
        requested_name(BackupSpec(backup_type=BackupType.CONFIG, name="mine"), metadata) == "mine"
    )
    assert (
        requested_name(BackupSpec(backup_type=BackupType.CONFIG), metadata)
        == "ops.pre-upgrade.1b4e28ba"
    )
