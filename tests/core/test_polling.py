"""Polling on a clock that the tests turn by hand."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hub.core.polling import LONGEST, LONGEST_URGENT, MOST, SHARE, Schedule, Turn, slower_turn
from hub.model import Micros, Sample, Series

SECOND = 1_000_000
A, B = Series("a", "x"), Series("b", "x")


def answers(turn: Turn, dead: set[str] = frozenset()) -> list[Sample]:  # type: ignore[assignment]
    return [
        Sample(series, 0, None, "no answer") if series.device in dead else Sample(series, 0, 1)
        for series in turn.series
    ]


class Line:
    """A line with a clock: every healthy device answers in 5 ms, a dead one costs a second."""

    def __init__(self, every: dict[Series, Micros], dead: set[str], urgent: frozenset[str] = frozenset()) -> None:
        self.schedule = Schedule(every, urgent)
        self.schedule.start(0, 0.0)
        self.now, self.dead = 0, dead
        self.reads: list[tuple[Micros, Series]] = []

    def run(self, until: Micros) -> None:
        while True:
            wake = self.schedule.next()
            assert wake is not None
            if max(wake, self.now) >= until:
                return
            self.now = max(self.now, wake)
            for turn in self.schedule.turns(self.now):
                devices = {series.device for series in turn.series}
                self.reads.extend((self.now, series) for series in turn.series)
                cost = sum(SECOND if device in self.dead else 5_000 for device in devices)
                self.now += cost
                self.schedule.answered(turn, answers(turn, self.dead), cost, self.now)

    def times(self, series: Series) -> list[Micros]:
        return [at for at, read in self.reads if read == series]


def test_each_point_has_its_own_interval_and_what_is_due_together_is_read_together() -> None:
    schedule = Schedule({A: SECOND, B: 2 * SECOND})
    schedule.start(0, 0.0)
    assert schedule.turns(0) == [Turn([A, B], None)]
    assert schedule.turns(0) == []
    assert schedule.next() == SECOND
    assert schedule.turns(SECOND) == [Turn([A], None)]
    assert schedule.turns(2 * SECOND) == [Turn([A, B], None)]


def test_a_reading_that_comes_late_does_not_shift_the_ones_after_it() -> None:
    schedule = Schedule({A: SECOND})
    schedule.start(0, 0.0)
    schedule.turns(0)
    schedule.turns(SECOND + 300_000)
    assert schedule.next() == 2 * SECOND


def test_turns_that_were_missed_are_not_made_up_for() -> None:
    schedule = Schedule({A: SECOND})
    schedule.start(0, 0.0)
    assert schedule.turns(5 * SECOND + 1) == [Turn([A], None)]
    assert schedule.turns(5 * SECOND + 2) == []
    assert schedule.next() == 6 * SECOND


def test_a_link_starts_by_chance_and_with_all_its_devices_together() -> None:
    schedule = Schedule({A: 4 * SECOND, Series("a", "y"): 4 * SECOND, B: 4 * SECOND})
    schedule.start(0, 0.25)
    assert schedule.turns(249_999) == []
    assert schedule.turns(250_000) == [Turn([A, Series("a", "y"), B], None)]


def test_a_link_without_points_has_nothing_due() -> None:
    schedule = Schedule({})
    schedule.start(0, 0.0)
    assert schedule.next() is None
    assert schedule.turns(SECOND) == []


def test_an_interval_of_nothing_does_not_read_without_end() -> None:
    schedule = Schedule({A: 0})
    schedule.start(0, 0.0)
    assert schedule.turns(0) == [Turn([A], None)]
    assert schedule.next() == 10_000


def test_a_dead_device_costs_its_neighbours_less_than_a_twentieth_of_their_rate() -> None:
    neighbours = [Series(f"n{n}", "x") for n in range(5)]
    alone = Line(dict.fromkeys(neighbours, SECOND), set())
    shared = Line({**dict.fromkeys(neighbours, SECOND), B: SECOND}, {"b"})
    alone.run(600 * SECOND)
    shared.run(600 * SECOND)
    for neighbour in neighbours:
        assert len(shared.times(neighbour)) > (1 - SHARE) * len(alone.times(neighbour))
    assert len(shared.times(B)) >= 20


def test_several_dead_devices_together_cost_no_more() -> None:
    dead = {f"d{n}" for n in range(4)}
    line = Line({A: SECOND, **{Series(name, "x"): SECOND for name in dead}}, dead)
    line.run(1200 * SECOND)
    assert len(line.times(A)) > (1 - SHARE) * 1200 - 10
    assert line.schedule.dead == sorted(dead)


def test_a_device_that_is_back_is_read_at_its_own_rate_again() -> None:
    line = Line({A: SECOND, B: SECOND}, {"b"})
    line.run(100 * SECOND)
    line.dead.clear()
    line.run(200 * SECOND)
    line.reads.clear()
    line.run(300 * SECOND)
    assert len(line.times(B)) == len(line.times(A)) == 100
    assert line.schedule.dead == []


def test_a_device_that_answers_with_errors_at_once_keeps_its_own_rate() -> None:
    schedule = Schedule({A: SECOND})
    schedule.start(0, 0.0)
    for second in range(10):
        (turn,) = schedule.turns(second * SECOND)
        assert turn.series == [A]
        schedule.answered(turn, answers(turn, {"a"}), 1_000, second * SECOND + 1_000)


def test_after_nonsense_each_is_read_by_itself_and_the_well_ones_come_together_again() -> None:
    schedule = Schedule({A: SECOND, B: SECOND})
    schedule.start(0, 0.0)
    (turn,) = schedule.turns(0)
    schedule.failed(turn, 10_000, 10_000)
    one, other = schedule.turns(SECOND)
    assert (one, other) == (Turn([A], "a"), Turn([B], "b"))
    schedule.answered(one, answers(one), 5_000, SECOND)
    schedule.failed(other, SECOND, SECOND)
    assert schedule.dead == ["b"]
    assert schedule.turns(2 * SECOND) == [Turn([A], None)]


@given(st.integers(0, 10**10))
def test_a_dead_device_is_tried_again_within_ten_minutes_whatever_it_costs(cost: int) -> None:
    schedule = Schedule({A: SECOND})
    schedule.start(0, 0.0)
    (turn,) = schedule.turns(0)
    schedule.failed(Turn(turn.series, "a"), cost, 0)
    wake = schedule.next()
    assert wake is not None
    assert wake <= LONGEST


def longest_wait(times: list[Micros], begun: Micros, until: Micros) -> Micros:
    between = [begun, *(at for at in times if begun <= at < until), until]
    return max(b - a for a, b in itertools.pairwise(between))


def test_a_dead_smoke_detector_among_dead_thermometers_is_tried_every_two_minutes() -> None:
    """Twenty dead things of a second each would let everyone wait 400 s by the plain rule."""
    dead = {f"d{n}" for n in range(20)} | {"smoke"}
    smoke = Series("smoke", "x")
    every = {A: SECOND, smoke: SECOND, **{Series(name, "x"): SECOND for name in dead}}
    line = Line(every, dead, frozenset({"smoke"}))
    line.run(3600 * SECOND)
    assert longest_wait(line.times(smoke), 600 * SECOND, 3600 * SECOND) <= LONGEST_URGENT + 2 * SECOND
    # the twenty were dead in company first; after that the line is slowed by less than a twentieth
    assert len([at for at in line.times(A) if at >= 600 * SECOND]) > (1 - SHARE) * 3000


def test_one_silent_unit_of_thirty_with_a_long_time_out_costs_less_than_a_twentieth_also_when_it_is_urgent() -> None:
    turn = slower_turn(4 * SECOND, urgent=1, bulk=0, is_urgent=True, alone=False)
    assert turn <= LONGEST_URGENT
    assert 4 * SECOND / turn <= SHARE


@given(st.integers(1, 60 * SECOND), st.integers(1, 30), st.integers(0, 30))
def test_dead_urgent_devices_come_again_in_time_or_cost_all_that_they_may(cost: int, urgent: int, bulk: int) -> None:
    turn = slower_turn(cost, urgent=urgent, bulk=bulk, is_urgent=True, alone=False)
    assert turn <= max(LONGEST_URGENT, urgent * cost / MOST)
    assert turn <= LONGEST
    if turn < LONGEST_URGENT:
        assert urgent * cost / turn <= SHARE * 1.001 + 1e-3


def test_on_a_line_where_nobody_is_well_the_dead_wait_only_twice_what_a_try_costs() -> None:
    line = Line({B: SECOND}, {"b"})
    line.run(100 * SECOND)
    assert len(line.times(B)) >= 30


def test_a_device_of_which_a_turn_brought_nothing_is_not_taken_for_dead() -> None:
    """It was asked for points that only ever speak by themselves."""
    schedule = Schedule({A: SECOND, B: 60 * SECOND})
    schedule.start(0, 0.0)
    for now in range(0, 10 * SECOND, SECOND):
        for turn in schedule.turns(now):
            assert turn.alone is None
            schedule.answered(turn, [Sample(one, 0, 1) for one in turn.series if one != B], 5_000, now)
    assert schedule.dead == []
