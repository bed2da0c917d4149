"""The machine's clock is set back by two hours while the watch runs: nothing stays green on what was vouched for in the time that is not yet."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

import pytest

from hub.core.coverage import docket
from hub.core.coverage.ledger import STALE_AFTER
from hub.evidence_file import verify
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.runtime import coverage_watch
from hub.runtime.coverage_watch import CoverageWatch
from hub.runtime.shared import wall_clock
from hub.store import evidence
from hub.store.pool import connect
from hub.testing import eventually
from tests.store.coverage_register import PACKS, PROFILES, Register

VIDEO = "national-video-infant-zones"
TWO_HOURS: Micros = 7200 * SECOND


class Clock:
    """The machine's, set by so much."""

    def __init__(self) -> None:
        self.ahead: Micros = 0

    def __call__(self) -> Micros:
        return wall_clock() + self.ahead


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.listen()
    yield made
    made.close()


def vouched(register: Register) -> Micros:
    """Until when anything of the institution is believed."""
    [[at]] = register.all("select checked_at from coverage_checked where subject = 'sun'")
    return to_micros(at)


async def test_a_clock_set_back_by_two_hours_leaves_no_green_for_two_hours_and_an_orderly_ledger(
    fresh_database: str, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docket, "COMPANY", SECOND // 10)
    monkeypatch.setattr(coverage_watch, "RENEW_SECONDS", 0.1)
    clock = Clock()
    clock.ahead = TWO_HOURS

    def says(verdict: str) -> bool:
        return register.verdicts("sun").get(VIDEO) == verdict

    watch = CoverageWatch(fresh_database, PACKS, PROFILES, clock=clock)
    task = asyncio.create_task(watch.run(), name="coverage")
    try:
        await asyncio.wait_for(watch.judged_all.wait(), 20)
        await eventually(lambda: vouched(register) > clock() - 2 * SECOND)
        clock.ahead = 0
        await eventually(lambda: vouched(register) <= clock(), 20)
        for link, verdict in (("offline", "unknown"), ("online", "compliant"), ("offline", "unknown")):
            register.turn("cam-1", "link_state", link)  # what changes in the second hour of its kind is judged at once
            await eventually(partial(says, verdict), 20)
        register.turn("cam-1", "link_state", "online")
        await eventually(partial(says, "compliant"), 20)
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert vouched(register) <= clock(), "whoever stops now is believed for three minutes, as ever"
    disorderly = (
        "select count(*) from {} where known_to < known_from or true_to <= true_from"
        " or known_from > to_timestamp(%s / 1e6)"
    )
    for table in ("finding", "judgement"):
        assert register.all(disorderly.format(table), clock() + TWO_HOURS) == [(0,)]
    entries = register.all("select known_from from ledger_entry where subject = 'sun' order by n")
    assert entries == sorted(set(entries)), "each is known after the one before, if by a microsecond"

    clock.ahead = TWO_HOURS // 2  # the watch is away for an hour of the second time
    assert vouched(register) < clock() - STALE_AFTER, "so that it is shown unknown"
    conn = await connect(fresh_database, "test", autocommit=True)
    async with conn:
        since, until = (to_datetime(clock() + one) for one in (-TWO_HOURS, 2 * TWO_HOURS))
        made = await evidence.export(conn, "sun", since, until, until)
    assert list(verify(made, "b.zip").faults) == []
