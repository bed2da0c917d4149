"""The serial driver's I/O: reads octets, hands over deliveries, answers a frame when its content is safe."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from drivers.serial import gb26875_2011 as gb
from drivers.serial import settings
from drivers.serial.lines import Lines, LineSplitter, compile_pattern
from drivers.serial.panel import Panel
from drivers.serial.ports import close, host_and_port, opened
from hub.driver import Binding
from hub.errors import AccessDenied, LinkDown
from hub.model import Delivery, Micros, Reject, Sample, settled

GAP = 0.5
"""Seconds of silence after which a frame that began is no longer waited for when another stands behind it."""

READ = 4096
MAX_REJECTS = 20
"""Lines of one read that are kept one by one: a wrong baud rate makes hundreds a second."""

MAX_CALLERS = 64
"""Transmitters that may be connected to one `listen://` at a time."""

QUEUED = 16
"""Deliveries of all callers that wait; then nothing more is read from any of them."""


class Heard(NamedTuple):
    """What some octets gave, and the octets that answer them once that is safe."""

    samples: Sequence[Sample]
    rejects: Sequence[Reject]
    answer: Callable[[], bytes] | None = None


class Ear(Protocol):
    """One connection's decoder."""

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """What the octets complete."""
        ...

    def idle(self, now: Micros) -> Iterable[Heard]:
        """What can be said after a while of silence."""
        ...

    @property
    def pending(self) -> bool:
        """True while a silence would tell something."""
        ...


class LineEar:
    """The line protocol: what one read brought goes out together."""

    pending = False

    def __init__(self, lines: Lines, endpoint: settings.Endpoint) -> None:
        self._lines = lines
        self._splitter = LineSplitter(endpoint.terminator.encode(endpoint.encoding), endpoint.max_line)

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """At most one group of samples."""
        samples: list[Sample] = []
        rejects: list[Reject] = []
        for line in self._splitter.feed(octets):
            more, refused = self._lines.read(line, now)
            samples += more
            rejects += refused
        if len(rejects) > MAX_REJECTS:
            rest = f"{len(rejects) - MAX_REJECTS} more lines of the same moment were refused"
            rejects[MAX_REJECTS:] = [Reject(now, rejects[0].source, "flood", rest, octets[:4096])]
        return (Heard(samples, rejects),) if samples or rejects else ()

    def idle(self, now: Micros) -> Iterable[Heard]:
        """A line without its end says nothing."""
        return ()


class PanelEar:
    """GB/T 26875.3: one frame, one delivery, one answer."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._scanner = gb.Scanner()

    @property
    def pending(self) -> bool:
        """True while there may be half a frame."""
        return self._scanner.pending

    def feed(self, octets: bytes, now: Micros) -> Iterable[Heard]:
        """Every frame and every garbage in order."""
        return [self._heard(found, now) for found in self._scanner.feed(octets)]

    def idle(self, now: Micros) -> Iterable[Heard]:
        """Frames that stood behind a false start."""
        return [self._heard(found, now) for found in self._scanner.idle()]

    def _heard(self, found: gb.Frame | gb.Garbage, now: Micros) -> Heard:
        samples, rejects, command = self._panel.hear(found, now)
        frame = found if isinstance(found, gb.Frame) else found.frame
        if command is None or frame is None:
            return Heard(samples, rejects)
        return Heard(samples, rejects, partial(_answer, frame, command))


def _answer(frame: gb.Frame, command: gb.Command) -> bytes:
    return gb.encode(gb.reply(frame, command, gb.label_of(datetime.now(UTC))))


def _now() -> Micros:
    return time.time_ns() // 1000


async def _send(writer: asyncio.StreamWriter, answer: Callable[[], bytes]) -> None:
    """Send an answer; when the far end has gone it will send its frame again, so that is no error."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            writer.write(answer())
            await writer.drain()


def _delivery(heard: Heard, writer: asyncio.StreamWriter) -> Delivery:
    settle: Callable[[], Awaitable[None]] = settled
    if heard.answer is not None:
        settle = partial(_send, writer, heard.answer)
    return Delivery(heard.samples, heard.rejects, settle)


