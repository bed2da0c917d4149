"""Tables of statements: every row that holds, every problem with its place, the same id however often it is sent; and what cannot be evidence."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.attestation_list import MOST_ROWS, rows
from hub.core.coverage.attestations import TAKES_TWO, AttestationKind, Statement, check
from hub.errors import BadInput
from hub.model import to_micros
from hub.tables import Line

NOW = to_micros(datetime(2026, 11, 21, 8, 0, tzinfo=UTC))
HEADER = ("机构", "类别", "时间", "执行人", "编号", "数值", "部位", "备注")
PATROL = ("sun", "防火巡查", "2026-11-20 08:30", "值班员", "", "", "act", "畅通")


def lines(*found: tuple[str, ...], header: tuple[str, ...] = HEADER) -> list[Line]:
    return [Line(n, cells) for n, cells in enumerate((header, *found), 1)]


def test_a_row_states_what_it_says_in_beijing_time() -> None:
    [row], problems = rows(lines(PATROL), NOW)
    assert problems == []
    at = to_micros(datetime(2026, 11, 20, 0, 30, tzinfo=UTC))
    assert (row.institution, row.n) == ("sun", 2)
    assert row.stated == Statement(AttestationKind.PATROL, at, zone="act", done_by="值班员", note="畅通")


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2026/11/2 8:30", "00:30"),
        ("2026-11-02 08:30:00", "00:30"),
        ("2026年11月2日", "04:00"),
        ("2026-11-02", "04:00"),
        ("2026-11-02T08:30+00:00", "08:30"),
    ],
)
def test_times_are_read_as_spreadsheets_write_them(written: str, hour: str) -> None:
    [row], _ = rows(lines((*PATROL[:2], written, *PATROL[3:])), NOW)
    assert row.stated.at == to_micros(datetime.fromisoformat(f"2026-11-02T{hour}:00+00:00"))


@pytest.mark.parametrize(
    ("column", "cell", "where"),
    [
        (0, "", "row 2, column A"),
        (1, "gossip", "row 2, column B"),
        (2, "", "row 2, column C"),
        (2, "2026-13-01", "row 2, column C"),
        (2, "2026-11-22", "row 2, column C"),
        (3, "", "row 2, column D"),
        (5, "viele", "row 2, column F"),
        (5, "3", "row 2, column F"),
        (5, "nan", "row 2, column F"),
    ],
)
def test_what_does_not_hold_is_named_by_row_and_column(column: int, cell: str, where: str) -> None:
    found, [problem] = rows(lines((*PATROL[:column], cell, *PATROL[column + 1 :])), NOW)
    assert (found, problem.where) == ([], where)


@pytest.mark.parametrize(
    "header",
    [("机构", "类别"), (*HEADER, "机构"), (*HEADER, "身份证号"), ()],
    ids=["missing", "twice", "unknown", "none"],
)
def test_a_table_of_other_columns_is_refused_as_a_whole(header: tuple[str, ...]) -> None:
    with pytest.raises(BadInput):
        rows(lines(PATROL, header=header), NOW)


def test_an_empty_or_an_endless_table_is_refused() -> None:
    with pytest.raises(BadInput):
        rows([], NOW)
    with pytest.raises(BadInput, match="at most"):
        rows(lines(*[PATROL] * (MOST_ROWS + 1)), NOW)


def test_the_same_row_has_the_same_id_and_another_row_another() -> None:
    first, again, other = rows(lines(PATROL, PATROL, ("moon", *PATROL[1:])), NOW)[0]
    assert first.id == again.id != other.id


@given(st.lists(st.tuples(*(st.text(max_size=15) for _ in HEADER)), max_size=4))
def test_any_cells_are_rows_or_problems(cells: list[tuple[str, ...]]) -> None:
    found, problems = rows(lines(*cells), NOW)
    assert len(found) + len(problems) == len(cells)


@given(st.sampled_from(AttestationKind), st.floats(), st.text(max_size=3), st.integers(0, 2**60))
def test_what_is_checked_is_measured_numbered_past_and_done_by_somebody(
    kind: AttestationKind, value: float, text: str, at: int
) -> None:
    stated = Statement(kind, at, number=text, value=value, done_by=text)
    with contextlib.suppress(BadInput):
        check(stated, NOW)
        assert at <= NOW + 60_000_000
        assert 0 <= value <= 1e6
        assert kind not in TAKES_TWO or text.strip()
