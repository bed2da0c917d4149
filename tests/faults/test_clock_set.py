"""The clock is set while a pager runs, and there and back while none does: no step is early, none late; a pager that believes the clock is caught.

The short form of what tests/faults/climb.py plays at length: one process that is killed once, and three alarms.
"""

import sys
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from hub.testing import eventually
from tests.faults.climb import policy
from tests.faults.family import Family
from tests.paging import World, receiver, webhook

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HOUR = 3600
LATER = 600.0
"""when the second step is due"""


class Pager(Family):
    """One that is started again only when it is told to."""

    def __init__(self, folder: Path, url: str, module: str) -> None:
        super().__init__(folder)
        self._command = sys.executable, "-m", module, url

    async def _start(self) -> None:
        self.pager = await self._child("pager", *self._command)

    async def kill(self) -> None:
        self.pager.kill()
        await eventually(lambda: self.pager.ends)

    async def start_again(self) -> None:
        await self.pager.start()


class Seen(NamedTuple):
    """What was paged of each alarm, and how often the clock was found to have been set."""

    before: set[int]
    """steps of the alarm that climbs while the clock is set forward"""
    back: set[int]
    """of the one that was raised while the clock was an hour behind and nobody paged"""
    ahead: set[int]
    left: list[float]
    """seconds until the steps that wait"""
    noticed: int


async def play(url: str, folder: Path, module: str) -> Seen:
    """Until every alarm is paged, or one that must wait is paged early."""
    async with World.open(url) as world, receiver() as hook:
        await world.own_clock()
        await world.policy(policy((0.0, LATER)), {"duty/hook": webhook(hook.url)})

        async def steps(alarm: UUID) -> set[int]:
            return {row["step"] for row in await world.rows("select step from notification where alarm = %s", alarm)}

        async def noticed() -> int:
            [row] = await world.rows("select count(*)::int as n from clock_step")
            return int(row["n"])

        async def paged_or_early(*alarms: UUID) -> bool:
            found = [await steps(alarm) for alarm in alarms]
            return all(1 in one for one in found) or any(2 in one for one in found)

        async def set_is_noticed() -> bool:
            return await noticed() > 0 or 2 in await steps(before)

        async with Pager(folder, url, module) as pager:
            before = await world.alarm()
            await eventually(lambda: paged_or_early(before), deadline=60)
            await world.set_clock(HOUR)
            await eventually(set_is_noticed, deadline=60)
            await pager.kill()
            await world.set_clock(-HOUR)
            back = await world.alarm()
            await world.set_clock(2 * HOUR)
            ahead = await world.alarm()
            await world.set_clock(-HOUR)
            await pager.start_again()
            await eventually(lambda: paged_or_early(back, ahead), deadline=60)
            left = await world.rows(
                "select extract(epoch from due_at - hub_clock())::float8 as left from escalation_step where state = 'due'"
            )
            return Seen(
                await steps(before),
                await steps(back),
                await steps(ahead),
                [row["left"] for row in left],
                await noticed(),
            )


async def test_no_step_is_early_or_late_for_a_clock_that_is_set_and_one_that_is_set_there_and_back_unseen(
    fresh_database: str, tmp_path: Path
) -> None:
    seen = await play(fresh_database, tmp_path, "tests.faults.pager")
    assert seen[:3] == ({1}, {1}, {1})
    assert len(seen.left) == 3
    assert all(LATER - 120 < left < LATER + 120 for left in seen.left), seen
    assert seen.noticed == 2


async def test_a_pager_that_believes_the_clock_is_early(fresh_database: str, tmp_path: Path) -> None:
    """The negative control: if this run were clean, the other would prove nothing."""
    seen = await play(fresh_database, tmp_path, "tests.faults.believes_the_clock")
    assert seen.before == {1, 2}
    assert seen.back == {1, 2}
    assert seen.noticed == 0
