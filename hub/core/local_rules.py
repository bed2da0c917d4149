"""Local rules: a fire that nobody at the centre can hear of sounds the siren at hand. Pure; time comes in as arguments.

While the hub has confirmed nothing for `LocalRule.after`, a fire definition that one of the rule's watches sees raised asks for one write to
the siren. Conditions, delays and deadband are those of the centre (`hub.core.alarms.judge`). What sounds is never silenced from here: a
person at the site does that. Nothing here ever answers to a panic press: every function looks again that a watch is for fire alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

from hub.bundle import LocalRule, RuleWatch
from hub.core.alarms import AlarmEvent, Watch, due_events, holds, judge
from hub.core.normalise import normalise
from hub.model import Lane, Micros, Quality, Sample, SignalClass

TRIES = 20
"""writes for one fire, over a quarter of an hour"""
FIRST_PAUSE = 2.0
LONGEST_PAUSE = 60.0
ANEW = 10.0
"""seconds after which another fire sounds the siren again: a detector that flutters must not write without end"""
PARTS = 10_000
"""burning parts that are told apart; with so many the siren sounds anyhow"""

Part = tuple[str, str, str]
"""device, definition, instance"""


class State(NamedTuple):
    """What a rule has seen. Times are seconds of a monotonic clock."""

    watches: Mapping[Part, Watch] = {}
    """of parts whose condition holds, or whose alarm stands"""
    active: frozenset[Part] = frozenset()
    seen_at: float | None = None
    """when a fire came that went at once: a message that has no end"""
    last: Part | None = None
    sounded: bool = False
    tries: int = 0
    due: float = 0.0


class Sound(NamedTuple):
    """Write the siren now; `cause` is what burns."""

    rule: LocalRule
    cause: Part


def is_for_fire(watch: RuleWatch) -> bool:
    """Whether a rule may look at this at all."""
    return watch.alarm.signal_class is SignalClass.FIRE and SignalClass.PANIC not in watch.classes


def observe(rule: LocalRule, state: State, sample: Sample, now: Micros, ticks: float) -> State:
    """The state after a sample; `now` is the edge's clock, `ticks` the monotonic one."""
    for watch in rule.watches:
        if watch.device == sample.series.device and watch.alarm.point == sample.series.point and is_for_fire(watch):
            state = _observe(watch, state, sample, now, ticks)
    return state


def _observe(watch: RuleWatch, state: State, sample: Sample, now: Micros, ticks: float) -> State:
    reading = normalise(sample, watch.reads, now, Lane.URGENT)
    condition = watch.alarm.condition
    if reading.quality >= Quality.BAD_RANGE:
        return state  # what cannot be read neither burns nor goes out
    if reading.quality is Quality.UNCERTAIN_ENUM and not holds(condition, 0.0, False, reading.value, reading.text):
        return state  # a code that the profile does not know is no evidence that the fire is out
    part = (watch.device, watch.definition, sample.series.instance)
    if part not in state.watches and len(state.watches) >= PARTS:
        return state
    moved, fired = judge(watch.alarm, state.watches.get(part), part in state.active, reading)
    active = part in state.active
    for event, _ in fired:
        active = event is AlarmEvent.RAISE
        if active:
            state = state._replace(last=part)
    if len(fired) > 1:
        state = state._replace(seen_at=ticks)
    watches = {name: known for name, known in state.watches.items() if name != part}
    if moved is not None and (moved.holds or active):
        watches[part] = moved
    return state._replace(watches=watches, active=state.active | {part} if active else state.active - {part})


def decide(rule: LocalRule, state: State, now: Micros, ticks: float, confirmed_at: float) -> tuple[State, Sound | None]:
    """Whether to write the siren now. `confirmed_at`: when the hub last confirmed anything urgent."""
    state = _ripen(rule, state, now)
    fresh = state.seen_at is not None and state.seen_at >= confirmed_at
    cause = state.last if fresh else min(state.active, default=None)
    if cause is None or not (fresh or state.active):
        return state._replace(seen_at=None, last=None, sounded=False, tries=0), None
    silent = ticks - confirmed_at
    if state.sounded or state.tries >= TRIES or silent < rule.after / 1_000_000 or ticks < state.due:
        return state, None
    pause = min(FIRST_PAUSE * 2**state.tries, LONGEST_PAUSE)
    return state._replace(tries=state.tries + 1, due=ticks + pause), Sound(rule, cause)


def sounded(state: State, ticks: float) -> State:
    """The state after a write that held: this fire asks for no other, the next one does."""
    return state._replace(sounded=True, due=ticks + ANEW)


def _ripen(rule: LocalRule, state: State, now: Micros) -> State:
    """Delays end by the clock when no reading comes that would end them."""
    known = {(watch.device, watch.definition): watch for watch in rule.watches if is_for_fire(watch)}
    active = set(state.active)
    for part, seen in state.watches.items():
        watch = known.get(part[:2])
        if watch is None:
            continue
        for event, _ in due_events(watch.alarm, seen, part in active, now):
            (active.add if event is AlarmEvent.RAISE else active.discard)(part)
    if active == state.active:
        return state
    watches = {part: seen for part, seen in state.watches.items() if seen.holds or part in active}
    return state._replace(watches=watches, active=frozenset(active))


__all__ = ["TRIES", "Sound", "State", "decide", "is_for_fire", "observe", "sounded"]
