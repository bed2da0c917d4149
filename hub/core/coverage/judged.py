"""What judging one requirement gives, before a rule's words are put to it, and how verdicts of parts become one."""

from collections.abc import Iterable
from typing import NamedTuple

from hub.core.coverage.findings import Part
from hub.core.coverage.index import Index
from hub.core.coverage.rules import Verdict

_V = Verdict
_ORDER = (_V.NON_COMPLIANT, _V.UNKNOWN, _V.WAIVED, _V.COMPLIANT)


class Judged(NamedTuple):
    """A verdict, why in one word, and its parts."""

    verdict: Verdict
    reason: str
    parts: tuple[Part, ...]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; those that are not applicable do not count. Nothing at all is not applicable."""
    given = set(verdicts)
    return next((verdict for verdict in _ORDER if verdict in given), _V.NOT_APPLICABLE)


def no_zone(must_exist: bool, index: Index) -> Judged:
    """Where the zone plan has none of the zones that are meant: without a plan nothing is known, with one it may not apply."""
    if not index.facts.zones:
        return Judged(_V.UNKNOWN, "no_zone_plan", ())
    return Judged(_V.UNKNOWN if must_exist else _V.NOT_APPLICABLE, "no_such_zone", ())


def no_device(must_exist: bool) -> Judged:
    """Where there is no device that the rule could look at."""
    return Judged(_V.UNKNOWN if must_exist else _V.NOT_APPLICABLE, "no_such_device", ())
