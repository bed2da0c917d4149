"""The serial driver's I/O: reads octets of one far end or of many, hands over deliveries, answers when their content is safe."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial

from pydantic import BaseModel

from drivers.serial import discovery, settings
from drivers.serial.ears import Ear, FrameEar, Heard, LineEar, PanelEar
from drivers.serial.exchange import Exchange, clock_unit, duty_unit, initialise_unit
from drivers.serial.frames import Frames
from drivers.serial.lines import Lines, compile_pattern
from drivers.serial.panel import Duties, Panel
from drivers.serial.ports import Datagrams, close, listening, opened
from hub.driver import Binding, Found
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Delivery, Micros, Reject, Scalar, Series, settled

GAP = 0.5
"""Seconds of silence after which a frame that began is no longer waited for when another stands behind it."""

READ = 4096
READ_FRAMES = 1024
"""Of frames: bytes that are false starts throughout cost 0.1 ms each (measured), and nobody else is served meanwhile."""
MAX_DATAGRAM = 2048
"""Bytes of a datagram that are looked at; the longest frame has 1054."""

MAX_CALLERS = 64
"""Far ends that may be connected to one `listen://` at a time."""

QUEUED = 16
"""Deliveries of all far ends that wait; then nothing more is read from any of them."""

TURN = 1.0
"""Seconds between two looks at what is due."""

Send = Callable[[bytes], Awaitable[None]]


def _now() -> Micros:
    return time.time_ns() // 1000


async def _write(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """Send; when the far end has gone it will send its frame again, so that is no error."""
    if writer.is_closing():
        return
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            writer.write(octets)
            await writer.drain()


async def _confirm(send: Send, answer: Callable[[], bytes]) -> None:
    await send(answer())


class SerialLink:
    """Push link over one open port, over all that call a port, or over all that send to one; writes what the protocol can command."""

    def __init__(
        self, endpoint: settings.Endpoint, ear: Callable[[], Ear], panel: Panel | None, query: Sequence[bytes]
    ) -> None:
        self._endpoint = endpoint
        self._ear = ear
        self._panel = panel
        self._query = query
        self._exchange = Exchange(endpoint)
        self._ready: deque[Delivery | BaseException] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Semaphore(QUEUED)
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers = 0
        self._said_full = self._left = False

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """What all far ends say, each one's in its order; raises LinkDown when the one that there is has gone."""
        while True:
            while not self._ready:
                self._news.clear()
                await self._news.wait()
            one = self._ready.popleft()
            if isinstance(one, BaseException):
                raise one
            self._room.release()
            yield one

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """Command a transmitter; it confirms, and there is nothing to read back.

        Raises BadInput when the point commands nothing, the value does not fit or the transmitter denies, ProtocolFault when it is silent.
        """
        where = f"{self._endpoint.port} {series.device}/{series.point}"
        found = self._panel.binding_of(series) if self._panel is not None else None
        if found is None or found[1].address.item not in settings.COMMANDS:
            raise BadInput("this point commands nothing", where)
        address = found[0] if found[0] is not None else self._exchange.only()
        if address is None:
            raise BadInput("the device has no transmitter address, and not just one transmitter was heard", where)
        assert self._panel is not None
        if found[1].address.item != "duty_check":
            if value is not True:
                raise BadInput("it is commanded by true", where)
            unit = clock_unit if found[1].address.item == "set_clock" else initialise_unit
            await self._exchange.command(address, unit)
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 255:
            raise BadInput("a duty check has 1 to 255 minutes", where)
        samples = self._panel.duty_sent(address, value, _now())
        try:
            await self._exchange.command(address, partial(duty_unit, value))
        except BaseException:
            self._panel.duty_withdrawn(address)
            raise
        await self._offer(Heard(samples, ()), None)
        return None

    def start(self, work: Awaitable[None], name: str) -> "asyncio.Task[None]":
        """A task of this link; what it raises ends the link."""
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ready.append(error)
            self._news.set()

    async def leave(self) -> None:
        """End every task."""
        self._left = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._exchange.leave()  # nobody begins anything more

    async def keep_time(self) -> None:
        """What is due without anybody having spoken."""
        assert self._panel is not None
        while True:
            await asyncio.sleep(TURN)
            self._exchange.turn()
            for transmitter, samples in self._panel.overdue(_now()):
                await self._offer(Heard(samples, ()), None, partial(self._panel.told, transmitter))

    def called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A far end has called."""
        if self._left or self._callers >= MAX_CALLERS:
            writer.transport.abort()
            if not self._said_full and not self._left:
                self._said_full = True
                reason = f"{MAX_CALLERS} far ends are connected, no more are taken"
                self.start(self._offer(self._rejected("callers", reason), None), "full")
            return
        self._callers += 1
        self.start(self._serve(reader, writer), f"caller of {self._endpoint.port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(LinkDown):
                await self.hear(reader, writer)
        finally:
            self._callers -= 1
            self._said_full = False
            await close(writer)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One far end until it ends, by LinkDown."""
        endpoint, ear, send = self._endpoint, self._ear(), partial(_write, writer)
        clock = asyncio.get_running_loop().time
        size = READ_FRAMES if endpoint.protocol == "frames" else READ
        silent_at = clock() + endpoint.idle_timeout
        asked = 0
        ask_at = clock() if self._query else float("inf")
        while True:
            if clock() >= ask_at:
                await self._ask(writer, self._query[asked % len(self._query)])
                asked += 1
                ask_at = clock() + endpoint.query_every
            until = min(silent_at, ask_at, clock() + GAP if ear.pending else silent_at)
            heard: Iterable[Heard]
            try:
                async with asyncio.timeout_at(until):
                    octets = await reader.read(size)
            except TimeoutError:
                if clock() >= silent_at:
                    raise LinkDown(f"{endpoint.port}: nothing heard for {endpoint.idle_timeout:g} s") from None
                await self._take(ear.idle(_now()), send)
            except OSError as error:
                raise LinkDown(f"{endpoint.port}: {error}") from None
            else:
                if not octets:
                    raise LinkDown(f"{endpoint.port}: the far end has gone")
                heard = ear.feed(octets, _now())
                await self._take(heard, send)
                await asyncio.sleep(0)  # a far end that never pauses must not keep the loop
                silent_at = clock() + endpoint.idle_timeout

    async def hear_datagrams(self, datagrams: Datagrams) -> None:
        """All that send to a port; a datagram is heard by itself, so a far end's rubbish is nobody else's."""
        while True:
            octets, send = await datagrams.next()
            if len(octets) > MAX_DATAGRAM:
                await self._offer(self._rejected("size", f"a datagram of {len(octets)} bytes", octets), None)
                continue
            ear, now = self._ear(), _now()
            await self._take([*ear.feed(octets, now), *ear.end(now)], send)
            await asyncio.sleep(0)
            if (lost := datagrams.lost()) > 0:
                reason = f"{lost} datagrams came quicker than they could be taken"
                await self._offer(self._rejected("flood", reason), None)

    async def _take(self, heard: Iterable[Heard], send: Send) -> None:
        for one in heard:
            if one.frame is not None:
                self._exchange.heard(one.frame, send, one.ask)
            if one.samples or one.rejects:
                await self._offer(one, send)
            elif one.answer is not None:  # nothing in it that would have to be safe first
                await send(one.answer())

    async def _offer(self, heard: Heard, send: Send | None, safe: Callable[[], Awaitable[None]] = settled) -> None:
        """Hand over; once it is safe its answer is sent, or `safe` called."""
        settle = safe if send is None or heard.answer is None else partial(_confirm, send, heard.answer)
        await self._room.acquire()
        self._ready.append(Delivery(heard.samples, heard.rejects, settle))
        self._news.set()

    def _rejected(self, code: str, reason: str, octets: bytes = b"") -> Heard:
        return Heard((), (Reject(_now(), self._endpoint.port, code, reason, octets[:4096]),))

    async def _ask(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        try:
            async with asyncio.timeout(5):
                writer.write(octets)
                await writer.drain()
        except (OSError, TimeoutError) as error:
            raise LinkDown(f"{self._endpoint.port}: the query could not be sent ({error})") from None


class SerialDriver:
    """The driver `serial`: a line protocol by regular expression, binary frames by a profile's description, and GB/T 26875.3."""

    name = "serial"
    Endpoint: type[BaseModel] = settings.Endpoint
    Device: type[BaseModel] = settings.Device
    Address: type[BaseModel] = settings.Address
    Search: type[BaseModel] = discovery.Search

    def __init__(self) -> None:
        self._duties: dict[str, Duties] = {}

    @contextlib.asynccontextmanager
    async def connect(self, endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> AsyncIterator[SerialLink]:
        """Open the port, or listen; raises LinkDown, or AccessDenied where a setting or a permission must be changed."""
        link = self._link(endpoint, bindings)
        async with contextlib.AsyncExitStack() as stack:
            if endpoint.port.startswith("listen://"):
                await stack.enter_async_context(listening(endpoint.port, link.called))
            elif endpoint.port.startswith("udp://"):
                datagrams = await stack.enter_async_context(Datagrams.bound(endpoint.port))
                link.start(link.hear_datagrams(datagrams), f"datagrams to {endpoint.port}")
            else:
                reader, writer = await stack.enter_async_context(opened(endpoint))
                link.start(link.hear(reader, writer), f"far end of {endpoint.port}")
            if endpoint.protocol == "gb26875":
                link.start(link.keep_time(), f"time of {endpoint.port}")
            try:
                yield link
            finally:
                await link.leave()

    def discover(self, search: discovery.Search) -> AsyncGenerator[Found, None]:
        """What talks on a line, or who calls a port; see `discovery`."""
        return discovery.discover(search)

    def _link(self, endpoint: settings.Endpoint, bindings: Sequence[Binding]) -> SerialLink:
        wanted = {"lines": "pattern", "frames": "octets", "gb26875": "item"}[endpoint.protocol]
        for binding in bindings:
            if getattr(binding.address, wanted) is None:
                raise AccessDenied(
                    f"{endpoint.port}: protocol {endpoint.protocol} needs {wanted} in the address of {binding.series}"
                )
        devices = [binding.device for binding in bindings]
        try:
            if endpoint.protocol == "lines":
                shape = settings.line_shape(endpoint, devices)
                patterns = [compile_pattern(binding.address.pattern) for binding in bindings]
                ignored = [compile_pattern(text) for text in shape.ignore]
                lines = Lines(bindings, patterns, ignored, shape.encoding, endpoint.port)
                asked = [] if shape.query is None else [(shape.query + shape.terminator).encode(shape.encoding)]
                return SerialLink(endpoint, partial(LineEar, lines, shape), None, asked)
            if endpoint.protocol == "frames":
                frames = Frames(bindings, settings.frame_shape(endpoint, devices), endpoint.port)
                return SerialLink(endpoint, partial(FrameEar, frames), None, [one.octets for one in endpoint.queries])
            duties = self._duties.setdefault(endpoint.port, {})
            panel = Panel(bindings, endpoint.port, endpoint.edition, duties)
            return SerialLink(endpoint, partial(PanelEar, panel), panel, [])
        except ValueError as error:
            raise AccessDenied(f"{endpoint.port}: {error}") from None
