"""The simulator `serial`: a line whose octets are known, behind a TCP port as a serial server has it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from drivers.serial import gb26875_2011 as gb
from drivers.serial.checks import check_of, size_of
from drivers.serial.frames import FrameShape
from drivers.serial.lines import Lines
from drivers.serial.settings import Device, LineShape
from drivers.simulator.binary import frame_of, kind_of
from drivers.simulator.exchange import LINE, Said, content_of, read_lines, write_lines
from drivers.simulator.faults import BIT, CLOCK, DUPLICATE, HALF, RESET, SILENCE, WRONG_ID, Faults
from drivers.simulator.fire_panel import FirePanel
from drivers.simulator.sentences import CannotSay, writings
from drivers.simulator.taps import serial_tap, tcp_tap
from drivers.simulator.wire import Pty, TcpPort
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Scalar, Series
from hub.simulation import ALL_WORDS, Part, Place, Played, Settings, Values

HEARD_WITHIN = 20.0
"""Seconds that the hub has to call, and to say each thing that it said when it was recorded."""
PATIENCE = 2.0
"""Seconds that a played panel waits for a confirmation before it sends again."""


class _Replay:
    """Says what was said, and waits where the hub spoke; hangs up at the end."""

    end = None

    def __init__(self, wire: TcpPort, said: Sequence[Said]) -> None:
        self.endpoint: dict[str, Any] = {"port": wire.port}
        self._wire = wire
        self._said = said

    async def play(self) -> None:
        """Raises TimeoutError when the hub does not say what it said then, BadInput when it says something else where that matters."""
        await self._wire.called(HEARD_WITHIN)
        for number, one in enumerate(self._said, 1):
            if one.who == "device":
                await self._wire.write(one.octets)
                continue
            async with asyncio.timeout(HEARD_WITHIN):
                heard = await self._wire.reader.readexactly(len(one.octets))
            if one.exact and heard != one.octets:
                raise BadInput(
                    f"the hub said {heard[:40].hex(' ')}, not {one.octets[:40].hex(' ')}", f"{LINE} exchange {number}"
                )
        await self._wire.unplug()


class FaultyWire:
    """A wire on which each write is one frame, and may suffer."""

    def __init__(self, wire: Pty | TcpPort, faults: Faults, rename: Callable[[bytes], bytes]) -> None:
        self._wire = wire
        self._faults = faults
        self._rename = rename

    @property
    def reader(self) -> asyncio.StreamReader:
        """What the hub says."""
        return self._wire.reader

    @property
    def port(self) -> str:
        """What an endpoint's `port` must be."""
        return self._wire.port

    @property
    def has_somebody(self) -> bool:
        """Whether anybody is there to hear; a pseudo terminal cannot tell."""
        return isinstance(self._wire, Pty) or self._wire.callers > 0

    async def drain(self) -> None:
        """Take what the hub says to a device that only prints."""
        while await self._wire.reader.read(4096):
            pass

    async def plug(self) -> None:
        """Be there."""
        await self._wire.plug()

    async def unplug(self) -> None:
        """Be gone."""
        await self._wire.unplug()

    async def write(self, octets: bytes) -> None:
        """Send a frame, or what becomes of it."""
        fault = self._faults.draw(SILENCE, HALF, WRONG_ID, BIT, RESET, DUPLICATE)
        spoilt = self._faults.spoil(octets, fault, self._rename)
        if spoilt:
            await self._wire.write(spoilt * 2 if fault == DUPLICATE else spoilt)
        if fault == RESET and isinstance(self._wire, TcpPort):
            self._wire.hang_up()


