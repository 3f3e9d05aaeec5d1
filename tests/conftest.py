"""Fixtures that every folder of tests may use."""

import asyncio

import pytest
from hypothesis import settings

# Time is pytest-timeout's business: a busy machine is no finding.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")

pytest_plugins = [
    "fixtures.cluster",
    "fixtures.postgresql",
    "fixtures.databases",
    "fixtures.engine",
    "fixtures.exec_node",
    "fixtures.installation",
    "fixtures.appliance",
    "fixtures.kills",
    "fixtures.local_engine",
    "fixtures.operator_process",
    "fixtures.scale",
    "fixtures.volumes",
]


PROCESS_TIMEOUT_S = 180  # each process that a test starts may take seconds on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that start processes longer, unless they say how long themselves."""
    for item in items:
        if item.get_closest_marker("process") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PROCESS_TIMEOUT_S))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Keep pytest-asyncio from making, and never closing, a loop when the first test is sync.

    Python 3.11 makes one on the first question for the current loop, and its end is a warning.
    """
    asyncio.set_event_loop(None)
