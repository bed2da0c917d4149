"""One lane of one partition in the database: load its state, commit a draft in one transaction."""

import contextlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from hub.core.alarms import Alarm, Watch
from hub.core.commissioning import Trial
from hub.core.draft import Draft
from hub.core.lane import Key, Live, State, Streamed
from hub.core.liveness import Verdict
from hub.core.normalise import Latest
from hub.core.rows import HOUR, Tally
from hub.errors import Conflict
from hub.model import (
    FunctionState,
    Lane,
    LinkState,
    Micros,
    Quality,
    Reading,
    Series,
    to_datetime,
    to_micros,
)
from hub.store import alarms, escalation, exercises, hours
from hub.store.arrays import write_quickly
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.readings import Cursor, SeriesKeys, copy, stage

_SQL = queries("lanes")


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
    conn = await connect(database_url, name)
    write_quickly(conn)
    return conn


async def load(conn: Connection, partition: int, lane: Lane) -> Loaded:
    """The state of a lane as last committed. What only the running hub knows (beats, clients heard) starts empty."""
    state, series = State(), SeriesKeys()
    async with conn.transaction():
        of = {"partition": partition, "lane": lane}

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


# one transaction ------------------------------------------------------------------------------------------------


class Taken(Conflict):
    """Ended alarms have the ids that new ones would get: `ids`."""

    def __init__(self, ids: set[UUID]) -> None:
        super().__init__(f"{len(ids)} alarms began at the instant of one that has ended")
        self.ids = ids


class Overtaken(Conflict):
    """Streams that the database knows to be further, or another client's: `streams`."""

    def __init__(self, streams: Sequence[str]) -> None:
        super().__init__(f"somebody else wrote stream {streams[0]}")
        self.streams = streams


async def commit(conn: Connection, draft: Draft, series: SeriesKeys, before_commit: Callable[[], None]) -> None:
    """Write a draft: all of it or nothing.

    Raises Conflict when somebody else moved one of the alarms (load them again and judge again), Taken when an ended alarm has the id of a
    new one, Overtaken when the state is older than the database or a stream is another client's (load all again), psycopg.DataError or IntegrityError for a row
    that the database refuses (halve the batch), psycopg.OperationalError when the database has gone. `series` gains the keys of new series.
    """
    store = copy
    while True:
        try:
            await _write(conn, draft, series, before_commit, store)
        except errors.UniqueViolation as error:
            if store is copy and (error.diag.table_name or "").startswith("_hyper"):
                store = stage
                continue
            if error.diag.constraint_name == "alarm_active":
                raise Conflict("another process raised this alarm") from None
            raise
        except errors.DeadlockDetected:
            raise Conflict("a person and this lane waited for each other") from None
        return


async def rehearse(conn: Connection, draft: Draft, series: SeriesKeys) -> None:
    """Write a draft and take it back: raises a `Refusal` where the database would refuse it. An occupied (series, at) is no refusal."""
    with contextlib.suppress(_TakenBack):
        await _write(conn, draft, series, _take_back, stage)


class _TakenBack(Exception):
    """Ends a rehearsal."""


def _take_back() -> None:
    raise _TakenBack


async def _write(
    conn: Connection,
    draft: Draft,
    series: SeriesKeys,
    before_commit: Callable[[], None],
    store: Callable[[Cursor, list[Reading], SeriesKeys], Awaitable[list[int]]],
) -> None:
    fresh = dict(series)
    async with conn.transaction(), conn.cursor() as cur:
        await _lock_devices(cur, draft)
        await _add_series(cur, draft, fresh)
        await _move_streams(cur, draft)
        doubled = await store(cur, draft.readings, fresh) if draft.readings else []
        await _put_tallies(cur, draft, doubled)
        await _put_events(cur, draft)
        await _put_quarantine(cur, draft)
        await _put_states(cur, draft, fresh)
        await _put_tests(cur, draft)
        await _put_alarms(cur, draft)
        await hours.put(cur, draft.armed)
        await exercises.put(cur, draft)
        if draft.changes:
            kinds, institutions, payloads = zip(*draft.changes, strict=True)
            await cur.execute(_SQL["changes"], [list(kinds), list(institutions), [Jsonb(p) for p in payloads]])
        before_commit()
    series.update(fresh)


