"""A ledger as a workbook (openpyxl). Cells hold text or numbers, never formulas; the archive carries no times but those of its content."""

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime

from openpyxl import Workbook
from openpyxl.packaging.core import DocumentProperties
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.xml.functions import tostring

from hub.core.coverage.month_sheets import Cell, Sheet, guarded

_FIRST = (1980, 1, 1, 0, 0, 0)
"""the earliest time that a ZIP archive can hold"""
_HEAD = PatternFill("solid", fgColor="DDE5EE")
_WRAP = Alignment(wrap_text=True, vertical="top")


def workbook(title: tuple[str, str], sheets: Sequence[Sheet], at: datetime) -> bytes:
    """The sheets as XLSX. `at`, the time of the content, is what the file says of its own making."""
    book = Workbook()
    book.remove(book.active)
    said = guarded(" ".join(title))
    for sheet in sheets:
        _write(book, said, sheet)
    held = io.BytesIO()
    book.save(held)
    made = at.replace(tzinfo=None, microsecond=0)
    properties = DocumentProperties(creator="Anxin Hub", title=said, created=made, modified=made)
    return _settled(held.getvalue(), tostring(properties.to_tree()))


def _write(book: Workbook, title: str, sheet: Sheet) -> None:
    page = book.create_sheet(" ".join(sheet.name)[:31])
    page.append([title])
    page["A1"].font = Font(bold=True, size=14)
    page.append([])
    page.append(["\n".join(heading) for heading in sheet.headings])
    for cell in page[3]:
        cell.font, cell.fill, cell.alignment = Font(bold=True), _HEAD, _WRAP
    for number, row in enumerate(sheet.rows, 4):
        for column, value in enumerate(row, 1):
            _put(page, number, column, value)
    page.freeze_panes = "A4"
    for column, width in enumerate(sheet.widths, 1):
        page.column_dimensions[get_column_letter(column)].width = width
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
    page.print_title_rows = "3:3"


def _put(page: object, row: int, column: int, value: Cell) -> None:
    if value is None:
        return
    cell = page.cell(row, column)  # type: ignore[attr-defined]
    cell.value = value
    if isinstance(value, str):
        cell.data_type = "s"  # whatever it looks like
        cell.alignment = _WRAP
    elif isinstance(value, float):
        cell.number_format = "0.00%"


def _settled(archive: bytes, properties: bytes) -> bytes:
    """The archive with a fixed time on each of its files, and with these properties: two writings of one content are equal."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(given.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            body = properties if name == "docProps/core.xml" else given.read(name)
            made.writestr(zipfile.ZipInfo(name, _FIRST), body, zipfile.ZIP_DEFLATED)
    return out.getvalue()
