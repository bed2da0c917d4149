"""Logins of people at the console: begun with a token, found by what the browser holds, ended. And what a signed link names.

A secret is 256 random bits; only its SHA-256 is stored. A session is never longer than its token lives.
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from hub.core.rights import Principal
from hub.store import access
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import one_row

_SQL = queries("sessions")
LIFETIME = timedelta(hours=12)
"""A shift; the console says until when."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


class Session(NamedTuple):
    """Who is logged in, and until when."""

    who: Principal
    expires_at: datetime


class Linked(NamedTuple):
    """What a signed link names: one notification of one alarm to one responder."""

    id: UUID
    alarm: UUID
    responder: str
    title_zh: str
    title_en: str
    retired: bool
    others: int
    """how many alarms more the message told of; the link is of this one alone"""


def _id(secret: str) -> bytes | None:
    return hashlib.sha256(secret.encode("ascii")).digest() if _SECRET.fullmatch(secret) else None


async def begin(conn: Connection, who: Principal, now: datetime) -> tuple[str, datetime]:
    """Begin a session of the token's holder: its secret, shown once, and until when it lasts."""
    secret = secrets.token_urlsafe(32)
    expires_at = now + LIFETIME
    await conn.execute(_SQL["forget"], {"token": who.token, "now": now})
    await conn.execute(_SQL["begin"], {"id": _id(secret), "token": who.token, "expires_at": expires_at})
    return secret, expires_at


async def find(conn: Connection, secret: str, now: datetime) -> Session | None:
    """The session of this secret, or None: unknown, ended, expired, or its token is revoked or expired."""
    name = _id(secret)
    row = None if name is None else await one_row(conn, _SQL["find"], {"id": name, "now": now})
    if row is None:
        return None
    who = await access.holder(conn, row["token"], now)
    return None if who is None else Session(who, row["expires_at"])


async def end(conn: Connection, secret: str) -> None:
    """End a session; twice is the same as once."""
    name = _id(secret)
    if name is not None:
        await conn.execute(_SQL["end"], {"id": name})


async def link_key(conn: Connection) -> bytes:
    """The key of signed links; 32 bytes."""
    row = await one_row(conn, _SQL["link_key"])
    assert row is not None, "link_key is empty: the database is not migrated"
    return bytes(row["key"])


async def linked(conn: Connection, notification: UUID) -> Linked | None:
    """The notification of a link, or None where the hub does not (or not yet) have it."""
    row = await one_row(conn, _SQL["linked"], {"id": notification})
    return None if row is None else Linked(**row)
