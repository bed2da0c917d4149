"""All that is stored about one alarm, as `hub.core.why` explains it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from hub.core.rota import was_on_duty
from hub.core.why import Edited, Followed, Moved, Planned, Story, Told, Waiting
from hub.errors import NotFound
from hub.model import Exercise, Micros, Priority, SignalClass, to_micros
from hub.profiles import AlarmDefinition, Condition, Profile
from hub.store import duty
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows, one_row

_SQL = queries("why")
MOST = 500
"""steps, attempts and messages of one alarm that are told of, the earliest"""


async def story(conn: Connection, id: UUID, profiles: Mapping[str, Profile]) -> Story:
    """What is known of an alarm; `profiles` are the installed ones, by their ids. Raises NotFound."""
    row = await one_row(conn, _SQL["alarm"], {"id": id})
    if row is None:
        raise NotFound(f"no alarm {id}")
    given = {"id": id, "limit": MOST}
    profile = profiles.get(row["profile"])
    definition = None if profile is None else profile.alarms.get(row["definition"])
    return Story(
        signal_class=SignalClass(row["signal_class"]),
        priority=Priority(row["priority"]),
        exercise=None if row["exercise"] is None else Exercise(row["exercise"]),
        raised_at=to_micros(row["raised_at"]),
        received_at=to_micros(row["received_at"]),
        late=row["late"],
        stale=row["stale"],
        root=row["root"] or "",
        condition=("", "") if definition is None else words(definition),
        seen=None if definition is None else await _seen(conn, row, definition),
        history=[Moved(**_timed(one, "at")) for one in await all_rows(conn, _SQL["history"], {"id": id})],
        escalation=row["escalation"] or "",
        begun_at=_micros(row["begun_at"]),
        ended_at=_micros(row["ended_at"]),
        policy=row["policy"],
        reason=row["reason"],
        steps=await _steps(conn, given),
        attempts=[Told(**_timed(one, "at", "receipt_at")) for one in await all_rows(conn, _SQL["attempts"], given)],
        waiting=[
            Waiting(**_timed(one, "created_at", "ended_at")) for one in await all_rows(conn, _SQL["waiting"], given)
        ],
        version=row["version"],
        course=[Followed(**_timed(one, "at")) for one in await all_rows(conn, _SQL["course"], given)],
        edits=[Edited(**_timed(one, "at")) for one in await all_rows(conn, _SQL["edits"], given)],
    )


async def _steps(conn: Connection, given: dict[str, Any]) -> list[Planned]:
    """The steps as written; those of a duty post that are done with who had it then."""
    rows = await all_rows(conn, _SQL["steps"], given)
    done = [row for row in rows if row["rota"] and row["ended_at"] is not None]
    books = {}
    if done:
        since, until = min(row["ended_at"] for row in done), max(row["ended_at"] for row in done)
        async with conn.cursor() as cur:
            for rota in {row["target"] for row in done}:
                books.update(await duty.load_books(cur, rota, since, until))
    made = [Planned(**_timed(row, "due_at", "ended_at")) for row in rows]
    return [
        one._replace(on_duty=was_on_duty(books[one.target], one.ended_at))
        if one.rota and one.ended_at is not None and one.target in books
        else one
        for one in made
    ]


def words(definition: AlarmDefinition) -> tuple[str, str]:
    """A definition's condition in both languages, with its delay."""
    zh, en = _condition(definition.condition)
    seconds = definition.on_delay / 1e6
    if seconds > 0:
        zh, en = f"{zh}，持续 {seconds:g} 秒", f"{en}, for {seconds:g} s"
    return f"{definition.point} {zh}", f"{definition.point} {en}"


def _condition(condition: Condition) -> tuple[str, str]:
    if condition.present is not None:
        return "有上报", "is reported"
    if condition.above is not None:
        return f"高于 {condition.above:g}", f"is above {condition.above:g}"
    if condition.below is not None:
        return f"低于 {condition.below:g}", f"is below {condition.below:g}"
    if condition.equals is not None:
        return f"为 {condition.equals}", f"is {condition.equals}"
    wanted = ", ".join(str(one) for one in condition.any_of or ())
    return f"为其中之一：{wanted}", f"is one of {wanted}"


async def _seen(conn: Connection, row: Row, definition: AlarmDefinition) -> tuple[Micros, str] | None:
    given = {
        "device": row["device_key"],
        "point": definition.point,
        "instance": row["instance"],
        "at": row["raised_at"],
    }
    found = await one_row(conn, _SQL["seen"], given)
    if found is None:
        return None
    value = found["text"] if found["text"] is not None else "" if found["value"] is None else f"{found['value']:g}"
    return to_micros(found["at"]), f"{definition.point} = {value}" if value else definition.point


def _timed(row: Row, *names: str) -> dict[str, Any]:
    return {**row, **{name: _micros(row[name]) for name in names}}


def _micros(at: Any) -> Micros | None:
    return None if at is None else to_micros(at)
