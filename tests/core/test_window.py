"""The window against a hub written down as the protocol says it, with messages and confirmations lost at will."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.backoff import DENIED, LONGEST, SHORTEST, Backoff
from hub.core.window import FIRST_SILENCE, FORGOTTEN, LIMIT, PATIENCE, SILENCE, Verdict, Window


def sent(window: Window, upto: int, now: float = 0.0) -> Window:
    for seq in range(window.sent + 1, upto + 1):
        assert window.take(seq, now)
    return window


def test_at_most_a_hundred_messages_are_under_way() -> None:
    window = sent(Window(0, 0.0), LIMIT)
    assert window.room == 0
    assert not window.take(LIMIT + 1, 0.0)
    assert window.confirm(1, 200, 0.0) is Verdict.PROGRESS
    assert window.take(LIMIT + 1, 0.0)


def test_only_the_next_number_is_taken() -> None:
    window = Window(5, 0.0)
    assert not window.take(5, 0.0)
    assert not window.take(7, 0.0)
    assert window.take(6, 0.0)


def test_a_confirmation_is_cumulative() -> None:
    window = sent(Window(0, 0.0), 10)
    assert window.confirm(7, 10, 1.0) is Verdict.PROGRESS
    assert (window.confirmed, window.sent) == (7, 10)


def test_a_hub_that_was_ahead_of_us_is_believed() -> None:
    window = sent(Window(0, 0.0), 1)
    assert window.confirm(60, 100, 0.0) is Verdict.PROGRESS
    assert (window.confirmed, window.sent) == (60, 60)


def test_the_same_confirmation_again_means_going_back_once_patience_is_over() -> None:
    window = sent(Window(0, 0.0), 10)
    window.confirm(4, 10, 1.0)
    assert window.confirm(4, 10, 1.0 + PATIENCE / 2) is Verdict.NOTHING
    assert window.confirm(4, 10, 1.0 + PATIENCE) is Verdict.BACK
    assert window.sent == 4


def test_each_repetition_without_progress_doubles_the_patience_and_progress_restores_it() -> None:
    window, now, waits = sent(Window(0, 0.0), 2), 0.0, []
    for _ in range(6):
        before = now
        while window.confirm(0, 2, now) is not Verdict.BACK:
            now += 0.25
        waits.append(now - before)
        sent(window, 2, now)
    assert waits == [1, 2, 4, 8, SILENCE, SILENCE]
    assert window.confirm(1, 2, now) is Verdict.PROGRESS
    assert window.patience == PATIENCE


def test_nothing_under_way_is_never_repeated() -> None:
    window = Window(5, 0.0)
    assert window.confirm(5, 5, 100.0) is Verdict.NOTHING
    assert window.confirm(3, 5, 100.0) is Verdict.NOTHING
    assert not window.expire(100.0)
    assert window.wait(100.0) is None


def test_silence_means_sending_again_from_the_lowest_unconfirmed() -> None:
    window = sent(Window(5, 0.0), 8)
    assert window.wait(0.5) == FIRST_SILENCE - 0.5
    assert not window.expire(FIRST_SILENCE - 0.1)
    assert window.expire(FIRST_SILENCE)
    assert window.sent == 5


def test_silence_is_waited_for_longer_each_time_until_something_moves() -> None:
    window, now, waits = Window(0, 0.0), 0.0, []
    for _ in range(5):
        sent(window, 1, now)
        wait = window.wait(now)
        assert wait is not None
        now += wait
        assert window.expire(now)
        waits.append(wait)
    assert waits == [2, 4, 8, SILENCE, SILENCE]
    window.confirm(1, 2, now)
    assert window.take(2, now)
    assert window.wait(now) == FIRST_SILENCE


def test_a_hub_that_has_forgotten_a_stream_makes_it_begin_anew() -> None:
    window, now = sent(Window(50, 0.0), 51), 0.0
    verdicts = []
    for _ in range(FORGOTTEN):
        now += SILENCE
        verdicts.append(window.confirm(0, 51, now))
        if window.sent == 50:
            sent(window, 51, now)
    assert verdicts == [Verdict.BACK] * (FORGOTTEN - 1) + [Verdict.ANEW]


def test_a_single_stale_confirmation_does_not() -> None:
    window = sent(Window(50, 0.0), 51)
    assert window.confirm(0, 51, 0.1) is Verdict.NOTHING
    assert window.confirm(51, 51, 0.2) is Verdict.PROGRESS
    assert window.forgotten == 0


def test_a_confirmation_of_numbers_never_given_makes_the_stream_begin_anew() -> None:
    assert sent(Window(0, 0.0), 1).confirm(2, 1, 0.0) is Verdict.ANEW


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 150))
def test_whatever_is_lost_on_the_way_all_arrives_in_order_and_once(loss: float, seed: int, count: int) -> None:
    chance = random.Random(seed)
    window, now, upto, stored, quiet = Window(0, 0.0), 0.0, 0, [], 0
    while window.confirmed < count:
        quiet += 1
        assert quiet < 20_000, "no progress"
        now += 0.05
        window.expire(now)
        answers = []
        for seq in range(window.sent + 1, min(window.sent + window.room, count) + 1):
            assert window.take(seq, now)
            if chance.random() < loss:
                continue
            if seq == upto + 1:
                upto = seq
                stored.append(seq)
            answers.append(upto)
        for answer in answers:
            if chance.random() >= loss:
                assert window.confirm(answer, count, now) is not Verdict.ANEW
        assert window.confirmed <= upto
    assert stored == list(range(1, count + 1))


@given(st.integers(0, 50), st.floats(0, 1))
def test_a_wait_is_never_above_its_bound_and_never_nothing(failures: int, chance: float) -> None:
    backoff = Backoff(failures=failures)
    assert SHORTEST <= backoff.next(chance) <= min(LONGEST, max(SHORTEST, 2.0**failures))


def test_denied_credentials_wait_longest_and_success_starts_over() -> None:
    backoff = Backoff()
    assert backoff.denied(0.0) >= DENIED / 2 > LONGEST
    backoff.reset()
    assert backoff.next(1.0) == 1.0
