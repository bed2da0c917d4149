"""The driver `rtsp` against a server that we did not write, and one that means no good."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.rtsp import driver, link
from hub.config import data_folder
from hub.core.rehearsal import rehearse
from hub.driver import Binding, PollLink
from hub.errors import LinkDown
from hub.model import Sample, Series
from hub.profiles import load_profiles
from hub.testing import eventually
from tests.drivers.rtsp.front import HEIGHT, PASSWORD, RATE, WIDTH, Front, binding, endpoint

OVERLAY = (0.0, 0.0, 0.1, 0.09)


def told(samples: Sequence[Sample]) -> dict[str, Any]:
    return {one.series.point: one.raw if one.error is None else one.error for one in samples}


async def look(front: Front, *bindings: Binding, **settings: Any) -> dict[str, Any]:
    async with driver.connect(endpoint(front.port, **settings), bindings) as opened:
        assert isinstance(opened, PollLink)
        return told(await opened.read([one.series for one in bindings]))


def everything(kind: str, **device: Any) -> list[Binding]:
    figures = driver.Address.model_json_schema()["properties"]["figure"]["enum"]
    return [binding(figure, kind, **device) for figure in figures]


async def test_a_moving_picture_flows_and_is_neither_frozen_nor_black(front: Front) -> None:
    seen = await look(front, *everything("moving"), window_s=3.0)
    assert seen.pop("fps") == pytest.approx(RATE, rel=0.1)
    assert seen.pop("bitrate") > 5
    assert 60 < seen.pop("luma") < 180
    assert seen.pop("longest_stall") < 3
    assert "overlay" in seen.pop("overlay_moving")
    assert seen == {
        "flowing": True,
        "decodable": True,
        "width": WIDTH,
        "height": HEIGHT,
        "codec": "h264",
        "decode_errors": 0,
        "frozen": 0.0,
        "black": 0.0,
    }


async def test_a_frozen_picture_flows_and_is_frozen(front: Front) -> None:
    points = [binding(figure, "frozen", overlay=OVERLAY) for figure in ("flowing", "frozen", "black", "overlay_moving")]
    assert await look(front, *points, window_s=2.5) == {
        "flowing": True,
        "frozen": 1.0,
        "black": 0.0,
        "overlay_moving": 0.0,
    }


async def test_a_still_room_with_a_running_clock_in_its_corner_is_not_frozen(front: Front) -> None:
    points = [binding(figure, "clock", overlay=OVERLAY) for figure in ("frozen", "overlay_moving")]
    assert await look(front, *points, window_s=2.5) == {"frozen": pytest.approx(0, abs=0.34), "overlay_moving": 1.0}


async def test_a_black_picture_is_black(front: Front) -> None:
    points = [binding(figure, "black") for figure in ("flowing", "black", "luma")]
    assert await look(front, *points) == {"flowing": True, "black": 1.0, "luma": pytest.approx(0, abs=3)}


async def test_one_stream_that_is_not_there_does_not_spoil_its_neighbour(front: Front) -> None:
    seen = await look(front, binding("width", "nowhere"), binding("height", "moving"))
    assert seen == {"width": "the server has no such stream", "height": HEIGHT}


async def test_one_stream_that_is_refused_does_not_spoil_its_neighbour(front: Front) -> None:
    front.forbidden = "/frozen.mkv"
    seen = await look(front, binding("width", "frozen"), binding("height", "moving"))
    assert seen == {"width": "the server refuses this user this stream", "height": HEIGHT}


async def test_a_server_that_promises_pictures_and_sends_none_does_not_flow(front: Front) -> None:
    front.mute_after = "PLAY"
    points = binding("flowing"), binding("decodable"), binding("fps")
    seen = await look(front, *points, timeout_s=2.5)
    assert seen == {"flowing": False, "decodable": False, "fps": "the server is there and sends no pictures"}


async def test_a_stream_that_ends_does_not_flow(front: Front) -> None:
    ended = binding("flowing", "frozen", path="/frozen.mkv?play_count=1")
    assert await look(front, ended, window_s=6.0) == {"flowing": False}


async def test_points_asked_within_a_moment_share_one_look(front: Front) -> None:
    points = [binding("width"), binding("height")]
    async with driver.connect(endpoint(front.port, fresh_s=60.0), points) as opened:
        assert isinstance(opened, PollLink)
        first = [*await opened.read([points[0].series]), *await opened.read([points[1].series])]
        assert await opened.read([points[0].series]) == first[:1]
    assert front.questions.count("PLAY") == 1


@pytest.mark.parametrize(
    ("said", "why"), [(b"HTTP/1.1 400 Bad\r\n\r\n", "no RTSP server"), (b"x" * 9000, "no RTSP server")]
)
async def test_what_is_no_rtsp_server_is_a_link_down(front: Front, said: bytes, why: str) -> None:
    front.instead = said
    with pytest.raises(LinkDown, match=why):
        await look(front, binding("width"))


async def test_a_server_that_speaks_nonsense_is_seen_as_one_without_a_stream(front: Front) -> None:
    front.instead = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\nnope"
    seen = await look(front, binding("flowing"), binding("fps"), timeout_s=2.5)
    assert seen["flowing"] is False
    assert seen["fps"] in link._WHY.values()


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(number) for number in (task / "children").read_text().split()}
    return found


async def test_a_look_that_is_given_up_leaves_no_process(front: Front) -> None:
    before = _children()
    points = [binding("width")]
    async with driver.connect(endpoint(front.port, window_s=30.0), points) as opened:
        assert isinstance(opened, PollLink)
        reading = asyncio.create_task(opened.read([points[0].series]))
        await eventually(lambda: "PLAY" in front.questions)
        assert _children() - before
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await eventually(lambda: _children() <= before)


async def test_the_process_that_looks_can_write_no_file_and_dump_no_memory(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The limits as the kernel knows them, read while it looks."""
    before = _children()
    points = [binding("width")]
    async with driver.connect(endpoint(front.port, window_s=30.0), points) as opened:
        assert isinstance(opened, PollLink)
        reading = asyncio.create_task(opened.read([points[0].series]))
        await eventually(lambda: "PLAY" in front.questions)
        (child,) = _children() - before
        limits = {
            line[:26].strip(): line[26:].split()[0]
            for line in Path(f"/proc/{child}/limits").read_text().splitlines()[1:]
        }
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        reading.cancel()
        await asyncio.wait({reading})
    assert (limits["Max file size"], limits["Max core file size"]) == ("0", "0")
    assert int(limits["Max address space"]) <= 2 * 1024**3
    assert PASSWORD.encode() not in command
    assert b"rtsp://" not in command


