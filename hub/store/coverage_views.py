"""What the API reads of coverage: the register with the state of each subject, and one subject's findings now or at a past time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from hub.core.coverage.rules import Basis, Verdict
from hub.core.rights import Scope
from hub.errors import NotFound
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("coverage")


class Count(NamedTuple):
    """How many findings of a subject have this basis and verdict."""

    basis: Basis
    verdict: Verdict
    n: int


class Standing(NamedTuple):
    """A subject with its counts. `filing_number` is None where it is not on the register, `institution` where it is not connected.

    `division` is the register's where it stands there, `own_division` the institution's; `counted`: it is in the figures of what was asked.
    """

    subject: str
    filing_number: str | None
    institution: str | None
    division: str
    type: str
    title_zh: str
    title_en: str
    checked_at: datetime | None
    counts: Sequence[Count]
    own_division: str | None
    register_type: str | None
    counted: bool
    never_heard: bool
    """connected by its manifest, and no device of it was ever heard"""


async def overview(conn: Connection, scope: Scope, *, division: str | None, fresh_since: datetime) -> list[Standing]:
    """Every subject within the scope, by subject. A compliant finding not renewed since `fresh_since` counts as unknown. `division`: what the register
    has below it, and what says so of itself.
    """
    asked = {"scope": Jsonb(scope.as_json()), "division": division, "fresh_since": fresh_since}
    return [
        Standing(**{**row, "counts": tuple(Count(Basis(b), Verdict(v), n) for b, v, n in row["counts"])})
        for row in await all_rows(conn, _SQL["overview"], asked)
    ]


async def subject(conn: Connection, scope: Scope, name: str) -> Row:
    """One subject by institution id or `register:<filing number>`; raises NotFound."""
    found = await one_row(conn, _SQL["subject"], {"scope": Jsonb(scope.as_json()), "subject": name})
    if found is None:
        raise NotFound(f"there is no institution {name!r}")
    return found


async def findings(conn: Connection, name: str, at: datetime | None, known_at: datetime | None = None) -> list[Row]:
    """The findings of a subject that hold now, or held at `at`, as they are known now or were known at `known_at`; obligations first."""
    return await all_rows(conn, _SQL["findings"], {"subject": name, "at": at, "known_at": known_at})


async def digests(conn: Connection, limit: int) -> list[Row]:
    """The latest daily digests over all chains, the newest first."""
    return await all_rows(conn, _SQL["digests"], {"limit": limit})
