"""Drills in the database: declared, cancelled, what persons record of them, and what is known for their reports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from hub.core.exercises import Declared, check_drill, window
from hub.core.rights import Scope
from hub.errors import BadInput, Conflict, Forbidden, NotFound
from hub.model import Lane, Micros, SignalClass, to_datetime
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("drills")
EARLIER = 5
"""earlier drills that a report compares with"""


class Place(NamedTuple):
    """Where a drill is: exactly one of them; a zone with its institution."""

    division: str | None = None
    institution: str | None = None
    group: str | None = None
    zone: str | None = None


class Plan(NamedTuple):
    """A drill as a person declares it."""

    title_zh: str
    title_en: str
    place: Place
    starts_at: Micros
    ends_at: Micros
    presses: tuple[Declared, ...]


async def declare(
    conn: Connection, scope: Scope, plan: Plan, actor: str, now: Micros, dialling: Sequence[str] = ()
) -> UUID:
    """Declare a drill in the caller's transaction. `dialling`: profiles whose buttons dial the police centre themselves.

    Raises BadInput that names the key, NotFound or Forbidden for a place outside the scope, Conflict where a press would dial the police
    outside a booked window.
    """
    check_drill(plan.starts_at, plan.ends_at, plan.presses, now)
    place = await _place(conn, scope, plan.place)
    windows = [window(press.at, press.tolerance, now) for press in plan.presses]
    since, until = [to_datetime(w[0]) for w in windows], [to_datetime(w[1]) for w in windows]
    asked = {
        "scope": Jsonb(scope.as_json()),
        "n": list(range(len(plan.presses))),
        "institutions": [press.institution for press in plan.presses],
        "positions": [press.position for press in plan.presses],
        "since": since,
        "until": until,
        "dialling": list(dialling),
        "division": place["division"],
        "in_institution": place["institution"],
        "group": place["group_id"],
        "zone": place["zone"],
    }
    found = await all_rows(conn, _SQL["positions"], asked)
    for row, press in zip(found, plan.presses, strict=True):
        _check_position(row, press)
    id = uuid4()
    zone_only = None if place["zone"] is None else place["zone"]
    given = {"id": id, "zh": plan.title_zh, "en": plan.title_en, "division": place["division"]}
    given |= {"institution": None if zone_only is not None else place["institution"], "group": place["group_id"]}
    given |= {"zone": zone_only, "starts_at": to_datetime(plan.starts_at), "ends_at": to_datetime(plan.ends_at)}
    await conn.execute(_SQL["put"], given | {"actor": actor, "now": to_datetime(now)})
    columns: list[list[Any]] = [asked["n"], [row["institution"] for row in found], [row["position"] for row in found]]
    columns += [[press.signal_class for press in plan.presses], [to_datetime(press.at) for press in plan.presses]]
    await conn.execute(_SQL["put_presses"], [id, *columns, since, until])
    await conn.execute(_SQL["say"], {"id": id, "payload": Jsonb({"drill": str(id), "event": "declared"})})
    return id


def _check_position(row: Row, press: Declared) -> None:
    where = f"presses.{row['n']}.position"
    if row["position"] is None:
        raise BadInput(f"there is no position {press.institution}/{press.position}", where, code="drill")
    if not row["inside"]:
        raise BadInput(f"{press.institution}/{press.position} lies outside the drill's place", where, code="drill")
    if row["device"] is None or row["lane"] != Lane.URGENT:
        what = f"nothing at {press.institution}/{press.position} can raise fire or panic"
        raise BadInput(what, where, code="drill")
    if row["dials_police"] and not row["booked"]:
        raise Conflict(
            f"{row['device_id']} dials the police centre itself: book a window there that covers the press, first"
        )


async def _place(conn: Connection, scope: Scope, place: Place) -> Row:
    given = [name for name in ("division", "institution", "group") if getattr(place, name) is not None]
    if len(given) != 1 or (place.zone is not None and place.institution is None):
        reason = "a drill is in one division, institution or group, or in a zone of an institution"
        raise BadInput(reason, "place", code="drill")
    inner = Scope(
        divisions=() if place.division is None else (place.division,),
        institutions=() if place.institution is None else (place.institution,),
        groups=() if place.group is None else (place.group,),
    )
    asked = place._asdict() | {"inner": Jsonb(inner.as_json()), "scope": Jsonb(scope.as_json())}
    row = await one_row(conn, _SQL["place"], asked)
    assert row is not None
    known = {"division": row["division"], "institution": row["institution"], "group": row["group_id"]}
    if known[given[0]] is None or (place.zone is not None and row["zone"] is None) or not row["within"]:
        raise NotFound(f"there is no {given[0]} {getattr(place, given[0])!r}")
    return row


async def listed(
    conn: Connection,
    scope: Scope,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    institution: str | None = None,
    id: UUID | None = None,
) -> list[Row]:
    """Drills with a press within the scope, the newest first."""
    at, last = (None, None) if after is None else after
    asked = {
        "scope": Jsonb(scope.as_json()),
        "id": id,
        "of": institution,
        "limit": limit,
        "after_at": at,
        "after": last,
    }
    return await all_rows(conn, _SQL["list"], asked)


async def get(conn: Connection, scope: Scope, id: UUID) -> Row:
    """One drill; raises NotFound."""
    found = await listed(conn, scope, limit=1, id=id)
    if not found:
        raise NotFound(f"there is no drill {id}")
    return found[0]


async def cancel(conn: Connection, scope: Scope, id: UUID, actor: str, now: Micros) -> None:
    """From this moment every press is real. Raises NotFound, Forbidden where others take part, Conflict where it is over."""
    await get(conn, scope, id)
    row = await one_row(conn, _SQL["lock"], {"id": id, "scope": Jsonb(scope.as_json())})
    assert row is not None
    if not row["whole"]:
        raise Forbidden("institutions outside your scope take part in this drill")
    if row["cancelled_at"] is not None:
        raise Conflict("this drill is cancelled already")
    if row["ends_at"] <= to_datetime(now):
        raise Conflict("this drill is over")
    await conn.execute(_SQL["cancel"], {"id": id, "actor": actor, "now": to_datetime(now)})
    await conn.execute(_SQL["say"], {"id": id, "payload": Jsonb({"drill": str(id), "event": "cancelled"})})


async def record(
    conn: Connection, scope: Scope, id: UUID, institution: str, kind: str, at: datetime, actor: str, note: str
) -> None:
    """A person says that somebody arrived, or that all is clear. A later word corrects an earlier one. Raises NotFound."""
    row = await one_row(
        conn, _SQL["taking_part"], {"id": id, "institution": institution, "scope": Jsonb(scope.as_json())}
    )
    if row is None:
        raise NotFound(f"institution {institution!r} takes no part in drill {id}")
    given = {"id": id, "institution": row["key"], "kind": kind, "at": at, "actor": actor, "note": note}
    await conn.execute(_SQL["put_mark"], given)
    payload = Jsonb({"drill": str(id), "event": kind, "actor": actor})
    await conn.execute(_SQL["say_one"], {"institution": row["key"], "payload": payload})


async def runs(conn: Connection, scope: Scope, id: UUID, institution: str | None = None) -> list[Row]:
    """What is known of a drill, per institution that took part: `presses`, `marks`, `real` alarms, and `earlier` drills with the same."""
    drill = await get(conn, scope, id)
    here = await _known(conn, scope, [id], institution)
    shown = Jsonb(scope.as_json())
    names = sorted({name for _, name in here})
    titles = {row["id"]: row for row in await all_rows(conn, _SQL["titles"], {"scope": shown, "institutions": names})}
    real = await all_rows(conn, _SQL["real"], {"id": id, "scope": shown})
    found = []
    for name in names:
        asked = {"id": id, "before": drill["starts_at"], "institution": name, "scope": shown, "limit": EARLIER}
        before = await all_rows(conn, _SQL["earlier"], asked)
        then = await _known(conn, scope, [row["id"] for row in before], name)
        found.append(
            here[id, name]
            | {
                "institution": name,
                "title_zh": titles[name]["title_zh"],
                "title_en": titles[name]["title_en"],
                "real": [row for row in real if row["institution"] == name],
                "earlier": [row | then[row["id"], name] for row in before],
            }
        )
    return found


async def _known(
    conn: Connection, scope: Scope, ids: Sequence[UUID], institution: str | None
) -> dict[tuple[UUID, str], Row]:
    asked = {"drills": list(ids), "scope": Jsonb(scope.as_json()), "institution": institution}
    found: dict[tuple[UUID, str], Row] = {}
    for what in ("presses", "marks"):
        for row in await all_rows(conn, _SQL[what], asked):
            run = found.setdefault((row["drill"], row["institution"]), {"presses": [], "marks": []})
            run[what].append(row)
    return found


__all__ = ["Declared", "Place", "Plan", "SignalClass", "cancel", "declare", "get", "listed", "record", "runs"]
