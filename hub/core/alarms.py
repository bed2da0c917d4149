"""The alarm engine's core: ISA-18.2 states as total tables, delays and deadband, one alarm as a value.

Three layers, each pure:

1. `holds` says whether a definition's condition is met by a value (with deadband).
2. `judge` and `due_events` turn that into RAISE and CLEAR, with on-delay and off-delay; `Watch` is what they remember.
3. `step` moves an `Alarm` by one event through `TABLES`; a person's action that the state does not allow is a `Conflict`.

What hides an alarm from paging stands beside these states, and `is_paged` here says whether somebody is still to be told; what moves the
hidings, the disposition and the closing is in `hub.core.hidings`.

Source: ISA-18.2-2016 / IEC 62682 alarm state transition diagram; latching alarms end only by a person's reset.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from hub.core.lateness import is_late
from hub.errors import Conflict
from hub.model import LIFE_SAFETY, Exercise, Micros, Priority, Reading, SignalClass
from hub.profiles import AlarmDefinition, Condition

_NAMESPACE = UUID("3f0d1c52-9a3e-5f43-8f6a-0e6c1b6a5d10")


class AlarmState(StrEnum):
    """VOCABULARY.md's names of the ISA-18.2 states."""

    NORMAL = "normal"
    UNACK_ACTIVE = "unack_active"
    ACK_ACTIVE = "ack_active"
    UNACK_CLEARED = "unack_cleared"
    LATCHED_UNACK = "latched_unack"
    LATCHED_ACK = "latched_ack"


class AlarmEvent(StrEnum):
    """What can happen to an alarm. The first six move its state (`step`; RAISE, CLEAR and LAPSE are the machine's), the others stand beside it
    (`hub.core.hidings`)."""

    RAISE = "raise"
    CLEAR = "clear"
    ACKNOWLEDGE = "acknowledge"
    CONFIRM = "confirm"
    LAPSE = "lapse"
    RESET = "reset"

    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    HOLD = "hold"
    RELEASE = "release"
    REMOVE_FROM_SERVICE = "remove_from_service"
    RETURN_TO_SERVICE = "return_to_service"
    DISPOSE = "dispose"
    CLOSE = "close"
    NOTE = "note"


class Disposition(StrEnum):
    """What a person found that the alarm was (处置结论)."""

    TRUE = "true"
    FALSE = "false"
    NUISANCE = "nuisance"
    TEST = "test"


class Hiding(StrEnum):
    """What keeps an alarm from being paged."""

    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    MAINTENANCE = "maintenance"
    LATE = "late"
    """it came late, and what is still on its way may say that it is over"""
    OUT_OF_SERVICE = "out_of_service"
    STALE = "stale"
    """it was over before the hub heard of it"""


class Refused(StrEnum):
    """Why a person's action is not possible now."""

    NOT_ACTIVE = "the alarm has ended"
    ALREADY_ACKNOWLEDGED = "the alarm is already acknowledged"
    STILL_ACTIVE = "the condition still holds; a panel is reset on site first"
    ACKNOWLEDGE_FIRST = "acknowledge the alarm before you reset it"
    NOT_OWNED = "nobody has acknowledged the alarm: acknowledge it"
    NOT_LATCHING = "this alarm does not latch: it ends by itself when acknowledged and cleared"
    NOT_SHELVED = "the alarm is not shelved"
    NOT_SUPPRESSED = "the alarm is not suppressed"
    NOT_HELD = "nothing holds the alarm's paging"
    NOT_OUT_OF_SERVICE = "the alarm is not out of service"
    NEVER_HIDDEN = "fire and panic are never suppressed and never held by maintenance"
    NOT_ENDED = "close an alarm after it was acknowledged and has cleared, and was reset where it latches"
    NO_DISPOSITION = "say what the alarm was (disposition) before you close it"
    CLOSED = "the alarm is closed"


_S, _E = AlarmState, AlarmEvent

