"""Switches and power feeds in the database: devices of an edge that hang on one and fell silent together, with one alarm at that edge for all of them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from hub.core.blindness import Cause
from hub.core.blindness_parts import FailedPart, Hanging, live_parts, parts_heard, parts_of, weigh_parts
from hub.core.coverage.ways import Hangs, wired
from hub.model import Micros, to_datetime, to_micros
from hub.profiles import Kind, Profile
from hub.store.blindness import to_json
from hub.store.blindness_lines import comes_back, is_fresh, on_line, say
from hub.store.blindness_roots import Place, Roots, Transaction, clear
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("blindness")
_log = structlog.get_logger(__name__)
LOST = {Cause.SWITCH: "switch_lost", Cause.POWER_FEED: "feed_lost"}


class Parts(NamedTuple):
    """What stands: parts that have failed with the devices (keys) that they took with them, and whether more may be known in a moment."""

    standing: int
    devices: frozenset[int]
    unsettled: bool


_Place = tuple[int, str]
"""an edge (its key) and a part behind it"""


class _Edge(NamedTuple):
    """The devices behind one edge of which something was ever heard, as rows and as the core's values; and what is known to work there, or not known."""

    key: int
    rows: Sequence[Row]
    hanging: Sequence[Hanging]
    now: Micros | None
    alive: frozenset[str]
    unknown: frozenset[str]


class PartWatch:
    """The watcher's room for switches and power feeds. `transaction` opens one on its connection."""

    def __init__(self, transaction: Transaction, profiles: Mapping[str, Profile], roots: Roots) -> None:
        self._transaction = transaction
        self._profiles = profiles
        self._roots = roots

    async def weigh(self, now: Micros) -> Parts:
        """Begin, follow and end the rows of parts and their alarms. Where a device of a part is not known of, the part is left as it is."""
        async with self._transaction() as conn:
            rows = await all_rows(conn, _SQL["parts"], {"now": to_datetime(now)})
            standing = {(row["edge"], row["part"]): row for row in await all_rows(conn, _SQL["open_parts"])}
        by_institution: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_institution[row["institution"]].append(row)
        over = set(standing)
        kept: dict[_Place, frozenset[int]] = {}
        unsettled = False
        for edge in (one for mine in by_institution.values() for one in self._edges(mine)):
            found = (
                {}
                if edge.now is None
                else {one.part: one for one in weigh_parts(edge.hanging, edge.alive | edge.unknown, edge.now)}
            )
            for part, one in found.items():
                kept[edge.key, part] = await self._put(edge, one, standing.get((edge.key, part)), now)
            for place, row in standing.items():
                if place[0] != edge.key or place[1] in found:
                    continue
                if edge.now is None or place[1] in edge.unknown:
                    kept[place] = frozenset(row["devices"])
                elif comes_back(edge.rows, row["devices"], self._profiles, now):
                    kept[place], unsettled = frozenset(row["devices"]), True
            hung = [row for row, one in zip(edge.rows, edge.hanging, strict=True) if one.on]
            unsettled |= len(hung) > 1 and any(is_fresh(row, now) for row in hung)
        over -= kept.keys()
        if over:
            await self._end([standing[place]["key"] for place in sorted(over)], now)
        return Parts(len(kept), frozenset(key for keys in kept.values() for key in keys), unsettled)

    def _edges(self, rows: Sequence[Row]) -> Iterator[_Edge]:
        """The edges of one institution."""
        hangs = {row["id"]: Hangs(switch=row["switch"], powered_by=row["powered_by"]) for row in rows}
        ids = {row["device_key"]: row["id"] for row in rows}
        batteries = {row["id"] for row in rows if row["kind"] == Kind.UPS}
        behind: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            heard = row["last_heard_at"] is not None and row["admin_state"] != "out_of_service"
            if row["edge"] is not None and heard:
                behind[row["edge"]].append(row)
        made = []
        for key, mine in behind.items():
            hanging = [self._hanging(row, hangs) for row in mine]
            beat = mine[0]["beat_at"]
            blind = [one for row, one in zip(mine, hanging, strict=True) if row["link_state"] == "unknown"]
            unknown = frozenset(part for one in blind for part in (*one.on, *parts_of(one.device.id)))
            alive = live_parts(hangs.get(ids.get(key, ""), Hangs()), hangs, batteries)
            made.append(_Edge(key, mine, hanging, None if beat is None else to_micros(beat), alive, unknown))
        for edge in made:
            others = [one for one in made if one.key != edge.key and one.now is not None]
            heard_there = frozenset(part for one in others for part in parts_heard(one.hanging, one.now or 0))
            yield edge._replace(alive=edge.alive | heard_there)

    def _hanging(self, row: Row, hangs: Mapping[str, Hangs]) -> Hanging:
        on = tuple(dict.fromkeys(wired(hangs[row["id"]], hangs)))
        return Hanging(on_line(row, self._profiles), row["endpoint"], on)

    async def _put(self, edge: _Edge, failed: FailedPart, standing: Row | None, now: Micros) -> frozenset[int]:
        """A part has failed, or more of it is known: its row, and its alarm where any of its devices would raise one. Returns its devices."""
        mine = sorted((row for row in edge.rows if row["id"] in failed.devices), key=lambda row: row["device_key"])
        keys = [row["device_key"] for row in mine]
        if standing is None or standing["devices"] != keys:
            given = {"edge": edge.key, "part": failed.part, "devices": keys, "cause": failed.weighed.cause}
            given |= {"evidence": to_json(failed.weighed.evidence)}
            given |= {"since": to_datetime(failed.weighed.evidence[0].facts["since"])}
            cries = any(row["admin_state"] == "in_service" and self._roots.cries(row["profile"]) for row in mine)
            async with self._transaction() as conn:
                row = await one_row(conn, _SQL["put_part"], given)
                assert row is not None
                if cries and (standing is None or standing["alarm"] is None):
                    await self._raise(conn, row["key"], edge.key, failed, now)
        return frozenset(keys)

    async def _raise(self, conn: Connection, key: int, edge: int, failed: FailedPart, now: Micros) -> None:
        place = await one_row(conn, _SQL["edge_place"], {"edge": edge})
        assert place is not None
        profile = self._profiles.get(place["profile"])
        lost = LOST[failed.weighed.cause]
        definition = None if profile is None else profile.alarms.get(lost)
        if definition is None:
            return  # the profile of this edge has no such alarm: each device cries for itself
        at = Place(place["device"], place["name"], place["institution_key"], place["institution"])
        name = failed.part.partition(":")[2]
        root = await self._roots.begin(conn, key, at, (lost, name), definition, now)
        await say(conn, at.institution, f"{at.name}/{failed.part}", failed.weighed.cause, "began", len(failed.devices))
        _log.warning("blindness.part", edge=at.name, part=failed.part, devices=len(failed.devices), alarm=str(root))

    async def _end(self, keys: Sequence[int], now: Micros) -> None:
        async with self._transaction() as conn:
            for row in await all_rows(conn, _SQL["end_parts"], {"keys": list(keys), "now": to_datetime(now)}):
                if row["alarm"] is None:
                    continue
                await clear(conn, row["alarm"], now)
                place = await one_row(conn, _SQL["edge_place"], {"edge": row["edge"]})
                assert place is not None
                path = f"{place['name']}/{row['part']}"
                await say(conn, place["institution"], path, Cause(row["cause"]), "over", 0)
                _log.info("blindness.part_over", edge=place["name"], part=row["part"], alarm=str(row["alarm"]))
