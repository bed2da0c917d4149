"""Tables that people send: CSV (UTF-8 or GB 18030) and XLSX, as rows of text with their numbers. Knows nothing of what stands in them.

A stranger's file is bounded before it is unpacked: bytes, members, unpacked bytes, rows, columns, signs in a cell.
"""

import csv
import io
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple

from hub.errors import BadInput

MAX_BYTES = 8 * 1024 * 1024
MAX_ROWS = 20_000
MAX_COLUMNS = 60
"""what stands further to the right is not looked at"""
MAX_CELL = 2_000
_MAX_UNPACKED = 32 * 1024 * 1024
_MAX_MEMBERS = 1_000
_HEAD = 10
"""lines by which the delimiter is told: a list may begin with a title"""
_EXACT = 10**15
"""Excel keeps 15 digits of a number: of a longer one the last digits are lost already."""
_ZEROS = re.compile(r"(0{2,20})(?:_.|;.*)?")
"""a number format that pads with zeros"""
_ZIP = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


class Line(NamedTuple):
    """One row that is not empty: its number as the sender sees it (from 1), and its cells without blanks around them."""

    n: int
    cells: tuple[str, ...]


def read(data: bytes) -> tuple[Line, ...]:
    """The rows of the first sheet of an XLSX file, or of a CSV file, by the file's own first bytes. Raises BadInput."""
    if len(data) > MAX_BYTES:
        raise BadInput(f"a table has at most {MAX_BYTES} bytes; this one has {len(data)}", "#", "table")
    if data.startswith(_OLD_EXCEL):
        raise BadInput("this is an Excel file of before 2007 (.xls): save it as .xlsx or .csv", "#", "table")
    found = _xlsx(data) if data.startswith(_ZIP) else _csv(data)
    lines: list[Line] = []
    for line in found:
        if not any(line.cells):
            continue
        if len(lines) == MAX_ROWS:
            raise BadInput(f"a table has at most {MAX_ROWS} rows", f"row {line.n}", "table")
        width = max(m for m, cell in enumerate(line.cells, 1) if cell)
        lines.append(Line(line.n, line.cells[:width]))
    return tuple(lines)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError as error:
        raise BadInput("the text is neither UTF-8 nor GB 18030", f"byte {error.start}", "table") from None


def _csv(data: bytes) -> Iterator[Line]:
    text = _text(data)
    head = "".join(text.splitlines()[:_HEAD])
    delimiter = max(",\t;", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    n = 0
    while True:
        n += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInput(f"this is no CSV: {error}", f"row {n}", "table") from None
        yield Line(n, tuple(_cell(n, m, cell) for m, cell in enumerate(cells[:MAX_COLUMNS])))


def _cell(n: int, m: int, text: str) -> str:
    found = text.strip().strip("\ufeff").strip()
    if len(found) > MAX_CELL:
        raise BadInput(f"a cell has at most {MAX_CELL} signs", where(n, m), "table")
    if "\0" in found or any("\ud800" <= sign <= "\udfff" for sign in found):
        raise BadInput("a cell holds no text: NUL or a lone surrogate", where(n, m), "table")
    return found


def where(n: int, m: int) -> str:
    """A cell as people name it: row from 1, column by its letters."""
    letters = ""
    m += 1
    while m:
        m, rest = divmod(m - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"row {n}, column {letters}"


def _xlsx(data: bytes) -> Iterator[Line]:
    from openpyxl import load_workbook

    _look_inside(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheet = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
        if sheet is None:
            raise BadInput("the workbook has no visible sheet", "#", "table")
        sheet.reset_dimensions()
        rows = sheet.iter_rows(max_col=MAX_COLUMNS)
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a reader of strangers' files raises: KeyError, ParseError, defusedxml's own …
        raise BadInput(f"this is no XLSX file ({type(error).__name__})", "#", "table") from None
    yield from _cells(rows)


def _cells(rows: Iterable[Sequence[Any]]) -> Iterator[Line]:
    n = 0
    found = iter(rows)
    while True:
        n += 1
        try:
            cells = [(one.value, one.number_format if type(one.value) is int else "") for one in next(found)]
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 -- the same: rows are read as they are asked for
            raise BadInput(f"the sheet cannot be read ({type(error).__name__})", f"row {n}", "table") from None
        if n > 4 * MAX_ROWS:
            raise BadInput(f"a table has at most {MAX_ROWS} rows", f"row {n}", "table")
        yield Line(n, tuple(_cell(n, m, _said(n, m, *cell)) for m, cell in enumerate(cells)))


def _said(n: int, m: int, value: object, shown: str) -> str:
    """`shown`: the number format of a whole number. A number that is shown with leading zeros has them: 00123 is another filing number than 123."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float):
        if abs(value) >= _EXACT:
            raise BadInput("Excel has cut this number to 15 digits: format the column as text", where(n, m), "table")
        if value != int(value):
            return repr(value)
        zeros = _ZEROS.fullmatch(shown)
        return str(int(value)).zfill(len(zeros[1]) if zeros is not None else 0)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ") if value.time() != time() else value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _look_inside(data: bytes) -> None:
    """Refuse what would unpack to far more than it says. A member never yields more than its entry tells."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = packed.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise BadInput(f"this is no XLSX file ({type(error).__name__})", "#", "table") from None
    if len(members) > _MAX_MEMBERS or sum(one.file_size for one in members) > _MAX_UNPACKED:
        raise BadInput("the workbook unpacks to more than any list of institutions has", "#", "table")