PLAIN: Mapping[tuple[AlarmState, AlarmEvent], AlarmState | Refused] = {
    (_S.NORMAL, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.NORMAL, _E.CLEAR): _S.NORMAL,
    (_S.NORMAL, _E.ACKNOWLEDGE): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.CONFIRM): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.LAPSE): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.RESET): Refused.NOT_ACTIVE,
    (_S.UNACK_ACTIVE, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.UNACK_ACTIVE, _E.CLEAR): _S.UNACK_CLEARED,
    (_S.UNACK_ACTIVE, _E.ACKNOWLEDGE): _S.ACK_ACTIVE,
    (_S.UNACK_ACTIVE, _E.CONFIRM): Refused.NOT_OWNED,
    (_S.UNACK_ACTIVE, _E.LAPSE): Refused.NOT_OWNED,
    (_S.UNACK_ACTIVE, _E.RESET): Refused.NOT_LATCHING,
    (_S.ACK_ACTIVE, _E.RAISE): _S.ACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.CLEAR): _S.NORMAL,
    (_S.ACK_ACTIVE, _E.ACKNOWLEDGE): Refused.ALREADY_ACKNOWLEDGED,
    (_S.ACK_ACTIVE, _E.CONFIRM): _S.ACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.LAPSE): _S.UNACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.RESET): Refused.NOT_LATCHING,
    (_S.UNACK_CLEARED, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.UNACK_CLEARED, _E.CLEAR): _S.UNACK_CLEARED,
    (_S.UNACK_CLEARED, _E.ACKNOWLEDGE): _S.NORMAL,
    (_S.UNACK_CLEARED, _E.CONFIRM): Refused.NOT_OWNED,
    (_S.UNACK_CLEARED, _E.LAPSE): Refused.NOT_OWNED,
    (_S.UNACK_CLEARED, _E.RESET): Refused.NOT_LATCHING,
}
"""Definitions that do not latch: cleared and acknowledged ends the alarm."""

LATCHING: Mapping[tuple[AlarmState, AlarmEvent], AlarmState | Refused] = {
    (_S.NORMAL, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.NORMAL, _E.CLEAR): _S.NORMAL,
    (_S.NORMAL, _E.ACKNOWLEDGE): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.CONFIRM): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.LAPSE): Refused.NOT_ACTIVE,
    (_S.NORMAL, _E.RESET): Refused.NOT_ACTIVE,
    (_S.UNACK_ACTIVE, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.UNACK_ACTIVE, _E.CLEAR): _S.LATCHED_UNACK,
    (_S.UNACK_ACTIVE, _E.ACKNOWLEDGE): _S.ACK_ACTIVE,
    (_S.UNACK_ACTIVE, _E.CONFIRM): Refused.NOT_OWNED,
    (_S.UNACK_ACTIVE, _E.LAPSE): Refused.NOT_OWNED,
    (_S.UNACK_ACTIVE, _E.RESET): Refused.STILL_ACTIVE,
    (_S.ACK_ACTIVE, _E.RAISE): _S.ACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.CLEAR): _S.LATCHED_ACK,
    (_S.ACK_ACTIVE, _E.ACKNOWLEDGE): Refused.ALREADY_ACKNOWLEDGED,
    (_S.ACK_ACTIVE, _E.CONFIRM): _S.ACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.LAPSE): _S.UNACK_ACTIVE,
    (_S.ACK_ACTIVE, _E.RESET): Refused.STILL_ACTIVE,
    (_S.LATCHED_UNACK, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.LATCHED_UNACK, _E.CLEAR): _S.LATCHED_UNACK,
    (_S.LATCHED_UNACK, _E.ACKNOWLEDGE): _S.LATCHED_ACK,
    (_S.LATCHED_UNACK, _E.CONFIRM): Refused.NOT_OWNED,
    (_S.LATCHED_UNACK, _E.LAPSE): Refused.NOT_OWNED,
    (_S.LATCHED_UNACK, _E.RESET): Refused.ACKNOWLEDGE_FIRST,
    # pressed again after somebody took it: a new cry for help, paged again
    (_S.LATCHED_ACK, _E.RAISE): _S.UNACK_ACTIVE,
    (_S.LATCHED_ACK, _E.CLEAR): _S.LATCHED_ACK,
    (_S.LATCHED_ACK, _E.ACKNOWLEDGE): Refused.ALREADY_ACKNOWLEDGED,
    (_S.LATCHED_ACK, _E.CONFIRM): _S.LATCHED_ACK,
    (_S.LATCHED_ACK, _E.LAPSE): _S.LATCHED_UNACK,
    (_S.LATCHED_ACK, _E.RESET): _S.NORMAL,
}
"""Definitions that latch: only a person's reset, after the condition has gone, ends the alarm."""

