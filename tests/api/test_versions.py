"""Choosing the version to speak (spec §2.3, §9 "Start-up probe")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_api.about import ApiVersion
from backup_api.client import BackupApiClient
from backup_api.versions import choose_version, parse_version


def offered(*texts: str) -> list[ApiVersion]:
    """Versions; a trailing ``d`` marks a deprecated one, ``r`` a removed one."""
    return [
        ApiVersion(
            id=number,
            version=text.rstrip("dr"),
            deprecated=text.endswith("d"),
            removed=text.endswith("r"),
        )
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (["24.0", "26.0", "25.0"], "26.0"),
        (["24.0", "25.0", "27.0", "30.0"], "25.0"),
        (["26.0r", "25.0", "24.0"], "25.0"),
        (["26.0d", "25.0"], "25.0"),
        (["17.0d", "16.0d"], "17.0"),
        (["13.1", "13.0", "12.1"], "13.1"),
        (["9.0", "11.0"], None),
        (["26.0r"], None),
        ([], None),
        (["nonsense", "", "26.0.1", "25.0"], "25.0"),
        (["9.0", "13.0"], "13.0"),
        (["26"], "26"),
    ],
)
def test_the_highest_live_version_known_here_is_chosen(
    versions: list[str], chosen: str | None
) -> None:
    assert choose_version(offered(*versions)) == chosen


async def test_the_newest_is_chosen_on_the_appliance(client: BackupApiClient) -> None:
    assert choose_version(await client.list_versions()) == "26.0"


@pytest.mark.parametrize(
    ("text", "parsed"), [("26", (26, None)), ("26.0", (26, 0)), (" 13.1 ", (13, 1))]
)
def test_versions_are_read(text: str, parsed: tuple[int, int | None]) -> None:
    assert parse_version(text) == parsed


@pytest.mark.parametrize("text", ["", "v26", "26.", ".0", "-1", "26.0.0", "٢٦", "1e1"])
def test_other_texts_are_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="valid version"):
        parse_version(text)


@given(st.lists(st.text(max_size=8)))
def test_whatever_a_server_lists_a_choice_is_made(texts: list[str]) -> None:
    chosen = choose_version([ApiVersion(id=1, version=text) for text in texts])

    assert chosen is None or chosen in texts
