"""The loop that turns due steps into notifications. Several may run at once, in any number of processes: the database puts them in a row."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import structlog

from hub import crash
from hub.errors import ODD, Conflict
from hub.model import SECOND, Micros
from hub.runtime.reconnect import keep
from hub.store.escalation import Fired, begin, fire, sweep, undriven
from hub.store.ownership import attend, settle_due
from hub.store.steady import Moment, SteadyClock
from hub.store.timers import Timers, open_timers

_log = structlog.get_logger(__name__)

_LEASE: Micros = 10 * SECOND
_SOON: Micros = SECOND // 2
_BATCH = 32
ROUND = 60.0
"""seconds; a round of any loop that pages is over long before"""


def host() -> str:
    """Names this boot of this machine: what `uptime` counts from."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def uptime() -> Micros:
    """Time since the machine started, also while it slept; nobody sets it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@dataclass
class Counters:
    """What one escalator has done since its start."""

    pages: int = 0
    folded: int = 0
    faults: int = 0
    last_resorts: int = 0
    exhausted: int = 0
    reminders: int = 0
    lapses: int = 0
    orphans: int = 0
    stuck: int = 0
    conflicts: int = 0
    clock_steps: int = 0


async def run(
    database_url: str, *, poll: float = 0.25, sweep_every: float = 1.0, counters: Counters | None = None
) -> NoReturn:
    """Escalate until cancelled. NOTIFY wakes it, `poll` seconds are the truth; each `sweep_every` it takes up what nothing drives, and asks
    owners for a sign."""
    done = Counters() if counters is None else counters
    clocks = [SteadyClock(host(), uptime) for _ in range(2)]

    async def climbing(connected: Callable[[], None]) -> None:
        async with open_timers(database_url, clocks[0]) as timers:
            connected()
            await _drive(timers, poll, done, connected)

    async def sweeping(connected: Callable[[], None]) -> None:
        async with open_timers(database_url, clocks[1], "escalator-sweep") as timers:
            connected()
            await _look_after(timers, sweep_every, done, connected)

    # apart, each over its own connection: however much there is to look after, no step waits for it
    async with asyncio.TaskGroup() as loops:
        loops.create_task(keep("escalator", climbing, within=ROUND), name="escalator-steps")
        loops.create_task(keep("escalator-sweep", sweeping, within=ROUND), name="escalator-sweep")
    raise AssertionError("neither loop ends by itself")


async def _drive(timers: Timers, poll: float, done: Counters, turned: Callable[[], None]) -> NoReturn:
    while True:
        turned()
        now = await _read(timers, done)
        alarms = [] if now is None else await timers.claim(_BATCH, _LEASE, now)
        if now is None or not alarms:
            await timers.wait(poll)
            continue
        crash.point("escalator-claimed")
        for alarm in alarms:
            await _fire(timers, alarm, now, done)


async def _look_after(timers: Timers, every: float, done: Counters, turned: Callable[[], None]) -> NoReturn:
    """What nothing drives, and what nobody is on any more."""
    while True:
        turned()
        now = await _read(timers, done)
        if now is not None:
            await _sweep(timers, now, done)
            await _attend(timers, now, done)
        await asyncio.sleep(every)


async def _read(timers: Timers, done: Counters) -> Moment | None:
    """None while somebody holds what a step of the clock must move: nothing is claimed by a clock that was set."""
    try:
        now = await timers.read()
    except Conflict as error:
        _log.warning("clock_step_waits", reason=str(error))
        return None
    done.clock_steps = timers.clock_steps
    return now


async def _fire(timers: Timers, alarm: UUID, now: Moment, done: Counters) -> None:
    """One alarm in one transaction; whatever is wrong with it, the others go on. One that somebody is changing at this moment is tried again
    soon, one that the database refuses when its lease ends.
    """
    try:
        async with timers.transaction() as cur:
            fired = await fire(cur, alarm, now)
            crash.point("escalator-before-commit")
    except Conflict as error:
        done.conflicts += 1
        _log.warning("escalation_conflict", alarm=str(alarm), reason=str(error))
        await timers.postpone(alarm, _SOON)
        return
    except ODD as error:
        _log.error("escalation_refused", alarm=str(alarm), reason=repr(error))
        return
    crash.point("escalator-after-commit")
    _say(fired, done)


def _say(fired: Fired, done: Counters) -> None:
    done.pages += fired.pages
    done.folded += fired.folded
    done.faults += len(fired.faults)
    if fired.pages > 0 or fired.folded > 0:
        _log.info("escalation_step", alarm=str(fired.alarm), pages=fired.pages, folded=fired.folded)
    for responder, channel in fired.unreachable:
        _log.error("responder_unreachable", alarm=str(fired.alarm), responder=responder, channel=channel)
    for fault in fired.faults:
        about = {"round": fault.round, "step": fault.step, "target": fault.target, "reason": fault.reason}
        _log.error("escalation_fault", alarm=str(fired.alarm), **about, instead=", ".join(fault.instead) or "nobody")
    if fired.state == "last_resort":
        done.last_resorts += 1
        _log.error(
            "escalation_last_resort", alarm=str(fired.alarm), reason="all rounds are through: the last step goes on"
        )
    if fired.state == "exhausted":
        done.exhausted += 1
        _log.error("escalation_exhausted", alarm=str(fired.alarm), reason="nobody acknowledged in all rounds")


async def _sweep(timers: Timers, now: Moment, done: Counters) -> None:
    try:
        async with timers.transaction() as cur:
            orphans, stuck = await sweep(cur)
    except (*ODD, Conflict) as error:
        _log.error("escalation_sweep_refused", reason=repr(error))
        orphans, stuck = await _sweep_singly(timers)
    done.orphans += len(orphans)
    done.stuck += len(stuck)
    if orphans:
        _log.warning("escalation_orphans", count=len(orphans), first=str(orphans[0]))
    for alarm in stuck:
        _log.error("escalation_stuck", alarm=str(alarm))
        await _fire(timers, alarm, now, done)


async def _sweep_singly(timers: Timers) -> tuple[list[UUID], list[UUID]]:
    """As `sweep`, each alarm by itself: what is wrong with one keeps nobody from hearing of the others."""
    async with timers.transaction() as cur:
        orphans, stuck = await undriven(cur)
    begun = []
    for alarm in orphans:
        try:
            async with timers.transaction() as cur:
                await begin(cur, [alarm])
        except (*ODD, Conflict) as error:
            _log.error("escalation_begin_refused", alarm=str(alarm), reason=repr(error))
            continue
        begun.append(alarm)
    return begun, stuck


async def _attend(timers: Timers, now: Moment, done: Counters) -> None:
    """Owners are reminded, and what nobody is on any more is paged again."""
    try:
        async with timers.transaction() as cur:
            due = await attend(cur, now)
    except (*ODD, Conflict) as error:
        _log.error("ownership_refused", reason=repr(error))
        return
    for alarm in due:
        try:
            async with timers.transaction() as cur:
                settled = await settle_due(cur, alarm, now)
        except (*ODD, Conflict) as error:
            _log.warning("ownership_conflict", alarm=str(alarm), reason=repr(error))
            continue
        if settled.what == "lapsed":
            done.lapses += 1
            _log.error("acknowledgement_lapsed", alarm=str(alarm), owner=settled.owner)
        elif settled.what == "reminded":
            done.reminders += 1
            told = ", ".join(settled.reminded) or "nobody"
            _log.info("owner_reminded", alarm=str(alarm), owner=settled.owner, told=told)
