"""A lane waits for company as long as nobody waits for it."""

import asyncio
from collections import deque
from typing import Any, cast

import pytest

from hub.errors import LinkDown
from hub.mqtt import Session
from hub.runtime.gathering import PAUSE, WORTH, gather


class Line:
    """A session as `gather` sees it: groups of messages, each after its pause; in the end the connection is gone."""

    def __init__(self, *groups: tuple[float, list[Any]]) -> None:
        self.groups = deque(groups)
        self.asked: list[int] = []

    async def take(self, limit: int, within: float | None = None, least: int = 1) -> list[Any]:
        self.asked.append(least)
        if not self.groups:
            raise LinkDown("gone")
        pause, group = self.groups[0]
        if within is not None and pause > within:
            await asyncio.sleep(within)
            self.groups[0] = (pause - within, group)
            return []
        await asyncio.sleep(pause)
        self.groups.popleft()
        taken, rest = group[:limit], group[limit:]
        if rest:
            self.groups.appendleft((0.0, rest))
        return taken


async def gathered(line: Line, until: float, news: str = "", limit: int = 500) -> tuple[list[Any], list[Any]]:
    asked: list[Any] = []

    def is_news(came: Any) -> bool:
        asked.extend(came)
        return news in came

    loop = asyncio.get_running_loop()
    found = await gather(cast(Session, line), limit, loop.time() + until, is_news)
    return list(found), asked


async def test_after_a_pause_a_lone_message_goes_at_once() -> None:
    found, _ = await gathered(Line((0.0, ["a"]), (0.01, ["b"])), until=0.0)
    assert found == ["a"]


async def test_what_is_no_news_waits_for_more_and_keeps_its_order() -> None:
    line = Line((0.0, ["a"]), (0.0, ["b", "c"]), (0.01, ["d"]), (30.0, ["e"]))
    found, asked = await gathered(line, until=60.0, news="d")
    assert found == asked == ["a", "b", "c", "d"]


async def test_it_waits_no_longer_than_it_may() -> None:
    found, _ = await gathered(Line((0.0, ["a"]), (3600.0, ["b"])), until=0.05)
    assert found == ["a"]


async def test_news_goes_at_once_and_takes_along_what_waits() -> None:
    found, _ = await gathered(Line((0.0, ["a"]), (0.0, ["press"]), (0.0, ["b"])), until=60.0, news="press")
    assert found == ["a", "press"]


async def test_where_many_wait_nobody_waits_longer() -> None:
    found, _ = await gathered(Line((0.0, ["a"]), (0.0, ["b"] * WORTH), (30.0, ["c"])), until=60.0)
    assert len(found) == WORTH + 1


async def test_a_batch_is_never_larger_than_its_limit() -> None:
    found, _ = await gathered(Line((0.0, ["a"]), (0.0, ["b"] * 9)), until=60.0, limit=5, news="b")
    assert found == ["a", "b", "b", "b", "b"]


async def test_what_came_before_the_connection_went_is_taken() -> None:
    line = Line((0.0, ["a"]), (0.0, ["b"]))
    found, _ = await gathered(line, until=60.0)
    assert found == ["a", "b"]
    with pytest.raises(LinkDown):
        await gathered(line, until=60.0)


async def test_where_nothing_can_be_news_it_is_woken_for_many_or_by_the_time() -> None:
    line = Line((0.0, ["a"]), (0.0, ["b", "c"]), (3600.0, ["d"]))
    loop = asyncio.get_running_loop()
    found: list[Any] = [*await gather(cast(Session, line), 500, loop.time() + 0.05, None)]
    assert found == ["a", "b", "c"]
    assert line.asked == [1, WORTH - 1, WORTH - 3]


def test_a_beat_that_waits_is_confirmed_long_before_the_standby_looks_at_it() -> None:
    assert PAUSE <= 0.75 / 3
