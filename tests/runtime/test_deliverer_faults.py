"""The deliverer when something goes wrong around it: kills, a lost database, rows that are held, mistakes of our own."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from hub.notify import deliver
from hub.runtime import deliverer
from hub.testing import eventually
from tests.delivering import ONE, TWO, attempts, delivering, page, states
from tests.paging import SECRET, World, receiver, webhook

TREE = Path(__file__).resolve().parents[2]

RUN = """
import asyncio, sys
from hub.notify import deliver
from hub.runtime import deliverer
asyncio.run(deliverer.run(sys.argv[1], profiles={}, allow_loopback=True))
"""


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def test_a_message_that_trips_over_our_own_mistake_stops_nobody_elses(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = deliverer.message_of

    def broken(claimed: Any, *more: Any) -> Any:
        if claimed.responder == "guard":
            raise KeyError(f"a mistake that quotes {SECRET}")
        return real(claimed, *more)

    monkeypatch.setattr(deliverer, "message_of", broken)
    with capture_logs() as logs:
        async with receiver() as hook, delivering(world) as running:
            await world.policy(TWO, {"head/hook": webhook(hook.url)})
            alarm = await page(world)
            await eventually(states(world, alarm, "pending", "sent"))
            assert not running.done()

            async def noted() -> object:
                return await world.rows(
                    "select 1 as one from notification where last_error = 'internal error (KeyError)'"
                )

            await eventually(noted)
    (said, *_) = [line for line in logs if line["event"] == "notification_broke"]
    assert said["at"].startswith("KeyError at ")
    assert "test_deliverer_faults.py" in said["at"]
    assert SECRET not in str(logs)


async def test_an_attempt_that_is_cancelled_from_within_or_never_ends_frees_its_place_and_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python 3.11.2 does it to a channel whose TaskGroup failed before a time limit; and one that never ends: nobody would hear of that page."""
    real, broken = deliver, list[str]()

    async def failing(channel: Any, message: Any) -> Any:
        broken.append(str(message.id))
        if len(broken) == 1:
            raise asyncio.CancelledError
        while len(broken) == 2:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)
        return await real(channel, message)

    monkeypatch.setattr(deliverer, "deliver", failing)
    monkeypatch.setattr(deliverer, "LONGEST", 0.3)
    async with receiver() as hook, delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        await eventually(states(world, alarm, "sent"))
        assert set(hook.ids) == set(broken)
    said = await world.rows("select detail from attempt where outcome = 'failed' order by n")
    assert [row["detail"] for row in said] == [
        "the channel was cancelled from within",
        "the channel did not end within 0.3 s",
    ]


async def test_two_deliverers_send_nothing_twice(world: World) -> None:
    async with receiver() as hook, delivering(world), delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarms = [await page(world) for _ in range(30)]
        for alarm in alarms:
            await eventually(states(world, alarm, "sent"))
    assert len(hook.ids) == len(set(hook.ids)) == 30


async def test_what_was_sent_while_the_database_was_away_is_noted_when_it_is_back_and_not_sent_again(
    world: World,
) -> None:
    async with receiver("slow") as hook, delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        await eventually(lambda: len(hook.requests) == 1)
        await world.conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'anxin-deliverer' and datname = current_database()"
        )
        hook.hanging.set()
        await eventually(states(world, alarm, "sent"))
    assert len(hook.requests) == 1
    assert await attempts(world) == [(1, "delivered", 204)]


async def test_a_receipt_whose_row_somebody_holds_is_noted_when_it_is_free_and_holds_up_no_other(world: World) -> None:
    async with receiver("slow") as hook, delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        held = await page(world)
        await eventually(lambda: len(hook.requests) == 1)
        async with await psycopg.AsyncConnection.connect(world.url) as person:
            await person.execute("select from notification for update")
            hook.hanging.set()
            free = await page(world)
            await eventually(states(world, free, "sent"), deadline=20)
            assert [row[3] for row in await world.pages(held)] == ["pending"]
        await eventually(states(world, held, "sent"))
    assert len(hook.requests) == 2


@pytest.mark.parametrize(
    ("label", "requests", "noted"),
    [
        ("deliverer-claimed", 1, [(1, "interrupted", None), (2, "delivered", 204)]),
        ("deliverer-sent", 2, [(1, "interrupted", None), (2, "delivered", 204)]),
        ("deliverer-marked", 1, [(1, "delivered", 204)]),
    ],
)
async def test_a_kill_at_any_point_loses_nothing_and_repeats_at_most_under_the_same_key(
    world: World, label: str, requests: int, noted: list[tuple[Any, ...]]
) -> None:
    async with receiver() as hook:
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, world.url, cwd=TREE, env={**os.environ, "ANXIN_CRASH_AT": f"{label}:1"}
        )
        assert await asyncio.wait_for(process.wait(), 20) == -signal.SIGKILL
        async with delivering(world):
            # long before the dead process's lease would have run out
            await eventually(states(world, alarm, "sent"), deadline=20)
    assert len(hook.ids) == requests
    assert len(set(hook.ids)) == 1
    assert await attempts(world) == noted
