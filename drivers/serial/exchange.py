"""What the centre begins in GB/T 26875.3: commands and requests with their repeats, setting clocks, patrolling, the duty check.

Serial numbers of what we begin are ours (6.6); a transmitter answers by the way that its last frame came. 6.5 gives the pattern: wait, send
again, give up. Nothing here ends a link: a transmitter that does not answer is silent, and that is its device's liveness.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from drivers.serial import gb26875_2011 as gb
from drivers.serial.settings import Endpoint
from hub.errors import BadInput, ProtocolFault

MAX_TRANSMITTERS = 256
"""Transmitters of one endpoint that are spoken to; the one not heard for the longest goes first."""

AFTER_RESET = 30.0
"""Seconds between a panel's reset and the question what it cleared: detectors need a while to see again what is still there."""

TRY_AGAIN = 600.0
"""Seconds until a clock is set again where that did not work."""

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock of ours before this is wrong, and sets nobody else's."""

MAX_QUESTIONS = 64
"""Requests to one transmitter that wait."""

Send = Callable[[bytes], Awaitable[None]]


class Route(NamedTuple):
    """How a transmitter is reached; `version` and `centre` are those of its frames."""

    send: Send
    version: tuple[int, int]
    centre: int


class Transmitter:
    """One transmitter that was heard: how to reach it and what it still owes."""

    def __init__(self, address: int, route: Route, now: float) -> None:
        self.address = address
        self.route = route
        self.heard = now
        self.set_clock_at = now
        self.clock_tried = now
        self.asked = now
        self.questions: list[tuple[float, bytes]] = []
        self.busy = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None
        self.waiting: dict[int, asyncio.Future[gb.Frame]] = {}
        self._serial = 0xFFFF

    def serial(self) -> int:
        """The next serial number; the first is 0."""
        self._serial = self._serial + 1 & 0xFFFF
        return self._serial


class Exchange:
    """The transmitters of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._patrol = endpoint.idle_timeout / 2 if endpoint.patrol is None else endpoint.patrol
        self._transmitters: dict[int, Transmitter] = {}

    def heard(self, frame: gb.Frame, send: Send, ask: tuple[bytes, ...]) -> None:
        """A frame of a known transmitter came by this way."""
        now = asyncio.get_running_loop().time()
        route = Route(send, frame.version, frame.target)
        found = self._transmitters.pop(frame.source, None)
        if found is None:
            if len(self._transmitters) >= MAX_TRANSMITTERS:
                oldest = next(iter(self._transmitters))
                self._forget(self._transmitters.pop(oldest))
            found = Transmitter(frame.source, route, now)
        elif found.route.send != send:  # it has called again: its clock may be another one too
            found.set_clock_at = min(found.set_clock_at, max(now, found.clock_tried + TRY_AGAIN))
        self._transmitters[frame.source] = found
        found.route, found.heard = route, now
        found.questions += [(now + AFTER_RESET, unit) for unit in ask[: MAX_QUESTIONS - len(found.questions)]]
        answers = (gb.Command.CONFIRM, gb.Command.ANSWER, gb.Command.DENY)
        waiting = found.waiting.get(frame.serial) if frame.command in answers else None
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def only(self) -> int | None:
        """The address of the transmitter where there is just one."""
        return next(iter(self._transmitters)) if len(self._transmitters) == 1 else None

    async def command(self, address: int, unit: Callable[[], bytes]) -> gb.Frame:
        """Send a data unit and wait, again as often as the settings say; `unit` is made anew each time. Returns what answered.

        Raises BadInput when the transmitter was not heard yet or denies it, ProtocolFault when it does not answer.
        """
        found = self._transmitters.get(address)
        where = f"transmitter {address:012x}"
        if found is None:
            raise BadInput("it was not heard yet, so there is no way to it", where)
        denied = False
        async with found.busy:
            serial = found.serial()
            loop = asyncio.get_running_loop()
            try:
                for _ in range(1 + self._endpoint.repeats):
                    data = unit()
                    kind = gb.KINDS[data[0]]
                    found.waiting[serial] = answer = loop.create_future()
                    label = gb.label_of(datetime.now(UTC))
                    route = found.route
                    frame = gb.Frame(serial, route.centre, address, kind.command, data, label, route.version)
                    await route.send(gb.encode(frame))
                    try:
                        async with asyncio.timeout(self._endpoint.retry_after):
                            told: gb.Frame = await answer
                    except TimeoutError:
                        continue
                    if told.command != gb.Command.DENY:
                        return told
                    denied = True
            finally:
                found.waiting.pop(serial, None)
        if denied:
            raise BadInput(f"it denies {kind.name}", where)
        tries = 1 + self._endpoint.repeats
        raise ProtocolFault(f"{where} did not answer {kind.name}, sent {tries} times", source=where)

    def turn(self) -> None:
        """Begin what is due; called about once a second."""
        now = asyncio.get_running_loop().time()
        for one in self._transmitters.values():
            if one.task is not None and not one.task.done():
                continue
            due = self._due(one, now)
            if due is not None:
                one.task = asyncio.create_task(self._try(one, due), name=f"transmitter {one.address:012x}")

    def _due(self, one: Transmitter, now: float) -> Callable[[], bytes] | None:
        endpoint = self._endpoint
        if endpoint.sync_clock > 0 and now >= one.set_clock_at and datetime.now(UTC) >= EARLIEST:
            one.set_clock_at, one.clock_tried = now + endpoint.sync_clock, now
            return clock_unit
        for question in one.questions:
            if now >= question[0]:
                one.questions.remove(question)
                return lambda: question[1]
        if self._patrol > 0 and now >= max(one.heard, one.asked) + self._patrol:
            one.asked = now
            return patrol_unit
        return None

    async def _try(self, one: Transmitter, unit: Callable[[], bytes]) -> None:
        try:
            await self.command(one.address, unit)
        except (BadInput, ProtocolFault):
            if unit is clock_unit:  # the skew is a point of its own, and says that this did not work
                soon = asyncio.get_running_loop().time() + TRY_AGAIN
                one.set_clock_at = min(one.set_clock_at, soon)

    def _forget(self, one: Transmitter) -> None:
        if one.task is not None:
            one.task.cancel()

    async def leave(self) -> None:
        """End what is under way."""
        tasks = [one.task for one in self._transmitters.values() if one.task is not None and not one.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def clock_unit() -> bytes:
    """Type 90: the time now."""
    return gb.encode_unit(gb.TYPES["set_clock"], gb.Item(label=gb.label_of(datetime.now(UTC))))


def patrol_unit() -> bytes:
    """Type 81: how are you?"""
    return gb.encode_unit(gb.TYPES["read_transmitter"], gb.Item())


def initialise_unit() -> bytes:
    """Type 89."""
    return gb.encode_unit(gb.TYPES["initialise"], gb.Item())


def duty_unit(minutes: int) -> bytes:
    """Type 91: who is on duty answers within so many minutes."""
    return gb.encode_unit(gb.TYPES["duty_check"], gb.Item(minutes=minutes))