async def _hear(
    endpoint: settings.Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ear: Ear
) -> AsyncGenerator[Delivery, None]:
    """Deliveries of one connection until it ends, by LinkDown."""
    clock = asyncio.get_running_loop().time
    silent_at = clock() + endpoint.idle_timeout
    ask_at = clock() if endpoint.query is not None else float("inf")
    while True:
        if clock() >= ask_at:
            await _ask(endpoint, writer)
            ask_at = clock() + endpoint.query_every
        until = min(silent_at, ask_at, clock() + GAP if ear.pending else silent_at)
        heard: Iterable[Heard]
        try:
            async with asyncio.timeout_at(until):
                octets = await reader.read(READ)
        except TimeoutError:
            if clock() >= silent_at:
                raise LinkDown(f"{endpoint.port}: nothing heard for {endpoint.idle_timeout:g} s") from None
            heard = ear.idle(_now())
        except OSError as error:
            raise LinkDown(f"{endpoint.port}: {error}") from None
        else:
            if not octets:
                raise LinkDown(f"{endpoint.port}: the far end has gone")
            silent_at = clock() + endpoint.idle_timeout
            heard = ear.feed(octets, _now())
        for one in heard:
            if one.samples or one.rejects:
                yield _delivery(one, writer)
            elif one.answer is not None:  # nothing in it that would have to be safe first
                await _send(writer, one.answer)


async def _ask(endpoint: settings.Endpoint, writer: asyncio.StreamWriter) -> None:
    assert endpoint.query is not None
    try:
        async with asyncio.timeout(5):
            writer.write((endpoint.query + endpoint.terminator).encode(endpoint.encoding))
            await writer.drain()
    except (OSError, TimeoutError) as error:
        raise LinkDown(f"{endpoint.port}: the query could not be sent ({error})") from None


class SerialLink:
    """Push link over one open port."""

    def __init__(
        self, endpoint: settings.Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ear: Ear
    ) -> None:
        self._parts = (endpoint, reader, writer, ear)

    def deliveries(self) -> AsyncIterator[Delivery]:
        """What the far end says; ends by raising LinkDown when it has gone or is silent for too long."""
        return _hear(*self._parts)


class ListeningLink:
    """Push link that the far ends call (`listen://`): it goes on when one of them goes."""

    def __init__(self, endpoint: settings.Endpoint, ear: Callable[[], Ear]) -> None:
        self._endpoint = endpoint
        self._ear = ear
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue(QUEUED)
        self._callers: set[asyncio.Task[None]] = set()

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What all callers say, each caller's in its order."""
        while True:
            yield await self._queue.get()

    def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A far end has called."""
        if len(self._callers) >= MAX_CALLERS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._listen_to(reader, writer), name=f"caller of {self._endpoint.port}")
        self._callers.add(task)
        task.add_done_callback(self._callers.discard)

    async def _listen_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with contextlib.aclosing(_hear(self._endpoint, reader, writer, self._ear())) as deliveries:
                with contextlib.suppress(LinkDown):
                    async for delivery in deliveries:
                        await self._queue.put(delivery)
        finally:
            await close(writer)

    async def leave(self) -> None:
        """End every caller's task."""
        callers = list(self._callers)
        for task in callers:
            task.cancel()
        if callers:
            await asyncio.wait(callers)


class SerialDriver:
    """The driver `serial`: a line protocol by regular expression, and GB/T 26875.3."""

    name = "serial"
    Endpoint: type[BaseModel] = settings.Endpoint
    Device: type[BaseModel] = settings.Device
    Address: type[BaseModel] = settings.Address

    @contextlib.asynccontextmanager
    async def connect(
        self, endpoint: settings.Endpoint, bindings: Sequence[Binding]
    ) -> AsyncIterator[SerialLink | ListeningLink]:
        """Open the port, or listen; raises LinkDown, or AccessDenied where a setting or a permission must be changed."""
        ear = _ears(endpoint, bindings)
        if not endpoint.port.startswith("listen://"):
            async with opened(endpoint) as (reader, writer):
                yield SerialLink(endpoint, reader, writer, ear())
            return
        link = ListeningLink(endpoint, ear)
        host, port = host_and_port(endpoint.port)
        try:
            server = await asyncio.start_server(link.answer, host, port)
        except OSError as error:
            raise LinkDown(f"{endpoint.port}: {error}") from None
        try:
            yield link
        finally:
            server.close()
            await link.leave()
            await server.wait_closed()


def _ears(endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> Callable[[], Ear]:
    lines = endpoint.protocol == "lines"
    for binding in bindings:
        if (binding.address.pattern is not None) != lines:
            wanted = "pattern" if lines else "item"
            raise AccessDenied(
                f"{endpoint.port}: protocol {endpoint.protocol} needs {wanted} in the address of {binding.series}"
            )
    if lines:
        patterns = [compile_pattern(binding.address.pattern) for binding in bindings]
        ignored = [compile_pattern(text) for text in endpoint.ignore]
        known = Lines(bindings, patterns, ignored, endpoint.encoding, endpoint.port)
        return partial(LineEar, known, endpoint)
    try:
        return partial(PanelEar, Panel(bindings, endpoint.port))
    except ValueError as error:
        raise AccessDenied(f"{endpoint.port}: {error}") from None
