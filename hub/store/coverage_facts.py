"""What the judge looks at: the facts of institutions as they are now, read set-wise in the caller's transaction.

Knows nothing of rules and findings: those are hub.core.coverage's and hub.store.coverage's.
"""

from collections.abc import Mapping, Sequence

import structlog

from hub.core.coverage.facts import DeviceFact, InstitutionFacts, ZoneFact
from hub.model import AdminState, FunctionState, LinkState, to_micros
from hub.profiles import Profile
from hub.store import leases
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("coverage_facts")
_log = structlog.get_logger(__name__)

UNCONNECTED = "register:"
"""Begins the subject of an entry of the register that is not connected; no institution's id can hold a colon."""


class Facts:
    """Reads facts over one connection; the number of statements does not depend on how many institutions are asked for."""

    def __init__(self, conn: Connection, profiles: Mapping[str, Profile]) -> None:
        self._conn = conn
        self._profiles = profiles
        self._missing: set[str] = set()

    async def listened(self) -> frozenset[int]:
        """The partitions that somebody listens to. Where nobody does, no device counts as online: the hub is blind there."""
        rows = await (await self._conn.execute(_SQL["listened"], {"lease_class": leases.CLASS})).fetchall()
        return frozenset(row[0] for row in rows)

    async def of(self, subjects: Sequence[str]) -> tuple[InstitutionFacts, ...]:
        """The facts of these subjects, institutions first; one that is there no more is left out."""
        ids = [subject for subject in subjects if not subject.startswith(UNCONNECTED)]
        entries = [subject.removeprefix(UNCONNECTED) for subject in subjects if subject.startswith(UNCONNECTED)]
        unconnected = await all_rows(self._conn, _SQL["entry_places"], {"filing_numbers": entries})
        places = await all_rows(self._conn, _SQL["places"], {"ids": ids})
        listened = await self.listened()
        keys = {"keys": [row["key"] for row in places]}
        zones: dict[int, list[ZoneFact]] = {key: [] for key in keys["keys"]}
        for row in await all_rows(self._conn, _SQL["zones"], keys):
            zones[row["institution"]].append(ZoneFact(row["id"], row["purpose"], row["title_zh"], row["title_en"]))
        devices: dict[int, list[Row]] = {key: [] for key in keys["keys"]}
        for row in await all_rows(self._conn, _SQL["devices"], keys):
            devices[row["institution"]].append(row)
        return (
            *(
                self._institution(row, zones[row["key"]], devices[row["key"]], row["partition"] in listened)
                for row in places
            ),
            *(
                InstitutionFacts(UNCONNECTED + row["filing_number"], row["division"], row["type"], connected=False)
                for row in unconnected
            ),
        )

    def _institution(
        self, place: Row, zones: Sequence[ZoneFact], devices: Sequence[Row], listened: bool
    ) -> InstitutionFacts:
        facts = tuple(self._device(row, listened) for row in devices)
        return InstitutionFacts(place["id"], place["division"], place["type"], True, tuple(zones), facts)

    def _device(self, row: Row, listened: bool) -> DeviceFact:
        profile = self._profiles.get(row["profile"])
        if profile is None and row["profile"] not in self._missing:
            self._missing.add(row["profile"])
            _log.error("coverage.profile_missing", profile=row["profile"], device=row["id"])
        link = LinkState(row["link_state"])
        return DeviceFact(
            id=row["id"],
            kind=row["kind"],
            zone=row["zone"],
            capabilities=frozenset(() if profile is None else profile.capabilities),
            admin_state=AdminState(row["admin_state"]),
            admin_since=to_micros(row["admin_since"]),
            link_state=link if listened or link is not LinkState.ONLINE else LinkState.UNKNOWN,
            link_since=to_micros(row["link_since"]),
            function_state=FunctionState(row["function_state"]),
            function_since=to_micros(row["function_since"]),
            last_heard_at=None if row["last_heard_at"] is None else to_micros(row["last_heard_at"]),
        )
