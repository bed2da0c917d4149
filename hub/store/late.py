"""What the store knows of silences that have ended: how far back they go, and what their edges kept of them. In the caller's transaction; set-wise.

What follows from it is hub.core.coverage.late.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hub.core.coverage import late
from hub.core.coverage.late import Kept, Silence
from hub.core.coverage.ledger import Span
from hub.core.coverage.snapshot import Observed, Snapshot
from hub.model import Micros, Reading, Series, to_datetime, to_micros
from hub.profiles import Profile
from hub.store.pool import Connection
from hub.store.queries import queries
from hub.store.rows import Row, all_rows

_SQL = queries("late")
MOST_GAPS = 200
"""of one device in one silence; where there are more, nothing is believed"""
STEP, STEPS = 8, 12
"""spans read in one look back, and looks: a silence in which the facts changed more often than this amends only its last part"""

Spans = dict[str, list[Span]]


class Late(NamedTuple):
    """What came late of an institution's silences that have ended, and the devices of whose silence a part is still on its way."""

    observed: Sequence[Observed]
    arriving: frozenset[str]


_EVER: Micros = 253_000_000_000_000_000
"""later than anything"""


async def late_of(
    conn: Connection,
    profiles: Mapping[str, Profile],
    spans: Spans,
    fresh: Mapping[str, Snapshot | None],
    at: Micros,
    read: Callable[[Sequence[Row]], Awaitable[None]],
) -> dict[str, Late]:
    """What is known now of the devices that are heard of again, by subject. `spans` has the open ones; `read` adds rows of older ones to it."""
    silences = {}
    for subject, one in fresh.items():
        last = next((span for span in spans[subject] if span.end is None), None)
        found = [] if one is None or last is None else late.ended(last, one.facts, at)
        if found:
            silences[subject] = found
    silences = await _looked_back(conn, spans, silences, read)
    meant = [(subject, cut) for subject, one in late.named(silences) if (cut := late.worth_it(one, at)) is not None]
    if not meant:
        return {}
    found_by: dict[str, list[Observed]] = {}
    arriving: dict[str, set[str]] = {}
    for (subject, silence), (kept, profile) in (await _kept(conn, profiles, meant)).items():
        if late.arrives(silence, kept, at):
            arriving.setdefault(subject, set()).add(silence.device)
        else:
            found_by.setdefault(subject, []).extend(late.observed(silence, kept, profile))
    subjects = {*arriving, *(subject for subject, found in found_by.items() if found)}
    return {
        subject: Late(late.bounded(found_by.get(subject, ())), frozenset(arriving.get(subject, ())))
        for subject in subjects
    }


async def _looked_back(
    conn: Connection, spans: Spans, silences: dict[str, list[Silence]], read: Callable[[Sequence[Row]], Awaitable[None]]
) -> dict[str, list[Silence]]:
    found = dict(silences)
    older = {
        subject: min(span.start for span in spans[subject])
        for subject, given in silences.items()
        if any(_is_older(one, spans[subject]) for one in given)
    }
    for _ in range(STEPS):
        if not older:
            break
        asked = {"subjects": list(older), "before": [to_datetime(at) for at in older.values()], "most": STEP}
        await read(await all_rows(conn, _SQL["spans_before"], asked))
        for subject, before in list(older.items()):
            past = sorted((one for one in spans[subject] if one.end is not None), key=lambda one: one.start)
            found[subject], further = late.further(silences[subject], past)
            oldest = min(one.start for one in spans[subject])
            if not further or oldest == before:
                del older[subject]
            else:
                older[subject] = oldest
    return found


def _is_older(silence: Silence, spans: Sequence[Span]) -> bool:
    """Whether the device was silent before the open span began."""
    [last] = [span for span in spans if span.end is None]
    device = next(one for one in last.kept.facts.devices if one.id == silence.device)
    return device.link_since < last.start


_Meant = tuple[str, Silence]


