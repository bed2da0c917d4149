"""The watcher's own connection: it looks at what is silent, keeps what was concluded, and moves the alarms of areas and what is under them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

import structlog
from psycopg.types.json import Jsonb

from hub.core.blindness import BLIND, Area, Cause, Client, Failing, Heard, Mains, Site
from hub.core.blindness_plan import Found, Look, Open, Plan, Standing
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store.blindness import to_json
from hub.store.blindness_lines import LineWatch
from hub.store.blindness_parts import PartWatch
from hub.store.blindness_returns import ReturnWatch
from hub.store.blindness_roots import Place, Roots, clear, pairs
from hub.store.pool import Connection, connect, cut
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row
from hub.store.session import translated

_SQL = queries("blindness")
_log = structlog.get_logger(__name__)
_CLASS = 0x414E5942  # "ANYB"
PATH_PROFILE = "anxin-path"
PATHS = "anxin-path-"
_ROOTS = {Cause.CARRIER: "carrier_lost", Cause.DISTRICT: "district_lost", Cause.BROKER: "broker_lost"}
_ROOT = "link_lost"
"""of an area whose cause is undetermined"""
_FRESH = timedelta(minutes=15)
"""older, what a UPS said last says nothing of the moment in which its edge fell silent"""
_KEEP = timedelta(days=400)


class _Row(NamedTuple):
    """A client's row as it stands."""

    key: int
    area: int | None
    cause: str
    evidence: list[Any]


