"""What has become known of a month since its ledger was closed: the ledger prints the same, and says beside it what is known otherwise now. Pure.

Two ledgers of one division and moment are compared, one as known at `known_at`, one as known at `seen_at`. Nothing in the list depends on when, where
or by whom it is printed: the same three (month, `known_at`, `seen_at`) give the same list.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from hub.core.coverage.month import COLUMNS, Entry, Line, Month, iso, summary
from hub.core.coverage.rollup import Figure
from hub.core.coverage.rules import Basis, Verdict
from hub.model import Micros


class What(StrEnum):
    """What is known otherwise."""

    FIGURE = "figure"
    ENTRY = "entry"
    FINDING = "finding"
    ORDER = "order"
    WAIVER = "waiver"


@dataclass(frozen=True, slots=True)
class TurnedFinding:
    """A finding that is known otherwise; None where there was or is none. `known_at`: since when; `why`: what the hub says of it now."""

    filing_number: str
    rule: str
    title_zh: str
    title_en: str
    basis: Basis
    module: str
    before: Verdict | None
    after: Verdict | None
    why_zh: str
    why_en: str
    known_at: Micros


@dataclass(frozen=True, slots=True)
class Change:
    """One line. `place` is a division's code, or the filing number of an entry; `item` names a figure ("basis/module", or a field), a rule, an order or
    a waiver; `before` and `after` are values as the ledger has them, None where there is none.
    """

    what: What
    place: str
    title_zh: str
    title_en: str
    item: str
    item_zh: str
    item_en: str
    before: Any
    after: Any
    known_at: Micros | None
    """since when the last of what it follows from is known; None where no finding says it"""
    why_zh: str
    why_en: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that is known otherwise. `is_whole`: no finding was left out."""

    known_at: Micros
    seen_at: Micros
    lines: tuple[Change, ...]
    is_whole: bool


def compare(month: Month, then: Month, turned: Sequence[TurnedFinding], *, is_whole: bool = True) -> Changes:
    """What `then` (the same month, known later) says otherwise: figures first, then entry by entry what they follow from."""
    entries = {one.filing_number: one for one in (*month.entries, *then.entries)}
    lines = [
        *_figures(month, then, turned, entries),
        *_entries(month, then, turned),
        *_findings(turned, entries),
        *_lines(What.ORDER, month.orders, then.orders, "state"),
        *_lines(What.WAIVER, month.waivers, then.waivers, "until"),
    ]
    return Changes(month.known_at, then.known_at, tuple(lines), is_whole)


def document(changes: Changes) -> dict[str, Any]:
    """The list as plain JSON."""
    lines = [{**asdict(one), "known_at": None if one.known_at is None else iso(one.known_at)} for one in changes.lines]
    return {
        "known_at": iso(changes.known_at),
        "seen_at": iso(changes.seen_at),
        "is_whole": changes.is_whole,
        "changes": lines,
    }