async def _kept(
    conn: Connection, profiles: Mapping[str, Profile], meant: Sequence[_Meant]
) -> dict[_Meant, tuple[Kept, Profile]]:
    asked: dict[str, Any] = {"ns": list(range(len(meant))), "devices": [one.device for _, one in meant]}
    rows = {row["n"]: row for row in await all_rows(conn, _SQL["places"], asked) if row["profile"] in profiles}
    if not rows:
        return {}
    missing = await _missing(conn, profiles, meant, rows)
    edges = await _edges(conn, meant, rows)
    said = await _said(conn, profiles, meant, rows)
    lanes = sorted({(row["client"], row["lane"]) for row in rows.values()})
    clients = {"clients": [client for client, _ in lanes], "lanes": [lane for _, lane in lanes]}
    arrived = {(row["client"], row["lane"]): row for row in await all_rows(conn, _SQL["lanes"], clients)}
    out = {}
    for n, row in rows.items():
        silence = meant[n][1]
        lane = arrived.get((row["client"], row["lane"]))
        lost = list(missing.get(n, ()))
        if lane is not None and lane["dropping_since"] is not None:
            lost.append((to_micros(lane["dropping_since"]), _EVER))
        began_anew, skew = edges.get((row["edge"], silence.since, silence.until), (None, None))
        kept = Kept(
            arrived=None if lane is None or lane["beat_at"] is None else to_micros(lane["beat_at"]),
            heard=None if row["last_heard_at"] is None else to_micros(row["last_heard_at"]),
            missing=lost,
            began_anew=began_anew,
            skew=skew,
            said=said.get(n, ()),
        )
        out[meant[n]] = kept, profiles[row["profile"]]
    return out


async def _missing(
    conn: Connection, profiles: Mapping[str, Profile], meant: Sequence[_Meant], rows: Mapping[int, Row]
) -> dict[int, list[tuple[Micros, Micros]]]:
    own = {n: profiles[row["profile"]].liveness.offline_after for n, row in rows.items()}
    asked: dict[str, Any] = {name: [row[column] for row in rows.values()] for name, column in _GAPS.items()}
    asked |= _periods([(meant[n][1], late.MARGIN + own[n]) for n in rows]) | {"most": MOST_GAPS + 1}
    found: dict[int, list[tuple[Micros, Micros]]] = {}
    for row in await all_rows(conn, _SQL["missing"], asked):
        around = own[row["n"]] if row["whole"] else 0
        until = _EVER if row["cause"] == "dropped" else to_micros(row["until"]) + around
        found.setdefault(row["n"], []).append((to_micros(row["since"]) - around, until))
    return {n: [(0, _EVER)] if len(gaps) > MOST_GAPS else gaps for n, gaps in found.items()}


_GAPS = {"ns": "n", "keys": "key", "clients": "client", "lanes": "lane"}


async def _edges(
    conn: Connection, meant: Sequence[_Meant], rows: Mapping[int, Row]
) -> dict[tuple[int, Micros, Micros], tuple[Micros | None, float | None]]:
    periods = sorted({(row["edge"], meant[n][1].since, meant[n][1].until) for n, row in rows.items()})
    asked = {
        "edges": [edge for edge, _, _ in periods],
        "since": [to_datetime(since) for _, since, _ in periods],
        "until": [to_datetime(until) for _, _, until in periods],
    }
    return {
        (row["edge"], to_micros(row["since"]), to_micros(row["until"])): (
            None if row["began_anew"] is None else to_micros(row["began_anew"]),
            row["skew"],
        )
        for row in await all_rows(conn, _SQL["edges"], asked)
    }


async def _said(
    conn: Connection, profiles: Mapping[str, Profile], meant: Sequence[_Meant], rows: Mapping[int, Row]
) -> dict[int, Sequence[Reading] | None]:
    wanted = [
        (n, row["key"], point)
        for n, row in rows.items()
        for point in sorted(late.telling(profiles[row["profile"]]) or ())
    ]
    if not wanted:
        return {}
    asked: dict[str, Any] = {
        "ns": [n for n, _, _ in wanted],
        "keys": [key for _, key, _ in wanted],
        "points": [point for _, _, point in wanted],
        "most": late.MOST_READINGS + 1,
    }
    asked |= _periods([(meant[n][1], 0) for n, _, _ in wanted])
    found: dict[int, list[Reading]] = {}
    for row in await all_rows(conn, _SQL["said"], asked):
        n = row["n"]
        series = Series(meant[n][1].device, row["point"], row["instance"])
        profile = profiles[rows[n]["profile"]]
        at = to_micros(row["at"])
        found.setdefault(n, []).append(late.reading(profile, series, at, row["value"], row["quality"]))
    return {n: None if len(given) > late.MOST_READINGS else given for n, given in found.items()}


def _periods(silences: Sequence[tuple[Silence, Micros]]) -> dict[str, list[datetime]]:
    """Each silence with so much before and after it."""
    return {
        "since": [to_datetime(one.since - around) for one, around in silences],
        "until": [to_datetime(one.until + around) for one, around in silences],
    }
