"""`discover` of the driver serial: listen, say nothing, and recognise who talks. Nothing is ever confirmed: what was not stored must come again.

On a line every given speed and format is listened to for the given time; on `listen://` and `udp://` whoever calls is heard.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.serial import gb26875_2011 as gb
from drivers.serial import gb26875_2011_tables as tables
from drivers.serial.checks import check_of
from drivers.serial.ports import Datagrams, close, listening, opened
from drivers.serial.settings import Endpoint, Port
from hub.driver import Found
from hub.errors import LinkDown

MAX_CALLERS = 64
MAX_KEPT = 4096
"""Bytes of one far end that are looked at as text."""
MAX_SPEAKERS = 256
_WORDS = 0.95
"""Share of printable characters from which octets count as text."""

Format = Annotated[str, Field(pattern=r"^[5-8][NEO][12]$")]


class Search(BaseModel):
    """Where to listen and for how long. Nothing is asked, so there is no rate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Port
    """a device's path, socket://, listen:// or udp://host:port"""
    seconds: float = Field(gt=0, le=600)
    """to listen, at each speed and format"""
    baudrates: tuple[int, ...] = Field(default=(), max_length=10)
    """of a device's path: the speeds to try"""
    formats: tuple[Format, ...] = Field(default=(), max_length=10)
    """of a device's path: data bits, parity and stop bits to try, 8N1"""

    @model_validator(mode="after")
    def _speeds_of_a_line(self) -> "Search":
        line = "://" not in self.port
        if line != bool(self.baudrates) or line != bool(self.formats):
            raise ValueError("baudrates and formats: given for a device's path, and only there")
        if any(not 50 <= rate <= 4_000_000 for rate in self.baudrates):
            raise ValueError("baudrates: from 50 to 4000000")
        if self.seconds * max(1, len(self.baudrates) * len(self.formats)) > 3600:
            raise ValueError("seconds: over all speeds and formats this takes more than an hour")
        return self


