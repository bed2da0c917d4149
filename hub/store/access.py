"""Tokens of named persons and services: made, shown once, looked up, revoked.

A secret reads `hub_<id>_<43 characters>`: 256 random bits. Only its SHA-256 is stored; comparing takes constant time.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from psycopg.types.json import Jsonb

from hub.core.rights import RIGHTS, Permission, Principal, Role, Scope
from hub.errors import BadInput, Forbidden, NotFound
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("access")
_SECRET = re.compile(r"hub_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_LOGIN = re.compile(r"[A-Za-z0-9_-]{43}")
_DIVISION = re.compile(r"[0-9]{2,12}")
MAX_NAME = 100
_ALPHABET = string.ascii_lowercase + string.digits
_NO_HASH = bytes(32)

Kind = Literal["person", "service"]


class NewToken(NamedTuple):
    """What is shown exactly once."""

    id: str
    secret: str


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("ascii")).digest()


async def create_token(
    conn: Connection,
    *,
    name: str,
    kind: Kind,
    role: Role,
    scope: Scope,
    actor: str,
    within: Scope,
    expires_at: datetime | None = None,
) -> NewToken:
    """Make a token inside the caller's transaction, with its line in the audit log.

    `within` is the scope of who makes it (hub.core.rights.EVERYTHING for the machine's own operator). Raises BadInput for a
    name that is none and where an institution or group does not exist in `within`, Forbidden where the new scope goes beyond it.
    """
    if not 1 <= len(name.strip()) <= len(name) <= MAX_NAME or "\x00" in name:
        raise BadInput(f"a name has 1 to {MAX_NAME} characters", "name", "token")
    if not all(_DIVISION.fullmatch(code) for code in scope.divisions):
        raise BadInput("a division is named by 2 to 12 digits", "scope.divisions", "scope")
    await _check_scope(conn, scope, within)
    new_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    key = secrets.token_urlsafe(32)
    row = {
        "id": new_id,
        "name": name,
        "kind": kind,
        "role": role.value,
        "scope": Jsonb(scope.as_json()),
        "secret_sha256": _digest(key),
        "created_by": actor,
        "expires_at": expires_at,
    }
    await conn.execute(_SQL["create"], row)
    detail = {"name": name, "kind": kind, "role": role.value, "scope": scope.as_json()}
    await audit.record(conn, actor, "token.create", f"token:{new_id}", detail)
    return NewToken(new_id, f"hub_{new_id}_{key}")


async def _check_scope(conn: Connection, scope: Scope, within: Scope) -> None:
    if not (scope.everything or scope.divisions or scope.institutions or scope.groups):
        raise BadInput("a scope names everything, or at least one division, institution or group", "scope", "scope")
    parameters = {"scope": Jsonb(scope.as_json()), "within": Jsonb(within.as_json())}
    unknown = await one_row(conn, _SQL["unknown_in_scope"], parameters)
    if unknown is not None:
        raise BadInput(f"there is no {unknown['noun']} {unknown['id']!r}", f"scope.{unknown['noun']}s", "scope")
    answer = await one_row(conn, _SQL["scope_within"], parameters)
    if answer is None or not answer["within"]:
        raise Forbidden("this scope goes beyond your own")


async def authenticate(conn: Connection, secret: str, now: datetime) -> Principal | None:
    """Who holds this secret, or None: unknown, wrong, expired and revoked look the same to the caller.

    Notes the use at most once a minute.
    """
    found = _SECRET.fullmatch(secret)
    if found is None:
        return None
    row = await one_row(conn, _SQL["by_id"], {"id": found[1]})
    expected = _NO_HASH if row is None else row["secret_sha256"]
    matches = hmac.compare_digest(_digest(found[2]), expected)
    if row is None or not matches or row["revoked_at"] is not None:
        return None
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return None
    await conn.execute(_SQL["touch"], {"id": row["id"], "now": now})
    return Principal(row["id"], row["name"], Role(row["role"]), Scope.from_json(row["scope"]))


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who may act on alarms, and by which secret: its SHA-256, which opens nothing."""

    kind: Literal["token", "login"]
    digest: bytes
    who: Principal
    until: datetime | None


MOST_BEARERS = 2_000
"""tokens, and as many logins, that are known while the database is away"""


async def bearers(conn: Connection, now: datetime) -> tuple[Bearer, ...]:
    """Everybody who may act on alarms now, by a token or a login; of very many those who were here last."""
    roles = [role.value for role in Role if Permission.ACKNOWLEDGE in RIGHTS[role]]
    rows = await all_rows(conn, _SQL["bearers"], {"roles": roles, "now": now, "limit": MOST_BEARERS})
    return tuple(
        Bearer(
            row["kind"],
            bytes(row["digest"]),
            Principal(row["id"], row["name"], Role(row["role"]), Scope.from_json(row["scope"])),
            row["until"],
        )
        for row in rows
    )


def recognised(
    known: Iterable[Bearer], kind: Literal["token", "login"], secret: str, now: datetime
) -> Principal | None:
    """Who of those shows this secret; None for one that is not among them: it may be good all the same."""
    found = _SECRET.fullmatch(secret) if kind == "token" else _LOGIN.fullmatch(secret)
    if found is None:
        return None
    shown = _digest(found[found.re.groups])  # a login's secret is all of it
    for one in known:
        holds = one.kind == kind and (one.until is None or one.until > now)
        if holds and hmac.compare_digest(one.digest, shown) and (kind == "login" or one.who.token == found[1]):
            return one.who
    return None


async def holder(conn: Connection, token_id: str, now: datetime) -> Principal | None:
    """Who holds a token that was let in before, or None once it is revoked or expired."""
    row = await one_row(conn, _SQL["by_id"], {"id": token_id})
    if row is None or row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now):
        return None
    return Principal(row["id"], row["name"], Role(row["role"]), Scope.from_json(row["scope"]))


async def is_live(conn: Connection, token_id: str, now: datetime) -> bool:
    """True while a token that was let in may stay: neither revoked nor expired."""
    return await holder(conn, token_id, now) is not None


async def tokens(
    conn: Connection, within: Scope, *, limit: int, after: tuple[datetime, str] | None = None
) -> list[Row]:
    """Tokens whose scope lies within `within`, newest first, without their hashes; `after` is (created_at, id)."""
    at, token_id = (None, None) if after is None else after
    parameters = {"within": Jsonb(within.as_json()), "limit": limit, "at": at, "id": token_id}
    return await all_rows(conn, _SQL["list"], parameters)


async def revoke(conn: Connection, token_id: str, actor: str, within: Scope) -> None:
    """Revoke a token for good; twice is the same as once. Raises NotFound outside `within`."""
    row = await one_row(conn, _SQL["revoke"], {"id": token_id, "actor": actor, "within": Jsonb(within.as_json())})
    if row is None:
        raise NotFound(f"there is no token {token_id!r}")
    if row["revoked_now"]:
        await audit.record(conn, actor, "token.revoke", f"token:{token_id}", {})
