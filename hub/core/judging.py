"""Readings against the profile's alarm definitions: what is raised, cleared, hidden, whose exercise it is. Pure; noted in a `Draft`."""

from collections.abc import Sequence

from hub.core.alarms import (
    Alarm,
    Fired,
    Transition,
    Watch,
    alarm_id,
    due_events,
    holds,
    is_active,
    judge,
    open_alarm,
    step,
    supersede,
)
from hub.core.alarms import AlarmEvent as Event
from hub.core.draft import Draft
from hub.core.exercises import Press, expected
from hub.core.hidings import hide_raised
from hub.core.lane import Key
from hub.core.maintenance import covering
from hub.core.opening import Armed, Mode
from hub.core.rows import Change, Probed
from hub.model import LIFE_SAFETY, AdminState, Exercise, Micros, Quality, Reading
from hub.profiles import AlarmDefinition, Record
from hub.registry import Device


def judge_reading(draft: Draft, device: Device, reading: Reading, *, again: bool = False) -> None:
    """Run the profile's definitions of this point over a good reading; one that is looked at `again` is no event.

    A code that the profile does not know may raise by its number; that it is not the fire's code is no evidence that the fire is out.
    """
    name = reading.series.point
    for definition_name, definition in device.profile.alarms_of.get(name, ()):
        if again and definition.condition.present is not None:
            continue
        key = Key(device.id, definition_name, reading.series.instance)
        unknown = reading.quality is Quality.UNCERTAIN_ENUM
        if unknown and not holds(definition.condition, 0.0, False, reading.value, reading.text):
            continue
        alarm = draft.alarm_of(key)
        before = draft.watch_of(key)
        watch, fired = judge(
            definition, before, is_active(alarm), reading, _counts(draft, device, definition, before, reading)
        )
        if watch is not None:
            draft.watches[key] = watch
        fire(draft, device, key, definition, fired)


def _counts(draft: Draft, device: Device, definition: AlarmDefinition, watch: Watch | None, reading: Reading) -> bool:
    """Whether the condition counts when the reading was made; not before the hours by which it was judged last."""
    if definition.when is None:
        return True
    at = reading.at if watch is None else max(reading.at, watch.since)
    return draft.hours_of(device.institution).stands(definition.when, at)


def judge_latest(draft: Draft, device: Device) -> None:
    """A function test has ended, in which nobody was paged: what holds now is judged, so that a real fire in it is not lost."""
    mine = {series: latest for series, latest in draft.state.latest.items() if series.device == device.id}
    mine |= {series: latest for series, latest in draft.latest.items() if series.device == device.id}
    for series, latest in mine.items():
        if latest.quality < Quality.BAD_RANGE:
            reading = Reading(series, latest.at, draft.now, latest.value, latest.text, latest.quality)
            judge_reading(draft, device, reading, again=True)


def run_timer(draft: Draft, device: Device, key: Key, definition: AlarmDefinition, watch: Watch) -> None:
    """Raise or clear what has waited long enough by the hub's clock."""
    fire(draft, device, key, definition, due_events(definition, watch, is_active(draft.alarm_of(key)), draft.now))


def note_armed(draft: Draft, device: Device, reading: Reading) -> None:
    """What a panel newly says of the armed state of its institution; that it says the same again is no news."""
    arming = device.profile.arming
    if arming is None or arming.point != reading.series.point or device.admin_state is not AdminState.IN_SERVICE:
        return
    latest = draft.latest_of(reading.series)
    repeated = latest is None or latest.changed_at != reading.at
    if repeated and device.profile.points[arming.point].record is not Record.EVENT:
        return
    said = ((Mode.ARMED, arming.armed), (Mode.DISARMED, arming.disarmed))
    mode = next((mode for mode, one in said if holds(one, 0.0, False, reading.value, reading.text)), None)
    before = draft.hours_of(device.institution).armed
    if mode is None or (before is not None and reading.at <= before.since):
        return
    earlier = Mode.AUTO if before is None else before.mode_at(reading.at)
    draft.armed[device.institution] = Armed(mode, reading.at, None, earlier), device
    payload = {"institution": device.institution, "mode": mode, "device": device.id}
    draft.changes.append(Change("armed", device.institution_key, payload))


