"""The planner's rules, over points and limits that nobody thought of."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.plan import Block, Lessons, Limits, Point, halve, learn, limits_of, misfit, plan
from drivers.modbus.settings import Forbidden, ModbusAddress, ModbusDevice
from hub.model import Series

TABLES = ("coil", "discrete", "input", "holding")


@st.composite
def _points(draw: st.DrawFn, most: int = 40) -> list[Point]:
    points = []
    for number in range(draw(st.integers(0, most))):
        table = draw(st.sampled_from(TABLES))
        width = 1 if table in ("coil", "discrete") else draw(st.integers(1, 8))
        first = draw(st.integers(0, 300) | st.integers(65_400, 65_536 - width))
        points.append(Point(Series("d", f"p{number}"), draw(st.integers(1, 3)), table, first, width))
    return points


@st.composite
def _limits(draw: st.DrawFn) -> Limits:
    rules = []
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, 310))
        rules.append(Forbidden(table=draw(st.sampled_from(TABLES)), first=first, last=first + draw(st.integers(0, 20))))
    return Limits(draw(st.integers(8, 125)), draw(st.integers(1, 2000)), draw(st.integers(0, 124)), tuple(rules))


def _addresses(block: Block) -> set[int]:
    return set(range(block.first, block.first + block.size))


@given(_points(), _limits(), st.data())
def test_every_point_is_read_whole_and_once_and_no_limit_is_broken(
    points: list[Point], limits: Limits, data: st.DataObject
) -> None:
    apart = frozenset(point.series for point in points if data.draw(st.booleans()))
    blocks = plan(points, {1: limits, 2: limits, 3: limits}, Lessons(apart=apart))
    answered = [point for block in blocks for point in block.points]
    assert sorted(answered) == sorted(points)
    for block in blocks:
        assert 1 <= block.size <= limits.most(block.table)
        assert block.first >= 0
        assert block.first + block.size <= 65_536
        for point in block.points:
            assert (point.unit, point.table) == (block.unit, block.table)
            assert set(range(point.first, point.end)) <= _addresses(block)
        if len(block.points) > 1:
            assert not any(point.series in apart for point in block.points)


@given(_points(), _limits())
def test_nothing_forbidden_is_read_along_and_no_gap_is_wider_than_allowed(points: list[Point], limits: Limits) -> None:
    for block in plan(points, {1: limits, 2: limits, 3: limits}):
        asked = {address for point in block.points for address in range(point.first, point.end)}
        along = _addresses(block) - asked
        assert not any(limits.forbids(block.table, address, address + 1) for address in along)
        longest = run = 0
        for address in range(block.first, block.first + block.size):
            run = run + 1 if address in along else 0
            longest = max(longest, run)
        assert longest <= limits.gap


@given(_points(), _limits())
def test_a_plan_does_not_depend_on_the_order_of_the_points(points: list[Point], limits: Limits) -> None:
    by_unit = {1: limits, 2: limits, 3: limits}
    spans = [(block.unit, block.table, block.first, block.size) for block in plan(points, by_unit)]
    assert spans == [(block.unit, block.table, block.first, block.size) for block in plan(points[::-1], by_unit)]


@given(_points(), _limits())
def test_a_tight_table_reads_no_gap(points: list[Point], limits: Limits) -> None:
    tight = frozenset((unit, table) for unit in (1, 2, 3) for table in TABLES)
    for block in plan(points, {1: limits, 2: limits, 3: limits}, Lessons(tight=tight)):
        assert _addresses(block) == {address for point in block.points for address in range(point.first, point.end)}


def _holding(*firsts: int, width: int = 1) -> list[Point]:
    return [Point(Series("d", f"p{first}"), 1, "holding", first, width) for first in firsts]


def test_neighbours_are_one_request_and_a_gap_is_two() -> None:
    limits = {1: Limits(125, 2000, 0)}
    assert [(block.first, block.size) for block in plan(_holding(10, 11, 12, 14), limits)] == [(10, 3), (14, 1)]
    assert [(block.first, block.size) for block in plan(_holding(10, 14), {1: Limits(125, 2000, 3)})] == [(10, 5)]


def test_a_wide_value_is_never_torn_over_two_requests() -> None:
    blocks = plan(_holding(*range(0, 200, 4), width=4), {1: Limits(10, 2000, 0)})
    assert all(block.size % 4 == 0 for block in blocks)


def test_halving_ends_at_single_points_that_are_all_of_the_block() -> None:
    (block,) = plan(_holding(0, 1, 2, 3, 4), {1: Limits(125, 2000, 0)})
    todo, single = [block], []
    while todo:
        one = todo.pop()
        if len(one.points) == 1:
            single.append(one.points[0])
        else:
            todo += halve(one)
    assert sorted(single) == sorted(block.points)


def test_a_refused_point_is_asked_apart_from_then_on() -> None:
    points = _holding(0, 1, 2)
    limits = {1: Limits(125, 2000, 0)}
    (block,) = plan(points, limits)
    lessons = learn(Lessons(), block, frozenset({points[1].series}))
    assert [(block.first, block.size) for block in plan(points, limits, lessons)] == [(0, 1), (2, 1), (1, 1)]


def test_a_block_that_fails_though_no_point_does_teaches_first_to_leave_out_gaps_and_then_to_ask_one_by_one() -> None:
    points = _holding(0, 5)
    limits = {1: Limits(125, 2000, 10)}
    (block,) = plan(points, limits)
    lessons = learn(Lessons(), block, frozenset())
    assert lessons.tight == {(1, "holding")}
    assert [block.size for block in plan(points, limits, lessons)] == [1, 1]
    assert learn(lessons, block, frozenset()).apart == {point.series for point in points}


def test_devices_that_share_a_unit_are_read_by_the_strictest_limits() -> None:
    rule = Forbidden(table="holding", first=3, last=4)
    shared = limits_of([ModbusDevice(max_registers=10, max_gap=5), ModbusDevice(max_bits=16, forbidden=(rule,))])
    assert shared == Limits(10, 16, 0, (rule,))


def test_a_point_that_can_never_be_read_says_why() -> None:
    limits = Limits(4, 2000, 0, (Forbidden(table="holding", first=7, last=7),))
    forbidden = ModbusAddress(table="holding", address=6, type="u32")
    assert "forbidden" in str(misfit(forbidden, "int", limits))
    assert "5 registers" in str(misfit(ModbusAddress(table="input", address=0, type="string", length=5), "str", limits))
    assert "type str" in str(misfit(ModbusAddress(table="input", address=0), "str", limits))
    assert misfit(ModbusAddress(table="input", address=7), "int", limits) is None
