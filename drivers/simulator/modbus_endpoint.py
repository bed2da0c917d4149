"""The simulator `modbus`: a device over Modbus TCP whose registers are known."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from drivers.modbus.settings import ModbusDevice as Device
from drivers.modbus.values import encode
from drivers.simulator.exchange import REGISTERS, Places, content_of, read_registers, write_registers
from drivers.simulator.faults import Faults
from drivers.simulator.modbus import HOST, ModbusDevice
from drivers.simulator.modbus_bus import ModbusBus
from drivers.simulator.overheard import Registers
from drivers.simulator.taps import serial_tap, tcp_tap
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Scalar
from hub.simulation import ALL_WORDS, Place, Played, Settings, Values


class _Replay:
    """Answers from the registers; says nothing by itself."""

    end = None

    def __init__(self, port: int) -> None:
        self.endpoint: dict[str, Any] = {"transport": "tcp", "host": HOST, "port": port}

    async def play(self) -> None:
        """Nothing: it is asked."""


class _Playing:
    """One device on a port or line of its own."""

    words: Mapping[str, frozenset[Scalar]] = ALL_WORDS
    instances = ("1",)
    cannot: frozenset[str] = frozenset()

    def __init__(self, played: Played, bus: ModbusBus, faults: Faults) -> None:
        self._model: Device = played.device or Device.model_validate(dict(played.defaults))
        self.device: Settings = {"unit": self._model.unit}
        self._addresses = {part.point: part.address for part in played.parts}
        self._bus = bus
        self._faults = faults
        self._known: set[tuple[str, str]] = set()

    @property
    def endpoint(self) -> Settings:
        """Where it listens."""
        return self._bus.endpoint

    @property
    def spoilt(self) -> Mapping[str, int]:
        """Faults so far."""
        return self._faults.played

    async def show(self, values: Values) -> bool:
        """Put the values into the registers. A value that does not go into its register leaves what stood there."""
        for key, raw in values.items():
            address = self._addresses[key[0]]
            try:
                words = words_of(raw, address, self._model)
            except BadInput:
                if key in self._known:
                    continue
                raise
            self._known.add(key)
            place = (self._model.unit, address.table, address.address)
            if address.bit is not None:
                held = self._bus.places.get(place, 0)
                words = [held & ~(1 << address.bit) | words[0] << address.bit]
            for offset, word in enumerate(words):
                self._bus.places[place[0], place[1], place[2] + offset] = word
        return True


def words_of(raw: Scalar, address: Any, device: Any) -> list[int]:
    """The registers that give `raw`, as near as they can; raises BadInput that names the register."""
    if address.bit is not None:
        if raw not in (0, 1):
            raise BadInput("a bit is true or false", address.name)
        return [int(raw)]
    if isinstance(raw, float) and address.read_as not in ("f32", "f64"):
        raw = round(raw)
    return encode(raw, address, device)


class ModbusSimulator:
    """Over TCP, whatever the transport was: what a register means does not depend on it."""

    name = "modbus"

    @contextlib.asynccontextmanager
    async def replay(self, files: Mapping[str, bytes], place: Place) -> AsyncIterator[_Replay]:
        """`registers.yaml`; an address that is not there is refused with exception 2."""
        places = read_registers(content_of(files, REGISTERS))
        async with ModbusDevice() as device:
            device.fill(places)
            yield _Replay(device.port)

    @contextlib.asynccontextmanager
    async def play(self, played: Played, place: Place) -> AsyncIterator[_Playing]:
        """Over TCP, over TCP with RTU frames, or over RTU on a pseudo terminal."""
        transport = "rtu" if played.over == "pty" else played.over
        faults = Faults(played.faults, played.seed)
        bus = ModbusBus(transport, faults, place.folder, played.name, played.host)
        await bus.open()
        try:
            yield _Playing(played, bus, faults)
        finally:
            await bus.close()

    @contextlib.asynccontextmanager
    async def tap(self, endpoint: Any, bindings: Sequence[Binding], place: Place) -> AsyncIterator["_Tap"]:
        """Whatever the transport: what the device answers to the driver's own questions becomes its registers."""
        registers = Registers(rtu=endpoint.transport != "tcp")
        if endpoint.transport == "rtu":
            line = {name: getattr(endpoint, name) for name in ("baudrate", "parity", "stopbits")}
            async with serial_tap(endpoint.device, line, place.folder, registers.hear) as path:
                yield _Tap(registers, {"device": path})
            return
        async with tcp_tap(endpoint.host, endpoint.port, registers.hear) as port:
            yield _Tap(registers, {"host": HOST, "port": port})


class _Tap:
    """Registers that were read."""

    kept: tuple[str, ...] = ()

    def __init__(self, registers: Registers, endpoint: Settings) -> None:
        self.endpoint = endpoint
        self._registers = registers

    def files(self, redact: Callable[[str], str]) -> Mapping[str, bytes]:
        """Numbers, and texts where registers next to each other hold one."""
        return {REGISTERS: write_registers(redacted(self._registers.places, redact)).encode()}


def redacted(places: Places, redact: Callable[[str], str]) -> Places:
    """Texts in registers that stand next to each other, redacted in place: cut or filled up to the same length."""
    found = dict(places)
    run: list[tuple[int, str, int]] = []
    for place in [*sorted(key for key in places if key[1] in ("input", "holding")), (-1, "", -1)]:
        if run and place != (run[-1][0], run[-1][1], run[-1][2] + 1):
            octets = b"".join(places[one].to_bytes(2) for one in run)
            text = octets.decode("latin-1")
            said = "".join(
                part if not part.isprintable() else redact(part)[: len(part)].ljust(len(part))
                for part in re.split(r"([ -~]{4,})", text)
            )
            for at, one in enumerate(run):
                found[one] = int.from_bytes(said[2 * at : 2 * at + 2].encode("latin-1"))
            run = []
        run.append(place)
    return found


simulator = ModbusSimulator()