def fire(draft: Draft, device: Device, key: Key, definition: AlarmDefinition, fired: Sequence[Fired]) -> None:
    """Move the alarm of `key` by the machine's events."""
    for event, at in fired:
        alarm = draft.alarm_of(key)
        if event is Event.CLEAR and not is_active(alarm):
            continue
        if event is Event.RAISE and not is_recorded(device, definition):
            continue
        press = _expected(draft, key, definition, alarm, at) if event is Event.RAISE else None
        if event is Event.RAISE and alarm is not None and not _is_of(alarm, press):
            end_exercise(
                draft, device, key, alarm, "a real alarm came in its place" if press is None else "another drill"
            )
            alarm = None
        if alarm is None:
            alarm = fresh(draft, key, definition, at)
            if press is not None:
                alarm = alarm._replace(exercise=Exercise.DRILL, exercise_id=press.drill)
        if press is not None:
            draft.pressed[press.key] = (alarm.id, at)
        alarm, transition = step(alarm, event, at)
        draft.move(device, key, alarm, transition)
        if event is Event.RAISE:
            _hide(draft, device, key, alarm, transition)


def _hide(draft: Draft, device: Device, key: Key, alarm: Alarm, raised: Transition) -> None:
    """What nobody is to be told of yet is hidden in the transaction that raises it."""
    windows = draft.state.premises.of(device.institution).windows
    out = device.admin_state is AdminState.OUT_OF_SERVICE
    window = covering(windows, device.id, device.zone, draft.now) if windows else None
    shelved = draft.state.shelved.get(key)
    for hidden in hide_raised(alarm, raised, draft.now, out_of_service=out, window=window, shelved=shelved):
        draft.move(device, key, *hidden)


def fresh(draft: Draft, key: Key, definition: AlarmDefinition, at: Micros) -> Alarm:
    """The alarm that begins at `at`, under an id that no ended one has."""
    nth = 0
    while (made := alarm_id(*key, at + nth)) in draft.state.taken or made in draft.touched:
        nth += 1
    return open_alarm(*key, definition, at, draft.now, nth)


def _expected(draft: Draft, key: Key, definition: AlarmDefinition, alarm: Alarm | None, at: Micros) -> Press | None:
    """The declared press that this is. While a real alarm stands here, whatever comes belongs to that one."""
    presses = draft.state.presses.get(key.device)
    if not presses or (alarm is not None and alarm.exercise is None):
        return None
    return expected(presses, draft.pressed, definition.signal_class, at)


def _is_of(alarm: Alarm, press: Press | None) -> bool:
    """Whether what comes belongs to the alarm that stands: real to real, a drill's press to its own drill."""
    if alarm.exercise in (None, Exercise.CANARY):  # where the canary sits nothing real can come
        return True
    return press is not None and alarm.exercise is Exercise.DRILL and alarm.exercise_id == press.drill


def end_exercise(draft: Draft, device: Device, key: Key, alarm: Alarm, why: str) -> None:
    """An exercise's alarm ends; a proof whose alarm it was has ended with it, if nothing said so before."""
    draft.move(device, key, *supersede(alarm, draft.now, why))
    probe = None if alarm.exercise_id is None else draft.state.probes.get(alarm.exercise_id)
    if probe is not None and probe.open:
        draft.probed[probe.id] = Probed(alarm.id, alarm.raised_at, "preempted", why)


def is_recorded(device: Device, definition: AlarmDefinition) -> bool:
    """Whose alarms are kept: those that page, and those of a device that is out of service, which are hidden."""
    return device.admin_state is AdminState.OUT_OF_SERVICE or may_raise(device, definition)


def may_raise(device: Device, definition: AlarmDefinition) -> bool:
    """Who pages: everything in service; a fire or panic of a device that is not commissioned yet, too. In a function test: nobody."""
    if device.admin_state is AdminState.IN_SERVICE:
        return True
    waiting = device.admin_state in (AdminState.REGISTERED, AdminState.COMMISSIONED)
    return waiting and definition.signal_class in LIFE_SAFETY
