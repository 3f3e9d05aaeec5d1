import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from backup_engine.capture.prefetch import OpenStream, take_in_order


def counting(
    name: str, count: int, made: list[str], ended: list[str], *, fails: bool = False
) -> OpenStream[str]:
    async def stream() -> AsyncGenerator[str, None]:
        try:
            for number in range(count):
                await asyncio.sleep(0)
                made.append(f"{name}{number}")
                yield f"{name}{number}"
            if fails:
                raise ValueError(name)
        finally:
            ended.append(name)

    return stream


async def idle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_items_come_in_the_order_of_their_streams() -> None:
    made: list[str] = []
    streams = [counting(name, 3, made, []) for name in "abcdef"]

    taken = [item async for item in take_in_order(streams, abreast=3, room=1)]

    assert taken == [f"{name}{number}" for name in "abcdef" for number in range(3)]


async def test_streams_run_ahead_no_further_than_their_room() -> None:
    made: list[str] = []
    streams = [counting(name, 9, made, []) for name in "abc"]

    async with aclosing(take_in_order(streams, abreast=2, room=1)) as items:
        assert await anext(items) == "a0"
        await idle()
        assert sorted(made) == ["a0", "a1", "a2", "b0", "b1"]


async def test_an_error_arrives_behind_the_items_before_it_and_ends_the_others() -> None:
    ended: list[str] = []
    streams = [
        counting("a", 2, [], ended, fails=True),
        counting("b", 99, [], ended),
    ]
    taken = []

    async def take() -> None:
        async for item in take_in_order(streams, abreast=2, room=1):
            taken.append(item)  # noqa: PERF401 - what came before the error matters

    with pytest.raises(ValueError, match="a"):
        await take()

    assert taken == ["a0", "a1"]
    assert sorted(ended) == ["a", "b"]


async def test_closing_ends_every_stream_before_it_returns() -> None:
    ended: list[str] = []
    streams = [counting(name, 99, [], ended) for name in "abc"]

    async with aclosing(take_in_order(streams, abreast=3, room=2)) as items:
        await anext(items)
        await idle()

    assert sorted(ended) == ["a", "b", "c"]