TABLES = {False: PLAIN, True: LATCHING}

STATE_EVENTS = (_E.RAISE, _E.CLEAR, _E.ACKNOWLEDGE, _E.CONFIRM, _E.LAPSE, _E.RESET)
"""what the tables are total over"""

UNACKNOWLEDGED = frozenset({_S.UNACK_ACTIVE, _S.UNACK_CLEARED, _S.LATCHED_UNACK})


class Watch(NamedTuple):
    """What a definition last saw of its condition. It is stored, so that a delay does not start again after a restart."""

    holds: bool
    since: Micros
    judged_at: Micros


class Fired(NamedTuple):
    """A machine's event with its time."""

    event: AlarmEvent
    at: Micros


class Alarm(NamedTuple):
    """One activation of a definition at a device."""

    id: UUID
    device: str
    definition: str
    instance: str
    signal_class: SignalClass
    priority: Priority
    latching: bool
    state: AlarmState
    raised_at: Micros
    received_at: Micros
    cleared_at: Micros | None
    acknowledged_at: Micros | None
    acknowledged_by: str | None
    ended_at: Micros | None
    occurrences: int
    late: bool
    version: int
    shelved_until: Micros | None = None
    shelved_by: str | None = None
    shelve_reason: str | None = None
    shelved_with: str | None = None
    """the second person, without whom no fire or panic is shelved"""
    suppressed_by: UUID | None = None
    """the root alarm whose cause explains this one"""
    suppress_reason: str | None = None
    maintenance: str | None = None
    """the maintenance window that holds the paging"""
    held_until: Micros | None = None
    """when the hold ends by itself; without a window: a late alarm waits for the rest of what was late"""
    out_of_service: bool = False
    stale: bool = False
    disposition: Disposition | None = None
    disposition_by: str | None = None
    disposition_at: Micros | None = None
    closed_at: Micros | None = None
    closed_by: str | None = None
    exercise: Exercise | None = None
    """None: real"""
    exercise_id: UUID | None = None
    """of which drill or proof"""


class Transition(NamedTuple):
    """One row of an alarm's history; `n` is the alarm's version after it."""

    alarm: UUID
    n: int
    event: str
    from_state: AlarmState
    to_state: AlarmState
    at: Micros
    actor: str
    note: str


def alarm_id(device: str, definition: str, instance: str, at: Micros) -> UUID:
    """The same alarm has the same id on every path that may compute it."""
    return uuid5(_NAMESPACE, f"{device}/{definition}/{instance}/{at}")


def holds(condition: Condition, deadband: float, held: bool, value: float | None, text: str | None) -> bool:
    """Whether the condition is met; while it was met (`held`), a threshold is left only beyond the deadband."""
    if condition.present is not None:
        return True
    if condition.above is not None:
        return value is not None and value > condition.above - (deadband if held else 0.0)
    if condition.below is not None:
        return value is not None and value < condition.below + (deadband if held else 0.0)
    if condition.equals is not None:
        return _is(condition.equals, value, text)
    return any(_is(wanted, value, text) for wanted in condition.any_of or ())


def _is(wanted: float | bool | str, value: float | None, text: str | None) -> bool:
    return text == wanted if isinstance(wanted, str) else value is not None and value == float(wanted)


