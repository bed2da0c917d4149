"""Orders: the table is total, the facts close and reopen them, and whatever happens in whatever order nothing is closed on silence."""

from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.core.coverage.rules import Verdict
from hub.core.orders import (
    DAY,
    OPEN,
    TABLE,
    Event,
    Facts,
    Order,
    Period,
    State,
    Terms,
    climbed,
    decide,
    draft_at,
    due_at,
    held,
    may_draft,
    may_withdraw,
    owner_of,
    reached,
    standing,
    step,
)
from hub.core.rights import EVERYTHING, Scope
from hub.errors import Conflict
from hub.model import Micros

TERMS = Terms()
PARENTS = {"14": None, "1404": "14", "140403": "1404", "140403001": "140403"}
BAD, GOOD, BLIND = Verdict.NON_COMPLIANT, Verdict.COMPLIANT, Verdict.UNKNOWN
DRAFT = Order(State.DRAFT, 30, 0)
ISSUED = step(DRAFT, Event.ISSUE, DAY, owner="140403")


def facts(*turns: tuple[Verdict, int], checked: int = 10_000) -> Facts:
    """Verdicts with the day on which each began."""
    ends = [day * DAY for _, day in turns][1:]
    starts = [(verdict, day * DAY) for verdict, day in turns]
    periods = [Period(verdict, at, until) for (verdict, at), until in zip(starts, [*ends, None], strict=True)]
    return Facts(tuple(periods), checked * DAY)


def at(state: State) -> Order:
    moves = {
        State.DRAFT: DRAFT,
        State.ISSUED: ISSUED,
        State.ANSWERED: step(ISSUED, Event.ANSWER, 2 * DAY),
        State.RAISED: climbed(ISSUED, PARENTS, 31 * DAY, TERMS),
        State.CLOSED: step(ISSUED, Event.CLOSE, 20 * DAY),
        State.WITHDRAWN: step(ISSUED, Event.WITHDRAW, 20 * DAY),
    }
    return moves.get(state) or step(moves[State.CLOSED], Event.REOPEN, 25 * DAY)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_event_in_every_state_moves_or_is_refused(state: State, event: Event) -> None:
    wanted = TABLE[state, event]
    if wanted is None:
        with pytest.raises(Conflict, match=f"{state.value} takes no {event.value}"):
            step(at(state), event, 40 * DAY)
    else:
        assert step(at(state), event, 40 * DAY).state is wanted


def test_only_a_person_issues_and_what_was_withdrawn_stays_so() -> None:
    assert [pair for pair, to in TABLE.items() if to is State.ISSUED] == [(State.DRAFT, Event.ISSUE)]
    assert all(TABLE[State.WITHDRAWN, event] is None for event in Event)


def test_a_draft_lapses_when_the_violation_ends_and_waits_while_nobody_knows() -> None:
    for verdict in (GOOD, Verdict.WAIVED, Verdict.NOT_APPLICABLE):
        assert decide(DRAFT, facts((BAD, 0), (verdict, 3)), 4 * DAY, TERMS) is Event.LAPSE
    for verdict in (BAD, BLIND):
        assert decide(DRAFT, facts((BAD, 0), (verdict, 3)), 4 * DAY, TERMS) is None


def test_it_closes_once_the_rule_was_proven_to_hold_for_the_time_asked() -> None:
    seen = facts((BAD, 0), (GOOD, 5))
    assert decide(ISSUED, seen, 12 * DAY - 1, TERMS) is None
    assert decide(ISSUED, seen, 12 * DAY, TERMS) is Event.CLOSE


def test_an_answer_closes_nothing() -> None:
    answered = step(ISSUED, Event.ANSWER, 3 * DAY)
    assert decide(answered, facts((BAD, 0)), 20 * DAY, TERMS) is None
    assert decide(answered, facts((BAD, 0)), 31 * DAY, TERMS) is Event.RAISE


