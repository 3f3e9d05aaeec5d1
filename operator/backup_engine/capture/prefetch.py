"""Keeps a few streams running ahead while their items are taken strictly in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Generic, TypeVar

T = TypeVar("T")
OpenStream = Callable[[], AsyncGenerator[T, None]]


class _Ahead(Generic[T]):
    """One stream in a task of its own, ahead by as many items as ``room`` has places."""

    def __init__(self, open_stream: OpenStream[T], room: int) -> None:
        self._open_stream = open_stream
        self._room = asyncio.Semaphore(room)
        self._items: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: self._items.put_nowait(None))

    async def taken(self) -> AsyncGenerator[T, None]:
        """Yield the items; raises what ended the stream, after its last item."""
        while (boxed := await self._items.get()) is not None:
            self._room.release()
            yield boxed[0]
        await self.task

    async def _run(self) -> None:
        async with aclosing(self._open_stream()) as stream:
            async for item in stream:
                await self._room.acquire()
                self._items.put_nowait((item,))


async def take_in_order(
    streams: Iterable[OpenStream[T]], *, abreast: int, room: int
) -> AsyncGenerator[T, None]:
    """Yield all items of the first stream, then of the second, and so on.

    ``abreast`` streams run at a time, each at most ``room`` items (and the one in its hands) ahead.
    Closing this generator ends them all before it returns.
    """
    waiting = iter(streams)
    running: deque[_Ahead[T]] = deque()
    try:
        while True:
            while len(running) < abreast and (opened := next(waiting, None)) is not None:
                running.append(_Ahead(opened, room))
            if not running:
                return
            async with aclosing(running[0].taken()) as items:
                async for item in items:
                    yield item
            running.popleft()
    finally:
        for ahead in running:
            ahead.task.cancel()
        await asyncio.gather(*(ahead.task for ahead in running), return_exceptions=True)
