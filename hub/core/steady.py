"""A wall clock that is set forward or back is noticed beside a clock that only counts. Pure: readings are given.

Due times stand in the database by its wall clock. Beside each reading of that clock the escalator reads the host's time since boot, which
nobody sets. Where the two have gone apart, the wall clock was set, and whatever still waits is moved by the same step; what was written between
two readings by a clock that neither of them knows is moved by its own (docs/decisions/0230-a-clock-that-is-set.md).
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


def shift(first: Reading, second: Reading, step: Micros, written: Micros, grace: Micros = 0) -> Micros:
    """By how much a due time is to be moved that was reckoned between the two readings, by a reading `written` that nobody has compared.

    `step` is what lies between the readings. Where the clock was read as it was before the step, that; as it is after it, nothing; as neither
    was, it was set and set back in between: then it is taken as written now. `grace`: so long before `first` it may have been read.
    What could be either is moved to the later of both: what becomes of it may be late by the time between the readings, and is never early.
    """
    longest = second.after - first.before
    old = first.wall + second.moved - first.moved
    by_old = old - TOLERANCE - grace <= written <= old + longest + TOLERANCE
    by_new = second.wall - longest - TOLERANCE - grace <= written <= second.wall + TOLERANCE
    if by_old and by_new:
        return min(max(step, 0), max(second.wall - written, 0))
    if by_new:
        return 0
    return min(step, second.wall - written) if by_old else second.wall - written


def since_another_boot(last: Micros, now: Reading) -> Reading:
    """What to compare the first reading of a machine's boot with: the newest of any machine, `last` by the clock as it is now.

    How long nobody looked is not known. Where the clock is behind that reading it was set, by so much at least: time does not go back.
    Otherwise it is believed.
    """
    then = now.before - max(now.wall - last, 0)
    return Reading(last, then, then, now.moved)
