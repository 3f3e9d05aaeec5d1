"""Keeps a bounded number of pieces of work in flight."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def work_through(
    batches: AsyncGenerator[Iterable[T], None],
    work: Callable[[T], Awaitable[None]],
    *,
    abreast: int,
) -> None:
    """Run ``work`` on every item of every batch, ``abreast`` at a time.

    A batch is fetched when the one before has no item left, while its last ones are worked on. The
    first error ends everything and is raised as it is; ``batches`` is closed before this returns.
    """
    items: Iterator[T] = iter(())
    is_over = False
    turn = asyncio.Lock()

    async def worker() -> None:
        nonlocal items, is_over
        while not is_over:
            # shared by all workers without a queue: that would cost as much as the rest of the loop
            mine = items
            for item in mine:
                await work(item)
            async with turn:
                if items is mine and not is_over:
                    batch = await anext(batches, None)
                    is_over = batch is None
                    items = iter(batch or ())

    try:
        async with aclosing(batches), asyncio.TaskGroup() as group:
            for _ in range(abreast):
                group.create_task(worker())
    except BaseExceptionGroup as several:
        raise find_first(several) from None


def find_first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single error of a tree of groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
