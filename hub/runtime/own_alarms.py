"""The loop that looks, once a minute, at what of the hub's own work a person must learn of, and has the alarms stand that say so.

Beside the check of all policies, which raises its own (hub.runtime.duty_watch) and whose death is seen here: a loop of its own, with a
connection of its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NoReturn

import structlog

from hub.core.own_alarms import REFUSED, UNVERIFIED, overdue, placed, refused, unverified
from hub.core.policy_alarms import UNCHECKED
from hub.model import SECOND, Micros, to_micros
from hub.profiles import Profile
from hub.runtime.duty_watch import is_overdue
from hub.runtime.reconnect import keep
from hub.store import hub_alarms
from hub.store.policy_checks import load_duty, load_findings, load_state
from hub.store.pool import Connection, connect
from hub.store.session import translated

EVERY = 30.0
"""seconds"""
ROUND = 60.0
"""seconds; a round is over long before"""
VERIFIED_WITHIN: Micros = 180 * SECOND
"""so long after it was handed over somebody should know that it was received (hub.runtime.handovers)"""
READ_AGAIN: Micros = 3600 * SECOND
"""so long after the last message that could not be read the alarm clears"""
PATIENCE = 600.0
"""seconds for which a check of all policies may be overdue, after a start for example, before somebody is told"""
_NEEDED = {UNVERIFIED, REFUSED, UNCHECKED}
_log = structlog.get_logger(__name__)


async def run(
    database_url: str,
    *,
    profiles: Mapping[str, Profile],
    every: float = EVERY,
    verified: Micros = VERIFIED_WITHIN,
    patience: float = PATIENCE,
) -> NoReturn:
    """Until cancelled. Without the profile that says what these alarms are (a folder of profiles of one's own) nothing can be raised."""
    profile = profiles.get(hub_alarms.PROFILE)
    if profile is None or not profile.alarms.keys() >= _NEEDED:
        why = "nobody is paged about the hub's own work"
        _log.error("own_alarms.profile_missing", profile=hub_alarms.PROFILE, reason=why)
        await asyncio.Event().wait()
    assert profile is not None
    loop = asyncio.get_running_loop()
    checked_at = loop.time()

    async def session(connected: Callable[[], None]) -> None:
        nonlocal checked_at
        conn = await connect(database_url, "own-alarms", autocommit=True, lock_timeout="1s")
        try:
            while True:
                with translated():
                    if not await _look(conn, profile, verified, unchecked=loop.time() - checked_at > patience):
                        checked_at = loop.time()
                connected()
                await asyncio.sleep(every)
        finally:
            conn.pgconn.finish()

    await keep("own-alarms", session, within=every + ROUND)


async def _look(conn: Connection, profile: Profile, verified: Micros, *, unchecked: bool) -> bool:
    """`unchecked`: the check of all policies was overdue for long enough, if it is now; returns whether it is."""
    found = unverified(await hub_alarms.unverified(conn, verified)) + refused(
        await hub_alarms.refused(conn, READ_AGAIN)
    )
    parents = await hub_alarms.parents(conn)
    if found:
        async with conn.transaction(), conn.cursor() as cur:
            duty = await load_duty(cur)
        broken = {row["policy"] for row in await load_findings(conn) if row["code"] == "gap"}
        found = [placed(duty, one, broken, parents) for one in found]
    state = await load_state(conn)
    now = to_micros(state.now)
    for definition in (UNVERIFIED, REFUSED):
        async with conn.transaction():
            await hub_alarms.settle(conn, profile, definition, found, now)
    silent = (
        is_overdue(state) and not state.problem
    )  # a check that fails says so itself, and each that is made clears it
    if silent and unchecked:
        async with conn.transaction():
            await hub_alarms.settle(conn, profile, UNCHECKED, overdue(parents), now)
    return silent


__all__ = ["run"]
