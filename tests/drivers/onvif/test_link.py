"""The driver `onvif` against ipycam, our simulator, and peers that mean no good."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import onvif.client
import pytest
from zeep import Settings

from drivers.onvif import driver, link
from drivers.onvif.soap import conversation
from drivers.simulator.onvif import Footage, OnvifDevice, Stream, WsDiscovery
from hub.driver import Binding, PollLink, PushLink
from hub.errors import AccessDenied, LinkDown, ProtocolFault
from hub.model import Delivery, Sample, Scalar
from hub.testing import eventually
from tests.drivers.onvif.cameras import HOST, PASSWORD, USER, Ipycam, binding, endpoint

DAY = 86_400.0
MOTION = "tns1:VideoSource/MotionAlarm"


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with OnvifDevice(user=USER, password=PASSWORD) as device:
        yield device


async def ask(port: int, *bindings: Binding, **settings: Any) -> dict[str, Scalar | None]:
    async with driver.connect(endpoint(port, **settings), bindings) as link:
        assert isinstance(link, PollLink)
        return told(await link.read([one.series for one in bindings]))


def told(samples: Sequence[Sample]) -> dict[str, Any]:
    return {one.series.point: one.raw if one.error is None else one.error for one in samples}


# ---- what it reads ----


async def test_a_camera_that_we_did_not_write_tells_what_it_is_and_streams() -> None:
    async with Ipycam(main_width=1280, main_height=720, main_fps=25, main_bitrate="2M", sub_width=640) as camera:
        found = await ask(
            camera.port,
            binding("maker", "str", device="manufacturer"),
            binding("width", "int", media="width"),
            binding("hd", "bool", media="hd"),
            binding("fps", media="fps"),
            binding("bitrate", "int", media="bitrate"),
            binding("codec", "str", media="encoding"),
            binding("sub", "int", media="width", profile="SubStream"),
            binding("source", "int", {"source": "another"}, media="profiles"),
            binding("clock", clock="offset"),
            binding("days", recording="days"),
            binding("overlay", "bool", osd="time"),
        )
    assert abs(found.pop("clock")) < 2  # type: ignore[arg-type]
    assert "no search service" in str(found.pop("days"))
    assert "refuses" in str(found.pop("overlay"))
    assert found == {
        "maker": "PythonCam",
        "width": 1280,
        "hd": True,
        "fps": 25.0,
        "bitrate": 2000,
        "codec": "H264",
        "sub": 640,
        "source": 0,
    }


async def test_a_recorder_tells_how_far_back_it_reaches_and_what_is_missing(device: OnvifDevice) -> None:
    now = time.time()
    device.footage = [
        Footage("a", [(now - 95 * DAY, now - 10 * DAY), (now - 9 * DAY, now)]),
        Footage("b", [(now - 40 * DAY, now - 20 * DAY), (now - 19.5 * DAY, now - 3600)], recording=False),
    ]
    points = ("days", "newest_age", "gaps", "gap_seconds", "longest_gap", "oldest", "recording")
    everything = await ask(device.port, *(binding(point, recording=point) for point in points))
    assert everything.pop("days") == pytest.approx(40, abs=0.1)
    assert everything.pop("newest_age") == pytest.approx(3600, abs=10)
    # before b begins, in a, in b, and since b has ended
    assert everything.pop("gaps") == 4
    assert everything.pop("gap_seconds") == pytest.approx(51.5 * DAY + 3600, abs=10)
    assert everything.pop("longest_gap") == pytest.approx(50 * DAY, abs=10)
    assert everything.pop("oldest") == pytest.approx(now - 40 * DAY, abs=10)
    assert everything.pop("recording") is False
    one = await ask(device.port, *(binding(p, of={"recording": "a"}, recording=p) for p in ("days", "gap_seconds")))
    assert one == {"days": pytest.approx(95, abs=0.1), "gap_seconds": pytest.approx(DAY, abs=10)}
    none = await ask(device.port, *(binding(p, of={"recording": "x"}, recording=p) for p in ("days", "gaps")))
    assert set(none.values()) == {"the device has no such recording"}


async def test_a_search_that_never_ends_is_not_believed(device: OnvifDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    device.set_footage(90)
    monkeypatch.setattr(device, "_recordings", lambda _: "<tse:R><tse:ResultList><tt:SearchState>Searching</tt:SearchState></tse:ResultList></tse:R>")  # fmt: skip
    found = await ask(device.port, binding("days", recording="days"), binding("model", "str", device="model"))
    assert found == {"days": "the search was not complete after 40 answers", "model": "Simulated camera"}


@pytest.mark.parametrize("http_digest", [False, True])
async def test_a_clock_that_is_years_off_is_told_and_does_not_keep_us_out(http_digest: bool) -> None:
    async with OnvifDevice(user=USER, password=PASSWORD, clock_offset=-9e7, http_digest=http_digest) as device:
        found = await ask(device.port, binding("clock", clock="offset"), binding("model", "str", device="model"))
    assert found == {"clock": pytest.approx(-9e7, abs=5), "model": "Simulated camera"}


async def test_a_device_without_users_is_asked_without_one() -> None:
    async with OnvifDevice() as device:
        found = await ask(device.port, binding("model", "str", device="model"), username=None, password=None)
    assert found == {"model": "Simulated camera"}


async def test_what_a_user_may_not_ask_costs_only_that_and_wrong_credentials_everything(device: OnvifDevice) -> None:
    async def forbid(operation: str) -> None:
        if operation == "GetProfiles":
            device.password = "for a moment"
        else:
            device.password = PASSWORD

    device.before_answer = forbid
    found = await ask(device.port, binding("width", media="width"), binding("model", "str", device="model"))
    assert "may not ask this" in str(found["width"])
    assert found["model"] == "Simulated camera"
    device.before_answer = None
    device.password = "another"
    with pytest.raises(AccessDenied, match="refuses user hub"):
        await ask(device.port, binding("model", "str", device="model"))


async def test_a_clock_that_is_set_while_we_listen_costs_a_moment_and_not_the_link(device: OnvifDevice) -> None:
    motion, model = binding("motion", "bool", event=MOTION), binding("model", "str", device="model")
    async with listening(device.port, motion, model, pull_s=0.3) as heard:
        await eventually(lambda: device.subscriptions)
        device.set_clock(86_400 * 400)
        device.forget_subscriptions()
        await device.happen(MOTION, "State", "true")
        await eventually(lambda: True in raws(heard))


async def test_a_turn_that_has_no_time_left_says_so_and_keeps_what_it_has(
    device: OnvifDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_TURN_S", -1.0)
    found = await ask(device.port, binding("model", "str", device="model"))
    assert found == {"model": "no time was left for this question in this turn"}
    monkeypatch.setattr(link, "_TURN_S", 50.0)
    monkeypatch.setattr(link, "_SEARCH_S", -1.0)
    device.set_footage(90)
    found = await ask(device.port, binding("days", recording="days"), binding("model", "str", device="model"))
    assert found == {"days": "the search was not complete after -1 s", "model": "Simulated camera"}


async def test_one_service_that_hangs_does_not_spoil_its_neighbours(device: OnvifDevice) -> None:
    async def hang(operation: str) -> None:
        if operation == "GetProfiles":
            await asyncio.sleep(60)

    device.before_answer = hang
    points = binding("width", media="width"), binding("hd", media="hd"), binding("model", "str", device="model")
    found = await ask(device.port, *points, timeout_s=2.0)
    assert "but not to this" in str(found["width"])
    assert "but not to this" in str(found["hd"])
    assert found["model"] == "Simulated camera"


async def test_garbage_is_a_fault_with_its_bytes_and_the_neighbours_values(device: OnvifDevice) -> None:
    points = [binding("width", media="width"), binding("model", "str", device="model")]
    async with driver.connect(endpoint(device.port), points) as link:
        assert isinstance(link, PollLink)
        device.garble_next()
        with pytest.raises(ProtocolFault) as fault:
            await link.read([one.series for one in points])
        assert fault.value.payload == b"<garbage"
        assert told(fault.value.samples)["model"] == "Simulated camera"
        assert "no XML" in str(told(fault.value.samples)["width"])
        assert told(await link.read([points[0].series])) == {"width": 1920}


# ---- peers that mean no good ----

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[int]:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(end, HOST, 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def saying(answer: bytes) -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return talk


async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"<a>" * 10_000)
        await writer.drain()


async def dripping(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (endless, "longer than 65536 bytes"),
        (dripping, "no answer within 2 s"),
        (saying(b"SSH-2.0-OpenSSH\r\n"), "no HTTP"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<a>"), "broke off"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"), "no XML"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\n<html>hello</html>"), "no SOAP"),
        (saying(b""), "connection broke"),
    ],
)
async def test_what_answers_but_is_no_device_is_a_link_down_that_says_why(talk: Talk, said: str) -> None:
    async with server(talk) as port:
        with pytest.raises(LinkDown, match=said):
            await ask(port, binding("model", "str", device="model"), timeout_s=2.0, max_answer=65_536)


async def test_nothing_is_asked_of_a_host_that_people_did_not_name(device: OnvifDevice) -> None:
    async with conversation(endpoint(device.port)) as spoken:
        own = f"http://{HOST}:{device.port}"
        assert spoken.here("http://10.0.0.1:81/onvif/events?a=1") == f"{own}/onvif/events?a=1"
        assert spoken.here("https://user:word@evil.example/x") == f"{own}/x"
        assert spoken.here(f"http://{HOST}:8899/x") == f"http://{HOST}:8899/x"
        assert spoken.here("//") == f"{own}/"


async def test_a_redirection_is_not_followed() -> None:
    asked: list[bytes] = []

    async def tempting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(b"x")
        writer.write(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n")

    async with server(tempting) as port:
        model = binding("model", "str", device="model")
        async with driver.connect(endpoint(port), [model]) as link:
            assert isinstance(link, PollLink)
            assert "HTTP 307" in str(told(await link.read([model.series])))
    assert len(asked) > 2


# ---- events ----


@contextlib.asynccontextmanager
async def listening(port: int, *bindings: Binding, **settings: Any) -> AsyncIterator[list[Delivery]]:
    """What comes while the body runs."""
    heard: list[Delivery] = []
    async with driver.connect(endpoint(port, **settings), bindings) as link:
        assert isinstance(link, PushLink)

        async def listen() -> None:
            async with contextlib.aclosing(link.deliveries()) as deliveries:  # type: ignore[type-var]
                async for delivery in deliveries:
                    heard.append(delivery)
                    await delivery.settle()

        task = asyncio.create_task(listen())
        try:
            yield heard
        finally:
            ended = task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert not ended, "the stream ended by itself"


def raws(heard: Sequence[Delivery]) -> list[Any]:
    return [one.raw if one.error is None else one.error for delivery in heard for one in delivery.samples]


async def test_what_happens_is_heard_at_once_and_in_order(device: OnvifDevice) -> None:
    async with listening(device.port, binding("motion", "bool", event=MOTION)) as heard:
        await eventually(lambda: device.subscriptions)
        for value in ("true", "false", "true"):
            await device.happen(MOTION, "State", value)
        await eventually(lambda: len(raws(heard)) == 3)
        assert raws(heard) == [True, False, True]
    assert device.subscriptions == 0, "nobody unsubscribed"


async def test_a_press_that_stands_from_before_is_no_press(device: OnvifDevice) -> None:
    press: dict[str, Any] = {
        "event": "tns1:Device/Trigger/DigitalInput",
        "item": "LogicalState",
        "equals": True,
        "only_when_equal": True,
    }
    await device.happen("tns1:Device/Trigger/DigitalInput", "LogicalState", "true")
    points = (
        binding("press", "bool", **press, initial="drop"),
        binding("state", "bool", event=press["event"], item="LogicalState"),
    )
    async with listening(device.port, *points) as heard:
        await eventually(lambda: raws(heard) == [True])
        await device.happen("tns1:Device/Trigger/DigitalInput", "LogicalState", "true")
        await eventually(lambda: len(raws(heard)) == 3)
        assert [one.series.point for delivery in heard for one in delivery.samples] == ["state", "press", "state"]


async def test_a_point_of_events_is_not_told_again_when_it_is_asked(device: OnvifDevice) -> None:
    motion, model = binding("motion", "bool", event=MOTION), binding("model", "str", device="model")
    async with driver.connect(endpoint(device.port), [motion, model]) as link:
        assert isinstance(link, PollLink)
        assert told(await link.read([motion.series, model.series])) == {"model": "Simulated camera"}


async def test_a_device_that_forgot_us_is_asked_again_and_tells_its_state(device: OnvifDevice) -> None:
    async with listening(device.port, binding("motion", "bool", event=MOTION)) as heard:
        await eventually(lambda: device.subscriptions)
        await device.happen(MOTION, "State", "true")
        await eventually(lambda: raws(heard) == [True])
        device.forget_subscriptions()
        await eventually(lambda: raws(heard) == [True, True])


async def test_a_subscription_is_renewed(device: OnvifDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_RENEW_S", 0.0)
    asked: list[str] = []

    async def note(operation: str) -> None:
        asked.append(operation)

    device.before_answer = note
    async with listening(device.port, binding("motion", "bool", event=MOTION), pull_s=0.2):
        await eventually(lambda: asked.count("Renew") >= 3)
    assert asked.count("CreatePullPointSubscription") == 1


async def test_a_device_that_answers_at_once_with_nothing_is_not_asked_without_a_pause(device: OnvifDevice) -> None:
    pulls: list[float] = []

    async def note(operation: str) -> None:
        if operation == "PullMessages":
            pulls.append(time.monotonic())
            for point in device._points.values():
                point.waiting.append("")

    device.before_answer = note
    async with listening(device.port, binding("motion", "bool", event=MOTION)):
        await eventually(lambda: len(pulls) == 4)
    assert all(later - before > 0.4 for before, later in itertools.pairwise(pulls))


async def test_nonsense_among_notifications_is_a_reject_and_the_others_are_taken(device: OnvifDevice) -> None:
    async with listening(device.port, binding("motion", "bool", event=MOTION)) as heard:
        await eventually(lambda: device.subscriptions)
        device.tell("<wsnt:NotificationMessage><wsnt:Topic>x</wsnt:Topic></wsnt:NotificationMessage>")
        await device.happen(MOTION, "State", "true")
        await eventually(lambda: raws(heard) == [True])
        assert [reject.code for delivery in heard for reject in delivery.rejects] == ["onvif-notification"]


async def test_an_answer_that_is_nonsense_is_a_reject_and_the_next_is_heard(device: OnvifDevice) -> None:
    async with listening(device.port, binding("motion", "bool", event=MOTION), pull_s=0.3) as heard:
        await eventually(lambda: device.subscriptions)
        device.garble_next()
        await eventually(lambda: [reject.payload for one in heard for reject in one.rejects] == [b"<garbage"])
        await device.happen(MOTION, "State", "true")
        await eventually(lambda: raws(heard) == [True])


async def test_a_device_without_events_says_so_for_its_event_points_and_can_be_asked(device: OnvifDevice) -> None:
    device.refused.add("CreatePullPointSubscription")
    model = binding("model", "str", device="model")
    async with listening(device.port, binding("motion", "bool", event=MOTION), model) as heard:
        await eventually(lambda: heard)
        assert "refuses" in raws(heard)[0]
        assert await ask(device.port, model) == {"model": "Simulated camera"}


async def test_a_pull_that_is_never_answered_is_a_link_down(device: OnvifDevice) -> None:
    async def hang(operation: str) -> None:
        if operation == "PullMessages":
            await asyncio.sleep(60)

    device.before_answer = hang
    motion = binding("motion", "bool", event=MOTION)
    async with driver.connect(endpoint(device.port, timeout_s=1.5, pull_s=0.2), [motion]) as link:
        assert isinstance(link, PushLink)
        with pytest.raises(LinkDown, match="no answer within"):
            async for _ in link.deliveries():
                raise AssertionError("it never said anything")


# ---- the simulator, and looking around ----


async def test_our_simulator_answers_as_onvifs_own_documents_say() -> None:
    """Read strictly by the library's schema of ONVIF's WSDL, so that simulator and driver cannot drift together."""
    streams = [Stream("main", "main", 1920, 1080, 25)]
    async with OnvifDevice(streams=streams) as device:
        device.set_footage(92, 3)
        base = f"{device.address}/onvif"
        strict = Settings(strict=True)

        async def service(name: str) -> Any:
            made = onvif.client.ONVIFService(
                f"{base}/device_service",
                None,
                None,
                str(onvif.client._WSDL_PATH) + "/" + onvif.client.SERVICES[name]["wsdl"],
                no_cache=True,
                binding_name="{" + onvif.client.SERVICES[name]["ns"] + "}" + onvif.client.SERVICES[name]["binding"],
            )
            await made.setup()
            for client in (made.zeep_client, made.zeep_client_authless):
                client.settings = strict
            return made

        management, media, search, events = [
            await service(name) for name in ("devicemgmt", "media", "search", "events")
        ]
        try:
            moment = await management.authless_GetSystemDateAndTime()
            assert moment.UTCDateTime.Date.Year >= 2026
            assert [one.XAddr for one in await management.authless_GetServices({"IncludeCapability": False})]
            assert (await management.authless_GetDeviceInformation()).Model == "Simulated camera"
            (profile,) = await media.authless_GetProfiles()
            assert profile.VideoEncoderConfiguration.Resolution.Width == 1920
            assert profile.VideoEncoderConfiguration.RateControl.FrameRateLimit == 25
            (overlay,) = await media.authless_GetOSDs()
            assert overlay.TextString.Type == "DateAndTime"
            token = await search.authless_FindRecordings({"Scope": {}, "KeepAliveTime": "PT10S"})
            results = await search.authless_GetRecordingSearchResults({"SearchToken": token})
            assert results.SearchState == "Completed"
            assert [one.RecordingStatus for one in results.RecordingInformation] == ["Recording"]
            point = await events.authless_CreatePullPointSubscription()
            assert "/onvif/point/" in point.SubscriptionReference.Address._value_1
        finally:
            for one in (management, media, search, events):
                await one.close()


async def test_devices_are_found_where_was_asked_and_each_once() -> None:
    async with OnvifDevice(discovery=True) as device:
        search = driver.Search(addresses=f"{HOST}/32", port=device.discovery_port, wait_s=0.5, rate=200)
        found = [one async for one in driver.discover(search)]
        assert [(one.endpoint, one.marks["model"]) for one in found] == [
            ({"host": HOST, "port": device.port}, "Simulated camera")
        ]
        driver.Endpoint.model_validate(found[0].endpoint)


async def test_everybody_on_a_network_is_asked_by_one_multicast() -> None:
    async with OnvifDevice(discovery=True) as device:
        loop = asyncio.get_running_loop()
        group = struct.pack("4s4s", socket.inet_aton("239.255.255.250"), socket.inet_aton(HOST))
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.setblocking(False)
        ear.bind(("", 0))
        try:
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        except OSError:
            ear.close()
            pytest.skip("this machine's loopback carries no multicast")
        transport, _ = await loop.create_datagram_endpoint(lambda: WsDiscovery(device), sock=ear)
        try:
            search = driver.Search(interface=HOST, port=ear.getsockname()[1], wait_s=1, rate=200, limit=1)
            found = [one async for one in driver.discover(search)]
        finally:
            transport.close()
        assert [one.endpoint["port"] for one in found] == [device.port]


@pytest.mark.parametrize(
    "wrong",
    [{}, {"interface": "192.0.2.1", "addresses": "192.0.2.0/24"}, {"addresses": "10.0.0.0/8"}, {"addresses": "::/0"}, {"interface": "eth0"}],
)  # fmt: skip
def test_a_search_needs_one_range_that_is_not_too_large(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        driver.Search.model_validate(wrong)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ({}, "exactly one"),
        ({"device": "model", "media": "fps"}, "exactly one"),
        ({"device": "model", "item": "x"}, "item: belongs to event"),
        ({"event": "a b"}, "a topic"),
        ({"event": MOTION, "only_when_equal": True}, "no equals"),
        ({"event": MOTION, "only_when_equal": True, "equals": True}, "initial"),
        ({"event": MOTION, "map": {"a": 1}, "equals": True}, "map"),
        ({"recording": "days", "window_days": 0}, "window_days"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(address: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        driver.Address.model_validate(address)
