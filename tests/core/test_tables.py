"""Tables that people send: CSV in two encodings and XLSX, bounded, every refusal naming row and column."""

import contextlib
import io
import zipfile
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from hub import tables
from hub.errors import BadInput
from hub.tables import Line, read


def workbook(*rows: list[object]) -> bytes:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


TITLED = "某区托育机构备案名册\n备案号\t名称\nCZ-1\t晨光托育园\n"


def test_a_title_above_the_table_does_not_hide_its_delimiter() -> None:
    assert [line.cells for line in read(TITLED.encode())][1:] == [("备案号", "名称"), ("CZ-1", "晨光托育园")]


ROWS = (Line(1, ("备案号", "名称")), Line(3, ("CZ-1", "晨光托育园")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_csv_is_read_in_the_encodings_and_with_the_delimiters_of_spreadsheets(encoding: str, delimiter: str) -> None:
    text = f"备案号{delimiter}名称\r\n{delimiter}\r\n CZ-1 {delimiter}晨光托育园\r\n"
    assert read(text.encode(encoding)) == ROWS


def test_a_workbook_says_the_same_as_its_csv() -> None:
    assert read(workbook(["备案号", "名称"], [None, " "], ["CZ-1", "晨光托育园"])) == ROWS


def test_cells_of_a_workbook_become_text_as_people_see_it() -> None:
    moment = datetime.fromisoformat("2026-09-01T08:30")
    cells = read(workbook([60, 1.5, date(2026, 9, 1), moment, True, 140403]))[0].cells
    assert cells == ("60", "1.5", "2026-09-01", "2026-09-01 08:30:00", "true", "140403")


def test_a_number_that_is_shown_with_leading_zeros_has_them() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([123, 1234567, 123, 123, -5, "00123"])
    for cell, shown in zip(sheet[1], ("000000", "000000", "0", "#,##0.00", "0000", "General"), strict=True):
        cell.number_format = shown
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue())[0].cells == ("000123", "1234567", "123", "123", "-005", "00123")


def test_a_number_that_excel_has_cut_is_refused_and_not_guessed() -> None:
    with pytest.raises(BadInput, match="row 1, column B: Excel has cut"):
        read(workbook(["x", 1234567890123456789]))


def test_only_the_first_visible_sheet_is_read() -> None:
    book = Workbook()
    hidden = book.active
    assert hidden is not None
    hidden.append(["hidden"])
    book.create_sheet("seen").append(["seen"])
    hidden.sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue()) == (Line(1, ("seen",)),)


def packed(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("xl/worksheets/sheet1.xml", b" " * size)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff\xff\xff", "neither UTF-8 nor GB 18030"),
        (b'a,"b\nc', "row 1: this is no CSV"),
        (b"a\n" + b"x" * 3000, "row 2, column A: a cell has at most"),
        (b"a,b\0c", "row 1, column B: a cell holds no text"),
        (b"a\n" * 20_001, "row 20001: a table has at most 20000 rows"),
        (b"\xd0\xcf\x11\xe0rest", "save it as .xlsx"),
        (b"PK\x03\x04 and no more", "this is no XLSX file"),
        (packed(70_000_000), "unpacks to more"),
        (packed(10), "this is no XLSX file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read(data)


def test_a_file_above_the_limit_is_not_looked_into() -> None:
    with pytest.raises(BadInput, match="at most"):
        read(b"PK\x03\x04" + bytes(tables.MAX_BYTES))


BOOK = workbook(["备案号", "名称"], ["CZ-1", "晨光托育园"])


@given(st.binary(max_size=300), st.integers(0, len(BOOK)), st.booleans())
def test_any_bytes_are_rows_or_bad_input(noise: bytes, at: int, inside: bool) -> None:
    data = BOOK[:at] + noise + BOOK[at + len(noise) :] if inside else noise
    with contextlib.suppress(BadInput):
        assert all(line.cells and line.n >= 1 for line in read(data))


@pytest.mark.parametrize(
    ("n", "m", "said"), [(1, 0, "row 1, column A"), (7, 25, "row 7, column Z"), (2, 26, "row 2, column AA")]
)
def test_a_cell_is_named_as_spreadsheets_name_it(n: int, m: int, said: str) -> None:
    assert tables.where(n, m) == said
