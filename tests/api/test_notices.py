"""What an answer tells on the side: deprecation, and the server's clock (spec §2.3)."""

import logging
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.clients import client_of
from appliance.server import FakeAppliance
from backup_api.client import BackupApiClient
from backup_api.exchange import find_server_time


async def test_a_deprecated_version_is_logged_once_per_endpoint(
    appliance: FakeAppliance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "backup_api")

    async with client_of(appliance, api_version="17.0") as client:
        for _ in range(3):
            await client.about()
            await client.list_hosts()

    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert all("deprecated" in text and appliance.url in text for text in told)
    assert any("/system/about" in text for text in told)
    assert any("/config/deployment/hosts" in text for text in told)


async def test_a_live_version_is_not_worth_a_line(
    client: BackupApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "backup_api")

    await client.about()

    assert caplog.records == []


@pytest.mark.parametrize("ahead_s", [0, 3600, -3600, 86400 * 400])
async def test_the_clocks_are_compared(
    client: BackupApiClient, appliance: FakeAppliance, ahead_s: int
) -> None:
    appliance.clock.advance(ahead_s)

    await client.about()

    offset = client.clock_offset
    assert offset is not None
    assert abs(offset - timedelta(seconds=ahead_s)) < timedelta(minutes=5)


async def test_before_the_first_answer_no_clock_is_known(client: BackupApiClient) -> None:
    assert client.clock_offset is None


@given(
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
        st.from_regex(
            r"([A-Z][a-z]{2}, )?[0-9]{1,30} [A-Z][a-z]{2} [0-9]{1,30} [0-9:]{1,9} [+-]?[0-9]{1,30}",
            fullmatch=True,
        ),
    )
)
def test_an_odd_date_is_overlooked(date: str) -> None:
    server_time = find_server_time(date)

    assert server_time is None or server_time.tzinfo is not None
