"""What is wrong with a device, by point, and the function state that follows. Pure; a function of the newest readings alone.

So after a restart it is computed from the stored latest readings. Only what a beat said (it is not stored) is forgotten until the next beat.
"""

from collections.abc import Mapping

from hub.core.alarms import holds
from hub.model import LIFE_SAFETY, SECOND, FunctionState, Micros, Quality, Reading, Series
from hub.profiles import Profile

Faults = dict[tuple[str, str, int], tuple[FunctionState, str]]
"""by point, instance and row of the profile's health (-1: bad quality)"""

RETIRED_AFTER: Micros = 24 * 3600 * SECOND
"""for so long something that has gone from a table is a fault; then nobody expects it back"""

_WORSE = {FunctionState.OK: 0, FunctionState.DEGRADED: 1, FunctionState.UNPROVEN: 2, FunctionState.FAILED: 3}


def diagnose(faults: Faults, profile: Profile, reading: Reading) -> Faults:
    """The faults after the newest reading of a series; a value that is not good says nothing about the profile's rows.

    A code that the profile does not know counts like a bad value: nobody can say what the device means. A bad value where a fire or a panic
    would show makes the device unproven, else degraded: what is degraded still counts as coverage.
    """
    series = reading.series
    updated = dict(faults)
    bad = None
    if reading.quality >= Quality.UNCERTAIN_ENUM:
        state = FunctionState.UNPROVEN if _guards_life(profile, series.point) else FunctionState.DEGRADED
        bad = state, f"{series.point}: {reading.quality.name.lower()}"
    _note(updated, (series.point, series.instance, -1), bad)
    if reading.quality.is_good:
        # what says that none of the rows could be read stands without instance; a row that can be takes it back
        updated.pop((series.point, "", -1), None)
        for n, row in enumerate(profile.health):
            if row.point == series.point:
                key = (series.point, series.instance, n)
                sick = holds(row.condition, 0.0, key in faults, reading.value, reading.text)
                _note(updated, key, (row.state, row.title.en) if sick else None)
    return updated


def is_retired(profile: Profile, point: str, since: Micros, now: Micros) -> bool:
    """Whether an instance of this point that has been gone `since` is no fault any more. Where a fire or a panic would show it always is one."""
    return now - since >= RETIRED_AFTER and not _guards_life(profile, point)


def forget(faults: Faults, series: Series) -> Faults:
    """The faults without those of an instance that is retired."""
    return {key: fault for key, fault in faults.items() if key[:2] != (series.point, series.instance)}


def _guards_life(profile: Profile, point: str) -> bool:
    """Whether a fire or a panic shows at this point: while it cannot be read, nobody knows that the device would tell, whatever else it says."""
    return any(alarm.signal_class in LIFE_SAFETY for _, alarm in profile.alarms_of.get(point, ()))


def _note(into: Faults, key: tuple[str, str, int], value: tuple[FunctionState, str] | None) -> None:
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value


def function_of(
    faults: Mapping[tuple[str, str, int], tuple[FunctionState, str]], *, proven: bool
) -> tuple[FunctionState, str]:
    """The worst fault and its reason; without one, ok where the device was ever proven. Unproven outweighs degraded."""
    healthy = FunctionState.OK if proven else FunctionState.UNPROVEN
    worst, reason = max(faults.values(), key=lambda fault: _WORSE[fault[0]], default=(FunctionState.OK, ""))
    return (worst if _WORSE[worst] > _WORSE[healthy] else healthy), reason