def test_time_in_which_nobody_could_know_counts_for_nothing_and_starts_nothing_anew() -> None:
    seen = facts((BAD, 0), (GOOD, 5), (BLIND, 9), (GOOD, 19))
    assert held(seen, DAY, 20 * DAY) == 5 * DAY
    assert decide(ISSUED, seen, 22 * DAY - 1, TERMS) is None
    assert decide(ISSUED, seen, 22 * DAY, TERMS) is Event.CLOSE


def test_a_violation_starts_the_time_anew() -> None:
    assert held(facts((BAD, 0), (GOOD, 5), (BAD, 9), (GOOD, 10)), DAY, 12 * DAY) == 2 * DAY


def test_nothing_counts_after_the_last_judgement() -> None:
    seen = facts((BAD, 0), (GOOD, 5), checked=8)
    assert held(seen, DAY, 40 * DAY) == 3 * DAY
    assert decide(ISSUED, seen, 20 * DAY, TERMS) is None


def test_while_the_facts_hold_the_deadline_raises_nothing_and_silence_is_no_remedy() -> None:
    assert decide(ISSUED, facts((BAD, 0), (GOOD, 30)), 31 * DAY, TERMS) is None
    assert decide(ISSUED, facts((BAD, 0), (BLIND, 30)), 31 * DAY, TERMS) is Event.RAISE
    assert decide(ISSUED, facts((BAD, 0)), 31 * DAY - 1, TERMS) is None


def test_a_waiver_ends_an_order() -> None:
    assert decide(ISSUED, facts((BAD, 0), (Verdict.WAIVED, 3)), 4 * DAY, TERMS) is Event.LAPSE


def test_a_rule_that_applies_no_more_closes_nothing_by_itself() -> None:
    for seen in (facts((BAD, 0), (Verdict.NOT_APPLICABLE, 3)), Facts((Period(BAD, 0, 3 * DAY),), 90 * DAY)):
        assert decide(ISSUED, seen, 20 * DAY, TERMS) is None
        assert decide(ISSUED, seen, 31 * DAY, TERMS) is Event.RAISE


