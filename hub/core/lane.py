"""A lane of a partition: the messages that come on it, and what it remembers between two batches. Pure values.

`State` is loaded from the store and moved by `hub.core.draft.Draft.settle` after a commit, by nobody else.
"""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from uuid import UUID

from hub.core.alarms import Alarm, Watch
from hub.core.commissioning import Trial
from hub.core.exercises import Press, Probe
from hub.core.health import Faults, diagnose, forget, is_retired
from hub.core.lateness import Lag
from hub.core.liveness import Beat, Verdict
from hub.core.normalise import Latest
from hub.core.opening import Armed, Hours
from hub.core.premises import Said
from hub.core.rest import Rest
from hub.core.skew import Clock, Skew
from hub.core.wire import Items
from hub.model import FunctionState, Lane, Micros, Quality, Reading, Series
from hub.registry import Registry


class Message(NamedTuple):
    """An upward message whose topic and properties hold."""

    topic: str
    client: str
    lane: Lane
    stream: str
    seq: int
    payload: bytes
    items: Items | None = None


class Key(NamedTuple):
    """What is unique among active alarms."""

    device: str
    definition: str
    instance: str


class Live(NamedTuple):
    """What liveness and health know of a device."""

    heard: Micros | None
    link: Verdict
    link_since: Micros
    function: FunctionState
    function_reason: str
    function_since: Micros
    proven: bool
    """a function test has passed"""


class Gates(NamedTuple):
    """By what hours conditions were looked at last, and until when nothing can be otherwise."""

    hours: Hours
    until: Micros


class Streamed(NamedTuple):
    """How far a stream is stored, and whose it is."""

    client: str
    lane: Lane
    upto: int
    newest_at: Micros | None
    counted: int | None = 0
    """items accounted for so far; None after a message that declared nothing: the next declaration is a new beginning"""
    given: int | None = None
    """items that the client has given numbers, as far as it has said"""
    beat_at: Micros | None = None
    """the edge's newest beat in this lane: its watermark"""
    drop_from: Micros | None = None
    """since when readings were given up by the client, while nothing whole has come after them"""
    drop_items: int = 0


_Of = TypeVar("_Of", Series, Key)
_T = TypeVar("_T")


