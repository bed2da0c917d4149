"""What the hub would make of a device's samples: readings and alarms, by the same functions as ingest. Pure.

Cases of profiles (`hub.cases`) are held to it, and `anxin profile record` fills them in with it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hub.core.alarms import Alarm
from hub.core.draft import Draft
from hub.core.intake import take_sample
from hub.core.judging import run_timer
from hub.core.lane import Message, State
from hub.core.opening import Armed, Hours, Mode, Opening
from hub.core.premises import Premises, Said
from hub.errors import BadInput
from hub.model import AdminState, Micros, Reading, Sample
from hub.profiles import Profile
from hub.registry import Client, Device, Registry

_EDGE = "case-edge"
_MESSAGE = "rehearsal"


_AT_NIGHT = Said({"case": Premises(Hours(Opening(((),) * 7), Armed(Mode.ARMED, 0)))})
"""Whatever the hour at which a case is tried: the institution is closed and armed, so that what depends on that is seen."""


class Outcome(NamedTuple):
    """What the hub holds after the samples."""

    readings: tuple[Reading, ...]
    alarms: tuple[Alarm, ...]
    """in the state in which they are when everything that was said last has stayed so for as long as any delay asks"""
    refused: tuple[str, ...]
    """why samples were quarantined"""


def rehearse(profile: Profile, samples: Sequence[Sample], now: Micros) -> Outcome:
    """Take the samples of one device in service, in order; `now` is the hub's clock at their receipt, microseconds."""
    names = dict.fromkeys(sample.series.device for sample in samples)
    devices = {name: _device(name, profile) for name in names}
    known = Registry(1, devices, {_EDGE: Client(_EDGE, "case", 0, _EDGE, False)})
    draft = Draft(State(premises=_AT_NIGHT), known, now)
    message = Message(_MESSAGE, _EDGE, profile.lane, _MESSAGE, 1, b"")
    readings: list[Reading] = []
    refused: list[str] = []
    for n, sample in enumerate(samples):
        try:
            reading = take_sample(draft, message, n, sample)
        except BadInput as error:
            refused.append(f"{error.code}: {error}")
        else:
            readings += [] if reading is None else [reading]
    draft.settle()
    last = max((reading.at for reading in readings), default=now)
    later = Draft(draft.state, known, max(now, last) + _longest_delay(profile))
    for key, watch in draft.state.watches.items():
        run_timer(later, devices[key.device], key, profile.alarms[key.definition], watch)
    ended = {key: alarm for key, alarm in draft.alarms.items() if alarm.ended_at is not None}
    alarms = {**ended, **draft.state.alarms, **later.alarms}
    return Outcome(tuple(readings), tuple(alarms[key] for key in sorted(alarms)), tuple(refused))


def _longest_delay(profile: Profile) -> Micros:
    return max((max(one.on_delay, one.off_delay) for one in profile.alarms.values()), default=0)


def _device(name: str, profile: Profile) -> Device:
    state = AdminState.IN_SERVICE
    return Device(0, name, "case", 0, profile, profile.lane, state, _EDGE, False, name, name)