def test_it_rises_division_by_division_to_the_top_and_no_further() -> None:
    order, seen, now = ISSUED, facts((BAD, 0)), 31 * DAY
    told = []
    while decide(order, seen, now, TERMS) is Event.RAISE:
        order = climbed(order, PARENTS, now, TERMS)
        told.append((now // DAY, order.raised_to, reached(order, PARENTS)))
        now += TERMS.climb
    assert told == [(31, "1404", ("1404",)), (38, "14", ("1404", "14"))]
    assert order.climbs_at is None


def test_what_the_top_issued_is_raised_once_and_told_there() -> None:
    order = climbed(step(DRAFT, Event.ISSUE, 0, owner="14"), PARENTS, 31 * DAY, TERMS)
    assert (order.raised_to, reached(order, PARENTS), order.climbs_at) == ("14", ("14",), None)


def test_a_relapse_soon_after_reopens_it_with_a_new_deadline_and_a_late_one_does_not() -> None:
    closed = step(ISSUED, Event.CLOSE, 20 * DAY)
    for day, event in ((21, Event.REOPEN), (50, Event.REOPEN), (51, None)):
        assert decide(closed, facts((GOOD, 5), (BAD, day)), (day + 1) * DAY, TERMS) is event
    assert decide(closed, facts((GOOD, 5), (BAD, 21)), 22 * DAY - 1, TERMS) is None
    again = step(closed, Event.REOPEN, 22 * DAY)
    assert (again.due_at, again.owner, again.raised_to, again.ended_at) == (52 * DAY, "140403", "", None)


def test_what_held_before_it_was_reopened_does_not_close_it_again() -> None:
    again = step(step(ISSUED, Event.CLOSE, 20 * DAY), Event.REOPEN, 22 * DAY)
    assert decide(again, facts((GOOD, 5), (BAD, 21), (GOOD, 24)), 30 * DAY, TERMS) is None
    assert decide(again, facts((GOOD, 5), (BAD, 21), (GOOD, 24)), 31 * DAY, TERMS) is Event.CLOSE


def test_a_draft_needs_a_violation_that_has_stood_as_far_as_anybody_looked() -> None:
    violation = Period(BAD, 5 * DAY, None)
    assert not may_draft(violation, None, 6 * DAY - 1, 90 * DAY, TERMS)
    assert may_draft(violation, None, 6 * DAY, 90 * DAY, TERMS)
    assert not may_draft(violation, None, 60 * DAY, 6 * DAY - 1, TERMS)


@pytest.mark.parametrize(
    ("state", "since", "now", "drafted"),
    [
        (State.CLOSED, 40, 45, False),
        (State.CLOSED, 50, 55, False),
        (State.CLOSED, 51, 55, True),
        (State.WITHDRAWN, 10, 30, False),
        (State.WITHDRAWN, 10, 50, True),
        (State.WITHDRAWN, 21, 25, True),
        (State.ISSUED, 10, 400, False),
    ],
)
def test_the_order_before_answers_for_what_comes_soon_after_it(
    state: State, since: int, now: int, drafted: bool
) -> None:
    assert may_draft(Period(BAD, since * DAY, None), at(state), now * DAY, 900 * DAY, TERMS) is drafted


def test_an_order_is_issued_for_the_nearest_division_of_ones_scope() -> None:
    assert owner_of(Scope(divisions=("1404", "140403")), "140403001", PARENTS) == "140403"
    assert owner_of(Scope(divisions=("33",)), "140403001", PARENTS) == "140403001"
    assert owner_of(EVERYTHING, "140403001", PARENTS) == "140403001"


def test_what_was_raised_is_withdrawn_from_above_only() -> None:
    raised = climbed(ISSUED, PARENTS, 31 * DAY, TERMS)
    assert not may_withdraw(raised, Scope(divisions=("140403",)))
    assert may_withdraw(raised, Scope(divisions=("1404",)))
    assert may_withdraw(raised, EVERYTHING)
    assert may_withdraw(ISSUED, Scope(divisions=("140403",)))


TURNS = st.lists(st.tuples(st.sampled_from(Verdict), st.integers(1, 20)), min_size=1, max_size=8)


@settings(max_examples=200)
@given(TURNS, st.integers(0, 60), st.integers(0, 90), st.integers(0, 120))
def test_what_was_held_is_what_a_walk_over_the_days_counts(
    turns: list[tuple[Verdict, int]], since: int, now: int, checked: int
) -> None:
    day, starts = 0, []
    for verdict, days in turns:
        starts.append((verdict, day))
        day += days
    seen = facts(*starts, checked=checked)
    counted = 0
    for today in range(min(now, checked)):
        verdict = next(verdict for verdict, first in reversed(starts) if first <= today)
        if verdict is BAD:
            counted = 0
        elif verdict is GOOD and today >= since:
            counted += 1
    if any(verdict is BAD and first >= min(now, checked) for verdict, first in starts):
        counted = 0  # what is known of a later violation counts at once
    assert held(seen, since * DAY, now * DAY) == counted * DAY


class Life(RuleBasedStateMachine):
    """An order among people, facts and time, beside a plain account of what happened."""

    @initialize()
    def drafted(self) -> None:
        self.now: Micros = DAY
        self.periods = [Period(BAD, 0, None)]
        self.checked = self.now
        self.order = DRAFT
        self.reasons: list[tuple[Event, Verdict]] = []

    def facts(self) -> Facts:
        return Facts(tuple(self.periods), self.checked)

    @rule(days=st.integers(1, 12), judged=st.booleans())
    def time_passes(self, days: int, judged: bool) -> None:
        for _ in range(days * 2):
            self.now += DAY // 2
            if judged:
                self.checked = self.now
            self.decide()

    @rule(verdict=st.sampled_from(Verdict))
    def facts_turn(self, verdict: Verdict) -> None:
        if self.periods[-1].verdict is verdict or self.periods[-1].since == self.now:
            return
        self.checked = self.now
        self.periods[-1] = replace_until(self.periods[-1], self.now)
        self.periods.append(Period(verdict, self.now, None))
        self.decide()

    @precondition(lambda self: self.order.state is State.DRAFT)
    @rule()
    def is_issued(self) -> None:
        self.order = step(self.order, Event.ISSUE, self.now, owner="140403")

    @precondition(lambda self: self.order.state in OPEN)
    @rule()
    def is_answered(self) -> None:
        self.order = step(self.order, Event.ANSWER, self.now)

    @precondition(lambda self: TABLE[self.order.state, Event.WITHDRAW] is not None)
    @rule(chance=st.integers(0, 5))
    def is_withdrawn(self, chance: int) -> None:
        if chance == 0:
            self.order = step(self.order, Event.WITHDRAW, self.now)

    def decide(self) -> None:
        for _ in range(5):
            before, event = self.order, decide(self.order, self.facts(), self.now, TERMS)
            if event is None:
                return
            raised = event is Event.RAISE
            self.order = (
                climbed(before, PARENTS, self.now, TERMS) if raised else step(before, event, self.now, owner="")
            )
            self.check(before, event)
        raise AssertionError("the hub never comes to rest")

    def check(self, before: Order, event: Event) -> None:
        verdict = self.periods[-1].verdict
        if event is Event.CLOSE:
            assert verdict is GOOD
            assert before.watched_from is not None
            assert self.now - max(before.watched_from, self.periods[0].since) >= TERMS.holds
            bad = [one for one in self.periods if one.verdict is BAD]
            assert all(one.until is not None and one.until <= self.now - TERMS.holds for one in bad)
        elif event is Event.RAISE:
            assert before.due_at is not None
            assert self.now >= before.due_at
            assert verdict is not GOOD
            assert len(self.order.raised_to) < len(before.raised_to or before.owner)
        elif event is Event.REOPEN:
            assert verdict is BAD
            assert standing(self.facts(), self.now) is not None
        else:
            assert verdict is not BAD

    @invariant()
    def its_timer_rings_when_something_is_to_be_done_and_not_before(self) -> None:
        order, facts, now = getattr(self, "order", DRAFT), self.facts(), self.now

        def done_at(then: Micros) -> Event | None:
            return decide(order, facts._replace(checked_at=then), then, TERMS)

        due = due_at(order, facts, TERMS)
        if due is None:
            assert done_at(now) is done_at(now + 4000 * DAY) is None
        else:
            assert done_at(max(due, now)) is not None
            assert due <= now or done_at(due - 1) is None

    @invariant()
    def what_it_says_of_itself_is_consistent(self) -> None:
        order = getattr(self, "order", DRAFT)
        assert (order.ended_at is not None) == (order.state in (State.CLOSED, State.WITHDRAWN))
        assert order.climbs_at is None or order.state in OPEN
        assert (order.state is State.RAISED) <= bool(order.raised_to)
        assert order.state in (State.DRAFT, State.WITHDRAWN) or order.issued_at is not None
        assert all(one.until == two.since for one, two in pairwise(getattr(self, "periods", [])))


def test_of_what_a_person_withdrew_the_time_of_the_next_draft_is_known_beforehand() -> None:
    withdrawn = at(State.WITHDRAWN)
    assert draft_at(Period(BAD, 5 * DAY, None), None, TERMS) == 6 * DAY
    assert draft_at(Period(BAD, 5 * DAY, None), at(State.ISSUED), TERMS) is None
    assert draft_at(Period(BAD, 5 * DAY, None), withdrawn, TERMS) == 50 * DAY, "the same violation, a month after"
    assert draft_at(Period(BAD, 21 * DAY, None), withdrawn, TERMS) == 22 * DAY, "another one"
    assert draft_at(Period(BAD, 21 * DAY, None), at(State.CLOSED), TERMS) is None, (
        "that reopens the one that was closed"
    )


def replace_until(period: Period, until: Micros) -> Period:
    return period._replace(until=until)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_step_changes_no_order_in_place() -> None:
    before = replace(ISSUED)
    step(ISSUED, Event.ANSWER, 5 * DAY)
    assert before == ISSUED
