"""Something done again and again while something else runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from backup_engine.restore.flight import find_first


@asynccontextmanager
async def repeated(work: Callable[[], Awaitable[None]], every_s: float) -> AsyncIterator[None]:
    """Do ``work`` every so often while the block runs, and once more when it ends well.

    An error in it ends the block; whichever error comes first is raised as it is.
    """
    ended = asyncio.Event()

    async def repeat() -> None:
        is_last = False
        while not is_last:
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await ended.wait()
            is_last = ended.is_set()
            await work()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat())
            yield
            ended.set()
    except BaseExceptionGroup as several:  # the others were cancelled by the first
        raise find_first(several) from None
