"""The list of fire-risk scores: made of the scores that are kept (hub.runtime.fire_watch), as far as they can still be believed. Pure.

A kept score is believed while somebody looked lately, nothing of its institution has changed since, and the hub listens there as it did. Of what is
not believed, the worst are scored anew; the rest is unknown, and what is unknown counts as if it were bad (decision 0345). So no score in the list
is lower than what the hub knows, and each says of when it is.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from hub.core.fire_facts import Level, Weights
from hub.core.fire_risk import Risk
from hub.core.fire_sentences import age
from hub.model import SECOND, Micros

GAP = timedelta(minutes=30)
"""A score that nobody looked at for so long is unknown for that time: in the list, and on boards (dashboards/fire.py)."""
_GAP: Micros = int(GAP.total_seconds()) * SECOND
_SKEW: Micros = 60 * SECOND
"""How far the clocks of two processes of the hub may be apart."""
FULL = 100
"""the score of what is unknown altogether"""


class Standing(StrEnum):
    """What a score of the list rests on. The last three are unknown: nobody has looked at how it is by now."""

    LIVE = "live"
    """the facts as they are"""
    KEPT = "kept"
    """a score that was kept; nothing has changed since"""
    CHANGED = "changed"
    STALE = "stale"
    NEVER = "never"


class Share(NamedTuple):
    """What one factor adds to a score; `certain` of the points rest on what is known."""

    factor: str
    points: int
    certain: int
    bad: int
    unknown: int
    title_zh: str
    title_en: str


class Kept(NamedTuple):
    """A score that was kept. `seen_at`: when it was looked at last. `changed`: since then something of its institution has, or may have."""

    subject: str
    score: int
    certain: int
    level: Level
    hard: bool
    shares: tuple[Share, ...]
    weights: str
    seen_at: Micros
    changed: bool


class Listed(NamedTuple):
    """A row of the list. `at`: of when it is; None where nobody ever looked."""

    subject: str
    score: int
    certain: int
    level: Level
    hard: bool
    shares: tuple[Share, ...]
    standing: Standing
    at: Micros | None


def standing(kept: Kept | None, weights: Weights, at: Micros) -> Standing:
    """Whether a kept score can be believed: KEPT, or why not. One from the future (the clock was set back) cannot."""
    if kept is None:
        return Standing.NEVER
    if kept.seen_at <= at - _GAP or kept.seen_at > at + _SKEW or kept.weights != weights.version:
        return Standing.STALE
    return Standing.CHANGED if kept.changed else Standing.KEPT


def to_score(subjects: Sequence[str], kept: Mapping[str, Kept], weights: Weights, at: Micros, most: int) -> list[str]:
    """Of those whose kept score cannot be believed at most `most`, in the order in which they are to be scored anew: what was in a hard state first,
    then what has changed, what nobody looked at for long, what is new; of these the highest score first.
    """
    order = (Standing.CHANGED, Standing.STALE, Standing.NEVER)
    doubted = [(one, found) for one in subjects if (found := standing(kept.get(one), weights, at)) in order]

    def urgency(one: tuple[str, Standing]) -> tuple[bool, int, int, str]:
        last = kept.get(one[0])
        return last is None or not last.hard, order.index(one[1]), 0 if last is None else -last.score, one[0]

    return [subject for subject, _ in sorted(doubted, key=urgency)[:most]]


def of_risk(risk: Risk, weights: Weights) -> Listed:
    """The row of a score that was made of the facts now."""
    return Listed(
        risk.subject, risk.score, risk.certain, risk.level, risk.hard, shares(risk, weights), Standing.LIVE, risk.at
    )


def of_kept(subject: str, kept: Kept | None, weights: Weights, at: Micros) -> Listed:
    """The row of a kept score; of one that is not believed, the full score, all of it unknown: but a hard state stays until somebody saw it end."""
    found = standing(kept, weights, at)
    if kept is not None and found is Standing.KEPT:
        return Listed(subject, kept.score, kept.certain, kept.level, kept.hard, kept.shares, found, kept.seen_at)
    seen_at = None if kept is None else min(kept.seen_at, at)
    hard = kept is not None and kept.hard
    return Listed(subject, FULL, 0, weights.levels[-1], hard, (), found, seen_at)


def shares(risk: Risk, weights: Weights) -> tuple[Share, ...]:
    """What each factor adds that found anything."""
    return tuple(
        Share(one.factor.value, one.points, one.certain, one.bad, one.unknown, title.title_zh, title.title_en)
        for one in risk.factors
        if (one.bad or one.unknown) and (title := weights.factors[one.factor])
    )


def rank(listed: Listed) -> tuple[int, int, int, str]:
    """Sorts the most dangerous first: a hard state, then the score, then what is certain of it."""
    return int(not listed.hard), FULL - listed.score, FULL - listed.certain, listed.subject


_WHY = {
    Standing.CHANGED: ("此后情况有变，尚未重新计分", "things have changed since, and nobody has scored it again yet"),
    Standing.STALE: ("已过时", "too old to be believed"),
    Standing.NEVER: ("从未计分", "it was never scored"),
}


def sentence(listed: Listed, weights: Weights, at: Micros) -> tuple[str, str]:
    """The row in one sentence: score, what of it is unknown, of when it is, and that these are internal parameters."""
    zh_age, en_age = age(listed.at, at)
    if listed.standing in _WHY:
        zh, en = _WHY[listed.standing]
        zh_last, en_last = (
            (f"（上次计分在{zh_age}前）", f" (last scored {en_age} ago)") if listed.at is not None else ("", "")
        )
        return (
            f"火灾风险未知：{zh}{zh_last}，按{FULL}分计。{weights.label_zh}。",
            f"Fire risk unknown: {en}{en_last}; it counts as {FULL}. {weights.label_en}.",
        )
    unknown = listed.score - listed.certain
    old_zh, old_en = ("", "") if listed.standing is Standing.LIVE else (f"{zh_age}前计分。", f"Scored {en_age} ago. ")
    return (
        f"火灾风险{listed.score}分（{listed.level.title_zh}），其中{unknown}分因情况未知而计。{old_zh}{weights.label_zh}。",
        f"Fire risk {listed.score} ({listed.level.title_en}), {unknown} of it because things are unknown. {old_en}{weights.label_en}.",
    )