async def _lock_devices(cur: Cursor, draft: Draft) -> None:
    """Lanes that touch the same rows take them in the same order, or they deadlock."""
    keys = sorted({draft.registry.devices[device].key for device in draft.live})
    if keys:
        await cur.execute(_SQL["lock_device_states"], [keys])


async def _add_series(cur: Cursor, draft: Draft, series: SeriesKeys) -> None:
    missing = sorted(
        {name for name in draft.latest if name not in series} | {r.series for r in draft.readings} - set(series)
    )
    if not missing:
        return
    devices = draft.registry.devices
    keys = [devices[name.device].key for name in missing]
    by_key = {devices[name.device].key: name.device for name in missing}
    await cur.execute(_SQL["series"], [keys, [m.point for m in missing], [m.instance for m in missing]])
    for key, device, point, instance in await cur.fetchall():
        series[Series(by_key[device], point, instance)] = key


async def _move_streams(cur: Cursor, draft: Draft) -> None:
    if draft.streams:
        names = list(draft.streams)
        rows = list(draft.streams.values())
        columns: list[list[Any]] = [names, [r.client for r in rows], [r.lane for r in rows], [r.upto for r in rows]]
        columns += [[_moment(r.newest_at) for r in rows], [r.counted for r in rows], [r.given for r in rows]]
        columns += [[_moment(r.beat_at) for r in rows], [_moment(r.drop_from) for r in rows]]
        await cur.execute(_SQL["move_streams"], [*columns, [r.drop_items for r in rows]])
        if cur.rowcount != len(names):
            raise Overtaken(names)


_TALLIED = tuple(field.name for field in fields(Tally))


