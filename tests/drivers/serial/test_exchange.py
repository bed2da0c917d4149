"""What the centre begins in GB/T 26875.3: over TCP that transmitters call, over UDP, and on one line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.serial import Address, Device, Endpoint, driver, exchange
from drivers.serial import gb26875_2011 as gb
from drivers.serial.link import SerialLink
from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.wire import Caller
from hub.driver import Binding, WriteLink
from hub.errors import BadInput, ProtocolFault
from hub.model import Delivery, Sample, Series
from hub.testing import eventually
from tests.drivers.serial.test_link import HOST
from tests.ports import free_port

ONE, TWO = "0000000000a1", "0000000000a2"


def bind(point: str, kind: str = "bool", address: str | None = ONE, **item: Any) -> Binding:
    return Binding(Series("panel", point), Device(address=address), Address(**item), kind, writable=True)


BINDINGS = [
    bind("fire", item="part", bit="fire"),
    bind("reset", item="system_operation", bit="reset"),
    bind("alive", "int", item="frame"),
    bind("skew", "float", item="clock_skew"),
    bind("check", "int", item="duty_check"),
    bind("took", "float", item="duty_time"),
    bind("missed", item="duty_missed"),
    bind("set_clock", item="set_clock"),
    bind("initialise", item="initialise"),
]


class Centre:
    """A listening link whose deliveries are taken and settled as the runtime does."""

    def __init__(self, link: SerialLink, number: int) -> None:
        self.link = link
        self.number = number
        self.samples: list[Sample] = []
        self.rejects: list[str] = []

    def said(self, point: str) -> list[object]:
        return [one.raw for one in self.samples if one.series.point == point]

    async def take(self) -> None:
        async for delivery in self.link.deliveries():
            self.samples += delivery.samples
            self.rejects += [one.code for one in delivery.rejects]
            await delivery.settle()


@asynccontextmanager
async def centre(bindings: list[Binding] | None = None, scheme: str = "listen", **more: Any) -> AsyncIterator[Centre]:
    number = free_port()
    quiet = {"sync_clock": 0, "patrol": 0, "retry_after": 10}
    document = {"port": f"{scheme}://{HOST}:{number}", "protocol": "gb26875", **quiet, **more}
    async with driver.connect(Endpoint.model_validate(document), bindings or BINDINGS) as link:
        assert isinstance(link, WriteLink)
        heard = Centre(link, number)
        taking = asyncio.create_task(heard.take())
        try:
            yield heard
        finally:
            taking.cancel()
            await asyncio.wait({taking})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.serial.link.TURN", 0.05)
    monkeypatch.setattr(exchange, "AFTER_RESET", 0.05)


async def test_a_duty_check_is_sent_confirmed_and_its_answer_is_timed() -> None:
    async with centre() as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel:
        await eventually(lambda: heard.said("alive"))
        assert await heard.link.write(Series("panel", "check"), 10) is None
        assert panel.commanded == ["duty_check"]
        await eventually(lambda: heard.said("check") == [10])
        assert heard.said("took") == []
        assert await panel.answer_duty()
        (took,) = heard.said("took")
        assert isinstance(took, float)
        assert 0 <= took < 20
        assert heard.said("missed") == [False]


async def test_a_clock_is_set_when_its_transmitter_is_first_heard_and_its_error_is_seen_to_go() -> None:
    async with centre(sync_clock=86_400) as heard:
        panel = FirePanel(Caller(HOST, heard.number), address=ONE, beat=60)
        panel.clock_error = -5000.0
        async with panel:
            await eventually(lambda: panel.commanded == ["set_clock"])
            await eventually(lambda: abs(panel.clock_error) < 20)
            assert await panel.part(1)
            first, *_, last = heard.said("skew")
            assert isinstance(first, float)
            assert isinstance(last, float)
            assert first < -4900
            assert abs(last) < 20
            assert panel.commanded == ["set_clock"]


async def test_a_silent_transmitter_is_asked_how_it_is_and_its_answer_counts_as_heard() -> None:
    async with centre(patrol=0.2) as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel:
        await eventually(lambda: panel.commanded[:2] == ["read_transmitter", "read_transmitter"])
        assert len(heard.said("alive")) >= 2


async def test_what_a_reset_cleared_is_asked_and_what_still_burns_stays() -> None:
    async with centre() as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel:
        assert await panel.part(1, fire=True)
        assert await panel.part(2, fire=True)
        place = (1, 1, 1)
        panel._parts[place] = panel._parts[place]._replace(status=1)
        assert await panel.operate("reset")
        await eventually(lambda: panel.commanded == ["read_part"])
        await eventually(lambda: len(heard.said("fire")) == 4)
        last = {one.series.instance: one.raw for one in heard.samples if one.series.point == "fire"}
        assert last == {"1-1": False, "1-2": True}


async def test_a_command_without_an_answer_is_sent_again_as_often_as_said_and_then_told() -> None:
    async with (
        centre(retry_after=0.1, repeats=2) as heard,
        FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel,
    ):
        panel.deaf = True
        await eventually(lambda: heard.said("alive"))
        with pytest.raises(ProtocolFault, match=r"0000000000a1 did not answer duty_check, sent 3 times"):
            await heard.link.write(Series("panel", "check"), 5)
        assert panel.commanded == ["duty_check"] * 3
        assert heard.said("check") == []
        panel.deaf = False
        assert await panel.part(7, fire=True)


@pytest.mark.parametrize(
    ("point", "value", "reason"),
    [
        ("fire", True, "commands nothing"),
        ("none", True, "commands nothing"),
        ("check", 0, "1 to 255 minutes"),
        ("check", 256, "1 to 255 minutes"),
        ("check", True, "1 to 255 minutes"),
        ("set_clock", False, "by true"),
        ("initialise", 1, "by true"),
    ],
)
async def test_what_cannot_be_commanded_is_refused_by_name(point: str, value: Any, reason: str) -> None:
    async with centre() as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel:
        await eventually(lambda: heard.said("alive"))
        with pytest.raises(BadInput, match=reason):
            await heard.link.write(Series("panel", point), value)
        assert panel.commanded == []


async def test_a_denied_command_and_a_transmitter_that_never_called_are_bad_input() -> None:
    async with centre() as heard:
        with pytest.raises(BadInput, match="not heard yet"):
            await heard.link.write(Series("panel", "initialise"), True)
        async with FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as panel:
            await eventually(lambda: heard.said("alive"))
            panel.denies = True
            with pytest.raises(BadInput, match="denies initialise"):
                await heard.link.write(Series("panel", "initialise"), True)
            panel.denies = False
            assert await heard.link.write(Series("panel", "initialise"), True) is None


async def test_transmitters_on_one_port_are_commanded_each_by_its_own_way() -> None:
    points = [bind("alive", "int", address, item="frame") for address in (ONE, TWO)]
    points += [bind("clock_one", "bool", ONE, item="set_clock"), bind("clock_two", "bool", TWO, item="set_clock")]
    async with (
        centre(points) as heard,
        FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as one,
        FirePanel(Caller(HOST, heard.number), address=TWO, beat=60) as two,
    ):
        await eventually(lambda: len(heard.said("alive")) >= 2)
        await heard.link.write(Series("panel", "clock_two"), True)
        assert (one.commanded, two.commanded) == ([], ["set_clock"])


async def test_whoever_speaks_can_be_commanded_only_while_it_is_alone() -> None:
    points = [bind("alive", "int", None, item="frame"), bind("clock", "bool", None, item="set_clock")]
    async with centre(points) as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60) as one:
        await eventually(lambda: heard.said("alive"))
        await heard.link.write(Series("panel", "clock"), True)
        assert one.commanded == ["set_clock"]
        async with FirePanel(Caller(HOST, heard.number), address=TWO, beat=60):
            await eventually(lambda: len(heard.said("alive")) >= 3)
            with pytest.raises(BadInput, match="not just one"):
                await heard.link.write(Series("panel", "clock"), True)


async def test_a_duty_check_that_is_not_answered_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with centre() as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60):
        await eventually(lambda: heard.said("alive"))
        await heard.link.write(Series("panel", "check"), 1)
        monkeypatch.setattr("drivers.serial.link._now", lambda ago=exchange: 1 << 60)
        await eventually(lambda: heard.said("missed") == [True])
        assert heard.said("took") == [None]


class _Sender(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.append(data)


@asynccontextmanager
async def sender(number: int) -> AsyncIterator[tuple[asyncio.DatagramTransport, _Sender]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(_Sender, remote_addr=(HOST, number))
    try:
        yield transport, protocol
    finally:
        transport.close()


PUBLISHED = bytes.fromhex(
    "4040010001 01203A091A090C790300000000385B0100000009000215010802 3A091A090C422323".replace(" ", "")
)
CONFIRMED = bytes.fromhex("385B01000000790300000000000003")


async def test_a_published_frame_over_udp_is_confirmed_to_its_sender_and_rubbish_disturbs_nobody() -> None:
    points = [bind("mains", "bool", "000000000379", item="transmitter", bit="mains_fault")]
    points += [bind("clock", "bool", "000000000379", item="set_clock")]
    async with (
        centre(points, "udp") as heard,
        sender(heard.number) as (transmitter, told),
        sender(heard.number) as (
            rubbish,
            echo,
        ),
    ):
        rubbish.sendto(PUBLISHED[:20])
        transmitter.sendto(PUBLISHED)
        rubbish.sendto(b"@@@@")
        await eventually(lambda: heard.said("mains") == [True])
        answer = await eventually(lambda: told.heard and told.heard[0])
        assert answer[12:27] == CONFIRMED
        await eventually(lambda: heard.rejects == ["frame", "frame"])
        assert echo.heard == []
        writing = asyncio.create_task(heard.link.write(Series("panel", "clock"), True))
        command = await eventually(lambda: len(told.heard) == 2 and told.heard[1])
        (frame,) = gb.Scanner().feed(command)
        assert isinstance(frame, gb.Frame)
        assert (frame.command, frame.target, frame.version) == (gb.Command.CONTROL, 0x379, (1, 1))
        transmitter.sendto(gb.encode(gb.reply(frame, gb.Command.CONFIRM, frame.label)))
        assert await asyncio.wait_for(writing, 20) is None


async def test_a_datagram_that_is_too_long_is_kept_and_not_read() -> None:
    points = [bind("mains", "bool", "000000000379", item="transmitter", bit="mains_fault")]
    async with centre(points, "udp") as heard, sender(heard.number) as (transmitter, _):
        transmitter.sendto(bytes(3000) + PUBLISHED)
        transmitter.sendto(PUBLISHED)
        await eventually(lambda: heard.said("mains") == [True])
        assert heard.rejects == ["size"]


async def test_more_datagrams_than_can_be_taken_are_dropped_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.serial.ports.MAX_DATAGRAMS", 4)
    number = free_port()
    endpoint = Endpoint.model_validate({"port": f"udp://{HOST}:{number}", "protocol": "gb26875"})
    points = [bind("mains", "bool", "000000000379", item="transmitter", bit="mains_fault")]
    async with driver.connect(endpoint, points) as link, sender(number) as (transmitter, _):
        for _ in range(300):  # in every turn of the loop at most one is read
            transmitter.sendto(PUBLISHED)
            await asyncio.sleep(0)
        deliveries = link.deliveries()
        taken: list[Delivery] = []
        while not any(one.rejects for one in taken):
            taken.append(await asyncio.wait_for(anext(deliveries), 20))
        reject = taken[-1].rejects[0]
        assert reject.code == "flood"
        assert "datagrams came quicker" in reject.reason


async def test_more_callers_than_can_be_taken_are_refused_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.serial.link.MAX_CALLERS", 1)
    async with centre() as heard, FirePanel(Caller(HOST, heard.number), address=ONE, beat=60):
        await eventually(lambda: heard.said("alive"))
        for _ in range(3):
            reader, writer = await asyncio.open_connection(HOST, heard.number)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 20)
            writer.close()
        await eventually(lambda: heard.rejects == ["callers"])


async def test_a_half_open_caller_is_ended_and_the_others_are_not() -> None:
    async with centre(idle_timeout=3) as heard:
        reader, writer = await asyncio.open_connection(HOST, heard.number)
        async with FirePanel(Caller(HOST, heard.number), address=ONE, beat=0.1) as panel:
            assert await asyncio.wait_for(reader.read(1), 20) == b""
            assert await panel.part(1, fire=True)
        writer.close()
