"""One transaction of a lane: a draft with all its rows, or nothing of it.

The statements go in as few round trips as their answers allow (`hub.store.together`): what locks and may be refused first, then the readings,
then the rest, and alarms with their escalations where there are any.
"""

import contextlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

from hub.core.draft import Draft, only_heard
from hub.core.lane import Live
from hub.core.normalise import Latest
from hub.core.rows import HOUR, Tally
from hub.errors import Conflict
from hub.model import SECOND, Micros, Reading, Series, to_datetime
from hub.store import alarms, escalation, exercises, hours
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.readings import Cursor, SeriesKeys, copy, stage
from hub.store.together import Asked, together

_SQL = queries("lanes")

Refusal = (psycopg.DataError, psycopg.IntegrityError)
"""What a row that the database refuses raises."""


def _moment(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)


class Taken(Conflict):
    """Ended alarms have the ids that new ones would get: `ids`."""

    def __init__(self, ids: set[UUID]) -> None:
        super().__init__(f"{len(ids)} alarms began at the instant of one that has ended")
        self.ids = ids


class Held(Conflict):
    """Somebody else holds a row that this writes, or a whole table, for longer than it may wait."""


class Overtaken(Conflict):
    """Streams that the database knows to be further, or another client's: `streams`."""

    def __init__(self, streams: Sequence[str]) -> None:
        super().__init__(f"somebody else wrote stream {streams[0]}")
        self.streams = streams


async def commit(
    conn: Connection,
    draft: Draft,
    series: SeriesKeys,
    before_commit: Callable[[], None],
    patience: timedelta | None = None,
) -> None:
    """Write a draft: all of it or nothing. `patience`: how long it may wait for what somebody else holds, where that is less than the connection's.

    Raises Conflict when somebody else moved one of the alarms (load them again and judge again), Taken when an ended alarm has the id of a
    new one, Overtaken when the state is older than the database or a stream is another client's (load all again), Held where somebody holds what it
    writes (leave that out), psycopg.DataError or IntegrityError for a row
    that the database refuses (halve the batch), psycopg.OperationalError when the database has gone. `series` gains the keys of new series.
    """
    store = copy
    while True:
        try:
            await _write(conn, draft, series, before_commit, store, patience)
        except errors.UniqueViolation as error:
            if store is copy and (error.diag.table_name or "").startswith("_hyper"):
                store = stage
                continue
            if error.diag.constraint_name == "alarm_active":
                raise Conflict("another process raised this alarm") from None
            raise
        except errors.DeadlockDetected:
            raise Conflict("a person and this lane waited for each other") from None
        except errors.LockNotAvailable:
            raise Held("somebody holds a row that this lane writes") from None
        return


async def rehearse(conn: Connection, draft: Draft, series: SeriesKeys, patience: timedelta | None = None) -> None:
    """Write a draft and take it back: raises a `Refusal` where the database would refuse it, Held where it would have to wait for longer than
    `patience`. An occupied (series, at) is no refusal.
    """
    try:
        with contextlib.suppress(_TakenBack):
            await _write(conn, draft, series, _take_back, stage, patience)
    except errors.LockNotAvailable:
        raise Held("somebody holds a row that this lane writes") from None


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
    patience: timedelta | None,
) -> None:
    async with conn.transaction(), conn.cursor() as cur:
        if patience is not None:
            await cur.execute(_SQL["patience"], [f"{patience // timedelta(milliseconds=1)}ms"])
        added = await _begin(cur, draft, series)
        keys = series | added if added else series
        doubled = await store(cur, draft.readings, keys) if draft.readings else []
        rows = [*_tallies(draft, doubled), *_gaps(draft), *_events(draft), *_quarantined(draft)]
        rows += [*_points(draft, keys), *_conditions(draft), *_devices(draft), *_clocks(draft)]
        rows += _tests(draft)
        await together(cur, *rows)
        await _put_alarms(cur, draft)
        await hours.put(cur, draft.armed)
        await exercises.put(cur, draft)
        if draft.changes:
            kinds, institutions, payloads = zip(*draft.changes, strict=True)
            await cur.execute(_SQL["changes"], [list(kinds), list(institutions), [Jsonb(p) for p in payloads]])
        before_commit()
    series.update(added)