async def _put_tallies(cur: Cursor, draft: Draft, doubled: Sequence[int]) -> None:
    """The hour's counts. Readings that the table had already (numbers in `doubled`) were judged as stored and are duplicates."""
    if draft.tallies:
        hour = to_datetime(draft.now // HOUR * HOUR)
        starts = [start for start, _ in draft.runs]
        again = Counter(draft.runs[bisect_right(starts, n) - 1][1] for n in doubled)
        counts = {name: [getattr(tally, name) for tally in draft.tallies.values()] for name in _TALLIED}
        for place, stream in enumerate(draft.tallies):
            counts["stored"][place] -= again[stream]
            counts["duplicates"][place] += again[stream]
        await cur.execute(_SQL["tally"], [list(draft.tallies), [hour] * len(draft.tallies), *counts.values()])
    if draft.gaps:
        gaps, devices = draft.gaps, draft.registry.devices
        keys = [None if gap.device is None else devices[gap.device].key for gap in gaps]
        columns: list[list[Any]] = [[gap.client for gap in gaps], [gap.lane for gap in gaps], keys]
        columns += [[to_datetime(gap.since) for gap in gaps], [to_datetime(gap.until) for gap in gaps]]
        await cur.execute(_SQL["gaps"], [*columns, [gap.cause for gap in gaps], [gap.items for gap in gaps]])


async def _put_events(cur: Cursor, draft: Draft) -> None:
    if draft.events:
        rows = draft.events
        devices = [draft.registry.devices[row.reading.series.device].key for row in rows]
        places: list[list[Any]] = [[r.stream for r in rows], [r.seq for r in rows], [r.n for r in rows], devices]
        names = [[r.reading.series.point for r in rows], [r.reading.series.instance for r in rows]]
        times = [[to_datetime(r.reading.at) for r in rows], [to_datetime(r.reading.received_at) for r in rows]]
        values: list[list[Any]] = [
            [r.reading.value for r in rows],
            [r.reading.text for r in rows],
            [int(r.reading.quality) for r in rows],
            [None if r.reading.edge_at is None else to_datetime(r.reading.edge_at) for r in rows],
        ]
        await cur.execute(_SQL["events"], [*places, *names, *times, *values])


async def _put_quarantine(cur: Cursor, draft: Draft) -> None:
    if draft.quarantined:
        columns = [list(column) for column in zip(*draft.quarantined, strict=True)]
        columns[0] = [_quarantine_time(at) for at in columns[0]]
        await cur.execute(_SQL["quarantine"], columns)


def _quarantine_time(at: Micros | None) -> datetime | None:
    """The edge's time of a reject, where it is one that a timestamp can hold."""
    try:
        return _moment(at)
    except OverflowError:
        return None


async def _put_states(cur: Cursor, draft: Draft, series: SeriesKeys) -> None:
    if draft.latest:
        rows = sorted((series[name], latest) for name, latest in draft.latest.items())
        received = to_datetime(draft.now)
        await cur.execute(
            _SQL["point_states"],
            [
                [key for key, _ in rows],
                [to_datetime(latest.at) for _, latest in rows],
                [received] * len(rows),
                [latest.value for _, latest in rows],
                [latest.text for _, latest in rows],
                [int(latest.quality) for _, latest in rows],
                [to_datetime(latest.changed_at) for _, latest in rows],
                [to_datetime(latest.stored_at) for _, latest in rows],
            ],
        )
    devices = draft.registry.devices
    if draft.watches:
        watches = sorted((devices[key.device].key, key, watch) for key, watch in draft.watches.items())
        columns: list[list[Any]] = [[k for k, _, _ in watches], [key.definition for _, key, _ in watches]]
        columns += [[key.instance for _, key, _ in watches], [watch.holds for *_, watch in watches]]
        columns += [[to_datetime(getattr(watch, name)) for *_, watch in watches] for name in ("since", "judged_at")]
        await cur.execute(_SQL["conditions"], columns)
    if draft.live:
        lives = sorted((devices[device].key, live) for device, live in draft.live.items())
        await cur.execute(
            _SQL["device_states"],
            [
                [key for key, _ in lives],
                [_moment(live.heard) for _, live in lives],
                [live.link.state for _, live in lives],
                [live.link.cause for _, live in lives],
                [to_datetime(live.link_since) for _, live in lives],
                [live.function for _, live in lives],
                [live.function_reason for _, live in lives],
                [to_datetime(live.function_since) for _, live in lives],
            ],
        )


async def _put_tests(cur: Cursor, draft: Draft) -> None:
    opened = [trial.id for trial in draft.opened()]
    if opened:
        await cur.execute(_SQL["open_tests"], {"ids": opened, "now": to_datetime(draft.now)})
    if draft.passed:
        await cur.execute(_SQL["pass_tests"], [list(draft.passed)])
        keys = sorted(draft.registry.devices[device].key for device in draft.passed.values())
        await cur.execute(_SQL["commission"], [keys])
    if draft.expired:
        await cur.execute(_SQL["expire_tests"], [list(draft.expired), [why for _, why in draft.expired.values()]])


async def _put_alarms(cur: Cursor, draft: Draft) -> None:
    """Alarms in the order of their ids, like everybody who locks several; a few statements, however many there are."""
    touched = sorted(draft.touched.values(), key=lambda pair: pair[1].id)
    moved = [pair for pair in touched if pair[0] > 0]
    if moved:
        await alarms.lock_all(cur, [alarm.id for _, alarm in moved])
        if await alarms.put_moved(cur, moved) != len(moved):
            raise Conflict("a person or a timer moved this alarm in the meantime")
    raised = [alarm for base, alarm in touched if base == 0]
    if raised:
        devices = [draft.registry.devices[alarm.device] for alarm in raised]
        places = [(device.key, device.institution_key) for device in devices]
        stored = await alarms.put_new(cur, raised, places)
        if len(stored) != len(raised):
            raise Taken({alarm.id for alarm in raised} - stored)
    if draft.transitions:
        await alarms.put_transitions(cur, draft.transitions)
    await escalation.begin(cur, list(draft.begin))
    await escalation.stop_all(cur, [escalation.Stop(id_, draft.stop[id_]) for id_ in sorted(draft.stop)])


Refusal = (psycopg.DataError, psycopg.IntegrityError)
"""What a row that the database refuses raises."""

__all__ = [
    "Loaded",
    "Overtaken",
    "Refusal",
    "SeriesKeys",
    "Taken",
    "commit",
    "load",
    "load_alarms",
    "load_exercises",
    "rehearse",
    "requested_tests",
    "streams_named",
]
