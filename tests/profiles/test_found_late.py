"""A device on whose press a life may hang is missed soon, or it says everywhere that it cannot be."""

from pathlib import Path

import pytest
import yaml

from hub.config import data_folder
from hub.model import LIFE_SAFETY, SECOND, Lane
from hub.profiles import FOUND_LATE, load_profiles
from hub.profiles_schema import supported
from hub.runtime.profile_check import flags, flags_of, problems

SHIPPED = load_profiles([data_folder("device-profiles")])


def written(tmp_path: Path, **liveness: object) -> Path:
    """The shipped wireless button with another liveness."""
    source = next(data_folder("device-profiles").rglob("tuya-ts0215a-sos.yaml"))
    document = yaml.safe_load(source.read_text("utf-8")) | {"profile": "my-button", "liveness": liveness}
    path = tmp_path / "my-button.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return path


def test_a_beat_so_slow_that_a_dead_button_stays_green_for_a_day_is_refused_without_a_reason(tmp_path: Path) -> None:
    [problem] = problems(written(tmp_path, beat="12h", offline_after="24h"), SHIPPED)
    assert problem.startswith("liveness.offline_after: a dead device stays green for 24 h")


def test_with_its_reason_it_is_flagged(tmp_path: Path) -> None:
    why = {"zh": "电池供电", "en": "on battery"}
    path = written(tmp_path, beat="12h", offline_after="24h", late_because=why)
    assert problems(path, SHIPPED) == []
    assert flags_of(path, SHIPPED) == ["liveness.offline_after: a dead device stays green for 24 h (on battery)"]
    why_not = written(tmp_path, beat="12h", offline_after="24h", late_because={"zh": "battery", "en": "on battery"})
    assert problems(why_not, SHIPPED) == ["liveness.late_because.zh: holds no Chinese"]


def test_one_that_is_missed_within_two_hours_is_not_flagged(tmp_path: Path) -> None:
    path = written(tmp_path, beat="30s", offline_after="90s")
    assert (problems(path, SHIPPED), flags_of(path, SHIPPED)) == ([], [])


@pytest.mark.parametrize("name", sorted(name for name, profile in SHIPPED.items() if profile.lane is Lane.URGENT))
def test_a_shipped_fire_or_panic_profile_is_missed_within_three_minutes_or_flagged_in_the_list(name: str) -> None:
    profile = SHIPPED[name]
    assert any(alarm.signal_class in LIFE_SAFETY for alarm in profile.alarms.values())
    late = profile.liveness.offline_after > FOUND_LATE
    assert late or profile.liveness.offline_after <= 180 * SECOND
    assert bool(flags(profile)) == profile.is_found_late == late
    if not name.startswith("demo-"):
        [row] = [line for line in supported(SHIPPED, []).splitlines() if f"| `{name}` |" in line]
        assert ("⚠" in row) == late


def test_a_camera_whose_silence_is_found_late_is_no_matter_of_life() -> None:
    assert not any(flags(profile) for profile in SHIPPED.values() if profile.lane is Lane.BULK)
