"""The ledger of findings: what is ended and added when an institution is judged again. Pure; the store writes it.

Two times (docs/decisions/0355): a row says what was true from `start` to `end`, and since when the hub held it so. Nothing is changed: what turns out
otherwise is ended, and rows are added beside it. A fact holds from its own time on, so whatever comes late has the past that it concerns judged
again, with the rules that were used there. Where nobody judged for long, what was compliant is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from hub.core.coverage import sentences
from hub.core.coverage.findings import Finding
from hub.core.coverage.rules import Verdict
from hub.core.coverage.snapshot import Observed, Snapshot, news, put
from hub.core.coverage.statements import Said, Shelf
from hub.model import SECOND, Micros

STALE_AFTER: Micros = 180 * SECOND
"""What nobody renewed for so long is not believed any more, neither now nor in the past. The watch renews every few seconds (coverage_watch)."""
FURTHEST_BACK: Micros = 400 * 86_400 * SECOND
"""how far the past is judged again for what comes late; beyond that only new reports would say it"""
GRAIN: Micros = SECOND
"""Change by change would be judged apart, and kept apart, when an institution's devices come back one after the other: what became so within the
same second counts from its end (docs/decisions/0411). The present is judged as it is."""
MOST_TURNS = 20_000
"""time limits looked at in one judgement; twice an hour for more than a year"""


class Judge(Protocol):
    """Rules as functions of facts and time; packs are named by their hash, those of the past too."""

    def knows(self, packs: bytes) -> bool:
        """Whether it can judge by these packs."""

    def findings(self, packs: bytes, kept: Snapshot, at: Micros) -> Sequence[Finding]:
        """Every rule that applies, with waivers taken into account."""

    def next_turn(self, packs: bytes, kept: Snapshot, at: Micros) -> Micros | None:
        """When after `at` a verdict can be another though no fact is."""


class Span(NamedTuple):
    """The facts of a subject from `start` to before `end` (None: until further notice), and the packs by which they were judged."""

    start: Micros
    end: Micros | None
    kept: Snapshot
    packs: bytes
    key: int | None = None
    """of the row that is stored; None for one that is new"""
    facts: bytes = b""
    """the name under which the facts are stored"""


class Row(NamedTuple):
    """What one rule said from `start` to before `end`."""

    rule: str
    start: Micros
    end: Micros | None
    verdict_since: Micros
    said: Said
    key: int | None = None
    """of the row that is stored; None for one that is new"""
    hash: bytes | None = None
    """of the row that is stored; None for one that is new, or from before there was a chain"""


class Held(NamedTuple):
    """What the ledger holds of one subject, as far back as needed: spans and rows in order of time, none ended."""

    subject: str
    spans: Sequence[Span] = ()
    rows: Sequence[Row] = ()
    checked_at: Micros | None = None
    """until when it is known to hold"""
    known_from: Micros = 0
    """the time of the newest entry, and of the newest digest: no later entry is dated before it, and one made while the clock is behind it just after"""
    statements: Mapping[bytes, dict[str, Any]] = {}
    """what the open rows say, where it must be doubted"""
    late: Sequence[Observed] = ()
    """what came late of the stretch that has just ended for some device (hub.core.coverage.late)"""
    arriving: frozenset[str] = frozenset()
    """devices of whose silence a part is still on its way: it is not over before that has come"""


class Turned(NamedTuple):
    """What people hear of: a rule's verdict now, and the one before, None for a first one."""

    rule: str
    before: str | None
    said: Said
    since: Micros


class Moved(NamedTuple):
    """What must be written, and what people hear of. `shelf` has the texts that rows and spans name."""

    at: Micros
    shelf: Shelf
    ends: Sequence[Row]
    adds: Sequence[Row]
    ends_spans: Sequence[Span]
    adds_spans: Sequence[Span]
    turned: Sequence[Turned]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.ends or self.adds or self.ends_spans or self.adds_spans)


def begins(held: Held, fresh: Snapshot, at: Micros, late: Sequence[Observed] = ()) -> Micros:
    """From when on spans and rows must be known to record these facts."""
    last = held.spans[-1] if held.spans and held.spans[-1].end is None else None
    since = [one.since for one in late] + (
        [] if last is None else [one.since for one in news(last.kept.facts, fresh.facts, at)]
    )
    latest = at if held.checked_at is None else min(at, held.checked_at)
    return max(min([latest, *since]), at - FURTHEST_BACK)


