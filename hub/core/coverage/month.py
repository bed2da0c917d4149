"""The monthly ledger 月度台账 of a division: every entry of its register once, the figures that follow from them, its orders and waivers. Pure.

A ledger is a function of the division, the month and two times: how it was at `at` (the month's end, +08:00), as far as it was known at `known_at`. The
same four give the same content, and `digest` names it. Nothing in it depends on when, where or by whom it is printed.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from hub.core.coverage.rollup import Figure, Tally, tally
from hub.core.coverage.rules import Basis, Verdict
from hub.core.rota import midnight
from hub.errors import BadInput
from hub.model import Micros, to_datetime

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
_NOTHING = (0, 0, 0, 0, 0)
RANKED = (Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.COMPLIANT, Verdict.NOT_APPLICABLE)
"""the worst first, as the store numbers them from 1"""
COLUMNS: tuple[tuple[Basis, str], ...] = (
    (Basis.OBLIGATION, ""),
    (Basis.TARGET, ""),
    (Basis.TARGET, "video"),
    (Basis.TARGET, "panic"),
    (Basis.TARGET, "access"),
    (Basis.TARGET, "fire"),
    (Basis.RECOMMENDATION, ""),
)
"""the figures of a ledger: obligations, the target of full coverage with its four modules, recommendations"""


def bounds(month: str) -> tuple[Micros, Micros]:
    """When a month like 2026-10 begins and when the next one does, +08:00; raises BadInput."""
    found = _MONTH.fullmatch(month)
    if found is None:
        raise BadInput("a month is written like 2026-10", "month", code="ledger")
    year, number = int(found[1]), int(found[2])
    after = date(year + number // 12, number % 12 + 1, 1)
    return midnight(date(year, number, 1)), midnight(after)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the register. `verdicts` by "basis/module", module empty for all; `findings` counts of the same, as in Tally."""

    filing_number: str
    title_zh: str
    title_en: str
    division: str
    type: str
    capacity: int | None
    institution: str | None
    verdicts: Mapping[str, Verdict]
    findings: Mapping[str, tuple[int, ...]]
    open_orders: int
    raised_orders: int
    waivers: int

    def verdict(self, basis: Basis, module: str = "") -> Verdict:
        """The worst of its findings; what no rule applies to is not applicable."""
        return self.verdicts.get(f"{basis.value}/{module}", Verdict.NOT_APPLICABLE)

    def tally(self, basis: Basis, module: str = "") -> Tally:
        """How many findings it has of each verdict."""
        return Tally(*self.findings.get(f"{basis.value}/{module}", ()))


@dataclass(frozen=True, slots=True)
class OrderLine:
    """An order that was open at the end, or ended within the month. Times are microseconds, None where it did not come to that."""

    id: str
    filing_number: str
    title_zh: str
    title_en: str
    rule: str
    rule_zh: str
    rule_en: str
    clause: str
    state: str
    issued_at: Micros | None
    due_at: Micros | None
    ended_at: Micros | None
    raised_to: str


@dataclass(frozen=True, slots=True)
class WaiverLine:
    """A waiver that held at some time of the month."""

    id: str
    filing_number: str
    title_zh: str
    title_en: str
    rule: str
    rule_zh: str
    rule_en: str
    ground: str
    document: str
    approver: str
    since: Micros
    until: Micros


@dataclass(frozen=True, slots=True)
class Place:
    """A division by code and name."""

    code: str
    title_zh: str
    title_en: str


