"""Database roles for Grafana: each sees its scope through the views of schema `dash`, and no table (migrations 0006 and 0041).

A viewer of Grafana may send any SQL that its data source's role may run, so the role is the border: read-only by default, with a limit on
time and connections, without a grant on any table of the hub, and without what PUBLIC may do in PostgreSQL by itself (sql/readers.sql).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from psycopg import Error, conninfo, errors, sql
from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import BadInput, Conflict, Forbidden, NotFound
from hub.store import audit
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.rows import all_rows, one_row
from hub.store.session import translated

_SQL = queries("readers")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OURS = frozenset({"anxin_boards", "anxin_reader"})
VIEWS = (
    "division", "subject", "device", "alarm", "reading_hour", "place", "zone", "device_state", "verdict", "statement",
    "history", "part", "rollup", "day", "work_order", "waiver", "response", "drill", "proof", "attestation", "recording", "stream", "hub",
    "institution", "entry", "judged", "order_step", "institution_group", "member", "fire_risk", "look",
)  # fmt: skip
"""What every reader may select from, all in schema `dash`. A view that is not named here is closed."""
FUNCTIONS = (
    "institutions()", "divisions()", "entries()", "everything()", "territory()", "moment(text)", "known(text)",
)  # fmt: skip
"""What the views call, and the policies under them; they answer for the role that asks."""
SETTINGS = (
    "alter role {} set default_transaction_read_only = on",
    "alter role {} set statement_timeout = '10s'",
    "alter role {} set idle_in_transaction_session_timeout = '30s'",
    "alter role {} set lock_timeout = '2s'",
    # a board that takes every processor makes the commit of an alarm wait
    "alter role {} set max_parallel_workers_per_gather = 0",
    "alter role {} set search_path = dash, public",
)
"""`public` is where TimescaleDB's functions live; nothing of ours in it is granted."""
CONNECTIONS = 20
OVERDUE_SECONDS = 60.0
"""The oldest transaction of a reader. It can set its own limits to what it likes; this one is the hub's (hub.runtime.reader_watch)."""


class Reader(NamedTuple):
    """A role that `grant_reader` made; `organisation` is Grafana's, where there is one for it."""

    role: str
    scope: Scope
    organisation: str | None


async def grant_reader(conn: Connection, role: str, scope: Scope, password: str, *, actor: str) -> None:
    """Make the role, or give the one that was made so before a new scope and password; close around all of them what is open.

    Raises BadInput for a name that is none, a password that is too short or a division that does not exist, Conflict where another role has
    this name, Forbidden where the hub's own user may not make roles or cannot close what must be closed.
    """
    if not _ROLE.fullmatch(role) or role in _OURS:
        raise BadInput("a role's name is 1 to 40 of a-z, 0-9 and _, and starts with a letter", f"role {role!r}")
    if len(password) < 12:
        raise BadInput("needs at least 12 characters", "password")
    # hashed here: the statement, and so the server's log, never holds it
    verifier = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    name = sql.Identifier(role)
    with translated(), _permitted():
        async with conn.transaction():
            unknown = await all_rows(conn, _SQL["unknown_divisions"], {"divisions": list(scope.divisions)})
            if unknown:
                raise BadInput("there is no such division", f"division {unknown[0]['prefix']!r}")
            known = await one_row(conn, _SQL["known"], {"role": role})
            assert known is not None
            if known["is_role"] and not known["is_reader"]:
                raise Conflict(f"the database has a role {role!r} that is no reader: name another")
            await conn.execute(_SQL["walls"])
            for view in VIEWS:
                await conn.execute(sql.SQL("grant select on dash.{} to anxin_reader").format(sql.Identifier(view)))
            for function in FUNCTIONS:
                await conn.execute(
                    sql.SQL("grant execute on function dash.{} to anxin_reader").format(sql.SQL(function))
                )
            if not known["is_role"]:
                await conn.execute(sql.SQL("create role {}").format(name))
            limits = sql.SQL(
                "alter role {} login inherit nosuperuser nocreatedb nocreaterole noreplication nobypassrls connection limit {} password {}"
            )
            await conn.execute(limits.format(name, sql.Literal(CONNECTIONS), sql.Literal(verifier)))
            # what an earlier release granted it by itself goes: what it may is what all readers may
            for kind in ("tables", "functions"):
                await conn.execute(sql.SQL("revoke all on all {} in schema dash from {}").format(sql.SQL(kind), name))
            await conn.execute(sql.SQL("grant anxin_reader to {} with inherit true, set false").format(name))
            for statement in SETTINGS:
                await conn.execute(sql.SQL(statement).format(name))
            holes = await all_rows(conn, _SQL["holes"], {"role": role})
            if holes:
                raise Forbidden(
                    f"any role of this server may call {', '.join(row['routine'] for row in holes)} and so take the hub's locks:"
                    " run this once as a superuser of the database"
                )
            await conn.execute(_SQL["note"], {"role": role, "scope": Jsonb(scope.as_json())})
            await audit.record(conn, actor, "reader.grant", f"reader:{role}", {"scope": scope.as_json()})


@contextmanager
def _permitted() -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        text = error.diag.message_primary or "permission denied"
        raise Forbidden(
            f"the hub's database user may not do this ({text}): run it as one that may make roles"
        ) from error


async def drop_reader(conn: Connection, role: str, *, actor: str) -> None:
    """Remove the role with all it may and end its sessions; raises NotFound where no reader has this name."""
    name = sql.Identifier(role)
    with translated(), _permitted():
        async with conn.transaction():
            known = await one_row(conn, _SQL["known"], {"role": role})
            if known is None or not known["is_reader"]:
                raise NotFound(f"there is no reader {role!r}")
            sessions = await all_rows(conn, _SQL["sessions"], {"role": role})
            await conn.execute(_SQL["forget"], {"role": role})
            if known["is_role"]:
                await conn.execute(sql.SQL("drop owned by {}").format(name))
                await conn.execute(sql.SQL("drop role {}").format(name))
            await audit.record(conn, actor, "reader.drop", f"reader:{role}", {})
        # from here on it is nobody's: who slips in before this sees nothing, as its scope is gone
        for session in sessions:
            await conn.execute(_SQL["end"], session)


async def readers(conn: Connection) -> list[Reader]:
    """All roles that were made so, by name."""
    return [
        Reader(row["role"], Scope.from_json(row["scope"]), row["organisation"])
        for row in await all_rows(conn, _SQL["all"], {})
    ]


async def note_organisation(conn: Connection, role: str, organisation: str) -> None:
    """Remember which organisation of Grafana reads by this role."""
    with translated():
        await conn.execute(_SQL["belongs"], {"role": role, "organisation": organisation})


async def end_overdue(conn: Connection, seconds: float = OVERDUE_SECONDS) -> Sequence[str]:
    """End the sessions of readers whose transaction is older than this; whose they were."""
    with translated():
        rows = await all_rows(conn, _SQL["overdue"], {"seconds": seconds})
    return [row["role"] for row in rows if row["ended"]]


async def try_queries(url: str, role: str, password: str, queries: Iterable[tuple[str, str]]) -> list[str]:
    """Run each (name, SQL) as the role; what failed, by its name and PostgreSQL's message. Raises LinkDown where the role does not get in."""
    failed: list[str] = []
    conn = await connect(conninfo.make_conninfo(url, user=role, password=password), "dashboards-check", autocommit=True)
    async with conn:
        for name, text in queries:
            try:
                await conn.execute(text.encode(), prepare=False)
            except Error as error:
                failed.append(f"{name}: {error.diag.message_primary or type(error).__name__}")
                if conn.broken:
                    break
    return failed