class Watch:
    """One watcher's view of the database. Every method raises LinkDown when the connection is gone, Conflict when somebody was quicker."""

    def __init__(self, conn: Connection, profiles: Mapping[str, Profile]) -> None:
        self._conn = conn
        self._profiles = profiles
        self._path = profiles.get(PATH_PROFILE)
        self._mains = pairs(
            [(p.profile, name) for p in profiles.values() for name, alarm in p.alarms.items() if alarm.tells]
        )
        self.roots = Roots(self._transaction, profiles)
        self.lines = LineWatch(self._transaction, profiles, self.roots)
        self.parts = PartWatch(self._transaction, profiles, self.roots)
        self.returns = ReturnWatch(self._transaction, profiles)
        self._rows: dict[str, _Row] = {}

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        with translated():
            async with self._conn.transaction():
                yield self._conn

    def cut(self) -> None:
        """Give the connection up: whatever waits for its answer ends with an error."""
        cut(self._conn)

    async def lead(self) -> bool:
        """Whether this is the one watcher, for the life of its connection."""
        async with self._transaction() as conn:
            row = await (await conn.execute(_SQL["lead"], {"class": _CLASS})).fetchone()
        return row is not None and bool(row[0])

    async def stirred(self) -> tuple[int, Any]:
        """Differs from the last answer where something fell silent or came back."""
        async with self._transaction() as conn:
            row = await (await conn.execute(_SQL["stirred"])).fetchone()
        assert row is not None
        return row[0], row[1]

    # looking -----------------------------------------------------------------------------------------------------

    async def look(self, now: Micros) -> Look:
        """All that is known now."""
        async with self._transaction() as conn:
            parents = {row["code"]: row["parent"] for row in await all_rows(conn, _SQL["divisions"])}
            rows = await all_rows(conn, _SQL["clients"])
            gaps = await all_rows(
                conn, _SQL["gaps"], {"longer": timedelta(microseconds=BLIND), "now": to_datetime(now)}
            )
            open_rows = await all_rows(conn, _SQL["open_clients"])
            areas = await all_rows(conn, _SQL["open_areas"])
            clients = {row["id"]: self._client(row) for row in rows if row["last"] is not None}
            silent = sorted({one.institution for one in clients.values() if one.state is Heard.SILENT})
            mains = await all_rows(conn, _SQL["mains"], self._mains | {"institutions": silent})
        sites = {row["institution"]: _site(row, parents) for row in rows}
        by_partition: dict[int, list[tuple[Micros, Micros]]] = {}
        for row in gaps:
            by_partition.setdefault(row["partition"], []).append((to_micros(row["since"]), to_micros(row["until"])))
        last = {one.institution: one.last for one in clients.values()}
        self._rows = {row["client"]: _Row(row["key"], row["area"], row["cause"], row["evidence"]) for row in open_rows}
        return Look(
            now,
            sites,
            clients,
            [one for one in (_mains(row, last[row["institution"]]) for row in mains) if one is not None],
            {row["institution"]: by_partition.get(row["partition"], []) for row in rows},
            [_standing(row) for row in areas],
            [Open(row["key"], row["client"], row["area"]) for row in open_rows],
        )

    def _client(self, row: Row) -> Client:
        profile = self._profiles.get(row["profile"])
        beat = 10 * SECOND if profile is None else profile.liveness.beat
        if row["link_state"] == "online":
            state = Heard.HEARD
        else:
            state = Heard.SILENT if row["link_cause"] in ("edge", "uplink") else Heard.UNKNOWN
        closed = row["session_ended_at"]
        times = to_micros(row["last"]), to_micros(row["link_since"]), beat
        return Client(row["id"], row["institution"], state, *times, None if closed is None else to_micros(closed))

    # keeping -----------------------------------------------------------------------------------------------------

    async def keep(self, plan: Plan, now: Micros) -> int:
        """Write what `plan` says and clear, or raise, the alarms of areas; returns how many rows were written.

        What is over comes first: whatever may be wrong with the rest, nothing stays hidden for it.
        """
        if plan.ended:
            await self._end(plan.ended, now)
        written = 0
        for number, failing in enumerate(plan.begun):
            members = [found for found in plan.found if found.begun == number]
            written += await self._begin(failing, members, now)
        rows = [found for found in plan.found if found.begun is None and self._is_news(found)]
        if rows or plan.back:
            async with self._transaction() as conn:
                written += await self._put(conn, rows)
                await conn.execute(_SQL["end_clients"], {"keys": plan.back, "now": to_datetime(now)})
                keys = sorted({found.area for found in rows if found.area is not None})
                await conn.execute(_SQL["grow_areas"], {"keys": keys})
        return written + len(plan.back) + len(plan.ended)

    def _is_news(self, found: Found) -> bool:
        row = self._rows.get(found.client)
        evidence = to_json(found.weighed.evidence).obj
        if row is None or (found.area is not None and found.area != row.area):
            return True
        return (row.cause, row.evidence) != (found.weighed.cause, evidence)

    async def _put(self, conn: Connection, rows: Sequence[Found], area: int | None = None) -> int:
        if not rows:
            return 0
        given = [
            {
                "client": found.client,
                "area": found.area if area is None else area,
                "cause": found.weighed.cause,
                "evidence": to_json(found.weighed.evidence).obj,
                "since": to_datetime(found.since).isoformat(),
            }
            for found in sorted(rows)
        ]
        await conn.execute(_SQL["put_clients"], {"rows": Jsonb(given)})
        return len(given)

    async def _begin(self, failing: Failing, members: Sequence[Found], now: Micros) -> int:
        """An area fails: its row, its sites under it, its alarm. All in one transaction, so that nothing is hidden under a root that is not there."""
        async with self._transaction() as conn:
            device, name = await _path(conn, failing.area, now)
            given = failing.area._asdict() | {"device": device, "cause": failing.cause}
            given |= {"division": failing.area.division or None, "evidence": to_json(failing.evidence)}
            given |= {"since": to_datetime(failing.first), "latest": to_datetime(failing.latest)}
            row = await one_row(conn, _SQL["put_area"], given)
            assert row is not None
            await self._put(conn, members, row["key"])
            owner = await one_row(conn, _SQL["path_owner"], {"device": device})
            assert owner is not None
            place = Place(device, name, owner["key"], owner["id"])
            alarm = await self._raise(conn, row["key"], place, failing.cause, now)
            said = {"path": name, "cause": failing.cause, "state": "began", "silent": len(failing.sites)}
            await conn.execute(_SQL["say"], {"rows": Jsonb([{"institution": place.institution, "payload": said}])})
        _log.warning("blindness.area", path=name, cause=failing.cause, sites=len(failing.sites), alarm=str(alarm))
        return len(members) + 1

    async def _raise(self, conn: Connection, row: int, place: Place, cause: Cause, now: Micros) -> UUID | None:
        name = _ROOTS.get(cause, _ROOT)
        definition = None if self._path is None else self._path.alarms.get(name)
        if definition is None:
            _log.error("blindness.profile_missing", profile=PATH_PROFILE, definition=name)
            return None
        return await self.roots.begin(conn, row, place, (name, ""), definition, now)

    async def _end(self, areas: Sequence[int], now: Micros) -> None:
        """Areas are over: their alarms clear."""
        async with self._transaction() as conn:
            for row in await all_rows(conn, _SQL["end_areas"], {"keys": list(areas), "now": to_datetime(now)}):
                await conn.execute(_SQL["path_back"], {"device": row["device"], "now": to_datetime(now)})
                await clear(conn, row["alarm"], now)
                _log.info("blindness.area_over", alarm=str(row["alarm"]))

    async def forget(self, now: Micros) -> None:
        """Drop what is older than 400 days."""
        async with self._transaction() as conn:
            await conn.execute(_SQL["forget"], {"older": _KEEP, "now": to_datetime(now)})


