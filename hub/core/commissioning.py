"""A function test: has everything been seen that must be seen before the device goes into service?

A press must be seen to come *and*, where the point has a state, to go again: a stuck button is no button.
"""

from collections.abc import Collection, Iterable, Mapping
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


def last_proofs(
    capabilities: Collection[str],
    proven_at: Micros | None,
    recorded: Mapping[str, Micros] | None,
    proofs: Iterable[tuple[str | None, Micros]] = (),
) -> dict[str, Micros]:
    """When each of a device's capabilities was shown last; one that is not in it was never shown since the device was last changed.

    `proven_at`: when its function test passed last, None: never, and then nothing counts. `recorded`: what its tests have shown, None: they passed
    before tests said it. `proofs`: what its own test answered since, capability None: before proofs said it. What was not said counts where the
    device has one capability, which it then was; of several nobody knows which it was, and none is taken as shown (decision 0385).
    """
    if proven_at is None:
        return {}
    only = next(iter(capabilities)) if len(capabilities) == 1 else None
    found: dict[str, Micros] = {}
    said = [(None, proven_at)] if recorded is None else list(recorded.items())
    for name, at in (*said, *proofs):
        capability = only if name is None else name
        if capability in capabilities and capability is not None:
            found[capability] = max(at, found.get(capability, at))
    return found
