"""The serial driver on pseudo terminals (socat's and ours) and over TCP, against raw peers and simulated devices."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.serial import Address, Device, Endpoint, driver
from drivers.serial import gb26875_2011 as gb
from drivers.serial.link import SerialLink
from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.line_device import LineDevice
from drivers.simulator.wire import Caller, Pty, TcpPort, Wire
from hub.driver import Binding, Driver, PushLink
from hub.engine import Prefix
from hub.errors import AccessDenied, LinkDown
from hub.model import Delivery, Sample, Series
from hub.testing import eventually
from tests.ports import free_port

HOST = "127.0.0.1"
TEMPERATURE = Binding(Series("s", "temperature"), Device(), Address(pattern=r"T=(?P<value>-?[\d.]+)"), "float")
FIRE = Binding(Series("panel", "fire"), Device(), Address(item="part", bit="fire"), "bool")
MAINS = Binding(Series("panel", "mains_fault"), Device(), Address(item="transmitter", bit="mains_fault"), "bool")


def lines(port: str, **more: Any) -> Endpoint:
    return Endpoint.model_validate({"port": port, "protocol": "lines", "terminator": "\r\n", **more})


def panel_at(port: str, **more: Any) -> Endpoint:
    """Says nothing by itself, so that only what is tested is on the wire."""
    return Endpoint.model_validate({"port": port, "protocol": "gb26875", "sync_clock": 0, "patrol": 0, **more})


@asynccontextmanager
async def stream(endpoint: Endpoint, *bindings: Binding) -> AsyncIterator[AsyncIterator[Delivery]]:
    async with driver.connect(endpoint, bindings or (TEMPERATURE,)) as link:
        yield link.deliveries()


async def following(deliveries: AsyncIterator[Delivery]) -> Delivery:
    return await asyncio.wait_for(anext(deliveries), 20)


async def until(deliveries: AsyncIterator[Delivery], wanted: Callable[[Delivery], Any]) -> Delivery:
    """The first delivery that is wanted; all before it are settled."""
    while not wanted(delivery := await following(deliveries)):
        await delivery.settle()
    return delivery


def values(delivery: Delivery) -> list[object]:
    return [sample.raw for sample in delivery.samples]


def open_files() -> set[str]:
    return {os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and entry.exists()}


@pytest.fixture
async def socat(peers: Prefix, tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """Two pseudo terminals joined by socat: a line that we did not write."""
    ours, theirs = str(tmp_path / "ours"), str(tmp_path / "theirs")
    ends = (f"pty,raw,echo=0,link={end}" for end in (ours, theirs))
    process = await asyncio.create_subprocess_exec(str(peers.program("socat1")), *ends)
    await eventually(lambda: Path(ours).exists() and Path(theirs).exists())
    yield process, ours, theirs
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture(params=["pty", "tcp"])
async def wire(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Wire]:
    made: Wire = Pty(tmp_path / "line") if request.param == "pty" else TcpPort(free_port())
    yield made
    await made.unplug()


def test_it_is_a_driver() -> None:
    typed: Driver = driver
    assert typed.name == "serial"


async def test_lines_written_into_socats_other_end_arrive_as_samples(
    socat: tuple[asyncio.subprocess.Process, str, str],
) -> None:
    process, ours, theirs = socat
    async with driver.connect(lines(ours), [TEMPERATURE]) as link:
        assert isinstance(link, PushLink)
        deliveries = link.deliveries()
        with open(theirs, "wb", buffering=0) as far:
            far.write(b"T=21.5\r\nT=")
            assert values(await following(deliveries)) == [21.5]
            far.write(b"-3\r\n")
            assert values(await following(deliveries)) == [-3.0]
        process.kill()
        with pytest.raises(LinkDown, match="ours"):
            await following(deliveries)


async def test_a_frame_written_into_socats_other_end_is_confirmed_there_only_when_it_was_settled(
    socat: tuple[asyncio.subprocess.Process, str, str],
) -> None:
    _, ours, theirs = socat
    sent = gb.Frame(7, 0xA1, 0x01, gb.Command.SEND, gb.part_unit(gb.Item(2, bytes(6), 1, 1, 42, 23)), bytes(6), (1, 1))
    far = os.open(theirs, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        async with stream(panel_at(ours), FIRE) as deliveries:
            os.write(far, gb.encode(sent))
            delivery = await following(deliveries)
            assert values(delivery) == [True]
            with pytest.raises(BlockingIOError):
                os.read(far, 100)
            await delivery.settle()
            answer = await eventually(lambda: _read(far, 30))
    finally:
        os.close(far)
    assert answer[:4] == b"@@\x07\x00"
    assert answer[12:24] == bytes((0x01, 0, 0, 0, 0, 0, 0xA1, 0, 0, 0, 0, 0))
    assert answer[24:27] == bytes((0, 0, 3))
    assert answer[-3] == sum(answer[2:-3]) & 0xFF
    assert answer[-2:] == b"##"


def _read(fd: int, size: int) -> bytes:
    try:
        return os.read(fd, size)
    except BlockingIOError:
        return b""


async def test_a_line_device_prints_is_changed_sends_garbage_is_unplugged_and_comes_back(wire: Wire) -> None:
    async with LineDevice(wire, "T={temperature}", {"temperature": 20.0}, interval=0.02) as device:
        async with stream(lines(device.wire.port)) as deliveries:
            assert values(await following(deliveries))[0] == 20.0
            await device.set(temperature=-1.5)
            await until(deliveries, lambda one: -1.5 in values(one))
            await device.garbage()
            bad = await until(deliveries, lambda one: one.rejects)
            assert bad.rejects[0].source == device.wire.port
            await until(deliveries, lambda one: one.samples)
            await device.unplug()
            with pytest.raises(LinkDown):
                while True:
                    await following(deliveries)
        with pytest.raises(LinkDown):
            async with stream(lines(device.wire.port)):
                pytest.fail("an unplugged device was reached")
        await device.plug()
        async with stream(lines(device.wire.port)) as deliveries:
            assert values(await following(deliveries))[0] == -1.5


async def test_a_fire_panel_is_confirmed_denied_for_garbage_and_never_sends_again_what_was_settled(wire: Wire) -> None:
    async with FirePanel(wire, beat=60, patience=0.5) as panel, stream(panel_at(wire.port), FIRE, MAINS) as deliveries:
        sending = asyncio.create_task(panel.part(23, fire=True, description="午睡室"))
        delivery = await until(deliveries, lambda one: any(s.series.point == "fire" for s in one.samples))
        assert delivery.samples[0].series == Series("panel", "fire", "1-23")
        assert delivery.samples[0].raw is True
        assert not sending.done()
        await delivery.settle()
        assert await asyncio.wait_for(sending, 20)
        await panel.garbage()
        bad = await until(deliveries, lambda one: one.rejects)
        assert bad.rejects[0].code == "checksum"
        await bad.settle()
        await eventually(lambda: panel.denied == 1)
        assert panel.confirmed >= 1


async def test_a_fire_does_not_wait_behind_a_beat_that_was_not_confirmed(wire: Wire) -> None:
    await wire.plug()
    async with stream(panel_at(wire.port), FIRE, MAINS) as deliveries:
        if isinstance(wire, TcpPort):
            await wire.called()
        async with FirePanel(wire, beat=60, patience=60) as panel:
            beat = await following(deliveries)
            assert beat.samples[0].series == MAINS.series
            sending = asyncio.create_task(panel.part(1, fire=True))
            await (await following(deliveries)).settle()
            assert await asyncio.wait_for(sending, 20)


async def test_what_a_person_does_at_the_panel_and_the_systems_own_status_arrive(wire: Wire) -> None:
    reset = Binding(Series("panel", "reset"), Device(), Address(item="system_operation", bit="reset"), "bool")
    supply = Binding(Series("panel", "supply"), Device(), Address(item="system", bit="mains_fault"), "bool")
    async with (
        FirePanel(wire, beat=60, patience=0.5) as panel,
        stream(panel_at(wire.port), reset, supply) as deliveries,
    ):
        for sending, series, value in (
            (panel.operate("reset"), reset.series, True),
            (panel.system("mains_fault"), supply.series, True),
            (panel.system(), supply.series, False),
        ):
            task = asyncio.create_task(sending)
            delivery = await following(deliveries)
            await delivery.settle()
            assert await asyncio.wait_for(task, 20)
            assert [(sample.series, sample.raw) for sample in delivery.samples] == [(series, value)]


async def test_a_panel_that_is_never_confirmed_sends_three_times_more_and_every_sending_has_the_same_time(
    wire: Wire,
) -> None:
    async with FirePanel(wire, beat=60, patience=0.05) as panel, stream(panel_at(wire.port), FIRE) as deliveries:
        sending = asyncio.create_task(panel.part(23, fire=True))
        samples: list[Sample] = []
        while len(samples) < 4:
            samples += (await following(deliveries)).samples
        assert not await asyncio.wait_for(sending, 20)
        assert len({sample.at for sample in samples}) == 1
        assert panel.given_up >= 1


async def test_transmitters_call_the_centre_and_one_that_hangs_up_disturbs_no_other() -> None:
    endpoint = panel_at(f"listen://{HOST}:{free_port()}")
    number = int(endpoint.port.rsplit(":", 1)[1])
    two = [
        Binding(Series(name, "fire"), Device(address=address), Address(item="part", bit="fire"), "bool")
        for name, address in (("one", "0000000000a1"), ("two", "0000000000a2"))
    ]
    async with driver.connect(endpoint, two) as link:
        assert isinstance(link, SerialLink)
        deliveries = link.deliveries()
        async with (
            FirePanel(Caller(HOST, number), address="0000000000a1", beat=60) as first,
            FirePanel(Caller(HOST, number), address="0000000000a2", beat=60) as second,
        ):
            await first.unplug()
            sending = asyncio.create_task(second.part(5, fire=True))
            delivery = await until(deliveries, lambda one: one.samples)
            assert delivery.samples[0].series == Series("two", "fire", "1-5")
            await delivery.settle()
            assert await asyncio.wait_for(sending, 20)
            await first.plug()
            again = asyncio.create_task(first.part(6, fire=True))
            delivery = await until(deliveries, lambda one: one.samples)
            assert delivery.samples[0].series == Series("one", "fire", "1-6")
            await delivery.settle()
            assert await asyncio.wait_for(again, 20)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_port_that_is_taken_cannot_be_listened_on() -> None:
    endpoint = panel_at(f"listen://{HOST}:{free_port()}")
    async with driver.connect(endpoint, [FIRE]):
        with pytest.raises(LinkDown, match="listen://"):
            async with driver.connect(endpoint, [FIRE]):
                pytest.fail("two centres on one port")


async def test_a_frame_behind_a_false_start_is_heard_after_a_moment_of_silence(wire: Wire) -> None:
    await wire.plug()
    good = gb.encode(gb.Frame(1, 0xA1, 1, gb.Command.SEND, gb.transmitter_unit(8, bytes(6))))
    async with stream(panel_at(wire.port), MAINS) as deliveries:
        if isinstance(wire, TcpPort):
            await wire.called()
        await wire.write(b"@@" + bytes(22) + b"\xff\x03\x02" + good)
        assert (await following(deliveries)).rejects[0].code == "frame"
        assert values(await following(deliveries)) == [True]


async def test_a_far_end_that_says_nothing_is_link_down_after_its_time(wire: Wire) -> None:
    await wire.plug()
    async with stream(lines(wire.port, idle_timeout=0.1)) as deliveries:
        with pytest.raises(LinkDown, match=r"nothing heard for 0\.1 s"):
            await following(deliveries)


async def test_a_device_that_speaks_only_when_asked_is_asked(wire: Wire) -> None:
    await wire.plug()
    async with stream(lines(wire.port, query="READ?", query_every=0.1)) as deliveries:
        waiting = asyncio.create_task(following(deliveries))
        for _ in range(2):
            assert await asyncio.wait_for(wire.reader.readuntil(b"\r\n"), 20) == b"READ?\r\n"
        await wire.write(b"T=5\r\n")
        assert values(await waiting) == [5.0]


async def test_a_receivers_message_is_confirmed_only_when_it_was_settled(wire: Wire) -> None:
    await wire.plug()
    code = Binding(
        Series("panel", "code"), Device(address="1234"), Address(pattern=r"18(?P<device>\w{4})E(?P<value>\d{3})"), "int"
    )
    async with stream(lines(wire.port, terminator="\x14", acknowledge="\x06"), code) as deliveries:
        if isinstance(wire, TcpPort):
            await wire.called()
        await wire.write(b"5011 181234E12101001\x14")
        delivery = await following(deliveries)
        assert values(delivery) == [121]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.read(1), 0.1)
        await delivery.settle()
        assert await asyncio.wait_for(wire.reader.read(1), 20) == b"\x06"


async def test_questions_in_binary_are_asked_in_turn_and_their_answers_told_apart_by_content(wire: Wire) -> None:
    await wire.plug()
    shape = {"start": "a5", "size": 4, "check": {"kind": "sum8"}}
    questions = [{"send": "a501", "check": "sum8"}, {"send": "a502", "check": "sum8"}]
    settings = {"port": wire.port, "protocol": "frames", "frame": shape, "queries": questions, "query_every": 0.1}
    one, two = (
        Binding(
            Series("s", f"p{n}"), Device(), Address.model_validate({"octets": {"at": 2, "when": {1: f"0{n}"}}}), "int"
        )
        for n in (1, 2)
    )
    async with stream(Endpoint.model_validate(settings), one, two) as deliveries:
        if isinstance(wire, TcpPort):
            await wire.called()
        first = asyncio.create_task(following(deliveries))
        assert await asyncio.wait_for(wire.reader.readexactly(6), 20) == bytes.fromhex("a501a6 a502a7")
        await wire.write(bytes.fromhex("ff a50207ae a50109af"))
        taken = [await first]
        while sum(len(each.samples) for each in taken) < 2:
            taken.append(await following(deliveries))
        assert {each.series.point: each.raw for one in taken for each in one.samples} == {"p2": 7, "p1": 9}
        assert [each.code for one in taken for each in one.rejects] == ["frame"]


async def test_a_flood_of_garbage_is_kept_as_a_few_rejects_and_the_good_line_in_it_is_read(wire: Wire) -> None:
    await wire.plug()
    async with stream(lines(wire.port)) as deliveries:
        if isinstance(wire, TcpPort):
            await wire.called()
        await wire.write(b"\xfe\r\n" * 500 + b"T=7\r\n")
        rejects = 0
        while not (delivery := await following(deliveries)).samples:
            assert len(delivery.rejects) <= 21
            rejects += len(delivery.rejects)
        assert values(delivery) == [7.0]
        assert 0 < rejects + len(delivery.rejects) <= 100


async def test_a_port_that_is_not_there_is_link_down_and_names_itself(tmp_path: Path) -> None:
    for port in (str(tmp_path / "none"), f"socket://{HOST}:{free_port()}", "socket://no-such-host.invalid:1"):
        with pytest.raises(LinkDown, match=port):
            async with stream(lines(port)):
                pytest.fail("was opened")


async def test_a_file_that_is_no_terminal_is_link_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("T=1\r\n")
    with pytest.raises(LinkDown):
        async with stream(lines(str(tmp_path / "file"))):
            pytest.fail("was opened")


async def test_a_line_is_read_by_one_only(tmp_path: Path) -> None:
    wire = Pty(tmp_path / "line")
    await wire.plug()
    async with stream(lines(wire.port)):
        with pytest.raises(LinkDown, match="line"):
            async with stream(lines(wire.port)):
                pytest.fail("two readers on one line")
    await wire.unplug()


async def test_points_of_the_other_protocol_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AccessDenied, match=r"needs item in the address .*temperature"):
        async with driver.connect(panel_at(str(tmp_path)), [TEMPERATURE]):
            pytest.fail("was opened")
    stranger = FIRE._replace(device=Device(address="1"))
    with pytest.raises(AccessDenied, match="12 hexadecimal"):
        async with driver.connect(panel_at(str(tmp_path)), [stranger]):
            pytest.fail("was opened")


async def test_to_settle_after_the_far_end_has_gone_is_no_error(wire: Wire) -> None:
    async with FirePanel(wire, beat=60, patience=0.2) as panel:
        async with stream(panel_at(wire.port), MAINS) as deliveries:
            delivery = await following(deliveries)
            await panel.unplug()
            await delivery.settle()
        await delivery.settle()