def _site(row: Row, parents: Mapping[str, str | None]) -> Site:
    places: list[str] = []
    place: str | None = row["division"]
    while place is not None and place not in places:
        places.append(place)
        place = parents.get(place)
    uplink = row["uplink"] or {}
    return Site(row["institution"], tuple(places), uplink.get("carrier") or "", uplink.get("access") or "")


def _mains(row: Row, last: Micros) -> Mains | None:
    lost = to_micros(row["since"]) if row["holds"] else None
    if lost is None and to_micros(row["judged_at"]) < last - round(_FRESH.total_seconds()) * SECOND:
        return None
    return Mains(row["device"], row["institution"], lost)


def _standing(row: Row) -> Standing:
    area = Area(row["division"] or "", row["carrier"] or "", row["access"] or "")
    back = None if row["last_return"] is None else to_micros(row["last_return"])
    return Standing(
        row["key"], area, frozenset(row["members"] or ()), to_micros(row["since"]), to_micros(row["latest"]), back
    )


def path_id(area: Area) -> str:
    """The identifier of the device that the alarm of an area stands at; 40 characters at most."""
    name = PATHS + "-".join(part for part in (area.division or "all", area.carrier, area.access) if part)
    return name if len(name) <= 40 else f"{name[:31]}-{crc32(name.encode()):08x}"


async def _path(conn: Connection, area: Area, now: Micros) -> tuple[int, str]:
    """Key and id of that device; it is made with its institution where it is not there yet."""
    division: str | None = area.division or None
    if division is None:
        top = await one_row(conn, _SQL["top"])
        assert top is not None, "an area without divisions"
        division = top["code"]
    owner = await one_row(conn, _SQL["put_institution"], {"id": f"{PATHS}{division}", "division": division})
    assert owner is not None, f"division {division} has gone"
    name = path_id(area)
    given = {"id": name, "institution": owner["key"], "settings": Jsonb(area._asdict())}
    device = await one_row(conn, _SQL["put_path"], given)
    assert device is not None
    await conn.execute(_SQL["put_path_state"], {"device": device["key"], "now": to_datetime(now)})
    return device["key"], name


@asynccontextmanager
async def open_watch(database_url: str, profiles: Mapping[str, Profile]) -> AsyncIterator[Watch]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "blindness", autocommit=True)
    try:
        yield Watch(conn, profiles)
    finally:
        await conn.close()
