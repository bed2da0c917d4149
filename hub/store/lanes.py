"""One lane of one partition as the database has it: its connection and its state. What it writes is `hub.store.lane_commit`."""

from collections.abc import Iterable, Sequence, Set
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.rows import TupleRow

from hub.core.alarms import Alarm, Watch
from hub.core.commissioning import Trial
from hub.core.lane import Key, Live, State, Streamed
from hub.core.liveness import Verdict
from hub.core.normalise import Latest
from hub.core.skew import Clock
from hub.model import (
    SECOND,
    FunctionState,
    Lane,
    LinkState,
    Micros,
    Quality,
    Series,
    to_datetime,
    to_micros,
)
from hub.store import alarms, exercises
from hub.store.arrays import write_quickly
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.readings import SeriesKeys

_SQL = queries("lanes")
LOCKED = "3s"
"""after which a lane gives up waiting for what somebody else holds: longer than housekeeping queues for a table, and than a disk stands still that the
other lane of an edge commits to, so that these cost nobody a turn"""


class Loaded(NamedTuple):
    """What a lane starts from: its state, its series' keys, and the function tests that wait to be opened."""

    state: State
    series: SeriesKeys
    requested: list[Trial]


def _micros(moment: datetime | None) -> Micros | None:
    return None if moment is None else to_micros(moment)


def _moment(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)


async def open_lane(database_url: str, name: str) -> Connection:
    """The connection of a lane; raises LinkDown."""
    conn = await connect(database_url, name, lock_timeout=LOCKED)
    write_quickly(conn)
    return conn


async def load(conn: Connection, partition: int, lane: Lane, devices: Set[str] | None = None) -> Loaded:
    """The state of a lane as last committed. What only the running hub knows (beats, clients heard) starts empty.

    With `devices` only these are read; what is kept by stream, test or alarm is whole in any case (`State.take_over`).
    """
    state, series = State(), SeriesKeys()
    async with conn.transaction():
        of = {"partition": partition, "lane": lane, "devices": None if devices is None else sorted(devices)}

        async def rows(name: str) -> list[TupleRow]:
            return await (await conn.execute(_SQL[name], of)).fetchall()

        for device, point, instance, key, at, value, text, quality, changed, stored in await rows("latest"):
            name = Series(device, point, instance)
            series[name] = key
            times = to_micros(changed), to_micros(stored)
            state.latest[name] = Latest(to_micros(at), value, text, Quality(quality), *times)
        for device, definition, instance, holds, since, judged in await rows("watches"):
            state.watches[Key(device, definition, instance)] = Watch(holds, to_micros(since), to_micros(judged))
        for device, heard, link, cause, since, function, reason, function_since, proven in await rows("live"):
            verdict = Verdict(LinkState(link), cause)
            about = FunctionState(function), reason, to_micros(function_since), proven
            state.live[device] = Live(_micros(heard), verdict, to_micros(since), *about)
        for row in await rows("streams"):
            stream, streamed = _streamed(row)
            state.streams[stream] = streamed
            if streamed.beat_at is not None:
                state.marks[streamed.client] = max(streamed.beat_at, state.marks.get(streamed.client, 0))
        for device, ahead, said, read, reader, wrong, since in await rows("known_clocks"):
            told = round(ahead * SECOND), to_micros(said), to_micros(read)
            state.clocks[device] = Clock(*told, reader, wrong, to_micros(since))
        await conn.execute(_SQL["miss_tests"])
        requested = _sort_tests(state, await rows("tests"))
        state.alarms = await load_alarms(conn, partition, lane)
        state.shelved = await load_shelved(conn, partition, lane)
        state.presses, state.drills, state.probes = await exercises.load(conn, partition, lane)
    return Loaded(state, series, requested)


def _sort_tests(state: State, rows: Iterable[TupleRow]) -> list[Trial]:
    requested = []
    for id_, device, phase, opened, deadline in rows:
        trial = Trial(id_, device, to_micros(opened), to_micros(deadline))
        if phase == "open":
            state.tests[device] = trial
        else:
            requested.append(trial)
    return requested


async def load_alarms(conn: Connection, partition: int, lane: Lane) -> dict[Key, Alarm]:
    """The lane's alarms that have not ended, as they stand now."""
    found = await alarms.standing(conn, partition, lane)
    return {Key(alarm.device, alarm.definition, alarm.instance): alarm for alarm in found}


async def load_shelved(conn: Connection, partition: int, lane: Lane) -> dict[Key, Alarm]:
    """Ended alarms whose shelving the next one inherits."""
    found = await alarms.still_shelved(conn, partition, lane)
    return {Key(alarm.device, alarm.definition, alarm.instance): alarm for alarm in found}


async def streams_named(conn: Connection, names: Sequence[str]) -> dict[str, Streamed]:
    """These streams, whoever they belong to."""
    async with conn.transaction():
        rows = await (await conn.execute(_SQL["streams_named"], [list(names)])).fetchall()
    return dict(map(_streamed, rows))


def _streamed(row: Sequence[Any]) -> tuple[str, Streamed]:
    """A row of the queries `streams` and `streams_named`."""
    name, client, lane, upto, newest, counted, given, beat, drop_from, drop_items = row
    place = client, Lane(lane), upto, _micros(newest)
    return name, Streamed(*place, counted, given, _micros(beat), _micros(drop_from), drop_items)


async def load_exercises(conn: Connection, partition: int, lane: Lane) -> exercises.Exercises:
    """What is declared and open in a lane now."""
    async with conn.transaction():
        return await exercises.load(conn, partition, lane)


async def requested_tests(conn: Connection, partition: int, lane: Lane) -> list[Trial]:
    """Function tests that wait to be opened, with the deadline as of now."""
    async with conn.transaction():
        await conn.execute(_SQL["miss_tests"])
        rows = await (await conn.execute(_SQL["tests"], {"partition": partition, "lane": lane})).fetchall()
    return _sort_tests(State(), rows)
