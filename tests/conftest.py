"""Fixtures that every folder of tests may use."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings

# Time is pytest-timeout's business: a busy machine is no finding. The same examples each time: who
# looks for others says so, by --hypothesis-profile=exploring.
settings.register_profile(
    "exploring", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("project", settings.get_profile("exploring"), derandomize=True)
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


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Keep pytest-asyncio from making, and never closing, a loop when the first test is sync.

    Python 3.11 makes one on the first question for the current loop, and its end is a warning.
    """
    asyncio.set_event_loop(None)
