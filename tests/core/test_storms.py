"""Many alarms at once are few messages, and none of the alarms is left out."""

import itertools
from collections import defaultdict
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from hub.core.storms import LONGEST, LOOK_BACK, MOST, RATE_WINDOW, WIDE_WINDOW, WINDOW, Fold, Sent, fold
from hub.model import SECOND, Micros, Priority

NOW: Micros = 1_700_000_000 * SECOND


def test_the_first_alarm_is_paged_at_once_and_the_next_wait_for_one_digest() -> None:
    assert fold([], Priority.MEDIUM, NOW) is None
    first = Sent(NOW, same_group=True)
    assert fold([first], Priority.MEDIUM, NOW + SECOND) == Fold(NOW + WINDOW, wide=False)
    waiting = Sent(NOW + WINDOW, same_group=True)
    assert fold([first, waiting], Priority.MEDIUM, NOW + 30 * SECOND) == Fold(NOW + WINDOW, wide=False)


def test_another_institution_or_priority_does_not_wait() -> None:
    assert fold([Sent(NOW, same_group=False)], Priority.CRITICAL, NOW + SECOND) is None


def test_after_a_quiet_window_an_alarm_is_paged_at_once_again() -> None:
    assert fold([Sent(NOW, same_group=True)], Priority.MEDIUM, NOW + WINDOW) is None


def test_the_pause_doubles_while_the_storm_goes_on_but_not_for_what_is_critical() -> None:
    sent = [Sent(NOW, True), Sent(NOW + WINDOW, True)]
    later = NOW + WINDOW + SECOND
    assert fold(sent, Priority.LOW, later) == Fold(NOW + 3 * WINDOW, wide=False)
    assert fold(sent, Priority.CRITICAL, later) == Fold(NOW + 2 * WINDOW, wide=False)


class Message(NamedTuple):
    at: Micros
    group: int | None
    """None: over all institutions"""
    alarms: list[int]


ALARMS = st.lists(st.tuples(st.integers(0, 90 * SECOND), st.integers(0, 12)), max_size=150)


@given(ALARMS, st.sampled_from([Priority.CRITICAL, Priority.LOW]))
def test_however_many_alarms_come_a_person_gets_few_messages_and_every_alarm_is_in_one(
    gaps: list[tuple[Micros, int]], priority: Priority
) -> None:
    """A naive model of one way to one person: (pause before it, institution) of every alarm."""
    messages: list[Message] = []
    now = NOW
    for number, (gap, group) in enumerate(gaps):
        now += gap
        recent = [one for one in messages if one.at > now - LOOK_BACK]
        found = fold([Sent(one.at, one.group == group) for one in recent], priority, now)
        if found is None:
            messages.append(Message(now, group, [number]))
            continue
        assert found.due_at > now, "what waits has an end ahead"
        assert found.due_at <= now + max(LONGEST, WIDE_WINDOW), "and not a far one"
        scope = None if found.wide else group
        open_ = [one for one in messages if one.at > now and one.group == scope]
        if open_:
            open_[0].alarms.append(number)
        else:
            messages.append(Message(found.due_at, scope, [number]))
    listed = sorted(number for one in messages for number in one.alarms)
    assert listed == list(range(len(gaps)))
    most = MOST + RATE_WINDOW // WIDE_WINDOW + 1
    for one in messages:
        window = [other for other in messages if one.at <= other.at < one.at + RATE_WINDOW]
        assert len(window) <= most, (len(window), most)
    pending: dict[int | None, list[Micros]] = defaultdict(list)
    for one in sorted(messages):
        pending[one.group].append(one.at)
    for times in pending.values():
        assert all(later - earlier >= WINDOW for earlier, later in itertools.pairwise(times))
