"""The figures of a year for the annual assessment, as a table: each month of a division and of what is below it, as it was last counted in it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from hub.core.coverage.month import COLUMNS
from hub.core.coverage.month_sheets import FIGURES, Cell, Sheet, guarded, moment
from hub.core.coverage.rollup import EMPTY, Figure
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
    """A place as it was counted last in a month: on which day and when, and the figures by basis and module."""

    month: str
    day: date
    taken_at: Micros
    code: str
    title: str
    register: int
    connected: int
    waivers: int
    open_orders: int
    figures: Mapping[tuple[Basis, str], Figure]


def year_sheet(year: int, rows: Sequence[Counted], flows: Mapping[tuple[str, str, str], int]) -> Sheet:
    """One row for each place and month in which it was counted; `flows`: how often what happened to orders, by (month, place, event)."""
    headings = [
        *(("月份", "Month"), ("行政区划", "Division"), ("名称", "Name"), ("名册", "Register"), ("已接入", "Connected")),
        ("接入率", "Rate"),
        *((f"{FIGURES[figure][0]}率", FIGURES[figure][1]) for figure in COLUMNS),
        *(("未知率", "Unknown"), ("豁免", "Waivers"), ("未结整改", "Open orders")),
        *((zh, en) for _, zh, en in EVENTS),
        *(("统计日", "Day"), ("统计时间", "Counted at")),
    ]
    found = [_row(one, flows) for one in sorted(rows, key=lambda one: (one.code, one.month))]
    return Sheet((f"{year} 年度", f"{year}"), headings, found, (9, 12, 22, *([9] * (len(headings) - 5)), 11, 17))


def _row(one: Counted, flows: Mapping[tuple[str, str, str], int]) -> list[Cell]:
    figures = [one.figures.get(column, EMPTY) for column in COLUMNS]
    return [
        one.month,
        one.code,
        guarded(one.title),
        one.register,
        one.connected,
        one.connected / one.register if one.register else None,
        *(figure.institutions.rate for figure in figures),
        figures[0].unknown_rate,
        one.waivers,
        one.open_orders,
        *(flows.get((one.month, one.code, event), 0) for event, _, _ in EVENTS),
        one.day.isoformat(),
        moment(one.taken_at),
    ]
