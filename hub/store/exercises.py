"""Drills and proofs as a lane sees them: which presses are declared and which proofs are open; what came of them goes into the lane's transaction."""

from typing import NamedTuple
from uuid import UUID

from hub.core.draft import Draft
from hub.core.exercises import STILL_TAKEN, Press, Probe
from hub.errors import Conflict
from hub.model import Lane, Micros, SignalClass, to_datetime, to_micros
from hub.store.intervals import to_interval
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.readings import Cursor

_SQL = queries("exercises")


class Exercises(NamedTuple):
    """What a lane knows of exercises."""

    presses: dict[str, tuple[Press, ...]]
    drills: dict[UUID, Micros]
    probes: dict[UUID, Probe]


async def load(conn: Connection, partition: int, lane: Lane) -> Exercises:
    """As the database has it now, proofs that were asked for are open with that; inside the caller's transaction."""
    of = {"partition": partition, "lane": lane, "still_taken": to_interval(STILL_TAKEN)}
    presses: dict[str, tuple[Press, ...]] = {}
    for drill, n, device, signal_class, since, until in await (await conn.execute(_SQL["presses"], of)).fetchall():
        press = Press(drill, n, device, SignalClass(signal_class), to_micros(since), to_micros(until))
        presses[device] = (*presses.get(device, ()), press)
    drills = {row[0]: to_micros(row[1]) for row in await (await conn.execute(_SQL["drills"])).fetchall()}
    await conn.execute(_SQL["open_proofs"], of)
    probes = {row[0]: Probe(*row) for row in await (await conn.execute(_SQL["probes"], of)).fetchall()}
    return Exercises(presses, drills, probes)


async def put(cur: Cursor, draft: Draft) -> None:
    """What came of drills and proofs, after the alarms were written. Raises Conflict where a declared press is no more: judge again."""
    if draft.pressed:
        keys = sorted(draft.pressed)
        await cur.execute(_SQL["lock_drills"], [sorted({drill for drill, _ in keys})])
        pressed = [draft.pressed[key] for key in keys]
        columns = [[drill for drill, _ in keys], [n for _, n in keys], [alarm for alarm, _ in pressed]]
        await cur.execute(_SQL["use_presses"], [*columns, [to_datetime(at) for _, at in pressed]])
        if cur.rowcount != len(keys):
            raise Conflict("a declared press was used up, or its drill was cancelled")
    if draft.hops:
        hops = {(hop.proof, hop.hop): hop for hop in draft.hops}.values()
        await cur.execute(
            _SQL["put_hops"],
            [[hop.proof for hop in hops], [hop.hop for hop in hops], [to_datetime(hop.at) for hop in hops]],
        )
    if draft.probed:
        rows = sorted(draft.probed.items())
        received = to_datetime(draft.now)
        await cur.execute(
            _SQL["put_probed"],
            [
                [id for id, _ in rows],
                [probed.alarm for _, probed in rows],
                [to_datetime(probed.at) for _, probed in rows],
                [received] * len(rows),
                [probed.ended for _, probed in rows],
                [probed.reason for _, probed in rows],
            ],
        )
