"""The figures of a year for the annual assessment, as a table: each month of a division and of what is below it, as its ledger has them. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.coverage.month import COLUMNS, Place
from hub.core.coverage.month_sheets import FIGURES, Cell, Sheet, guarded, moment
from hub.core.coverage.rollup import CONNECTED_TARGET, EMPTY, Figure, shown, shown_lack
from hub.core.coverage.rules import Basis
from hub.model import Micros

EVENTS = (
    ("issue", "下达整改", "Issued"),
    ("reopen", "重新打开", "Reopened"),
    ("raise", "上报", "Raised"),
    ("close", "办结", "Closed"),
    ("withdraw", "撤销", "Withdrawn"),
)


class Counted(NamedTuple):
    """A place at the end of a month, or as late as was known: its figures by basis and module."""

    month: str
    at: Micros
    known_at: Micros
    code: str
    title: str
    register: int
    connected: int
    waivers: int
    open_orders: int
    figures: Mapping[tuple[Basis, str], Figure]


class Year(NamedTuple):
    """Each month of a year; `known_at`: the latest at which any of them is known; `happened`: how often what happened to orders, by (month, place, event)."""

    division: Place
    known_at: Micros
    months: Sequence[Counted]
    happened: Mapping[tuple[str, str, str], int]


def year_sheet(number: int, year: Year) -> Sheet:
    """One row for each place and month of which anything is known."""
    headings = [
        *(("月份", "Month"), ("行政区划", "Division"), ("名称", "Name"), ("名册", "Register"), ("已接入", "Connected")),
        ("接入率", "Rate"),
        ("接入率目标", "Connected target"),
        *((f"{FIGURES[figure][0]}率", FIGURES[figure][1]) for figure in COLUMNS),
        *(("未知率", "Unknown"), ("豁免", "Waivers"), ("未结整改", "Open orders")),
        *((zh, en) for _, zh, en in EVENTS),
        *(("时点", "As of"), ("知悉时点", "Known at")),
    ]
    found = [_row(one, year) for one in sorted(year.months, key=lambda one: (one.code, one.month))]
    return Sheet((f"{number} 年度", f"{number}"), headings, found, (9, 12, 22, *([9] * (len(headings) - 5)), 17, 17))


def _row(one: Counted, year: Year) -> list[Cell]:
    figures = [one.figures.get(column, EMPTY) for column in COLUMNS]
    return [
        one.month,
        one.code,
        guarded(one.title),
        one.register,
        one.connected,
        shown(one.connected / one.register if one.register else None),
        CONNECTED_TARGET,
        *(shown(figure.institutions.rate) for figure in figures),
        shown_lack(figures[0].unknown_rate),
        one.waivers,
        one.open_orders,
        *(year.happened.get((one.month, one.code, event), 0) for event, _, _ in EVENTS),
        moment(one.at),
        moment(one.known_at),
    ]
