"""A client of the fake appliance."""

from collections.abc import AsyncIterator

import pytest

from api.clients import client_of
from api.recipes_stage import Stage
from appliance.server import FakeAppliance
from backup_api.client import BackupApiClient


@pytest.fixture
async def client(appliance: FakeAppliance) -> AsyncIterator[BackupApiClient]:
    """Open until the test ends; makes one attempt per request."""
    async with client_of(appliance) as opened:
        yield opened


@pytest.fixture
def stage(appliance: FakeAppliance) -> Stage:
    """Waiting that moves the appliance's clock."""
    return Stage(appliance)
