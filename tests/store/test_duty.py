"""Rotas and swaps as stored; who is on duty by them; a step for a rota goes to who is on duty when it is due."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from hub.core.escalation import Step
from hub.core.rota import Calendar, Override, Rota, Shift
from hub.errors import BadInput, Conflict, NotFound
from hub.model import DayKind, to_datetime, to_micros
from hub.store.duty import add_override, load_calendar, load_rotas, on_duty, put_rota, retire_rota
from hub.store.escalation import fire
from hub.store.policies import Channel, Responder, load_policies, put_policy, put_responder, retire_responder
from tests.core.rotas import FIRST, MONDAY, ROTA, local
from tests.paging import POLICY, World, webhook

HOOK = Channel("hook", **webhook("http://127.0.0.1:9/a"))
MAIL = Channel("mail", "smtp", {})


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        async with world.conn.cursor() as cur:
            for name in ("ada", "bo", "chen", "dai"):
                await put_responder(cur, Responder(name, name, name, (HOOK, MAIL)))
        yield world


async def test_what_was_put_is_what_is_loaded(world: World) -> None:
    until = replace(ROTA.shifts[0], until=date(2027, 1, 1), weekdays=frozenset({0, 6}), crew=2, turn_days=7)
    kinds = replace(ROTA.shifts[1], day_kinds=frozenset({DayKind.HOLIDAY, DayKind.WEEKEND}))
    rota = Rota("duty", (until, kinds), title_zh="值班室", title_en="Duty room", division="1404")
    own = replace(ROTA, id="own", institution="star")
    swap = Override("", local("2026-09-28 12:00"), local("2026-09-28 14:00"), "ada", "chen")
    async with world.conn.cursor() as cur:
        await put_rota(cur, rota)
        await put_rota(cur, own)
        key = await add_override(cur, "duty", swap, "ill", "test")
        await put_rota(cur, rota)
        found = await load_rotas(cur)
        assert found == {"duty": replace(rota, overrides=(replace(swap, id=key),), version=2), "own": own}
        past = await load_rotas(cur, to_datetime(swap.ends))
        assert past["duty"].overrides == ()


async def test_who_is_on_duty_is_found_with_swaps_and_days_off(world: World) -> None:
    swap = Override("", local("2026-09-28 12:00"), local("2026-09-28 14:00"), "ada", "chen")
    office = replace(ROTA.shifts[0], day_kinds=frozenset({DayKind.WORKDAY}))
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (office,)))
        await add_override(cur, "duty", swap, "ill", "test")
        await cur.execute("update rota_override set made_at = %s", (to_datetime(FIRST),))  # it was known beforehand
        await cur.execute(
            "insert into calendar_year (year, notice, days, imported_at, imported_by)"
            " values (2026, 'a notice', %s, '2025-11-04', 'test')",
            (json.dumps({"2026-09-29": "holiday", "2026-10-03": "workday"}),),
        )
        assert await load_calendar(cur) == Calendar(
            {date(2026, 9, 29): DayKind.HOLIDAY, date(2026, 10, 3): DayKind.WORKDAY}, frozenset({2026})
        )

        async def at(text: str) -> tuple[str, ...]:
            return await on_duty(cur, "duty", to_datetime(local(text)))

        assert await at("2026-09-28 11:00") == ("ada",)
        assert await at("2026-09-28 12:00") == ("chen",)
        assert await at("2026-09-29 12:00") == ()
        assert await at("2026-10-03 12:00") == ("bo",)
        assert await on_duty(cur, "nowhere", to_datetime(FIRST)) == ()


async def test_what_a_rota_names_must_be_there(world: World) -> None:
    ghost = replace(ROTA.shifts[0], responders=("ghost",))
    async with world.conn.cursor() as cur:
        for rota, says in (
            (replace(ROTA, shifts=(ghost,)), "no responder 'ghost'"),
            (replace(ROTA, division="99"), "no division '99'"),
            (replace(ROTA, institution="nowhere"), "no institution 'nowhere'"),
        ):
            with pytest.raises(NotFound, match=says):
                async with world.conn.transaction():
                    await put_rota(cur, rota)
        assert await load_rotas(cur) == {}
        swap = Override("", FIRST, FIRST + 1, "ada", "ghost")
        with pytest.raises(NotFound, match="no rota 'duty'"):
            await add_override(cur, "duty", swap, "ill", "test")
        await put_rota(cur, ROTA)
        with pytest.raises(NotFound, match="no responder 'ghost'"):
            await add_override(cur, "duty", swap, "ill", "test")
        with pytest.raises(BadInput, match="say why"):
            await add_override(cur, "duty", replace(swap, present="bo"), " ", "test")


async def test_a_rota_or_responder_in_use_cannot_go(world: World) -> None:
    async with world.conn.cursor() as cur:
        await put_rota(cur, ROTA)
        await put_policy(cur, replace(POLICY, steps=(Step(1, rota="duty"), Step(2, "bo"))))
        with pytest.raises(Conflict, match="rota 'duty' is used by policy 'city'"):
            await retire_rota(cur, "duty")
        for name, user in (("bo", "policy city"), ("ada", "rota duty")):
            with pytest.raises(Conflict, match=f"responder '{name}' is used by {user}"):
                async with world.conn.transaction():
                    await retire_responder(cur, name)
        await put_policy(cur, replace(POLICY, steps=(Step(1, "dai"),)))
        await retire_rota(cur, "duty")
        await retire_responder(cur, "ada")
        with pytest.raises(NotFound, match="no rota 'duty'"):
            await retire_rota(cur, "duty")
        with pytest.raises(NotFound, match=r"steps\.1: there is no rota 'duty'"):
            await put_policy(cur, replace(POLICY, steps=(Step(1, rota="duty"),)))
        with pytest.raises(NotFound, match=r"steps\.1: there is no responder 'ada'"):
            await put_policy(cur, replace(POLICY, steps=(Step(1, "ada"),)))


async def test_a_policy_with_rotas_kinds_group_and_types_comes_back_as_it_was_put(world: World) -> None:
    steps = (Step(1, rota="duty", kinds=2), Step(2, "ada", delay=1_000_000), Step(3, "bo", "mail"))
    policy = replace(
        POLICY, division=None, group="chain", institution_types=frozenset({"public", "private"}), steps=steps
    )
    async with world.conn.cursor() as cur:
        await put_rota(cur, ROTA)
        with pytest.raises(NotFound, match="no group 'chain'"):
            await put_policy(cur, policy)
        await cur.execute("insert into institution_group (id, title_zh, title_en) values ('chain', '连锁', 'Chain')")
        await put_policy(cur, policy)
        assert await load_policies(cur) == (policy,)


async def test_a_step_for_a_rota_goes_to_who_is_on_duty_when_it_is_due_by_so_many_kinds(world: World) -> None:
    always = Shift("all", 0, 0, ("ada", "bo"), MONDAY - timedelta(days=30), crew=2)
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (always,)))
        await put_policy(cur, replace(POLICY, steps=(Step(1, rota="duty", kinds=2), Step(2, "chen"))))
        alarm = await world.alarm()
        now = to_micros(datetime.now(UTC))
        swap = Override("", now - 60_000_000, now + 3_600_000_000, "bo", "dai")
        await add_override(cur, "duty", swap, "swapped after the alarm was raised", "test")
        async with world.conn.transaction():
            fired = await fire(cur, alarm)
        assert (fired.pages, fired.unreachable) == (5, ())
    told = await world.rows("select responder, channel from notification where alarm = %s order by 1, 2", alarm)
    assert [tuple(row.values()) for row in told] == [
        ("ada", "hook"),
        ("ada", "mail"),
        ("chen", "hook"),
        ("dai", "hook"),
        ("dai", "mail"),
    ]


async def test_a_rota_that_nobody_fills_is_said_and_the_last_step_is_told_instead(world: World) -> None:
    gone = replace(ROTA.shifts[0], until=ROTA.shifts[0].since)
    async with world.conn.cursor() as cur:
        await put_rota(cur, Rota("duty", (gone,)))
        await put_policy(cur, replace(POLICY, steps=(Step(1, rota="duty"), Step(2, "chen"))))
        alarm = await world.alarm()
        async with world.conn.transaction():
            fired = await fire(cur, alarm)
        assert fired.unreachable == (("duty", ""),)
    told = await world.rows(
        "select distinct step, responder, channel from notification where alarm = %s order by 1, 2, 3", alarm
    )
    assert [tuple(row.values()) for row in told] == [(1, "chen", "hook"), (1, "chen", "mail"), (2, "chen", "hook")]


async def test_a_handover_is_only_ever_added_to(world: World) -> None:
    async with world.conn.cursor() as cur:
        await put_rota(cur, ROTA)
        await cur.execute(
            "insert into duty_handover (rota, giver, taker, note, alarms, alarm_count, written_by)"
            " values ('duty', 'ada', 'chen', 'quiet', '[]', 0, 'test')"
        )
        for change in ("update duty_handover set note = ''", "delete from duty_handover", "truncate duty_handover"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                await cur.execute(change)
