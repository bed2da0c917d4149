"""A connection in a task of its own: how it ends never touches the loop that must begin the next one."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from hub.errors import LinkDown
from hub.runtime import reconnect
from hub.runtime.apart import apart
from hub.runtime.reconnect import keep
from hub.testing import eventually


async def marked() -> None:
    """Ends as a failed TaskGroup does up to Python 3.11.3: with its task marked as being cancelled."""
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    raise LinkDown("gone")


async def test_a_mark_stays_behind_and_a_time_limit_still_is_one() -> None:
    with pytest.raises(LinkDown, match="gone"):
        await apart(marked())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()


async def test_what_it_gives_comes_back() -> None:
    assert await apart(asyncio.sleep(0, 7)) == 7


async def test_one_that_is_cancelled_from_within_is_a_link_down() -> None:
    async def leaking() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LinkDown, match="cancelled from within"):
        await apart(leaking())


async def test_who_is_cancelled_takes_it_along_and_waits_for_its_end() -> None:
    begun, left = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            left.set()

    task = asyncio.create_task(apart(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left.is_set()


async def test_a_loop_over_a_connection_goes_on_after_marked_ends() -> None:
    sessions = 0

    async def session(connected: object) -> None:
        nonlocal sessions
        sessions += 1
        await marked()

    loop = asyncio.create_task(keep("test", session))
    await eventually(lambda: sessions >= 3 or loop.done())
    assert not loop.done()
    loop.cancel()
    await asyncio.wait([loop])


async def test_a_loop_that_hangs_or_falls_is_named_and_one_that_falls_over_a_row_is_tried_again_for_some_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "AWAY", 0.2)
    monkeypatch.setattr(reconnect, "FALLS", 0.6)
    falls, odd = 0, True

    async def hangs(connected: Callable[[], None]) -> None:
        connected()
        await asyncio.Event().wait()

    async def turns(connected: Callable[[], None]) -> None:
        while True:
            connected()
            await asyncio.sleep(0.01)

    async def falling(connected: Callable[[], None]) -> None:
        nonlocal falls
        connected()
        if odd:
            falls += 1
            raise KeyError("a row of another release")
        await asyncio.Event().wait()

    given = {"hangs": (hangs, 0.2), "turns": (turns, 2.0), "waits": (hangs, None), "falls": (falling, None)}
    loops = {name: asyncio.create_task(keep(name, one, 0.05, within=at)) for name, (one, at) in given.items()}
    try:
        await eventually(lambda: reconnect.standing_still() == ["falls", "hangs"])
        assert falls > 1
        assert not loops["falls"].done()
        odd = False
        await eventually(lambda: reconnect.standing_still() == ["hangs"])
        odd = True
        again = asyncio.create_task(keep("again", falling, 0.05))
        await asyncio.wait({again}, timeout=20)
        with pytest.raises(KeyError):  # for long enough: somebody must see that it does not go on
            again.result()
    finally:
        for loop in loops.values():
            loop.cancel()
        await asyncio.wait(loops.values())
    assert reconnect.standing_still() == []