def judge(
    definition: AlarmDefinition, watch: Watch | None, active: bool, reading: Reading, counts: bool = True
) -> tuple[Watch | None, tuple[Fired, ...]]:
    """What a good reading does to a definition: the new watch and the events that are due at once.

    `active` says whether the alarm's condition stands (raised and not cleared), `counts` whether a condition that depends on opening hours or the
    armed state counts now. A reading that is not newer than the last one judged moves
    nothing, except that a fire or panic which holds still raises: a clock that went back must never swallow a press.
    """
    condition = definition.condition
    if condition.present is not None:
        at = reading.at if watch is None else max(reading.at, watch.judged_at)
        if not counts:
            return Watch(False, at, at), ()
        return Watch(False, at, at), (Fired(_E.RAISE, reading.at), Fired(_E.CLEAR, reading.at))
    held = watch is not None and watch.holds
    now_holds = counts and holds(condition, definition.deadband, held, reading.value, reading.text)
    if watch is not None and reading.at <= watch.judged_at:
        urgent = definition.signal_class in LIFE_SAFETY and now_holds and not held and not active
        return watch, ((Fired(_E.RAISE, reading.at), Fired(_E.CLEAR, reading.at)) if urgent else ())
    if watch is None or watch.holds != now_holds:
        moved = Watch(now_holds, reading.at, reading.at)
    else:
        moved = watch._replace(judged_at=reading.at)
    return moved, due_events(definition, moved, active, reading.at)


def gate(watch: Watch | None, holds_now: bool, since: Micros) -> Watch | None:
    """The watch after hours or armed state changed at `since`, where the condition with them `holds_now`; None where nothing changes.

    What was judged stays as it was: a reading that is still on its way is not too late for it.
    """
    if watch is None or watch.holds is holds_now:
        return None
    return Watch(holds_now, max(since, watch.since), watch.judged_at)


def due_events(definition: AlarmDefinition, watch: Watch, active: bool, now: Micros) -> tuple[Fired, ...]:
    """The event whose delay has passed by `now`: none or one, at the instant at which the delay ended."""
    at = due_at(definition, watch, active)
    if at is None or at > now:
        return ()
    return (Fired(_E.RAISE if watch.holds else _E.CLEAR, at),)


def due_at(definition: AlarmDefinition, watch: Watch, active: bool) -> Micros | None:
    """When the present condition will raise or clear if it stays as it is; None when nothing is pending."""
    if watch.holds == active:
        return None
    return watch.since + (definition.on_delay if watch.holds else definition.off_delay)


def is_active(alarm: Alarm | None) -> bool:
    """Whether the alarm's condition stands: raised and not cleared."""
    return alarm is not None and alarm.state in (_S.UNACK_ACTIVE, _S.ACK_ACTIVE)


def open_alarm(
    device: str, name: str, instance: str, definition: AlarmDefinition, at: Micros, received_at: Micros, nth: int = 0
) -> Alarm:
    """The alarm before its first RAISE: still normal, version 0. `nth` counts ended alarms that began at the same instant."""
    return Alarm(
        id=alarm_id(device, name, instance, at + nth),
        device=device,
        definition=name,
        instance=instance,
        signal_class=definition.signal_class,
        priority=definition.priority,
        latching=definition.latching,
        state=_S.NORMAL,
        raised_at=at,
        received_at=received_at,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
        ended_at=None,
        occurrences=0,
        late=is_late(at, received_at),
        version=0,
    )


def _settle_late(alarm: Alarm) -> Alarm:
    """A late alarm that clears while the rest of what was late is awaited was over before anybody could be told."""
    if alarm.held_until is None or alarm.maintenance is not None:
        return alarm
    return alarm._replace(stale=True)


def step(alarm: Alarm, event: AlarmEvent, at: Micros, actor: str = "", note: str = "") -> tuple[Alarm, Transition]:
    """Move the alarm by one of STATE_EVENTS. Raises Conflict, saying why, where a person's action is not allowed."""
    target = TABLES[alarm.latching][alarm.state, event]
    if isinstance(target, Refused):
        owner = f" (by {alarm.acknowledged_by})" if target is Refused.ALREADY_ACKNOWLEDGED else ""
        raise Conflict(f"{target}{owner}")
    moved = alarm._replace(state=target, version=alarm.version + 1)
    if event is _E.RAISE:
        moved = moved._replace(occurrences=alarm.occurrences + 1, cleared_at=None, stale=False)
        if target is _S.UNACK_ACTIVE:
            moved = moved._replace(acknowledged_at=None, acknowledged_by=None)
    elif event is _E.CLEAR:
        moved = _settle_late(moved._replace(cleared_at=at))
    elif event is _E.ACKNOWLEDGE:
        moved = moved._replace(acknowledged_at=at, acknowledged_by=actor)
    elif event is _E.CONFIRM:
        moved = moved._replace(acknowledged_by=actor)
    elif event is _E.LAPSE:
        moved = moved._replace(acknowledged_at=None, acknowledged_by=None)
    if target is _S.NORMAL:
        moved = moved._replace(ended_at=at)
    return moved, Transition(alarm.id, moved.version, event, alarm.state, target, at, actor, note)