def recount(
    held: Held, fresh: Snapshot | None, packs: bytes, at: Micros, judge: Judge, late: Sequence[Observed] = ()
) -> Moved:
    """What changes in the ledger once these facts are known at `at`. Without facts the subject is judged no more, and everything open ends.

    `late` are dated items that the facts of today no longer show, because newer ones of the same kind stand there.
    """
    spans = list(held.spans)
    last = spans[-1] if spans and spans[-1].end is None else None
    now, at = at, max(at if at >= held.known_from else held.known_from + 1, last.start if last is not None else 0)
    shelf = Shelf()
    doubts: list[_Judged] = []
    if held.checked_at is not None and held.checked_at < now - STALE_AFTER:
        green = [row for row in held.rows if _is_open_green(row, held.checked_at, at)]
        doubts = [_doubt(row, held.statements, held.checked_at, at, shelf) for row in green]
        if last is not None:
            spans[-1:] = [last._replace(end=held.checked_at)] if held.checked_at > last.start else []
    if fresh is None:
        told = [one._replace(end=at) if one.end is None else one for one in spans if one.start < at]
        judged = [_Judged(at, None, {}, None)]
    else:
        observed = [*late] + ([] if last is None else news(last.kept.facts, fresh.facts, at))
        told, changed = retold(spans, Span(at, None, fresh, packs), observed, begins(held, fresh, at, late), judge)
        changed += _limits(held, changed, judge, at)
        judged = [piece for span in changed for piece in _judged(span, judge, at, shelf)]
        if not any(piece.end is None for piece in judged):
            judged += _judged(Span(at, None, fresh, packs), judge, at, shelf)
    rows = _relaid(held.rows, doubts + judged)
    kept = {(row.rule, row.start, row.end, row.verdict_since, row.said): row for row in held.rows}
    wanted = {(row.rule, row.start, row.end, row.verdict_since, row.said): row for row in rows}
    ends = [row for place, row in kept.items() if place not in wanted]
    adds = [row for place, row in wanted.items() if place not in kept]
    if not ends and not adds and last is not None and not _has_lapsed(last, packs, judge, at) and fresh is not None:
        told = list(
            held.spans
        )  # readings were renewed, and nothing follows from it: the facts that are kept still prove it all
    ends_spans, adds_spans = _others(held.spans, told), _others(told, held.spans)
    for span in adds_spans:
        shelf.keep(span.kept)
    return Moved(at, shelf, ends, adds, ends_spans, adds_spans, _turned(held.rows, rows, judged))


def _has_lapsed(span: Span, packs: bytes, judge: Judge, at: Micros) -> bool:
    """Whether the facts that are kept prove nothing any more at `at`, or were judged by other packs."""
    if span.packs != packs:
        return True
    turn = judge.next_turn(span.packs, span.kept, span.start)
    return turn is not None and turn <= at


def _others(spans: Sequence[Span], than: Sequence[Span]) -> list[Span]:
    """The spans that are not among the others too."""
    beside = {one.start: one[:4] for one in than}
    return [one for one in spans if beside.get(one.start) != one[:4]]


def retold(
    spans: Sequence[Span], fresh: Span, observed: Sequence[Observed], since: Micros, judge: Judge
) -> tuple[list[Span], list[Span]]:
    """The facts over time with what became known when `fresh` began: all spans, and those in which the facts or the packs are others than before.

    What is dated holds from its own time (not before `since`) in every span where nothing newer of its kind stands; what is not, from now on.
    """
    last = spans[-1] if spans and spans[-1].end is None else None
    told: list[tuple[Span, bool]] = []
    for span in spans:
        end = fresh.start if span.end is None else span.end
        # by rules that nobody can read nothing is judged again
        mine = [_grained(one, since) for one in observed] if judge.knows(span.packs) else []
        marks = {one.since for one in mine} | {one.until for one in mine if one.until is not None}
        cuts = sorted({span.start, *(mark for mark in marks if span.start < mark < end)})
        facts, put_upto = span.kept.facts, since - 1
        is_lasting = all(one.until is None for one in mine)
        for start, until in pairwise([*cuts, end]):
            if start >= until:
                continue
            if start >= since and is_lasting:  # each once: newer items win, in whatever order they are put
                facts = put(facts, [one.item for one in mine if put_upto < one.since <= start])
                put_upto = start
            elif start >= since:
                so_far = [one.item for one in mine if one.since <= start and (one.until is None or start < one.until)]
                facts = put(span.kept.facts, so_far)
            same = facts == span.kept.facts
            kept = span.kept if same else replace(span.kept, facts=facts)
            told.append((Span(start, until, kept, span.packs), not same))
    same = last is not None and last[2:4] == fresh[2:4]
    told.append((fresh, not same))
    return _joined([span for span, _ in told]), _joined([span for span, is_new in told if is_new])


class _Grained(NamedTuple):
    """An item with the times between which it counts."""

    since: Micros
    until: Micros | None
    item: Observed


