"""What a marked sample does in a lane: it opens the alarm of a proof, and nothing else. Pure, like all of the draft.

It is synthetic. So it touches neither readings nor the live value, no watch, no liveness, no health and no function test; what it shows is
the way from where it was injected to whoever is told. It stands back wherever anything real is.
"""

from hub.core.alarms import Alarm, AlarmEvent, holds, step
from hub.core.draft import Draft
from hub.core.exercises import Probe, parse_mark
from hub.core.judging import end_exercise, fresh, may_raise
from hub.core.lane import Key
from hub.core.normalise import normalise
from hub.core.rows import Hopped, Probed
from hub.errors import BadInput
from hub.model import Exercise, Lane, Quality, Reading, Sample
from hub.registry import Device


def take_marked(draft: Draft, device: Device, sample: Sample) -> None:
    """Judge a sample that carries a mark. Raises BadInput (`mark`) where no open proof of this device has it."""
    assert sample.mark is not None
    hop = parse_mark(sample.mark)
    probe = draft.state.probes.get(hop.id)
    where = "/".join(part for part in sample.series if part)
    if probe is None or probe.device != device.id:
        raise BadInput("there is no such open proof of this device", where, code="mark")
    definition = device.profile.alarms.get(probe.definition)
    point = device.profile.points.get(sample.series.point)
    if definition is None or point is None or definition.point != sample.series.point:
        if probe.open:
            _end(draft, probe, "failed", "the profile no longer has this alarm")
        return
    reading = normalise(sample, point, draft.now, Lane.URGENT)
    if hop.hop:
        said = sample.error or ""
        draft.hops.append(Hopped(hop.id, hop.hop, reading.at, said))
        if hop.hop == "refused" and probe.open:
            _end(draft, probe, "failed", f"the edge refused: {said}", reading.at)
        return
    if hop.id in draft.probed or not probe.open:
        return  # said twice
    _raise(draft, device, probe, reading)


def _raise(draft: Draft, device: Device, probe: Probe, reading: Reading) -> None:
    key = Key(probe.device, probe.definition, probe.instance)
    definition = device.profile.alarms[probe.definition]
    standing = draft.alarm_of(key)
    why = _in_the_way(draft, device, standing)
    if why:
        _end(draft, probe, "preempted", why, reading.at)
        return
    if not may_raise(device, definition):
        _end(draft, probe, "failed", f"the device is {device.admin_state}", reading.at)
        return
    met = reading.quality < Quality.BAD_RANGE and holds(definition.condition, 0.0, False, reading.value, reading.text)
    if not met:
        _end(draft, probe, "failed", "the rule does not hold at the value that was injected", reading.at)
        return
    if standing is not None:
        if standing.exercise_id == probe.id:
            return  # said twice
        end_exercise(draft, device, key, standing, "another proof")
    alarm = fresh(draft, key, definition, reading.at)._replace(exercise=Exercise.PROOF, exercise_id=probe.id)
    for event in (
        AlarmEvent.RAISE,
        AlarmEvent.CLEAR,
    ):  # nothing holds: what is real finds no condition that stands already
        alarm, transition = step(alarm, event, reading.at)
        draft.move(device, key, alarm, transition)
    draft.begin[alarm.id] = None
    draft.stop.pop(alarm.id, None)
    draft.probed[probe.id] = Probed(alarm.id, reading.at)


def _in_the_way(draft: Draft, device: Device, standing: Alarm | None) -> str:
    if standing is not None and standing.exercise is None:
        return "a real alarm stands here"
    if standing is not None and standing.exercise is not Exercise.PROOF:
        return f"a {standing.exercise} is under way here"
    return "a function test is under way" if draft.test_of(device.id) is not None else ""


def _end(draft: Draft, probe: Probe, ended: str, reason: str, at: int | None = None) -> None:
    if probe.id not in draft.probed:
        draft.probed[probe.id] = Probed(None, draft.now if at is None else at, ended, reason[:400])
