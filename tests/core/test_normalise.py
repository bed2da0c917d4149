"""Samples become readings, with the quality they deserve."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.normalise import EARLIEST, Latest, normalise, worth_a_row
from hub.errors import BadInput
from hub.model import Lane, Quality, Sample, Scalar, Series
from hub.profiles import Point, Report, Title

NOW = 1_795_000_000_000_000
SECOND = 1_000_000
SERIES = Series("d-1", "value")


def point(**values: object) -> Point:
    return Point.model_validate({"title": Title(zh="值", en="value"), "type": "float"} | values)


def read(raw: Scalar | None, about: Point, at: int = NOW, lane: Lane = Lane.BULK) -> tuple[float | None, Quality]:
    reading = normalise(Sample(SERIES, at, raw), about, NOW, lane)
    return reading.value, reading.quality


def test_scale_offset_and_bounds_are_applied_in_this_order() -> None:
    assert read(215, point(type="int", scale=0.5, offset=-1, range=(0, 200))) == (106.5, Quality.GOOD)
    assert read(900, point(type="int", scale=0.5, range=(0, 50))) == (450.0, Quality.BAD_RANGE)


def test_a_reading_of_zero_is_a_reading() -> None:
    assert read(0, point()) == (0.0, Quality.GOOD)
    assert read(False, point(type="bool")) == (0.0, Quality.GOOD)


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_bad_and_has_no_value(raw: float) -> None:
    assert read(raw, point()) == (None, Quality.BAD_NOT_FINITE)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [("12", "float"), (True, "int"), (True, "float"), (2, "bool"), (1.5, "int"), (7, "str"), ("x", "bool")],
)
def test_a_wrong_type_is_bad_and_never_guessed(raw: Scalar, kind: str) -> None:
    assert read(raw, point(type=kind)) == (None, Quality.BAD_TYPE)


def test_an_enumeration_takes_its_codes_and_its_labels() -> None:
    state = point(type="int", enum={0: "normal", 1: "fire"})
    reading = normalise(Sample(SERIES, NOW, 1), state, NOW, Lane.BULK)
    assert (reading.value, reading.text, reading.quality) == (1.0, "fire", Quality.GOOD)
    assert read("fire", state) == (1.0, Quality.GOOD)
    assert read(9, state) == (9.0, Quality.UNCERTAIN_ENUM)


def test_a_point_that_could_not_be_read_is_kept_with_its_reason() -> None:
    reading = normalise(Sample(SERIES, NOW, None, "noSuchObject"), point(), NOW, Lane.BULK)
    assert (reading.value, reading.text, reading.quality) == (None, "noSuchObject", Quality.BAD_DEVICE)


@pytest.mark.parametrize("at", [EARLIEST - 1, 0, -5, NOW + 301 * SECOND, 2**62])
def test_an_impossible_time_is_refused_in_bulk_and_never_swallows_a_press(at: int) -> None:
    with pytest.raises(BadInput) as refusal:
        read(1.0, point(), at)
    assert refusal.value.code == "time"
    reading = normalise(Sample(SERIES, at, 1.0), point(), NOW, Lane.URGENT)
    assert (reading.at, reading.value, reading.quality) == (NOW, 1.0, Quality.UNCERTAIN_CLOCK)


def test_a_clock_a_little_ahead_is_kept_and_a_clock_minutes_ahead_gets_the_hubs_time() -> None:
    assert normalise(Sample(SERIES, NOW + 5 * SECOND, 1.0), point(), NOW, Lane.BULK).at == NOW + 5 * SECOND
    reading = normalise(Sample(SERIES, NOW + 60 * SECOND, 1.0), point(), NOW, Lane.BULK)
    assert (reading.at, reading.quality) == (NOW, Quality.UNCERTAIN_CLOCK)


def test_age_is_no_reason_to_refuse() -> None:
    assert normalise(Sample(SERIES, EARLIEST, 1.0), point(), NOW, Lane.BULK).quality is Quality.GOOD


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=20)), st.data())
def test_no_value_whatever_makes_a_good_reading_that_is_not_finite(raw: Scalar, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["bool", "int", "float", "str"]))
    scale = data.draw(st.sampled_from([1.0, 1e300, 0.1]))
    reading = normalise(Sample(SERIES, NOW, raw), point(type=kind, scale=scale), NOW, Lane.BULK)
    if reading.value is not None:
        assert math.isfinite(reading.value)
    elif reading.quality.is_good:
        assert kind == "str"


def test_by_exception_only_changes_quality_and_reassertions_are_rows() -> None:
    report = Report(change=0.5, reassert="10m")
    base = normalise(Sample(SERIES, NOW, 20.0), point(), NOW, Lane.BULK)
    latest = Latest(NOW, 20.0, None, Quality.GOOD, NOW, NOW)
    assert worth_a_row(None, base, report)
    assert not worth_a_row(latest, base._replace(at=NOW + SECOND, value=20.5), report)
    assert worth_a_row(latest, base._replace(at=NOW + SECOND, value=20.51), report)
    assert worth_a_row(latest, base._replace(at=NOW + 600 * SECOND), report)
    assert worth_a_row(latest, base._replace(at=NOW + SECOND, quality=Quality.BAD_RANGE), report)
