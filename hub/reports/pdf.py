"""A ledger as PDF (reportlab): A4 across, tables whose head is repeated on each page, the digest at the foot of each.

Chinese is set in a TrueType font that is embedded (as much of it as is used): hub.reports.fonts finds it. Without one no PDF is made: a file that only
names one of Adobe's Asian fonts is shown with empty cells where the reader has none, and nobody is told.
"""

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import LongTable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from hub.core.coverage.month_sheets import Cell, Sheet
from hub.errors import BadInput
from hub.reports.fonts import PACKAGE

MOST_ROWS = 3000
"""of all tables together: a hundred pages; a larger ledger is taken as XLSX, or per division below"""
_ABSENT = "〓"
"""stands for a character that the font does not have: said, not left out"""
_MOST_LETTERS = 400
"""of a cell: a row must fit a page"""
_MARGIN = 10 * mm


def document(title: tuple[str, str], sheets: Sequence[Sheet], digest: str, font: Path | None) -> bytes:
    """The sheets as PDF, equal for equal content. Raises BadInput for too many rows, and for a font that is none."""
    rows = sum(len(sheet.rows) for sheet in sheets)
    if rows > MOST_ROWS:
        reason = f"a PDF has at most {MOST_ROWS} rows, this ledger has {rows}: take the XLSX, or a division below"
        raise BadInput(reason, "path/kind", code="ledger")
    if font is None:
        reason = (
            f"no PDF without a Chinese font: install the package {PACKAGE} where the hub runs, or let its ANXIN_REPORT_FONT name a TrueType"
            " file; the XLSX needs none"
        )
        raise BadInput(reason, "path/kind", code="ledger")
    name = _font(str(font))
    held = io.BytesIO()
    page = landscape(A4)
    made = SimpleDocTemplate(
        held,
        pagesize=page,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=1.6 * _MARGIN,
        title=" ".join(title),
        author="Anxin Hub",
        invariant=1,
    )
    head = ParagraphStyle("head", fontName=name, fontSize=14, leading=18, wordWrap="CJK")
    sub = ParagraphStyle("sub", fontName=name, fontSize=11, leading=15, wordWrap="CJK")
    story: list[object] = [Paragraph(_text(title[0], name), head), Paragraph(_text(title[1], name), sub)]
    for number, sheet in enumerate(sheets):
        if number:
            story.append(PageBreak())
        story += [Spacer(1, 4 * mm), Paragraph(_text(" ".join(sheet.name), name), sub), Spacer(1, 2 * mm)]
        story.append(_table(sheet, name, page[0] - 2 * _MARGIN))

    def foot(canvas: Canvas, _: object) -> None:
        canvas.setFont(name, 7)
        canvas.drawString(_MARGIN, 8 * mm, f"SHA-256 {digest}")
        canvas.drawRightString(page[0] - _MARGIN, 8 * mm, f"{canvas.getPageNumber()}")

    made.build(story, onFirstPage=foot, onLaterPages=foot)
    return held.getvalue()


@cache
def _font(path: str) -> str:
    """The name under which the font is known to reportlab."""
    try:
        pdfmetrics.registerFont(TTFont(f"report:{path}", path, subfontIndex=0))
    except (TTFError, OSError) as error:
        raise BadInput(f"is no TrueType font: {error}", "ANXIN_REPORT_FONT", code="settings") from None
    return f"report:{path}"


def _text(text: str, font: str) -> str:
    """Escaped, with a sign in place of what the font does not have."""
    known = pdfmetrics.getFont(font).face.charToGlyph
    found = [sign if sign == "\n" or ord(sign) in known else _ABSENT for sign in text]
    return escape("".join(found)).replace("\n", "<br/>")


def _table(sheet: Sheet, font: str, width: float) -> LongTable:
    body = ParagraphStyle("body", fontName=font, fontSize=7, leading=9, wordWrap="CJK")
    whole = sum(sheet.widths)
    top = ParagraphStyle("top", fontName=font, fontSize=6.5, leading=8.5)
    head = [Paragraph(_text("\n".join(heading), font), top) for heading in sheet.headings]
    rows = [[Paragraph(_text(_shown(value), font), body) for value in row] for row in sheet.rows]
    if not rows:
        rows = [[Paragraph(_text("无 none", font), body), *([""] * (len(head) - 1))]]
    made = LongTable([head, *rows], colWidths=[width * one / whole for one in sheet.widths], repeatRows=1, splitInRow=1)
    made.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.25, colors.HexColor("#9aa5b1")),
                ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#dde5ee")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return made


def _shown(value: Cell) -> str:
    if value is None:
        return ""
    text = f"{value:.2%}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…（全文见 XLSX）"
