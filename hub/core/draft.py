"""A draft over a lane's state: new values, and the rows that one transaction writes with them. Pure; nothing is assigned before the commit.

`hub.core.intake` (messages) and `hub.core.supervision` (time) fill a `Draft`, by way of `hub.core.judging` (alarms) and
`hub.core.device_state`. After the commit `Draft.settle` moves the state; after a failure the draft is simply dropped.
"""

from collections import defaultdict
from collections.abc import Set
from copy import copy
from dataclasses import replace
from uuid import UUID

from hub.core.alarms import (
    Alarm,
    Transition,
    Watch,
    announcement,
    starts_escalation,
    stops_escalation,
    why_quiet,
)
from hub.core.commissioning import Trial
from hub.core.health import Faults
from hub.core.lane import Gates, Key, Live, State, Streamed
from hub.core.lateness import followed
from hub.core.liveness import Beat, Verdict
from hub.core.normalise import Latest
from hub.core.opening import Armed, Hours
from hub.core.rest import Rest
from hub.core.rows import Change, EventRow, Gap, Hopped, Probed, Quarantined, Tally
from hub.core.skew import Clock, Skew
from hub.model import (
    FunctionState,
    Lane,
    LinkState,
    Micros,
    Reading,
    Series,
)
from hub.registry import Device, Registry


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
        self.look_from: int | None = None
        """where the next tick begins to look, because this one had enough"""
        self.clients: dict[str, Micros] = {}
        self.faults: dict[str, Faults] = {}
        self.gone: dict[Series, Micros | None] = {}
        """what has gone from a table, since when; None: it is back, or retired"""
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
        self.skews: dict[str, Skew] = {}
        self.clocks: dict[str, Clock] = {}
        """rows of devices' clocks"""
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
        self.left_out: Set[str] = frozenset()
        """clients of whose devices nothing is judged"""
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

    def skew_of(self, device: str) -> Skew | None:
        """What was compared of a device's clock; None where nothing differed."""
        return self.skews.get(device) or self.state.skews.get(device)

    def clock_of(self, device: str) -> Clock | None:
        """What is stored of it."""
        return self.clocks.get(device) or self.state.clocks.get(device)

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

    def beat_of(self, edge: str) -> Beat | None:
        """The newest beat of an edge in this lane."""
        return self.beats.get(edge) or self.state.beats.get(edge)

    def mark_of(self, client: str) -> Micros | None:
        """The newest beat of an edge in this lane over all its streams."""
        found = self.marks.get(client)
        return self.state.marks.get(client) if found is None else found

    def moved_clients(self) -> set[str]:
        """Clients of whose devices this draft writes anything."""
        names = {
            *self.live,
            *self.tests,
            *self.clocks,
            *self.passed.values(),
            *(name for name, _ in self.expired.values()),
        }
        names |= {key.device for key in (*self.watches, *self.alarms)} | {series.device for series in self.latest}
        devices = self.registry.devices
        return {devices[name].client for name in names if name in devices}

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
            "clocks",
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
        state.moved += self._moves()
        self._settle_rests()
        if self.look_from is not None:
            state.look_from = self.look_from
        state.latest.update(self.latest)
        state.watches.update(self.watches)
        state.live.update(self.live)
        state.streams.update(self.streams)
        state.beats.update(self.beats)
        state.marks.update(self.marks)
        state.edge_gaps.update(self.edge_gaps)
        state.clients.update(self.clients)
        state.faults.update(self.faults)
        for series, since in self.gone.items():
            if since is None:
                state.gone.pop(series, None)
            else:
                state.gone[series] = since
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
        state.skews.update(self.skews)
        state.clocks.update(self.clocks)
        for name, streamed in self.streams.items():
            if streamed.newest_at is not None:
                state.lags[name] = followed(state.lags.get(name), streamed.newest_at, self.now)

    def _moves(self) -> bool:
        """Whether anything changes by which messages are judged: more than who rests."""
        return bool(
            self.streams or self.live or self.latest or self.watches or self.alarms or self.beats or self.marks or self.edge_gaps
            or self.faults or self.gone or self.tests or self.passed or self.expired or self.pressed or self.armed or self.gates
            or self.skews or self.clocks
        )  # fmt: skip

    def _settle_rests(self) -> None:
        """Who was looked at rests; behind whom anything moved is stirred. To be heard again stirs nobody who is online."""
        state = self.state
        if self.rests:
            state.rests, state.rested_by = state.rests_by(self.registry), self.registry
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
            if before is None or not only_heard(before, live):
                moved.add(name)
        for name in moved:
            device = self.registry.devices.get(name)
            if device is not None:
                state.stirred.add(device.client)

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


def only_heard(before: Live, live: Live) -> bool:
    """Whether nothing moved but the last time that a device which is online was heard, and forward."""
    return (
        live.link.state is LinkState.ONLINE
        and before.heard is not None
        and live.heard is not None
        and before.heard <= live.heard
        and before[1:] == live[1:]
    )
