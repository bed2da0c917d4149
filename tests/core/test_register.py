"""The filing list: every problem of every row with its place, and a plan that never lets an entry go by accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.purposes import InstitutionType
from hub.core.register import Entry, Listed, code_of, is_credit_code, listed, plan, strangers
from hub.errors import BadInput
from hub.tables import Line

TITLES = {
    "14": ("山西省", "Shanxi"),
    "1404": ("长治市", "Changzhi"),
    "140403": ("潞州区", "Luzhou"),
    "140404": ("上党区", "Shangdang"),
    "1405": ("晋城市", "Jincheng"),
}
HEADER = ("备案号", "机构名称", "机构类型", "托位数", "行政区划", "统一社会信用代码")
CODE = "91350100M000100Y43"
GOOD = ("CZ-1", "晨光托育园", "社会办托育机构", "60", "潞州区", CODE)


def lines(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> list[Line]:
    return [Line(n, row) for n, row in enumerate((header, *rows), 1)]


def wrong(*rows: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(one.where, one.message) for one in listed(lines(*rows), TITLES, "1404").problems]


def entry(number: str, division: str = "140403", title: str = "晨光托育园") -> Entry:
    return Entry(number, division, "private", title, title, 60, None)


def found(*entries: Entry, problems: int = 0) -> Listed:
    from hub.core.register import Problem

    said = frozenset(Entry._fields)
    return Listed(entries, said, (), tuple(Problem("row 9, column A", "x") for _ in range(problems)), len(entries), 0)


def test_a_row_becomes_an_entry_of_the_register() -> None:
    said = listed(lines(GOOD), TITLES, "1404")
    assert said.problems == ()
    assert said.entries == (Entry("CZ-1", "140403", "private", "晨光托育园", "晨光托育园", 60, CODE),)


def test_headers_may_be_english_decorated_or_below_a_title() -> None:
    header = ("Filing Number", "*Name", "Type (word)", "Division", "电话")
    rows = [
        Line(1, ("长治市托育机构备案名册",)),
        Line(2, header),
        Line(3, ("CZ-1", "Sun", "private", "140403000000", "110")),
    ]
    said = listed(rows, TITLES, "1404")
    assert said.entries == (Entry("CZ-1", "140403", "private", "Sun", "Sun", None, None),)
    assert said.ignored == ("电话",)
    assert said.said == {"filing_number", "title_zh", "type", "division"}


@pytest.mark.parametrize(
    ("column", "cell", "where", "message"),
    [
        (0, "", "row 2, column A", "1 to 200"),
        (1, "x" * 201, "row 2, column B", "1 to 200"),
        (2, "学校", "row 2, column C", "is none of"),
        (3, "many", "row 2, column D", "whole number"),
        (3, "0", "row 2, column D", "whole number"),
        (4, "火星", "row 2, column E", "no division"),
        (4, "1405", "row 2, column E", "not within 1404"),
        (5, "91350100M000100Y44", "row 2, column F", "统一社会信用代码"),
    ],
)
def test_every_bad_cell_is_named_by_row_and_column(column: int, cell: str, where: str, message: str) -> None:
    row = (*GOOD[:column], cell, *GOOD[column + 1 :])
    [(place, said)] = wrong(row)
    assert place == where
    assert message in said


def test_all_problems_of_a_file_are_told_at_once_and_a_filing_number_stands_in_it_once() -> None:
    problems = wrong(GOOD, ("", "x", "学校", "-1", "火星", "1"), GOOD)
    assert [place for place, _ in problems] == [
        *(f"row 3, column {letter}" for letter in "AECDF"),
        "row 4, column A",
    ]
    assert "row 2 already" in problems[-1][1]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("备案号", "机构名称", "机构类型"), "division"),
        (("备案号", "备案编号", "机构名称", "机构类型", "行政区划"), "twice"),
        ((), "filing_number"),
    ],
)
def test_a_list_without_its_columns_is_refused_as_a_whole(header: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        listed(lines(GOOD, header=header), TITLES, "1404")


def test_an_empty_list_is_refused_since_it_would_withdraw_everything() -> None:
    with pytest.raises(BadInput, match="no rows"):
        listed(lines(), TITLES, "1404")


def test_a_plan_adds_changes_and_withdraws_within_the_division_alone() -> None:
    current = {one.filing_number: one for one in (entry("A"), entry("B"), entry("C"), entry("X", "1405"))}
    made = plan(found(entry("A"), entry("B", title="新名"), entry("D")), current, "1404")
    assert [one.filing_number for one in made.added] == ["D"]
    assert [after.title_zh for _, after in made.changed] == ["新名"]
    assert [one.filing_number for one in made.withdrawn] == ["C"]
    assert made.same == 1


def test_a_row_that_cannot_be_read_keeps_every_entry_on_the_register() -> None:
    current = {"A": entry("A"), "B": entry("B")}
    assert plan(found(entry("A"), problems=1), current, "1404").withdrawn == ()


def test_what_has_no_column_stays_as_it_is() -> None:
    before = Entry("A", "140403", "private", "旧名", "Old name", 60, CODE)
    said = listed(lines(("A", "新名", "private", "140403"), header=HEADER[:3] + HEADER[4:5]), TITLES, "1404")
    [(_, after)] = plan(said, {"A": before}, "1404").changed
    assert after == Entry("A", "140403", "private", "新名", "Old name", 60, CODE)


def test_a_list_may_not_take_an_entry_of_another_division() -> None:
    [one] = strangers(found(entry("A")), {"A": entry("A", "1405")}, "1404")
    assert "another division" in one.message


@given(st.lists(st.sampled_from("ABCDEF"), unique=True), st.lists(st.sampled_from("ABCDEF"), unique=True, min_size=1))
def test_applying_a_plan_and_planning_again_changes_nothing(before: list[str], after: list[str]) -> None:
    current = {name: entry(name, title=f"{name}旧") for name in before}
    said = found(*(entry(name) for name in after))
    made = plan(said, current, "1404")
    for one in made.withdrawn:
        del current[one.filing_number]
    current |= {one.filing_number: one for one in (*made.added, *(new for _, new in made.changed))}
    again = plan(said, current, "1404")
    assert (again.added, again.changed, again.withdrawn) == ((), (), ())
    assert set(current) == set(after)


@given(st.lists(st.tuples(*(st.text(max_size=12) for _ in HEADER)), min_size=1, max_size=5))
def test_any_cells_are_entries_or_problems_and_never_lost(rows: list[tuple[str, ...]]) -> None:
    said = listed(lines(*rows), TITLES, "1404")
    assert len(said.entries) + said.bad_rows == said.rows == len(rows)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("140000", "14"), ("140400", "1404"), ("140403", "140403"), ("140403000", "140403"), ("140403001", "140403001"),
        ("140403001000", "140403001"), ("140403000000", "140403"), ("14", "14"), ("140410", "140410"),
    ],
)  # fmt: skip
def test_a_code_is_taken_without_the_zeros_that_pad_it(written: str, code: str) -> None:
    assert code_of(written) == code


def test_a_credit_code_is_checked_by_its_last_sign() -> None:
    assert is_credit_code(CODE)
    assert not is_credit_code(CODE[:-1] + "4")
    assert not is_credit_code(CODE.lower())
    assert not is_credit_code("")


@given(st.sampled_from(sorted(InstitutionType)))
def test_a_type_may_be_written_as_its_word_or_its_name(kind: InstitutionType) -> None:
    for said in (kind.value, kind.zh, kind.en):
        row = (GOOD[0], GOOD[1], said, *GOOD[3:])
        assert [one.type for one in listed(lines(row), TITLES, "1404").entries] == [kind.value]
