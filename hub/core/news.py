"""Whether what a lane has heard is news: something that may have to reach somebody at once. Pure.

What is none only says that all is as it was: beats, readings on which no condition turns. It may wait a moment for company, and behind a backlog it
goes after what is news.
"""

from collections.abc import Container, Mapping, Sequence

from hub.core import wire
from hub.core.alarms import Watch, holds
from hub.core.draft import Draft
from hub.core.intake import take_message
from hub.core.lane import Key, Message
from hub.core.normalise import normalise
from hub.errors import BadInput
from hub.model import Lane, Micros, Sample, SignalClass
from hub.profiles import Record
from hub.registry import Registry


def is_news(draft: Draft, messages: Sequence[Message]) -> bool:
    """Judge further messages in `draft`, over a lane's state as committed; whether anything came of them beside the values themselves.

    Where in doubt it is news: an event, a condition that begins or ends to hold, a change of any kind, what is refused, a function test or
    a proof under way, a device of the other lane.
    """
    for message in messages:
        take_message(draft, message)
    return bool(
        draft.touched or draft.events or draft.changes or draft.tests or draft.armed or draft.pressed
        or draft.probed or draft.hops or draft.passed or draft.expired or draft.quarantined or draft.crosses
    ) or any(_turns(draft.state.watches.get(key), watch) for key, watch in draft.watches.items())  # fmt: skip


def _turns(before: Watch | None, watch: Watch) -> bool:
    return watch.holds is not (before is not None and before.holds)


def may_raise(
    message: Message,
    registry: Registry,
    now: Micros,
    classes: Container[SignalClass],
    watches: Mapping[Key, Watch],
) -> bool:
    """Whether something in an urgent message meets the condition of an alarm of these classes that did not hold yet by `watches`.

    A third of the time of judging it, and blind to everything else: delays, hours, order, who is in service. Where in doubt it may.
    """
    try:
        samples = wire.decode_up(message.payload).samples
    except BadInput:
        return False
    return any(_may_raise(sample, registry, now, classes, watches) for _, sample in samples)


def _may_raise(
    sample: Sample,
    registry: Registry,
    now: Micros,
    classes: Container[SignalClass],
    watches: Mapping[Key, Watch],
) -> bool:
    device = registry.devices.get(sample.series.device)
    point = None if device is None else device.profile.points.get(sample.series.point)
    if device is None or point is None:
        return False
    definitions = [
        (name, one)
        for name, one in device.profile.alarms_of.get(sample.series.point, ())
        if one.signal_class in classes
    ]
    if not definitions:
        return sample.mark is not None
    if sample.mark is not None or point.record is Record.EVENT:
        return True
    reading = normalise(sample, point, now, Lane.URGENT)
    for name, one in definitions:
        if holds(one.condition, 0.0, False, reading.value, reading.text):
            watch = watches.get(Key(device.id, name, sample.series.instance))
            if watch is None or not watch.holds:
                return True
    return False
