"""A fire panel behind a user information transmitter (GB/T 26875.3-2011): sends, waits for the confirmation, sends again."""

import asyncio
import contextlib
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from drivers.serial import gb26875_2011 as gb
from drivers.simulator.wire import Wire

REPEATS = 3
"""6.5: how often a frame that was not confirmed is sent again."""


class FirePanel:
    """One transmitter with one fire alarm system. While plugged in it sends its own status (type 21) every `beat` seconds; None: it is told to.

    `patience` is how long it waits for a confirmation (the standard allows up to 10 s). Counts: `sent` frames in all, `confirmed`, `denied`,
    `repeated`, and `given_up` after `REPEATS` repeats. `clock_error` seconds are added to every label, until a centre sets the clock.
    `commanded` names what the centre asked and commanded.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        address: str = "0000000000a1",
        centre: str = "000000000001",
        beat: float | None = 2.0,
        patience: float = 2.0,
    ) -> None:
        self.wire = wire
        self.sent = self.confirmed = self.denied = self.repeated = self.given_up = 0
        self.clock_error = 0.0
        self.transmitter_status = 1
        self.deaf = self.denies = False
        self.commanded: list[str] = []
        self._parts: dict[tuple[int, int, int], gb.Item] = {}
        self.address = address
        self._source = int(address, 16)
        self._centre = int(centre, 16)
        self._beat = beat
        self._patience = patience
        self._serial = 0
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """Be there, listen for confirmations, beat."""
        await self.wire.plug()
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen(), name=f"simulated panel {self.wire.port} listens")]
            if self._beat is not None:
                beats = self._beats(self._beat)
                self._tasks.append(asyncio.create_task(beats, name=f"simulated panel {self.wire.port} beats"))

    async def unplug(self) -> None:
        """Be gone; what waits for a confirmation waits in vain."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.wire.unplug()

    def label(self) -> bytes:
        """The panel's time."""
        return gb.label_of(datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.clock_error, UTC))

    async def part(
        self,
        part: int,
        *,
        fire: bool = False,
        fault: bool = False,
        system: int = 1,
        part_type: int = 42,
        description: str = "",
    ) -> bool:
        """Send a part's status (type 2; 42 is a point smoke detector); True when it was confirmed."""
        status = 1 | fire << gb.PART_BITS["fire"] | fault << gb.PART_BITS["fault"]
        item = gb.Item(status, self.label(), 1, system, part_type, part, 0, description)
        self._parts[1, system, part] = item
        return await self.send(gb.part_unit(item))

    async def system(self, *bits: str, system: int = 1) -> bool:
        """Send the system's status (type 1) with these bits set, `fire` or `mains_fault`; True when it was confirmed."""
        status = sum(1 << gb.SYSTEM_BITS[bit] for bit in {"normal", *bits})
        return await self.send(gb.system_unit(gb.Item(status, self.label(), 1, system)))

    async def operate(self, *bits: str, operator: int = 1, system: int = 1) -> bool:
        """Send what a person did at the panel (type 4): `reset`, `mute`, `manual_alarm` …; True when it was confirmed."""
        status = sum(1 << gb.SYSTEM_OPERATION_BITS[bit] for bit in set(bits))
        return await self.send(gb.operation_unit(status, self.label(), system, operator))

    async def send(self, data: bytes) -> bool:
        """Send a data unit and wait; again up to `REPEATS` times. True when the centre confirmed it. A fire does not wait for a beat."""
        self._serial = serial = (self._serial + 1) & 0xFFFF
        for attempt in range(1 + REPEATS):
            self.repeated += attempt > 0
            self._waiting[serial] = answer = asyncio.get_running_loop().create_future()
            frame = gb.Frame(serial, self._source, self._centre, gb.Command.SEND, data, self.label())
            await self.wire.write(gb.encode(frame))
            self.sent += 1
            try:
                async with asyncio.timeout(self._patience):
                    if await answer:
                        return True
            except TimeoutError:
                continue
            finally:
                del self._waiting[serial]
        self.given_up += 1
        return False

    async def garbage(self, octets: bytes | None = None) -> None:
        """Send octets that are no frame; by default a frame whose checksum is wrong."""
        if octets is None:
            frame = gb.encode(
                gb.Frame(0, self._source, self._centre, gb.Command.SEND, b"\x15\x01\x01" + self.label(), self.label())
            )
            octets = frame[:-3] + bytes((frame[-3] ^ 0x55,)) + frame[-2:]
        await self.wire.write(octets)

    async def _beats(self, every: float) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await self.send(gb.transmitter_unit(self.transmitter_status, self.label()))
            await asyncio.sleep(every)

    async def answer_duty(self, operator: int = 1) -> bool:
        """Press the button that answers a duty check (type 24); True when it was confirmed."""
        bit = gb.TRANSMITTER_OPERATION_BITS["duty_answer"]
        return await self.send(gb.encode_unit(24, gb.Item(1 << bit, self.label(), operator=operator)))

    async def _obey(self, frame: gb.Frame) -> None:
        """Answer a request by what was said last, and a command by doing it; `deaf` ignores both, `denies` denies."""
        unit = gb.decode_unit(frame.data)
        self.commanded.append(gb.KINDS[unit.type].name)
        if self.deaf:
            return
        if self.denies:
            await self._answer(frame, gb.Command.DENY)
        elif unit.type == gb.TYPES["read_transmitter"]:
            await self._answer(frame, gb.Command.ANSWER, gb.transmitter_unit(self.transmitter_status, self.label()))
        elif unit.type == gb.TYPES["read_part"]:
            places = [(item.system_type, item.system, item.part) for item in unit.items]
            items = [self._parts[place]._replace(label=self.label()) for place in places if place in self._parts]
            await self._answer(frame, gb.Command.ANSWER, gb.part_unit(*items))
        elif frame.command == gb.Command.CONTROL:
            if unit.type == gb.TYPES["set_clock"]:
                told = gb.label_at(unit.items[0].label)
                assert told is not None
                self.clock_error = told / 1_000_000 - datetime.now(UTC).timestamp()
            await self._answer(frame, gb.Command.CONFIRM)
        else:
            await self._answer(frame, gb.Command.DENY)

    async def _answer(self, frame: gb.Frame, command: gb.Command, data: bytes = b"") -> None:
        await self.wire.write(gb.encode(gb.reply(frame, command, self.label())._replace(data=data)))

    async def _listen(self) -> None:
        scanner = gb.Scanner()
        reader = self.wire.reader
        while octets := await reader.read(4096):
            for found in scanner.feed(octets):
                if not isinstance(found, gb.Frame) or found.target != self._source:
                    continue
                if found.command in (gb.Command.CONTROL, gb.Command.REQUEST):
                    await self._obey(found)
                    continue
                self.confirmed += found.command == gb.Command.CONFIRM
                self.denied += found.command == gb.Command.DENY
                answer = self._waiting.get(found.serial)
                if answer is not None and not answer.done():
                    answer.set_result(found.command == gb.Command.CONFIRM)
