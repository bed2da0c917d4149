"""The loop that turns due steps into notifications. Several may run at once, in any number of processes: the database puts them in a row."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import structlog

from hub import crash
from hub.errors import BadInput, Conflict
from hub.model import SECOND, Micros
from hub.runtime.reconnect import keep
from hub.store.escalation import Fired, fire, sweep
from hub.store.ownership import attend, settle_due
from hub.store.steady import Moment, SteadyClock
from hub.store.timers import Timers, open_timers

_log = structlog.get_logger(__name__)

_LEASE: Micros = 10 * SECOND
_SOON: Micros = SECOND // 2
_BATCH = 32


def host() -> str:
    """Names this boot of this machine: what `uptime` counts from."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def uptime() -> Micros:
    """Time since the machine started, also while it slept; nobody sets it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


async def run(database_url: str, *, poll: float = 0.25, sweep_every: float = 1.0) -> NoReturn:
    """Escalate until cancelled. NOTIFY wakes it, `poll` seconds are the truth; each `sweep_every` it takes up what nothing drives."""
    clock = SteadyClock(host(), uptime)

    async def session(connected: Callable[[], None]) -> None:
        async with open_timers(database_url, clock) as timers:
            connected()
            await _drive(timers, poll, sweep_every)

    await keep("escalator", session)


async def _drive(timers: Timers, poll: float, sweep_every: float) -> NoReturn:
    loop = asyncio.get_running_loop()
    next_sweep = loop.time()
    while True:
        now = await _read(timers)
        if now is None:
            await timers.wait(poll)
            continue
        if loop.time() >= next_sweep:
            await _sweep(timers, now)
            await _attend(timers, now)
            next_sweep = loop.time() + sweep_every
        alarms = await timers.claim(_BATCH, _LEASE, now)
        if not alarms:
            await timers.wait(poll)
            continue
        crash.point("escalator-claimed")
        for alarm in alarms:
            await _fire(timers, alarm, now)


async def _read(timers: Timers) -> Moment | None:
    """None while somebody holds what a step of the clock must move: nothing is claimed by a clock that was set."""
    try:
        return await timers.read()
    except Conflict as error:
        _log.warning("clock_step_waits", reason=str(error))
        return None


async def _fire(timers: Timers, alarm: UUID, now: Moment) -> None:
    """One alarm in one transaction; whatever is wrong with it, the others go on. One that somebody is changing at this moment is tried again
    soon, one that the database refuses when its lease ends.
    """
    try:
        async with timers.transaction() as cur:
            fired = await fire(cur, alarm, now)
            crash.point("escalator-before-commit")
    except Conflict as error:
        _log.warning("escalation_conflict", alarm=str(alarm), reason=str(error))
        await timers.postpone(alarm, _SOON)
        return
    except BadInput as error:
        _log.error("escalation_refused", alarm=str(alarm), reason=str(error))
        return
    crash.point("escalator-after-commit")
    _say(fired)


def _say(fired: Fired) -> None:
    if fired.pages > 0 or fired.folded > 0:
        _log.info("escalation_step", alarm=str(fired.alarm), pages=fired.pages, folded=fired.folded)
    for responder, channel in fired.unreachable:
        _log.error("responder_unreachable", alarm=str(fired.alarm), responder=responder, channel=channel)
    for fault in fired.faults:
        about = {"round": fault.round, "step": fault.step, "target": fault.target, "reason": fault.reason}
        _log.error("escalation_fault", alarm=str(fired.alarm), **about, instead=", ".join(fault.instead) or "nobody")
    if fired.state == "last_resort":
        _log.error(
            "escalation_last_resort", alarm=str(fired.alarm), reason="all rounds are through: the last step goes on"
        )
    if fired.state == "exhausted":
        _log.error("escalation_exhausted", alarm=str(fired.alarm), reason="nobody acknowledged in all rounds")


async def _sweep(timers: Timers, now: Moment) -> None:
    try:
        async with timers.transaction() as cur:
            orphans, stuck = await sweep(cur)
    except (BadInput, Conflict) as error:
        _log.error("escalation_sweep_refused", reason=str(error))
        return
    if orphans:
        _log.warning("escalation_orphans", count=len(orphans), first=str(orphans[0]))
    for alarm in stuck:
        _log.error("escalation_stuck", alarm=str(alarm))
        await _fire(timers, alarm, now)


async def _attend(timers: Timers, now: Moment) -> None:
    """Owners are reminded, and what nobody is on any more is paged again."""
    try:
        async with timers.transaction() as cur:
            due = await attend(cur, now)
    except (BadInput, Conflict) as error:
        _log.error("ownership_refused", reason=str(error))
        return
    for alarm in due:
        try:
            async with timers.transaction() as cur:
                done = await settle_due(cur, alarm, now)
        except (BadInput, Conflict) as error:
            _log.warning("ownership_conflict", alarm=str(alarm), reason=str(error))
            continue
        if done.what == "lapsed":
            _log.error("acknowledgement_lapsed", alarm=str(alarm), owner=done.owner)
        elif done.what == "reminded":
            _log.info("owner_reminded", alarm=str(alarm), owner=done.owner, told=", ".join(done.reminded) or "nobody")
