"""What the standby paged is written down as it was, also where the database knows the alarm by a press that the standby had not heard."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from hub.core.escalation import Due, Plan, idempotency_key
from hub.core.standby import Pursuit
from hub.store import sessions
from hub.store.escalation import begin, fire
from hub.store.outbox import Ended, Result, open_outbox
from hub.store.reconcile import BESIDE, Page, Tried, hand_over
from tests.delivering import ONE
from tests.paging import World

PLAN = Plan(600_000_000, None, ())
DELIVERED = Tried(5_000_000, "delivered", 204, "", 1_000)


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(ONE)
        yield world


async def paged(world: World) -> tuple[UUID, dict[str, Any]]:
    """An alarm of an earlier press, and its one page."""
    alarm = await world.alarm(begun=False)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin(cur, [alarm])
        await fire(cur, alarm)
    (row,) = await world.rows("select id, round, step, repetition, responder::text, channel::text from notification")
    return alarm, row


async def standby(
    world: World, row: dict[str, Any], *tried: Tried, state: str = "sent", its: UUID | None = None
) -> tuple[Pursuit, Page]:
    """The same step as the standby pages it; who has only heard a further press calls the alarm otherwise."""
    its = its or uuid4()
    (alarm,) = await world.rows(
        "select d.id::text as device, definition::text, instance from alarm a join device d on d.key = a.device"
    )
    of: Any = SimpleNamespace(id=its, **alarm)
    due = Due(row["round"], row["step"], row["repetition"], row["responder"], row["channel"], 0)
    page = Page(idempotency_key(its, due), *due[:5], 0, state, tried)
    return Pursuit(of, "city", 1, PLAN, 1, 1, 0), page


async def handed_over(world: World, pursuit: Pursuit, page: Page) -> UUID | None:
    async with world.conn.transaction(), world.conn.cursor() as cur:
        return await hand_over(cur, pursuit, [page])


async def test_a_page_that_both_have_sent_is_written_down_twice_and_its_link_leads_to_the_alarm(world: World) -> None:
    alarm, row = await paged(world)
    await world.conn.execute("update notification set state = 'sent', ended_at = now(), attempts = 1")
    await world.conn.execute("insert into attempt (notification, n, outcome) values (%s, 1, 'delivered')", [row["id"]])
    pursuit, page = await standby(world, row, DELIVERED)
    assert page.key != row["id"]
    for _ in range(2):  # a hand-over may be repeated
        assert await handed_over(world, pursuit, page) == alarm
    said = [(one["n"], one["detail"]) for one in await world.rows("select n, detail from attempt order by n")]
    assert said == [(1, ""), (2, f"{BESIDE}, as {page.key}")]
    for key in (row["id"], page.key):
        linked = await sessions.linked(world.conn, key)
        assert linked is not None
        assert (linked.alarm, linked.responder) == (alarm, row["responder"])


@pytest.mark.parametrize("state", ["sent", "pending"])
async def test_a_page_of_which_only_the_standby_knows_an_attempt_has_it_noted_and_goes_out_no_second_time(
    world: World, state: str
) -> None:
    _, row = await paged(world)
    tried = DELIVERED if state == "sent" else DELIVERED._replace(outcome="failed", code=503, detail="busy")
    pursuit, page = await standby(world, row, tried, state=state)
    assert page.key != row["id"]
    await handed_over(world, pursuit, page)
    (found,) = await world.rows("select id, state from notification")
    assert (found["id"], found["state"]) == (row["id"], state)
    (attempt,) = await world.rows("select outcome, detail from attempt")
    assert (attempt["outcome"], attempt["detail"]) == (
        tried.outcome,
        "; ".join(filter(None, (tried.detail, f"{BESIDE}, as {page.key}"))),
    )


@pytest.mark.parametrize("own", [True, False], ids=["by its key", "by another key"])
@pytest.mark.parametrize("under_way", [False, True])
async def test_what_the_standby_could_not_deliver_the_deliverer_tries_again_under_numbers_that_are_free(
    world: World, own: bool, under_way: bool
) -> None:
    alarm, row = await paged(world)
    refused = DELIVERED._replace(outcome="failed", code=503)
    async with open_outbox(world.url) as outbox:
        if under_way:
            (mine,) = await outbox.claim(10, 10, {}, 30_000_000, urgent_only=False)
        pursuit, page = await standby(
            world, row, refused, refused._replace(at=6_000_000), state="pending", its=alarm if own else None
        )
        await handed_over(world, pursuit, page._replace(key=row["id"]) if own else page)
        outcomes = [one["outcome"] for one in await world.rows("select outcome from attempt order by n")]
        assert outcomes == ["sending"] * under_way + ["failed", "failed"]  # none takes the place of another
        if under_way:  # its own attempt fails, too: tried again soon, and not when its lease ends
            failed = Result(mine.id, mine.n, Ended.FAILED, 503, "", 1_000, 500_000)
            assert await outbox.note(failed, 6 * 3600 * 1_000_000) == "pending"
            assert await world.rows("select lease_until from notification") == [{"lease_until": None}]
            await world.conn.execute("update notification set next_attempt_at = now()")
        await world.conn.execute("update notification set lease_until = now() - interval '1 second'")
        (claimed,) = await outbox.claim(10, 10, {}, 30_000_000, urgent_only=False)
    assert claimed.n == 3 + under_way
    assert (await world.rows("select max(n) as n from attempt"))[0]["n"] == claimed.n
