"""Who was on duty is answered as it was known then: an edit, a swap, a calendar, a retirement count from when they were saved."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest

from hub.core.escalation import Step
from hub.core.rota import Override, Rota, Shift, timeline_of, was_on_duty
from hub.core.why import explain
from hub.model import DayKind, to_datetime, to_micros
from hub.store.duty import add_override, load_books, on_duty, put_rota, retire_rota
from hub.store.escalation import fire
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.store.why import story
from tests.core.rotas import MONDAY, local
from tests.paging import POLICY, World, webhook

HOOK = Channel("hook", **webhook("http://127.0.0.1:9/a"))
ALWAYS = Shift("all", 0, 0, ("ada",), MONDAY)


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.conn.execute(
            "create table instant (at timestamptz not null); insert into instant values ('2026-10-01 12:00+08');"
            "create or replace function hub_clock() returns timestamptz volatile language sql as $$ select at from instant $$"
        )
        async with world.conn.cursor() as cur:
            for name in ("ada", "bo", "chen", "dai"):
                await put_responder(cur, Responder(name, name, name, (HOOK,)))
        yield world


async def who(world: World, at: str) -> tuple[str, ...]:
    async with world.conn.cursor() as cur:
        return await on_duty(cur, "duty", to_datetime(local(at)))


async def now(world: World, at: str) -> None:
    await world.conn.execute("update instant set at = %s", (to_datetime(local(at)),))


async def test_an_edit_of_a_rota_counts_from_when_it_is_saved_and_rewrites_nobody(world: World) -> None:
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (ALWAYS,)))
        await now(world, "2026-10-02 03:00")
        await cur.execute("select set_config('anxin.actor', 'wang', false)")
        await put_rota(cur, Rota("duty", (replace(ALWAYS, responders=("bo",)),)))
        await now(world, "2026-10-05 00:00")
        await retire_rota(cur, "duty")
        await now(world, "2026-10-07 00:00")
        await put_rota(cur, Rota("duty", (replace(ALWAYS, responders=("chen",)),)))
    assert await who(world, "2026-09-28 00:00") == (
        "ada",
    )  # nothing was known before the first, so it rewrites nothing
    assert await who(world, "2026-10-02 02:59") == ("ada",)
    assert await who(world, "2026-10-02 03:00") == ("bo",)
    assert await who(world, "2026-10-06 12:00") == ()
    assert await who(world, "2026-12-01 12:00") == ("chen",)
    async with world.conn.cursor() as cur:
        book = (
            await load_books(cur, None, to_datetime(local("2026-10-01 00:00")), to_datetime(local("2026-10-08 00:00")))
        )["duty"]
    spans = timeline_of(book, local("2026-10-01 00:00"), local("2026-10-08 00:00"))
    assert [(w.start, w.responders) for w in spans] == [
        (local("2026-10-01 00:00"), ("ada",)),
        (local("2026-10-02 03:00"), ("bo",)),
        (local("2026-10-05 00:00"), ()),
        (local("2026-10-07 00:00"), ("chen",)),
    ]
    saved = await world.rows("select n, saved_by from rota_edition order by n")
    assert [tuple(row.values()) for row in saved] == [(1, "anxin"), (2, "wang"), (3, "wang"), (4, "wang")]


async def test_a_swap_counts_from_when_it_is_entered_until_it_is_cancelled(world: World) -> None:
    swap = Override("", local("2026-10-01 08:00"), local("2026-10-03 08:00"), "ada", "dai")
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (ALWAYS,)))
        await add_override(cur, "duty", swap, "ill", "test")
        await now(world, "2026-10-02 20:00")
        await cur.execute("update rota_override set cancelled_at = hub_clock(), cancelled_by = 'test'")
    assert await who(world, "2026-10-01 11:59") == ("ada",)  # who was there had not been told of any swap
    assert await who(world, "2026-10-01 12:00") == ("dai",)
    assert await who(world, "2026-10-02 19:59") == ("dai",)
    assert await who(world, "2026-10-02 20:00") == ("ada",)


async def test_a_calendar_that_is_imported_late_or_corrected_rewrites_no_past_day(world: World) -> None:
    office = replace(ALWAYS, day_kinds=frozenset({DayKind.WORKDAY}))
    off = replace(ALWAYS, id="off", responders=("bo",), day_kinds=frozenset({DayKind.WEEKEND, DayKind.HOLIDAY}))

    async def say(cur: psycopg.AsyncCursor[object], days: dict[str, str], n: int) -> None:
        given = (json.dumps(days), n)
        await cur.execute(
            "insert into calendar_year (year, notice, days, imported_at, imported_by) values (2026, %s, %s, hub_clock(), 'test')"
            " on conflict (year) do update set days = excluded.days, notice = excluded.notice, imported_at = excluded.imported_at,"
            " version = calendar_year.version + 1",
            (f"notice {n}", given[0]),
        )

    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (office, off)))
        await now(world, "2026-10-02 12:00")
        await say(cur, {f"2026-10-0{day}": "holiday" for day in (1, 2, 5, 6)}, 1)
        await now(world, "2026-10-06 12:00")
        await say(cur, {f"2026-10-0{day}": "holiday" for day in (1, 2, 7, 8)}, 2)
    assert await who(world, "2026-10-01 13:00") == ("ada",)  # a Thursday: nobody had said that it was off
    assert await who(world, "2026-10-02 11:00") == ("ada",)
    assert await who(world, "2026-10-02 13:00") == ("bo",)
    assert await who(world, "2026-10-06 11:00") == ("bo",)
    assert await who(world, "2026-10-06 13:00") == ("ada",)
    assert await who(world, "2026-10-07 13:00") == ("bo",)


async def test_what_was_saved_counts_although_the_clock_is_set_back_behind_it(world: World) -> None:
    """Whoever is paged now is whoever is known now: a clock that is wrong is no reason to page a shift that was changed."""
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (ALWAYS,)))
        await now(world, "2026-10-02 03:00")
        await put_rota(cur, Rota("duty", (replace(ALWAYS, responders=("bo",)),)))
        swap = Override("", local("2026-10-01 08:00"), local("2026-10-03 08:00"), "bo", "dai")
        await add_override(cur, "duty", swap, "ill", "test")
        await now(world, "2026-10-02 02:00")
        assert await who(world, "2026-10-02 02:00") == ("dai",)
        await now(world, "2026-10-02 04:00")
        await cur.execute("update rota_override set cancelled_at = hub_clock(), cancelled_by = 'test'")
        await now(world, "2026-10-02 02:00")
    assert await who(world, "2026-10-02 02:00") == ("bo",)


async def test_nothing_of_the_history_can_be_changed(world: World) -> None:
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (ALWAYS,)))
        await put_policy(cur, replace(POLICY, steps=(Step(1, "ada"),)))
        await cur.execute(
            "insert into calendar_year (year, notice, days, imported_by) values (2026, 'a notice', '{}', 'test')"
        )
        for change in (
            "update rota_edition set counts_from = '-infinity'",
            "update rota_shift set starts = 1",
            "delete from rota_turn",
            "update calendar_edition set days = '{}'",
            "delete from policy_edition",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                await cur.execute(change)


async def test_a_policy_that_changes_in_the_middle_of_a_chain_is_kept_with_who_changed_it(world: World) -> None:
    """A round that has begun goes on by its own version; the next one goes by the new one, and both stay known."""
    async with world.conn.cursor() as cur:
        await put_policy(cur, replace(POLICY, steps=(Step(1, "ada"),)))
        alarm = await world.alarm()
        await cur.execute("update escalation set policy_version = 2, round = 3 where alarm = %s", (alarm,))
        await cur.execute("update escalation set round = 4 where alarm = %s", (alarm,))
    rows = await world.rows(
        "select n, round, policy::text, version from escalation_course where alarm = %s order by n", alarm
    )
    assert [tuple(row.values()) for row in rows] == [(1, 1, "city", 1), (2, 3, "city", 2)]


async def test_why_a_person_was_told_stays_what_it_was_after_the_rota_was_edited(world: World) -> None:
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (ALWAYS,)))
        await put_policy(cur, replace(POLICY, steps=(Step(1, rota="duty"),)))
        alarm = await world.alarm()
        async with world.conn.transaction():
            await fire(cur, alarm)
        await cur.execute("update escalation_step set ended_at = hub_clock() where alarm = %s", (alarm,))
        await now(world, "2026-10-01 12:05")
        await cur.execute("select set_config('anxin.actor', 'wang', false)")
        await put_rota(cur, Rota("duty", (replace(ALWAYS, responders=("bo",)),)))
    told = explain(await story(world.conn, alarm, {}), local("2026-10-01 12:06"))
    lines = [fact.en for fact in told.facts]
    assert "step 1: duty, on duty then: ada" in lines
    assert "wang changed rota duty: steps from then on go by the new one" in lines
    assert "escalated by policy city (version 1)" in lines


def test_a_book_without_anything_known_has_nobody_on_duty() -> None:
    assert was_on_duty((), to_micros(datetime.fromisoformat("2026-10-01T00:00+08:00"))) == ()
    start = local("2026-10-01 00:00")
    assert [w.responders for w in timeline_of((), start, start + 1)] == [()]
    assert timeline_of((), start, start) == ()
