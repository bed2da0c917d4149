"""Rows of what the judge looks at, as the core's values. Each function takes a row (or what was read of one device) and knows no statement.

What none of them understands is one of `ODD`: it costs its own institution its facts (hub.store.coverage_facts), and no other one.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from hub import errors
from hub.core.commissioning import last_proofs
from hub.core.coverage.attestations import DOCUMENTS, NUMBERED, AttestationKind
from hub.core.coverage.facts import (
    Attestation,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    View,
    ZoneFact,
    figures,
)
from hub.core.coverage.ways import Hangs
from hub.model import SECOND, LinkState, Micros, to_micros
from hub.store.recordings import RecordingRow
from hub.store.rows import Row

ODD = (*errors.ODD, psycopg.DataError)
"""What becomes of a row that this program does not understand: a word of a later version, nothing where something must be, a time beyond all calendars."""

_NUMBERED = NUMBERED | DOCUMENTS
"""kinds whose number is that of a paper; what somebody writes there for another kind may be anything, also a name"""
_HOUR: Micros = 3600 * SECOND
_HEARD_WITHIN: Micros = 6 * _HOUR
"""What moves with every beat is told so coarsely, always too old, never too new: facts that are the same are kept once."""


def sound(facts: InstitutionFacts) -> InstitutionFacts:
    """The facts; raises ValueError where a figure is none: it could not be kept, nor compared with anything."""
    if not all(one is None or math.isfinite(one) for one in figures(facts)):
        raise ValueError("a figure that is no number")
    return facts


def first_moments(*moments: tuple[int, datetime], after: datetime) -> dict[int, Micros]:
    """By institution the first of its moments that is still to come."""
    found: dict[int, Micros] = {}
    for institution, at in moments:
        if at > after:
            found[institution] = min(to_micros(at), found.get(institution, to_micros(at)))
    return found


def by_key(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    """The rows by the value of one column."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[name], []).append(row)
    return found


def down_to_hour(at: Micros) -> Micros:
    """What moves with every reading is told so coarsely."""
    return _down(at, _HOUR)


def _down(at: Micros, step: Micros) -> Micros:
    return at - at % step


def heard_of(row: Row) -> Micros | None:
    """When it was heard last: to the microsecond where it is silent."""
    if row["last_heard_at"] is None:
        return None
    at = to_micros(row["last_heard_at"])
    return _down(at, _HEARD_WITHIN) if row["link_state"] == LinkState.ONLINE else at


def zone_of(row: Row) -> ZoneFact:
    """A zone of the plan."""
    if None in (*row["entrances"], *row["ages"]):
        raise ValueError("an entrance or a group of children without a name")
    return ZoneFact(
        row["id"],
        row["purpose"],
        row["title_zh"],
        row["title_en"],
        floor="" if row["floor"] is None else str(row["floor"]),
        area_m2=row["area_m2"],
        entrances=tuple(row["entrances"]),
        ages=tuple(row["ages"]),
    )


def plan_of(place: Row) -> PlanState:
    """Version 0 and never changed: no zone was ever declared."""
    changed, signed = place["plan_changed_at"], place["signed_at"]
    return PlanState(
        place["plan_version"],
        None if signed is None else to_micros(signed),
        0 if changed is None else to_micros(changed),
    )


def view_of(row: Row) -> View:
    """What a camera sees of a zone."""
    attested = row["attested_at"]
    return View(row["zone"], row["share"], None if attested is None else to_micros(attested), row["masked"])


def proven_of(row: Row, capabilities: frozenset[str], proofs: Sequence[Row]) -> Mapping[str, Micros]:
    """When each capability was shown last."""
    at = row["proven_at"]
    shown = [(one["capability"], to_micros(one["at"])) for one in proofs]
    found = last_proofs(capabilities, None if at is None else to_micros(at), row["proven"], shown)
    return {name: int(moment) for name, moment in found.items()}


def hangs_of(row: Row) -> Hangs:
    """What a device hangs on itself."""
    return Hangs(*(row[name] for name in Hangs._fields))


def recording_of(row: RecordingRow) -> RecordingFact | None:
    """None where no index was ever read, or what is stored of it is no figure: of that nothing is known."""
    if row.days is None or row.read_at is None or row.gap_seconds is None or row.bad_seconds is None:
        return None
    told = (row.days, row.gap_seconds, row.bad_seconds, 0.0 if row.possible is None else row.possible)
    if not all(math.isfinite(one) for one in told):
        return None
    return RecordingFact(
        row.device,
        row.recorder or "",
        row.days,
        row.gap_seconds,
        oldest_at=None,
        newest_at=row.newest_at,
        read_at=row.read_at,
        bad_seconds=row.bad_seconds,
        installed_at=row.installed_at,
        possible=row.possible,
    )


def attestation_of(row: Row) -> Attestation:
    """A fact that a person stated."""
    expires = row["expires_at"]
    return Attestation(
        row["id"],
        row["kind"],
        to_micros(row["at"]),
        None if expires is None else to_micros(expires),
        row["zone"],
        row["device"],
        row["number"] if row["kind"] in _NUMBERED else "",
        row["value"],
        row["seconded"],
    )


def drill_of(row: Row) -> Attestation:
    """A drill that was held, as a statement."""
    return Attestation(f"drill:{row['id']}", AttestationKind.DRILL.value, to_micros(row["at"]))


def police_test_of(row: Row) -> Attestation:
    """A test with the police that they receipted, as a statement."""
    kind = AttestationKind.POLICE_TEST.value
    return Attestation(f"window:{row['id']}", kind, to_micros(row["at"]), device=row["device"], number=row["number"])


_FROM = {"fire": "detector", "panic": "press"}


def alarm_intervals(rows: Iterable[Row]) -> Iterator[Interval]:
    """From an alarm to the centre, to people, to the one who took it."""
    for row in rows:
        raised, received = to_micros(row["raised_at"]), to_micros(row["received_at"])
        told, owned = (_after(received, row[name]) for name in ("told_at", "acknowledged_at"))
        begin = _FROM[row["signal_class"]]
        yield Interval(f"{begin}-centre", raised, received, row["device"])
        yield Interval(f"{begin}-people", raised, told, row["device"])
        yield Interval("centre-people", received, told, row["device"])
        if told is not None:
            # somebody may own it, on the console, before a message arrives
            yield Interval("people-acknowledged", told, None if owned is None else max(told, owned), row["device"])


def _after(began: Micros, at: datetime | None) -> Micros | None:
    """What follows is never before: the clocks of two processes may differ by a little."""
    return None if at is None else max(began, to_micros(at))
