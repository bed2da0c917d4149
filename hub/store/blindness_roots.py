"""Root alarms: one for what explains many silences, raised and cleared, and what is hidden under it meanwhile."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from hub.core import hidings
from hub.core.alarms import Alarm, AlarmEvent, AlarmState, Transition, announcement, open_alarm, step
from hub.core.blindness import is_child
from hub.errors import Conflict
from hub.model import Micros
from hub.profiles import AlarmDefinition, Profile
from hub.store import alarms, escalation
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import all_rows, one_row

_SQL = queries("blindness")
AT_ONCE = 500
"""alarms moved in one transaction: a lane that waits for one of them waits for so many (3,000 take about a second here)"""
_HELD = timedelta(seconds=60)
"""so long what is to be hidden under a root that has just begun is not paged, while it is being hidden"""

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]


class Place(NamedTuple):
    """The device at which a root alarm stands."""

    device: int
    name: str
    institution_key: int
    institution: str


class Roots:
    """The root alarms of areas and lines. `transaction` opens one on the watcher's connection."""

    def __init__(self, transaction: Transaction, profiles: Mapping[str, Profile]) -> None:
        self._transaction = transaction
        self._children = pairs(
            [
                (p.profile, name)
                for p in profiles.values()
                for name, alarm in p.alarms.items()
                if is_child(alarm.signal_class, alarm.point)
            ]
        )

    def cries(self, profile: str) -> bool:
        """Whether devices of this profile raise an alarm when they are silent."""
        return profile in self._children["profiles"]

    async def begin(
        self, conn: Connection, row: int, place: Place, alarm: tuple[str, str], definition: AlarmDefinition, now: Micros
    ) -> UUID:
        """Raise the root of a row of `blindness`, `alarm` being its definition's name and instance, in the caller's transaction.

        From its commit on nothing under it is paged, however long it takes to hide one after the other.
        """
        name, instance = alarm
        root = await _raise(conn, place, name, instance, definition, now)
        await conn.execute(_SQL["give_alarm"], {"key": row, "alarm": root})
        found = await all_rows(conn, _SQL["children"], self._children | {"row": row, "limit": None})
        if found:
            held = {"alarms": [child["id"] for child in found], "longer": _HELD}
            await conn.execute(_SQL["hold"], held)
        return root

    async def suppress(self, now: Micros) -> int:
        """Hide what the roots that stand explain, many in a transaction; returns how many were moved."""
        moved = 0
        while True:
            async with self._transaction() as conn:
                asked = self._children | {"row": None, "limit": AT_ONCE}
                roots = {row["id"]: row["root"] for row in await all_rows(conn, _SQL["children"], asked)}

                def hide(alarm: Alarm, roots: Mapping[UUID, UUID] = roots) -> tuple[Alarm, Transition]:
                    return hidings.suppress(alarm, now, roots[alarm.id], "its path has failed")

                done = await alarms.move_all(conn, list(roots), hide, now)
            moved += done
            if done == 0 or len(roots) < AT_ONCE:
                break
        return moved + await self._move("over", lambda alarm: _answered(alarm, now), now)

    async def release(self, now: Micros) -> int:
        """What hides under a root that is over is paged now where it still stands; returns how many were moved."""
        return await self._move("orphaned", lambda alarm: _released(alarm, now), now)

    async def _move(self, which: str, by: alarms.Move, now: Micros) -> int:
        moved = 0
        while True:
            async with self._transaction() as conn:
                found = [row["id"] for row in await all_rows(conn, _SQL[which], {"limit": AT_ONCE})]
                done = await alarms.move_all(conn, found, by, now)
            moved += done
            if done == 0 or len(found) < AT_ONCE:
                return moved


async def _raise(
    conn: Connection, place: Place, name: str, instance: str, definition: AlarmDefinition, now: Micros
) -> UUID:
    """A new alarm, or another occurrence of the one that has not ended."""
    key = {"device": place.device, "definition": name, "instance": instance}
    standing = await one_row(conn, _SQL["standing_root"], key)
    if standing is not None:
        root: UUID = standing["id"]
        await alarms.act(conn, root, AlarmEvent.RAISE, "", "", now)
        return root
    fresh = open_alarm(place.name, name, instance, definition, now, now)
    alarm, transition = step(fresh, AlarmEvent.RAISE, now)
    async with conn.cursor() as cur:
        if not await alarms.put_new(cur, [alarm], [(place.device, place.institution_key)]):
            raise Conflict("an alarm of this instant is there already")
        await alarms.put_transitions(cur, [transition])
        said = announcement(alarm, transition, now)
        await cur.execute(
            _SQL["announce"], {"kind": "alarm", "institution": place.institution_key, "payload": Jsonb(said)}
        )
        await escalation.begin(cur, [alarm.id])
    return alarm.id


async def clear(conn: Connection, root: UUID | None, now: Micros) -> None:
    """What a root stands for is over. What is still hidden under it is released by `Roots.release`, also after a kill in between."""
    if root is None:
        return
    state = await one_row(conn, _SQL["alarm_state"], {"alarm": root})
    if state is not None and state["state"] in ("unack_active", "ack_active"):
        await alarms.act(conn, root, AlarmEvent.CLEAR, "", "", now)


def _answered(alarm: Alarm, at: Micros) -> tuple[Alarm, Transition]:
    """It cleared while its root hid it: nobody was told, nobody has to answer."""
    return step(alarm, AlarmEvent.ACKNOWLEDGE, at, "hub", "cleared while its root stood")


def _released(alarm: Alarm, at: Micros) -> tuple[Alarm, Transition]:
    if alarm.state is AlarmState.UNACK_CLEARED:
        return _answered(alarm, at)
    return hidings.unsuppress(alarm, at, "its root is over")


def pairs(names: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Profiles and names of definitions, as the statements take them."""
    return {"profiles": [profile for profile, _ in names], "definitions": [name for _, name in names]}