class _LinePlaying:
    """A device that prints a line for each value, with its terminator and checksum; one that contradicts nothing that stands, where there is one."""

    cannot: frozenset[str] = frozenset()

    def __init__(self, played: Played, wire: FaultyWire, faults: Faults) -> None:
        self._parts = {part.point: part for part in played.parts}
        patterns = [part.address.pattern for part in played.parts]
        given = played.device.address if played.device else None
        self._address = given or _fitting(patterns, "device", ("01", "1", "001", "0001"))
        self.instances = (_fitting(patterns, "instance", ("1", "01", "001", "0001")),)
        self.words = {
            part.point: frozenset(part.address.map.values()) for part in played.parts if part.address.map is not None
        }
        self._shape = (played.device.line if played.device else None) or LineShape()
        self.device: Settings = {"address": self._address}
        self.endpoint: Settings = {"protocol": "lines", "port": wire.port}
        device = Device(address=self._address)
        bindings = [Binding(Series("", part.point), device, part.address, part.kind) for part in played.parts]
        self._lines = Lines(bindings, [re.compile(one) for one in patterns], (), self._shape.encoding, "simulated")
        self._beats = {part.point for part in played.parts if part.beat}
        self._held: dict[tuple[str, str], Scalar] = {}
        self._wire = wire
        self._faults = faults

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """A line for each."""
        self._held |= {key: raw for key, raw in values.items() if not self._parts[key[0]].event}
        for (point, instance), raw in values.items():
            octets = self._line(point, instance, raw).encode(self._shape.encoding)
            if self._shape.check is not None:
                kind = self._shape.check.kind
                digits = 2 * size_of(kind)
                octets += f"{check_of(kind, octets[self._shape.check.since :]):0{digits}X}".encode()
            octets += self._shape.terminator.encode(self._shape.encoding)
            with contextlib.suppress(TimeoutError):  # nobody reads: what is printed is lost, as on a real line
                await self._wire.write(octets)
        return self._wire.has_somebody

    def _line(self, point: str, instance: str, raw: Scalar) -> str:
        """The line that is read as this value and contradicts least; raises BadInput where there is none."""
        part = self._parts[point]
        least: tuple[int, str] | None = None
        asked: list[dict[str, str]] = [{"value": word} for word in words_of(part, raw)]
        if point in self._beats:
            asked.append({})  # that it speaks is what counts
        try:
            for words in asked:
                for row in dict.fromkeys((instance, *(instance.zfill(width) for width in (2, 3, 4)))):
                    named = {**words, "device": self._address, **({"instance": row} if instance else {})}
                    for text in writings(part.address.pattern, named, _WRITINGS):
                        wrong = self._contradictions(text, point, None if not words else raw)
                        if wrong is not None and (least is None or wrong < least[0]):
                            least = wrong, text
                        if wrong == 0:
                            return text
        except CannotSay as error:
            raise BadInput(f"cannot be played: {error}", point, code="unplayable") from None
        if least is None or (point in self._beats and least[0]):
            reason = f"cannot be played: the pattern {part.address.pattern!r} does not take {raw!r}"
            raise BadInput(reason, point, code="unplayable")
        return least[1]

    def _contradictions(self, text: str, point: str, raw: Scalar | None) -> int | None:
        """How many other points the line says something about that is not so; None where it does not say what it shall."""
        samples, rejects = self._lines.read(text.encode(self._shape.encoding), 0)
        mine = [one for one in samples if one.series.point == point]
        if rejects or not mine or (raw is not None and mine[0].raw != raw):
            return None
        others = [one for one in samples if one.series.point != point and one.series.point not in self._beats]
        return sum(self._held.get((one.series.point, one.series.instance)) != one.raw for one in others)


_WRITINGS = 256
"""Texts of a pattern that are tried."""


def _fitting(patterns: Sequence[str], group: str, candidates: Sequence[str]) -> str:
    """The first text that every pattern with this group takes there; else the first at all."""
    asking = [pattern for pattern in patterns if group in re.compile(pattern).groupindex]
    for one in candidates:
        with contextlib.suppress(CannotSay):
            if all(any(True for _ in writings(pattern, {group: one}, _WRITINGS)) for pattern in asking):
                return one
    return candidates[0]


def words_of(part: Part, raw: Scalar) -> list[str]:
    """What may stand in the line for this raw value; raises BadInput where the point's map has no word for it."""
    if part.address.map is not None:
        found = [str(word) for word, value in part.address.map.items() if value == raw]
        if not found:
            raise BadInput(f"the point's map has no word for {raw!r}", part.point, code="unplayable")
        return found
    word = str(int(raw)) if isinstance(raw, bool) else str(raw)
    return [word, *(word.zfill(width) for width in (2, 3, 4, 5) if width > len(word))] if word.isdecimal() else [word]


_ITEMS = {"system": gb.SYSTEM_BITS, "part": gb.PART_BITS, "transmitter": gb.TRANSMITTER_BITS}