async def _begin(cur: Cursor, draft: Draft, series: SeriesKeys) -> SeriesKeys:
    """Lock the devices, move the streams, and name what has no key yet: returns those. Raises Overtaken."""
    spoken = (*draft.latest, *(reading.series for reading in draft.readings))
    missing = sorted({name for name in spoken if name not in series})
    streams = _streams(draft)
    answers = await together(cur, *_locks(draft), *_new_series(draft, missing), *streams)
    if streams and answers[-1].touched != len(draft.streams):
        raise Overtaken(list(draft.streams))
    if not missing:
        return {}
    devices = draft.registry.devices
    by_key = {devices[name.device].key: name.device for name in missing}
    found = answers[-1 - len(streams)].rows
    return {Series(by_key[device], point, instance): key for key, device, point, instance in found}


def _locks(draft: Draft) -> list[Asked]:
    """Lanes that touch the same rows take them in the same order, or they deadlock. Who was only heard is written in order anyhow."""
    keys = sorted(
        {draft.registry.devices[device].key for device, live in draft.live.items() if not _heard(draft, device, live)}
    )
    return [Asked(_SQL["lock_device_states"], [keys])] if keys else []


def _new_series(draft: Draft, missing: Sequence[Series]) -> list[Asked]:
    if not missing:
        return []
    keys = [draft.registry.devices[name.device].key for name in missing]
    return [Asked(_SQL["series"], [keys, [m.point for m in missing], [m.instance for m in missing]])]


def _heard(draft: Draft, device: str, live: Live) -> bool:
    """Whether nothing is to be written of a device but that it was heard."""
    before = draft.state.live.get(device)
    return before is not None and only_heard(before, live)


def _streams(draft: Draft) -> list[Asked]:
    if not draft.streams:
        return []
    rows = list(draft.streams.values())
    columns: list[list[Any]] = [list(draft.streams), [r.client for r in rows], [r.lane for r in rows]]
    columns += [[r.upto for r in rows], [r.newest_at for r in rows], [r.counted for r in rows]]
    columns += [[r.given for r in rows], [r.beat_at for r in rows], [r.drop_from for r in rows]]
    return [Asked(_SQL["move_streams"], [*columns, [r.drop_items for r in rows]])]


_TALLIED = tuple(field.name for field in fields(Tally))


