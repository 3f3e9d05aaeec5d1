"""What the engine tells of its archives, beyond the appliance's API."""

from collections.abc import AsyncIterator

import httpx2
import pytest
import yaml

from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken
from backup_api.errors import FrameworkErrors
from backup_api.exceptions import RefusedError
from backup_api.extensions.archives import ChangeType, ReadArchiveErrors
from backup_engine.auth.callers import Resource, Right
from backup_engine.auth.gate import Credential, Gate
from listserver import Listing, ListServer, a_config_map
from localengine import TOKEN, LocalEngine

ROOT = "/api/backup_engine/backups"


@pytest.fixture
async def client(local: LocalEngine) -> AsyncIterator[BackupApiClient]:
    options = ClientOptions(
        url="https://engine.test", credentials=SecToken(TOKEN), requests_per_second=1000
    )
    transport = httpx2.ASGITransport(local.parts.app, raise_app_exceptions=False)
    async with BackupApiClient(options, transport) as client:
        yield client


@pytest.fixture
async def backup_id(local: LocalEngine) -> int:
    created = (await local.create("first")).json()
    await local.until(created["id"], "SUCCESS")
    return int(created["id"])


async def refusal(engine: LocalEngine, path: str, **headers: str) -> tuple[int, int]:
    answer = await engine.send("GET", f"{ROOT}/{path}", headers=headers)
    return answer.status_code, answer.json()["code"]


async def test_kinds_namespaces_and_objects_are_listed(
    client: BackupApiClient, local: LocalEngine, backup_id: int
) -> None:
    kinds = await client.list_archived_kinds(backup_id)
    namespaces = await client.list_archived_namespaces(backup_id)
    maps = [each async for each in client.list_archived_objects(backup_id, kind="configmap")]

    assert [(each.kind, each.resource, each.objects) for each in kinds] == [
        ("ConfigMap", "configmaps", 5),
        ("Secret", "secrets", 1),
    ]
    assert [(each.name, each.objects, each.is_archived) for each in namespaces] == [
        ("default", 6, False)
    ]
    assert [each.name for each in maps] == ["c0", "c1", "c2", "c3", "c4"]
    assert (await local.send("GET", maps[0].path)).json()["metadata"]["name"] == "c0"


async def test_objects_are_paged_and_chosen_by_globs(
    client: BackupApiClient, local: LocalEngine, backup_id: int
) -> None:
    pages = client.list_archived_objects(backup_id, namespace="def*", name="c?", page_length=2)
    answer = await local.send(
        "GET", f"{ROOT}/{backup_id}/objects?fields=name", headers={"Range": "items=1-2"}
    )

    assert [each.name async for each in pages] == ["c0", "c1", "c2", "c3", "c4"]
    assert answer.headers["Content-Range"] == "items 1-2/6"
    assert answer.json() == [{"name": "c1"}, {"name": "c2"}]


async def test_one_object_comes_as_captured_or_ready_to_be_applied(
    client: BackupApiClient, local: LocalEngine, backup_id: int
) -> None:
    stored = await client.get_archived_object(backup_id, "configmaps", "default", "c1")
    path = f"{ROOT}/{backup_id}/objects/ConfigMap/default/c1"
    answer = await local.send(
        "GET", f"{path}?form=restorable", headers={"Accept": "application/yaml"}
    )

    assert stored["metadata"]["uid"] == "uid-default-c1"
    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.text)["metadata"] == {"name": "c1", "namespace": "default"}
    assert await refusal(local, f"{backup_id}/objects/configmaps/default/c9") == (404, 1002)
    assert await refusal(local, f"{backup_id}/objects/configmaps/-/c1") == (404, 1002)
    assert await refusal(local, f"{backup_id}/objects/configmaps/default/c1?form=x") == (422, 11)
    assert await refusal(
        local, f"{backup_id}/objects/configmaps/default/c1", Accept="text/html"
    ) == (406, 3)


async def test_a_download_is_the_archive_to_the_byte_and_can_be_resumed(
    client: BackupApiClient, local: LocalEngine, backup_id: int
) -> None:
    content = (local.directory / "archives" / local.archives[0]).read_bytes()
    path = f"{ROOT}/{backup_id}/archive"
    whole = await local.send("GET", path, headers={"Accept": "*/*"})
    tag = whole.headers["etag"]

    assert whole.content == content
    assert whole.headers["content-type"] == "application/x-tar"
    assert whole.headers["content-length"] == str(len(content))
    assert local.archives[0] in whole.headers["content-disposition"]
    assert [piece async for piece in client.download_archive(backup_id)] == [content]
    rest = client.download_archive(backup_id, first_byte=1000)
    assert b"".join([piece async for piece in rest]) == content[1000:]

    async def part(asked: str, **headers: str) -> httpx2.Response:
        accept = {"Accept": "*/*", "Range": asked}
        return await local.send("GET", path, headers=accept | headers)

    some = await part("bytes=512-1023")
    assert (some.status_code, some.content) == (206, content[512:1024])
    assert some.headers["content-range"] == f"bytes 512-1023/{len(content)}"
    assert (await part("bytes=-1024")).content == content[-1024:]
    assert (await part("bytes=5-", **{"If-Range": tag})).status_code == 206
    assert (await part("bytes=5-", **{"If-Range": '"other"'})).content == content
    assert (await part("lines=5-6")).status_code == 200
    beyond = await part(f"bytes={len(content)}-")
    assert (beyond.status_code, beyond.json()["code"]) == (416, 1021)
    head = await local.send("HEAD", path, headers={"Accept": "*/*"})
    assert (head.content, head.headers["content-length"]) == (b"", str(len(content)))


