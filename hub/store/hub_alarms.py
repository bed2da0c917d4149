"""Alarms of the hub about its own duty in the database: what they are made of, and that those stand that are wanted, and no others."""

from collections.abc import Mapping, Sequence

from psycopg.types.json import Jsonb

from hub.core.alarms import AlarmEvent, announcement, open_alarm, step
from hub.core.own_alarms import MOST, RefusedFrom, Unverified
from hub.core.policy_alarms import PLACE_TYPE, Wanted, place_of
from hub.errors import Conflict
from hub.model import Micros, to_datetime
from hub.profiles import Profile
from hub.store import alarms, escalation
from hub.store.intervals import to_interval
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("hub_alarms")
PROFILE = "anxin-duty"
_LOOKED_AT = 20_000
"""rows of quarantine, the newest: a flood of garbage must not hold this up"""
_ACTIVE = ("unack_active", "ack_active")


async def homes(conn: Connection) -> dict[str, str | None]:
    """The division of each policy."""
    return {row["policy"]: row["division"] for row in await all_rows(conn, _SQL["homes"])}


async def parents(conn: Connection) -> dict[str, str | None]:
    """Each division's own, None at the top."""
    return {row["code"]: row["parent"] for row in await all_rows(conn, _SQL["divisions"])}


async def unverified(conn: Connection, after: Micros) -> list[Unverified]:
    """Hand-overs of the last day that nobody has written down as received for so long."""
    rows = await all_rows(conn, _SQL["unverified"], {"after": to_interval(after), "limit": MOST})
    return [
        Unverified(row["division"], row["alarm"], row["authority"], (row["title_zh"], row["title_en"])) for row in rows
    ]


async def refused(conn: Connection, within: Micros) -> list[RefusedFrom]:
    """Clients before fire or panic devices of which messages of the urgent lane were not understood within that time."""
    given = {"within": to_interval(within), "rows": _LOOKED_AT, "limit": MOST}
    rows = await all_rows(conn, _SQL["refused"], given)
    return [
        RefusedFrom(row["division"], row["client"], row["code"], (row["title_zh"], row["title_en"])) for row in rows
    ]


async def settle(
    conn: Connection, profile: Profile, definition: str, wanted: Sequence[Wanted], now: Micros
) -> tuple[int, int]:
    """Raise what is wanted of `definition` and does not stand, clear what stands and is not wanted any more; in the caller's transaction.
    Returns how many were raised and cleared. Raises Conflict where somebody else moves one of them.
    """
    missing = {(one.division, one.instance): one for one in wanted if one.definition == definition}
    raised = cleared = 0
    for row in await all_rows(conn, _SQL["standing"], {"profile": PROFILE, "definition": definition}):
        one = missing.pop((row["division"], row["instance"]), None)
        if one is None:
            if row["state"] in _ACTIVE:
                await alarms.act(conn, row["id"], AlarmEvent.CLEAR, "", "the check finds it no more", now)
                cleared += 1
            continue
        if row["state"] in _ACTIVE:
            await _say_anew(conn, row, one, now)
        else:
            await _put_words(conn, row, one)
            await alarms.act(conn, row["id"], AlarmEvent.RAISE, "", _note(one), now)
            raised += 1
    for one in missing.values():
        await _raise(conn, profile, one, now)
        raised += 1
    return raised, cleared


async def _say_anew(conn: Connection, row: Row, one: Wanted, now: Micros) -> None:
    """The same hole in other words (another night's first counterexample) pages nobody anew; other people to tell do."""
    plan = None if one.plan is None else escalation.plan_to(one.plan)
    if (row["zh"], row["en"], row["plan"]) == (one.zh, one.en, plan):
        return
    await _put_words(conn, row, one)
    if (row["zh"], row["en"]) != (one.zh, one.en):
        await alarms.add_note(conn, row["id"], "hub", _note(one), now)
    if row["plan"] != plan:
        async with conn.cursor() as cur:
            await escalation.stop(cur, row["id"], "others are to be told", "")
            await escalation.begin(cur, [row["id"]])


async def _put_words(conn: Connection, row: Mapping[str, object], one: Wanted) -> None:
    plan = None if one.plan is None else Jsonb(escalation.plan_to(one.plan))
    await conn.execute(_SQL["put_words"], {"alarm": row["id"], "zh": one.zh, "en": one.en, "plan": plan})


def _note(one: Wanted) -> str:
    return one.zh if one.zh == one.en else f"{one.zh} / {one.en}"


async def _raise(conn: Connection, profile: Profile, one: Wanted, now: Micros) -> None:
    name = place_of(one.division)
    given = {"id": name, "division": one.division, "type": PLACE_TYPE, "profile": PROFILE, "now": to_datetime(now)}
    owner = await one_row(conn, _SQL["put_institution"], given)
    if owner is None:
        raise Conflict(f"division {one.division} has gone")
    device = await one_row(conn, _SQL["put_device"], given | {"institution": owner["key"]})
    assert device is not None
    await conn.execute(_SQL["put_state"], given | {"device": device["key"]})
    opened = open_alarm(name, one.definition, one.instance, profile.alarms[one.definition], now, now)
    alarm, transition = step(opened, AlarmEvent.RAISE, now, "", _note(one))
    async with conn.cursor() as cur:
        if not await alarms.put_new(cur, [alarm], [(device["key"], owner["key"])]):
            raise Conflict("an alarm of this instant is there already")
        await alarms.put_transitions(cur, [transition])
        said = {"institution": owner["key"], "payload": Jsonb(announcement(alarm, transition, now))}
        await cur.execute(_SQL["announce"], said)
        await _put_words(conn, {"id": alarm.id}, one)
        await escalation.begin(cur, [alarm.id])
