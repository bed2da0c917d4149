"""What alarm panels print and what binary frames hold, as simulated devices say it: the real driver reads it as it was meant."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial import driver
from drivers.serial.frames import FrameShape, Value
from drivers.serial.settings import Address, Device, Endpoint
from drivers.simulator.binary import frame_of
from drivers.simulator.serial_endpoint import simulator
from hub.driver import Binding, PushLink
from hub.errors import BadInput
from hub.model import Scalar, Series
from hub.runtime.simulation import Ledger, Wish, simulated
from hub.simulation import Part, Place, Played
from hub.testing import eventually
from tests.drivers.simulator.test_faults import PROFILES, listening, plan

SHAPE = {"start": "a55a", "length": {"at": 2, "plus": 0}, "check": {"kind": "crc-16-modbus", "order": "little"}}


@pytest.mark.parametrize(
    ("name", "alarm", "point"),
    [
        ("contact-id-account", "fire", "fire"),
        ("dsc-it100", "smoke", "smoke"),
        ("paradox-prt3", "panic", "panic"),
        ("paradox-prt3-doors", None, "forced"),
    ],
)
async def test_a_panel_says_its_alarm_and_no_other(name: str, alarm: str | None, point: str, tmp_path: Path) -> None:
    profile = PROFILES[name]
    alarm = alarm or next(key for key, one in profile.alarms.items() if one.point == point)
    async with simulated([profile], Wish(seed=2), Place(tmp_path), Ledger(None), lambda _: None) as (device,):
        async with listening(plan(device)) as heard:
            await eventually(lambda: heard.connections)

            async def said() -> bool:
                await device.raise_alarm(alarm)
                return any(one.series.point == point and one.raw is True for one in heard.samples)

            await eventually(said, every=0.2)
            judged = {one.point for one in profile.alarms.values()} - {point}
            assert not [one for one in heard.samples if one.series.point in judged and one.raw is True]
            assert not heard.rejects


def binding(point: str, kind: str = "int", mapped: dict[str, Any] | None = None, **octets: Any) -> Binding:
    address = Address(octets=Value.model_validate(octets), map=mapped)
    return Binding(Series("x", point), Device(), address, kind)


@given(
    st.integers(0, 2**16 - 1), st.booleans(), st.integers(0, 7), st.integers(0, 9999), st.integers(-(2**31), 2**31 - 1)
)
def test_a_frame_is_read_as_the_values_that_it_was_made_of(
    word: int, bit: bool, part: int, digits: int, far: int
) -> None:
    values: list[tuple[Binding, Scalar]] = [
        (binding("word", at=4, type="u16", order="little", when={3: "01"}), word),
        (binding("bit", "bool", at=6, bit=5, when={3: "01"}), bit),
        (binding("part", at=6, mask=0b111, when={3: "01"}), part),
        (binding("digits", at=7, type="bcd", size=2, when={3: "01"}), digits),
        (binding("far", at=9, type="i32", when={3: "01"}), far),
        (binding("state", "str", {"1": "open", "2": "shut"}, at=13, when={3: "01"}), "shut"),
    ]
    shape = FrameShape.model_validate({**SHAPE, "unit": {"at": 14, "type": "u8"}})
    frame = frame_of(shape, "7", values)  # reads itself back
    assert frame[:2] == b"\xa5\x5a"
    assert (frame[2], frame[14]) == (len(frame), 7)


@pytest.mark.parametrize(
    ("value", "raw"),
    [({"at": 4}, 256), ({"at": 4, "mask": 3}, 4), ({"at": 4, "type": "text"}, "long"), ({"at": 400}, 1)],
)
def test_a_value_without_room_is_refused_with_its_point(value: dict[str, Any], raw: Any) -> None:
    shape = FrameShape.model_validate({"start": "a55a", "size": 9, "check": {"kind": "sum8"}})
    with pytest.raises(BadInput, match="it") as refused:
        frame_of(shape, "1", [(binding("it", **value), raw)])
    assert refused.value.code == "unplayable"


async def test_a_device_of_frames_is_played_and_heard(tmp_path: Path) -> None:
    device = Device.model_validate({"frame": {**SHAPE, "unit": {"at": 3, "type": "u8"}}})
    parts = [("open", "bool", {"at": 4, "bit": 3}), ("level", "int", {"at": 5, "type": "i16"})]
    addresses = {name: (kind, Address(octets=Value.model_validate(octets))) for name, kind, octets in parts}
    played = Played(
        "thing",
        device,
        {},
        tuple(Part(name, *of, False, False) for name, of in addresses.items()),
        {"bit_error": 0.3},
        5,
    )
    async with simulator.play(played, Place(tmp_path)) as playing:
        settings = Device.model_validate({"frame": device.frame, **playing.device})
        bindings = [Binding(Series("x", name), settings, of[1], of[0]) for name, of in addresses.items()]
        endpoint = Endpoint.model_validate(playing.endpoint)
        heard: list[tuple[str, Scalar | None]] = []

        async def hear() -> None:
            async with driver.connect(endpoint, bindings) as link:
                assert isinstance(link, PushLink)
                async for delivery in link.deliveries():
                    heard.extend((one.series.point, one.raw) for one in delivery.samples)
                    await delivery.settle()

        task = asyncio.create_task(hear(), name="test hears")

        async def said() -> bool:
            await playing.show({("open", ""): True, ("level", ""): -7})
            return len(heard) >= 10 and bool(playing.spoilt["bit_error"])

        try:
            await eventually(said)
        finally:
            task.cancel()
            await asyncio.wait([task])
        assert set(heard) == {("open", True), ("level", -7)}
