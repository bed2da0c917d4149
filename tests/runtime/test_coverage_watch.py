"""The watch against a real database: what changed is judged within a second, everything again and again, and a lost database is waited for."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from hub.core.coverage import docket
from hub.core.coverage.rules import RulePack
from hub.model import SECOND, to_micros
from hub.runtime import coverage_watch
from hub.runtime.coverage_watch import CoverageWatch
from hub.store.coverage_facts import UNCONNECTED
from hub.testing import eventually
from tests.core.coverage_city import TWO_ANYWHERE, pack, rule
from tests.store.coverage_register import PACKS, PROFILES, Register

VIDEO, FORBIDDEN, PANIC = "national-video-infant-zones", "national-video-forbidden", "changzhi-panic"


@pytest.fixture(autouse=True)
def _short_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long somebody waits for company is the docket's matter (tests/core/test_coverage_docket.py), and nobody's time here."""
    monkeypatch.setattr(docket, "COMPANY", SECOND // 10)


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.zone("sun", "wc", "toilet")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.listen()
    yield made
    made.close()


@asynccontextmanager
async def watching(
    url: str, round_seconds: float = 3600.0, packs: Sequence[RulePack] = PACKS
) -> AsyncIterator[CoverageWatch]:
    """A running watch that has judged everything once."""
    watch = CoverageWatch(url, packs, PROFILES, round_seconds=round_seconds)
    task = asyncio.create_task(watch.run(), name="coverage")
    try:
        await asyncio.wait_for(watch.judged_all.wait(), 20)
        yield watch
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def verdict_is(register: Register, rule: str, verdict: str, subject: str = "sun") -> bool:
    return register.verdicts(subject).get(rule) == verdict


async def test_at_the_start_everything_is_judged(fresh_database: str, register: Register) -> None:
    async with watching(fresh_database):
        assert register.verdicts("sun")[VIDEO] == "compliant"
        assert set(register.verdicts(UNCONNECTED + "CZ-2").values()) == {"unknown"}


async def test_a_time_limit_that_a_watch_before_has_learnt_is_judged_when_it_passes(
    fresh_database: str, register: Register
) -> None:
    begins = time.time_ns() // 1000 + 6 * SECOND
    packs = [pack(replace(rule(TWO_ANYWHERE, id="ahead"), since=begins), rule(TWO_ANYWHERE, id="now"))]
    async with watching(fresh_database, packs=packs):
        assert "ahead" not in register.verdicts("sun")
    async with watching(fresh_database, packs=packs) as after:
        await eventually(lambda: "ahead" in register.verdicts("sun"), deadline=20)
        assert after.judged_all.is_set()
    [(_, since, _)] = register.periods("sun", "ahead")
    assert to_micros(since) == begins


async def test_an_unplugged_camera_turns_the_coverage_within_a_second_and_back(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database):
        for state, verdict in [("offline", "unknown"), ("online", "compliant"), ("unknown", "unknown")]:
            register.turn("cam-1", "link_state", state)
            await eventually(partial(verdict_is, register, VIDEO, verdict), deadline=20)


async def test_a_camera_put_into_a_toilet_makes_the_institution_non_compliant(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database):
        assert register.verdicts("sun")[FORBIDDEN] == "compliant"
        register.device("sun", "cam-wc", "axis-camera", "wc", admin_state="registered", link_state="unknown")
        register.do("insert into change (kind, institution, payload) select 'registry', key, '{}' from institution")
        await eventually(lambda: verdict_is(register, FORBIDDEN, "non_compliant"), deadline=20)


async def test_a_new_institution_is_judged_and_its_entry_is_not_unconnected_any_more(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database):
        register.institution("moon")
        register.do(
            "update register_entry set institution = (select key from institution where id = 'moon')"
            " where filing_number = 'CZ-2'"
        )
        register.do("insert into change (kind, institution, payload) values ('registry', null, '{}')")
        await eventually(lambda: verdict_is(register, PANIC, "non_compliant", "moon"), deadline=20)
        assert register.verdicts(UNCONNECTED + "CZ-2") == {}


async def test_what_nobody_announced_is_seen_when_everything_is_judged_again(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database, round_seconds=0.2):
        register.do("update device_state set function_state = 'failed'")
        await eventually(lambda: verdict_is(register, VIDEO, "non_compliant"), deadline=20)


async def test_when_ingest_is_gone_nothing_stays_green_and_when_it_is_back_it_turns(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database):
        register.stop_listening()
        await eventually(lambda: verdict_is(register, VIDEO, "unknown"), deadline=20)
        register.listen()
        await eventually(lambda: verdict_is(register, VIDEO, "compliant"), deadline=20)


async def test_a_calendar_and_a_lease_concern_only_those_that_they_concern(
    fresh_database: str, register: Register
) -> None:
    """Where somebody begins to listen his institutions are judged again, the others are not; a holiday calendar concerns all."""
    register.institution("moon")
    register.do("update institution set partition = 4 where id = 'moon'")

    def checked() -> tuple[Any, ...]:
        return tuple(
            at
            for _, at in sorted(
                register.all("select subject, checked_at from coverage_check where subject in ('sun', 'moon')")
            )
        )

    async with watching(fresh_database):
        moon, sun = checked()
        register.listen(4)
        await eventually(lambda: checked()[0] > moon, deadline=20)
        assert checked()[1] == sun
        register.do("insert into calendar_year (year, notice, days, imported_by) values (2027, 'x', '{}', 'x')")
        await eventually(lambda: checked()[1] > sun, deadline=20)


async def test_who_waits_for_too_long_is_doubted_while_the_rest_is_renewed_and_judging_ends_that(
    fresh_database: str, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docket, "ALLOWED", 0)
    monkeypatch.setattr(docket, "COMPANY", 2 * SECOND)
    monkeypatch.setattr(coverage_watch, "RENEW_SECONDS", 0.1)

    def checked() -> list[Any]:
        return [row[0] for row in register.all("select checked_at from coverage_checked order by subject desc")]

    async with watching(fresh_database):
        register.turn("cam-1", "link_state", "offline")
        await eventually(partial(verdict_is, register, VIDEO, "unknown"), deadline=20)
        register.turn("cam-1", "link_state", "online")  # it was judged a moment ago, and waits
        waits = "select waits_since from coverage_check where waits_since is not null"
        await eventually(lambda: register.all(waits), deadline=20)
        [[since]], before = register.all(waits), checked()
        await eventually(lambda: checked()[1] > before[1] and (not register.all(waits) or checked()[0] == since))
        await eventually(partial(verdict_is, register, VIDEO, "compliant"), deadline=20)
        await eventually(lambda: not register.all(waits) and checked()[0] > since, deadline=20)


async def test_one_that_cannot_be_judged_is_doubted_and_keeps_nobody_else_from_being_judged(
    fresh_database: str, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docket, "ALLOWED", 0)
    monkeypatch.setattr(coverage_watch, "RENEW_SECONDS", 0.1)
    register.institution("moon")
    register.zone("moon", "act", "activity_room")
    register.device("moon", "cam-2", "axis-camera", "act")
    waits = "select subject from coverage_check where waits_since is not null"
    async with watching(fresh_database):
        register.do(
            "create function poison() returns trigger language plpgsql as $$"
            " begin if new.subject = 'moon' then raise data_exception; end if; return new; end $$"
        )
        register.do("create trigger poison before insert on judgement for each row execute function poison()")
        for camera in ("cam-2", "cam-1"):
            register.turn(camera, "link_state", "offline")
        await eventually(partial(verdict_is, register, VIDEO, "unknown"), deadline=20)
        await eventually(lambda: register.all(waits) == [("moon",)], deadline=20)
        register.turn("cam-1", "link_state", "online")  # and so it goes on
        await eventually(partial(verdict_is, register, VIDEO, "compliant"), deadline=20)
        assert verdict_is(register, VIDEO, "compliant", "moon")  # nobody vouches for it beyond that
        register.do("drop trigger poison on judgement")
        await eventually(partial(verdict_is, register, VIDEO, "unknown", "moon"), deadline=20)
        await eventually(lambda: not register.all(waits), deadline=20)


async def test_its_own_findings_do_not_make_it_judge_for_ever(fresh_database: str, register: Register) -> None:
    async with watching(fresh_database):
        register.turn("cam-1", "link_state", "offline")
        await eventually(lambda: verdict_is(register, VIDEO, "unknown"), deadline=20)
        checked = register.all("select checked_at from coverage_check where subject = 'sun'")
        register.do("insert into change (kind, institution, payload) select 'alarm', key, '{}' from institution")
        register.do("insert into change (kind, institution, payload) select 'device_state', null, '{}'")
        register.turn("cam-1", "link_state", "online")
        await eventually(lambda: verdict_is(register, VIDEO, "compliant"), deadline=20)
        assert register.all("select checked_at from coverage_check where subject = 'sun'") > checked
        assert len(register.periods("sun", VIDEO)) == 3


async def test_a_lost_database_connection_is_survived_and_everything_judged_again(
    fresh_database: str, register: Register
) -> None:
    async with watching(fresh_database) as watch:
        register.do(
            "update device_state set function_state = 'failed' where device = (select key from device where id = 'cam-1')"
        )
        register.do(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('anxin-coverage', 'anxin-fanout') and datname = current_database()"
        )
        await eventually(lambda: verdict_is(register, VIDEO, "non_compliant"), deadline=20)
        await asyncio.wait_for(watch.judged_all.wait(), 20)


async def test_two_watches_write_every_period_once(fresh_database: str, register: Register) -> None:
    async with watching(fresh_database), watching(fresh_database):
        for state, verdict in [("offline", "unknown"), ("online", "compliant")]:
            register.turn("cam-1", "link_state", state)
            await eventually(partial(verdict_is, register, VIDEO, verdict), deadline=20)
    assert [verdict for verdict, _, _ in register.periods("sun", VIDEO)] == ["compliant", "unknown", "compliant"]


async def test_dozens_of_institutions_are_judged_in_bounded_batches(fresh_database: str, register: Register) -> None:
    for n in range(70):
        register.institution(f"many-{n}")
    async with watching(fresh_database):
        [[judged]] = register.all("select count(distinct subject) from finding_now")
    assert judged == 72