SUPERSEDE = "supersede"
"""event of the transition by which an exercise's alarm ends"""


def supersede(alarm: Alarm, at: Micros, note: str) -> tuple[Alarm, Transition]:
    """End an exercise's alarm, whatever its state: the exercise is over, or a real alarm comes in its place.

    Raises Conflict for a real one: that is ended by its own table alone.
    """
    if alarm.exercise is None:
        raise Conflict("a real alarm is not ended by an exercise")
    target = AlarmState.NORMAL
    moved = alarm._replace(state=target, ended_at=at, version=alarm.version + 1)
    return moved, Transition(alarm.id, moved.version, SUPERSEDE, alarm.state, target, at, "", note)


def hidings(alarm: Alarm, now: Micros) -> tuple[Hiding, ...]:
    """What keeps the alarm from being paged at `now`. A hiding with an end is over when its time is, whether or not anybody has noted it."""
    held = alarm.held_until is not None and alarm.held_until > now
    standing = {
        Hiding.SHELVED: alarm.shelved_until is not None and alarm.shelved_until > now,
        Hiding.SUPPRESSED: alarm.suppressed_by is not None,
        Hiding.MAINTENANCE: held and alarm.maintenance is not None,
        Hiding.LATE: held and alarm.maintenance is None,
        Hiding.OUT_OF_SERVICE: alarm.out_of_service,
        Hiding.STALE: alarm.stale and alarm.signal_class not in LIFE_SAFETY,
    }
    return tuple(hiding for hiding, stands in standing.items() if stands)


def is_paged(alarm: Alarm, now: Micros) -> bool:
    """Whether somebody is still to be told. The function of the same name in the database says the same; a test holds them together.

    A fire or panic that cleared by itself still needs a person; another alarm that did does not. Journal is recorded only.
    """
    if alarm.priority is Priority.JOURNAL or alarm.state not in UNACKNOWLEDGED or hidings(alarm, now):
        return False
    return alarm.state is not _S.UNACK_CLEARED or alarm.signal_class in LIFE_SAFETY


def starts_escalation(transition: Transition, alarm: Alarm, now: Micros) -> bool:
    """Whether somebody must be told now: the alarm became unacknowledged and active, its acknowledgement lapsed, or what hid it
    is gone. `alarm` is as after it.

    One that cleared and comes back counts too: its escalation may have stopped or be exhausted (a running one is left alone).
    """
    came = transition.to_state is _S.UNACK_ACTIVE and transition.from_state is not _S.UNACK_ACTIVE
    return (came or transition.event in _AGAIN) and is_paged(alarm, now)


_AGAIN = frozenset({_E.LAPSE, _E.UNSHELVE, _E.UNSUPPRESS, _E.RELEASE, _E.RETURN_TO_SERVICE})


def stops_escalation(alarm: Alarm, now: Micros) -> bool:
    """Whether nobody needs to be told any more."""
    return not is_paged(alarm, now)


def why_quiet(alarm: Alarm, transition: Transition, now: Micros) -> str:
    """Why nobody needs to be told any more, in a word, for the escalation that this transition stops."""
    hidden = hidings(alarm, now)
    if hidden:
        return hidden[0].value
    if transition.actor:
        return transition.event
    return "cleared" if alarm.ended_at is None else "ended"


def announcement(alarm: Alarm, transition: Transition, now: Micros) -> dict[str, Any]:
    """What the change feed says of a transition: who did it (empty: the machine), where the alarm stands now, and what hides it."""
    return {
        "id": str(alarm.id),
        "device": alarm.device,
        "definition": alarm.definition,
        "instance": alarm.instance,
        "class": alarm.signal_class,
        "priority": alarm.priority,
        "state": alarm.state,
        "event": transition.event,
        "actor": transition.actor,
        "hidden": list(hidings(alarm, now)),
        "exercise": alarm.exercise,
        "version": alarm.version,
    }
