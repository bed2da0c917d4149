"""An acknowledgement without the database: it stands as long as any other, and afterwards the chain begins a new round."""

import uuid
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hub.core.alarms import AlarmEvent, AlarmState, open_alarm, step
from hub.core.answers import Answer, lapses_at, taken
from hub.core.escalation import Plan, Step
from hub.core.ownership import DEFAULT_LAPSE
from hub.core.standby import Pursuit, due_rows, renewed, with_done
from hub.model import SECOND
from tests.runtime.city import profiles

NOW = 1_800_000_000 * SECOND
CLICK = profiles()["test-button"].alarms["click"]
ALARM, _ = step(open_alarm("button-1", "click", "", CLICK, NOW, NOW), AlarmEvent.RAISE, NOW)
ANSWER = Answer(ALARM.id, "值班 [duty]", NOW + 5, uuid.UUID(int=1))


def test_it_lapses_as_the_policy_says_or_as_is_usual_for_its_class() -> None:
    assert lapses_at(ANSWER, ALARM, None) == ANSWER.at + DEFAULT_LAPSE
    assert lapses_at(ANSWER, ALARM, 90 * SECOND) == ANSWER.at + 90 * SECOND


def test_the_alarm_is_theirs_and_what_was_taken_before_stays_with_its_owner() -> None:
    mine = taken(ALARM, ANSWER)
    assert (mine.state, mine.acknowledged_by, mine.acknowledged_at) == (AlarmState.ACK_ACTIVE, ANSWER.actor, ANSWER.at)
    assert taken(mine, replace(ANSWER, actor="else")) == mine


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
    st.integers(0, 100),
    st.integers(0, 500),
)
def test_what_goes_on_begins_a_whole_new_round_now_and_repeats_nothing_of_the_old_one(
    drawn: list[tuple[int, int, int]], passed: int, later: int
) -> None:
    steps = tuple(Step(n, "duty", "hook", d * SECOND, e * SECOND, t) for n, (d, e, t) in enumerate(drawn, 1))
    pursuit = Pursuit(ALARM, "all", 1, Plan(600 * SECOND, None, steps), 1, 1, NOW)
    sent = {(row.round, row.step, row.repetition) for row, _ in due_rows(pursuit, NOW + passed * SECOND)}
    for row, _ in due_rows(pursuit, NOW + passed * SECOND):
        pursuit = with_done(pursuit, row)
    at = NOW + (passed + later) * SECOND
    again = renewed(pursuit, at)
    assert all(due >= at for _, due in due_rows(again, at + 600 * SECOND))
    rows = {(row.round, row.step, row.repetition) for row, _ in due_rows(again, at + 600 * SECOND)}
    assert len(rows) == sum(step.repeat_times + 1 for step in steps)
    assert not rows & sent
