"""Requirements on what people stated, on documents, and on how long things took: attested, documents, time_bound."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from hub.core.coverage.attestations import COUNTS
from hub.core.coverage.facts import Attestation, Contribution, Interval, ZoneFact
from hub.core.coverage.findings import DeviceEvidence, FactEvidence, Part
from hub.core.coverage.index import SKEW, Index, fresh
from hub.core.coverage.judge_devices import multiple
from hub.core.coverage.judge_readings import every
from hub.core.coverage.judged import Judged, no_zone, worst
from hub.core.coverage.requirements import DAY, Silence
from hub.core.coverage.rules import Attested, Documents, TimeBound, Verdict
from hub.model import SECOND, AdminState, Micros

_V, _C = Verdict, Contribution
_BETTER = {_C.NONE: 0, _C.UNKNOWN: 1, _C.PROVEN: 2}
_CHINA: Micros = 8 * 3600 * SECOND
MOST_SHOWN = 20
"""rows of evidence of intervals and attestations that are kept, the ones that decide first"""
_ALONE = {_C.PROVEN: _V.COMPLIANT, _C.UNKNOWN: _V.UNKNOWN, _C.NONE: _V.NON_COMPLIANT}
_SILENT = {"unknown": _V.UNKNOWN, "non_compliant": _V.NON_COMPLIANT}
_OUTSIDE = frozenset({"too_low", "too_high"})
_SAYS_NOTHING = frozenset({"future", "expired", "overdue", "not_seconded", "no_number"})
OPEN = "open"
"""kind of the intervals in which an institution was open"""


class _Asked(NamedTuple):
    """What one attestation must be to count."""

    within: Micros | None
    greatest_age: Micros | None
    seconded: bool
    numbered: bool
    low: float | None
    high: float | None
    multiple_of: float | None
    """one for each such area begun"""

    @property
    def is_measured(self) -> bool:
        """Whether a value is asked for."""
        return self.low is not None or self.high is not None or self.multiple_of is not None


def attested(asked: Attested, greatest_age: Micros | None, index: Index) -> Judged:
    """At least n attestations of the kind, where and when they are asked for."""
    found = index.attestations.get(asked.kind, [])
    if asked.each_open_day:
        return _each_open_day(asked, found, index)
    if not found and asked.per == "institution":
        return _unsaid(asked.kind, asked.missing, asked.n)
    terms = _Asked(
        asked.within, greatest_age, asked.seconded, False, asked.min_value, asked.max_value, asked.value_per_m2
    )
    if asked.per == "device":
        return _each_device(asked, terms, found, index)
    if asked.per == "zone":
        return _each_zone(asked, terms, found, index)
    part = _enough(asked, terms, None, index.facts.area_m2, found, index.at)
    return Judged(part.verdict, "judged", (part,))


def _each_zone(asked: Attested, terms: _Asked, found: Sequence[Attestation], index: Index) -> Judged:
    zones: Sequence[ZoneFact] = index.zones_of(asked.zones) if asked.zones else index.zones
    by_zone: dict[str | None, list[Attestation]] = {}
    for one in found:
        by_zone.setdefault(one.zone, []).append(one)
    unplaced: list[DeviceEvidence] = []
    if asked.where:
        there, lost = index.there(asked.where)
        unplaced = [DeviceEvidence(one.id, None, _C.UNKNOWN, "unplaced", one.admin_since) for one in lost]
        zones = [zone for zone in zones if zone.id in there]
    silent, never = _SILENT[asked.missing], _never(asked.kind, asked.missing)
    parts = tuple(
        _enough(asked, terms, zone, zone.area_m2, by_zone[zone.id], index.at)
        if zone.id in by_zone
        else Part(zone, silent, asked.n, 0, 0, (), "", never)
        for zone in zones
    )
    if unplaced:
        parts = (*parts, Part(None, _V.UNKNOWN, asked.n, 0, len(unplaced), tuple(unplaced)))
    if not parts:
        return no_zone(asked.must_exist, index)
    return Judged(worst(part.verdict for part in parts), "judged", parts)


def _each_device(asked: Attested, terms: _Asked, found: Sequence[Attestation], index: Index) -> Judged:
    if asked.zones and not index.zones:
        return no_zone(asked.must_exist, index)
    inside = {zone.id for zone in index.zones_of(asked.zones)}
    rows = []
    for device in index.having(asked.where):
        if device.admin_state is not AdminState.IN_SERVICE:
            continue
        places = index.places(device, asked.where)
        if asked.zones and places is None:
            rows.append(DeviceEvidence(device.id, None, _C.UNKNOWN, "unplaced", device.admin_since))
        elif not asked.zones or (places is not None and places & inside):
            own = [one for one in found if one.device == device.id]
            part = _enough(asked, terms, None, None, own, index.at)
            rows.append(_as_device(device.id, device.zone, part, device.admin_since))
    return every(rows, asked.must_exist)


def _as_device(device: str, zone: str | None, part: Part, since: Micros) -> DeviceEvidence:
    said = {_V.COMPLIANT: _C.PROVEN, _V.UNKNOWN: _C.UNKNOWN}.get(part.verdict, _C.NONE)
    first = part.facts[0]
    return DeviceEvidence(device, zone, said, first.reason, since, None, "", first.value, first.at)


def _enough(
    asked: Attested, terms: _Asked, zone: ZoneFact | None, area: float | None, found: Sequence[Attestation], at: Micros
) -> Part:
    if not found:
        return _silence(asked.kind, asked.missing, asked.n, zone)
    if len(found) == 1 and asked.n == 1:
        row = _row(terms, found[0], area, at)
        said = row.contribution
        return Part(zone, _ALONE[said], 1, int(said is _C.PROVEN), int(said is _C.UNKNOWN), (), "", (row,))
    standing = _standing(terms, found, area, at) if terms.is_measured else found
    rows = _rows(terms, standing if asked.n == 1 else found, area, at)
    sure = perhaps = 0
    for row in rows:
        if row.contribution is _C.PROVEN:
            sure += 1
        elif row.contribution is _C.UNKNOWN:
            perhaps += 1
    each = terms.is_measured and asked.kind not in COUNTS
    if each and any(_worth(terms, one, area, at)[1] in _OUTSIDE for one in standing):
        verdict = _V.NON_COMPLIANT
    elif sure >= asked.n:
        verdict = _V.COMPLIANT
    else:
        verdict = _V.UNKNOWN if sure + perhaps >= asked.n else _V.NON_COMPLIANT
    return Part(zone, verdict, asked.n, sure, perhaps, (), "", tuple(rows[:MOST_SHOWN]))


def _standing(terms: _Asked, found: Sequence[Attestation], area: float | None, at: Micros) -> list[Attestation]:
    """What was measured of each place last: an older value is no more so once a newer one of that place, or of the whole institution, is stated.

    One that is not in force, too old or not signed as asked says nothing of an older one.
    """
    newest: dict[tuple[str | None, str | None], Micros] = {}
    for one in found:
        place = one.zone, one.device
        if one.at > newest.get(place, one.at - 1) and _worth(terms, one, area, at)[1] not in _SAYS_NOTHING:
            newest[place] = one.at
    everywhere = newest.get((None, None))
    return [
        one
        for one in found
        if one.at >= newest.get((one.zone, one.device), one.at) and (everywhere is None or one.at >= everywhere)
    ]


def _silence(kind: str, missing: Silence, n: int, zone: ZoneFact | None) -> Part:
    """Nobody ever stated such a thing."""
    return Part(zone, _SILENT[missing], n, 0, 0, (), "", _never(kind, missing))


@lru_cache(maxsize=1_024)
def _never(kind: str, missing: Silence) -> tuple[FactEvidence, ...]:
    return (FactEvidence(kind, "", _C.UNKNOWN if missing == "unknown" else _C.NONE, "never_stated"),)


@lru_cache(maxsize=1_024)
def _unsaid(kind: str, missing: Silence, n: int) -> Judged:
    """The same for every institution that is silent: most of what a rule of statements finds."""
    part = _silence(kind, missing, n, None)
    return Judged(part.verdict, "judged", (part,))


def _rows(terms: _Asked, found: Sequence[Attestation], area: float | None, at: Micros) -> list[FactEvidence]:
    """Each attestation with what it contributes, the best and newest first."""
    rows = [_row(terms, one, area, at) for one in found]
    if len(rows) == 1:
        return rows
    return sorted(rows, key=lambda row: (-_BETTER[row.contribution], -(row.at or 0), row.id, row.reason))


def _row(terms: _Asked, one: Attestation, area: float | None, at: Micros) -> FactEvidence:
    return FactEvidence(one.kind, one.id, *_worth(terms, one, area, at), one.at, one.expires_at, one.value, one.number)


def _worth(terms: _Asked, one: Attestation, area: float | None, at: Micros) -> tuple[Contribution, str]:
    if one.at - at > SKEW:
        return _C.UNKNOWN, "future"
    if one.expires_at is not None and one.expires_at <= at:
        return _C.NONE, "expired"
    if terms.within is not None and at - one.at > terms.within:
        return _C.NONE, "overdue"
    if terms.seconded and not one.seconded:
        return _C.NONE, "not_seconded"
    if terms.numbered and not one.number.strip():
        return _C.NONE, "no_number"
    if terms.is_measured:
        said = _measured(terms, one.value, area)
        if said is not None:
            return said
    if not fresh(one.at, at, terms.greatest_age):
        return _C.UNKNOWN, "stale"
    return _C.PROVEN, "stated"


def _measured(terms: _Asked, value: float | None, area: float | None) -> tuple[Contribution, str] | None:
    """What is wrong with the value; None where it is as asked."""
    if value is None or not math.isfinite(value):
        return _C.UNKNOWN, "no_value"
    if terms.low is not None and value < terms.low:
        return _C.NONE, "too_low"
    if terms.high is not None and value > terms.high:
        return _C.NONE, "too_high"
    if terms.multiple_of is not None:
        needed = multiple(area, terms.multiple_of)
        if needed is None:
            return (_C.NONE, "too_low") if value < 1 else (_C.UNKNOWN, "no_area")
        if value < needed:
            return _C.NONE, "too_low"
    return None


def _each_open_day(asked: Attested, found: Sequence[Attestation], index: Index) -> Judged:
    """n on each day in China on which the institution opened and whose hours have ended, within the time."""
    if not found:
        return _unsaid(asked.kind, asked.missing, asked.n)
    at = index.at
    within = asked.within or 0
    days = sorted(
        {
            _day(one.began_at)
            for one in index.intervals.get(OPEN, ())
            if one.ended_at is not None and one.ended_at <= at and at - one.ended_at <= within
        }
    )
    if not days:
        calendar = (FactEvidence(OPEN, "", _C.UNKNOWN, "no_calendar"),)
        return Judged(_V.UNKNOWN, "judged", (Part(None, _V.UNKNOWN, asked.n, 0, 0, (), "", calendar),))
    rows = []
    counts: dict[int, int] = {}
    for one in found:
        if one.seconded or not asked.seconded:
            day = (one.at + _CHINA) // DAY
            counts[day] = counts.get(day, 0) + 1
    for day in days:
        count = counts.get(day, 0)
        enough = count >= asked.n
        reason = "stated" if enough else "too_few"
        began = day * DAY - _CHINA
        rows.append(FactEvidence(asked.kind, "", _C.PROVEN if enough else _C.NONE, reason, began, None, float(count)))
    short = sum(row.contribution is _C.NONE for row in rows)
    verdict = _V.NON_COMPLIANT if short else _V.COMPLIANT
    shown = sorted(rows, key=lambda row: (_BETTER[row.contribution], -(row.at or 0)))[:MOST_SHOWN]
    return Judged(verdict, "judged", (Part(None, verdict, len(days), len(days) - short, 0, (), "", tuple(shown)),))


def _day(at: Micros) -> int:
    """Which day in China an instant falls into."""
    return (at + _CHINA) // DAY


def documents(asked: Documents, greatest_age: Micros | None, index: Index) -> Judged:
    """A document of each kind."""
    stated = index.attestations
    if len(asked.kinds) == 1:
        [kind] = asked.kinds
        if kind not in stated:
            return _unsaid(kind, asked.missing, 1)
    terms = _Asked(asked.within, greatest_age, False, asked.number_required, None, None, None)
    rows: list[FactEvidence] = []
    for kind in sorted(asked.kinds):
        found = _rows(terms, stated.get(kind, ()), None, index.at)
        rows.append(found[0] if found else _never(kind, asked.missing)[0])
    sure = sum(row.contribution is _C.PROVEN for row in rows)
    if any(row.contribution is _C.NONE for row in rows):
        verdict = _V.NON_COMPLIANT
    else:
        verdict = _V.COMPLIANT if sure == len(rows) else _V.UNKNOWN
    perhaps = sum(row.contribution is _C.UNKNOWN for row in rows)
    return Judged(verdict, "judged", (Part(None, verdict, len(rows), sure, perhaps, (), "", tuple(rows)),))


def time_bound(asked: TimeBound, greatest_age: Micros | None, index: Index) -> Judged:
    """How long it took, of all that ended (or ought to have) within the evidence's greatest age."""
    kind = asked.interval
    rows = [
        row for one in index.intervals.get(kind, ()) if (row := _took(asked, one, greatest_age, index.at)) is not None
    ]
    if not rows:
        nothing = (FactEvidence(kind, "", _C.UNKNOWN, "never_measured"),)
        return Judged(_V.UNKNOWN, "judged", (Part(None, _V.UNKNOWN, 1, 0, 0, (), "", nothing),))
    rows.sort(key=lambda row: (_BETTER[row.contribution], -(row.value or 0.0), row.at or 0, row.id, row.until or 0))
    sure = sum(row.contribution is _C.PROVEN for row in rows)
    perhaps = sum(row.contribution is _C.UNKNOWN for row in rows)
    total = len(rows)
    needed = total if asked.quantile is None else math.ceil(asked.quantile * total - 1e-9)
    if sure >= needed:
        verdict = _V.COMPLIANT
    else:
        verdict = _V.UNKNOWN if sure + perhaps >= needed else _V.NON_COMPLIANT
    return Judged(verdict, "judged", (Part(None, verdict, needed, sure, perhaps, (), "", tuple(rows[:MOST_SHOWN])),))


def _took(asked: TimeBound, one: Interval, greatest_age: Micros | None, at: Micros) -> FactEvidence | None:
    """One measurement; None while it is under way, and where it is too old or not yet so."""
    device = one.device or ""
    if one.began_at - at > SKEW or (one.ended_at is not None and one.ended_at - at > SKEW):
        return None
    if one.ended_at is None:
        due = one.began_at + asked.within
        if at <= due or not fresh(due, at, greatest_age):
            return None
        return FactEvidence(one.kind, device, _C.NONE, "not_arrived", one.began_at)
    if not fresh(one.ended_at, at, greatest_age):
        return None
    took = one.ended_at - one.began_at
    seconds = round(took / SECOND, 3)
    if took < 0:
        return FactEvidence(one.kind, device, _C.UNKNOWN, "clock", one.began_at, one.ended_at, seconds)
    if took > asked.within:
        return FactEvidence(one.kind, device, _C.NONE, "too_slow", one.began_at, one.ended_at, seconds)
    return FactEvidence(one.kind, device, _C.PROVEN, "in_time", one.began_at, one.ended_at, seconds)
