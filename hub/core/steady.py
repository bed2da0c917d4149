"""A wall clock that is set forward or back is noticed beside a clock that only counts. Pure: readings are given.

Due times stand in the database by its wall clock. Beside each reading of that clock the escalator reads the host's time since boot, which
nobody sets. Where the two have gone apart, the wall clock was set, and whatever still waits is moved by the same step
(docs/decisions/0230-a-clock-that-is-set.md).
"""

from typing import NamedTuple

from hub.model import SECOND, Micros

TOLERANCE: Micros = 2 * SECOND
"""what the clocks may go apart between two readings: slewing, and a leap second"""


class Reading(NamedTuple):
    """The wall clock, read at some time between two readings of the clock that only counts; `moved` is the sum of all steps then noticed."""

    wall: Micros
    before: Micros
    after: Micros
    moved: Micros


def step_between(first: Reading, second: Reading) -> Micros:
    """By how much the wall clock was set between two readings, without what somebody has noticed meanwhile; 0 where they agree.

    As the wall was read at an unknown instant between `before` and `after`, only what no such instant explains is a step.
    """
    wall = (second.wall - second.moved) - (first.wall - first.moved)
    longest = second.after - first.before
    shortest = max(second.before - first.after, 0)
    if wall > longest + TOLERANCE:
        return wall - (longest + shortest) // 2
    if wall < shortest - TOLERANCE:
        return wall - (longest + shortest) // 2
    return 0


def divide(first: Reading, second: Reading, step: Micros) -> Micros:
    """The time that divides what was read before the step from what was read after it, both between the two readings.

    Read before it a time lies in the span that passed after `first.wall`, read after it in the same span moved by the step. A step forward has
    the old times below the division, a step back above it.
    """
    span = max(second.before - first.after, 0)
    return first.wall + span // 2 + step // 2