def _grained(one: Observed, since: Micros) -> _Grained:
    """Later and shorter rather than earlier and longer: nothing counts before it was so, nor after."""
    until = None if one.until is None else one.until // GRAIN * GRAIN
    return _Grained(max(-(-one.since // GRAIN) * GRAIN, since), until, one)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Neighbours with the same facts and packs as one."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].end == span.start and out[-1][2:4] == span[2:4]:
            out[-1] = out[-1]._replace(end=span.end)
        else:
            out.append(span)
    return out


class _Judged(NamedTuple):
    """What the rules say from `start` to `end`; `only` these rules, None: all, and what is not among them does not apply."""

    start: Micros
    end: Micros | None
    said: Mapping[str, Said]
    only: frozenset[str] | None


def _judged(span: Span, judge: Judge, at: Micros, shelf: Shelf) -> list[_Judged]:
    """A span judged at its beginning and at every time limit in it."""
    turns = [span.start]
    while len(turns) < MOST_TURNS:
        turn = judge.next_turn(span.packs, span.kept, turns[-1])
        if turn is None or turn <= turns[-1] or turn > at or (span.end is not None and turn >= span.end):
            break
        turns.append(turn)
    ends = [*turns[1:], span.end]
    out = []
    for start, end in zip(turns, ends, strict=True):
        found = judge.findings(span.packs, span.kept, start)
        out.append(
            _Judged(start, end, {one.rule.id: shelf.said(one, span.kept, span.packs, start) for one in found}, None)
        )
    return out


def _limits(held: Held, changed: Sequence[Span], judge: Judge, at: Micros) -> list[Span]:
    """The part of the open span, where its facts are what they were, that begins with a time limit passed lately."""
    last = held.spans[-1] if held.spans and held.spans[-1].end is None else None
    if last is None or held.checked_at is None or held.checked_at < at - STALE_AFTER or not judge.knows(last.packs):
        return []
    turn = judge.next_turn(last.packs, last.kept, max(held.checked_at - STALE_AFTER, last.start))
    if turn is None or turn > at or any(one.start <= turn and (one.end is None or turn < one.end) for one in changed):
        return []
    until = min((one.start for one in changed if one.start > turn), default=None)
    return [Span(turn, until, last.kept, last.packs)]


def _is_open_green(row: Row, since: Micros, at: Micros) -> bool:
    return row.end is None and row.said.verdict == Verdict.COMPLIANT and max(since, row.start) < at


def _doubt(row: Row, statements: Mapping[bytes, dict[str, Any]], since: Micros, at: Micros, shelf: Shelf) -> _Judged:
    doubt = shelf.doubted(row.said, statements[row.said.statement], *sentences.STALE)
    return _Judged(max(since, row.start), at, {row.rule: doubt}, frozenset({row.rule}))


def _relaid(held: Sequence[Row], judged: Sequence[_Judged]) -> list[Row]:
    """The rows with what was judged in the place of what was held there."""
    by_rule: dict[str, list[Row]] = {}
    for row in held:
        by_rule.setdefault(row.rule, []).append(row)
    names = by_rule.keys() | {rule for one in judged for rule in one.said}
    out: list[Row] = []
    for rule in sorted(names):
        meant = [one for one in judged if one.only is None or rule in one.only]
        pieces = [piece for row in by_rule.get(rule, ()) for piece in _left(row, meant)]
        pieces += [Row(rule, one.start, one.end, one.start, one.said[rule]) for one in meant if rule in one.said]
        out += _in_line(sorted(pieces, key=lambda one: one.start))
    return out


def _left(row: Row, judged: Sequence[_Judged]) -> list[Row]:
    """What is left of a row outside of what was judged anew."""
    left = [row]
    for one in judged:
        rest = []
        for piece in left:
            if (one.end is not None and one.end <= piece.start) or (piece.end is not None and piece.end <= one.start):
                rest.append(piece)
                continue
            if piece.start < one.start:
                rest.append(piece._replace(end=one.start))
            if one.end is not None and (piece.end is None or one.end < piece.end):
                rest.append(piece._replace(start=one.end, verdict_since=one.end))
        left = rest
    return left


def _in_line(pieces: Sequence[Row]) -> list[Row]:
    """Neighbours that say the same as one row, which rests on the facts of the first; and since when each verdict holds."""
    out: list[Row] = []
    for piece in pieces:
        before = out[-1] if out and out[-1].end == piece.start else None
        if before is not None and before.said.says_the_same(piece.said):
            out[-1] = before._replace(end=piece.end)
            continue
        if before is not None:
            same = before.said.verdict == piece.said.verdict
            piece = piece._replace(verdict_since=before.verdict_since if same else piece.start)
        out.append(piece)
    return out


def _turned(before: Sequence[Row], after: Sequence[Row], judged: Sequence[_Judged]) -> list[Turned]:
    held = {row.rule: row.said.verdict for row in before if row.end is None}
    now = [row for row in after if row.end is None and held.get(row.rule) != row.said.verdict]
    fresh = {rule: one for piece in judged if piece.end is None for rule, one in piece.said.items()}
    return [Turned(row.rule, held.get(row.rule), fresh.get(row.rule, row.said), row.verdict_since) for row in now]