def digest(changes: Changes) -> str:
    """SHA-256 over the document as canonical JSON."""
    text = json.dumps(document(changes), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _figures(
    month: Month, then: Month, turned: Sequence[TurnedFinding], entries: Mapping[str, Entry]
) -> Iterator[Change]:
    before = {line.place.code: line for line in summary(month)}
    after = {line.place.code: line for line in summary(then)}
    for code in dict.fromkeys((*before, *after)):
        was, now = before.get(code), after.get(code)
        shown = was or now
        assert shown is not None
        inside = [one for one in turned if entries[one.filing_number].division.startswith(code)]
        for item, old, new in _differing(was, now):
            basis, _, module = item.partition("/")
            causes = [one for one in inside if basis == one.basis.value and module in ("", one.module)]
            yield Change(
                What.FIGURE,
                code,
                shown.place.title_zh,
                shown.place.title_en,
                item,
                "",
                "",
                old,
                new,
                _latest(causes),
                f"{len(causes)}项判定" if causes else "",
                f"{len(causes)} findings" if causes else "",
            )


def _differing(was: Line | None, now: Line | None) -> Iterator[tuple[str, Any, Any]]:
    for name in ("register", "connected"):
        old, new = (None if line is None else getattr(line, name) for line in (was, now))
        if old != new:
            yield name, old, new
    for place, (basis, module) in enumerate(COLUMNS):
        old, new = (None if line is None else _figure(line.figures[place]) for line in (was, now))
        if old != new:
            yield f"{basis.value}/{module}", old, new
    for name in ("open_orders", "raised_orders", "waivers"):
        old, new = (None if line is None else getattr(line, name) for line in (was, now))
        if old != new:
            yield name, old, new


def _figure(figure: Figure) -> dict[str, Any]:
    """A figure with what it is counted from: two that round to one rate are told apart."""
    return {"rate": figure.institutions.rate, **asdict(figure.institutions), "findings": asdict(figure.findings)}


_FIELDS = (
    "title_zh",
    "title_en",
    "division",
    "type",
    "capacity",
    "institution",
    "waivers",
    "open_orders",
    "raised_orders",
)


def _entries(month: Month, then: Month, turned: Sequence[TurnedFinding]) -> Iterator[Change]:
    before = {one.filing_number: one for one in month.entries}
    after = {one.filing_number: one for one in then.entries}
    by_entry: dict[str, list[TurnedFinding]] = {}
    for one in turned:
        by_entry.setdefault(one.filing_number, []).append(one)
    for number in sorted(before.keys() | after.keys()):
        was, now = before.get(number), after.get(number)
        shown = was or now
        assert shown is not None
        if was is None or now is None:
            yield _of_entry(shown, "entry", was is not None, now is not None, [])
            continue
        for name in _FIELDS:
            if getattr(was, name) != getattr(now, name):
                yield _of_entry(shown, name, getattr(was, name), getattr(now, name), [])
        for basis, module in COLUMNS:
            old, new = was.verdict(basis, module), now.verdict(basis, module)
            if old is not new:
                mine = by_entry.get(number, [])
                causes = [one for one in mine if one.basis is basis and module in ("", one.module)]
                yield _of_entry(shown, f"{basis.value}/{module}", old.value, new.value, causes)


def _of_entry(entry: Entry, item: str, before: Any, after: Any, causes: Sequence[TurnedFinding]) -> Change:
    return Change(
        What.ENTRY,
        entry.filing_number,
        entry.title_zh,
        entry.title_en,
        item,
        "",
        "",
        before,
        after,
        _latest(causes),
        f"{len(causes)}项判定" if causes else "",
        f"{len(causes)} findings" if causes else "",
    )


def _findings(turned: Iterable[TurnedFinding], entries: Mapping[str, Entry]) -> Iterator[Change]:
    for one in turned:
        entry = entries[one.filing_number]
        yield Change(
            What.FINDING,
            one.filing_number,
            entry.title_zh,
            entry.title_en,
            one.rule,
            one.title_zh,
            one.title_en,
            None if one.before is None else one.before.value,
            None if one.after is None else one.after.value,
            one.known_at,
            one.why_zh,
            one.why_en,
        )


def _lines(what: What, before: Sequence[Any], after: Sequence[Any], field: str) -> Iterator[Change]:
    """Orders or waivers by their id: one that is there only before or after, or says something else."""
    was, now = {one.id: one for one in before}, {one.id: one for one in after}
    for id in sorted(was.keys() | now.keys()):
        old, new = was.get(id), now.get(id)
        if old == new:
            continue
        shown: Any = new or old
        said = [None if one is None else getattr(one, field) for one in (old, new)]
        old_said, new_said = (iso(one) if isinstance(one, int) else one for one in said)
        yield Change(
            what, shown.filing_number, shown.title_zh, shown.title_en, id, shown.rule_zh, shown.rule_en, old_said, new_said, None, "", ""
        )  # fmt: skip


def _latest(causes: Sequence[TurnedFinding]) -> Micros | None:
    return max((one.known_at for one in causes), default=None)
