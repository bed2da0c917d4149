"""What is wrong with a device whose points have rows."""

from hub.config import data_folder
from hub.core.health import Faults, diagnose
from hub.model import Quality, Reading, Series
from hub.profiles import load_profiles

UPS = load_profiles([data_folder("device-profiles")])["rfc1628-ups"]


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
