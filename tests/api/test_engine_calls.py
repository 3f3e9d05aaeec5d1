"""Calls of the extensions: what goes out, what is read, and that an appliance has none."""

import json
from collections.abc import Callable

import httpx2
import pytest

from api.clients import NO_REPEATS, client_of
from appliance.server import FakeAppliance
from backup_api.client import BackupApiClient, ClientOptions
from backup_api.credentials import SecToken
from backup_api.exceptions import RefusedError
from backup_api.extensions.restores import (
    RESTORE_EXTENSION,
    ActionCounts,
    ExistingObjects,
    ListPlanItemsErrors,
    PlanAction,
    PlannedChange,
    PlanState,
    RestoreOptions,
    RestorePlan,
    RestoreRule,
)
from backup_api.paging import ItemRange

Answer = Callable[[httpx2.Request], httpx2.Response]


def client_to(answer: Answer) -> BackupApiClient:
    options = ClientOptions("https://engine.test", SecToken("token"), retry=NO_REPEATS)
    return BackupApiClient(options, httpx2.MockTransport(answer))


async def test_an_appliance_is_no_engine(appliance: FakeAppliance) -> None:
    async with client_of(appliance) as client:
        assert await client.find_engine() is None


async def test_an_html_404_is_no_engine_either() -> None:
    async with client_to(lambda _: httpx2.Response(404, html="<p>no</p>")) as client:
        assert await client.find_engine() is None


async def test_trouble_does_not_pass_for_an_appliance() -> None:
    body = {"http_response": {"code": 403}, "code": 26}
    async with client_to(lambda _: httpx2.Response(403, json=body)) as client:
        with pytest.raises(RefusedError):
            await client.find_engine()


async def test_an_engine_tells_its_extensions() -> None:
    told = {"product": "backup-engine", "version": "1.0", "extensions": ["restores", "archives"]}
    async with client_to(lambda _: httpx2.Response(200, json=told)) as client:
        engine = await client.find_engine()

    assert engine is not None
    assert "restores" in engine.extensions


async def test_options_are_put_whole_and_read_back() -> None:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(200, content=request.content)

    wanted = RestoreOptions(
        existing=ExistingObjects.UPDATE,
        namespace_mapping={"a": "b"},
        include=(RestoreRule(namespace="a", label="app=web"),),
        with_status=("Widget",),
    )
    async with client_to(answer) as client:
        assert await client.set_restore_options(7, wanted) == wanted

    [request] = sent
    assert (request.method, request.url.path) == ("PUT", "/api/backup_engine/restores/7/options")
    assert json.loads(request.content)["include"] == [{"namespace": "a", "label": "app=web"}]


async def test_a_plan_is_started_read_and_dropped() -> None:
    methods: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        methods.append(request.method)
        status, state = (202, "COMPUTING") if request.method == "POST" else (200, "READY")
        told = {"state": state, "digest": None, "counts": {"create": 2, "pruned": 1}}
        return httpx2.Response(status, json=told)

    async with client_to(answer) as client:
        assert (await client.start_plan(7)).state is PlanState.COMPUTING
        plan = await client.get_plan(7)
        await client.drop_plan(7)

    assert plan == RestorePlan(state=PlanState.READY, counts=ActionCounts(create=2))
    assert methods == ["POST", "GET", "DELETE"]


async def test_items_of_a_plan_are_asked_for_by_action_kind_and_namespace() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert dict(request.url.params) == {"action": "update", "kind": "ConfigMap"}
        assert request.headers["Range"] == "items=0-4"
        item = {
            "action": "update",
            "api_version": "v1",
            "kind": "ConfigMap",
            "namespace": "a",
            "name": "x",
            "changes": [{"path": "/data/a", "old": "1", "new": None}],
        }
        return httpx2.Response(200, json=[item], headers={"Content-Range": "items 0-0/1"})

    async with client_to(answer) as client:
        page = await client.list_plan_items_page(
            7, ItemRange(0, 4), action=PlanAction.UPDATE, kind="ConfigMap"
        )

    assert page.total == 1
    assert page.records[0].changes == (PlannedChange(path="/data/a", old="1"),)


async def test_a_plan_that_is_not_ready_is_worth_waiting_for() -> None:
    body = {"http_response": {"code": 409}, "code": 1026}
    async with client_to(lambda _: httpx2.Response(409, json=body)) as client:
        with pytest.raises(RefusedError) as refusal:
            await client.list_plan_items_page(7, ItemRange(0, 4))

    assert refusal.value.row is ListPlanItemsErrors.PLAN_COMPUTING


async def test_progress_and_failures_are_read() -> None:
    failure = {"api_version": "v1", "kind": "Secret", "name": "x", "reason": "Forbidden"}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/errors"):
            return httpx2.Response(200, json=[failure], headers={"Content-Range": "items 0-0/1"})
        told = {"settled": 5, "total": 9, "failed": 1, "remaining": 4, "reason": "TimeLimit"}
        return httpx2.Response(200, json=told)

    async with client_to(answer) as client:
        progress = await client.get_restore_progress(7)
        failures = [each async for each in client.list_restore_failures(7)]

    assert (progress.settled, progress.remaining) == (5, 4)
    assert [each.reason for each in failures] == ["Forbidden"]


def test_extensions_lie_apart_from_the_appliances_paths() -> None:
    assert all(each.path.startswith("/backup_engine") for each in RESTORE_EXTENSION)