async def test_what_changed_in_the_cluster_since_the_backup(
    client: BackupApiClient, source: ListServer, backup_id: int
) -> None:
    nothing = await client.diff_archive(backup_id)
    assert (nothing.same, nothing.differences) == (6, ())
    maps, secrets = source.listings[0].objects, source.listings[1].objects
    changed = a_config_map("c1", a="2")
    touched = a_config_map("c2")
    added = a_config_map("new")
    hidden = a_config_map("s1", password="aGlkZGVu")
    for one in (changed, touched, hidden):
        one["metadata"]["resourceVersion"] = "8"
    maps[:] = [maps[0], changed, touched, maps[3], added]
    secrets[:] = [hidden]

    found = await client.diff_archive(backup_id)

    assert (found.added, found.removed, found.changed, found.same) == (1, 1, 2, 3)
    by_name = {each.name: each for each in found.differences}
    assert by_name["new"].change is ChangeType.ADDED
    assert by_name["c4"].change is ChangeType.REMOVED
    (field,) = by_name["c1"].fields
    assert (field.path, field.old, field.new) == ("/data/a", None, "2")
    assert "aGlkZGVu" not in found.model_dump_json()
    assert by_name["s1"].fields[0].path == "/data/password"
    only = await client.diff_archive(backup_id, kind="secrets")
    assert (only.changed, only.same) == (1, 0)


async def test_what_changed_from_one_backup_to_another(
    client: BackupApiClient, local: LocalEngine, source: ListServer, backup_id: int
) -> None:
    changed = a_config_map("c1", a="2")
    changed["metadata"]["resourceVersion"] = "8"
    source.listings[0].objects[1] = changed
    source.listings.append(
        Listing("zoo.io", "v1", "widgets", "Widget", [a_config_map("w1"), a_config_map("w2")])
    )
    other = (await local.create("second")).json()["id"]
    await local.until(other, "SUCCESS")

    found = await client.diff_archive(backup_id, other)
    back = await client.diff_archive(other, backup_id)
    page = await local.send(
        "GET", f"{ROOT}/{backup_id}/diff/{other}", headers={"Range": "items=1-1"}
    )

    assert [(each.change, each.name) for each in found.differences] == [
        (ChangeType.CHANGED, "c1"),
        (ChangeType.ADDED, "w1"),
        (ChangeType.ADDED, "w2"),
    ]
    assert (back.removed, back.changed, back.same) == (2, 1, 5)
    assert page.headers["Content-Range"] == "items 1-1/3"
    assert [each["name"] for each in page.json()["differences"]] == ["w1"]


async def test_what_cannot_be_looked_into_is_refused(
    local: LocalEngine, source: ListServer
) -> None:
    source.hold("/api/v1/secrets")
    running = (await local.create("running")).json()["id"]
    await local.until(running, "IN_PROGRESS")

    for path in ("archive", "kinds", "namespaces", "objects", "diff", "objects/pods/a/b"):
        accept = {"Accept": "*/*"}
        assert await refusal(local, f"{running}/{path}", **accept) == (422, 1005)
        assert await refusal(local, f"999/{path}", **accept) == (404, 1001)
        assert await refusal(local, f"x/{path}", **accept) == (404, 1001)
    assert await refusal(local, f"{running}/nonsense") == (404, 1)
    answer = await local.send("POST", f"{ROOT}/{running}/kinds", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_a_damaged_archive_is_told_but_can_be_downloaded(
    local: LocalEngine, backup_id: int
) -> None:
    await local.stop()
    path = local.directory / "archives" / local.archives[0]
    path.write_bytes(path.read_bytes()[:-700])

    assert await refusal(local, f"{backup_id}/kinds") == (422, 1006)
    answer = await local.send("GET", f"{ROOT}/{backup_id}/archive", headers={"Accept": "*/*"})
    assert answer.content == path.read_bytes()
    assert "etag" not in answer.headers
    path.unlink()
    assert await refusal(local, f"{backup_id}/kinds") == (422, 1005)


async def test_secrets_need_a_right_of_their_own(
    local: LocalEngine, backup_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_allowed(_: Gate, __: Credential, right: Right | None) -> bool:
        return right is None or right.resource is not Resource.SECRETS

    monkeypatch.setattr(Gate, "is_allowed", is_allowed)

    not_capable = (FrameworkErrors.NOT_CAPABLE.http_status, FrameworkErrors.NOT_CAPABLE.code)
    assert await refusal(local, f"{backup_id}/objects/secrets/default/s1") == not_capable
    assert await refusal(local, f"{backup_id}/archive", Accept="*/*") == not_capable
    answer = await local.send("GET", f"{ROOT}/{backup_id}/objects/configmaps/default/c1")
    assert answer.status_code == 200


async def test_a_refusal_reaches_the_client_as_a_row_of_the_table(client: BackupApiClient) -> None:
    with pytest.raises(RefusedError) as caught:
        await client.list_archived_kinds(7)
    with pytest.raises(RefusedError) as streamed:
        _ = [piece async for piece in client.download_archive(7)]

    assert caught.value.row is ReadArchiveErrors.UNKNOWN_BACKUP
    assert streamed.value.row is ReadArchiveErrors.UNKNOWN_BACKUP
