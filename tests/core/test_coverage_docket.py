"""The docket: nothing is lost, nobody waits beyond the bound where there is time enough, and nobody who waits for too long is vouched for."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.docket import ALLOWED, COMPANY, FINISH, LONGEST_REST, PATIENCE, PRESSING, Docket, Horizon, Rank
from hub.model import SECOND, Micros

T0: Micros = 1_795_000_000_000_000
NAMES = [f"inst-{n}" for n in range(12)]
STEPS = st.lists(
    st.tuples(
        st.integers(0, SECOND),  # how much later
        st.sampled_from(["changed", "changed", "changed", "sleeps", "judged", "vouch"]),
        st.sampled_from(NAMES),
        st.sampled_from(list(Rank)),
        st.integers(0, 3 * SECOND),  # how long ago, or from now
    ),
    max_size=120,
)


@pytest.fixture
def docket() -> Docket:
    return Docket()


class Truth:
    """What must be judged, kept in the plainest way: the oldest change of each that no judgement has followed, and limits."""

    def __init__(self) -> None:
        self.unjudged: dict[str, Micros] = {}
        self.limits: dict[str, Micros] = {}
        self.waiting: set[str] = set()
        self.doubted: dict[str, Micros] = {}

    def pass_limits(self, at: Micros) -> None:
        for subject, until in list(self.limits.items()):
            if until <= at:
                self.changed(subject, until)
                del self.limits[subject]

    def changed(self, subject: str, since: Micros | None) -> None:
        self.waiting.add(subject)
        if since is not None:
            self.unjudged[subject] = min(since, self.unjudged.get(subject, since))

    def judged(self, subject: str) -> None:
        self.waiting.discard(subject)
        self.unjudged.pop(subject, None)
        self.doubted.pop(subject, None)


def drained(docket: Docket, at: Micros) -> Iterator[str]:
    """Whoever is still taken when time goes on and nothing else happens."""
    until = at + COMPANY
    while taken := docket.take(until, 3):
        yield from taken


@given(STEPS)
def test_nothing_is_lost_nobody_is_judged_twice_for_one_change_and_nothing_unjudged_is_vouched_for(steps: list) -> None:  # type: ignore[type-arg]
    docket, truth, at = Docket(), Truth(), T0
    for later, what, subject, rank, span in steps:
        at += later
        truth.pass_limits(at)
        if what == "changed":
            since = None if rank in (Rank.FIRST, Rank.ROUND) else at - span
            docket.add(subject, rank, at, since)
            truth.changed(subject, since)
        elif what == "sleeps":
            docket.sleeps(subject, at + span + 1)
            truth.limits[subject] = at + span + 1
        elif what == "judged":
            for taken in docket.take(at, 2):
                assert taken in truth.waiting
                truth.judged(taken)
        else:
            vouched = docket.vouch(at, at)
            assert all(since < truth.doubted.get(name, at) for name, since in vouched.doubted.items())
            truth.doubted |= vouched.doubted
            for name, since in truth.unjudged.items():
                assert truth.doubted.get(name, vouched.until) <= since  # of nobody more is said than is known
                assert (name in truth.doubted) or since >= at - ALLOWED
            assert vouched.until >= at - ALLOWED  # and of everybody else nearly all
        assert len(docket) <= len(truth.waiting)
    truth.pass_limits(at + COMPANY)
    assert sorted(drained(docket, at)) == sorted(truth.waiting)


@given(
    st.lists(st.tuples(st.integers(0, 4 * SECOND), st.integers(0, 400), st.booleans()), min_size=1, max_size=80),
    st.integers(2_000, 14_000),
)
def test_where_there_is_time_enough_nobody_waits_longer_than_is_allowed(
    changes: list[tuple[Micros, int, bool]], cost: Micros
) -> None:
    """At most 100 subjects wait at a time: less than 3 s with rests, and 2 s of company."""
    docket, at = Docket(), T0
    coming = sorted((T0 + when, f"inst-{who % 100}", takes) for when, who, takes in changes)
    since: dict[str, Micros] = {}
    while coming or len(docket):
        while coming and coming[0][0] <= at:
            when, subject, takes = coming.pop(0)
            docket.add(subject, Rank.TAKES if takes else Rank.ADDS, at, when)
            since[subject] = min(when, since.get(subject, when))
        batch = docket.take(at, 20)
        at += cost * len(batch)
        for subject in batch:
            assert at - since.pop(subject) <= ALLOWED + SECOND // 4
        at += docket.rest(cost * len(batch), len(batch)) if batch else SECOND // 20
    assert not since


def test_a_single_change_is_judged_at_once_and_the_next_ones_wait_for_company(docket: Docket) -> None:
    docket.add("a", Rank.TAKES, T0, T0 - 1)
    assert docket.take(T0, 20) == ["a"]
    for n in range(30):
        docket.add("a", Rank.ADDS, T0 + n, T0 + n)
    assert docket.take(T0 + COMPANY - 1, 20) == []
    assert docket.next_at(T0 + 1) == T0 + COMPANY
    assert docket.take(T0 + COMPANY, 20) == ["a"]
    assert docket.take(T0 + COMPANY, 20) == []
    assert docket.next_at(T0 + COMPANY) is None


def test_what_can_take_a_green_away_goes_first_and_nothing_is_overtaken_for_ever(docket: Docket) -> None:
    docket.add("round", Rank.ROUND, T0)
    docket.add("first", Rank.FIRST, T0)
    docket.add("adds", Rank.ADDS, T0, T0)
    docket.add("takes", Rank.TAKES, T0 + SECOND, T0 + SECOND)
    assert docket.take(T0 + SECOND, 9) == ["takes", "adds", "first", "round"]
    docket.add("adds", Rank.ADDS, T0 + 10 * SECOND)
    late = T0 + 10 * SECOND + PATIENCE[Rank.ADDS]
    docket.add("takes", Rank.TAKES, late - 1)
    docket.add("later", Rank.TAKES, late + 1)
    assert docket.take(late + 1, 9) == ["takes", "adds", "later"]


def test_one_reason_more_never_makes_it_wait_longer(docket: Docket) -> None:
    docket.add("a", Rank.ROUND, T0)
    docket.add("b", Rank.ADDS, T0, T0)
    docket.add("a", Rank.TAKES, T0, T0)
    docket.add("a", Rank.ROUND, T0)
    assert docket.take(T0, 1) == ["a"]


def test_a_limit_that_is_replaced_does_not_pass(docket: Docket) -> None:
    docket.sleeps("a", T0 + SECOND)
    docket.sleeps("a", T0 + 2 * SECOND)
    docket.sleeps("b", T0 + SECOND)
    docket.sleeps("b", None)
    assert docket.take(T0 + SECOND, 9) == []
    assert docket.next_at(T0 + SECOND) == T0 + 2 * SECOND
    assert docket.take(T0 + 2 * SECOND, 9) == ["a"]


def test_who_is_judged_no_more_neither_waits_nor_enters_again(docket: Docket) -> None:
    docket.add("a", Rank.TAKES, T0, T0)
    docket.add("b", Rank.TAKES, T0, T0)
    docket.sleeps("a", T0 + SECOND)
    docket.keep({"b"})
    assert docket.take(T0 + SECOND, 9) == ["b"]
    assert docket.rest(SECOND, 1) == LONGEST_REST


def test_a_doubt_is_told_once_and_again_when_it_comes_again(docket: Docket) -> None:
    docket.add("a", Rank.ADDS, T0, T0)
    docket.add("b", Rank.ADDS, T0 + 4 * SECOND, T0 + 4 * SECOND)
    at = T0 + ALLOWED + 1
    assert docket.vouch(at, at) == (T0 + 4 * SECOND, {"a": T0})
    assert docket.vouch(at, at).doubted == {}
    assert set(docket.take(at, 9)) == {"a", "b"}
    assert docket.vouch(at, at) == (at, {})
    docket.add("a", Rank.ADDS, at, at)
    assert docket.vouch(at + ALLOWED + 1, at + ALLOWED + 1).doubted == {"a": at}


@given(st.integers(1, 6_000), st.integers(0, 6_000), st.integers(500, 30_000))
def test_rests_leave_others_a_third_at_least_and_the_bounds_hold_with_them_where_they_can(
    additive: int, taking: int, cost: Micros
) -> None:
    docket = Docket()
    for n in range(additive):
        docket.add(f"adds-{n}", Rank.ADDS, T0)
    for n in range(taking):
        docket.add(f"takes-{n}", Rank.TAKES, T0)
    rest = docket.rest(20 * cost, 20)
    assert rest >= min(LONGEST_REST, 10 * cost - 1)
    share, changed = 1 + rest / (20 * cost), additive + taking
    assert share <= 4
    if changed * cost * 1.5 <= FINISH:
        assert changed * cost * share <= FINISH + SECOND
    if changed * cost * 1.5 <= PRESSING:
        assert changed * cost * share <= PRESSING + SECOND
    if taking * cost * 1.5 <= PRESSING:
        assert taking * cost * share <= PRESSING + SECOND


def test_the_docket_does_not_grow_with_the_number_of_changes(docket: Docket) -> None:
    for n in range(20_000):
        docket.add(f"inst-{n % 7}", Rank(n % 4), T0 + n, T0 + n)
        docket.sleeps(f"inst-{n % 5}", T0 + SECOND + n)
        if n % 3 == 0:
            docket.take(T0 + n, 1)
    assert sum(len(held) for held in vars(docket).values() if isinstance(held, list | dict | set)) < 1_000


def test_what_was_committed_at_a_look_is_known_once_every_transaction_from_before_it_was_read() -> None:
    horizon = Horizon(T0)
    horizon.looked(T0 + SECOND, began=10, read=7)  # 7, 8 and 9 may still commit
    assert horizon.upto == T0
    horizon.looked(T0 + 2 * SECOND, began=14, read=9)
    assert horizon.upto == T0
    horizon.looked(T0 + 3 * SECOND, began=20, read=13)
    assert horizon.upto == T0 + SECOND
    horizon.looked(T0 + 4 * SECOND, began=20, read=20)
    assert horizon.upto == T0 + 4 * SECOND


def test_a_transaction_that_never_ends_neither_moves_the_horizon_nor_fills_the_memory() -> None:
    horizon = Horizon(T0)
    for n in range(20_000):
        horizon.looked(T0 + n * SECOND, began=100 + n, read=50)
    assert horizon.upto == T0
    assert len(horizon._looks) <= Horizon.MOST
    horizon.looked(T0 + 20_000 * SECOND, began=30_000, read=30_000)
    assert T0 + 4_000 * SECOND < horizon.upto <= T0 + 20_000 * SECOND
