"""Attestations as a table that people keep: one row each, every problem with its row and column. Pure; knows nothing of files.

A row has the same id however often its file is sent, so a list that grows may be sent again and again.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from uuid import UUID, uuid5

from hub.core.coverage.attestations import AttestationKind, Statement, check
from hub.errors import BadInput
from hub.model import Micros, to_micros
from hub.tables import Line, where

MOST_ROWS = 1_000
"""one transaction, some milliseconds a row"""
_SPACE = UUID("6f3c7c1e-6f0e-5d6a-9b1c-6b0f2f6b7a11")
_EAST = timezone(timedelta(hours=8))
_LINE, _NOTE = 200, 2_000
_SPREADSHEET = re.compile(
    r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?(?:[ T]+([0-9]{1,2}):([0-9]{2}(?::[0-9]{2})?))?"
)
"""2026/9/1 8:30, as spreadsheets write it"""
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "institution": ("机构", "机构编号", "institution"),
    "kind": ("类别", "类型", "kind"),
    "at": ("时间", "日期", "at", "time"),
    "expires_at": ("有效期至", "到期", "expires_at", "expires"),
    "zone": ("区域", "部位", "zone"),
    "device": ("设备", "device"),
    "number": ("编号", "文号", "number"),
    "value": ("数值", "value"),
    "done_by": ("执行人", "巡查人", "检查人", "done_by"),
    "note": ("问题", "备注", "说明", "note"),
}
_BY_HEADER = {name: field for field, names in _HEADERS.items() for name in names}
_KINDS = {name: kind for kind in AttestationKind for name in (kind.value, kind.zh, kind.en)}


class Row(NamedTuple):
    """One row that holds: its number, its id, where it is about and what it states."""

    n: int
    id: UUID
    institution: str
    stated: Statement


class Problem(NamedTuple):
    """What does not hold, and in which cell."""

    where: str
    message: str


def rows(lines: Sequence[Line], now: Micros) -> tuple[list[Row], list[Problem]]:
    """Rows that hold, and the problems of the others. Raises BadInput for a table without its columns or with too many rows.

    Times without an offset are Beijing time; a day alone is its noon.
    """
    if not lines:
        raise BadInput("the table is empty", "#", "attestation")
    columns = _columns(lines[0])
    if len(lines) - 1 > MOST_ROWS:
        raise BadInput(f"at most {MOST_ROWS} rows at a time", f"row {lines[MOST_ROWS + 1].n}", "attestation")
    found: list[Row] = []
    problems: list[Problem] = []
    for line in lines[1:]:
        cells = {field: line.cells[m] if m < len(line.cells) else "" for field, m in columns.items()}
        try:
            stated = _stated(cells)
            check(stated, now)
            institution = _short(cells, "institution", 40, least=1)
        except BadInput as error:
            at = where(line.n, columns[error.where]) if error.where in columns else f"row {line.n}"
            problems.append(Problem(at, error.reason))
            continue
        id = uuid5(_SPACE, repr((institution, stated)))
        found.append(Row(line.n, id, institution, stated))
    return found, problems


def _columns(header: Line) -> dict[str, int]:
    columns: dict[str, int] = {}
    for m, cell in enumerate(header.cells):
        field = _BY_HEADER.get(cell.strip().lower())
        if field is None:
            raise BadInput(f"{cell[:40]!r} is no column of attestations: {', '.join(_HEADERS)}", where(header.n, m))
        if field in columns:
            raise BadInput(f"the column {cell!r} stands here twice", where(header.n, m), "attestation")
        columns[field] = m
    missing = [name for name in ("institution", "kind", "at") if name not in columns]
    if missing:
        raise BadInput(f"the table has no column {', '.join(missing)}", f"row {header.n}", "attestation")
    return columns


def _short(cells: Mapping[str, str], field: str, most: int, least: int = 0) -> str:
    found = cells.get(field, "")
    if not least <= len(found) <= most:
        raise BadInput(f"this cell has {least} to {most} signs", field, "attestation")
    return found


def _stated(cells: Mapping[str, str]) -> Statement:
    kind = _KINDS.get(cells["kind"])
    if kind is None:
        known = ", ".join(f"{one.value} {one.zh}" for one in AttestationKind)
        raise BadInput(f"{cells['kind'][:40]!r} is none of: {known}", "kind", "attestation")
    value = cells.get("value", "")
    try:
        measured = float(value) if value else None
    except ValueError:
        raise BadInput("this is no number", "value", "attestation") from None
    at = _moment(cells, "at")
    if at is None:
        raise BadInput("say when", "at", "attestation")
    return Statement(
        kind,
        at,
        _moment(cells, "expires_at"),
        _short(cells, "zone", 40) or None,
        _short(cells, "device", 40) or None,
        _short(cells, "number", _LINE),
        measured,
        _short(cells, "done_by", _LINE),
        _short(cells, "note", _NOTE),
    )


def _moment(cells: Mapping[str, str], field: str) -> Micros | None:
    said = cells.get(field, "")
    if not said:
        return None
    if found := _SPREADSHEET.fullmatch(said):
        said = f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}" + (f" {found[4]:0>2}:{found[5]}" if found[4] else "")
    try:
        at = datetime.fromisoformat(said)
        if not 1990 < at.year < 2200:
            raise ValueError
    except ValueError:
        raise BadInput("a time is written 2026-11-20 08:30, a day 2026-11-20", field, "attestation") from None
    if len(said) <= 10:
        at = at.replace(hour=12)
    return to_micros(at if at.tzinfo is not None else at.replace(tzinfo=_EAST))
