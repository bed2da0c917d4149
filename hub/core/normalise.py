"""A sample becomes a reading: type, scale, bounds, enumeration, clock. Then: is it worth a row (report by exception)?

A value that does not hold is kept with bad quality, never dropped: its absence would be the greater lie.
"""

import math
from typing import NamedTuple

from hub.errors import BadInput
from hub.model import GONE, Lane, Micros, Quality, Reading, Sample, Scalar
from hub.profiles import Point, Report

EARLIEST: Micros = 1_577_836_800_000_000  # 2020-01-01: before any of our devices, so a clock that was never set
LATEST: Micros = 4_102_444_800_000_000  # 2100-01-01: what an edge's clock says beyond it is no time
TOLERATED_AHEAD: Micros = 5_000_000
REFUSED_AHEAD: Micros = 300_000_000


class Latest(NamedTuple):
    """The live state of a series: its newest reading, when its value last changed, when a row was last stored."""

    at: Micros
    value: float | None
    text: str | None
    quality: Quality
    changed_at: Micros
    stored_at: Micros


def normalise(sample: Sample, point: Point, received_at: Micros, lane: Lane, slow: bool = False) -> Reading:
    """The reading of a sample; `received_at` is the hub's clock. `slow`: the device's own clock is known to go behind (`hub.core.clocks`).

    A time of the device's own that cannot be is put right by the clock of the edge that received it, where that said its own. Raises BadInput
    (code `time`) for a time that cannot be and is not put right, on the bulk lane only: a press with a wrong clock is still a press, so on the
    urgent lane it gets the hub's time and quality uncertain.
    """
    own = sample.edge_at
    edge_at = own if own is not None and 0 <= own <= LATEST else None
    at, clock = _checked_time(sample.at, edge_at, received_at, lane, slow)
    if sample.error is not None or sample.raw is None:
        said = (sample.error or "no value")[:400]
        quality = Quality.BAD_GONE if said.startswith(GONE) else Quality.BAD_DEVICE
        return Reading(sample.series, at, received_at, None, said, quality, edge_at)
    value, text, quality = _value(sample.raw, point)
    return Reading(sample.series, at, received_at, value, text, max(quality, clock), edge_at)


def _checked_time(
    at: Micros, own: Micros | None, received_at: Micros, lane: Lane, slow: bool
) -> tuple[Micros, Quality]:
    if own is not None and EARLIEST <= own <= received_at + TOLERATED_AHEAD:
        if at < EARLIEST or at - own > TOLERATED_AHEAD or slow:
            return own, Quality.UNCERTAIN_CLOCK
    elif slow:
        return received_at, Quality.UNCERTAIN_CLOCK
    ahead = at - received_at
    if at >= EARLIEST and ahead <= TOLERATED_AHEAD:
        return at, Quality.GOOD
    if lane is Lane.URGENT or (at >= EARLIEST and ahead <= REFUSED_AHEAD):
        return received_at, Quality.UNCERTAIN_CLOCK
    reason = f"{ahead / 1e6:.0f} s ahead of the hub's clock" if ahead > 0 else "before 2020: the clock was never set"
    raise BadInput(reason, "t", code="time")


def _value(raw: Scalar, point: Point) -> tuple[float | None, str | None, Quality]:
    if isinstance(raw, str):
        return _text(raw, point)
    if point.type == "str":
        return None, str(raw), Quality.BAD_TYPE
    if isinstance(raw, float) and not math.isfinite(raw):
        return None, None, Quality.BAD_NOT_FINITE
    if isinstance(raw, bool) != (point.type == "bool") and not (point.type == "bool" and raw in (0, 1)):
        return None, str(raw), Quality.BAD_TYPE
    if point.type == "int" and raw != math.floor(raw):
        return None, str(raw), Quality.BAD_TYPE
    if point.enum is not None:
        label = point.enum.get(int(raw))
        return float(raw), label, Quality.GOOD if label is not None else Quality.UNCERTAIN_ENUM
    value = float(raw) * point.scale + point.offset
    if not math.isfinite(value):
        return None, None, Quality.BAD_NOT_FINITE
    return value, None, _bounds(value, point)


def _text(raw: str, point: Point) -> tuple[float | None, str | None, Quality]:
    if point.enum is not None:
        for code, label in point.enum.items():
            if label == raw:
                return float(code), label, Quality.GOOD
        return None, raw, Quality.UNCERTAIN_ENUM
    return None, raw, Quality.GOOD if point.type == "str" else Quality.BAD_TYPE


def _bounds(value: float, point: Point) -> Quality:
    inside = point.range is None or point.range[0] <= value <= point.range[1]
    return Quality.GOOD if inside else Quality.BAD_RANGE


def worth_a_row(latest: Latest | None, reading: Reading, report: Report) -> bool:
    """Report by exception: the value moved by more than `change`, the quality changed, or `reassert` has passed."""
    if latest is None or latest.quality != reading.quality or reading.at - latest.stored_at >= report.reassert:
        return True
    return moved(latest, reading, report.change)


def moved(latest: Latest, reading: Reading, change: float) -> bool:
    """Whether the value differs from the latest one by more than `change`."""
    if latest.value is None or reading.value is None:
        return latest.value is not reading.value or latest.text != reading.text
    return abs(reading.value - latest.value) > change