@dataclass(frozen=True, slots=True)
class Month:
    """The ledger. `is_over`: the month had ended when it was drawn up; else its figures are of `at`, within the month."""

    division: Place
    below: tuple[Place, ...]
    month: str
    at: Micros
    known_at: Micros
    is_over: bool
    entries: tuple[Entry, ...]
    orders: tuple[OrderLine, ...]
    waivers: tuple[WaiverLine, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of a division: what `COLUMNS` names, over the entries below it."""

    place: Place
    register: int
    connected: int
    figures: tuple[Figure, ...]
    open_orders: int
    raised_orders: int
    waivers: int

    @property
    def connected_rate(self) -> float | None:
        """The share of the register that is connected."""
        return self.connected / self.register if self.register else None


def summary(month: Month) -> tuple[Line, ...]:
    """The division itself, and each one directly below it that has entries; what belongs to none of them shows in the first line alone."""
    lines = [_line(month.division, month.entries)]
    for place in month.below:
        inside = [entry for entry in month.entries if entry.division.startswith(place.code)]
        if inside:
            lines.append(_line(place, inside))
    return tuple(lines)


def _line(place: Place, entries: Sequence[Entry]) -> Line:
    return Line(
        place,
        register=len(entries),
        connected=sum(entry.institution is not None for entry in entries),
        figures=tuple(_figure(entries, basis, module) for basis, module in COLUMNS),
        open_orders=sum(entry.open_orders for entry in entries),
        raised_orders=sum(entry.raised_orders for entry in entries),
        waivers=sum(entry.waivers for entry in entries),
    )


def _figure(entries: Sequence[Entry], basis: Basis, module: str) -> Figure:
    name = f"{basis.value}/{module}"
    found = [entry.findings.get(name, _NOTHING) for entry in entries]
    sums = [sum(counts[place] for counts in found) for place in range(5)]
    return Figure(tally(entry.verdict(basis, module) for entry in entries), Tally(*sums))


def differences(
    lines: Sequence[Line], stored: Mapping[str, tuple[int, int, Mapping[tuple[Basis, str], Figure]]]
) -> list[str]:
    """Where the figures that follow from the entries are not those of the roll-up, by division: (register, connected, figures). Empty: they agree.

    An institution that no rule of a module applies to is not applicable in the ledger and not counted by the roll-up: that is no difference.
    """
    found = []
    for line in lines:
        register, connected, figures = stored.get(line.place.code, (0, 0, {}))
        if (line.register, line.connected) != (register, connected):
            found.append(
                f"{line.place.code}: {line.register}/{line.connected} entries, the roll-up has {register}/{connected}"
            )
        for (basis, module), figure in zip(COLUMNS, line.figures, strict=True):
            theirs = figures.get((basis, module), Figure(Tally(), Tally()))
            if _counted(figure.institutions) != _counted(theirs.institutions) or figure.findings != theirs.findings:
                found.append(f"{line.place.code} {basis.value}/{module}: {figure}, the roll-up has {theirs}")
    return found


def _counted(tally: Tally) -> tuple[int, ...]:
    return tally.compliant, tally.non_compliant, tally.unknown, tally.waived


def document(month: Month) -> dict[str, Any]:
    """The ledger as plain JSON, entries and lines in order."""
    return {
        "division": asdict(month.division),
        "month": month.month,
        "at": iso(month.at),
        "known_at": iso(month.known_at),
        "is_over": month.is_over,
        "summary": [_line_document(line) for line in summary(month)],
        "entries": [_plain(asdict(entry)) for entry in month.entries],
        "orders": [_timed(asdict(order)) for order in month.orders],
        "waivers": [_timed(asdict(waiver)) for waiver in month.waivers],
    }


def digest(month: Month) -> str:
    """SHA-256 over the document as canonical JSON: keys sorted, no spaces, UTF-8."""
    text = json.dumps(document(month), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _line_document(line: Line) -> dict[str, Any]:
    figures = {f"{basis.value}/{module}": figure for (basis, module), figure in zip(COLUMNS, line.figures, strict=True)}
    return {
        "division": asdict(line.place),
        "register": line.register,
        "connected": line.connected,
        "open_orders": line.open_orders,
        "raised_orders": line.raised_orders,
        "waivers": line.waivers,
        "figures": {
            name: {"institutions": asdict(figure.institutions), "findings": asdict(figure.findings)}
            for name, figure in figures.items()
        },
    }


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    verdicts = {name: verdict.value for name, verdict in sorted(entry["verdicts"].items())}
    return {**entry, "verdicts": verdicts, "findings": {name: list(n) for name, n in sorted(entry["findings"].items())}}


def _timed(line: dict[str, Any]) -> dict[str, Any]:
    times = {name for name in line if name in ("issued_at", "due_at", "ended_at", "since", "until")}
    return {name: iso(value) if name in times and value is not None else value for name, value in line.items()}


def iso(at: Micros) -> str:
    """A time as JSON has it, to the microsecond."""
    return to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
