"""A function test: has everything been seen that must be seen before the device goes into service?

A press must be seen to come *and*, where the point has a state, to go again: a stuck button is no button.
"""

from typing import NamedTuple
from uuid import UUID

from hub.core.alarms import holds
from hub.model import Micros, Reading
from hub.profiles import Profile, Record


class Trial(NamedTuple):
    """One open function test of one device; the sets grow as proof comes in."""

    id: UUID
    device: str
    opened_at: Micros
    deadline: Micros
    seen: frozenset[str] = frozenset()
    pressed: frozenset[str] = frozenset()
    released: frozenset[str] = frozenset()


SLACK: Micros = 60_000_000
"""how far the clock of an edge may be behind in a test; what is older waited in a spool and is no part of it"""


def belongs(test: Trial, reading: Reading) -> bool:
    """Whether a reading was made in the test: such a press proves, any other one pages."""
    return reading.received_at >= test.opened_at and reading.at >= test.opened_at - SLACK


def observe(test: Trial, profile: Profile, reading: Reading) -> Trial:
    """The test after a reading. A reading from before the test proves nothing."""
    name = reading.series.point
    if not reading.quality.is_good or not belongs(test, reading):
        return test
    if name in profile.test.seen:
        test = test._replace(seen=test.seen | {name})
    condition = profile.test.pressed.get(name)
    if condition is None:
        return test
    held = name in test.pressed and name not in test.released
    if holds(condition, 0.0, held, reading.value, reading.text):
        test = test._replace(pressed=test.pressed | {name})
        if profile.points[name].record is not Record.EVENT:
            return test
    return test._replace(released=test.released | {name}) if name in test.pressed else test


def missing(test: Trial, profile: Profile) -> tuple[str, ...]:
    """What has not been seen yet, in words for the installer's screen; empty when the test has passed."""
    waiting = [f"no good value of {name}" for name in profile.test.seen if name not in test.seen]
    for name in profile.test.pressed:
        if name not in test.pressed:
            waiting.append(f"{name} has not come")
        elif name not in test.released:
            waiting.append(f"{name} came and did not go again")
    return tuple(waiting)
