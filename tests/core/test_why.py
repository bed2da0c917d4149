"""Every state has a reason, and the reason for a past moment never changes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.alarms import AlarmEvent, AlarmState
from hub.core.why import Edited, Followed, Moved, Planned, Story, Told, Waiting, explain
from hub.model import Exercise, Micros, Priority, SignalClass

SECOND = 1_000_000
T0: Micros = 1_795_000_000 * SECOND


def moved(event: str, to_state: str, after: int = 0, actor: str = "", note: str = "") -> Moved:
    return Moved(event, to_state, T0 + after * SECOND, actor, note)


RAISED = moved("raise", "unack_active")
STEP = Planned(0, 1, "duty-room", T0, T0 + SECOND, "")
DELIVERED = Told("duty-room", "phone", "page", T0 + 2 * SECOND, "delivered", "", None)


def story(**changes: Any) -> Story:
    plain = Story(
        signal_class=SignalClass.INTRUSION,
        priority=Priority.HIGH,
        exercise=None,
        raised_at=T0,
        received_at=T0,
        late=False,
        stale=False,
        root="",
        condition=("门开着", "the door is open"),
        seen=(T0, "open"),
        history=[RAISED],
        escalation="running",
        begun_at=T0,
        ended_at=None,
        policy="night",
        reason="",
        steps=[STEP],
        attempts=[DELIVERED],
        waiting=[],
    )
    return plain._replace(**changes)


def why(told: Story, after: int = 10) -> str:
    return explain(told, T0 + after * SECOND).conclusion.kind


def test_before_it_happened_there_was_nothing_and_before_it_was_received_nobody_could_know() -> None:
    assert why(story(), -1) == "not_raised"
    assert why(story(raised_at=T0 - 60 * SECOND), -1) == "not_received"


def test_somebody_was_told_and_by_whom_it_is_known() -> None:
    found = explain(story(), T0 + 10 * SECOND)
    assert (found.conclusion.kind, found.paged, found.state) == ("told", True, "unack_active")
    assert "duty-room" in found.conclusion.en
    assert [fact.kind for fact in found.facts] == ["definition", "seen", "raise", "policy", "step", "attempt"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [("shelve", "shelved"), ("suppress", "suppressed"), ("hold", "held"), ("remove_from_service", "out_of_service")],
)
def test_nobody_was_told_because_it_was_hidden_and_by_whom_and_why(event: str, kind: str) -> None:
    hidden = moved(event, "unack_active", 1, "li", "works on the roof")
    assert AlarmEvent(event)
    told = story(history=[RAISED, hidden], steps=[], attempts=[], escalation="stopped", ended_at=T0 + SECOND)
    found = explain(told, T0 + 5 * SECOND)
    assert found.conclusion.kind == kind
    assert "works on the roof" in found.conclusion.zh
    assert "li" in found.conclusion.en
    assert not found.paged
    assert why(told._replace(history=[*told.history, moved("unshelve", "unack_active", 6)]), 7) == (
        "stopped" if event == "shelve" else kind
    )


def test_a_message_that_did_not_arrive_counts_as_nobody_told_from_when_that_was_known_on() -> None:
    lost = DELIVERED._replace(
        receipt="not_arrived", receipt_at=T0 + 30 * SECOND, receipt_detail="nobody answered the call"
    )
    told = story(attempts=[lost], steps=[STEP._replace(unreached_at=T0 + 30 * SECOND)])
    before, after = explain(told, T0 + 29 * SECOND), explain(told, T0 + 30 * SECOND)
    assert (before.conclusion.kind, before.paged) == ("told", True)
    assert (after.conclusion.kind, after.paged) == ("not_delivered", False)
    assert "nobody answered the call" in after.conclusion.en
    assert [fact.kind for fact in before.facts][-1] == "attempt"
    assert sorted(fact.kind for fact in after.facts)[-2:] == ["step", "unreached"]
    assert "counts as not reached" in next(fact.en for fact in after.facts if fact.kind == "receipt")


def test_who_was_reached_by_another_way_was_told_all_the_same() -> None:
    lost = DELIVERED._replace(channel="sms", receipt="not_arrived", receipt_at=T0 + 3 * SECOND)
    found = explain(story(attempts=[lost, DELIVERED]), T0 + 10 * SECOND)
    assert (found.conclusion.kind, found.paged) == ("told", True)
    arrived = DELIVERED._replace(
        receipt="arrived", receipt_at=T0 + 9 * SECOND, receipt_detail="answered, key 1 was pressed"
    )
    found = explain(story(attempts=[arrived]), T0 + 10 * SECOND)
    assert (found.conclusion.kind, found.paged) == ("told", True)
    assert found.facts[-1].en == "duty-room by phone: the provider says that it arrived (answered, key 1 was pressed)"


def test_the_root_is_named() -> None:
    told = story(history=[RAISED, moved("suppress", "unack_active", 1)], root="联通 carrier outage", attempts=[])
    assert "联通 carrier outage" in explain(told, T0 + 5 * SECOND).conclusion.zh


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"priority": Priority.JOURNAL, "attempts": [], "escalation": "", "begun_at": None}, "journal"),
        ({"stale": True, "attempts": []}, "stale"),
        ({"escalation": "uncovered", "policy": "", "attempts": [], "steps": []}, "uncovered"),
        ({"escalation": "", "begun_at": None, "attempts": [], "steps": []}, "waiting"),
        ({"attempts": [DELIVERED._replace(outcome="failed", detail="connection refused")]}, "not_delivered"),
        ({"attempts": [], "steps": [STEP._replace(fault="nobody is on duty")]}, "nobody"),
        ({"attempts": [], "steps": [STEP._replace(due_at=T0 + 60 * SECOND, ended_at=None)]}, "not_due"),
        ({"attempts": [], "steps": [STEP._replace(ended_at=None)]}, "sending"),
        ({"attempts": [], "steps": [], "escalation": "exhausted", "ended_at": T0 + SECOND}, "exhausted"),
        ({"history": [RAISED, moved("clear", "unack_cleared", 1)]}, "cleared"),
        ({"history": [RAISED, moved("acknowledge", "ack_active", 1, "wang")]}, "owned"),
        ({"history": [RAISED, moved("acknowledge", "ack_active", 1, "wang"), moved("clear", "normal", 2)]}, "ended"),
    ],
)
def test_each_reason_has_its_case(changes: dict[str, Any], kind: str) -> None:
    assert why(story(**changes)) == kind


def test_a_fire_that_cleared_by_itself_still_has_somebody_told() -> None:
    told = story(signal_class=SignalClass.FIRE, history=[RAISED, moved("clear", "unack_cleared", 1)])
    assert why(told) == "told"


TIMES = st.integers(-5, 60).map(lambda after: T0 + after * SECOND)
STORIES = st.builds(
    Story,
    signal_class=st.sampled_from(SignalClass),
    priority=st.sampled_from(Priority),
    exercise=st.none() | st.sampled_from(Exercise),
    raised_at=TIMES,
    received_at=TIMES,
    late=st.booleans(),
    stale=st.booleans(),
    root=st.sampled_from(["", "root"]),
    condition=st.sampled_from([("", ""), ("火", "fire")]),
    seen=st.none() | st.tuples(TIMES, st.text(max_size=3)),
    history=st.lists(
        st.builds(Moved, st.sampled_from(AlarmEvent), st.sampled_from(AlarmState), TIMES, st.sampled_from(["", "li"]), st.text(max_size=3)),
        max_size=8,
    ).map(lambda rows: sorted(rows, key=lambda row: row.at)),
    escalation=st.sampled_from(["", "running", "stopped", "exhausted", "uncovered"]),
    begun_at=st.none() | TIMES,
    ended_at=st.none() | TIMES,
    policy=st.sampled_from(["", "night"]),
    reason=st.text(max_size=3),
    steps=st.lists(st.builds(Planned, st.integers(0, 2), st.integers(1, 3), st.just("duty"), TIMES, st.none() | TIMES, st.sampled_from(["", "gap"])), max_size=4),
    attempts=st.lists(st.builds(Told, st.just("duty"), st.just("phone"), st.just("page"), TIMES, st.sampled_from(["delivered", "failed", "sending", "odd"]), st.just(""), st.none()), max_size=4),
    waiting=st.lists(st.builds(Waiting, st.just("duty"), st.just("phone"), TIMES, st.none() | TIMES, st.sampled_from(["pending", "cancelled", "failed"]), st.just("")), max_size=3),
)  # fmt: skip


@given(STORIES, TIMES)
def test_there_is_always_a_reason_in_both_languages_and_only_of_what_had_happened(told: Story, at: Micros) -> None:
    found = explain(told, at)
    assert found.conclusion.zh
    assert found.conclusion.en
    assert found == explain(told, at)
    assert all(fact.at is None or fact.at <= at for fact in found.facts)


@given(STORIES, TIMES)
def test_what_happens_later_changes_no_fact_of_before(told: Story, at: Micros) -> None:
    known = told._replace(
        history=[row for row in told.history if row.at <= at],
        attempts=[row for row in told.attempts if row.at <= at],
    )
    assert explain(known, at) == explain(told, at)


def test_a_policy_that_was_changed_in_the_middle_of_a_chain_is_told_with_what_the_chain_followed() -> None:
    changed = story(
        policy="night",
        version=2,
        course=[Followed(T0, 1, "night", 1), Followed(T0 + 60 * SECOND, 2, "night", 2)],
        edits=[Edited(T0 + 30 * SECOND, "policy", "night", "wang", 2)],
    )
    whole = [fact.en for fact in explain(changed, T0 + 90 * SECOND).facts]
    assert "escalated by policy night (version 1)" in whole
    assert "by policy night (version 2) from round 2 on" in whole
    assert any(line.startswith("wang changed policy night: a round that has begun goes on") for line in whole)
    before = [fact.en for fact in explain(changed, T0 + 20 * SECOND).facts]
    assert "escalated by policy night (version 1)" in before
    assert not any("version 2" in line or "wang" in line for line in before), "the past knows nothing of it"


def test_a_step_for_a_duty_post_says_who_had_it_then() -> None:
    step = STEP._replace(target="post", rota=True, on_duty=("ada", "bo"))
    told = explain(story(steps=[step]), T0 + 10 * SECOND)
    assert "step 1: post, on duty then: ada, bo" in [fact.en for fact in told.facts]
    assert "第 1 步：post，当时当班：ada、bo" in [fact.zh for fact in told.facts]
