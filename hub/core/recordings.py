"""The proof of recordings: how many days of pictures a recorder still holds by its own index, what of it does not count, and when it will be too little.

A day that was recorded and overwritten before its time is the violation, so what is asked for grows with the camera: one that is twenty days old and
holds twenty days is compliant so far (standards catalogue, RET-01, RET-02). Gaps and seconds without a usable picture (black, frozen, no stream)
do not count. The forecast follows the last two weeks with the median of slopes (Theil 1950, Sen 1968): a single wrong day does not bend it.
Pure. Moments are microseconds, lengths are days of 86,400 s.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from statistics import median

from hub.core.coverage.requirements import Bounds
from hub.core.coverage.rules import RulePack
from hub.model import SECOND, Micros

DAY: Micros = 86_400 * SECOND

WINDOW_DAYS = 90.0
"""Over which gaps and bad seconds are counted."""
TOLERANCE_DAYS = 1.0
"""A recorder overwrites by the file and tells its days rounded."""
TREND_DAYS = 14.0
FEWEST_DAYS = 5
"""Days with a figure, below which there is no trend."""
GROWING = 0.9
"""Days that are won a day while the disk is not yet full; more is growing."""
HORIZON_DAYS = 365.0
"""Nothing is foretold beyond."""
_SECONDS = 86_400.0


class Outlook(StrEnum):
    """What the figures say of the days to come."""

    HOLDS = "holds"
    """as much as is asked for, and no less in sight"""
    GROWING = "growing"
    """young, and every day is kept so far"""
    SHRINKING = "shrinking"
    """enough today; `short_at` says until when"""
    SHORT = "short"
    """too little today"""
    UNKNOWN = "unknown"
    """nothing was read"""


@dataclass(frozen=True, slots=True)
class Held:
    """What a recorder said on a day: how many days it holds."""

    at: Micros
    days: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is held, what is asked for now, and when it will not be enough."""

    outlook: Outlook
    days: float | None
    """that count now"""
    needed: float
    """now: the floor, or the camera's age where that is less"""
    a_day: float | None
    """days won or lost a day; None where too few days are known"""
    short_at: Micros | None
    """from when on it is too little; not later than a year"""
    full_at: Micros
    """when the whole floor is asked for: the camera's birth and the floor"""
    days_then: float | None
    """that will be held at `short_at`, and at `full_at` where nothing becomes short"""


FloorOf = Callable[[str, str, Micros], float]
"""How many days an institution of this division and type must hold, at that time."""


def whole_window(division: str, institution_type: str, at: Micros) -> float:
    """The floor where no rule says another: ninety days (standards catalogue, RET-01)."""
    return WINDOW_DAYS


def floor_by(packs: Sequence[RulePack]) -> FloorOf:
    """The floor that the packs ask for: the strictest of the rules that hold there; ninety days where none does."""
    rules = [
        (rule, rule.requirement.minimum)
        for pack in packs
        for rule in pack.rules
        if isinstance(rule.requirement, Bounds)
        and rule.requirement.of == "recording_days"
        and rule.requirement.minimum is not None
        and rule.when is None
    ]

    def floor(division: str, institution_type: str, at: Micros) -> float:
        asked = (least for rule, least in rules if rule.applies(division, institution_type, at))
        return max(asked, default=WINDOW_DAYS)

    return floor


def needed_days(floor: float, installed_at: Micros, at: Micros) -> float:
    """How many days must be there: as many as the camera is old, at most the floor."""
    return min(floor, max(0.0, (at - installed_at) / DAY))


def lost_days(gap_seconds: float, bad_seconds: float, newest_at: Micros | None, read_at: Micros | None) -> float:
    """Days without a usable picture at most: gaps, black or frozen ones, and since the newest picture. They may be the same hours, then they are
    taken away more than once: never too green."""
    return (max(0.0, gap_seconds) + max(0.0, bad_seconds)) / _SECONDS + silent_days(newest_at, read_at)


def silent_days(newest_at: Micros | None, read_at: Micros | None) -> float:
    """Days from the newest picture to when that was read; 0 where either is not known."""
    return 0.0 if newest_at is None or read_at is None else max(0.0, (read_at - newest_at) / DAY)


def is_enough(days: float, missing: float, needed: float, allowed: float = TOLERANCE_DAYS) -> bool:
    """Whether so many days, of which `missing` have no usable picture, are what is asked for, give or take `allowed` days (decision 0390).

    What is held beyond what is asked for makes up for nothing that is missing within it.
    """
    return max(0.0, needed - days) + missing <= allowed