async def test_a_look_that_never_ends_is_ended(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hanging = tmp_path / "hang.py"
    hanging.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(link, "_PROBE", hanging)
    monkeypatch.setattr(link, "_SPARE_S", -2.0)
    seen = await look(front, binding("flowing"), binding("fps"), timeout_s=1.0)
    assert seen == {"flowing": False, "fps": "looking at the stream took too much time or memory"}


async def test_a_decoder_that_crashes_takes_nothing_with_it(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crashing = tmp_path / "crash.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(link, "_PROBE", crashing)
    seen = await look(front, binding("flowing"), binding("fps"))
    assert seen == {"flowing": False, "fps": "looking at the stream took too much time or memory"}


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"{}", b'{"failed": "x"}', b'{"failed": ["denied"]}', b'{"figures": {"luma": [1]}}', b'{"figures": {"codec": "%s"}}' % (b"x" * 99)])  # fmt: skip
def test_only_figures_are_taken_from_a_look(line: bytes) -> None:
    assert link.parse(line) == {"failed": "nonsense"}, "what a look says may hold anything: nothing of it goes on"
    assert link.parse(json.dumps({"figures": {"luma": 1.5, "fps": None}}).encode()) == {
        "figures": {"luma": 1.5, "fps": None}
    }


def test_nothing_of_a_look_is_left_on_disk() -> None:
    assert "open(" not in Path(link._PROBE).read_text().replace("av.open(", "")
    assert os.path.basename(link._PROBE) == "probe.py"


async def test_the_profile_of_a_camera_with_rtsp_judges_frozen_and_small_pictures(front: Front) -> None:
    """Its points as the hub reads them, of a real stream: 320 x 240, and nothing moves."""
    profile = load_profiles([data_folder("device-profiles")])["rtsp-camera"]
    device = driver.Device.model_validate({**profile.device, "path": "/frozen.mkv?play_count=99"})
    points = [
        Binding(Series("thing", name), device, driver.Address.model_validate(point.address), point.type)
        for name, point in profile.points.items()
    ]
    async with driver.connect(endpoint(front.port, window_s=2.5), points) as opened:
        assert isinstance(opened, PollLink)
        samples = await opened.read([one.series for one in points])
    outcome = rehearse(profile, samples, samples[0].at + 1_000_000)
    bad = {one.series.point for one in outcome.readings if not one.quality.is_good}
    assert bad == {"overlay_moving"}, "nobody said where the overlay is"
    assert {alarm.definition for alarm in outcome.alarms} == {"frozen", "not_high_definition"}
