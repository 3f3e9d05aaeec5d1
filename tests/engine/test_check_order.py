"""Of two things wrong with a request, the one that spec §14 checks first is reported."""

import asyncio
from dataclasses import dataclass, field

import httpx2
import pytest

from backup_engine.auth import throttle
from localengine import BACKUPS, LocalEngine

TOO_LARGE = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'
GOOD = b'{"name": "fine", "configuration_id": 1}'


@dataclass(frozen=True)
class Wrong:
    """One thing wrong with an otherwise good POST /backups, and what it is answered."""

    label: str
    http_status: int
    code: int
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = BACKUPS
    content: bytes | None = None
    without: str = ""


CREATE_IN_ORDER = (
    Wrong("credentials", 401, 18, {"SEC": "00000000-0000-0000-0000-000000000000"}),
    Wrong("version", 422, 7, {"Version": "new"}),
    Wrong("path", 404, 1, path="/api/backup_and_restore/nothing"),
    Wrong("method", 405, 2, method="PUT"),
    Wrong("accept", 406, 3, {"Accept": "text/html"}),
    Wrong("size", 413, 4, content=TOO_LARGE),
    Wrong("content type", 415, 5, {"Content-Type": "text/plain"}),
    Wrong("missing header", 422, 8, without="backup_type"),
    Wrong("unknown type", 422, 11, {"backup_type": "config"}),
    Wrong("fields", 422, 30, {"fields": "nope"}),
    Wrong("no body", 422, 10, content=b""),
    Wrong("malformed body", 422, 11, content=b"{"),
    Wrong("name", 422, 1002, content=b'{"name": "", "configuration_id": 2}'),
)

LIST_IN_ORDER: tuple[tuple[str, int, int, dict[str, str], dict[str, str]], ...] = (
    ("fields", 422, 30, {"fields": "nope"}, {}),
    ("Range", 422, 36, {}, {"Range": "items=-3-2"}),
    ("sort", 422, 1018, {"sort": "nope"}, {}),
    ("filter", 422, 11, {"filter": "nope = 1"}, {}),
)

MEMBERS_IN_ORDER = (
    (1002, '"name": ""'),
    (1003, f'"name": "{"x y" * 40}"'),
    (1004, '"name": "x y"'),
    (1006, '"configuration_id": null'),
    (1008, f'"description": "{"d" * 256}"'),
    (1007, '"configuration_id": 2'),
    (1009, '"host_id": 99'),
)


async def send(engine: LocalEngine, *wrongs: Wrong) -> httpx2.Response:
    """Send a good POST /backups, made wrong in these ways; what comes first goes last."""
    headers = {"backup_type": "CONFIG", "Content-Type": "application/json"}
    method, path, content = "POST", BACKUPS, GOOD
    for wrong in reversed(wrongs):
        headers.update(wrong.headers)
        headers.pop(wrong.without, None)
        method = wrong.method if wrong.method != "POST" else method
        path = wrong.path if wrong.path != BACKUPS else path
        content = content if wrong.content is None else wrong.content
    return await engine.send(method, path, headers=headers, content=content)


def is_combinable(first: Wrong, then: Wrong) -> bool:
    """Whether both can be wrong at once: there is one body, and one backup_type."""
    if first.content is not None and then.content is not None:
        return False
    return {first.label, then.label} != {"missing header", "unknown type"}


@pytest.mark.parametrize("first", CREATE_IN_ORDER, ids=lambda wrong: wrong.label)
async def test_the_earlier_check_decides(
    resting: LocalEngine, first: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "FIRST_DELAY_S", 0.0)  # many a failure, and none of a guesser
    for then in CREATE_IN_ORDER[CREATE_IN_ORDER.index(first) :]:
        if then is first or is_combinable(first, then):
            answer = await send(resting, first, then)
            outcome = (answer.status_code, answer.json()["code"])
            assert outcome == (first.http_status, first.code), f"with {then.label}"


@pytest.mark.parametrize("position", range(len(LIST_IN_ORDER) - 1))
async def test_the_earlier_parameter_of_a_list_decides(resting: LocalEngine, position: int) -> None:
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for _, _, _, parameters, added in LIST_IN_ORDER[position:]:
        query.update(parameters)
        headers.update(added)
    answer = await resting.send("GET", BACKUPS, params=query, headers=headers)

    _, http_status, code, _, _ = LIST_IN_ORDER[position]
    assert (answer.status_code, answer.json()["code"]) == (http_status, code)


@pytest.mark.parametrize("position", range(len(MEMBERS_IN_ORDER)))
async def test_members_are_checked_by_code_number_and_then_what_they_name(
    resting: LocalEngine, position: int
) -> None:
    members: dict[str, str] = {"name": '"name": "ok"', "configuration_id": '"configuration_id": 1'}
    for _, text in reversed(MEMBERS_IN_ORDER[position:]):
        members[text.split('"')[1]] = text
    body = "{" + ", ".join(members.values()) + "}"
    answer = await resting.send("POST", BACKUPS, headers={"backup_type": "DATA"}, content=body)

    assert answer.json()["code"] == MEMBERS_IN_ORDER[position][0], answer.text


async def test_the_host_comes_before_the_type_and_both_before_a_taken_name(
    resting: LocalEngine,
) -> None:
    assert (await resting.create("taken")).status_code == 201
    body = {"name": "taken", "configuration_id": 1}
    answer = await resting.send("POST", BACKUPS, headers={"backup_type": "DATA"}, json=body)
    assert answer.json()["code"] == 1013

    answer = await resting.create("taken")
    assert (answer.status_code, answer.json()["code"]) == (409, 1005)
    answer = await resting.create("other")
    assert (answer.status_code, answer.json()["code"]) == (409, 1015)


async def test_a_missing_backup_comes_after_the_body_and_before_its_members(
    resting: LocalEngine,
) -> None:
    answer = await resting.send("POST", f"{BACKUPS}/77", content=b"[]")
    assert answer.json()["code"] == 11
    answer = await resting.send("POST", f"{BACKUPS}/77", json={"description": "d" * 256})
    assert (answer.status_code, answer.json()["code"]) == (404, 1001)


async def test_nothing_is_told_to_strangers_below_api(resting: LocalEngine) -> None:
    paths = ("/api", "/api/", "/api/nope", "/api/openapi.json", BACKUPS)
    answers = await asyncio.gather(  # at once, for failures are held back
        *(
            resting.send(method, path, headers={"SEC": "x"})
            for path in paths
            for method in ("GET", "POST", "PUT", "OPTIONS")
        )
    )
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(401, 18)}
    assert (await resting.send("GET", "/readyz", headers={"SEC": "x"})).status_code == 200


async def test_a_refused_request_leaves_no_record(resting: LocalEngine) -> None:
    for wrong in CREATE_IN_ORDER:
        assert (await send(resting, wrong)).status_code >= 400
    assert (await resting.send("GET", BACKUPS)).json() == []
