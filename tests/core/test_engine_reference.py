"""The engine against a naive reference, written apart from it: readings, delays, latching, people, every hiding, restarts.

The reference knows nothing of tables, transitions or drafts: it is told what happens second by second and answers two questions only: how
the alarm stands, and whether somebody is being told. The engine's answer to the second is which escalations its drafts and steps began and
did not stop: whoever falls silent between two steps is found here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.core import hidings
from hub.core.alarms import Alarm, AlarmEvent, Transition, is_paged, starts_escalation, step, stops_escalation
from hub.core.draft import Draft
from hub.core.lane import Key, State
from hub.core.maintenance import Window
from hub.core.premises import Premises, Said
from hub.errors import Conflict
from hub.model import AdminState, Lane, Scalar
from hub.registry import Registry
from tests.core.lane_world import SECOND, T0, World, device, registry, sample

FAR = 10**9


@dataclass
class Reference:
    """One definition at one device. Times are whole seconds."""

    latching: bool
    life: bool
    delay: int
    now: int = 0
    held: bool = False
    since: int = 0
    exists: bool = False
    active: bool = False
    acknowledged: bool = False
    occurrences: int = 0
    raised: int = 0
    shelved_until: int = 0
    suppressed: bool = False
    holding_until: int = 0
    window_until: int = 0
    out: bool = False

    def reading(self, above: bool, within_deadband: bool) -> None:
        holds = above or (within_deadband and self.held)
        if holds != self.held:
            self.held, self.since = holds, self.now
        self.settle()

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.settle()

    def settle(self) -> None:
        if self.held and not self.active and self.now >= self.since + self.delay:
            if not self.exists:
                self.exists, self.occurrences, self.suppressed, self.holding_until = True, 0, False, 0
                self.raised += 1
                if self.life:
                    self.shelved_until = 0
            self.active, self.acknowledged = True, False
            self.occurrences += 1
            if not self.life and self.window_until > self.now and self.holding_until <= self.now:
                self.holding_until = self.window_until
        elif not self.held and self.active:
            self.active = False
            self.end_if_over()

    def end_if_over(self) -> None:
        if self.acknowledged and not self.active and not self.latching:
            self.exists = False

    def acknowledge(self) -> bool:
        if not self.exists or self.acknowledged:
            return False
        self.acknowledged = True
        self.end_if_over()
        return True

    def reset(self) -> bool:
        if not (self.exists and self.latching and self.acknowledged and not self.active):
            return False
        self.exists = False
        return True

    @property
    def told(self) -> bool:
        hidden = self.shelved_until > self.now or self.suppressed or self.holding_until > self.now or self.out
        return self.exists and not self.acknowledged and not hidden and (self.active or self.latching or self.life)


class Engine(RuleBasedStateMachine):
    """A thermometer: plain, with delay and deadband; `Press` below: latching, fire or panic."""

    lane, name, definition, point = Lane.BULK, "heat-1", "hot", "celsius"
    profile = "p-heat"
    reference_of: Callable[[], Reference] = lambda: Reference(latching=False, life=False, delay=1)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.lane, self.registry())
        self.world.now = T0
        self.reference = type(self).reference_of()
        self.told: set[object] = set()
        self.key = Key(self.name, self.definition, "")
        self.raised = 0

    def registry(self, state: AdminState = AdminState.IN_SERVICE) -> Registry:
        return registry(device(1, "edge-1", "p-edge"), device(4, self.name, self.profile, admin_state=state))

    def value(self, level: int) -> Scalar:
        return (20.0, 39.0, 50.0)[level]

    # the engine's side

    def follow(self, draft: Draft) -> None:
        """What the transaction would do to the escalations."""
        for alarm_id in draft.begin:
            self.told.add(alarm_id)
        for alarm_id in draft.stop:
            self.told.discard(alarm_id)
        for alarm in draft.alarms.values():
            if alarm.ended_at is not None:
                self.told.discard(alarm.id)

    def alarm(self) -> Alarm | None:
        return self.world.state.alarms.get(self.key)

    def by_person(self, deed: Callable[[Alarm], tuple[Alarm, Transition]]) -> None:
        """As `hub.store.alarms.move` does."""
        alarm = self.world.state.alarms[self.key]
        moved, row = deed(alarm)
        if moved.ended_at is None:
            self.world.state.alarms[self.key] = moved
        else:
            del self.world.state.alarms[self.key]
            if moved.shelved_until is not None:
                self.world.state.shelved[self.key] = moved
        if starts_escalation(row, moved, self.world.now):
            self.told.add(moved.id)
        elif stops_escalation(moved, self.world.now):
            self.told.discard(moved.id)

    def look(self) -> None:
        """The edge and the device are heard, time is looked at, and the alarm clock ends what is over."""
        world = self.world
        alive = (
            sample(self.name, "alive", 1, world.now)
            if self.lane is Lane.BULK
            else sample(self.name, "fault", False, world.now)
        )
        self.follow(world.say(sample("edge-1", "beat", 900.0, world.now), alive))
        self.follow(world.tick())
        alarm = self.alarm()
        if alarm is not None and alarm.shelved_until is not None and alarm.shelved_until <= world.now:
            self.by_person(lambda one: hidings.unshelve(one, world.now))
        alarm = self.alarm()
        if alarm is not None and alarm.held_until is not None and alarm.held_until <= world.now:
            self.by_person(lambda one: hidings.release(one, world.now))

    # what happens

    @rule(level=st.integers(0, 2))
    def read(self, level: int) -> None:
        self.wait(1)
        self.follow(self.world.say(sample(self.name, self.point, self.value(level), self.world.now)))
        self.reference.reading(level == 2, within_deadband=level == 1 and self.lane is Lane.BULK)
        self.look()

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.now += SECOND
            self.look()
        self.reference.wait(seconds)

    @rule()
    def acknowledge(self) -> None:
        self.same(self.reference.acknowledge(), lambda one: step(one, AlarmEvent.ACKNOWLEDGE, self.world.now, "duty"))

    @rule()
    def reset(self) -> None:
        self.same(self.reference.reset(), lambda one: step(one, AlarmEvent.RESET, self.world.now, "duty"))

    def same(self, allowed: bool, deed: Callable[[Alarm], tuple[Alarm, Transition]]) -> None:
        """The engine allows a person what the reference does."""
        try:
            done = self.alarm() is not None
            if done:
                self.by_person(deed)
        except Conflict:
            done = False
        assert done is allowed

    @precondition(lambda self: self.reference.exists)
    @rule(seconds=st.integers(1, 12))
    def shelve(self, seconds: int) -> None:
        now = self.world.now
        self.by_person(lambda one: hidings.shelve(one, now, now + seconds * SECOND, "duty", "x", "head"))
        self.reference.shelved_until = self.reference.now + seconds

    @precondition(lambda self: self.reference.exists and self.reference.shelved_until > self.reference.now)
    @rule()
    def unshelve(self) -> None:
        self.by_person(lambda one: hidings.unshelve(one, self.world.now, "duty"))
        self.reference.shelved_until = 0

    @precondition(lambda self: self.reference.exists and not self.reference.life)
    @rule()
    def suppress(self) -> None:
        self.by_person(lambda one: hidings.suppress(one, self.world.now, one.id, "uplink"))
        self.reference.suppressed = True

    @precondition(lambda self: self.reference.exists and self.reference.suppressed)
    @rule()
    def unsuppress(self) -> None:
        self.by_person(lambda one: hidings.unsuppress(one, self.world.now))
        self.reference.suppressed = False

    @rule(out=st.booleans())
    def service(self, out: bool) -> None:
        state = AdminState.OUT_OF_SERVICE if out else AdminState.IN_SERVICE
        self.world.registry = self.registry(state)
        self.reference.out = out
        self.look()

    @precondition(lambda self: self.reference.window_until <= self.reference.now)
    @rule(seconds=st.integers(1, 12))
    def maintain(self, seconds: int) -> None:
        window = Window("m-1", "garden", self.world.now, self.world.now + seconds * SECOND)
        self.world.state.premises = Said({"garden": Premises(windows=(window,))})
        self.reference.window_until = self.reference.now + seconds

    @rule()
    def restart(self) -> None:
        """What is stored is all that is left; shelvings of ended alarms as the query gives them."""
        old = self.world.state
        shelved = {
            key: one
            for key, one in old.shelved.items()
            if (one.shelved_until or 0) > self.world.now and not self.reference.life
        }
        self.world.state = State(
            latest=dict(old.latest), watches=dict(old.watches), alarms=dict(old.alarms), live=dict(old.live),
            streams=dict(old.streams), marks=dict(old.marks), premises=old.premises, shelved=shelved,
        )  # fmt: skip
        self.look()

    # what must hold

    @invariant()
    def the_alarm_stands_as_the_reference_says(self) -> None:
        alarm, reference = self.alarm(), self.reference
        assert (alarm is not None) is reference.exists
        if alarm is not None:
            assert (alarm.state in ("unack_active", "ack_active")) is reference.active
            assert (alarm.acknowledged_at is not None) is reference.acknowledged
            assert alarm.occurrences == reference.occurrences

    @invariant()
    def somebody_is_told_exactly_when_the_reference_says(self) -> None:
        alarm = self.alarm()
        engine = alarm is not None and alarm.id in self.told
        assert engine is self.reference.told, (alarm, self.reference)
        assert engine is (alarm is not None and is_paged(alarm, self.world.now))


class Press(Engine):
    """A button that latches: neither windows nor roots hide it, and two people may shelve it."""

    lane, name, definition, point = Lane.URGENT, "button-1", "panic", "pressed"
    profile = "p-button"
    reference_of = lambda: Reference(latching=True, life=True, delay=0)  # noqa: E731

    def value(self, level: int) -> Scalar:
        return level == 2


Engine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
Press.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestEngine = Engine.TestCase
TestPress = Press.TestCase
