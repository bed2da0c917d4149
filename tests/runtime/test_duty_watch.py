"""The nightly check of all policies: it remembers that it looked, looks again when something changed, and is loud when it could not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub.calendars import load_calendars
from hub.config import data_folder
from hub.core.escalation import Step
from hub.core.rota import Override, Rota, Shift
from hub.model import SECOND, SignalClass, to_micros
from hub.profiles import load_profiles
from hub.runtime.duty_watch import DutyMetrics, DutyWatch, is_due, is_overdue
from hub.store.duty import add_override, load_calendar, put_rota
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.store.policy_checks import State
from hub.testing import eventually
from tests.paging import POLICY, World, webhook

CALENDARS = load_calendars([data_folder("calendars")])
ROOM = Responder(
    "room",
    "值班室",
    "Duty room",
    (Channel("hook", **webhook("http://127.0.0.1:9/a")), Channel("mail", "smtp", {})),
    manned=True,
)
GOOD = replace(POLICY, steps=(Step(1, rota="duty", kinds=2), Step(2, "room", delay=60 * SECOND)))


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        async with world.conn.cursor() as cur:
            await put_responder(cur, ROOM)
            since = datetime.now(UTC).date() - timedelta(days=9)
            await put_rota(cur, Rota("duty", (Shift("all", 0, 0, ("room",), since),)))
            await put_policy(cur, GOOD)
        yield world


@asynccontextmanager
async def watching(world: World, **given: object) -> AsyncIterator[DutyWatch]:
    watch = DutyWatch(world.url, {}, CALENDARS, poll_seconds=0.05, **given)  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def metrics(watch: DutyWatch) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in DutyMetrics(watch).collect()}


async def test_a_hole_that_opens_is_found_said_and_gone_when_it_is_mended(world: World) -> None:
    async with watching(world) as watch:
        await eventually(lambda: watch.state is not None and watch.state.checked_at is not None)
        assert metrics(watch) == {"anxin_policy_errors": 0, "anxin_policy_warnings": 0, "anxin_policy_check_overdue": 0}
        now = to_micros(datetime.now(UTC))
        away = Override("", now + 3600 * SECOND, now + 7200 * SECOND, "room")
        async with world.conn.cursor() as cur:
            await put_policy(cur, replace(GOOD, steps=GOOD.steps[:1]))
            key = await add_override(cur, "duty", away, "somebody wrote it past the API", "test")
        await eventually(lambda: metrics(watch)["anxin_policy_errors"] > 0)
        found = await world.rows("select policy, code, message_en from policy_finding order by code")
        assert [row["code"] for row in found] == ["gap", "last-step"]
        assert "fire and panic in division 1404 (policy city) reaches nobody" in found[0]["message_en"]
        assert (await world.changes("policy_check"))[-1]["errors"] == len(found)
        await world.conn.execute(
            "update rota_override set cancelled_at = now(), cancelled_by = 'test' where id = %s", (key,)
        )
        await eventually(lambda: metrics(watch)["anxin_policy_errors"] == 0)
    assert await world.rows("select 1 from policy_finding") == []


async def test_a_restart_does_not_look_again_and_a_missed_night_is_made_up(world: World) -> None:
    async with watching(world) as watch:
        await eventually(lambda: watch.state is not None and watch.state.checked_at is not None)
    first = (await world.rows("select checked_at from policy_check"))[0]["checked_at"]
    async with watching(world) as watch:
        await eventually(watch.looked.is_set)
        watch.looked.clear()
        await eventually(watch.looked.is_set)
        assert (await world.rows("select checked_at from policy_check"))[0]["checked_at"] == first
        await world.conn.execute("update policy_check set checked_at = now() - interval '25 hours'")
        await eventually(
            lambda: watch.state is not None and watch.state.checked_at is not None and watch.state.checked_at > first
        )


async def test_who_only_follows_says_that_nobody_checks(world: World) -> None:
    async with watching(world, checks=False) as watch:
        await eventually(watch.looked.is_set)
        assert metrics(watch)["anxin_policy_check_overdue"] == 1
    assert is_overdue(None)


async def test_what_cannot_be_judged_is_kept_and_stays_loud_until_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("something nobody thought of")

    with monkeypatch.context() as broken_check:
        broken_check.setattr("hub.runtime.duty_watch.check", broken)
        async with watching(world) as watch:
            await eventually(lambda: watch.state is not None and watch.state.problem)
            assert metrics(watch)["anxin_policy_check_overdue"] == 1
            assert watch.state is not None
            assert watch.state.problem == "ValueError: something nobody thought of"
    async with watching(world) as watch:
        await eventually(lambda: watch.state is not None and not watch.state.problem and watch.state.checked_at)


async def test_a_fire_device_at_an_institution_that_no_policy_covers_is_found(world: World) -> None:
    profiles = load_profiles([data_folder("device-profiles")])
    name = next(
        p.profile for p in profiles.values() if any(a.signal_class is SignalClass.FIRE for a in p.alarms.values())
    )
    await world.institution("moon", "14")
    await world.device("smoke-1", "moon", profile=name)
    watch = DutyWatch(world.url, profiles, CALENDARS, poll_seconds=0.05)
    task = asyncio.create_task(watch.run())
    await eventually(lambda: watch.state is not None and watch.state.errors)
    task.cancel()
    await asyncio.wait([task])
    found = await world.rows("select code, message_en from policy_finding where code = 'uncovered'")
    assert "no escalation policy covers fire at institution moon (such as smoke-1)" in [
        row["message_en"] for row in found
    ]


async def test_the_shipped_years_are_there_and_an_imported_one_is_left_alone(world: World) -> None:
    await world.conn.execute(
        "insert into calendar_year (year, notice, days, imported_by) values (2026, 'our own', '{}', 'somebody')"
    )
    async with watching(world) as watch:
        await eventually(watch.looked.is_set)
    async with world.conn.cursor() as cur:
        calendar = await load_calendar(cur)
    assert calendar.years == {one.year for one in CALENDARS} | {2026}
    assert not any(day.year == 2026 for day in calendar.days)
    assert any(day.year == 2025 for day in calendar.days)


def state(checked: datetime | None, now: datetime, *, is_current: bool = True, problem: str = "") -> State:
    old = checked is None or now - checked > timedelta(hours=26)
    return State(checked, None, 0, 0, problem, is_current, old, now)


def test_every_night_after_three_in_china_a_check_is_due() -> None:
    evening = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)  # 18:00 in China
    assert is_due(state(None, evening))
    assert not is_due(state(evening, evening + timedelta(hours=8, minutes=59)))
    assert is_due(state(evening, evening + timedelta(hours=9)))
    assert is_due(state(evening, evening, is_current=False))
    assert is_due(state(evening, evening, problem="x"))
    assert is_overdue(state(evening, evening + timedelta(hours=27)))
    assert not is_overdue(state(evening, evening + timedelta(hours=25)))
