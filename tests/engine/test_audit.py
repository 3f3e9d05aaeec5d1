"""One line for each request that would change something: who, what, result."""

import logging
import re

import httpx2
import pytest

from backup_engine.routes.table import LOGOUT_PATH, list_operations
from localengine import BACKUPS, DEPLOY, STAGED, LocalEngine

CHANGING = tuple(each for each in list_operations() if each.method not in {"GET", "HEAD"})


class Audited:
    """Sends requests, and takes the audit lines that each of them left."""

    def __init__(self, engine: LocalEngine, caplog: pytest.LogCaptureFixture) -> None:
        self._engine = engine
        self._caplog = caplog
        caplog.set_level(logging.INFO, "backup_engine.audit")

    async def send(
        self, method: str, path: str, **options: object
    ) -> tuple[httpx2.Response, list[str]]:
        before = len(self._caplog.records)
        answer = await self._engine.send(method, path, **options)
        lines = [
            record.getMessage()
            for record in self._caplog.records[before:]
            if record.name == "backup_engine.audit"
        ]
        return answer, lines


@pytest.fixture
def audited(resting: LocalEngine, caplog: pytest.LogCaptureFixture) -> Audited:
    return Audited(resting, caplog)


def expected(answer: httpx2.Response, method: str, path: str, who: str) -> list[str]:
    code = answer.json()["code"] if answer.is_error else 0
    return [who, f"what='{method} {path}'", f"status={answer.status_code} code={code} "]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "stranger"])
async def test_each_changing_endpoint_leaves_one_line_when_it_refuses(
    audited: Audited, resting: LocalEngine, is_known: bool
) -> None:
    if not is_known:
        resting.client.headers.pop("SEC")
    for operation in CHANGING:
        if operation.path == LOGOUT_PATH and is_known:
            continue  # it does not refuse
        path = re.sub(r"\{\w+\}", "999999", operation.path)
        answer, lines = await audited.send(operation.method, path, headers={"Accept": "*/*"})
        assert answer.is_error, operation
        who = "who='API_user: backup-bot'" if is_known else "who='unknown'"
        for part in expected(answer, operation.method, path, who):
            assert [part in line for line in lines] == [True], (operation, lines)


async def test_each_kind_of_change_that_is_done_leaves_one_line_with_its_subject(
    audited: Audited, resting: LocalEngine
) -> None:
    done: list[tuple[str, str, dict[str, object], str]] = [
        ("POST", BACKUPS, {"json": {"name": "first", "configuration_id": 1}}, "backup 1 first"),
        ("POST", f"{BACKUPS}/1", {"json": {"description": "d"}}, "backup 1 first"),
        ("DELETE", f"{BACKUPS}/1", {}, "backup 1 first CANCELLING"),
        ("POST", f"{STAGED}/1", {"json": {"data_backup_priority": "HIGH"}}, ""),
        ("POST", DEPLOY, {"json": {"type": "INCREMENTAL"}}, ""),
        ("POST", LOGOUT_PATH, {}, ""),
    ]
    resting.client.headers["backup_type"] = "CONFIG"
    for method, path, options, subject in done:
        answer, lines = await audited.send(method, path, headers={"Accept": "*/*"}, **options)
        assert answer.is_success, answer.text
        parts = [*expected(answer, method, path, "who='API_user: backup-bot'"), subject]
        assert [all(part in line for part in parts) for line in lines] == [True], lines


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("PUT", BACKUPS, {}),
        ("PATCH", f"{BACKUPS}/1", {}),
        ("POST", "/api/nowhere", {}),
        ("POST", BACKUPS, {"headers": {"Version": "x"}}),
        ("POST", BACKUPS, {"headers": {"Accept": "text/html"}}),
        ("POST", BACKUPS, {"headers": {"Content-Type": "text/plain"}, "content": b"x"}),
        ("POST", BACKUPS, {"content": b" " * (1024 * 1024 + 1)}),
    ],
    ids=["405", "405_below", "404", "version", "406", "415", "413"],
)
async def test_what_is_refused_before_any_endpoint_leaves_one_line(
    audited: Audited, method: str, path: str, options: dict[str, object]
) -> None:
    answer, lines = await audited.send(method, path, **options)
    assert answer.is_error
    parts = expected(answer, method, path, "who='API_user: backup-bot'")
    assert [all(part in line for part in parts) for line in lines] == [True], lines


async def test_reading_leaves_none(audited: Audited) -> None:
    for method in ("GET", "HEAD"):
        assert (await audited.send(method, BACKUPS))[1] == []
