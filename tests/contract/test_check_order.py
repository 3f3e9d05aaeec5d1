"""The order of checks, none of which leaves a trace (spec §14 "Order of checks")."""

from contract.places import ASKS, Ask, on_each
from contract.servers import BACKUPS, CONFIG, Conversation

MEBIBYTE = 1024 * 1024
ABOUT = "/system/about"


async def test_checks_come_in_the_order_of_the_spec(talk: Conversation) -> None:
    headers = {
        "Version": "abc",
        "Accept": "text/html",
        "Content-Type": "text/plain",
        "backup_type": "NONE",
        "fields": "nonsense",
    }
    name = "taken" + "x" * 100
    raw = b"[".ljust(MEBIBYTE + 1)
    nobody: dict[str, str] = {}
    powerless = dict(await talk.server.powerless())

    async def ask(path: str = BACKUPS, method: str = "POST") -> tuple[int, int]:
        reply = await talk.send(method, path, headers=headers, raw=raw)
        return reply.status, reply.json["code"]

    reply = await talk.send("PUT", "/nope", headers=headers, raw=raw, credentials=nobody)
    assert (reply.status, reply.json["code"]) == (401, 18)
    reply = await talk.send("POST", BACKUPS, headers=headers, raw=raw, credentials=powerless)
    assert (reply.status, reply.json["code"]) == (403, 26)
    assert (await ask("/nope", "PUT"))[0] == 422  # the version
    headers["Version"] = "26.0"
    assert (await ask("/nope", "PUT"))[0] == 404
    assert (await ask(BACKUPS, "PUT"))[0] == 405
    assert (await ask())[0] == 406
    headers["Accept"] = "application/json"
    assert (await ask())[0] == 413
    raw = b"["
    assert (await ask())[0] == 415
    headers["Content-Type"] = "application/json"
    assert await ask() == (422, 11)  # backup_type
    headers["backup_type"] = "CONFIG"
    assert await ask() == (422, 30)
    del headers["fields"]
    raw = b""
    assert await ask() == (422, 10)
    raw = b"["
    assert await ask() == (422, 11)
    raw = b'{"name": "", "description": "%s"}' % (b"d" * 256)
    assert await ask() == (422, 1002)
    raw = raw.replace(b'""', f'"{name}/"'.encode())
    assert await ask() == (422, 1003)
    raw = raw.replace(name.encode(), b"")
    assert await ask() == (422, 1004)
    raw = raw.replace(b'"/"', b'"spoiled"')
    assert await ask() == (422, 1006)
    raw = raw.replace(b"{", b'{"configuration_id": 77, "host_id": 987654, ')
    assert await ask() == (422, 1008)
    raw = raw.replace(b"d" * 256, b"d")
    assert await ask() == (422, 1007)
    raw = raw.replace(b"77", b"1")
    assert await ask() == (422, 1009)


async def test_lists_check_fields_then_range_then_sort_then_filter(talk: Conversation) -> None:
    query = {"filter": "(", "sort": "+nonsense", "fields": "nonsense"}

    (await talk.list(query, Range="wrong")).assert_refused(422, 30)
    del query["fields"]
    (await talk.list(query, Range="wrong")).assert_refused(422, 36)
    (await talk.list(query)).assert_refused(422, 1018)
    del query["sort"]
    (await talk.list(query)).assert_refused(422, 11)


@on_each(ASKS)
async def test_credentials_come_before_the_method_and_the_version(
    talk: Conversation, ask: Ask
) -> None:
    reply = await talk.send("PUT", ask.path, headers={"Version": "abc"}, credentials={})

    reply.assert_refused(401, 18)


async def test_every_refusal_leaves_no_trace(talk: Conversation) -> None:
    before = (await talk.list()).ids
    body = {"name": "no-trace", "configuration_id": 1}

    for headers in (
        {},
        {"backup_type": "X"},
        {**CONFIG, "fields": "x"},
        {**CONFIG, "Version": "x"},
    ):
        reply = await talk.send("POST", BACKUPS, headers=headers, body=body)
        assert reply.status == 422
    for wrong in ({"configuration_id": 9}, {"host_id": 987654}, {"description": "d" * 256}):
        (await talk.create("no-trace", **wrong)).assert_is(422)

    assert (await talk.list()).ids == before
