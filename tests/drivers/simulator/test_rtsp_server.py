"""The synthetic camera: the real driver sees what is shown, a picture that is broken on demand is survived, the server leaves nothing behind."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.rtsp import Picture, RtspServer, payloads_of, units_of
from drivers.simulator.rtsp_endpoint import read_stream
from hub.driver import PollLink
from hub.errors import BadInput, DriverError
from hub.model import Scalar
from hub.runtime.simulation import Ledger, Simulated, Wish, simulated
from hub.simulation import Place
from hub.testing import eventually
from tests.drivers.simulator.test_faults import PROFILES, plan


async def seen(device: Simulated) -> dict[str, Scalar | None]:
    way = plan(device, window_s=2.5, timeout_s=5.0)
    async with way.driver.connect(way.endpoint, way.bindings) as link:
        assert isinstance(link, PollLink)
        return {one.series.point: one.raw for one in await link.read([one.series for one in way.bindings])}


async def test_a_played_camera_is_seen_to_freeze_and_to_move_again_and_its_broken_pictures_are_counted(
    tmp_path: Path,
) -> None:
    asked = Wish(seed=3, faults={"bit_error": 0.1, "half_frame": 0.1, "silence": 0.1})
    async with simulated([PROFILES["rtsp-camera"]], asked, Place(tmp_path), Ledger(None), lambda _: None) as (device,):
        assert set(device.playable) == {"no_video", "frozen", "black", "not_high_definition"}
        await device.raise_alarm("frozen")
        frozen = await seen(device)
        await device.clear_alarm("frozen")
        assert frozen["flowing"] is True

        async def moves() -> bool:
            return (await seen(device))["frozen"] == 0

        await eventually(moves, 60)
        assert device.playing.spoilt


async def test_a_stream_that_is_cut_on_demand_is_no_stream_that_flows(tmp_path: Path) -> None:
    asked = Wish(seed=3, faults={"reset_mid_frame": 0.3})
    async with simulated([PROFILES["rtsp-camera"]], asked, Place(tmp_path), Ledger(None), lambda _: None) as (device,):
        try:
            assert (await seen(device))["flowing"] is False
        except DriverError:
            pass
        assert device.playing.spoilt["reset_mid_frame"]


async def test_nonsense_and_a_caller_that_hangs_up_cost_only_their_connection() -> None:
    before = asyncio.all_tasks()
    async with RtspServer("127.0.0.1", Picture(flows=False)) as server:
        for said in (
            b"\r\n\r\n",
            b"X\r\n\r\n",
            b"$\0\xff",
            b"\xff" * 20_000,
            b"SETUP rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(said)
            writer.write_eof()
            async with asyncio.timeout(20):
                answer = await reader.read()
            assert (
                answer.startswith(b"RTSP/1.0 461")
                if said.startswith(b"SETUP")
                else not answer.startswith(b"RTSP/1.0 2")
            )
            writer.close()
    await eventually(lambda: asyncio.all_tasks() <= before)


@given(st.binary(min_size=1, max_size=5_000))
def test_fragments_hold_the_unit(unit: bytes) -> None:
    parts = payloads_of(unit)
    if len(parts) == 1:
        assert parts == [unit]
        return
    assert [part[1] >> 6 for part in parts] == [2, *[0] * (len(parts) - 2), 1]
    assert bytes((parts[0][0] & 0xE0 | parts[0][1] & 0x1F,)) + b"".join(part[2:] for part in parts) == unit


def test_units_stand_between_start_codes() -> None:
    assert units_of(b"\0\0\0\1\x67\1\0\0\1\x68\2\0\0\0\1\x65\3") == (b"\x67\1", b"\x68\2", b"\x65\3")


@pytest.mark.parametrize("text", ["look: blue", "width: 63", "- 1", "colour: red", "look: ["])
def test_a_bad_stream_of_a_case_is_refused_with_file_and_key(text: str) -> None:
    with pytest.raises(BadInput, match=r"stream\.yaml"):
        read_stream(text)


@given(st.dictionaries(st.sampled_from(["look", "width", "height", "flows"]), st.text() | st.integers() | st.none()))
def test_any_stream_is_read_or_refused(document: dict[str, Any]) -> None:
    try:
        assert read_stream(yaml.safe_dump(document)).width <= 1920
    except BadInput:
        pass
