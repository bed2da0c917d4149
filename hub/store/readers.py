"""Database roles for Grafana: each sees its scope through the views of schema `dash`, and no table (migration 0006).

A viewer of Grafana may send any SQL that its data source's role may run, so the role is the border: read-only by default, with a limit on
time and connections, without a grant on any table of the hub.
"""

import re

from psycopg import sql
from psycopg.types.json import Jsonb

from hub.core.rights import Scope
from hub.errors import BadInput, Conflict, NotFound
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import one_row
from hub.store.session import translated

_SQL = queries("readers")
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_SETTINGS = (
    "alter role {} set default_transaction_read_only = on",
    "alter role {} set statement_timeout = '10s'",
    "alter role {} set idle_in_transaction_session_timeout = '30s'",
    "alter role {} set search_path = dash, public",
)
"""`public` is where TimescaleDB's functions live; nothing of ours in it is granted."""
_CONNECTIONS = 20


async def grant_reader(conn: Connection, role: str, scope: Scope, password: str, *, actor: str) -> None:
    """Make the role, or give the one that was made so before a new scope and password.

    Raises BadInput for a name that is none or a password that is too short, Conflict where another role has this name.
    """
    if not _ROLE.fullmatch(role):
        raise BadInput("a role's name is 1 to 40 of a-z, 0-9 and _, and starts with a letter", f"role {role!r}")
    if len(password) < 12:
        raise BadInput("needs at least 12 characters", "password")
    # hashed here: the statement, and so the server's log, never holds it
    verifier = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    name = sql.Identifier(role)
    with translated():
        async with conn.transaction():
            known = await one_row(conn, _SQL["known"], {"role": role})
            assert known is not None
            if known["is_role"] and not known["is_reader"]:
                raise Conflict(f"the database has a role {role!r} that is no reader: name another")
            if not known["is_role"]:
                await conn.execute(sql.SQL("create role {} login noinherit").format(name))
            limits = sql.SQL("alter role {} connection limit {} password {}")
            await conn.execute(limits.format(name, sql.Literal(_CONNECTIONS), sql.Literal(verifier)))
            for statement in (
                *_SETTINGS,
                "grant usage on schema dash to {}",
                "grant select on all tables in schema dash to {}",
                "grant execute on all functions in schema dash to {}",
            ):
                await conn.execute(sql.SQL(statement).format(name))
            await conn.execute(_SQL["note"], {"role": role, "scope": Jsonb(scope.as_json())})
            await audit.record(conn, actor, "reader.grant", f"reader:{role}", {"scope": scope.as_json()})


async def drop_reader(conn: Connection, role: str, *, actor: str) -> None:
    """Remove the role with all it may; raises NotFound where no reader has this name."""
    name = sql.Identifier(role)
    with translated():
        async with conn.transaction():
            known = await one_row(conn, _SQL["known"], {"role": role})
            if known is None or not known["is_reader"]:
                raise NotFound(f"there is no reader {role!r}")
            await conn.execute(_SQL["forget"], {"role": role})
            if known["is_role"]:
                await conn.execute(sql.SQL("drop owned by {}").format(name))
                await conn.execute(sql.SQL("drop role {}").format(name))
            await audit.record(conn, actor, "reader.drop", f"reader:{role}", {})