class _FramePlaying:
    """A device that sends binary frames: all points that one frame can hold together in one."""

    instances = ("1",)
    cannot: frozenset[str] = frozenset()

    def __init__(self, played: Played, wire: FaultyWire, faults: Faults) -> None:
        if played.device is None or played.device.frame is None:
            raise BadInput("the profile does not say what its frames look like", "device.frame", code="unplayable")
        self._shape: FrameShape = played.device.frame
        self._address = played.device.address or "1"
        self.device: Settings = {"address": self._address}
        self.endpoint: Settings = {"protocol": "frames", "port": wire.port}
        self.words = {
            part.point: frozenset(part.address.map.values()) for part in played.parts if part.address.map is not None
        }
        device = Device(address=self._address)
        self._bindings = {
            part.point: Binding(Series("", part.point), device, part.address, part.kind) for part in played.parts
        }
        self._events = {part.point for part in played.parts if part.event}
        self._held: dict[str, Scalar] = {}
        self._wire = wire
        self._faults = faults

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """A frame for each set of values that are meant by the same bytes."""
        now = {point: raw for (point, _), raw in values.items()}
        self._held |= {point: raw for point, raw in now.items() if point not in self._events}
        known = {**self._held, **now}
        sets = dict.fromkeys(kind_of(self._bindings[point]) for point in now)
        for kind in sets:
            there = [(self._bindings[point], raw) for point, raw in known.items()]
            held = [(one, raw) for one, raw in there if kind_of(one) == kind]
            with contextlib.suppress(TimeoutError):  # nobody reads
                await self._wire.write(frame_of(self._shape, self._address, held))
        return self._wire.has_somebody


class _PanelPlaying:
    """A panel behind a transmitter: parts 1 to 3 of system 1. Whatever changes is sent as a unit and waits for its confirmation."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1-1", "1-2", "1-3")
    cannot: frozenset[str] = frozenset()

    def __init__(self, played: Played, panel: FirePanel, wire: FaultyWire, faults: Faults) -> None:
        self.device: Settings = {"address": panel.address}
        self.endpoint: Settings = {"protocol": "gb26875", "port": wire.port}
        self._parts = {part.point: part.address for part in played.parts}
        self._panel = panel
        self._wire = wire
        self._faults = faults
        self._held: dict[tuple[str, str], Scalar] = {}
        self._sent: dict[tuple[str, str], bytes] = {}

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """Send the units whose content these values change, and the transmitter's own status always: its beat."""
        if self._faults.draw(CLOCK):
            self._panel.clock_error = self._faults.jump()
        for (point, _), raw in values.items():
            if self._parts[point].item == "clock_skew" and raw != self._held.get((point, "")):
                self._panel.clock_error = float(raw)
        self._held |= values
        heard = True
        for unit, instance in dict.fromkeys((self._parts[point].item, instance) for point, instance in values):
            if unit not in (*_ITEMS, "system_operation"):
                continue
            status = self._status(unit, instance)
            content = self._unit(unit, instance, status)
            key = (unit, instance)
            if unit == "transmitter" or self._sent.get(key) != status.to_bytes(8):
                if await self._confirmed(content):
                    self._sent[key] = status.to_bytes(8)
                else:
                    heard = False
        self._held = {key: raw for key, raw in self._held.items() if self._parts[key[0]].item != "system_operation"}
        return heard

    async def _confirmed(self, content: bytes) -> bool:
        if not self._wire.has_somebody:
            return False
        try:
            return await self._panel.send(content)
        except TimeoutError:
            return False  # nobody reads the line

    def _status(self, unit: str, instance: str) -> int:
        status = 1 if unit in _ITEMS else 0
        for (point, of), raw in self._held.items():
            address = self._parts[point]
            if address.item == unit and address.bit is not None and (of == instance or unit != "part") and raw:
                bits = _ITEMS.get(unit, gb.SYSTEM_OPERATION_BITS)
                status |= 1 << bits[address.bit]
        return status

    def _unit(self, unit: str, instance: str, status: int) -> bytes:
        label = self._panel.label()
        if unit == "transmitter":
            return gb.transmitter_unit(status, label)
        if unit == "system":
            return gb.system_unit(gb.Item(status, label, 1, 1))
        if unit == "part":
            number = int(instance.partition("-")[2])
            return gb.part_unit(gb.Item(status, label, 1, 1, 42, number, 0, f"模拟部件 {number}"))
        return gb.operation_unit(status, label, 1, 1)


def renamed_frame(faults: Faults, octets: bytes) -> bytes:
    """A GB/T 26875.3 frame from a transmitter that nobody knows, its checksum right."""
    scanner = gb.Scanner()
    for found in scanner.feed(octets):
        if isinstance(found, gb.Frame):
            return gb.encode(found._replace(source=faults.other(found.source, 2**48 - 1)))
    return octets


