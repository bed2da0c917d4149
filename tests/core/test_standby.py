"""The standby's core: nothing unconfirmed is overlooked or judged twice, and what it raises is what the normal path will raise."""

import itertools
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core import intake, wire
from hub.core.alarms import AlarmEvent, open_alarm, step
from hub.core.draft import Draft
from hub.core.escalation import Plan, Step, round_of
from hub.core.intake import take_in
from hub.core.lane import Key, Message, State
from hub.core.standby import (
    Judge,
    Pursuit,
    Window,
    as_known,
    due_rows,
    hastened,
    is_pursued,
    moved_on,
    with_done,
    with_pursued,
)
from hub.model import SECOND, AdminState, Lane, Reading, Sample, Series
from hub.registry import Client, Device, Registry
from tests.runtime.city import profiles

NOW = 1_800_000_000 * SECOND
STREAMS = [f"{uuid.UUID(int=n)}-urgent" for n in range(3)]
BUTTON = profiles()["test-button"]


def device(name: str, key: int = 1) -> Device:
    about = (key, name, "garden", key, BUTTON, Lane.URGENT, AdminState.IN_SERVICE)
    return Device(*about, "edge-1", False, "", "")


REGISTRY = Registry(
    8,
    {"button-1": device("button-1"), "canary-1": device("canary-1", -1)},
    {"edge-1": Client("edge-1", "garden", 0, "edge-1", False)},
)


def message(seq: int, *samples: Sample, stream: str = STREAMS[0]) -> Message:
    return Message("topic", "edge-1", Lane.URGENT, stream, seq, wire.encode_up(samples))


def press(at: int, name: str = "button-1", instance: str = "") -> Sample:
    return Sample(Series(name, "press", instance), at, "1")


# the window ---------------------------------------------------------------------------------------------------------

