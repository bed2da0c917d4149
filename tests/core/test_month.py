"""The monthly ledger: every entry once, figures that follow from the entries, text that is never a formula, and one digest for one content."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.coverage import month_changes
from hub.core.coverage.month import (
    COLUMNS,
    Entry,
    Month,
    OrderLine,
    Place,
    WaiverLine,
    bounds,
    differences,
    digest,
    document,
    summary,
)
from hub.core.coverage.month_changes import Change, TurnedFinding, What, compare
from hub.core.coverage.month_sheets import Sheet, changes_sheet, guarded, sheets, title
from hub.core.coverage.rollup import Figure, Tally, figures, shown, shown_lack
from hub.core.coverage.rules import Basis, Verdict
from hub.core.coverage.year_sheets import Counted, Year, year_sheet
from hub.engine.browser import Browser
from hub.errors import BadInput
from hub.model import SECOND, Micros, to_datetime
from hub.reports import csv, fonts, pdf, xlsx

AT: Micros = 1_793_462_400 * SECOND  # 2026-11-01 00:00 +08:00
CITY = Place("1404", "长治市", "Changzhi")
COUNTIES = (Place("140403", "潞州区", "Luzhou"), Place("140404", "上党区", "Shangdang"))


def entry(number: int, division: str = "140403", connected: bool = True, verdict: Verdict = Verdict.COMPLIANT) -> Entry:
    names = [f"{basis.value}/{module}" for basis, module in COLUMNS]
    order = [Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED, Verdict.NOT_APPLICABLE]
    counts = tuple(int(one is verdict) for one in order)
    return Entry(
        f"CZ-{number}", f"示例托育园{number}", f"Example nursery {number}", division, "community_point", 40,
        f"home-{number}" if connected else None, dict.fromkeys(names, verdict), dict.fromkeys(names, counts), 1, 0, 0,
    )  # fmt: skip


ORDER = OrderLine(
    "00000000-0000-0000-0000-000000000001", "CZ-1", "示例托育园1", "Example nursery 1", "changzhi-panic",
    "一键报警覆盖每个托育机构", "Every institution has a panic button", "项目15", "issued", AT, AT + 1, None, "",
)  # fmt: skip
WAIVER = WaiverLine(
    *("00000000-0000-0000-0000-000000000002", "CZ-2", "示例托育园2", "Example nursery 2", "r", "规则", "Rule"),
    *("改造中", "示例字 1 号", "示例审批岗", AT - 1, AT + 1),
)
MONTH = Month(
    CITY, COUNTIES, "2026-10", AT, AT + 90 * SECOND, True,
    (entry(1), entry(2, "140404", verdict=Verdict.NON_COMPLIANT), entry(3, "140404001", connected=False, verdict=Verdict.UNKNOWN)),
    (ORDER,), (WAIVER,),
)  # fmt: skip


def test_a_month_begins_and_ends_at_midnight_of_beijing() -> None:
    begins, ends = bounds("2026-10")
    assert (to_datetime(begins).isoformat(), ends) == ("2026-09-30T16:00:00+00:00", AT)
    assert bounds("2026-12")[1] == bounds("2027-01")[0]
    for wrong in ("2026-13", "2026-1", "26-10", "2026-10-01", "", "２０２６-10"):
        with pytest.raises(BadInput, match="2026-10"):
            bounds(wrong)


def test_the_summary_counts_every_entry_once_in_the_division_and_once_in_the_one_below() -> None:
    whole, *below = summary(MONTH)
    assert (whole.register, whole.connected, whole.connected_rate) == (3, 2, 2 / 3)
    assert [line.place.code for line in below] == ["140403", "140404"]
    assert sum(line.register for line in below) == whole.register
    assert whole.figures[0].institutions == Tally(compliant=1, non_compliant=1, unknown=1)
    assert whole.figures[0].unknown_rate == 1 / 3
    assert below[1].figures[0].institutions.rate == 0


def test_what_stands_directly_in_the_division_shows_in_its_own_line_alone() -> None:
    month = replace(MONTH, entries=(*MONTH.entries, entry(4, "1404")))
    whole, *below = summary(month)
    assert (whole.register, sum(line.register for line in below)) == (4, 3)


def test_it_is_told_where_the_figures_differ_from_the_roll_up() -> None:
    lines = summary(MONTH)
    stored = {
        line.place.code: (line.register, line.connected, dict(zip(COLUMNS, line.figures, strict=True)))
        for line in lines
    }
    assert differences(lines, stored) == []
    whole = stored["1404"]
    wrong = {**stored, "1404": (whole[0], whole[1] - 1, {**whole[2], COLUMNS[1]: Figure(Tally(), Tally())})}
    first, second = differences(lines, wrong)
    assert "3/2 entries, the roll-up has 3/1" in first
    assert "1404 target/" in second


def test_stored_figures_are_read_by_basis_and_module_and_each_basis_is_there() -> None:
    found = figures({"target/video": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]})
    assert found[Basis.TARGET, "video"] == Figure(Tally(1, 2, 3, 4, 5), Tally(6, 7, 8, 9, 10))
    assert found[Basis.OBLIGATION, ""].institutions.rate is None


def test_the_same_content_has_one_digest_and_another_content_another() -> None:
    assert digest(MONTH) == digest(replace(MONTH))
    changed = (
        replace(MONTH, known_at=AT + 91 * SECOND),
        replace(MONTH, entries=(replace(MONTH.entries[0], capacity=41), *MONTH.entries[1:])),
        replace(MONTH, orders=()),
        replace(MONTH, waivers=(replace(WAIVER, ground="别的"),)),
    )
    assert len({digest(MONTH), *map(digest, changed)}) == 5
    assert document(MONTH)["entries"][0]["verdicts"]["target/"] == "compliant"


@pytest.mark.parametrize("text", ["=1+1", "+86", "-1", "@sum", " =x", "\t=x", "＝1", "\r\n=x"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_made_text(text: str) -> None:
    assert guarded(text).startswith("'")


@settings(max_examples=50)
@given(st.text(max_size=40))
def test_guarded_text_never_begins_a_formula_and_fits_any_document(text: str) -> None:
    found = guarded(text)
    assert found.lstrip()[:1] not in tuple("=+-@＝＋－＠")
    assert all(sign.isprintable() or sign == "\n" for sign in found)


WORDS = st.text(min_size=1, max_size=30)
ENTRIES = st.builds(
    entry,
    st.integers(1, 10_000),
    st.sampled_from(["140403", "140404001", "1404"]),
    st.booleans(),
    st.sampled_from(Verdict),
)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(ENTRIES, WORDS, WORDS), max_size=6, unique_by=lambda one: one[0].filing_number), WORDS)
def test_a_workbook_of_any_ledger_holds_each_entry_once_and_no_formula(
    given_entries: list[tuple[Entry, str, str]], ground: str
) -> None:
    named = tuple(replace(one, title_zh=zh, title_en=en) for one, zh, en in given_entries)
    place = replace(MONTH.division, title_zh=ground)
    month = replace(MONTH, division=place, entries=named, waivers=(replace(WAIVER, ground=ground),))
    made = xlsx.workbook(title(month), sheets(month), to_datetime(AT))
    assert made == xlsx.workbook(title(month), sheets(month), to_datetime(AT))
    book = openpyxl.load_workbook(io.BytesIO(made))
    cells = [cell for page in book for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert not [
        cell.value for cell in cells if isinstance(cell.value, str) and cell.value.lstrip()[:1] in tuple("=+-@")
    ]
    listed = [row[0].value for row in book["名册明细 Entries"].iter_rows(min_row=4)]
    assert listed == [one.filing_number for one in named]


def test_no_rate_looks_better_than_it_is() -> None:
    nearly = Figure(Tally(compliant=29_999, unknown=1), Tally())
    counted = Counted("2026-10", AT, AT, "14", "示例省", 30_000, 29_999, 0, 0, {(Basis.OBLIGATION, ""): nearly})
    sheet = year_sheet(2026, Year(CITY, AT, [counted], {}))
    told = dict(zip((zh for zh, _ in sheet.headings), sheet.rows[0], strict=True))
    assert (told["接入率"], told["法定义务率"], told["未知率"]) == (0.9999, 0.9999, 0.0001)
    assert b",0.9999,0.8500,0.9999," in csv.table(sheet)
    assert (shown(0.84996), shown(0.57), shown(0.29), shown(1.0), shown(0.0)) == (0.8499, 0.57, 0.29, 1.0, 0.0)
    assert (shown_lack(0.0), shown_lack(0.29), shown_lack(1 / 126_000)) == (0.0, 0.29, 0.0001)


@given(st.integers(1, 1_000_000).flatmap(lambda whole: st.tuples(st.integers(0, whole), st.just(whole))))
def test_a_rate_is_shown_to_a_hundredth_of_a_percent_cut_off(counted: tuple[int, int]) -> None:
    part, whole = counted
    assert shown(part / whole) == part * 10_000 // whole / 10_000
    assert shown_lack(part / whole) == -(-part * 10_000 // whole) / 10_000


def test_the_numbers_of_a_workbook_are_numbers() -> None:
    book = openpyxl.load_workbook(io.BytesIO(xlsx.workbook(title(MONTH), sheets(MONTH), to_datetime(AT))))
    assert book.sheetnames == ["汇总 Summary", "名册明细 Entries", "整改 Orders", "豁免 Waivers", "说明 Notes"]
    row = [cell.value for cell in book["汇总 Summary"][4]]
    assert row[:6] == ["1404", "长治市 Changzhi", 3, 2, 0.6666, 0.3333]
    assert digest(MONTH) in [cell.value for cell in book["说明 Notes"]["B"]]
    assert book.properties.modified == to_datetime(AT).replace(tzinfo=None)


@pytest.fixture
def font(browser_program: Browser) -> Path:
    """The Chinese font that comes with the browser of these tests."""
    return Path(browser_program.program).parents[2] / "share/fonts/truetype/wqy/wqy-microhei.ttc"


def test_a_pdf_is_the_same_for_the_same_content_and_has_its_font_with_it(font: Path) -> None:
    odd = replace(MONTH, waivers=(replace(WAIVER, ground="改造中\U00020bb7 <b>&" * 200, document="文" * 200),))
    made = pdf.document(title(odd), sheets(odd), digest(odd), font)
    assert made == pdf.document(title(odd), sheets(odd), digest(odd), font)
    assert made.startswith(b"%PDF-")
    assert b"/FontFile2" in made
    assert b"/ToUnicode" in made
    assert made.count(b"/Type /Page\n") >= len(sheets(odd))


def test_a_pdf_without_a_font_or_with_too_many_rows_is_refused_with_what_to_do(font: Path) -> None:
    many = Sheet(("表", "Table"), [("列", "Column")], [["x"]] * (pdf.MOST_ROWS + 1), [10])
    with pytest.raises(BadInput, match="take the XLSX"):
        pdf.document(title(MONTH), [many], digest(MONTH), font)
    with pytest.raises(BadInput, match=r"install the package fonts-wqy-microhei .* ANXIN_REPORT_FONT"):
        pdf.document(title(MONTH), sheets(MONTH), digest(MONTH), None)


def test_a_font_of_the_systems_packages_is_found_without_being_named(font: Path, tmp_path: Path) -> None:
    assert fonts.find(None, [tmp_path, font.parents[2]]) == font
    assert fonts.find(None, [tmp_path, tmp_path / "absent"]) is None
    assert fonts.find(Path("/named"), [font.parents[2]]) == Path("/named"), "what is named is taken, or its error told"
    own = tmp_path / "deep" / "er"
    own.mkdir(parents=True)
    (own / "wqy-zenhei.ttc").touch()
    (own / "wqy-microhei.ttc").touch()
    assert fonts.find(None, [tmp_path, font.parents[2]]) == own / "wqy-microhei.ttc", "the user's own goes first"
    assert fonts.folders({"HOME": "/h", "XDG_DATA_DIRS": "/a:relative:/b"}) == [
        Path("/h/.local/share/fonts"), Path("/a/fonts"), Path("/b/fonts"), Path("/h/.fonts"),
    ]  # fmt: skip
    assert Path("/usr/share/fonts") in fonts.folders({}), "a service without a home finds what Debian installs"


def test_a_font_that_is_none_is_named_by_its_setting(tmp_path: Path) -> None:
    wrong = tmp_path / "font.ttf"
    wrong.write_bytes(b"no font")
    for path in (wrong, tmp_path / "absent.ttf"):
        with pytest.raises(BadInput) as refused:
            pdf.document(title(MONTH), sheets(MONTH), digest(MONTH), path)
        assert refused.value.where == "ANXIN_REPORT_FONT"


TURNED = TurnedFinding(
    "CZ-2", "changzhi-panic", "一键报警", "Panic button", Basis.TARGET, "panic", Verdict.NON_COMPLIANT, Verdict.COMPLIANT,
    "事后补传：按钮可用", "came later: the button works", AT + 3600 * SECOND,
)  # fmt: skip
SINCE = compare(
    MONTH,
    replace(
        MONTH,
        known_at=AT + 86_400 * SECOND,
        entries=(MONTH.entries[0], entry(2, "140404"), MONTH.entries[2]),
        orders=(replace(ORDER, state="closed", ended_at=AT),),
        waivers=(),
    ),
    [TURNED],
)


def test_what_became_known_since_is_told_from_the_figures_down_to_the_finding_with_before_after_when_and_why() -> None:
    def of(what: What) -> list[Change]:
        return [one for one in SINCE.lines if one.what is what]

    (finding,) = of(What.FINDING)
    assert (finding.place, finding.item, finding.before, finding.after) == (
        "CZ-2", "changzhi-panic", "non_compliant", "compliant",
    )  # fmt: skip
    assert (finding.known_at, finding.why_zh) == (TURNED.known_at, TURNED.why_zh)
    panic = [one for one in of(What.FIGURE) if one.item == "target/panic"]
    assert [(one.place, one.before["rate"], one.after["rate"], one.known_at) for one in panic] == [
        ("1404", 1 / 3, 2 / 3, TURNED.known_at),
        ("140404", 0, 1 / 2, TURNED.known_at),
    ]
    waivers = [(one.place, one.before, one.after) for one in of(What.WAIVER)]
    assert waivers == [("CZ-2", document(MONTH)["waivers"][0]["until"], None)]
    assert [(one.place, one.before, one.after) for one in of(What.ORDER)] == [("CZ-1", "issued", "closed")]
    assert {one.item for one in of(What.ENTRY)} == {f"{basis.value}/{module}" for basis, module in COLUMNS}
    assert {one.place for one in of(What.ENTRY)} == {"CZ-2"}
    assert compare(MONTH, MONTH, []).lines == ()


def test_the_list_of_changes_is_a_sheet_of_its_own_and_the_ledger_before_it_stays_to_the_byte() -> None:
    page = changes_sheet(SINCE)
    assert len(page.rows) == 1 + len(SINCE.lines)
    assert all(len(row) == len(page.headings) == len(page.widths) for row in page.rows)
    assert "SHA-256 " + month_changes.digest(SINCE) in str(page.rows[0][-1])
    text = str(page.rows)
    for word in ("一键报警 Panic button", "事后补传", "33.33%", "66.66%", "已办结 closed", "2026-11-01 01:00"):
        assert word in text
    at = to_datetime(MONTH.known_at)
    plain, more = (xlsx.workbook(title(MONTH), tables, at) for tables in (sheets(MONTH), (*sheets(MONTH), page)))
    with zipfile.ZipFile(io.BytesIO(plain)) as one, zipfile.ZipFile(io.BytesIO(more)) as two:
        pages = [name for name in one.namelist() if name.startswith("xl/worksheets/")]
        assert len(pages) == 5
        assert all(one.read(name) == two.read(name) for name in pages)
    assert more == xlsx.workbook(title(MONTH), (*sheets(MONTH), changes_sheet(SINCE)), at)
    cut = changes_sheet(SINCE, 3)
    assert (len(cut.rows), cut.rows[1:]) == (3, page.rows[1:3])
    assert "此处列出前2项" in str(cut.rows[0])
    nothing = changes_sheet(compare(MONTH, MONTH, [], is_whole=False))
    assert "没有变更" in str(nothing.rows)
    assert "未全部列出" in str(nothing.rows)


@given(
    st.lists(st.sampled_from(Verdict), min_size=3, max_size=3),
    st.lists(st.sampled_from(Verdict), min_size=3, max_size=3),
)
@settings(max_examples=60)
def test_no_entry_says_otherwise_and_is_not_listed(was: list[Verdict], now: list[Verdict]) -> None:
    before, after = (
        replace(MONTH, entries=tuple(entry(n, COUNTIES[n % 2].code, verdict=one) for n, one in enumerate(found)))
        for found in (was, now)
    )
    lines = compare(before, after, []).lines
    told = {one.place for one in lines if one.what is What.ENTRY}
    assert told == {f"CZ-{n}" for n in range(3) if was[n] is not now[n]}
    figures_told = {(one.place, one.item) for one in lines if one.what is What.FIGURE}
    for line, other in zip(summary(before), summary(after), strict=True):
        for (basis, module), old, new in zip(COLUMNS, line.figures, other.figures, strict=True):
            assert (old != new) == ((line.place.code, f"{basis.value}/{module}") in figures_told)
