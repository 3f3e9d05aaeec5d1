"""Which servers are believed (spec §2.1)."""

import ssl
from collections.abc import AsyncIterator

import pytest

from api.clients import client_of
from appliance.server import FakeAppliance
from backup_api.credentials import Trust
from backup_api.exceptions import NotSentError


@pytest.fixture
async def misnamed() -> AsyncIterator[FakeAppliance]:
    """An appliance whose certificate is for another name than the one in its address."""
    async with FakeAppliance(names=["console.example.net"]) as appliance:
        yield appliance


async def assert_believed(appliance: FakeAppliance, trust: Trust) -> None:
    async with client_of(appliance, trust=trust) as client:
        await client.about()


async def assert_not_believed(appliance: FakeAppliance, trust: Trust) -> None:
    before = len(appliance.requests)
    async with client_of(appliance, trust=trust) as client:
        with pytest.raises(NotSentError, match="certificate"):
            await client.about()
    assert len(appliance.requests) == before


async def test_an_unknown_authority_is_not_believed(appliance: FakeAppliance) -> None:
    await assert_not_believed(appliance, Trust())


async def test_a_given_authority_is_believed(appliance: FakeAppliance) -> None:
    await assert_believed(appliance, Trust(appliance.ca_pem))


async def test_another_authority_is_not_believed(
    appliance: FakeAppliance, misnamed: FakeAppliance
) -> None:
    await assert_not_believed(appliance, Trust(misnamed.ca_pem))


async def test_a_certificate_for_another_name_is_not_believed(misnamed: FakeAppliance) -> None:
    await assert_not_believed(misnamed, Trust(misnamed.ca_pem))


async def test_the_name_to_expect_can_be_told(misnamed: FakeAppliance) -> None:
    await assert_believed(misnamed, Trust(misnamed.ca_pem, "console.example.net"))
    await assert_not_believed(misnamed, Trust(misnamed.ca_pem, "other.example.net"))


async def test_the_name_alone_does_not_replace_the_authority(misnamed: FakeAppliance) -> None:
    await assert_not_believed(misnamed, Trust(None, "console.example.net"))


async def test_checks_can_be_switched_off(misnamed: FakeAppliance) -> None:
    await assert_believed(misnamed, Trust(insecure_skip_verify=True))


def test_a_text_without_a_certificate_is_no_authority() -> None:
    with pytest.raises(ssl.SSLError):
        Trust("no certificate").ssl_context()


def test_old_protocols_are_not_spoken() -> None:
    assert Trust().ssl_context().minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_a_proxy_of_the_environment_is_not_used(
    appliance: FakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    await assert_believed(appliance, Trust(appliance.ca_pem))
