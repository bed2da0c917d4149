"""Attestations 人工记录: recorded, signed by a second person, corrected by another one; never changed (decision 0352).

Names of people and their pictures stay in these tables: facts hold none of them.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from psycopg import Rollback
from psycopg.types.json import Jsonb

from hub.core.coverage.attestation_list import Problem
from hub.core.coverage.attestation_list import Row as ListRow
from hub.core.coverage.attestations import (
    MAX_ATTACHMENT,
    OF_THE_REGULATOR,
    TAKES_TWO,
    AttestationKind,
    Statement,
    check,
)
from hub.core.papers import media_type
from hub.core.rights import Permission, Principal, Scope
from hub.errors import BadInput, Conflict, Forbidden, NotFound
from hub.model import to_datetime, to_micros
from hub.store import audit
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("attestations")
_TWO = sorted(kind.value for kind in TAKES_TWO)


class Attachment(NamedTuple):
    """A picture or a paper: its bytes, or a link to it with the SHA-256 of what stands there."""

    name: str
    media_type: str
    content: bytes | None
    link: str | None
    sha256: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> "Attachment":
        """Bytes with their digest and with the type that they have. Raises BadInput for what is no picture and no PDF, or has too many."""
        if not 1 <= len(content) <= MAX_ATTACHMENT:
            raise BadInput(f"1 to {MAX_ATTACHMENT} bytes", "#", "attestation")
        return cls(name, media_type(content), content, None, hashlib.sha256(content).digest())


class Given(NamedTuple):
    """An attestation before it is stored: what is stated, what proves it. `supersedes`: the one that it corrects."""

    institution: str
    stated: Statement
    attachments: Sequence[Attachment] = ()
    drill: UUID | None = None
    window: UUID | None = None
    supersedes: UUID | None = None


async def record(
    conn: Connection, who: Principal, given: Given, now: datetime, id: UUID | None = None, *, by: str = "api"
) -> UUID | None:
    """Store what a person states, in the caller's transaction; None where `id` is there already (a file that is imported again).

    `by`: through what, for the audit log.

    Raises Forbidden for what only a regulator states, BadInput for what cannot stand, NotFound outside the scope, Conflict for a drill or a window that proves nothing here.
    """
    stated = given.stated
    _check_right(who, stated.kind)
    check(stated, to_micros(now))
    place = await _place(conn, who.scope, given)
    await _check_proof(conn, given, place, now)
    made = uuid4() if id is None else id
    row = {
        **stated._asdict(),
        "kind": stated.kind.value,
        "at": to_datetime(stated.at),
        "expires_at": None if stated.expires_at is None else to_datetime(stated.expires_at),
        **place,
        "drill": given.drill,
        "window": given.window,
        "supersedes": given.supersedes,
        "void": False,
    }
    stored = await one_row(conn, _SQL["put"], {"id": made, "actor": who.name, "now": now, **row})
    if stored is None:
        return None
    for n, one in enumerate(given.attachments, 1):
        await conn.execute(_SQL["attach"], {"attestation": made, "n": n, **one._asdict()})
    detail = {"institution": given.institution, "kind": stated.kind.value, "by": by}
    action = "attestation.record" if given.supersedes is None else "attestation.correct"
    await audit.record(conn, who.name, action, f"attestation:{made}", detail)
    await _say(conn, place["key"], given.institution, made)
    return made


def _check_right(who: Principal, kind: AttestationKind) -> None:
    if kind in OF_THE_REGULATOR and not who.may(Permission.SUPERVISE):
        raise Forbidden(f"{kind.zh} ({kind.en}) is stated by whoever supervises")


class Recorded(NamedTuple):
    """What came of a table: rows that were recorded, rows of an earlier import, and what does not hold."""

    recorded: int
    already: int
    problems: tuple[Problem, ...]


async def record_all(
    conn: Connection, who: Principal, rows: Sequence[ListRow], now: datetime, *, apply: bool
) -> Recorded:
    """Record the rows of a table, all or none: none without `apply`, and none where any row does not hold."""
    problems: list[Problem] = []
    recorded = already = 0
    async with conn.transaction() as whole:
        for row in rows:
            try:
                async with conn.transaction():
                    made = await record(conn, who, Given(row.institution, row.stated), now, row.id)
            except BadInput as error:
                problems.append(Problem(f"row {row.n}", error.reason))
            except NotFound as error:
                problems.append(Problem(f"row {row.n}", str(error)))
            else:
                recorded += made is not None
                already += made is None
        if problems or not apply:
            raise Rollback(whole)
    return Recorded(recorded, already, tuple(problems))


async def _place(conn: Connection, scope: Scope, given: Given) -> dict[str, int]:
    stated = given.stated
    asked = {"institution": given.institution, "zone": stated.zone, "device": stated.device}
    row = await one_row(conn, _SQL["place"], {"scope": Jsonb(scope.as_json()), **asked})
    if row is None:
        raise NotFound(f"there is no institution {given.institution!r}")
    for name, said in (("zone", stated.zone), ("device", stated.device)):
        if said is not None and row[name] is None:
            raise BadInput(f"there is no {name} {said!r} in institution {given.institution}", name, "attestation")
    return row


async def _check_proof(conn: Connection, given: Given, place: Row, now: datetime) -> None:
    if given.drill is not None:
        if given.stated.kind is not AttestationKind.DRILL:
            raise BadInput("only a drill is proven by a drill", "drill", "attestation")
        if await one_row(conn, _SQL["drill"], {"drill": given.drill, "key": place["key"], "now": now}) is None:
            raise Conflict("this drill is not over, was called off, or was not held at this institution")
    if given.window is not None:
        if given.stated.kind is not AttestationKind.POLICE_TEST:
            raise BadInput("only a police test is proven by a window at the police centre", "window", "attestation")
        asked = {"window": given.window, "key": place["key"], "device": place["device"]}
        if await one_row(conn, _SQL["window"], asked) is None:
            raise Conflict("this window has no receipt, or is one of another institution or device")


async def correct(conn: Connection, who: Principal, id: UUID, given: Given, now: datetime) -> UUID:
    """Another attestation in place of `id`. It takes its own second signature. Raises as `record`, Conflict where it is
    corrected or void already."""
    row = await _locked(conn, who.scope, id)
    if given.institution != row["institution"]:
        raise BadInput("a correction is of the same institution", "institution", "attestation")
    if given.stated.kind.value != row["kind"]:
        raise BadInput("a correction is of the same kind", "kind", "attestation")
    made = await record(conn, who, given._replace(supersedes=id), now)
    assert made is not None
    return made


async def withdraw(conn: Connection, who: Principal, id: UUID, note: str, now: datetime, *, by: str = "api") -> UUID:
    """Say that it never was. It stays on record with who said so."""
    row = await _locked(conn, who.scope, id)
    if row["kind"] in set(OF_THE_REGULATOR):
        _check_right(who, AttestationKind(row["kind"]))
    made = uuid4()
    nothing = dict.fromkeys(("expires_at", "zone", "device", "value", "drill", "window"))
    said = {"key": row["key"], "kind": row["kind"], "at": row["at"], "number": "", "done_by": "", "note": note}
    given = {**nothing, **said, "id": made, "supersedes": id, "void": True}
    await conn.execute(_SQL["put"], {**given, "actor": who.name, "now": now})
    detail = {"institution": row["institution"], "kind": row["kind"], "by": by}
    await audit.record(conn, who.name, "attestation.withdraw", f"attestation:{id}", detail)
    await _say(conn, row["key"], row["institution"], made)
    return made


async def _locked(conn: Connection, scope: Scope, id: UUID) -> Row:
    await get(conn, scope, id)
    await conn.execute(_SQL["lock"], {"id": id})
    row = await get(conn, scope, id)
    if row["state"] in ("corrected", "void"):
        raise Conflict("this attestation is corrected or withdrawn already: correct the newest one")
    return row


async def second(conn: Connection, who: Principal, id: UUID, now: datetime, *, by: str = "api") -> None:
    """The second signature. Raises NotFound, or Conflict where it is signed, corrected, or recorded by the same person."""
    row = await _locked(conn, who.scope, id)
    if row["second"] is not None:
        raise Conflict(f"{row['second']} has signed this already")
    if who.name in (row["recorded_by"], row["done_by"]):
        raise Conflict("the second person is another one than the first")
    await conn.execute(_SQL["sign"], {"id": id, "actor": who.name, "now": now})
    detail = {"institution": row["institution"], "kind": row["kind"], "by": by}
    await audit.record(conn, who.name, "attestation.second", f"attestation:{id}", detail)
    await _say(conn, row["key"], row["institution"], id)


async def _say(conn: Connection, key: int, institution: str, id: UUID) -> None:
    payload = Jsonb({"institution": institution, "attestation": str(id)})
    await conn.execute(_SQL["say"], {"key": key, "payload": payload})


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    id: UUID | None = None,
    institution: str | None = None,
    kind: str | None = None,
    standing: bool | None = None,
    unsigned: bool | None = None,
) -> list[Row]:
    """Attestations by what they state, the newest first, without the bytes of attachments."""
    at, last = (None, None) if after is None else after
    asked = {"id": id, "institution": institution, "kind": kind, "standing": standing, "unsigned": unsigned}
    page = {"limit": limit, "after_at": at, "after": last, "two": _TWO}
    return await all_rows(conn, _SQL["list"], {"scope": Jsonb(scope.as_json()), **asked, **page})


async def get(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One attestation; raises NotFound."""
    found = await listed(conn, scope, limit=1, id=id)
    if not found:
        raise NotFound(f"there is no attestation {id}")
    return found[0]


async def attachment(conn: Connection, scope: Scope, id: UUID, n: int) -> Row:
    """The bytes of an attachment; raises NotFound, also for one that is a link."""
    await get(conn, scope, id)
    row = await one_row(conn, _SQL["attachment"], {"id": id, "n": n})
    if row is None:
        raise NotFound(f"attestation {id} has no attachment {n} that is kept here")
    return row
