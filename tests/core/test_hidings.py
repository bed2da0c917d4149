"""What hides an alarm from paging, what it was found to be, and its closing."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import hidings
from hub.core.alarms import (
    UNACKNOWLEDGED,
    Alarm,
    AlarmEvent,
    AlarmState,
    Disposition,
    Hiding,
    Transition,
    is_paged,
    starts_escalation,
    step,
    stops_escalation,
    why_quiet,
)
from hub.core.hidings import LONGEST_SHELVING
from hub.errors import BadInput, Conflict
from hub.model import LIFE_SAFETY, SECOND, Priority, SignalClass

T0 = 1_795_000_000 * SECOND
HOUR = 3600 * SECOND
ROOT = UUID("11111111-2222-5333-8444-555555555555")
E, S = AlarmEvent, AlarmState


def alarm(signal_class: SignalClass = SignalClass.FAULT, state: AlarmState = S.UNACK_ACTIVE, **changes: Any) -> Alarm:
    made = Alarm(
        id=ROOT,
        device="d-1",
        definition="a",
        instance="",
        signal_class=signal_class,
        priority=Priority.CRITICAL if signal_class in LIFE_SAFETY else Priority.HIGH,
        latching=False,
        state=state,
        raised_at=T0,
        received_at=T0,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        ended_at=T0 if state is S.NORMAL else None,
        occurrences=1,
        late=False,
        version=3,
    )
    return made._replace(**changes)


FIRE = alarm(SignalClass.FIRE)


@pytest.mark.parametrize("state", list(AlarmState))
@pytest.mark.parametrize("signal_class", [SignalClass.FIRE, SignalClass.PANIC, SignalClass.FAULT])
def test_what_is_paged_is_what_somebody_must_still_hear_of(state: AlarmState, signal_class: SignalClass) -> None:
    one = alarm(signal_class, state)
    cleared_alone = state is S.UNACK_CLEARED and signal_class not in LIFE_SAFETY
    assert is_paged(one, T0) is (state in UNACKNOWLEDGED and not cleared_alone)
    assert stops_escalation(one, T0) is not is_paged(one, T0)
    assert not is_paged(one._replace(priority=Priority.JOURNAL), T0)


HIDDEN: dict[Hiding, dict[str, Any]] = {
    Hiding.SHELVED: {"shelved_until": T0 + 1, "shelved_by": "duty", "shelve_reason": "x"},
    Hiding.SUPPRESSED: {"suppressed_by": ROOT, "suppress_reason": "x"},
    Hiding.MAINTENANCE: {"maintenance": "m-1", "held_until": T0 + 1},
    Hiding.LATE: {"held_until": T0 + 1},
    Hiding.OUT_OF_SERVICE: {"out_of_service": True},
    Hiding.STALE: {"stale": True},
}


@pytest.mark.parametrize("hiding", list(Hiding))
def test_any_hiding_alone_keeps_an_alarm_from_being_paged(hiding: Hiding) -> None:
    hidden = alarm(**HIDDEN[hiding])
    assert not is_paged(hidden, T0)
    assert why_quiet(hidden, Transition(ROOT, 4, E.RAISE, S.NORMAL, S.UNACK_ACTIVE, T0, "", ""), T0) == hiding


def test_a_hiding_with_an_end_is_over_when_its_time_is_whether_or_not_anybody_has_noted_it() -> None:
    for hiding in (Hiding.SHELVED, Hiding.MAINTENANCE, Hiding.LATE):
        assert is_paged(alarm(**HIDDEN[hiding]), T0 + 1)


def test_an_alarm_that_cleared_by_itself_and_comes_back_is_begun_again() -> None:
    back = Transition(ROOT, 3, E.RAISE, S.UNACK_CLEARED, S.UNACK_ACTIVE, T0, "", "")
    assert starts_escalation(back, alarm(), T0)
    assert not starts_escalation(back._replace(from_state=S.UNACK_ACTIVE), alarm(), T0)
    assert not starts_escalation(back, alarm(**HIDDEN[Hiding.SUPPRESSED]), T0)


def test_paging_begins_when_the_last_hiding_ends_and_not_before() -> None:
    one, _ = hidings.shelve(alarm(), T0, T0 + HOUR, "duty", "being repaired")
    one, _ = hidings.suppress(one, T0, ROOT, "uplink")
    one, row = hidings.unshelve(one, T0 + 1)
    assert not starts_escalation(row, one, T0 + 1)
    one, row = hidings.unsuppress(one, T0 + 2)
    assert starts_escalation(row, one, T0 + 2)


def test_what_was_acknowledged_while_it_was_hidden_is_not_paged_when_the_hiding_ends() -> None:
    one, _ = hidings.hold(alarm(), T0, T0 + HOUR, "m-1")
    one, _ = step(one, E.ACKNOWLEDGE, T0, "duty")
    one, row = hidings.release(one, T0 + HOUR)
    assert not starts_escalation(row, one, T0 + HOUR)


@pytest.mark.parametrize("priority", list(Priority))
def test_the_longest_shelving_depends_on_the_priority(priority: Priority) -> None:
    one, longest = alarm(priority=priority), LONGEST_SHELVING[priority]
    hidings.shelve(one, T0, T0 + longest, "duty", "x")
    for until in (T0 + longest + 1, T0, T0 - 1):
        with pytest.raises(BadInput, match=f"until: a {priority} alarm is shelved for at most"):
            hidings.shelve(one, T0, until, "duty", "x")


def test_the_more_urgent_the_shorter_the_shelving() -> None:
    longest = [LONGEST_SHELVING[priority] for priority in Priority]
    assert longest == sorted(longest)


def test_no_fire_or_panic_is_shelved_by_one_person() -> None:
    for second in (None, "duty"):
        with pytest.raises(BadInput, match="two people"):
            hidings.shelve(FIRE, T0, T0 + HOUR, "duty", "hot works", second)
    shelved, row = hidings.shelve(FIRE, T0, T0 + HOUR, "duty", "hot works", "head")
    assert (shelved.shelved_by, shelved.shelved_with, row.note) == ("duty", "head", "hot works (with head)")


def test_no_fire_or_panic_is_suppressed_or_held() -> None:
    for signal_class in LIFE_SAFETY:
        with pytest.raises(Conflict, match="never"):
            hidings.suppress(alarm(signal_class), T0, ROOT, "uplink")
        with pytest.raises(Conflict, match="never"):
            hidings.hold(alarm(signal_class), T0, T0 + HOUR, "m-1")


def test_a_shelving_without_a_reason_is_refused() -> None:
    with pytest.raises(BadInput, match="say why"):
        hidings.shelve(alarm(), T0, T0 + HOUR, "duty", "  ")


def test_an_alarm_is_closed_only_after_it_was_acknowledged_has_cleared_and_was_given_a_disposition() -> None:
    for state in AlarmState:
        if state is not S.NORMAL:
            with pytest.raises(Conflict, match="acknowledged and has cleared"):
                hidings.close(alarm(state=state, disposition=Disposition.TRUE), T0, "duty", "")
    ended = alarm(state=S.NORMAL)
    with pytest.raises(Conflict, match="disposition"):
        hidings.close(ended, T0, "duty", "")
    found, _ = hidings.dispose(ended, T0, Disposition.FALSE, "duty", "steam")
    found, row = hidings.dispose(found, T0 + 1, Disposition.NUISANCE, "head", "")
    closed, _ = hidings.close(found, T0 + 2, "duty", "")
    assert (closed.disposition, closed.disposition_by, closed.closed_by) == (Disposition.NUISANCE, "head", "duty")
    assert row.note == "nuisance"
    with pytest.raises(Conflict, match="closed"):
        hidings.close(closed, T0 + 3, "duty", "")
    with pytest.raises(Conflict, match="closed"):
        hidings.dispose(closed, T0 + 3, Disposition.TRUE, "duty", "")
    assert hidings.note(closed, T0 + 4, "duty", "the window was replaced")[0].version == closed.version + 1


def test_what_has_ended_is_not_hidden_and_what_is_not_hidden_is_not_shown_again() -> None:
    ended = alarm(state=S.NORMAL)
    deeds: list[Callable[[Alarm], tuple[Alarm, Transition]]] = [
        lambda one: hidings.shelve(one, T0, T0 + HOUR, "duty", "x"),
        lambda one: hidings.suppress(one, T0, ROOT, "x"),
        lambda one: hidings.hold(one, T0, T0 + HOUR, None),
        lambda one: hidings.remove_from_service(one, T0),
    ]
    for deed in deeds:
        with pytest.raises(Conflict, match="ended"):
            deed(ended)
    for undo in (hidings.unshelve, hidings.unsuppress, hidings.release, hidings.return_to_service):
        with pytest.raises(Conflict):
            undo(alarm(), T0)


def test_a_late_alarm_that_was_over_before_anybody_could_be_told_is_not_paged_and_one_that_comes_again_is() -> None:
    one, _ = step(alarm(state=S.NORMAL, ended_at=None, latching=True, late=True), E.RAISE, T0)
    one, _ = hidings.hold(one, T0, T0 + HOUR, None)
    one, _ = step(one, E.CLEAR, T0 + 1)
    one, row = hidings.release(one, T0 + 2)
    assert one.state is S.LATCHED_UNACK
    assert not starts_escalation(row, one, T0 + 2)
    one, row = step(one, E.RAISE, T0 + 3)
    assert starts_escalation(row, one, T0 + 3)


@given(st.data())
def test_every_step_raises_the_version_by_one_and_only_table_events_move_the_state(data: st.DataObject) -> None:
    one = alarm(latching=data.draw(st.booleans()))
    deeds: list[Callable[[Alarm, int], tuple[Alarm, Transition]]] = [
        lambda a, at: step(a, E.RAISE, at),
        lambda a, at: step(a, E.CLEAR, at),
        lambda a, at: step(a, E.ACKNOWLEDGE, at, "duty"),
        lambda a, at: step(a, E.RESET, at, "duty"),
        lambda a, at: hidings.shelve(a, at, at + HOUR, "duty", "x", "head"),
        lambda a, at: hidings.unshelve(a, at),
        lambda a, at: hidings.suppress(a, at, ROOT, "x"),
        lambda a, at: hidings.unsuppress(a, at),
        lambda a, at: hidings.hold(a, at, at + HOUR, "m-1"),
        lambda a, at: hidings.release(a, at),
        lambda a, at: hidings.remove_from_service(a, at),
        lambda a, at: hidings.return_to_service(a, at),
        lambda a, at: hidings.dispose(a, at, Disposition.TRUE, "duty", ""),
        lambda a, at: hidings.close(a, at, "duty", ""),
        lambda a, at: hidings.note(a, at, "duty", "x"),
    ]
    for n in range(data.draw(st.integers(0, 30))):
        try:
            moved, row = data.draw(st.sampled_from(deeds))(one, T0 + n)
        except Conflict:
            continue
        assert row.n == moved.version == one.version + 1
        assert row.event in ("raise", "clear", "acknowledge", "reset") or moved.state is one.state
        assert (moved.closed_at is None) or (moved.ended_at is not None and moved.disposition is not None)
        if starts_escalation(row, moved, T0 + n):
            assert is_paged(moved, T0 + n)
        if not is_paged(one, T0 + n) and is_paged(moved, T0 + n):  # nobody falls silently between two steps
            assert starts_escalation(row, moved, T0 + n), row
        one = moved
