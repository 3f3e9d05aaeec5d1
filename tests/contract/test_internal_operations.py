"""Two operations that look internal to the appliance and are refused (spec §4.6)."""

import pytest

from backup_api import endpoints
from contract.places import ASKS, Ask, on_each
from contract.servers import Conversation

INTERNAL = tuple(ask for ask in ASKS if ask.endpoint in endpoints.NEVER_CALLED)


@on_each(INTERNAL)
@pytest.mark.parametrize("fields", [pytest.param("", id="404_1001"), "id,status"])
async def test_an_internal_operation_is_refused(talk: Conversation, ask: Ask, fields: str) -> None:
    raw = ask.body.encode() if ask.body else None
    is_post = ask.method == "POST"

    reply = await talk.send(
        ask.method,
        ask.path,
        query={} if is_post or not fields else {"fields": fields},
        headers={"fields": fields} if is_post and fields else {},
        raw=raw,
    )

    reply.assert_refused(404, 1001)
