"""A lane's state, and a draft over it: new values and the rows that one transaction writes. Pure; nothing is assigned before the commit.

`State` is what one lane of one partition remembers. `hub.core.intake` (messages) and `hub.core.supervision` (time) fill a `Draft`. After the
commit `Draft.settle` moves the state; after a failure the draft is simply dropped.
"""

from collections import defaultdict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from hub.core.alarms import (
    Alarm,
    Fired,
    Transition,
    Watch,
    alarm_id,
    announcement,
    due_events,
    holds,
    is_active,
    judge,
    open_alarm,
    starts_escalation,
    step,
    stops_escalation,
    supersede,
    why_quiet,
)
from hub.core.alarms import AlarmEvent as Event
from hub.core.commissioning import Trial
from hub.core.exercises import Press, Probe, expected
from hub.core.health import Faults, diagnose, function_of
from hub.core.hidings import hide_raised
from hub.core.lateness import Lag, followed
from hub.core.liveness import Beat, Verdict
from hub.core.maintenance import covering
from hub.core.normalise import Latest
from hub.core.opening import Armed, Hours, Mode
from hub.core.premises import Said
from hub.core.rest import Rest
from hub.core.wire import Items
from hub.model import (
    LIFE_SAFETY,
    AdminState,
    Exercise,
    FunctionState,
    Lane,
    LinkState,
    Micros,
    Quality,
    Reading,
    Series,
)
from hub.profiles import AlarmDefinition, Record
from hub.registry import Device, Registry

HOUR: Micros = 3_600_000_000
BEAT_POINT = "beat"
SHORTEST_SILENCE: Micros = 1_000_000
"""below it nobody asks the profile: this is done for every sample"""


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


class Quarantined(NamedTuple):
    """One row of quarantine; `n` is -1 for a whole message."""

    at: Micros | None
    client: str | None
    source: str
    stream: str | None
    seq: int | None
    n: int | None
    code: str
    reason: str
    payload: bytes


class EventRow(NamedTuple):
    """One row of `event`."""

    stream: str
    seq: int
    n: int
    reading: Reading


class Change(NamedTuple):
    """One row of the change feed."""

    kind: str
    institution: int
    payload: dict[str, Any]


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


@dataclass
class Tally:
    """Conservation: produced + surplus is the sum of all others, every item in exactly one of them."""

    produced: int = 0
    """samples and rejects: as the client declares them, else as they came"""
    stored: int = 0
    suppressed: int = 0
    events: int = 0
    beats: int = 0
    duplicates: int = 0
    quarantined: int = 0
    dropped: int = 0
    """given up and declared by the client's full spool"""
    missing: int = 0
    """declared as produced, and nowhere: an imbalance"""
    surplus: int = 0
    """came, and was never declared: an imbalance"""


class Gap(NamedTuple):
    """A period whose readings are known to be missing: of one device, or of all that a client's lane carries."""

    client: str
    lane: Lane
    device: str | None
    since: Micros
    until: Micros
    cause: str
    """`dropped` by a full spool, `edge` off or stalled, `device` silent"""
    items: int | None = None


class Probed(NamedTuple):
    """What became of a proof in this lane: an alarm was raised, or (`ended`: preempted, failed) none can be, and why."""

    alarm: UUID | None
    at: Micros
    """when it was injected, by the clock of whoever did"""
    ended: str = ""
    reason: str = ""


class Hopped(NamedTuple):
    """A hop of a proof that the edge tells of, by the edge's clock; `text`: why it was `refused`."""

    proof: UUID
    hop: str
    at: Micros
    text: str


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
    stirred: set[str] = field(default_factory=set)
    """clients behind which something happened since they were looked at"""

    def remember_faults(self, registry: Registry) -> None:
        """What is wrong with the devices, from their newest readings as they were stored."""
        faults: dict[str, Faults] = {}
        for series, latest in sorted(self.latest.items(), key=lambda one: one[1].at):  # as they came
            device = registry.devices.get(series.device)
            if device is not None:
                reading = Reading(series, latest.at, latest.at, latest.value, latest.text, latest.quality)
                faults[device.id] = diagnose(faults.get(device.id, {}), device.profile, reading)
        self.faults = {device: found for device, found in faults.items() if found}


