"""Sends a conditional request again that met silence.

obstore sends any request again that was answered with 5xx or whose connection broke. One with a
condition (create-only, if unchanged) that met silence it gives up at once: it cannot know whether
the server carried it out. Who calls this can tell by what lies in the bucket.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from backup_engine.archive.bucket_errors import UNREACHABLE
from backup_engine.archive.errors import StorageError

PAUSE_S: Final = 0.2  # behind a silence, which took longer by far

T = TypeVar("T")


async def repeated(send: Callable[[], Awaitable[T]], patience_s: float) -> T:
    """Await ``send()`` again and again, until the bucket answers or ``patience_s`` are over.

    The first time is bounded by ``send`` alone. Raises StorageError, also what was raised last.
    """
    end = asyncio.get_running_loop().time() + patience_s
    try:
        return await send()
    except StorageError as silence:
        trouble = silence
    while trouble.reason == UNREACHABLE:
        try:
            async with asyncio.timeout_at(end):
                await asyncio.sleep(PAUSE_S)
                return await send()
        except StorageError as silence:
            trouble = silence
        except TimeoutError:
            break
    raise trouble
