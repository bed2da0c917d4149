"""Whatever happens in whatever order: an alarm that somebody should hear of has a next step, or says that it has none."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from hub.model import SECOND, SignalClass
from hub.store.escalation import begin, claim, fire, sweep
from tests.paging import POLICY, World

CLASSES = (SignalClass.FIRE, SignalClass.PANIC, SignalClass.FAULT)


class Campaign:
    """Random acts of the machine, of people, of time and of escalators that fail half-way."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.alarms: dict[UUID, SignalClass] = {}

    async def act(self) -> str:
        name = self.chance.choice(
            ("raised", "acknowledged", "came_back", "cleared", "time", "escalated", "escalated", "failed", "swept")
        )
        if name not in ("raised", "time", "swept") and not self.alarms:
            return "nothing"
        await getattr(self, name)()
        return name

    def one(self) -> UUID:
        return self.chance.choice(list(self.alarms))

    async def raised(self) -> None:
        signal_class = self.chance.choice(CLASSES)
        alarm = await self.world.alarm(signal_class=signal_class, begun=self.chance.random() < 0.8)
        self.alarms[alarm] = signal_class

    async def acknowledged(self) -> None:
        await self.world.acknowledge(self.one())

    async def came_back(self) -> None:
        alarm = self.one()
        async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
            await cur.execute("update alarm set state = 'unack_active' where id = %s", (alarm,))
            if self.chance.random() < 0.8:
                await begin(cur, [alarm])

    async def cleared(self) -> None:
        await self.world.conn.execute(
            "update alarm set state = 'unack_cleared' where id = %s and state = 'unack_active'", (self.one(),)
        )

    async def time(self) -> None:
        await self.world.pass_time(self.chance.choice((1, 30, 60, 90, 600, 5000)))

    async def escalated(self) -> None:
        async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
            found = await claim(cur, self.chance.randint(1, 5), 10 * SECOND)
        for alarm in found:
            async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
                await fire(cur, alarm)

    async def failed(self) -> None:
        with pytest.raises(RuntimeError):
            async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
                await fire(cur, self.one())
                raise RuntimeError

    async def swept(self) -> None:
        async with self.world.conn.transaction(), self.world.conn.cursor() as cur:
            _, stuck = await sweep(cur)
        assert stuck == []

    async def check(self, trail: list[str]) -> None:
        """After a sweep, for every alarm."""
        await self.swept()
        rows = await self.world.rows(
            "select a.id, a.state, is_paged(a) as paged, a.signal_class <> 'fault' as vital, e.state as escalation,"
            " (select count(*) from escalation_step s where s.alarm = a.id and s.state = 'due') as due,"
            " (select count(*) from notification n where n.alarm = a.id and n.state = 'pending' and n.kind = 'page') as pending"
            " from alarm a left join escalation e on e.alarm = a.id"
        )
        for row in rows:
            about = f"{row} after {trail}"
            if row["paged"]:
                assert row["escalation"] in ("running", "exhausted", "uncovered"), about
                assert (row["due"] > 0) == (row["escalation"] == "running"), about
                assert not (row["vital"] and row["escalation"] == "exhausted"), about
            if row["escalation"] == "stopped":
                assert (row["due"], row["pending"]) == (0, 0), about


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_alarm_that_somebody_should_hear_of_is_ever_left_without_a_next_step(world: World, seed: int) -> None:
    await world.policy(POLICY)
    everything = replace(POLICY, id="all", division=None, signal_classes=frozenset(SignalClass), max_rounds=2)
    if seed != 3:
        await world.policy(everything)
    campaign = Campaign(world, seed)
    trail: list[str] = []
    for _ in range(150):
        trail.append(await campaign.act())
        await campaign.check(trail)
    assert len(set(trail)) >= 8
    early = await world.rows("select * from notification where created_at < due_at")
    assert early == []
    keys = await world.rows("select count(distinct id) = count(*) as unique, count(*) > 20 as many from notification")
    assert keys == [{"unique": True, "many": True}]
    states = {row["state"] for row in await world.rows("select distinct state from escalation")}
    assert states >= {"running", "stopped"}
