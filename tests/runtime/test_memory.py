"""What was loaded is set aside, and garbage with cycles is found all the same."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from hub.runtime import memory


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.self = self


async def test_what_was_loaded_is_not_looked_at_again_and_new_cycles_are_freed(
    collector: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep: asyncio.Queue[float] = asyncio.Queue()
    awake: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        await asleep.put(seconds)
        await awake.get()

    monkeypatch.setattr(memory, "sleep", sleep)
    running = asyncio.create_task(memory.run())
    slept = await asleep.get()
    assert gc.get_threshold()[2] == memory.NEVER
    for at in memory.LOADED[1:]:
        await awake.put(None)
        slept += await asleep.get()
        assert gc.get_freeze_count() > 0
        assert slept == at
    knot = Knot()
    await awake.put(None)
    assert await asleep.get() == memory.EVERY
    fresh = weakref.ref(Knot())
    assert fresh() is not None
    await awake.put(None)
    await asleep.get()
    assert fresh() is None
    assert knot.self is knot
    running.cancel()
    await asyncio.wait([running])