class Talk:
    """What one far end said; recognises each speaker once."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._scanner = gb.Scanner()
        self._frames: dict[int, Counter[int]] = {}
        self._first: dict[int, gb.Frame] = {}
        self._units: Counter[int] = Counter()
        self._text = b""
        self._burst = b""
        self.octets = 0

    def feed(self, octets: bytes) -> None:
        """More came."""
        self.octets += len(octets)
        self._text = (self._text + octets)[:MAX_KEPT]
        self._burst = (self._burst + octets)[-MAX_KEPT:]
        self._note(self._scanner.feed(octets))

    def pause(self) -> None:
        """The far end fell silent for a moment: what came before is one burst, and a Modbus frame is one."""
        self._note(self._scanner.idle())
        unit = modbus_unit(self._burst)
        if unit is not None and len(self._units) < MAX_SPEAKERS:
            self._units[unit] += 1
        self._burst = b""

    def found(self) -> Iterable[Found]:
        """Who speaks, as far as it is known."""
        for address, types in self._frames.items():
            frame = self._first[address]
            version = f"{frame.version[0]}.{frame.version[1]}"
            said = ", ".join(f"{_named(number)} {count}x" for number, count in sorted(types.items()))
            yield Found(
                f"transmitter-{address:012x}",
                {**self._settings, "protocol": "gb26875"},
                {"address": f"{address:012x}"},
                f"GB/T 26875.3 version {version}: {said}",
                {"protocol": "gb26875", "version": version, "systems": self._systems(address)},
            )
        if self._frames:
            return
        for unit, count in sorted(self._units.items()):
            says = f"looks like Modbus RTU, unit {unit}, {count} frames: give the line to the driver modbus"
            settings = {**self._settings, "protocol": "frames"}
            yield Found(f"modbus-unit-{unit}", settings, {"address": str(unit)}, says, {"protocol": "modbus-rtu"})
        if self._units:
            return
        yield from self._lines()

    def _lines(self) -> Iterable[Found]:
        for encoding in ("ascii", "utf-8", "gb18030"):
            if not _is(self._text, encoding):
                continue
            text = self._text.decode(encoding, "ignore")
            terminator = next((one for one in ("\r\n", "\n", "\r", "\x14") if one in text), None)
            words = sum(sign.isprintable() or sign in "\r\n\t\x14\x1b" for sign in text)
            if terminator is None or words < _WORDS * len(text):
                return
            lines = [masked(line) for line in text.split(terminator)[:-1] if line.strip()]
            if not lines:
                return
            settings = {**self._settings, "protocol": "lines", "terminator": terminator, "encoding": encoding}
            says = f"{len(lines)} lines of text, digits shown as 9: {lines[0][:60]!r}"
            marks = {"protocol": "lines", "line": lines[0][:60]}
            yield Found("line-talker", settings, {}, says, marks)
            return

    def _note(self, found: Iterable[Any]) -> None:
        for one in found:
            if not isinstance(one, gb.Frame) or (one.source not in self._frames and len(self._frames) >= MAX_SPEAKERS):
                continue
            self._first.setdefault(one.source, one)
            self._frames.setdefault(one.source, Counter())[one.data[0] if one.data else 0] += 1
            if one.data[:1] in (b"\x01", b"\x02"):
                self._first[one.source] = one  # this one names its system

    def _systems(self, address: int) -> str:
        data = self._first[address].data
        try:
            items = gb.decode_unit(data).items if data[:1] in (b"\x01", b"\x02") else ()
        except gb.Malformed:
            items = ()
        return ",".join(sorted({tables.described(tables.SYSTEM_TYPES, item.system_type).name for item in items}))


def _is(octets: bytes, encoding: str) -> bool:
    try:
        octets[:-3].decode(encoding)
    except UnicodeDecodeError as error:
        return error.start >= len(octets) - 6  # cut in the middle of a character
    return len(octets) > 3 and b"\0" not in octets


def masked(line: str) -> str:
    """A line without its digits: a card's number or a code is nobody's business here."""
    return re.sub(r"\d", "9", line.strip())


def _named(number: int) -> str:
    if number == 0:
        return "heartbeat"
    kind = gb.KINDS.get(number)
    return kind.name if kind is not None else f"type {number}"


def modbus_unit(burst: bytes) -> int | None:
    """The unit of a burst that is a Modbus RTU frame: its CRC holds, its unit and function exist."""
    if not 4 <= len(burst) <= 256 or not 1 <= burst[0] <= 247 or burst[1] & 0x7F not in range(1, 25):
        return None
    return burst[0] if check_of("crc-16-modbus", burst[:-2]) == int.from_bytes(burst[-2:], "little") else None


async def discover(search: Search) -> AsyncGenerator[Found, None]:
    """Who talks. Raises LinkDown, or AccessDenied where the machine does not let us open the port."""
    if search.port.startswith(("listen://", "udp://")):
        async with aclosing(_called(search)) as found:
            async for one in found:
                yield one
        return
    heard: list[tuple[str, int]] = []
    recognised = False
    for endpoint, settings in _settings(search):
        talk = Talk(settings)
        await _listen(endpoint, talk, search.seconds)
        talk.pause()
        for one in talk.found():
            recognised = True
            yield one
        heard.append((" ".join(str(settings[key]) for key in settings if key != "port"), talk.octets))
    seen = [f"{octets} bytes at {name or 'the port'}" for name, octets in heard if octets]
    if seen and not recognised:
        says = f"talks, but in nothing that is known here: {'; '.join(seen)}"
        yield Found(
            "unknown-talk", {"port": search.port, "protocol": "frames"}, {}, says[:400], {"protocol": "unknown"}
        )


def _settings(search: Search) -> Iterable[tuple[Endpoint, dict[str, Any]]]:
    if "://" in search.port:
        yield Endpoint(port=search.port, protocol="lines"), {"port": search.port}
        return
    for rate in search.baudrates:
        for form in search.formats:
            line: dict[str, Any] = {
                "port": search.port,
                "baudrate": rate,
                "bytesize": int(form[0]),
                "parity": form[1],
                "stopbits": int(form[2]),
            }
            yield Endpoint.model_validate({**line, "protocol": "lines"}), line


LOOK = 0.25
"""Seconds between two looks at who has called."""

PAUSE = 0.05
"""Seconds of silence between two bursts: longer than 3.5 characters at any usual speed, shorter than any pause between questions."""


async def _listen(endpoint: Endpoint, talk: Talk, seconds: float) -> None:
    async with opened(endpoint) as (reader, _):
        await _hear(reader, talk, asyncio.get_running_loop().time() + seconds)


async def _hear(reader: asyncio.StreamReader, talk: Talk, until: float) -> None:
    """Until the time is over or the far end has gone."""
    clock = asyncio.get_running_loop().time
    while clock() < until:
        try:
            async with asyncio.timeout(min(PAUSE, max(0.0, until - clock()))):
                octets = await reader.read(4096)
        except TimeoutError:
            talk.pause()
            continue
        except OSError as error:
            raise LinkDown(f"the line broke: {error}") from None
        if not octets:
            return
        talk.feed(octets)


async def _called(search: Search) -> AsyncGenerator[Found, None]:
    """Who calls a port or sends to it, each speaker once."""
    talks: list[Talk] = []
    tasks: set[asyncio.Task[None]] = set()
    until = asyncio.get_running_loop().time() + search.seconds

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk({"port": search.port})
        talks.append(talk)
        try:
            await _hear(reader, talk, until)
        except LinkDown:
            pass  # this caller has gone; others may call
        finally:
            await close(writer)

    def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(tasks) >= MAX_CALLERS or len(talks) >= MAX_SPEAKERS:
            writer.transport.abort()
            return
        task = asyncio.create_task(hear(reader, writer), name=f"caller of {search.port}")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def datagrams(port: Datagrams) -> None:
        talk = Talk({"port": search.port})
        talks.append(talk)
        while True:
            octets, _ = await port.next()
            talk.feed(octets)
            talk.pause()

    said: set[tuple[int, str]] = set()
    try:
        async with contextlib.AsyncExitStack() as stack:
            if search.port.startswith("udp://"):
                hearing = asyncio.create_task(datagrams(await stack.enter_async_context(Datagrams.bound(search.port))))
                tasks.add(hearing)
            else:
                await stack.enter_async_context(listening(search.port, called))
            while (left := until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(min(LOOK, left))
                for number, talk in enumerate(talks):
                    for one in talk.found():
                        if (number, one.name) not in said and not (one.device and (-1, one.name) in said):
                            said |= {(number, one.name), (-1, one.name)}
                            yield one
    finally:
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks))
