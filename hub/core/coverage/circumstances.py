"""Rules that ask something only in a circumstance 情形: where gas is burnt, where faces are recognised, where there is a fire panel. Pure.

Who could be let off says so, and is seen to have said it: a circumstance that nobody stated leaves a violation unknown, never not applicable.
"""

import math
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from hub.core.coverage.facts import Attestation, Contribution
from hub.core.coverage.findings import FactEvidence, Part
from hub.core.coverage.index import INSTALLED_NOT, SKEW, Index
from hub.core.coverage.judged import Judged, worst
from hub.core.coverage.requirements import When
from hub.core.coverage.rules import Verdict

_V, _C = Verdict, Contribution


class Holds(Enum):
    """Whether a circumstance holds."""

    YES = 1
    NO = 2
    UNKNOWN = 3


class _Told(NamedTuple):
    """Whether it holds, and by which evidence."""

    holds: Holds
    by: FactEvidence


def limited(judged: Judged, when: When, index: Index) -> Judged:
    """What a rule says that asks only in a circumstance: parts where it does not hold are left out, where nobody knows a violation is unknown."""
    everywhere = _told(when, None, index)
    if not judged.parts:
        return _exempt(everywhere) if everywhere.holds is Holds.NO else judged
    if everywhere.holds is Holds.YES and len(judged.parts) == 1 and judged.parts[0].zone is None:
        return judged
    parts: list[Part] = []
    first: _Told | None = None
    for part in judged.parts:
        told = everywhere if part.zone is None else _told(when, part.zone.id, index)
        if told.holds is Holds.NO:
            first = first or told
        elif told.holds is Holds.UNKNOWN and part.verdict is _V.NON_COMPLIANT:
            parts.append(part._replace(verdict=_V.UNKNOWN, facts=(told.by, *part.facts)))
        else:
            parts.append(part)
    if not parts:
        return _exempt(first or everywhere)
    return Judged(worst(part.verdict for part in parts), judged.reason, tuple(parts))


def _exempt(told: _Told) -> Judged:
    return Judged(_V.NOT_APPLICABLE, "not_so", (Part(None, _V.NOT_APPLICABLE, 0, 0, 0, (), "", (told.by,)),))


def _told(when: When, zone: str | None, index: Index) -> _Told:
    """Looked up once for all rules of one circumstance."""
    key = (when.stated or when.capabilities, when.minimum, when.within, zone)
    found = index.circumstances.get(key)
    if not isinstance(found, _Told):
        found = index.circumstances[key] = _tell(when, zone, index)
    return found


def _tell(when: When, zone: str | None, index: Index) -> _Told:
    if when.capabilities:
        kind = min(when.capabilities)
        there = any(device.admin_state not in INSTALLED_NOT for device in index.having(when.capabilities))
        return _Told(Holds.YES if there else Holds.NO, FactEvidence(kind, "", _C.PROVEN, "no_such_device"))
    found = index.attestations.get(when.stated, ())
    newest = _newest((one for one in found if zone is not None and one.zone == zone), index)
    if newest is None:
        newest = _newest((one for one in found if one.zone is None and one.device is None), index)
    if newest is None:
        return _Told(Holds.UNKNOWN, FactEvidence(when.stated, "", _C.UNKNOWN, "not_told"))
    value = newest.value or 0.0
    evidence = FactEvidence(
        newest.kind, newest.id, _C.PROVEN, "stated", newest.at, newest.expires_at, value, newest.number
    )
    if when.within is not None and index.at - newest.at > when.within:
        return _Told(Holds.UNKNOWN, evidence._replace(contribution=_C.UNKNOWN, reason="stale"))
    return _Told(Holds.YES if value >= when.minimum else Holds.NO, evidence)


def _newest(found: Iterable[Attestation], index: Index) -> Attestation | None:
    """The newest that stands: begun, not expired, with a value; of equals the one with the greater value."""
    standing = (
        one
        for one in found
        if one.at - index.at <= SKEW
        and (one.expires_at is None or one.expires_at > index.at)
        and one.value is not None
        and math.isfinite(one.value)
    )
    return max(standing, key=lambda one: (one.at, one.value or 0.0, one.id), default=None)
