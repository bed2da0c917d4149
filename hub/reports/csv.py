"""A table as CSV as Excel takes it: UTF-8 with its mark, a rate as a number from 0 to 1. Its text was made harmless where the sheet was made."""

import csv
import io

from hub.core.coverage.month_sheets import Sheet


def table(sheet: Sheet) -> bytes:
    """The sheet; the heading's two languages stand in one cell."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\r\n")
    writer.writerow([" ".join(heading) for heading in sheet.headings])
    for row in sheet.rows:
        writer.writerow(
            ["" if value is None else f"{value:.4f}" if isinstance(value, float) else value for value in row]
        )
    return held.getvalue().encode("utf-8-sig")