class Draft:
    """New values over a state, and the rows to write with them in one transaction."""

    def __init__(self, state: State, registry: Registry, now: Micros, other: State | None = None) -> None:
        self.state = state
        self.beside = None if other is None else Draft(other, registry, now)
        """over the other lane's state, where that is at hand: for devices whose samples still come on this lane"""
        self.crosses = False
        """such a device spoke"""
        self.registry = registry
        self.now = now
        """the hub's clock at receipt"""
        self.latest: dict[Series, Latest] = {}
        self.watches: dict[Key, Watch] = {}
        self.alarms: dict[Key, Alarm] = {}
        self.live: dict[str, Live] = {}
        self.streams: dict[str, Streamed] = {}
        self.tests: dict[str, Trial] = {}
        self.beats: dict[str, Beat] = {}
        self.rests: dict[str, Rest | None] = {}
        """clients whose devices were looked at, with the rest that they have now"""
        self.clients: dict[str, Micros] = {}
        self.faults: dict[str, Faults] = {}
        self.readings: list[Reading] = []
        self.events: list[EventRow] = []
        self.quarantined: list[Quarantined] = []
        self.transitions: list[Transition] = []
        self.touched: dict[UUID, tuple[int, Alarm]] = {}
        """alarms to write with the version they had in the database; 0: a new one"""
        self.begin: dict[UUID, None] = {}
        self.stop: dict[UUID, str] = {}
        self.passed: dict[UUID, str] = {}
        """function tests that have passed, with the device"""
        self.expired: dict[UUID, tuple[str, str]] = {}
        """function tests that ran out, with the device and what was missing"""
        self.changes: list[Change] = []
        self.gaps: list[Gap] = []
        self.armed: dict[str, tuple[Armed, Device]] = {}
        """what panels said of their institutions"""
        self.gates: dict[str, Gates] = {}
        self.marks: dict[str, Micros] = {}
        self.edge_gaps: dict[str, tuple[Micros, Micros]] = {}
        self.runs: list[tuple[int, str]] = []
        """where the readings of a message begin in `readings`, and its stream"""
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.confirm: dict[tuple[str, Lane, str], int] = {}
        self.pressed: dict[tuple[UUID, int], tuple[UUID, Micros]] = {}
        """declared presses that are used up, with the alarm and when it was pressed"""
        self.probed: dict[UUID, Probed] = {}
        self.hops: list[Hopped] = []
        self.messages = 0
        """messages that were taken: neither repeated nor beyond a gap"""

    # reading through the overlay ---------------------------------------------------------------------------------

    def latest_of(self, series: Series) -> Latest | None:
        """The newest reading of a series."""
        return self.latest.get(series) or self.state.latest.get(series)

    def alarm_of(self, key: Key) -> Alarm | None:
        """The alarm that has not ended."""
        alarm = self.alarms.get(key) or self.state.alarms.get(key)
        return None if alarm is None or alarm.ended_at is not None else alarm

    def hours_of(self, institution: str) -> Hours:
        """When an institution is open and whether it is armed, with what its panel has just said."""
        hours = self.state.premises.of(institution).hours
        drafted = self.armed.get(institution)
        said = [hours.armed, self.state.armed.get(institution), None if drafted is None else drafted[0]]
        last = max((one for one in said if one is not None), key=lambda one: one.since, default=None)
        return hours if last is hours.armed else replace(hours, armed=last)

    def live_of(self, device: str) -> Live:
        """Liveness and health; a device never seen is unknown and unproven."""
        found = self.live.get(device) or self.state.live.get(device)
        if found is None:
            return Live(
                None, Verdict(LinkState.UNKNOWN, "never_seen"), self.now, FunctionState.UNPROVEN, "", self.now, False
            )
        return found

    def faults_of(self, device: str) -> Faults:
        """What is wrong with a device; an empty draft value counts."""
        found = self.faults.get(device)
        return self.state.faults.get(device, {}) if found is None else found

    def watch_of(self, key: Key) -> Watch | None:
        """What a definition last saw."""
        return self.watches.get(key) or self.state.watches.get(key)

    def test_of(self, device: str) -> Trial | None:
        """The open function test."""
        test = self.tests.get(device) or self.state.tests.get(device)
        return None if test is None or test.id in self.passed or test.id in self.expired else test

    def opened(self) -> list[Trial]:
        """Function tests that this draft opens."""
        before = self.state.tests
        return [trial for name, trial in self.tests.items() if name not in before or before[name].id != trial.id]

    def whole(self) -> "Draft":
        """What one transaction writes: this draft with all that stands beside it. No device is in both."""
        if self.beside is None or not self.crosses:
            return self
        joined, beside = copy(self), self.beside
        for name in (
            "latest",
            "watches",
            "alarms",
            "live",
            "tests",
            "touched",
            "begin",
            "stop",
            "passed",
            "expired",
            "pressed",
            "probed",
            "armed",
        ):
            setattr(joined, name, getattr(self, name) | getattr(beside, name))
        joined.transitions = self.transitions + beside.transitions
        joined.changes = self.changes + beside.changes
        joined.gaps = self.gaps + beside.gaps
        joined.hops = self.hops + beside.hops
        return joined

    def settle(self) -> None:
        """The transaction is committed: this is now the state."""
        if self.beside is not None:
            self.beside.settle()
        state = self.state
        self._settle_rests()
        state.latest.update(self.latest)
        state.watches.update(self.watches)
        state.live.update(self.live)
        state.streams.update(self.streams)
        state.beats.update(self.beats)
        state.marks.update(self.marks)
        state.edge_gaps.update(self.edge_gaps)
        state.clients.update(self.clients)
        state.faults.update(self.faults)
        state.tests.update(self.tests)
        for device in (*self.passed.values(), *(device for device, _ in self.expired.values())):
            state.tests.pop(device, None)
        for device in {
            press.device for presses in state.presses.values() for press in presses if press.key in self.pressed
        }:
            state.presses[device] = tuple(press for press in state.presses[device] if press.key not in self.pressed)
        for key, alarm in self.alarms.items():
            if alarm.ended_at is None:
                state.alarms[key] = alarm
            else:
                state.alarms.pop(key, None)
                if alarm.shelved_until is not None:
                    state.shelved[key] = alarm
        state.armed.update({name: said for name, (said, _) in self.armed.items()})
        state.gates.update(self.gates)
        for name, streamed in self.streams.items():
            if streamed.newest_at is not None:
                state.lags[name] = followed(state.lags.get(name), streamed.newest_at, self.now)

    def _settle_rests(self) -> None:
        """Who was looked at rests; behind whom anything moved is stirred. To be heard again stirs nobody who is online."""
        state = self.state
        if self.rests:
            if state.rested_by is not self.registry:
                state.rests, state.rested_by = {}, self.registry
            state.stirred.difference_update(self.rests)
            for client, quiet in self.rests.items():
                if quiet is None:
                    state.rests.pop(client, None)
                else:
                    state.rests[client] = quiet
        moved = {key.device for key in self.watches} | {test.device for test in self.tests.values()}
        moved.update(self.passed.values(), (device for device, _ in self.expired.values()))
        for name, live in self.live.items():
            before = state.live.get(name)
            if before is None or not _only_heard(before, live):
                moved.add(name)
        for name in moved:
            device = self.registry.devices.get(name)
            if device is not None:
                state.stirred.add(device.client)

    # alarms ------------------------------------------------------------------------------------------------------

    def fire(self, device: Device, key: Key, definition: AlarmDefinition, fired: Sequence[Fired]) -> None:
        """Move the alarm of `key` by the machine's events."""
        for event, at in fired:
            alarm = self.alarm_of(key)
            if event is Event.CLEAR and not is_active(alarm):
                continue
            if event is Event.RAISE and not is_recorded(device, definition):
                continue
            press = self._expected(key, definition, alarm, at) if event is Event.RAISE else None
            if event is Event.RAISE and alarm is not None and not _is_of(alarm, press):
                self.end_exercise(
                    device, key, alarm, "a real alarm came in its place" if press is None else "another drill"
                )
                alarm = None
            if alarm is None:
                alarm = self.fresh(key, definition, at)
                if press is not None:
                    alarm = alarm._replace(exercise=Exercise.DRILL, exercise_id=press.drill)
            if press is not None:
                self.pressed[press.key] = (alarm.id, at)
            alarm, transition = step(alarm, event, at)
            self.move(device, key, alarm, transition)
            if event is Event.RAISE:
                self._hide(device, key, alarm, transition)

    def _hide(self, device: Device, key: Key, alarm: Alarm, raised: Transition) -> None:
        """What nobody is to be told of yet is hidden in the transaction that raises it."""
        windows = self.state.premises.of(device.institution).windows
        out = device.admin_state is AdminState.OUT_OF_SERVICE
        window = covering(windows, device.id, device.zone, self.now) if windows else None
        shelved = self.state.shelved.get(key)
        for hidden in hide_raised(alarm, raised, self.now, out_of_service=out, window=window, shelved=shelved):
            self.move(device, key, *hidden)

    def fresh(self, key: Key, definition: AlarmDefinition, at: Micros) -> Alarm:
        """The alarm that begins at `at`, under an id that no ended one has."""
        nth = 0
        while (made := alarm_id(*key, at + nth)) in self.state.taken or made in self.touched:
            nth += 1
        return open_alarm(*key, definition, at, self.now, nth)

    # exercises ---------------------------------------------------------------------------------------------------

    def _expected(self, key: Key, definition: AlarmDefinition, alarm: Alarm | None, at: Micros) -> Press | None:
        """The declared press that this is. While a real alarm stands here, whatever comes belongs to that one."""
        presses = self.state.presses.get(key.device)
        if not presses or (alarm is not None and alarm.exercise is None):
            return None
        return expected(presses, self.pressed, definition.signal_class, at)

    def end_exercise(self, device: Device, key: Key, alarm: Alarm, why: str) -> None:
        """An exercise's alarm ends; a proof whose alarm it was has ended with it, if nothing said so before."""
        self.move(device, key, *supersede(alarm, self.now, why))
        probe = None if alarm.exercise_id is None else self.state.probes.get(alarm.exercise_id)
        if probe is not None and probe.open:
            self.probed[probe.id] = Probed(alarm.id, alarm.raised_at, "preempted", why)

    def move(self, device: Device, key: Key, alarm: Alarm, transition: Transition) -> None:
        """Note one transition, and whom it concerns."""
        base = self.touched.get(alarm.id, (alarm.version - 1, alarm))[0]
        self.touched[alarm.id] = (base, alarm)
        self.alarms[key] = alarm
        self.transitions.append(transition)
        if starts_escalation(transition, alarm, self.now):
            self.begin[alarm.id] = None
            self.stop.pop(alarm.id, None)
        elif stops_escalation(alarm, self.now):
            self.begin.pop(alarm.id, None)
            if base > 0:  # one that is new in this draft has no escalation yet
                self.stop[alarm.id] = why_quiet(alarm, transition, self.now)
        said = announcement(alarm, transition, self.now)
        self.changes.append(Change("alarm", device.institution_key, said))

    def judge_reading(self, device: Device, reading: Reading, *, again: bool = False) -> None:
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
            alarm = self.alarm_of(key)
            before = self.watch_of(key)
            watch, fired = judge(
                definition, before, is_active(alarm), reading, self._counts(device, definition, before, reading)
            )
            if watch is not None:
                self.watches[key] = watch
            self.fire(device, key, definition, fired)

    def _counts(self, device: Device, definition: AlarmDefinition, watch: Watch | None, reading: Reading) -> bool:
        """Whether the condition counts when the reading was made; not before the hours by which it was judged last."""
        if definition.when is None:
            return True
        at = reading.at if watch is None else max(reading.at, watch.since)
        return self.hours_of(device.institution).stands(definition.when, at)

    def note_armed(self, device: Device, reading: Reading) -> None:
        """What a panel newly says of the armed state of its institution; that it says the same again is no news."""
        arming = device.profile.arming
        if arming is None or arming.point != reading.series.point or device.admin_state is not AdminState.IN_SERVICE:
            return
        latest = self.latest_of(reading.series)
        repeated = latest is None or latest.changed_at != reading.at
        if repeated and device.profile.points[arming.point].record is not Record.EVENT:
            return
        said = ((Mode.ARMED, arming.armed), (Mode.DISARMED, arming.disarmed))
        mode = next((mode for mode, one in said if holds(one, 0.0, False, reading.value, reading.text)), None)
        before = self.hours_of(device.institution).armed
        if mode is None or (before is not None and reading.at <= before.since):
            return
        earlier = Mode.AUTO if before is None else before.mode_at(reading.at)
        self.armed[device.institution] = Armed(mode, reading.at, None, earlier), device
        payload = {"institution": device.institution, "mode": mode, "device": device.id}
        self.changes.append(Change("armed", device.institution_key, payload))

    def judge_latest(self, device: Device) -> None:
        """A function test has ended, in which nobody was paged: what holds now is judged, so that a real fire in it is not lost."""
        mine = {series: latest for series, latest in self.state.latest.items() if series.device == device.id}
        mine |= {series: latest for series, latest in self.latest.items() if series.device == device.id}
        for series, latest in mine.items():
            if latest.quality < Quality.BAD_RANGE:
                reading = Reading(series, latest.at, self.now, latest.value, latest.text, latest.quality)
                self.judge_reading(device, reading, again=True)

    def run_timer(self, device: Device, key: Key, definition: AlarmDefinition, watch: Watch) -> None:
        """Raise or clear what has waited long enough by the hub's clock."""
        self.fire(device, key, definition, due_events(definition, watch, is_active(self.alarm_of(key)), self.now))

    # health and liveness -----------------------------------------------------------------------------------------

    def update_live(self, device: Device, live: Live) -> None:
        """Store new liveness or health, and say so on the change feed when an axis moved."""
        before = self.live_of(device.id)
        self.live[device.id] = live
        if (before.link, before.function) == (live.link, live.function) and device.id in self.state.live:
            return
        payload = {
            "device": device.id,
            "link_state": live.link.state,
            "link_cause": live.link.cause,
            "function_state": live.function,
            "function_reason": live.function_reason,
        }
        self.changes.append(Change("device_state", device.institution_key, payload))

    def beat_of(self, edge: str) -> Beat | None:
        """The newest beat of an edge in this lane."""
        return self.beats.get(edge) or self.state.beats.get(edge)

    def hear(self, device: Device, at: Micros, stream: str) -> None:
        """The device was heard at `at`; held close to its edge's beat, so that its own clock cannot hide its silence.

        Not up to a beat of another stream: what the disk of the edge still holds proves no life now, when memory says the newest.
        """
        beat = self.beat_of(device.client)
        edge = self.registry.devices.get(device.client)
        live = self.live_of(device.id)
        heard = live.heard
        if beat is not None and edge is not None:
            latest = beat.at + edge.profile.liveness.offline_after
            at = min(max(at, beat.at) if stream == beat.stream else at, latest)
            heard = None if heard is not None and heard > latest else heard  # the clock of the edge went back
        if heard is None or at > heard:
            if heard is not None and at - heard > SHORTEST_SILENCE:
                self._note_silence(device, heard, at)
            self.live[device.id] = live._replace(heard=at)

    def _note_silence(self, device: Device, since: Micros, until: Micros) -> None:
        """The device said nothing for longer than its profile allows; not its fault while its edge was away."""
        own = device.profile.liveness.offline_after
        if device.is_edge or until - since <= own:
            return
        away = self.edge_gaps.get(device.client) or self.state.edge_gaps.get(device.client)
        if away is None or since < away[0] - own or until > away[1] + own:
            self.gaps.append(Gap(device.client, device.lane, device.id, since, until, "device"))

    def mark(self, edge: Device, lane: Lane, at: Micros) -> None:
        """An edge's beat in this lane. They follow one another in its stream whatever waited, so a hole between two is a time without it."""
        before = self.mark_of(edge.id)
        if before is not None and at - before > edge.profile.liveness.offline_after:
            self.edge_gaps[edge.id] = (before, at)
            self.gaps.append(Gap(edge.client, lane, None, before, at, "edge"))
        self.marks[edge.id] = at

    def mark_of(self, client: str) -> Micros | None:
        """The newest beat of an edge in this lane."""
        found = self.marks.get(client)
        return self.state.marks.get(client) if found is None else found

    def check_health(self, device: Device, reading: Reading) -> None:
        """Add or remove what this reading says is wrong with the device."""
        faults = self.faults_of(device.id)
        if not faults and reading.quality.is_good and reading.series.point not in device.profile.health_points:
            return  # nearly every reading there is: a quarter of the time of judging it, measured
        updated = diagnose(faults, device.profile, reading)
        if updated != faults:
            self.faults[device.id] = updated
        self.refresh_function(device)

    def prove(self, device: Device) -> None:
        """A function test has passed."""
        self.live[device.id] = self.live_of(device.id)._replace(proven=True)
        self.refresh_function(device)

    def refresh_function(self, device: Device) -> None:
        """Compute the function state again from what is wrong and what was proven."""
        live = self.live_of(device.id)
        function, reason = function_of(self.faults_of(device.id), proven=live.proven or device.is_edge)
        if (function, reason) != (live.function, live.function_reason):
            self.update_live(device, live._replace(function=function, function_reason=reason, function_since=self.now))


