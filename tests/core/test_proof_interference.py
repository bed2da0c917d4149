"""A proof changes nothing of what is real: with it and without it the same presses raise the same real alarms, at the same instants, and page.

Before, after, between and in one message with the injected sample; delivered late and twice; with proofs that the lane does not know (any more);
under a declared drill. The naive reference is the same lane without any marked sample.
"""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.core.alarms import Alarm, AlarmState
from hub.core.exercises import Press, Probe, mark
from hub.core.intake import take_in
from hub.core.lane import Key
from hub.model import Exercise, Micros, Sample, SignalClass
from tests.core.lane_world import SECOND, T0, World, sample

BUTTON = "button-1"
KEYS = (Key(BUTTON, "click", ""), Key(BUTTON, "panic", ""))
TENTH = SECOND // 10


class Said(NamedTuple):
    """One thing that the edge says: a press (`press`, an event), the contact (`pressed`), or a proof's sample at either."""

    what: str
    proof: int
    later: int
    """tenths of a second after the one before"""


said = st.builds(
    Said,
    st.sampled_from(["press", "held", "released", "proof", "proof-contact", "hop"]),
    st.integers(0, 3),
    st.integers(0, 40),
)
batches = st.lists(st.lists(said, min_size=1, max_size=4), max_size=8)


def _sample(one: Said, at: Micros) -> Sample:
    if one.what == "press":
        return sample(BUTTON, "press", "x", at)
    if one.what in ("held", "released"):
        return sample(BUTTON, "pressed", one.what == "held", at)
    point, raw = ("press", "proof") if one.what == "proof" else ("pressed", True)
    hop = "spooled" if one.what == "hop" else ""
    return sample(BUTTON, point, raw, at)._replace(mark=mark(Exercise.PROOF, uuid.UUID(int=one.proof + 1), hop))


def _world(presses: Sequence[Press]) -> World:
    world = World()
    for n in range(3):  # a fourth one is not known to the lane
        key = KEYS[n % 2]
        world.state.probes[uuid.UUID(int=n + 1)] = Probe(uuid.UUID(int=n + 1), *key, open=n < 2)
    if presses:
        world.state.presses = {BUTTON: tuple(presses)}
        world.state.drills = {one.drill: T0 + 600 * SECOND for one in presses}
    return world


def _play(plan: list[list[Said]], late: int, twice: bool, presses: Sequence[Press], *, proofs: bool) -> list[Any]:
    """The alarms that are no proof's, in the order in which they began, each with what it became and whether it was begun to page."""
    world = _world(presses)
    seen: dict[uuid.UUID, Alarm] = {}
    paged: set[uuid.UUID] = set()
    stopped: set[uuid.UUID] = set()
    at = T0
    for batch in plan:
        made = []
        for one in batch:
            at += one.later * TENTH
            if proofs or not one.what.startswith(("proof", "hop")):
                made.append(_sample(one, at))
        world.now = at + late * SECOND
        if not made:
            continue
        message = world.message(*made)
        for _ in range(2 if twice else 1):
            draft = world.settle(take_in(world.state, world.registry, [message], world.now, frozenset()))
            for _, alarm in draft.touched.values():
                seen[alarm.id] = alarm
            paged |= set(draft.begin)
            stopped |= set(draft.stop)
    real = [one for one in seen.values() if one.exercise is not Exercise.PROOF]
    told = [
        (one.definition, one.raised_at, one.occurrences, one.state, one.exercise, one.id in paged, one.id in stopped)
        for one in sorted(real, key=lambda one: (one.raised_at, one.definition, str(one.exercise), one.occurrences))
    ]
    assert all(alarm.state is AlarmState.NORMAL or key in KEYS for key, alarm in world.state.alarms.items())
    return told


def _declared(count: int) -> list[Press]:
    return [
        Press(uuid.UUID(int=99), n, BUTTON, SignalClass.PANIC, T0 + n * 5 * SECOND, T0 + (n + 1) * 5 * SECOND)
        for n in range(count)
    ]


@settings(max_examples=150)
@given(batches, st.sampled_from([0, 5, 3600]), st.booleans(), st.integers(0, 2))
@example([[Said("proof", 0, 0)], [Said("press", 0, 1)]], 0, False, 0)
@example([[Said("press", 0, 0)], [Said("proof", 0, 1)]], 0, False, 0)
@example([[Said("proof", 0, 0), Said("press", 0, 0), Said("proof", 2, 0)]], 0, True, 0)
@example([[Said("proof", 0, 0), Said("press", 0, 1)]], 3600, True, 1)
def test_with_proofs_and_without_the_same_is_real(
    plan: list[list[Said]], late: int, twice: bool, declared: int
) -> None:
    presses = _declared(declared)
    assert _play(plan, late, twice, presses, proofs=True) == _play(plan, late, twice, presses, proofs=False)


@given(batches, st.booleans())
def test_every_press_is_a_real_alarm_or_its_occurrence_whatever_proofs_are_under_way(
    plan: list[list[Said]], twice: bool
) -> None:
    told = _play(plan, 0, twice, (), proofs=True)
    presses = sum(one.what == "press" for batch in plan for one in batch)
    clicks = [row for row in told if row[0] == "click"]
    assert sum(row[2] for row in clicks) == presses
    assert all(row[4] is None and row[5] for row in clicks), "unmarked, and paged"
