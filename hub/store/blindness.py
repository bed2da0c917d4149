"""Why things are not seen, in the database: the facts that are weighed, the conclusions with their evidence, the alarms of areas."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from hub.core.blindness import Cause, Evidence, not_listening
from hub.core.blindness_sentences import say
from hub.model import Lane, Micros, to_datetime, to_micros
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("blindness")
_TIMES = frozenset({"since", "until"})


def to_json(evidence: Iterable[Evidence]) -> Jsonb:
    """Observations as they are stored and shown: times as RFC 3339."""
    return Jsonb([{"what": one.what, "facts": {k: _plain(k, v) for k, v in one.facts.items()}} for one in evidence])


def _plain(key: str, value: Any) -> Any:
    if key not in _TIMES or not isinstance(value, int):  # as it was stored
        return value
    return to_datetime(value).isoformat(timespec="seconds").replace("+00:00", "Z")


async def weigh(conn: Connection, rows: Sequence[Row]) -> list[Row]:
    """Rows of devices (with `key`, which is taken out) with the weighed `link_cause`, its `link_evidence`, the `root_alarm` above it, and what is
    known of its `clock`.
    """
    keys = [row["key"] for row in rows]
    away = [row["key"] for row in rows if row["link_state"] != "online"]
    found = {row["device"]: row for row in await all_rows(conn, _SQL["weighed"], {"devices": away})} if away else {}
    clocks = {row.pop("device"): row for row in await all_rows(conn, _SQL["clocks"], {"devices": keys})} if keys else {}
    weighed = []
    for row in rows:
        key = row.pop("key")
        verdict = found.get(key, {})
        cause = verdict.get("cause", row["link_cause"])
        evidence = verdict.get("evidence", [])
        if cause == "device" and not evidence:
            heard = row.get("last_heard_at")
            since = None if heard is None else heard.isoformat(timespec="seconds").replace("+00:00", "Z")
            evidence = [{"what": "edge_heard", "facts": {"since": since}}]
        more = {"link_cause": cause, "link_evidence": _said(evidence), "root_alarm": verdict.get("root_alarm")}
        weighed.append({**row, **more, "clock": clocks.get(key)})
    return weighed


def _said(evidence: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Observations as they are stored, each with its sentence."""
    return [{**one, "sentence": say(one["what"], one["facts"]).model_dump()} for one in evidence]


async def silences(conn: Connection, device: int, *, limit: int, before: int | None = None) -> list[Row]:
    """When this device was not seen and why, newest first, each with what was `said` at the time where more is known now; from `before` (a `key`) on."""
    found = await all_rows(conn, _SQL["silences"], {"device": device, "limit": limit, "before": before})
    for row in found:
        cause, evidence = row.pop("said_cause"), row.pop("said_evidence")
        row["evidence"] = _said(row["evidence"])
        row["said"] = None if cause is None else {"cause": cause, "evidence": _said(evidence)}
    return found


# what the lanes write of themselves ---------------------------------------------------------------------------------


async def listened(conn: Connection, partition: int, lane: Lane) -> Micros | None:
    """When somebody listened to this lane last; None where nobody ever did."""
    async with conn.transaction():
        row = await (await conn.execute(_SQL["listened"], {"partition": partition, "lane": lane})).fetchone()
    return None if row is None else to_micros(row[0])


async def note_hearing(
    conn: Connection,
    partition: int,
    lane: Lane,
    heard: tuple[Micros, float] | None,
    gaps: Sequence[tuple[Cause, Micros, Micros | None]],
    sessions: Mapping[str, Micros | None],
) -> set[str]:
    """That the lane listens (up to when by its clock, and how many seconds ago that is; None: it does not), its gaps (cause, since, until), and
    when sessions of clients ended (None: one began).

    Returns the clients of which it could not be written, because somebody else holds their rows.
    """
    place = {"partition": partition, "lane": lane}
    async with conn.transaction():
        for cause, since, until in gaps:
            evidence = to_json(not_listening(cause, since, until).evidence)
            given = place | {"cause": cause, "evidence": evidence, "since": to_datetime(since)}
            await conn.execute(_SQL["open_gap"], given)
            if until is not None:
                await conn.execute(_SQL["close_gap"], given | {"until": to_datetime(until)})
        if heard is not None:
            at, quiet = heard
            await conn.execute(_SQL["watch"], place | {"at": to_datetime(at), "quiet": timedelta(seconds=quiet)})
        if sessions:
            moments = [None if ended is None else to_datetime(ended) for ended in sessions.values()]
            cursor = await conn.execute(_SQL["sessions"], {"clients": list(sessions), "at": moments})
            return {name for (name,) in await cursor.fetchall()}
    return set()