def _only_heard(before: Live, live: Live) -> bool:
    """Whether nothing moved but the last time that a device which is online was heard, and forward."""
    return (
        live.link.state is LinkState.ONLINE
        and before.heard is not None
        and live.heard is not None
        and before.heard <= live.heard
        and before[1:] == live[1:]
    )


def _is_of(alarm: Alarm, press: Press | None) -> bool:
    """Whether what comes belongs to the alarm that stands: real to real, a drill's press to its own drill."""
    if alarm.exercise in (None, Exercise.CANARY):  # where the canary sits nothing real can come
        return True
    return press is not None and alarm.exercise is Exercise.DRILL and alarm.exercise_id == press.drill


def is_recorded(device: Device, definition: AlarmDefinition) -> bool:
    """Whose alarms are kept: those that page, and those of a device that is out of service, which are hidden."""
    return device.admin_state is AdminState.OUT_OF_SERVICE or may_raise(device, definition)


def may_raise(device: Device, definition: AlarmDefinition) -> bool:
    """Who pages: everything in service; a fire or panic of a device that is not commissioned yet, too. In a function test: nobody."""
    if device.admin_state is AdminState.IN_SERVICE:
        return True
    waiting = device.admin_state in (AdminState.REGISTERED, AdminState.COMMISSIONED)
    return waiting and definition.signal_class in LIFE_SAFETY
