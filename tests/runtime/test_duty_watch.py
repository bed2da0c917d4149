"""The nightly check of all policies: it remembers that it looked, looks again when something changed, and is loud when it could not."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from hub.calendars import load_calendars
from hub.config import data_folder
from hub.core.escalation import Policy, Step
from hub.core.rota import Override, Rota, Shift
from hub.model import SECOND, Priority, SignalClass, to_micros
from hub.profiles import Profile, load_profiles
from hub.runtime import deliverer, escalator
from hub.runtime.duty_watch import DutyMetrics, DutyWatch, is_due, is_overdue
from hub.store.duty import add_override, load_calendar, put_rota
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.store.policy_checks import State
from hub.testing import eventually
from tests.paging import POLICY, World, receiver, webhook

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
async def watching(
    world: World, profiles: Mapping[str, Profile] | None = None, *, checks: bool = True
) -> AsyncIterator[DutyWatch]:
    watch = DutyWatch(world.url, profiles or {}, CALENDARS, checks=checks, poll_seconds=0.05)
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


ALL = replace(
    GOOD, id="all", signal_classes=frozenset(SignalClass), priorities=frozenset(Priority) - {Priority.JOURNAL}
)
HOLED = replace(GOOD, steps=GOOD.steps[:1])
_STANDING = (
    "select a.*, d.id::text as device_id, h.zh, h.en, e.state as escalation, e.policy::text as policy, e.plan as plan from alarm a"
    " join device d on d.key = a.device left join hub_alarm h on h.alarm = a.id left join escalation e on e.alarm = a.id"
    " where d.kind = 'hub' order by a.raised_at"
)


async def a_hole(world: World, *policies: Policy) -> str:
    """From in an hour on nobody is on duty for an hour; `policies` have nothing but that rota."""
    now = to_micros(datetime.now(UTC))
    away = Override("", now + 3600 * SECOND, now + 7200 * SECOND, "room")
    async with world.conn.transaction(), world.conn.cursor() as cur:
        for policy in policies:
            await put_policy(cur, policy)
        return await add_override(cur, "duty", away, "somebody wrote it past the API", "test")


async def mend(world: World, key: str) -> None:
    await world.conn.execute(
        "update rota_override set cancelled_at = now(), cancelled_by = 'test' where id = %s", (key,)
    )


async def test_a_hole_is_an_alarm_that_is_paged_with_its_hour_and_clears_when_it_is_mended(world: World) -> None:
    profiles = load_profiles([data_folder("device-profiles")])
    async with receiver() as hook, watching(world, profiles=profiles) as watch, asyncio.TaskGroup() as tasks:
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await put_responder(
                cur,
                replace(ROOM, channels=(Channel("hook", **webhook(hook.url)), Channel("mail", "smtp", {}))),
            )
            await put_policy(cur, replace(ALL, steps=(Step(1, "room", kinds=2),)))
        sending = [
            tasks.create_task(escalator.run(world.url, poll=0.05)),
            tasks.create_task(deliverer.run(world.url, profiles=profiles, allow_loopback=True, poll=0.05)),
        ]
        key = await a_hole(world, HOLED)
        await eventually(lambda: hook.requests)
        page = json.loads(hook.requests[0].body)["data"]
        assert (page["institution"], page["definition"], page["instance"]) == (
            "anxin-hub-1404",
            "policy_unreached",
            "city",
        )
        assert (page["class"], page["priority"]) == ("fault", "high")
        (found,) = await world.rows("select message_zh, message_en from policy_finding where code = 'gap'")
        assert found["message_zh"] in page["response"]["zh"]
        assert found["message_en"] in page["response"]["en"]
        (alarm,) = await world.rows(_STANDING)
        assert (alarm["state"], alarm["escalation"], alarm["policy"]) == ("unack_active", "running", "all")
        history = await world.rows("select note from alarm_transition where alarm = %s", alarm["id"])
        assert found["message_en"] in history[0]["note"]

        looked = watch.state.checked_at if watch.state is not None else None
        await world.conn.execute("update policy_check set basis = ''")  # another look finds the same: nothing new
        await eventually(
            lambda: watch.state is not None and watch.state.is_current and watch.state.checked_at != looked
        )
        assert len(await world.rows(_STANDING)) == 1

        await mend(world, key)

        async def cleared() -> bool:
            (alarm,) = await world.rows(_STANDING)
            return (alarm["state"], alarm["escalation"]) == ("unack_cleared", "stopped")

        await eventually(cleared)
        await a_hole(world)

        async def again() -> bool:
            (alarm,) = await world.rows(_STANDING)
            return (alarm["state"], alarm["occurrences"], alarm["escalation"]) == ("unack_active", 2, "running")

        await eventually(again)
        for task in sending:
            task.cancel()


async def test_a_policy_with_a_hole_does_not_page_about_itself(world: World) -> None:
    profiles = load_profiles([data_folder("device-profiles")])
    lower = replace(ALL, id="city", steps=HOLED.steps)
    async with watching(world, profiles=profiles):
        key = await a_hole(world, lower)

        async def standing() -> list[tuple[object, ...]]:
            rows = [row for row in await world.rows(_STANDING) if row["state"] == "unack_active"]
            return [(row["device_id"], row["instance"], row["escalation"], row["policy"]) for row in rows]

        async def by_plan() -> bool:
            return await standing() == [("anxin-hub-1404", "city", "running", None)]

        await eventually(by_plan)
        (alarm,) = await world.rows(_STANDING)
        assert [(step["responder"], step["kinds"]) for step in alarm["plan"]["steps"]] == [("room", 5)]
        assert await world.open_steps(alarm["id"]) == [(1, 1, 0)]

        async with (
            world.conn.cursor() as cur
        ):  # the province has a policy that holds: its alarm is the province's from now on
            await put_policy(cur, replace(ALL, id="upper", division="14", steps=(Step(1, "room", kinds=2),)))

        async def above() -> bool:
            return await standing() == [("anxin-hub-14", "city", "running", "upper")]

        await eventually(above)
        await mend(world, key)

        async def none() -> bool:
            return await standing() == []

        await eventually(none)


async def test_a_check_that_cannot_be_made_is_an_alarm_until_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise ValueError("something nobody thought of")

    async def states() -> list[tuple[str, str]]:
        return [(row["definition"], row["state"]) for row in await world.rows(_STANDING)]

    profiles = load_profiles([data_folder("device-profiles")])
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_policy(cur, replace(ALL, id="upper", division="14"))
    with monkeypatch.context() as broken_check:
        broken_check.setattr("hub.runtime.duty_watch.check", broken)
        async with watching(world, profiles=profiles):

            async def raised() -> bool:
                return await states() == [("policies_unchecked", "unack_active")]

            await eventually(raised)
            (alarm,) = await world.rows(_STANDING)
            assert (alarm["en"], alarm["policy"]) == ("ValueError: something nobody thought of", "upper")
    async with watching(world, profiles=profiles):

        async def over() -> bool:
            return await states() == [("policies_unchecked", "unack_cleared")]

        await eventually(over)


async def test_a_profile_that_knows_no_such_alarm_stops_neither_the_check_nor_the_hub(world: World) -> None:
    shipped = load_profiles([data_folder("device-profiles")])["anxin-duty"]
    with capture_logs() as logs:
        async with watching(world, profiles={"anxin-duty": shipped.model_copy(update={"alarms": {}})}) as watch:
            await a_hole(world, HOLED)
            await eventually(lambda: metrics(watch)["anxin_policy_errors"] > 0)
    assert await world.rows(_STANDING) == []
    assert "policies.profile_missing" in [line["event"] for line in logs]