steps = st.lists(
    st.one_of(
        st.tuples(st.just("up"), st.integers(0, 2), st.integers(1, 12)),
        st.tuples(st.just("down"), st.integers(0, 2), st.integers(0, 12)),
        st.tuples(st.just("look"), st.floats(0, 3), st.just(0)),
        st.tuples(st.just("again"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("seen"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_what_waits_longer_than_the_grace_is_judged_in_order_and_what_is_confirmed_goes_with_the_next_look(
    script: list[Any],
) -> None:
    window, now = Window(), 0.0
    waiting: dict[tuple[int, int], float] = {}
    confirmed: dict[tuple[int, int], float] = {}
    judged: set[tuple[int, int]] = set()
    upto = dict.fromkeys(range(3), 0)
    for what, a, b in script:
        if what == "up":
            window.add(a, message(b, stream=STREAMS[a]), now)
            if b > upto[a]:
                waiting.setdefault((a, b), now)
        elif what == "down":
            moved = window.confirm(STREAMS[a], b, now)
            met = {place for place in waiting if place[0] == a and place[1] <= b and place not in confirmed}
            assert moved == (a if met else None)
            upto[a] = max(upto[a], b)
            waiting = {place: since for place, since in waiting.items() if place not in met & judged}
            confirmed |= dict.fromkeys(met - judged, now)
        elif what == "again":
            window.again(a)
            judged -= {place for place in judged if place[0] == a}
        elif what == "seen":
            gone = {place for place, at in confirmed.items() if at < now}
            assert window.looked(now) == {n for n, _ in gone}
            waiting = {place: since for place, since in waiting.items() if place not in gone}
            confirmed = {place: at for place, at in confirmed.items() if place not in gone}
        else:
            now += a
            fresh = {place for place in waiting if place not in judged}
            late = {place for place in fresh if now - waiting[place] > (2.0 if place in confirmed else 1.0)}
            expected = {n: sorted(seq for m, seq in fresh if m == n) for n in {n for n, _ in late}}
            found = window.overdue(now, 1.0, 2.0)
            assert {n: [one.message.seq for one in some] for n, some in found.items()} == expected
            judged |= {place for place in fresh if place[0] in expected}
            waiting = {place: since for place, since in waiting.items() if place not in judged & confirmed.keys()}
            confirmed = {place: at for place, at in confirmed.items() if place in waiting}
        judged &= waiting.keys()
        assert window.count == len(waiting)
        assert [window.waits(n) for n in range(3)] == [any(m == n for m, _ in waiting) for n in range(3)]


def test_the_window_is_bounded_and_lets_the_oldest_go() -> None:
    window = Window(messages=10)
    for n in range(1, 26):
        window.add(0, message(n), float(n))
    assert (window.count, window.given_up) == (10, 15)
    assert [one.message.seq for one in window.overdue(100.0, 1.0)[0]] == list(range(16, 26))
    big = Window(size=1000)
    for n in range(1, 4):
        big.add(0, message(n)._replace(payload=bytes(600)), float(n))
    assert (big.count, big.given_up) == (1, 2)


# judging ------------------------------------------------------------------------------------------------------------

samples = st.lists(
    st.builds(
        lambda point, instance, at, held: Sample(
            Series("button-1", point, instance), NOW + at, held if point == "pressed" else "1"
        ),
        st.sampled_from(["pressed", "press"]),
        st.sampled_from(["", "2"]),
        st.integers(-5 * SECOND, 0),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(samples, max_size=6), st.lists(samples, min_size=1, max_size=6), st.data())
def test_whatever_came_before_it_raises_exactly_what_the_normal_path_will_raise(
    before: list[list[Sample]], after: list[list[Sample]], data: st.DataObject
) -> None:
    state = State()
    for seq, some in enumerate(before, 1):
        draft = take_in(state, REGISTRY, [message(seq, *some)], NOW, frozenset())
        draft.settle()
    waiting = [message(seq, *some) for seq, some in enumerate(after, len(before) + 1)]
    cuts = data.draw(st.lists(st.integers(0, len(waiting)), max_size=3).map(sorted))
    judge, found = Judge(state, REGISTRY), []
    for since, until in zip([0, *cuts], [*cuts, len(waiting)], strict=True):
        resent = waiting[: since + 1]  # what is sent again is judged once
        found += judge.take([*resent, *waiting[since:until]], NOW + SECOND)
    normal: dict[uuid.UUID, None] = {}
    for one in waiting:
        draft = take_in(state, REGISTRY, [one], NOW + 2 * SECOND, frozenset())
        normal |= {id_: None for id_ in draft.begin if id_ not in draft.stop}
        draft.settle()
    assert len(found) == len(normal)
    assert {alarm.id for alarm in found} == set(normal)


CLIENTS = {f"edge-{n}": f"button-{n}" for n in (1, 2, 3)}
CITY = Registry(
    8,
    {name: replace(device(name, n), client=client) for n, (client, name) in enumerate(CLIENTS.items(), 1)},
    {client: Client(client, "garden", 0, client, False) for client in CLIENTS},
)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(CLIENTS)), samples), max_size=12),
    st.lists(st.integers(0, 12), max_size=3).map(sorted),
    st.sampled_from([None, *CLIENTS.values()]),
)
def test_what_is_sifted_raises_exactly_what_all_of_it_raises(
    said: list[tuple[str, list[Sample]]], cuts: list[int], standing: str | None
) -> None:
    """Messages that say that all is well are left out, and nothing changes by that: no alarm, no time, no occurrence."""
    state = State()
    if standing is not None:
        normal = open_alarm(standing, "panic", "", BUTTON.alarms["panic"], NOW - SECOND, NOW)
        stands, _ = step(normal, AlarmEvent.RAISE, NOW - SECOND)
        state.alarms = {Key(standing, "panic", ""): stands}
    seqs = dict.fromkeys(CLIENTS, 0)
    messages: list[Message] = []
    for client, some in said:
        seqs[client] += 1
        own = [one._replace(series=one.series._replace(device=CLIENTS[client])) for one in some]
        stream = STREAMS[sorted(CLIENTS).index(client)]
        messages.append(message(seqs[client], *own, stream=stream)._replace(client=client))
    whole, sifted, window = Judge(state, CITY), Judge(state, CITY), Window()
    judged = 0
    for since, until in itertools.pairwise([0, *cuts, len(messages)]):
        for one in messages[since:until]:
            window.add(0, one, 0.0)
        for again in (False, True):  # what is judged anew is the same
            if again:
                window.again(0)
            waiting = window.overdue(9.0, 1.0).get(0, [])
            found = sifted.sift(waiting, window)
            judged += len(found)
            raised = sifted.take([one.message for one in found], NOW + SECOND)
            expected = whole.take([one.message for one in waiting], NOW + SECOND)
            assert sorted(raised) == sorted(expected)
            assert sifted.raised == whole.raised
    loud = {one.client for one in messages if not sifted.is_quiet(one)} | {c for c in CLIENTS if CLIENTS[c] == standing}
    assert (judged == 0) == (not any(one.client in loud for one in messages))


@given(samples, st.integers(0, 3600))
def test_what_is_quiet_raises_nothing_however_long_it_waits(some: list[Sample], later: int) -> None:
    judge, one = Judge(State(), REGISTRY), message(1, *some)
    if judge.is_quiet(one):
        assert judge.take([one], NOW) == []
        assert judge.take([], NOW + later * SECOND) == []
    else:  # and what is not is a press, or holds
        assert any(sample.series.point == "press" or sample.raw is True for sample in some)


def test_what_was_committed_before_the_outage_raises_nothing_when_it_is_sent_again() -> None:
    state = State()
    first = message(1, press(NOW))
    take_in(state, REGISTRY, [first], NOW, frozenset()).settle()
    assert Judge(state, REGISTRY).take([first], NOW) == []


def test_a_press_behind_a_gap_is_paged_and_a_canary_is_not() -> None:
    judge = Judge(State(), REGISTRY)
    (found,) = judge.take([message(7, press(NOW), press(NOW, "canary-1"))], NOW)
    assert (found.device, found.definition) == ("button-1", "click")
    assert is_pursued(found, NOW)


def test_garbage_and_strangers_raise_nothing_and_hinder_nothing() -> None:
    judge = Judge(State(), REGISTRY)
    bad = message(1)._replace(payload=b"\xff{")
    stranger = message(2, press(NOW, "nobody"), Sample(Series("button-1", "nothing"), NOW, 1))
    (found,) = judge.take([bad, stranger, message(3, press(NOW))], NOW)
    assert found.device == "button-1"


def test_a_persons_act_that_the_lane_has_not_seen_counts() -> None:
    definition = BUTTON.alarms["click"]
    opened, _ = step(open_alarm("button-1", "click", "", definition, NOW, NOW), AlarmEvent.RAISE, NOW)
    taken, _ = step(opened, AlarmEvent.ACKNOWLEDGE, NOW, "somebody")
    key = Key("button-1", "click", "")
    lane = State(alarms={key: opened})
    assert as_known(lane, [taken], NOW + 1, {opened.id}).alarms == {key: taken}
    assert as_known(lane, [], NOW + 1, {opened.id}).alarms == {}  # ended by a person
    assert as_known(lane, [], NOW, set()).alarms == {key: opened}  # raised since that look
    assert as_known(lane, [], NOW + 300 * SECOND, set()).alarms == {}  # begun and ended between two looks
    assert as_known(State(alarms={key: taken}), [opened], NOW + 1, {opened.id}).alarms == {key: taken}
    assert lane.alarms == {key: opened}


def test_a_further_press_while_the_first_one_is_being_committed_is_no_second_alarm() -> None:
    """A commit that takes longer than from one look to the next: the look came after the receipt and before the commit."""
    first, second = message(1, press(NOW)), message(2, press(NOW + SECOND))
    state = State()
    take_in(state, REGISTRY, [first], NOW, frozenset()).settle()
    (alarm,) = state.alarms.values()
    known = as_known(state, [], NOW + 2 * SECOND, set())
    assert {one.id for one in Judge(known, REGISTRY).take([second], NOW + 3 * SECOND)} <= {alarm.id}
    ended = as_known(state, [], NOW + 2 * SECOND, {alarm.id})  # an earlier look has shown it: a person has ended it
    assert [one.id != alarm.id for one in Judge(ended, REGISTRY).take([second], NOW + 3 * SECOND)] == [True]


def test_a_further_press_of_what_is_paged_from_here_is_no_second_alarm_whatever_was_confirmed_meanwhile() -> None:
    first, second = message(1, press(NOW)), message(2, press(NOW + SECOND))
    (alarm,) = Judge(State(), REGISTRY).take([first], NOW + SECOND)
    # the first is confirmed and gone; neither lane nor look know its alarm yet
    judge = Judge(with_pursued(State(), [alarm]), REGISTRY)
    assert {one.id for one in judge.take([second], NOW + 2 * SECOND)} <= {alarm.id}
    other = alarm._replace(id=uuid.UUID(int=7))
    key = Key("button-1", "click", "")
    assert with_pursued(State(alarms={key: other}), [alarm]).alarms == {key: other}  # what is committed counts


# pursuing -----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
    st.integers(1, 30),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_steps_and_rounds_go_out_when_due_each_once_as_the_escalation_would_send_them(
    drawn: list[tuple[int, int, int]], more: int, most: int | None
) -> None:
    planned = tuple(
        Step(n, "duty", "hook", delay * SECOND, every * SECOND, times)
        for n, (delay, every, times) in enumerate(drawn, 1)
    )
    plan = Plan(max(one.last_offset for one in planned) + more * SECOND, most, planned)
    alarm = open_alarm("button-1", "click", "", BUTTON.alarms["click"], NOW, NOW)
    pursuit = Pursuit(alarm, "all", 1, plan, 1, 1, NOW)
    sent: list[tuple[int, int, int, int]] = []
    for second in range(3 * plan.round_every // SECOND):
        now = NOW + second * SECOND
        for row, at in due_rows(pursuit, now):
            assert at == now
            sent.append((row.round, row.step, row.repetition, at))
            pursuit = with_done(pursuit, row)
        pursuit = moved_on(pursuit, now)
    expected = [
        (row.round, row.step, row.repetition, NOW + (number - 1) * plan.round_every + row.offset)
        for number in range(1, 4)
        if most is None or number <= most
        for row in round_of(plan, number)
    ]
    assert sorted(row for row in sent if most is None or row[0] <= most) == sorted(expected)
    beyond = [row for row in sent if most is not None and row[0] > most]
    assert {row[1] for row in beyond} <= {len(planned)}  # after the last round the manned room is told, again and again
    assert bool(beyond) == (most is not None and most < 3)


def test_a_draft_that_only_judges_does_not_grow() -> None:
    judge = Judge(State(), REGISTRY)
    for n in range(1, 200):
        judge.take([message(n, Sample(Series("button-1", "pressed"), NOW + n, False))], NOW + n)
    draft = judge._draft
    assert isinstance(draft, Draft)
    rows = (draft.readings, draft.events, draft.transitions, draft.changes, draft.runs, draft.tallies, draft.confirm)
    assert [len(one) for one in rows] == [0] * len(rows)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60), st.integers(0, 3)), min_size=1, max_size=4),
    st.integers(0, 2000),
)
def test_a_chain_that_is_hastened_has_its_next_step_now_keeps_its_order_and_repeats_nothing(
    drawn: list[tuple[int, int, int]], passed: int
) -> None:
    steps = tuple(Step(n, "duty", "hook", d * SECOND, e * SECOND, t) for n, (d, e, t) in enumerate(drawn, 1))
    alarm, _ = step(open_alarm("button-1", "click", "", BUTTON.alarms["click"], NOW, NOW), AlarmEvent.RAISE, NOW)
    pursuit = Pursuit(alarm, "all", 1, Plan(600 * SECOND, None, steps), 1, 1, NOW)
    now = NOW + passed * SECOND
    for row, _ in due_rows(pursuit, now):
        pursuit = with_done(pursuit, row)
    before = due_rows(moved_on(pursuit, now), now + 10_000 * SECOND)
    hastened_ = hastened(pursuit, now)
    assert due_rows(hastened_, now)
    after = due_rows(hastened_, now + 10_000 * SECOND)
    assert [row for row, _ in after] == [row for row, _ in before]
    moved = {was - due for (_, was), (_, due) in zip(before, after, strict=True)}
    assert len(moved) == 1
    assert moved.pop() >= 0  # never later than it would have been
    assert hastened(hastened_, now) == hastened_


def test_a_message_over_which_judging_falls_costs_nobody_elses_press(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours, which ended the standby and with it the hub."""
    taken = intake.take_sample

    def falls(draft: Draft, said: Message, n: int, sample: Sample) -> Reading | None:
        if sample.at == NOW:
            raise ZeroDivisionError("a mistake")
        return taken(draft, said, n, sample)

    monkeypatch.setattr(intake, "take_sample", falls)
    judge = Judge(State(), REGISTRY)
    (found,) = judge.take([message(1, press(NOW)), message(2, press(NOW + 1))], NOW + 2)
    assert (found.device, judge.fallen) == ("button-1", 1)