def _tallies(draft: Draft, doubled: Sequence[int]) -> list[Asked]:
    """The hour's counts. Readings that the table had already (numbers in `doubled`) were judged as stored and are duplicates."""
    if not draft.tallies:
        return []
    hour = to_datetime(draft.now // HOUR * HOUR)
    starts = [start for start, _ in draft.runs]
    again = Counter(draft.runs[bisect_right(starts, n) - 1][1] for n in doubled)
    counts = {name: [getattr(tally, name) for tally in draft.tallies.values()] for name in _TALLIED}
    for place, stream in enumerate(draft.tallies):
        counts["stored"][place] -= again[stream]
        counts["duplicates"][place] += again[stream]
    return [Asked(_SQL["tally"], [list(draft.tallies), [hour] * len(draft.tallies), *counts.values()])]


def _gaps(draft: Draft) -> list[Asked]:
    if not draft.gaps:
        return []
    gaps, devices = draft.gaps, draft.registry.devices
    keys = [None if gap.device is None else devices[gap.device].key for gap in gaps]
    columns: list[list[Any]] = [[gap.client for gap in gaps], [gap.lane for gap in gaps], keys]
    columns += [[to_datetime(gap.since) for gap in gaps], [to_datetime(gap.until) for gap in gaps]]
    return [Asked(_SQL["gaps"], [*columns, [gap.cause for gap in gaps], [gap.items for gap in gaps]])]


def _events(draft: Draft) -> list[Asked]:
    if not draft.events:
        return []
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
    return [Asked(_SQL["events"], [*places, *names, *times, *values])]


def _quarantined(draft: Draft) -> list[Asked]:
    if not draft.quarantined:
        return []
    columns = [list(column) for column in zip(*draft.quarantined, strict=True)]
    columns[0] = [_quarantine_time(at) for at in columns[0]]
    return [Asked(_SQL["quarantine"], columns)]


def _quarantine_time(at: Micros | None) -> datetime | None:
    """The edge's time of a reject, where it is one that a timestamp can hold."""
    try:
        return _moment(at)
    except OverflowError:
        return None


def _points(draft: Draft, series: SeriesKeys) -> list[Asked]:
    if not draft.latest:
        return []
    received, before = to_datetime(draft.now), draft.state.latest
    again, rows = list[tuple[int, Micros]](), list[tuple[int, Latest]]()
    for name, latest in draft.latest.items():
        known = before.get(name)
        if known is not None and latest[1:] == known[1:]:
            again.append((series[name], latest.at))  # the same was read again, and is not worth a row
        else:
            rows.append((series[name], latest))
    again.sort()
    rows.sort()
    asked = []
    if again:
        asked.append(Asked(_SQL["points_again"], [received, [key for key, _ in again], [at for _, at in again]]))
    if rows:
        columns: list[list[Any]] = [[key for key, _ in rows], [latest.at for _, latest in rows]]
        columns += [[latest.value for _, latest in rows], [latest.text for _, latest in rows]]
        columns += [[int(latest.quality) for _, latest in rows], [latest.changed_at for _, latest in rows]]
        columns += [[latest.stored_at for _, latest in rows]]
        asked.append(Asked(_SQL["point_states"], [received, *columns]))
    return asked


def _conditions(draft: Draft) -> list[Asked]:
    if not draft.watches:
        return []
    devices = draft.registry.devices
    watches = sorted((devices[key.device].key, key, watch) for key, watch in draft.watches.items())
    columns: list[list[Any]] = [[k for k, _, _ in watches], [key.definition for _, key, _ in watches]]
    columns += [[key.instance for _, key, _ in watches], [watch.holds for *_, watch in watches]]
    columns += [[to_datetime(getattr(watch, name)) for *_, watch in watches] for name in ("since", "judged_at")]
    return [Asked(_SQL["conditions"], columns)]


def _devices(draft: Draft) -> list[Asked]:
    heard, lives = list[tuple[int, Micros | None]](), list[tuple[int, Live]]()
    for device, live in draft.live.items():
        key = draft.registry.devices[device].key
        if _heard(draft, device, live):
            heard.append((key, live.heard))
        else:
            lives.append((key, live))
    heard.sort()
    lives.sort()
    asked = []
    if heard:
        asked.append(Asked(_SQL["heard"], [[key for key, _ in heard], [at for _, at in heard]]))
    if lives:
        columns: list[list[Any]] = [[key for key, _ in lives], [_moment(live.heard) for _, live in lives]]
        columns += [[live.link.state for _, live in lives], [live.link.cause for _, live in lives]]
        columns += [[to_datetime(live.link_since) for _, live in lives], [live.function for _, live in lives]]
        columns += [[live.function_reason for _, live in lives]]
        asked.append(Asked(_SQL["device_states"], [*columns, [to_datetime(live.function_since) for _, live in lives]]))
    return asked


def _clocks(draft: Draft) -> list[Asked]:
    """What is newly known of devices' own clocks."""
    if not draft.clocks:
        return []
    clocks = sorted((draft.registry.devices[device].key, clock) for device, clock in draft.clocks.items())
    columns: list[list[Any]] = [[key for key, _ in clocks], [clock.ahead / SECOND for _, clock in clocks]]
    columns += [[to_datetime(getattr(clock, name)) for _, clock in clocks] for name in ("said_at", "read_at", "since")]
    return [Asked(_SQL["clocks"], [*columns, [c.reader for _, c in clocks], [c.wrong for _, c in clocks]])]


def _tests(draft: Draft) -> list[Asked]:
    asked = []
    opened = [trial.id for trial in draft.opened()]
    if opened:
        asked.append(Asked(_SQL["open_tests"], {"ids": opened, "now": to_datetime(draft.now)}))
    if draft.passed:
        asked.append(Asked(_SQL["pass_tests"], [list(draft.passed)]))
        tested = {
            device.key: device.profile for id in draft.passed.values() for device in (draft.registry.devices[id],)
        }
        keys = sorted(tested)
        asked.append(Asked(_SQL["commission"], [keys, [Jsonb(sorted(tested[key].shown_by_test)) for key in keys]]))
    if draft.expired:
        asked.append(Asked(_SQL["expire_tests"], [list(draft.expired), [why for _, why in draft.expired.values()]]))
    return asked


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
