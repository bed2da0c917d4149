"""What simulated devices of every shipped profile say: at rest nothing is alarming, and what shall alarm does."""

import random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.playing import Key, alarming, at_rest, drifted, is_event, keys
from hub.core.rehearsal import Outcome, rehearse
from hub.core.site_manifest import Sited, manifest_of
from hub.manifest import Manifest
from hub.model import Sample, Scalar, Series
from hub.profiles import BUILT_IN, Profile, Record, load_profiles

PROFILES = {n: p for n, p in load_profiles([data_folder("device-profiles")]).items() if not n.startswith("demo-")}
each = pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
NOW = 1_795_000_000_000_000


def heard(profile: Profile, values: dict[Key, Scalar]) -> Outcome:
    said = [Sample(Series("thing", point, instance), NOW, raw) for (point, instance), raw in values.items()]
    return rehearse(profile, said, NOW)


@each
def test_a_device_at_rest_gives_good_values_of_all_its_points_and_no_alarm(profile: Profile) -> None:
    values = at_rest(profile, ("1", "2"), 12.0)
    told = {key for key in keys(profile, ("1", "2")) if profile.points[key[0]].record is not Record.EVENT}
    assert values.keys() == told
    outcome = heard(profile, values)
    assert not outcome.refused
    assert all(reading.quality.is_good for reading in outcome.readings), outcome.readings
    assert [alarm.definition for alarm in outcome.alarms] == []


@each
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_values_move_within_their_bounds_and_never_into_an_alarm_the_same_with_the_same_seed(
    profile: Profile, seed: int
) -> None:
    def walk() -> dict[Key, Scalar]:
        dice = random.Random(seed)
        values = at_rest(profile, ("1",), 0.0)
        for turn in range(20):
            values = drifted(profile, values, float(turn), dice.random)
        return values

    values = walk()
    assert values == walk()
    outcome = heard(profile, values)
    assert all(reading.quality.is_good for reading in outcome.readings)
    assert not outcome.alarms


@each
def test_every_alarm_but_those_of_silence_and_clock_can_be_raised(profile: Profile) -> None:
    for name, definition in profile.alarms.items():
        values = alarming(profile, name, ("1", "2"))
        if definition.point in BUILT_IN:
            assert values is None
            continue
        assert values is not None, name
        assert is_event(profile, values) is (profile.points[definition.point].record is Record.EVENT)
        assert name in {alarm.definition for alarm in heard(profile, values).alarms}


def test_the_manifest_of_simulated_sites_is_one_and_holds_no_secret() -> None:
    profile = PROFILES["rfc1628-ups"]
    agent = {"host": "127.0.0.1", "port": 1161, "user": "sim", "auth_key": "hidden-1", "priv_key": "hidden-2"}
    mqtt = {"host": "127.0.0.1", "password": "hidden-3", "client_id": "replay-1"}
    smoke = PROFILES["heiman-hs1sa"]
    devices = [
        Sited("sim-001-ups", "sim-001", profile, agent, frozenset({"auth_key", "priv_key"}), {}),
        *(
            Sited(f"{site}-{n}", site, smoke, mqtt, frozenset({"password"}), {"topic": f"sim/{site}/{n}"})
            for site in ("sim-001", "sim-002")
            for n in (1, 2)
        ),
    ]
    document, variables = manifest_of(devices, "http://127.0.0.1:9/", "hidden-0")
    assert "hidden" not in str(document)
    assert sorted(variables.values()) == ["hidden-0", "hidden-1", "hidden-2", "hidden-3", "hidden-3"]
    manifest = Manifest.model_validate(yaml.safe_load(yaml.safe_dump(document)))
    assert [len(site.devices) for site in manifest.institutions] == [3, 2]
    assert [[end.id for end in site.endpoints] for site in manifest.institutions] == [
        ["sim-001-ups", "sim-001-mqtt"],
        ["sim-002-mqtt"],
    ]
    clients = {end.settings.get("client_id") for site in manifest.institutions for end in site.endpoints}
    assert clients == {None, "sim-001-edge-mqtt", "sim-002-edge-mqtt"}
