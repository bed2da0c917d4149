"""The register: filing lists that are taken in, all or nothing, and what it said on any past day.

A list is the regulator's: it is taken in by whoever may supervise over its whole division. Every list is kept by its file's SHA-256.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hub.core import register as core
from hub.core.register import Entry, Listed, Plan
from hub.core.rights import Principal, Scope
from hub.errors import BadInput, Conflict, Forbidden
from hub.store import audit
from hub.store.pool import Connection
from hub.store.provisioning import acting
from hub.store.queries import queries
from hub.store.rows import Row, all_rows
from hub.tables import Line

_SQL = queries("register")


class File(NamedTuple):
    """A list as it was sent: its name, its digest, its rows."""

    name: str
    sha256: bytes
    lines: tuple[Line, ...]


def file(name: str, data: bytes, lines: tuple[Line, ...]) -> File:
    """A list with its digest."""
    return File(name, hashlib.sha256(data).digest(), lines)


class Proposal(NamedTuple):
    """What a list would change."""

    found: Listed
    plan: Plan


async def propose(conn: Connection, who: Principal, division: str, sent: File) -> Proposal:
    """Compare a list of `division` with the register; nothing is written.

    Raises Forbidden beyond the scope, BadInput for an unknown division or a list that cannot be read at all.
    """
    if not (who.scope.everything or any(division.startswith(prefix) for prefix in who.scope.divisions)):
        raise Forbidden(f"the register of division {division} is not within your scope")
    titles = {row["code"]: (row["title_zh"], row["title_en"]) for row in await all_rows(conn, _SQL["titles"])}
    if division not in titles:
        raise BadInput(f"there is no division {division!r}", "query/division", "register")
    found = await asyncio.to_thread(core.listed, sent.lines, titles, division)
    asked = {"division": division, "numbers": [entry.filing_number for entry in found.entries]}
    current = {row["filing_number"]: Entry(**row) for row in await all_rows(conn, _SQL["current"], asked)}
    taken = core.strangers(found, current, division)
    if taken:
        outside = {name for name, entry in current.items() if not entry.division.startswith(division)}
        kept = tuple(entry for entry in found.entries if entry.filing_number not in outside)
        bad = found.bad_rows + len(found.entries) - len(kept)
        found = found._replace(entries=kept, problems=(*found.problems, *taken), bad_rows=bad)
    return Proposal(found, await asyncio.to_thread(core.plan, found, current, division))


async def take_in(
    conn: Connection, who: Principal, division: str, sent: File, *, skip_bad: bool, digest: str | None = None
) -> tuple[UUID | None, Proposal]:
    """Do it, in the caller's transaction and under the lock of manifests; the import's id, None where rows do not hold and none was skipped.

    Raises Conflict where the register has moved since the plan `digest` was looked at.
    """
    await acting(conn, who.name)
    made = await propose(conn, who, division, sent)
    if made.found.problems and not skip_bad:
        return None, made
    if digest is not None and digest != made.plan.digest:
        raise Conflict("the register has changed since the plan was made: look again")
    found, plan = made
    id = uuid4()
    counts = {"added": len(plan.added), "changed": len(plan.changed), "withdrawn": len(plan.withdrawn)}
    noted = {"id": id, "division": division, "file_name": sent.name, "sha256": sent.sha256, "actor": who.name}
    await conn.execute(_SQL["note_import"], {**noted, "rows": found.rows, "skipped": found.bad_rows, **counts})
    await conn.execute(_SQL["acting"], {"import": str(id)})
    put = [entry._asdict() for entry in (*plan.added, *(after for _, after in plan.changed))]
    if put:
        await conn.execute(_SQL["put"], {"rows": Jsonb(put)})
    gone = [entry.filing_number for entry in plan.withdrawn]
    if gone:
        await conn.execute(_SQL["withdraw"], {"numbers": gone})
    detail = {"file": sent.name, "sha256": sent.sha256.hex(), "import": str(id), "skipped": found.bad_rows, **counts}
    await audit.record(conn, who.name, "register.import", f"division:{division}", detail)
    if put or gone:
        await conn.execute(_SQL["say"], {"payload": Jsonb({"register": division, **counts})})
    return id, made


async def imports(
    conn: Connection, scope: Scope, *, limit: int, after: tuple[datetime, UUID] | None = None
) -> list[Row]:
    """Lists that were taken in, the newest first."""
    at, last = (None, None) if after is None else after
    return await all_rows(
        conn, _SQL["imports"], {"scope": Jsonb(scope.as_json()), "limit": limit, "after_at": at, "after": last}
    )


async def versions(conn: Connection, scope: Scope, filing_number: str, limit: int) -> Sequence[Row]:
    """What the register said under a filing number, the newest first."""
    asked = {"scope": Jsonb(scope.as_json()), "filing_number": filing_number, "limit": limit}
    return await all_rows(conn, _SQL["versions"], asked)


async def as_of(
    conn: Connection,
    scope: Scope,
    at: datetime,
    *,
    limit: int,
    after: str | None = None,
    division: str | None = None,
    connected: bool | None = None,
) -> list[Row]:
    """The register as it was, by filing number."""
    asked = {"at": at, "limit": limit, "after": after, "division": division, "connected": connected}
    return await all_rows(conn, _SQL["as_of"], {"scope": Jsonb(scope.as_json()), **asked})
