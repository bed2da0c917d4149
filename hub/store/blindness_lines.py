"""Lines in the database: endpoints whose devices fell silent together, with one alarm at the edge before them for all of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import structlog
from psycopg.types.json import Jsonb

from hub.core.blindness import Cause, Weighed
from hub.core.blindness_lines import OnLine, line_stands, weigh_line
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.profiles import Profile
from hub.store.blindness import to_json
from hub.store.blindness_roots import Place, Roots, Transaction, clear
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("blindness")
_log = structlog.get_logger(__name__)
LINE_LOST = "line_lost"
_FRESH: Micros = 60 * SECOND
"""a device that fell silent so lately may be the first of its line"""


class Lines(NamedTuple):
    """What stands: lines that have failed, and whether more may be known in a moment."""

    standing: int
    unsettled: bool


class _Found(NamedTuple):
    endpoint: int
    name: str
    devices: list[int]
    cries: bool
    weighed: Weighed


class LineWatch:
    """The watcher's room for lines. `transaction` opens one on its connection."""

    def __init__(self, transaction: Transaction, profiles: Mapping[str, Profile], roots: Roots) -> None:
        self._transaction = transaction
        self._profiles = profiles
        self._roots = roots

    async def weigh(self, now: Micros, explained: Collection[int] = ()) -> Lines:
        """Begin, follow and end the rows of lines and their alarms. What is not known of a device leaves its line as it is.

        `explained`: devices that a switch or power feed took with it; a line of nothing else begins no row.
        """
        async with self._transaction() as conn:
            rows = await all_rows(conn, _SQL["lines"])
            open_rows = {row["endpoint"]: row for row in await all_rows(conn, _SQL["open_lines"])}
        by_line: dict[int, list[Row]] = {}
        for row in rows:
            by_line.setdefault(row["key"], []).append(row)
        over = [row["key"] for endpoint, row in open_rows.items() if endpoint not in by_line]
        found: list[_Found] = []
        unsettled = False
        for key, devices in by_line.items():
            standing = open_rows.get(key)
            if any(row["link_state"] == "unknown" for row in devices):
                continue
            verdict = self._verdict(devices)
            if verdict is not None:
                mine = sorted((row for row in devices if row["id"] in verdict[0]), key=lambda row: row["device_key"])
                keys = [row["device_key"] for row in mine]
                if standing is None and explained and set(keys) <= set(explained):
                    continue
                if standing is None or standing["devices"] != keys:
                    cries = any(
                        row["admin_state"] == "in_service" and self._roots.cries(row["profile"]) for row in mine
                    )
                    found.append(_Found(key, devices[0]["endpoint"], keys, cries, verdict[1]))
            elif standing is None:
                unsettled |= len(devices) > 1 and any(is_fresh(row, now) for row in devices)
            elif self._comes_back(devices, standing["devices"], now):
                unsettled = True
            else:
                over.append(standing["key"])
        if over:
            await self._end(over, now)
        for line in found:
            await self._put(line, open_rows.get(line.endpoint), now)
        new = sum(line.endpoint not in open_rows for line in found)
        return Lines(len(open_rows) - len(over) + new, unsettled)

    def _verdict(self, devices: Sequence[Row]) -> tuple[frozenset[str], Weighed] | None:
        beat = devices[0]["beat_at"]
        if beat is None:
            return None
        return weigh_line(devices[0]["endpoint"], [self._on_line(row) for row in devices], to_micros(beat))

    def _on_line(self, row: Row) -> OnLine:
        return on_line(row, self._profiles)

    def _comes_back(self, devices: Sequence[Row], members: Sequence[int], now: Micros) -> bool:
        return comes_back(devices, members, self._profiles, now)

    async def _put(self, line: _Found, standing: Row | None, now: Micros) -> None:
        """A line has failed, or more of it is known: its row, and its alarm where any of its devices would raise one."""
        given = {"endpoint": line.endpoint, "devices": line.devices, "cause": line.weighed.cause}
        given |= {"evidence": to_json(line.weighed.evidence)}
        given |= {"since": to_datetime(line.weighed.evidence[0].facts["since"])}
        async with self._transaction() as conn:
            row = await one_row(conn, _SQL["put_line"], given)
            assert row is not None
            if line.cries and (standing is None or standing["alarm"] is None):
                await self._raise(conn, row["key"], line, now)

    async def _raise(self, conn: Connection, key: int, line: _Found, now: Micros) -> None:
        place = await one_row(conn, _SQL["line_place"], {"endpoint": line.endpoint})
        assert place is not None
        profile = self._profiles.get(place["profile"])
        definition = None if profile is None else profile.alarms.get(LINE_LOST)
        if definition is None:
            return  # the profile of this edge has no such alarm: each device cries for itself
        at = Place(place["device"], place["name"], place["institution_key"], place["institution"])
        root = await self._roots.begin(conn, key, at, (LINE_LOST, line.name), definition, now)
        await say(conn, at.institution, f"{at.name}/{line.name}", Cause.LINE, "began", len(line.devices))
        _log.warning("blindness.line", edge=at.name, endpoint=line.name, devices=len(line.devices), alarm=str(root))

    async def _end(self, keys: Sequence[int], now: Micros) -> None:
        async with self._transaction() as conn:
            for row in await all_rows(conn, _SQL["end_lines"], {"keys": list(keys), "now": to_datetime(now)}):
                if row["alarm"] is None:
                    continue
                await clear(conn, row["alarm"], now)
                place = await one_row(conn, _SQL["line_place"], {"endpoint": row["endpoint"]})
                assert place is not None
                path = f"{place['name']}/{place['endpoint']}"
                await say(conn, place["institution"], path, Cause.LINE, "over", 0)
                _log.info(
                    "blindness.line_over", edge=place["name"], endpoint=place["endpoint"], alarm=str(row["alarm"])
                )


def on_line(row: Row, profiles: Mapping[str, Profile]) -> OnLine:
    """A device that was heard at some time."""
    return OnLine(row["id"], to_micros(row["last_heard_at"]), _beat(row, profiles), is_silent(row))


def _beat(row: Row, profiles: Mapping[str, Profile]) -> Micros:
    profile = profiles.get(row["profile"])
    return 30 * SECOND if profile is None else profile.liveness.beat


def is_silent(row: Row) -> bool:
    """Whether the device does not answer, while its edge is heard."""
    return bool(row["link_state"] == "offline" and row["link_cause"] == "device")


def is_fresh(row: Row, now: Micros) -> bool:
    """Whether it fell silent so lately that more may be known in a moment."""
    return is_silent(row) and now - to_micros(row["link_since"]) < _FRESH


def comes_back(devices: Sequence[Row], members: Sequence[int], profiles: Mapping[str, Profile], now: Micros) -> bool:
    """Whether `members` (keys) among the devices are coming back, and those that are away still have their time."""
    mine = [row for row in devices if row["device_key"] in members]
    back = [to_micros(row["link_since"]) for row in mine if row["link_state"] == "online"]
    slowest = max((_beat(row, profiles) for row in mine), default=0)
    return line_stands(sum(map(is_silent, mine)), max(back, default=None), slowest, now)


async def say(conn: Connection, institution: str, path: str, cause: Cause, state: str, silent: int) -> None:
    """A row of the change feed: a line or part failed, or is back."""
    said = {"path": path, "cause": cause, "state": state, "silent": silent}
    await conn.execute(_SQL["say"], {"rows": Jsonb([{"institution": institution, "payload": said}])})
