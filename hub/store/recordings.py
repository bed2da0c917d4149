"""The proof of recordings: rolling readings up into days of China, and the state that follows for each camera (hub.core.recordings)."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from hub.core.recordings import DAY, Camera, FloorOf, Held, Recorder, State, states
from hub.core.rights import Scope
from hub.core.rota import local_day, midnight
from hub.model import Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("recordings")
_LOCK = 0x666F6F74  # "foot": one process rolls at a time


class Roller:
    """One autocommit connection that rolls up. Every method raises LinkDown when the connection is gone."""

    def __init__(self, conn: Connection, profiles: Mapping[str, Profile]) -> None:
        self._conn = conn
        self._cameras = sorted(name for name, one in profiles.items() if "video.live" in one.capabilities)
        self._recorders = sorted(name for name, one in profiles.items() if "video.record" in one.capabilities)

    async def is_alone(self) -> bool:
        """True where no other process rolls; from then on until this connection ends no other one will."""
        with translated():
            row = await one_row(self._conn, _SQL["lock"], {"key": _LOCK})
        return row is not None and bool(row["held"])

    async def roll(self, after: int, limit: int, days: Sequence[date], at: Micros, floor_of: FloorOf) -> int | None:
        """Roll the next `limit` institutions after the key `after`, in one transaction; the last one's key, None where none is left."""
        with translated():
            async with self._conn.transaction():
                places = await all_rows(self._conn, _SQL["institutions"], {"after": after, "limit": limit})
                if places:
                    await self._roll(places, days, at, floor_of)
        return places[-1]["key"] if places else None

    async def _roll(self, places: Sequence[Row], days: Sequence[date], at: Micros, floor_of: FloorOf) -> None:
        keys = [row["key"] for row in places]
        asked = {"institutions": keys, "cameras": self._cameras, "recorders": self._recorders}
        devices = await all_rows(self._conn, _SQL["devices"], asked)
        cameras = [row["key"] for row in devices if row["is_camera"]]
        recorders = [row["key"] for row in devices if row["is_recorder"]]
        for day in days:
            begin, end = midnight(day), min(midnight(day) + DAY, at)
            if end > begin:
                span = {"day": day, "begin": to_datetime(begin), "end": to_datetime(end)}
                await self._conn.execute(_SQL["roll_figures"], span | {"devices": recorders})
                await self._conn.execute(_SQL["roll_bad"], span | {"devices": cameras})
        today = {"day": local_day(at)}
        figures = await all_rows(self._conn, _SQL["figures"], today | {"devices": recorders})
        bad = {
            row["device"]: float(row["seconds"])
            for row in await all_rows(self._conn, _SQL["bad"], today | {"devices": cameras})
        }
        rows: list[dict[str, Any]] = []
        for place in places:
            mine = [row for row in devices if row["institution"] == place["key"]]
            floor = floor_of(place["division"], place["type"], at)
            found = states(_cameras(mine, bad), _recorders(mine, figures), floor, at)
            rows += [_row(one, floor) for one in found]
        now = to_datetime(at)
        await self._conn.execute(_SQL["put"], {"rows": Jsonb(rows), "at": now})
        by_id = {row["id"]: row["key"] for row in devices}
        await self._conn.execute(_SQL["forget"], {"institutions": keys, "kept": [by_id[row["device"]] for row in rows]})


def _cameras(devices: Sequence[Row], bad: Mapping[int, float]) -> list[Camera]:
    return [
        Camera(row["id"], to_micros(row["installed_at"]), bad.get(row["key"], 0.0), row["recorded_by"])
        for row in devices
        if row["is_camera"]
    ]


def _recorders(devices: Sequence[Row], figures: Sequence[Row]) -> list[Recorder]:
    found = []
    for row in devices:
        if not row["is_recorder"]:
            continue
        mine = [one for one in figures if one["device"] == row["key"]]
        history = tuple(Held(to_micros(one["read_at"]), one["days"]) for one in mine if one["days"] is not None)
        gaps = next((one["gap_seconds"] for one in reversed(mine) if one["gap_seconds"] is not None), 0.0)
        told = next((one for one in reversed(mine) if one["days"] is not None), None)
        read_at = None if told is None else to_micros(told["read_at"])
        newest_at = None if told is None or told["newest_at"] is None else to_micros(told["newest_at"])
        found.append(Recorder(row["id"], to_micros(row["installed_at"]), history, gaps, read_at, newest_at))
    return found


def _row(one: State, floor: float) -> dict[str, Any]:
    told = asdict(one.forecast)
    given = {
        **{key: value for key, value in asdict(one).items() if key != "forecast"},
        "floor_days": floor,
        "outlook": told["outlook"],
        "counted_days": told["days"],
        "needed_days": told["needed"],
        **{key: told[key] for key in ("a_day", "short_at", "full_at", "days_then")},
    }
    moments = ("installed_at", "read_at", "newest_at", "short_at", "full_at")
    return given | {key: None if given[key] is None else to_datetime(given[key]).isoformat() for key in moments}


class RecordingRow(NamedTuple):
    """What `hub.core.coverage.facts.RecordingFact` is made of. Days and seconds; moments are microseconds."""

    device: str
    recorder: str | None
    days: float | None
    possible: float | None
    gap_seconds: float | None
    bad_seconds: float | None
    read_at: Micros | None
    newest_at: Micros | None
    installed_at: Micros


async def recordings(conn: Connection, institutions: Collection[int]) -> dict[int, list[RecordingRow]]:
    """How the recordings of these institutions (their keys) stand, as last rolled up."""
    found: dict[int, list[RecordingRow]] = {key: [] for key in institutions}
    for row in await all_rows(conn, _SQL["facts"], {"keys": list(institutions)}):
        moments: dict[str, Any] = {
            name: None if (at := row.pop(name)) is None else to_micros(at)
            for name in ("read_at", "newest_at", "installed_at")
        }
        found[row.pop("institution")].append(RecordingRow(**row, **moments))
    return found


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: str | None,
    institution: str | None,
    division: str | None,
    outlook: str | None,
) -> list[Row]:
    """States by device id, within a scope."""
    asked = {"scope": Jsonb(scope.as_json()), "limit": limit, "after": after}
    return await all_rows(
        conn, _SQL["listed"], asked | {"institution": institution, "division": division, "outlook": outlook}
    )


@asynccontextmanager
async def open_roller(database_url: str, profiles: Mapping[str, Profile]) -> AsyncIterator[Roller]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "recordings", autocommit=True)
    try:
        yield Roller(conn, profiles)
    finally:
        await conn.close()
