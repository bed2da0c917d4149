"""What the shipped profiles make of traps: they raise, and nothing that a trap says ever clears."""

from typing import Any

import pytest

from drivers.snmp import driver
from drivers.snmp.traps import Notification, Rules
from hub.config import data_folder
from hub.core.alarms import holds
from hub.core.normalise import normalise
from hub.driver import Binding
from hub.model import Lane, Sample, Scalar, Series
from hub.profiles import Profile, load_profiles

PROFILES = {name: one for name, one in load_profiles([data_folder("device-profiles")]).items() if one.driver == "snmp"}
NOW = 1_795_000_000_000_000
DAHUA = "1.3.6.1.4.1.1004849.2"


def bindings(profile: Profile) -> list[Binding]:
    device = driver.Device.model_validate(profile.device)
    return [
        Binding(Series("thing", name), device, driver.Address.model_validate(point.address), point.type)
        for name, point in profile.points.items()
    ]


def raises(profile: Profile, sample: Sample) -> set[str]:
    """The alarms whose condition a sample meets."""
    reading = normalise(sample, profile.points[sample.series.point], NOW, Lane.BULK)
    assert reading.quality.is_good
    alarms = {name: one for name, one in profile.alarms.items() if one.point == sample.series.point}
    return {
        name for name, one in alarms.items() if holds(one.condition, one.deadband, False, reading.value, reading.text)
    }


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_value_that_a_trap_gives_is_none_that_clears_an_alarm(name: str) -> None:
    profile = PROFILES[name]
    for binding in bindings(profile):
        judged = any(alarm.point == binding.series.point for alarm in profile.alarms.values())
        for rule in binding.address.raised_by:
            given: list[Scalar] = [*rule.raises, *([] if rule.value is None else [rule.value])]
            for value in given if judged else []:
                assert raises(profile, Sample(binding.series, NOW, value)), (binding.series.point, value)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_only_traps_raise_latches_because_nothing_else_could_end_it(name: str) -> None:
    profile = PROFILES[name]
    silent = {
        one.series.point
        for one in bindings(profile)
        if one.address.oid is None and one.address.table is None and not one.address.reboot
    }
    assert all(alarm.latching for alarm in profile.alarms.values() if alarm.point in silent)
    assert not silent & {row.point for row in profile.health}
    assert not silent & set(profile.test.seen)


def said(name: str, trap: str, *varbinds: tuple[str, Any], rows: dict[str, dict[str, str]] | None = None) -> Any:
    known = {Series("thing", point): row for point, row in (rows or {}).items()}
    return Rules(bindings(PROFILES[name])).apply(Notification(trap, varbinds), NOW, known)


def test_a_dahua_recorder_raises_the_channel_that_lost_its_picture_when_it_starts_and_not_when_it_stops() -> None:
    lost, action, channel = f"{DAHUA}.11.11.3", f"{DAHUA}.12.1.0", f"{DAHUA}.3.2.1.2.1.1.3"
    meaning = said("dahua-recorder", lost, (action, b"Start"), (f"{DAHUA}.12.2.0", b"2026-11-22"), (channel, 3))
    (sample,) = meaning.samples
    assert sample.series == Series("thing", "video_lost", "3")
    assert raises(PROFILES["dahua-recorder"], sample) == {"video_lost"}
    assert said("dahua-recorder", lost, (action, b"Stop"), (channel, 3)).samples == []
    failed = said("dahua-recorder", f"{DAHUA}.11.13.4", (action, b"Start"), (f"{DAHUA}.4.1.1.3.1", 2))
    assert [one.series.instance for one in failed.samples] == ["2"]


def test_a_ups_on_battery_is_raised_by_its_trap_and_has_its_output_asked_for() -> None:
    meaning = said("apc-powernet-ups", "1.3.6.1.4.1.318.0.5")
    assert [raises(PROFILES["apc-powernet-ups"], one) for one in meaning.samples] == [{"on_battery"}]
    assert meaning.ask == [Series("thing", "output")]
    back = said("apc-powernet-ups", "1.3.6.1.4.1.318.0.9")
    assert (back.samples, back.ask) == ([], [Series("thing", "output")])


def test_a_port_that_goes_down_is_named_as_the_table_names_it() -> None:
    rows = {"port": {"7": "GigabitEthernet0/7"}}
    down = said("if-mib-switch", "1.3.6.1.6.3.1.1.5.3", ("1.3.6.1.2.1.2.2.1.1.7", 7), rows=rows)
    assert [(one.series.instance, one.raw) for one in down.samples] == [("GigabitEthernet0/7", 2)]
    up = said("if-mib-switch", "1.3.6.1.6.3.1.1.5.4", ("1.3.6.1.2.1.2.2.1.1.7", 7), rows=rows)
    assert up.samples == []
    assert {one.point for one in up.ask} == {"port"}
