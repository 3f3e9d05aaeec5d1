"""Every row of the code tables has a case on each server, or a reason why it has none."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from backup_api.endpoints import ENDPOINTS, Endpoint
from backup_api.errors import EndpointErrors, FrameworkErrors
from contract.cover import Absent
from contract.coverage import FRAMEWORK, SERVERS, find_cover
from contract.own_rows import OWN
from contract.rows import render

FOLDER = Path(__file__).parent

ROWS = [
    pytest.param(endpoint, row, server, id=f"{server}-{endpoint}-{row.http_status}_{row.code}")
    for server in SERVERS
    for endpoint in ENDPOINTS
    for table in (endpoint.refusals, FrameworkErrors)
    for row in table
]


@pytest.fixture(scope="session")
def collected() -> list[str]:
    """Names of all cases of this suite, as pytest itself collects them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-header", str(FOLDER)]
    arguments = ["-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.parametrize(("endpoint", "row", "server"), ROWS)
def test_every_row_has_a_case_or_a_reason(
    endpoint: Endpoint, row: EndpointErrors, server: str, collected: list[str]
) -> None:
    found = find_cover(endpoint, row, server)
    assert found is not None, f"contract/coverage.py lacks {endpoint} {row}"
    cover, label = found
    if isinstance(cover, Absent):
        assert cover.reason
        return
    cases = [name for name in collected if runs_on(name, cover.test, server, label)]
    assert cases, f"{cover.test} has no case for {server} {label}"
    if not isinstance(row, FrameworkErrors):
        assert any(f"{row.http_status}_{row.code}" in name for name in cases)


def runs_on(name: str, test: str, server: str, label: str) -> bool:
    function, _, parameters = name.partition("[")
    wanted = f"{server}-{label}" if label else server
    pattern = rf"(^|-){re.escape(wanted)}($|[-\]])"
    return function.endswith(test) and re.search(pattern, parameters) is not None


def test_the_table_has_no_row_that_no_endpoint_has() -> None:
    known = {row for endpoint in ENDPOINTS for row in endpoint.refusals}

    assert set(OWN) == known
    assert set(FRAMEWORK) == set(FrameworkErrors)


def test_the_published_table_is_this_one() -> None:
    published = FOLDER.parents[1] / "docs" / "reference" / "api-coverage.md"

    assert published.read_text() == render(), "run make generate"