def renamed_line(faults: Faults, octets: bytes) -> bytes:
    """A line with another digit where its first one was: on a shared line, another device's."""
    for at, octet in enumerate(octets):
        if 48 <= octet <= 57:
            return octets[:at] + str(faults.other(octet - 48, 9)).encode() + octets[at + 1 :]
    return octets


class SerialSimulator:
    """Over TCP, whatever the line was: what octets mean does not depend on it."""

    name = "serial"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`line.jsonl`."""
        said = read_lines(Said, content_of(files, LINE), LINE)
        wire = TcpPort()
        await wire.plug()
        try:
            yield _Replay(wire, said)
        finally:
            await wire.unplug()

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_LinePlaying | _FramePlaying | _PanelPlaying]:
        """A device that prints lines or sends frames, or a fire panel, on a pseudo terminal or behind a serial server's port."""
        faults = Faults(played.faults, played.seed)
        bare = Pty(place.folder / played.name) if played.over == "pty" else TcpPort(host=played.host)
        lines = any(part.address.pattern is not None for part in played.parts)
        frames = any(part.address.octets is not None for part in played.parts)
        wire = FaultyWire(bare, faults, partial(renamed_frame if not lines and not frames else renamed_line, faults))
        if lines or frames:
            await wire.plug()
            draining = asyncio.create_task(wire.drain(), name=f"simulated {wire.port} hears")
            try:
                yield _LinePlaying(played, wire, faults) if lines else _FramePlaying(played, wire, faults)
            finally:
                draining.cancel()
                await asyncio.wait([draining])
                await wire.unplug()
            return
        address = (played.device.address if played.device else None) or f"{played.seed % 2**48:012x}"
        async with FirePanel(wire, address=address, beat=None, patience=PATIENCE) as panel:
            yield _PanelPlaying(played, panel, wire, faults)

    @contextlib.asynccontextmanager
    async def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> AsyncIterator["_Tap"]:
        """Between the line and the driver; for a transmitter that calls, at the port that it calls."""
        tap = _Tap(endpoint)
        scheme, _, where = endpoint.port.rpartition("://")
        host, _, number = where.rpartition(":")
        if scheme == "socket":
            async with tcp_tap(host.strip("[]"), int(number), tap.hear) as port:
                yield tap.reached(f"socket://127.0.0.1:{port}")
        elif not scheme:
            names = ("baudrate", "bytesize", "parity", "stopbits")
            line = {name: getattr(endpoint, name) for name in names}
            async with serial_tap(endpoint.port, line, place.folder, tap.hear) as path:
                yield tap.reached(path)
        else:
            reason = f"a tap cannot stand at {scheme}:// yet: record where the hub calls, at socket:// or a serial port"
            raise BadInput(reason, "port", code="tap")


class _Tap:
    """Octets of a line, both ways."""

    def __init__(self, endpoint: Any) -> None:
        given = endpoint.model_fields_set - {"port", "baudrate", "bytesize", "parity", "stopbits", "idle_timeout"}
        self.kept = tuple(sorted(given))
        self.endpoint: Settings = {}
        self._text = endpoint.protocol == "lines" and endpoint.encoding in ("ascii", "utf-8")
        self._said: list[tuple[bool, bytes, float]] = []
        self._began = asyncio.get_running_loop().time()

    def reached(self, port: str) -> "_Tap":
        """Through this port."""
        self.endpoint = {"port": port}
        return self

    def hear(self, device: bool, octets: bytes) -> None:
        """What one side said; what it goes on saying stands in one line."""
        after = round(asyncio.get_running_loop().time() - self._began, 2)
        if self._said and self._said[-1][0] is device:
            self._said[-1] = (device, self._said[-1][1] + octets, self._said[-1][2])
        else:
            self._said.append((device, octets, after))

    def files(self, redact: Callable[[str], str]) -> Mapping[str, bytes]:
        """Text where the protocol is one; octets of frames stay as they are: their checksums would not hold."""
        lines = []
        for device, octets, after in self._said:
            content = {"hex": octets.hex(" ")}
            if self._text:
                with contextlib.suppress(UnicodeDecodeError):
                    content = {"text": redact(octets.decode())}
            who = "device" if device else "hub"
            lines.append(Said.model_validate({"who": who, **content, "after": after}))
        return {LINE: write_lines(lines).encode()}


simulator = SerialSimulator()