@dataclass
class State:
    """What one lane of one partition remembers between batches; loaded from the store, moved only after a commit."""

    latest: dict[Series, Latest] = field(default_factory=dict)
    watches: dict[Key, Watch] = field(default_factory=dict)
    alarms: dict[Key, Alarm] = field(default_factory=dict)
    live: dict[str, Live] = field(default_factory=dict)
    streams: dict[str, Streamed] = field(default_factory=dict)
    tests: dict[str, Trial] = field(default_factory=dict)
    beats: dict[str, Beat] = field(default_factory=dict)
    """newest beat of an edge in this lane, by the edge's device id; not stored: after a restart the hub has heard nobody"""
    clients: dict[str, Micros] = field(default_factory=dict)
    """when anything of a client was last received; not stored, for the same reason"""
    faults: dict[str, Faults] = field(default_factory=dict)
    """what is wrong with a device; computed again from `latest` at a start (`remember_faults`)"""
    gone: dict[Series, Micros] = field(default_factory=dict)
    """what has gone from a table and is a fault until it is retired, since when; from `latest`, as the faults"""
    marks: dict[str, Micros] = field(default_factory=dict)
    """the newest beat of an edge in this lane over all its streams, by its device id; stored with the stream"""
    edge_gaps: dict[str, tuple[Micros, Micros]] = field(default_factory=dict)
    """the newest gap of an edge: the silence of its devices in it is its own"""
    premises: Said = field(default_factory=Said)
    """what people said of the institutions; kept by the runtime like the registry"""
    armed: dict[str, Armed] = field(default_factory=dict)
    """what panels of this lane said, until the runtime has it from the store"""
    gates: dict[str, Gates] = field(default_factory=dict)
    """of each institution, by what its conditions that depend on hours were looked at last; not stored: looked at anew"""
    skews: dict[str, Skew] = field(default_factory=dict)
    """of devices whose own times differ from their receipt; not stored: compared anew"""
    clocks: dict[str, Clock] = field(default_factory=dict)
    """what is stored of them"""
    shelved: dict[Key, Alarm] = field(default_factory=dict)
    """ended alarms whose shelving still runs"""
    lags: dict[str, Lag] = field(default_factory=dict)
    """how far each stream is behind; not stored: after a restart any of them may be catching up"""
    taken: set[UUID] = field(default_factory=set)
    """ids that ended alarms have: a device whose clock stands still gives all its presses the same time"""
    presses: dict[str, tuple[Press, ...]] = field(default_factory=dict)
    """declared presses of drills that are not used up, by device"""
    drills: dict[UUID, Micros] = field(default_factory=dict)
    """when drills are over that may have alarms here; one that is not named here is over"""
    probes: dict[UUID, Probe] = field(default_factory=dict)
    """proofs that are open, or were a moment ago"""
    rests: dict[str, Rest] = field(default_factory=dict)
    """clients whose devices need no look yet"""
    rested_by: Registry | None = None
    """the registry by which they were looked at"""
    look_from: int = 0
    """the client with which the next tick begins, where one cannot look at all"""
    stirred: set[str] = field(default_factory=set)
    """clients behind which something happened since they were looked at"""
    moved: int = 0
    """counts every change of what a message is judged by: what was judged before is to be judged again"""

    def rests_by(self, registry: Registry) -> dict[str, Rest]:
        """The rests that hold by this registry: of clients behind which nothing was changed."""
        by = self.rested_by
        if by is registry:
            return self.rests
        if by is None:
            return {}
        return {client: found for client, found in self.rests.items() if registry.is_same_behind(client, by)}

    def take_over(self, devices: Set[str], fresh: "State", registry: Registry) -> None:
        """Others wrote to the states of these devices: `fresh` is what the store says of them now, and of everything that is kept by stream,
        test or alarm. All else stays.
        """
        self.moved += 1
        _replace(self.latest, fresh.latest, devices)
        _replace(self.watches, fresh.watches, devices)
        for device in devices:
            self.live.pop(device, None)
            self.faults.pop(device, None)
        self.live.update(fresh.live)
        self.streams, self.marks = fresh.streams, fresh.marks
        self.tests, self.alarms, self.shelved = fresh.tests, fresh.alarms, fresh.shelved
        self.presses, self.drills, self.probes = fresh.presses, fresh.drills, fresh.probes
        fresh.remember_faults(registry)
        self.faults.update(fresh.faults)
        _replace(self.gone, fresh.gone, devices)
        known = (registry.devices.get(name) for name in devices)
        self.stirred.update(device.client for device in known if device is not None)

    def remember_faults(self, registry: Registry) -> None:
        """What is wrong with the devices, from their newest readings as they were stored."""
        faults: dict[str, Faults] = {}
        for series, latest in sorted(self.latest.items(), key=lambda one: one[1].at):  # as they came
            device = registry.devices.get(series.device)
            if device is not None:
                reading = Reading(series, latest.at, latest.at, latest.value, latest.text, latest.quality)
                faults[device.id] = diagnose(faults.get(device.id, {}), device.profile, reading)
                if latest.quality is Quality.BAD_GONE:
                    self.gone[series] = latest.changed_at  # of what was retired, too: `tick` ends what is left of it
                    if is_retired(device.profile, series.point, latest.changed_at, latest.at):
                        faults[device.id] = forget(faults[device.id], series)
        self.faults = {device: found for device, found in faults.items() if found}


def _replace(known: dict[_Of, _T], fresh: dict[_Of, _T], devices: Set[str]) -> None:
    for name in [name for name in known if name.device in devices]:
        del known[name]
    known.update(fresh)
