"""No secret in a repr, an exception or a log (architecture: secrets stay where they are)."""

import logging
import traceback
from collections.abc import Callable

import pytest

from api.clients import CALLS, QUICK_REPEATS, client_of, options_for
from appliance.server import FakeAppliance
from backup_api.credentials import BasicCredentials, BearerToken, Credentials, SecToken
from backup_api.exceptions import BackupApiError, NotSentError

SECRET = "s3cr3t-5f0c"


async def current() -> str:
    return SECRET


CREDENTIALS: list[Credentials] = [
    SecToken(SECRET),
    BasicCredentials("backup-bot", SECRET),
    BearerToken(current),
]


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=lambda one: type(one).__name__)
async def test_a_secret_is_in_no_repr_exception_or_log(
    appliance: FakeAppliance, credentials: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    appliance.faults.reset("GET /versions", times=None)
    appliance.faults.html_page("GET /hosts", 502, times=None)
    appliance.faults.truncate("GET /backups", times=None)
    told = [repr(credentials), str(credentials), repr(options_for(appliance))]
    told.append(repr(options_for(appliance, credentials=credentials)))
    async with client_of(appliance, credentials=credentials, retry=QUICK_REPEATS) as client:
        told += [repr(client), repr(client.options)]
        for call in CALLS.values():
            with pytest.raises(BackupApiError) as trouble:
                await call(client)
            told += [repr(trouble.value), *traceback.format_exception(trouble.value)]
        await appliance.go_down()
        with pytest.raises(NotSentError) as trouble_again:
            await client.about()
        told += traceback.format_exception(trouble_again.value)

    secret_headers = await credentials.headers()
    for text in [*told, caplog.text]:
        assert SECRET not in text
        for value in secret_headers.values():
            assert value not in text


def read_from_file(token: str) -> BearerToken:
    async def read() -> str:
        return token

    return BearerToken(read)


@pytest.mark.parametrize("spoiled", [f"{SECRET}\n", f"{SECRET} ", f"{SECRET}é", f"{SECRET}\0"])
@pytest.mark.parametrize("kind", [SecToken, read_from_file])
async def test_a_secret_that_is_no_header_is_not_quoted_either(
    appliance: FakeAppliance, spoiled: str, kind: Callable[[str], Credentials]
) -> None:
    async with client_of(appliance, credentials=kind(spoiled)) as client:
        with pytest.raises(NotSentError, match="printable ASCII") as trouble:
            await client.about()

    told: BaseException | None = trouble.value
    while told is not None:
        assert SECRET not in repr(told)
        told = told.__cause__ or told.__context__
    assert appliance.requests == []


async def test_a_password_may_hold_any_character(appliance: FakeAppliance) -> None:
    appliance.callers.password = "päss wörd\n"
    credentials = BasicCredentials(appliance.callers.username, appliance.callers.password)

    async with client_of(appliance, credentials=credentials) as client:
        await client.about()
