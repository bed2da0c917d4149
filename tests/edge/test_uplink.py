"""The way up, over a real broker: everything arrives in order and once, whatever is lost on the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from hub.core import window
from hub.edge.intake import Intake
from hub.edge.spool import Spool
from hub.edge.uplink import Uplink
from hub.engine import Prefix
from hub.errors import LinkDown
from hub.model import Lane, Sample, Series
from hub.mqtt import Broker
from hub.testing import eventually
from tests.brokers import OwnBroker, own_broker
from tests.edge.conftest import NOW, RunIntake
from tests.edge.fake_hub import FakeHub, serving

LAMP = Series("lamp-1", "level")


def lamp(*values: int) -> list[Sample]:
    return [Sample(LAMP, value, value) for value in values]


def more_than(hub: FakeHub, count: int) -> bool:
    return len(hub.values(Lane.URGENT)) > count


@contextlib.asynccontextmanager
async def carrying(broker: OwnBroker, intake: Intake) -> AsyncIterator[Uplink]:
    uplink = Uplink(broker.as_user(), 3, "edge-1", intake, lambda: NOW)
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_urgent_messages_larger_than_a_broker_takes_arrive_in_parts_and_what_comes_is_cut_to_fit(
    engine_prefix: Prefix, tmp_path: Path, spool: Spool, run_intake: RunIntake
) -> None:
    """They were written for another broker: none of their alarms may be lost for their size."""
    hub = FakeHub()
    (tmp_path / "small").mkdir()

    def alarms(start: int) -> list[Sample]:
        return [Sample(LAMP, n, f"{n:05} {'x' * 200}") for n in range(start, start + 60)]

    with own_broker(engine_prefix, tmp_path / "small", largest=4096) as small:
        async with run_intake(spool) as intake, serving(hub, small.as_user()):
            for start in (0, 100, 200):
                await intake.put(Lane.URGENT, alarms(start))
            waiting = spool.unconfirmed(Lane.URGENT, 0, 10)
            assert [len(one.payload) > 4096 for one in waiting] == [True] * len(waiting)
            async with carrying(small, intake):
                await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
                await intake.put(Lane.URGENT, alarms(300))
                await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    said = [str(value) for value in hub.values(Lane.URGENT)]
    assert sorted(said) == [str(one.raw) for start in (0, 100, 200, 300) for one in alarms(start)]
    assert said[-60:] == [str(one.raw) for one in alarms(300)], "in order"


async def test_what_waits_and_what_comes_is_carried_and_let_go_of_once_confirmed(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    async with run_intake(spool) as intake, serving(hub, broker.as_user()):
        await intake.put(Lane.URGENT, lamp(1))
        async with carrying(broker, intake):
            await eventually(lambda: hub.values(Lane.URGENT) == [1])
            await intake.put(Lane.URGENT, lamp(2))
            await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
        assert hub.values(Lane.URGENT) == [1, 2]
        assert hub.seen == [(spool.stream(Lane.URGENT), 1), (spool.stream(Lane.URGENT), 2)]


async def test_a_hub_that_confirms_nothing_gets_a_hundred_messages_and_loses_none(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub(deaf=True)
    async with run_intake(spool) as intake:
        for n in range(150):
            await intake.put(Lane.URGENT, lamp(n))
        async with serving(hub, broker.as_user()), carrying(broker, intake):
            await eventually(lambda: len(hub.seen) >= window.LIMIT)
        assert len(hub.seen) == window.LIMIT
        assert intake.depth(Lane.URGENT).messages == 150
        hub.deaf = False
        async with serving(hub, broker.as_user()), carrying(broker, intake):
            await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    assert hub.values(Lane.URGENT) == list(range(150))


async def test_a_gap_makes_it_go_back_and_the_order_is_kept(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub(lose={3, 7, 8})
    async with run_intake(spool) as intake, serving(hub, broker.as_user()), carrying(broker, intake):
        for n in range(1, 21):
            await intake.put(Lane.URGENT, lamp(n))

        async def prod() -> bool:  # a gap is only seen with the next message
            await intake.put(Lane.URGENT, lamp(1000 + len(hub.seen)))
            return hub.values(Lane.URGENT)[:20] == list(range(1, 21))

        await eventually(prod, deadline=20, every=0.1)


async def test_a_confirmation_that_never_came_is_asked_for_again(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub(deaf=True)
    async with run_intake(spool) as intake, serving(hub, broker.as_user()), carrying(broker, intake):
        await intake.put(Lane.URGENT, lamp(1))
        await eventually(lambda: len(hub.seen) == 1)
        hub.deaf = False
        await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    assert hub.values(Lane.URGENT) == [1]


async def test_a_broker_that_is_killed_costs_nothing(broker: OwnBroker, spool: Spool, run_intake: RunIntake) -> None:
    hub = FakeHub()
    async with run_intake(spool) as intake, carrying(broker, intake) as uplink:
        for round_ in range(3):
            await eventually(uplink.connected.is_set)
            with contextlib.suppress(Exception):
                async with serving(hub, broker.as_user()):
                    for n in range(10):
                        await intake.put(Lane.URGENT, lamp(100 * round_ + n))
                    await eventually(partial(more_than, hub, 10 * round_))
                    broker.kill()
            broker.start()
        async with serving(hub, broker.as_user()):
            await eventually(lambda: intake.depth(Lane.URGENT).messages == 0, deadline=20)
    assert hub.values(Lane.URGENT) == [100 * round_ + n for round_ in range(3) for n in range(10)]


async def test_a_hub_set_up_anew_gets_what_is_left_as_a_new_stream(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    async with run_intake(spool) as intake, carrying(broker, intake):
        async with serving(hub, broker.as_user()):
            await intake.put(Lane.URGENT, lamp(1))
            await intake.put(Lane.URGENT, lamp(2))
            await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
        before = spool.stream(Lane.URGENT)
        hub.upto.clear()
        async with serving(hub, broker.as_user()):

            async def prod() -> bool:
                await intake.put(Lane.URGENT, lamp(len(hub.seen)))
                return spool.stream(Lane.URGENT) != before

            await eventually(prod, deadline=30, every=0.2)
            await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    assert hub.upto[before] == 0
    assert hub.upto[spool.stream(Lane.URGENT)] >= 1


async def test_garbage_and_strange_streams_on_the_way_down_are_passed_over(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    async with run_intake(spool) as intake, serving(hub, broker.as_user()), carrying(broker, intake) as uplink:
        await eventually(uplink.connected.is_set)
        async with broker.session("stranger") as stranger:
            down = "anxin/v1/3/edge-1/down/urgent"
            await stranger.publish(down, b"\xff{")
            await stranger.publish(down, b'{"v":1,"stream":"00000000-0000-0000-0000-000000000000-urgent","upto":99}')
        await intake.put(Lane.URGENT, lamp(1))
        await eventually(lambda: intake.depth(Lane.URGENT).messages == 0)
    assert hub.values(Lane.URGENT) == [1]


async def test_an_urgent_message_overtakes_a_bulk_backlog(
    broker: OwnBroker, spool: Spool, run_intake: RunIntake
) -> None:
    hub = FakeHub()
    async with run_intake(spool) as intake:
        await intake.put(Lane.BULK, lamp(*range(100_000)))
        async with serving(hub, broker.as_user()), carrying(broker, intake):
            await eventually(lambda: len(hub.values(Lane.BULK)) > 0)
            await intake.put(Lane.URGENT, lamp(7))
            await eventually(lambda: hub.values(Lane.URGENT) == [7])
            assert intake.depth(Lane.BULK).messages > 50
            await eventually(lambda: intake.depth(Lane.BULK).messages == 0, deadline=20)
    assert hub.values(Lane.BULK) == list(range(100_000))


async def test_a_connection_that_leaves_its_task_marked_as_cancelled_does_not_end_the_way_up(
    spool: Spool, run_intake: RunIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every failed TaskGroup does up to Python 3.11.3: the next time limit that ran out ended the edge's way up, silently."""
    tries = 0

    async def attend(self: Uplink) -> None:
        nonlocal tries
        tries += 1
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        raise LinkDown("gone")

    monkeypatch.setattr(Uplink, "_attend", attend)
    monkeypatch.setattr("random.random", lambda: 0.01)
    async with run_intake(spool) as intake:
        run = asyncio.create_task(Uplink(Broker("127.0.0.1", 1), 0, "edge-1", intake, lambda: 0).run())
        await eventually(lambda: tries >= 3 or run.done())
        assert not run.done()
        run.cancel()
        await asyncio.wait([run])
