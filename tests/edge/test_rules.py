"""Local rules with a real broker that goes, and a real siren: a coil of a Modbus server that we did not write."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub import bundle
from hub.bundle import LocalRule
from hub.core import backoff, local_rules
from hub.edge import uplink
from hub.edge.rules import LocalRules
from hub.errors import BadInput
from hub.model import Lane, Reject, Sample, Series
from hub.testing import eventually
from tests.brokers import OwnBroker
from tests.edge.conftest import NOW
from tests.edge.fake_hub import FakeHub, serving
from tests.edge.sites import Device, bundle_in, device, document, endpoint, offer, point, publish, running

TITLE = {"zh": "火", "en": "fire"}


@pytest.fixture
def detector() -> Iterator[Device]:
    with device() as peer:
        yield peer


@pytest.fixture
def siren() -> Iterator[Device]:
    with device() as peer:
        yield peer


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute of silence is the least that a bundle takes: here it is four seconds."""
    monkeypatch.setattr(bundle, "MIN_AFTER", 1)
    monkeypatch.setattr(uplink, "LONGEST", 0.5)
    monkeypatch.setattr(local_rules, "LONGEST_PAUSE", 0.5)
    monkeypatch.setattr(random, "random", lambda: 0.01)
    monkeypatch.setattr(backoff, "SHORTEST", 0.001)


def fire_watch(**changes: Any) -> dict[str, Any]:
    alarm = {
        "title": TITLE,
        "class": "fire",
        "priority": "critical",
        "point": "smoke",
        "condition": {"equals": 1},
        "response": TITLE,
    }
    reads = {"title": TITLE, "type": "int"}
    return {
        "device": "detector-device",
        "definition": "fire",
        "alarm": {**alarm, **changes},
        "reads": reads,
        "classes": ["fire"],
    }


def site(broker: OwnBroker, detector: Device, siren: Device, **changes: Any) -> dict[str, Any]:
    rule = {"id": "siren", "siren": "siren-device", "point": "sounder", "value": True, "after": 4_000_000}
    return document(
        broker.port,
        endpoint("detector", detector.port, point("smoke"), lane="urgent"),
        endpoint("siren", siren.port, point("sounder", table="coil", writable=True)),
        **{"local_rules": [{**rule, "watches": [fire_watch()]}], **changes},
    )


def told(hub: FakeHub) -> list[object]:
    return hub.values(Lane.BULK, "local_siren")


async def test_a_fire_while_the_hub_is_away_sounds_the_siren_which_nobody_silences_and_the_centre_learns_of_it(
    tmp_path: Path, broker: OwnBroker, detector: Device, siren: Device
) -> None:
    hub = FakeHub()
    async with running(site(broker, detector, siren), tmp_path):
        async with serving(hub, broker.as_user()):
            detector.set_fire(True)
            await eventually(lambda: 1 in hub.values(Lane.URGENT, "smoke"))
            count = len(hub.values(Lane.URGENT, "beat"))
            await eventually(lambda: len(hub.values(Lane.URGENT, "beat")) > count + 20)
            assert not siren.siren, "the centre has it"
        await eventually(lambda: siren.siren, deadline=60)
        detector.set_fire(False)
        async with serving(hub, broker.as_user()):
            await eventually(lambda: told(hub))
            await eventually(lambda: hub.values(Lane.URGENT, "smoke")[-1] == 0)
        assert told(hub) == ["siren: siren-device/sounder sounded for detector-device/fire, read back"]
        assert siren.siren, "neither the end of the fire nor the hub silences it"


async def test_a_siren_that_cannot_be_reached_is_tried_again_until_it_can(
    tmp_path: Path, broker: OwnBroker, detector: Device, siren: Device
) -> None:
    siren.server.stop()
    detector.set_fire(True)
    hub = FakeHub()
    with structlog.testing.capture_logs() as logs:
        async with running(site(broker, detector, siren), tmp_path):
            await eventually(lambda: any(line["event"] == "rules.siren_failed" for line in logs), deadline=60)
    async with running(site(broker, detector, siren), tmp_path):
        siren.server.start()
        await eventually(lambda: siren.siren, deadline=60)
        async with serving(hub, broker.as_user()):
            await eventually(lambda: len(told(hub)) == 2)
    failed, sounded = told(hub)
    assert "could not be sounded" in str(failed)
    assert "sounded for detector-device/fire, read back" in str(sounded)


async def test_a_rule_that_comes_with_a_configuration_holds_at_once(
    tmp_path: Path, broker: OwnBroker, detector: Device, siren: Device
) -> None:
    hub = FakeHub()
    async with running(site(broker, detector, siren, local_rules=[]), tmp_path):
        async with serving(hub, broker.as_user()):
            await publish(broker, offer(2, site(broker, detector, siren)))
            await eventually(lambda: 2 in hub.values(Lane.BULK, "config_version"))
        detector.set_fire(True)
        await eventually(lambda: siren.siren, deadline=60)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"watches": [fire_watch(**{"class": "panic"})]}, "for fire"),
        ({"watches": [{**fire_watch(), "classes": ["fire", "panic"]}]}, "panic"),
        ({"watches": []}, "watches"),
        ({"siren": "detector-device", "point": "smoke"}, "no writable point"),
        ({"siren": "nobody"}, "no writable point"),
        ({"after": 200_000}, "three beats"),
        ({"watches": [{**fire_watch(), "device": "elsewhere"}]}, "not read by this edge"),
    ],
)
def test_a_bundle_with_a_rule_that_must_not_be_is_refused(change: dict[str, Any], why: str) -> None:
    rule = {"id": "siren", "siren": "siren-device", "point": "sounder", "value": True, "after": 120_000_000}
    sounder = point("sounder", table="coil", writable=True)
    ends = (endpoint("detector", 1, point("smoke")), endpoint("siren", 2, sounder))
    with pytest.raises(BadInput, match=why):
        bundle_in(document(1, *ends, local_rules=[{**rule, "watches": [fire_watch()], **change}]))


@pytest.mark.parametrize(
    "odd",
    [
        Sample(Series("detector-device", "smoke"), NOW, 10**400),
        Sample(Series("detector-device", "smoke"), None, 1),  # type: ignore[arg-type]
        Sample(None, NOW, 1),  # type: ignore[arg-type]
    ],
)
async def test_what_a_rule_cannot_judge_goes_on_to_the_sink_with_its_neighbours(odd: Sample, tmp_path: Path) -> None:
    class Kept:
        def __init__(self) -> None:
            self.samples: list[Sample] = []

        async def put(self, lane: Lane, samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> None:
            self.samples += samples

    kept = Kept()
    watches = [fire_watch()]
    rule = LocalRule.model_validate(
        {"id": "r", "siren": "s", "point": "p", "value": True, "after": 6_000_000, "watches": watches}
    )
    rules = LocalRules("edge-1", kept, None, lambda: NOW)  # type: ignore[arg-type]
    rules.adopt([rule])
    press = Sample(Series("detector-device", "smoke"), NOW, 1)
    await rules.put(Lane.URGENT, [odd, press])
    assert kept.samples == [odd, press]
    assert rules._states["r"][1].active
