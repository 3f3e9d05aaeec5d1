"""The facts that a decision about any Restore rests on."""

from datetime import timedelta
from typing import Any

from backup_operator.decisions.facts import EngineSeen
from backup_operator.decisions.restore_facts import (
    RestoreMemory,
    RestoreSeen,
)
from backup_operator.resources.restore_status import RestoreStatus
from fixtures.facts import ENGINE, some_metadata


def seen(status: RestoreStatus | None = None, **more: Any) -> RestoreSeen:  # noqa: ANN401
    facts = {
        "metadata": some_metadata(kept=True),
        "status": status or RestoreStatus(),
        "engine": EngineSeen(ENGINE, clock_offset=timedelta(0)),
        "memory": RestoreMemory(),
        "backup_id": 118,
        **more,
    }
    return RestoreSeen(**facts)
