"""The watcher's own connection: it looks at what is silent, keeps what was concluded, and moves the alarms of areas and what is under them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

import structlog
from psycopg.types.json import Jsonb

from hub.core import hidings
from hub.core.alarms import AlarmEvent, AlarmState, announcement, open_alarm, step
from hub.core.blindness import (
    BLIND,
    Area,
    Cause,
    Client,
    Evidence,
    Failing,
    Heard,
    Mains,
    OnLine,
    Site,
    Weighed,
    is_child,
    weigh_line,
    weigh_return,
)
from hub.core.blindness_plan import Found, Look, Open, Plan, Standing
from hub.errors import Conflict
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store import alarms, escalation
from hub.store.blindness import to_json
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
_AT_ONCE = 50
"""alarms moved in one transaction: a lane that waits for one of them waits for so many"""
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
        mains = [(p.profile, name) for p in profiles.values() for name, alarm in p.alarms.items() if alarm.tells]
        children = [
            (p.profile, name)
            for p in profiles.values()
            for name, alarm in p.alarms.items()
            if is_child(alarm.signal_class, alarm.point)
        ]
        self._mains = _pairs(mains)
        self._children = _pairs(children)
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
            alarm = await self._raise(conn, device, name, failing.cause, now)
            await conn.execute(_SQL["give_alarm"], {"key": row["key"], "alarm": alarm})
            said = {"path": name, "cause": failing.cause, "state": "began", "silent": len(failing.sites)}
            await conn.execute(
                _SQL["say"], {"rows": Jsonb([{"institution": await _owner(conn, device), "payload": said}])}
            )
        _log.warning("blindness.area", path=name, cause=failing.cause, sites=len(failing.sites), alarm=str(alarm))
        return len(members) + 1

    async def _raise(self, conn: Connection, device: int, name: str, cause: Cause, now: Micros) -> UUID | None:
        """The root alarm: a new one, or another occurrence of the one that has not ended."""
        definition_name = _ROOTS.get(cause, _ROOT)
        definition = None if self._path is None else self._path.alarms.get(definition_name)
        if definition is None:
            _log.error("blindness.profile_missing", profile=PATH_PROFILE, definition=definition_name)
            return None
        standing = await one_row(conn, _SQL["standing_root"], {"device": device, "definition": definition_name})
        if standing is not None:
            root: UUID = standing["id"]
            await alarms.act(conn, root, AlarmEvent.RAISE, "", "", now)
            return root
        alarm, transition = step(open_alarm(name, definition_name, "", definition, now, now), AlarmEvent.RAISE, now)
        owner = await one_row(conn, _SQL["path_owner"], {"device": device})
        assert owner is not None
        async with conn.cursor() as cur:
            if not await alarms.put_new(cur, [alarm], [(device, owner["key"])]):
                raise Conflict("an alarm of this instant is there already")
            await alarms.put_transitions(cur, [transition])
            said = {
                "kind": "alarm",
                "institution": owner["key"],
                "payload": Jsonb(announcement(alarm, transition, now)),
            }
            await cur.execute(_SQL["announce"], said)
            await escalation.begin(cur, [alarm.id])
        return alarm.id

    async def _end(self, areas: Sequence[int], now: Micros) -> None:
        """Areas are over: their alarms clear. What is still hidden under them is released by `release`, also after a kill in between."""
        async with self._transaction() as conn:
            for row in await all_rows(conn, _SQL["end_areas"], {"keys": list(areas), "now": to_datetime(now)}):
                await conn.execute(_SQL["path_back"], {"device": row["device"], "now": to_datetime(now)})
                if row["alarm"] is not None:
                    state = await one_row(conn, _SQL["alarm_state"], {"alarm": row["alarm"]})
                    if state is not None and state["state"] in ("unack_active", "ack_active"):
                        await alarms.act(conn, row["alarm"], AlarmEvent.CLEAR, "", "", now)
                _log.info("blindness.area_over", alarm=str(row["alarm"]))

    # what is under a root ----------------------------------------------------------------------------------------

    async def suppress(self, areas: Sequence[tuple[int, UUID]], now: Micros) -> int:
        """Hide the alarms of silent clients under the roots that explain them, some at a time; returns how many were moved."""
        moved = 0
        for area, root in areas:
            while True:
                asked = self._children | {"area": area, "limit": _AT_ONCE}
                by = partial(hidings.suppress, at=now, root=root, reason="its path has failed")
                done = await self._move("children", asked, by, now)
                moved += done
                if done < _AT_ONCE:
                    break
            while True:
                done = await self._move("over", {"root": root, "limit": _AT_ONCE}, partial(_answered, at=now), now)
                moved += done
                if done < _AT_ONCE:
                    break
        return moved

    async def release(self, now: Micros) -> int:
        """What hides under a root that is over is paged now where it still stands; returns how many were moved."""
        async with self._transaction() as conn:
            roots = [row["root"] for row in await all_rows(conn, _SQL["orphaned"])]
        moved = 0
        for root in roots:
            while True:
                done = await self._move(
                    "suppressed", {"root": root, "limit": _AT_ONCE}, partial(_released, at=now), now
                )
                moved += done
                if done < _AT_ONCE:
                    break
        return moved

    async def _move(self, which: str, asked: Mapping[str, Any], by: alarms.Move, now: Micros) -> int:
        async with self._transaction() as conn:
            found = [row["id"] for row in await all_rows(conn, _SQL[which], asked)]
            for alarm in found:
                await alarms.move(conn, alarm, by, now)
        return len(found)

    async def roots(self) -> list[tuple[int, UUID]]:
        """Areas that stand, with their alarms."""
        async with self._transaction() as conn:
            rows = await all_rows(conn, _SQL["open_areas"])
        return [(row["key"], row["alarm"]) for row in rows if row["alarm"] is not None]

    # lines, returns, what is old -----------------------------------------------------------------------------------

    async def weigh_lines(self, now: Micros) -> int:
        """Lines all of whose devices are silent; returns how many stand."""
        async with self._transaction() as conn:
            by_line: dict[int, list[Row]] = {}
            for row in await all_rows(conn, _SQL["lines"]):
                by_line.setdefault(row["key"], []).append(row)
            over, stand = [], 0
            for key, devices in by_line.items():
                if any(row["link_state"] == "unknown" for row in devices):
                    stand += devices[0]["row"] is not None
                    continue  # nothing is known: it stays as it is
                found = weigh_line(devices[0]["endpoint"], [self._on_line(row) for row in devices])
                if found is None:
                    over += [devices[0]["row"]] * (devices[0]["row"] is not None)
                    continue
                stand += 1
                names, weighed = found
                keys = sorted(row["device_key"] for row in devices if row["id"] in names)
                if devices[0]["devices"] == keys:
                    continue
                given = {
                    "endpoint": key,
                    "devices": keys,
                    "cause": weighed.cause,
                    "evidence": to_json(weighed.evidence),
                }
                await conn.execute(_SQL["put_line"], given | {"since": to_datetime(weighed.evidence[0].facts["since"])})
            if over:
                await conn.execute(_SQL["end_lines"], {"keys": over, "now": to_datetime(now)})
        return stand

    def _on_line(self, row: Row) -> OnLine:
        profile = self._profiles.get(row["profile"])
        beat = 30 * SECOND if profile is None else profile.liveness.beat
        silent = row["link_state"] == "offline" and row["link_cause"] == "device"
        return OnLine(row["id"], to_micros(row["last_heard_at"]), beat, silent)

    async def weigh_returns(self, now: Micros) -> None:
        """Silences of undetermined cause that are over: a program that was not started anew ran all the while."""
        async with self._transaction() as conn:
            for row in await all_rows(conn, _SQL["returned"], {"now": to_datetime(now)}):
                before = Weighed(
                    Cause(row["cause"]), tuple(Evidence(one["what"], one["facts"]) for one in row["evidence"])
                )
                after = weigh_return(before, row["restarted"])
                if after != before:
                    evidence = Jsonb([one._asdict() for one in after.evidence])
                    await conn.execute(_SQL["reweigh"], {"key": row["key"], "cause": after.cause, "evidence": evidence})

    async def forget(self, now: Micros) -> None:
        """Drop what is older than 400 days."""
        async with self._transaction() as conn:
            await conn.execute(_SQL["forget"], {"older": _KEEP, "now": to_datetime(now)})


def _answered(alarm: Any, *, at: Micros) -> Any:
    """It cleared while its root hid it: nobody was told, nobody has to answer."""
    return step(alarm, AlarmEvent.ACKNOWLEDGE, at, "hub", "cleared while its root stood")


def _released(alarm: Any, *, at: Micros) -> Any:
    if alarm.state is AlarmState.UNACK_CLEARED:
        return _answered(alarm, at=at)
    return hidings.unsuppress(alarm, at, "its root is over")


def _pairs(names: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {"profiles": [profile for profile, _ in names], "definitions": [name for _, name in names]}


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


async def _owner(conn: Connection, device: int) -> str:
    row = await one_row(conn, _SQL["path_owner"], {"device": device})
    assert row is not None
    return str(row["id"])


@asynccontextmanager
async def open_watch(database_url: str, profiles: Mapping[str, Profile]) -> AsyncIterator[Watch]:
    """Connect; raises LinkDown."""
    conn = await connect(database_url, "blindness", autocommit=True)
    try:
        yield Watch(conn, profiles)
    finally:
        await conn.close()
