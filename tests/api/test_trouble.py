"""What the client makes of each thing that can go wrong (spec §2.11)."""

import asyncio
from collections.abc import Callable

import pytest

from api.clients import CALLS, NEW, client_of
from appliance.faults import Moment
from appliance.server import FakeAppliance
from backup_api.backups import BackupType
from backup_api.client import BackupApiClient
from backup_api.endpoints import CREATE_BACKUP, ENDPOINTS, Endpoint
from backup_api.errors import EndpointErrors, ErrorClass, FrameworkErrors
from backup_api.exceptions import (
    BackupApiError,
    LostAnswerError,
    MalformedAnswerError,
    NotSentError,
    RefusedError,
)

Plan = Callable[[FakeAppliance], object]

CREATE = "POST /backups"

FAULTS: dict[str, tuple[Plan, type[BackupApiError], int]] = {
    # name: fault, exception, backups that exist afterwards
    "reset": (lambda a: a.faults.reset(CREATE), LostAnswerError, 0),
    "dropped_answer": (lambda a: a.faults.drop_answer(CREATE), LostAnswerError, 1),
    "body_cut": (lambda a: a.faults.cut_body(CREATE), LostAnswerError, 1),
    "half_of_the_json": (lambda a: a.faults.truncate(CREATE), MalformedAnswerError, 1),
    "html_502": (lambda a: a.faults.html_page(CREATE, 502), MalformedAnswerError, 0),
    "html_200": (lambda a: a.faults.html_page(CREATE, 200), MalformedAnswerError, 0),
    "html_201_after_acting": (
        lambda a: a.faults.html_page(CREATE, 201, moment=Moment.AFTER_ACTING),
        MalformedAnswerError,
        1,
    ),
    "redirect": (lambda a: a.faults.answer_with(CREATE, 302, b""), MalformedAnswerError, 0),
    "no_content": (lambda a: a.faults.answer_with(CREATE, 204, b""), MalformedAnswerError, 0),
    "list_for_record": (
        lambda a: a.faults.answer_with(CREATE, 201, b"[]"),
        MalformedAnswerError,
        0,
    ),
    "record_without_id": (
        lambda a: a.faults.answer_with(CREATE, 201, b'{"name": "x"}'),
        MalformedAnswerError,
        0,
    ),
    "error_without_code": (
        lambda a: a.faults.answer_with(CREATE, 409, b'{"message": "x"}'),
        MalformedAnswerError,
        0,
    ),
    "empty_503": (lambda a: a.faults.answer_with(CREATE, 503, b""), MalformedAnswerError, 0),
    "internal_error": (lambda a: a.faults.refuse(CREATE, 500, 1000), RefusedError, 0),
    "internal_error_after_acting": (
        lambda a: a.faults.refuse(CREATE, 500, 1000, moment=Moment.AFTER_ACTING),
        RefusedError,
        1,
    ),
    "unavailable": (lambda a: a.faults.refuse(CREATE, 550, 0), RefusedError, 0),
    "busy": (lambda a: a.faults.refuse(CREATE, 409, 1015), RefusedError, 0),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_has_its_exception_and_a_post_is_sent_once(
    client: BackupApiClient, appliance: FakeAppliance, name: str
) -> None:
    plan, kind, existing = FAULTS[name]
    plan(appliance)

    with pytest.raises(BackupApiError) as trouble:
        await CALLS[CREATE_BACKUP](client)

    assert type(trouble.value) is kind
    assert trouble.value.endpoint is CREATE_BACKUP
    assert str(CREATE_BACKUP) in str(trouble.value)
    assert trouble.value.message in str(trouble.value)
    assert appliance.count(CREATE) == 1
    assert len(appliance.backups) == existing


async def test_silence_beyond_the_timeout_is_a_lost_answer(appliance: FakeAppliance) -> None:
    hold = appliance.faults.hold(CREATE, moment=Moment.AFTER_ACTING)

    async with client_of(appliance, silence_timeout_s=1.0) as client:
        with pytest.raises(LostAnswerError, match="no answer from"):
            await CALLS[CREATE_BACKUP](client)

    hold.release()
    assert len(appliance.backups) == 1


async def test_a_closed_port_means_the_request_was_never_sent(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    await appliance.go_down()

    with pytest.raises(NotSentError, match="no connection to"):
        await CALLS[CREATE_BACKUP](client)

    await appliance.come_up()
    await CALLS[CREATE_BACKUP](client)
    assert appliance.count(CREATE) == 1


async def test_a_client_goes_on_after_the_server_restarted(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    await client.about()
    await appliance.go_down()
    await appliance.come_up()

    await client.about()


async def test_a_restart_loses_nothing_that_the_client_was_told(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    created = await client.create_backup(NEW, BackupType.CONFIG)
    finished = appliance.add_backup("finished")
    restore = appliance.add_restore()
    before = [each async for each in client.list_backups()]
    await appliance.go_down()
    await appliance.come_up()

    assert [each async for each in client.list_backups()] == before
    assert [each.id for each in before] == [created.id, finished]
    assert (await client.get_restore(restore)).id == restore


async def test_a_late_answer_is_waited_for(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.faults.delay("GET /about", 0.3)

    assert (await client.about()).external_version is not None


async def test_a_rotated_token_is_a_401_that_says_so(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.rotate_token()

    with pytest.raises(RefusedError) as trouble:
        await client.about()

    assert trouble.value.row is FrameworkErrors.NO_CREDENTIALS


async def test_a_call_that_is_cancelled_leaves_the_client_usable(
    appliance: FakeAppliance,
) -> None:
    appliance.faults.hold("GET /about", times=None)

    async with client_of(appliance) as client:
        for number in range(1, 11):  # more than the client has connections
            call = asyncio.create_task(client.about())
            await appliance.received("GET /about", times=number)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        appliance.faults.clear()
        await client.about()


ROWS = [
    pytest.param(endpoint, row, id=f"{endpoint}-{row.http_status}_{row.code}")
    for endpoint in ENDPOINTS
    if endpoint in CALLS
    for table in (endpoint.refusals, FrameworkErrors)
    for row in table
]


@pytest.mark.parametrize(("endpoint", "row"), ROWS)
async def test_every_row_of_the_tables_is_recognised(
    client: BackupApiClient, appliance: FakeAppliance, endpoint: Endpoint, row: EndpointErrors
) -> None:
    appliance.faults.refuse("*", row.http_status, row.code)

    with pytest.raises(RefusedError) as trouble:
        await CALLS[endpoint](client)

    assert trouble.value.row is row
    assert trouble.value.error_class is row.error_class
    assert (trouble.value.http_status, trouble.value.code) == (row.http_status, row.code)


@pytest.mark.parametrize(
    ("status", "code", "error_class"),
    [
        (409, 4711, ErrorClass.FINAL),
        (429, 1, ErrorClass.FINAL),
        (422, 1018, ErrorClass.FINAL),  # means something on the list only
        (500, 1021, ErrorClass.TRANSIENT),
        (503, 0, ErrorClass.TRANSIENT),
    ],
)
async def test_an_unknown_code_is_judged_by_its_status(
    client: BackupApiClient,
    appliance: FakeAppliance,
    status: int,
    code: int,
    error_class: ErrorClass,
) -> None:
    appliance.faults.refuse(CREATE, status, code)

    with pytest.raises(RefusedError) as trouble:
        await CALLS[CREATE_BACKUP](client)

    assert trouble.value.row is None
    assert trouble.value.error_class is error_class


async def test_nulls_in_an_error_body_are_tolerated(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    body = (
        b'{"http_response": {"code": 409, "message": null}, "code": 1015,'
        b' "description": null, "details": null, "message": null}'
    )
    appliance.faults.answer_with(CREATE, 409, body)

    with pytest.raises(RefusedError) as trouble:
        await CALLS[CREATE_BACKUP](client)

    assert trouble.value.error_class is ErrorClass.BUSY


async def test_long_texts_of_a_server_are_cut(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    body = b'{"http_response": {"code": 409}, "code": 1, "message": "%s"}' % (b"m" * 100_000)
    appliance.faults.answer_with(CREATE, 409, body)

    with pytest.raises(RefusedError) as trouble:
        await CALLS[CREATE_BACKUP](client)

    assert len(str(trouble.value)) < 1000


async def test_a_page_of_html_is_described_and_not_quoted(
    client: BackupApiClient, appliance: FakeAppliance
) -> None:
    appliance.faults.html_page(CREATE, 502)

    with pytest.raises(MalformedAnswerError, match="HTTP 502") as trouble:
        await CALLS[CREATE_BACKUP](client)

    assert "text/html" in str(trouble.value)
    assert "<html>" not in str(trouble.value)
