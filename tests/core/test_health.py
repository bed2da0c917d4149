"""What is wrong with a device whose points have rows."""

from hub.config import data_folder
from hub.core.health import Faults, diagnose, function_of
from hub.model import FunctionState, Quality, Reading, Series
from hub.profiles import load_profiles

PROFILES = load_profiles([data_folder("device-profiles")])
UPS = PROFILES["rfc1628-ups"]


def after(*said: tuple[str, Quality]) -> set[str]:
    """The instances at fault after these readings of one point, by instance."""
    faults: Faults = {}
    for at, (instance, quality) in enumerate(said):
        value = 1.0 if quality.is_good else None
        faults = diagnose(faults, UPS, Reading(Series("ups", "load", instance), at, at, value, None, quality))
    return {instance for _, instance, _ in faults}


def test_a_table_that_could_not_be_read_is_well_again_with_the_first_row_that_can() -> None:
    bad, good = Quality.BAD_DEVICE, Quality.GOOD
    assert after(("", bad)) == {""}
    assert after(("", bad), ("1", good)) == set()
    assert after(("1", good), ("", bad)) == {""}
    assert after(("1", bad), ("2", good)) == {"1"}


def test_a_press_that_nobody_could_read_makes_the_button_unproven_until_one_is_read() -> None:
    """Degraded counts as coverage: a button whose presses come in a form that nobody understands must not be green."""
    button = PROFILES["tuya-ts0215a-sos"]
    faults: Faults = {}
    for at, (point, quality, state) in enumerate(
        [
            ("battery", Quality.BAD_TYPE, FunctionState.DEGRADED),
            ("battery", Quality.GOOD, FunctionState.OK),
            ("press", Quality.BAD_TYPE, FunctionState.UNPROVEN),
            ("battery", Quality.GOOD, FunctionState.UNPROVEN),
            ("press", Quality.GOOD, FunctionState.OK),
        ]
    ):
        value = 50.0 if quality.is_good else None
        faults = diagnose(faults, button, Reading(Series("sos", point), at, at, value, None, quality))
        assert function_of(faults, proven=True)[0] is state