def trend(history: Sequence[Held], at: Micros) -> float | None:
    """Days won or lost a day: the median of all slopes of the last two weeks; None where fewer than five days are known."""
    within = sorted((one for one in history if at - TREND_DAYS * DAY <= one.at <= at), key=_at)
    recent = list({one.at // DAY: one for one in within}.values())
    if len(recent) < FEWEST_DAYS:
        return None
    return median((b.days - a.days) / ((b.at - a.at) / DAY) for a, b in combinations(recent, 2))


def _at(one: Held) -> Micros:
    return one.at


def forecast(history: Sequence[Held], missing_days: float, floor: float, installed_at: Micros, at: Micros) -> Forecast:
    """What the history of a recorder says at `at`. `missing_days`: gaps and bad pictures together, taken away from every figure."""
    full_at = installed_at + round(floor * DAY)
    needed = needed_days(floor, installed_at, at)
    past = [one for one in history if one.at <= at and math.isfinite(one.days)]
    if not past:
        return Forecast(Outlook.UNKNOWN, None, needed, None, None, full_at, None)
    held = max(past, key=_at).days
    counted = max(0.0, held - missing_days)
    slope = trend(past, at)
    if not is_enough(held, missing_days, needed):
        return Forecast(Outlook.SHORT, counted, needed, slope, at, full_at, counted)
    if slope is None or slope > GROWING:
        outlook = Outlook.GROWING if needed < floor else Outlook.HOLDS
        return Forecast(outlook, counted, needed, slope, None, full_at, None if slope is None else counted)
    ahead = _days_until_short(counted, slope, needed, floor)
    if ahead is None or ahead > HORIZON_DAYS:
        return Forecast(Outlook.HOLDS, counted, needed, slope, None, full_at, counted)
    short_at = at + math.ceil(ahead * DAY)
    return Forecast(Outlook.SHRINKING, counted, needed, slope, short_at, full_at, max(0.0, counted + slope * ahead))


def _days_until_short(counted: float, slope: float, needed: float, floor: float) -> float | None:
    """When the line of what is held crosses what is asked for: first the camera's age, which wins a day a day, then the floor."""
    spare = counted + TOLERANCE_DAYS - needed
    young = max(0.0, floor - needed)
    if (crossing := spare / (1.0 - slope)) <= young:
        return crossing
    if slope >= 0:
        return None
    return young + (spare - young * (1.0 - slope)) / -slope


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera in service. `recorded_by`: the device that was named as its recorder; None: any recorder of the institution."""

    device: str
    installed_at: Micros
    bad_seconds: float = 0.0
    recorded_by: str | None = None


@dataclass(frozen=True, slots=True)
class Recorder:
    """What a device that records said of itself: figures by day, oldest first, the seconds missing now, and when that was read."""

    device: str
    installed_at: Micros
    history: tuple[Held, ...] = ()
    gap_seconds: float = 0.0
    read_at: Micros | None = None
    newest_at: Micros | None = None
    """of the newest picture, where the device tells of it"""

    @property
    def days(self) -> float | None:
        """As last read."""
        return self.history[-1].days if self.history else None


@dataclass(frozen=True, slots=True)
class State:
    """How the recording of one camera stands, or of a recorder whose cameras are not known."""

    device: str
    recorder: str | None
    days: float | None
    possible: float | None
    """how many days it may be: more than `days` where the recorder tells only the worst of several, and a young camera explains that one"""
    gap_seconds: float
    bad_seconds: float
    installed_at: Micros
    read_at: Micros | None
    newest_at: Micros | None
    forecast: Forecast


def states(cameras: Sequence[Camera], recorders: Sequence[Recorder], floor: float, at: Micros) -> list[State]:
    """One state for each camera of an institution, and one for each recorder that no camera belongs to; by device."""
    by_id = {one.device: one for one in recorders}
    behind = {camera.device: _recorder_of(camera, by_id, recorders) for camera in cameras}
    found = []
    for camera in cameras:
        recorder = behind[camera.device]
        fellows = [one for one in cameras if behind[one.device] is recorder] if recorder is not None else [camera]
        found.append(_state(camera, recorder, fellows, floor, at))
    used = {one.device for one in behind.values() if one is not None} | {camera.device for camera in cameras}
    for recorder in recorders:
        if recorder.device not in used:
            itself = Camera(recorder.device, recorder.installed_at)
            found.append(_state(itself, recorder, [itself], floor, at))
    return sorted(found, key=lambda one: one.device)


def _recorder_of(camera: Camera, by_id: dict[str, Recorder], recorders: Sequence[Recorder]) -> Recorder | None:
    """The one that was named; else the camera's own card where it tells of one; else the worst of the institution, silent ones first."""
    if camera.recorded_by is not None:
        return by_id.get(camera.recorded_by)
    own = by_id.get(camera.device)
    if own is not None and own.days is not None:
        return own
    return min(recorders, key=lambda one: (-1.0 if one.days is None else one.days, one.device), default=None)


def _state(camera: Camera, recorder: Recorder | None, fellows: Sequence[Camera], floor: float, at: Micros) -> State:
    if recorder is None:
        nothing = forecast((), 0.0, floor, camera.installed_at, at)
        return State(camera.device, None, None, None, 0.0, camera.bad_seconds, camera.installed_at, None, None, nothing)
    youngest = max(one.installed_at for one in fellows)
    missing = lost_days(recorder.gap_seconds, camera.bad_seconds, recorder.newest_at, recorder.read_at)
    days, age = recorder.days, max(0.0, (at - camera.installed_at) / DAY)
    explained = days is not None and camera.installed_at < youngest
    explained = explained and is_enough(days or 0.0, 0.0, needed_days(floor, youngest, at))
    told = forecast(recorder.history, missing, floor, youngest if explained else camera.installed_at, at)
    possible = max(days, age) if explained and days is not None else days
    return State(
        camera.device, recorder.device, days, possible, recorder.gap_seconds, camera.bad_seconds,
        camera.installed_at, recorder.read_at, recorder.newest_at, told,
    )  # fmt: skip
