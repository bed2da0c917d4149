"""The live connection to a Modbus endpoint: the only file that knows pymodbus (its API changes in minor versions).

pymodbus carries frames and counts transactions; what it leaves to others is done here: every received byte is judged before it is
decoded (`_Tap`), a lost connection ends the request that waits for it, and nothing reconnects behind the runtime's back.
RTU gets its own client and its own judge in `open_client` and `_Tap`; planning, decoding and the reading of blocks stay.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from drivers.modbus.frame import Asked, Stage, asked_by, judge
from drivers.modbus.plan import Block, Lessons, Limits, Point, halve, learn, limits_of, misfit, plan
from drivers.modbus.settings import BIT_TABLES, ModbusAddress, ModbusDevice, ModbusEndpoint
from drivers.modbus.values import decode, encode
from hub.driver import Binding
from hub.errors import BadInput, LinkDown, ProtocolFault
from hub.model import Micros, Sample, Scalar, Series

# pymodbus logs an error for every request that timed out; the runtime logs once when a link goes and once when it is back
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge: the device needs longer",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
_ONE_POINT_SPOILS = frozenset({2, 3, 4})
"""Exception codes that one bad address in a request can cause."""
_GATEWAY = frozenset({10, 11})
"""Exception codes that mean: the gateway lives, the unit does not."""
_QUIET_S = 0.05
"""After nonsense, what still comes in this time is thrown away, so that it is not taken for the next answer."""
_BUFFER = 1 << 20
"""Above what asyncio reads at once (256 KiB): pymodbus drops a larger buffer unseen, and the bytes would miss in quarantine."""
_PLANS = 64
"""Sets of series whose plan is kept; the runtime asks for the same few sets again and again."""


class Values(NamedTuple):
    """A good answer."""

    at: Micros
    words: Sequence[int]


class Refused(NamedTuple):
    """An exception answer."""

    code: int

    @property
    def reason(self) -> str:
        """The code in words."""
        return f"the device refused: {_EXCEPTIONS.get(self.code, 'exception')} ({self.code})"


class Silent(NamedTuple):
    """No answer within the time-out."""

    reason: str


class Garbled(NamedTuple):
    """An answer that is none."""

    reason: str
    payload: bytes
    slow: bool = False
    """whether it took the whole time-out to see"""


Outcome = Values | Refused | Silent | Garbled


class _NonsenseError(Exception):
    """Put into the waiting request by the tap."""


class _Tap:
    """Sees every packet before pymodbus does; lets only the whole, right answer through."""

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self.received = b""
        self.fail: Callable[[Exception], None] = lambda error: None

    def packet(self, sending: bool, data: bytes) -> bytes:
        """pymodbus' trace hook; `data` is all that came since the request was sent."""
        if sending:
            self.asked, self.received = asked_by(data), b""
            return data
        if self.asked is None:
            return b""
        self.received = data
        verdict = judge(data, self.asked)
        if verdict.stage is Stage.NONSENSE:
            self.fail(_NonsenseError(verdict.reason))
        return verdict.frame

    def connection(self, up: bool) -> None:
        """pymodbus' hook for connections: whoever waits must not wait for the time-out."""
        if not up:
            self.fail(ConnectionException("the peer closed the connection"))


def open_client(endpoint: ModbusEndpoint, tap: _Tap) -> AsyncModbusTcpClient:
    """A client that is not connected yet, never repeats a request and never reconnects."""
    client = AsyncModbusTcpClient(
        endpoint.host,
        port=endpoint.port,
        timeout=endpoint.timeout_s,
        retries=0,
        reconnect_delay=0,
        trace_packet=tap.packet,
        trace_connect=tap.connection,
    )
    client.set_max_no_responses(1 << 30)
    client.ctx.max_buffer_size = _BUFFER

    def fail(error: Exception) -> None:
        if not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(error)

    tap.fail = fail
    return client


@asynccontextmanager
async def connect(endpoint: ModbusEndpoint, bindings: Sequence[Binding]) -> AsyncIterator["ModbusLink"]:
    """A link to the endpoint; raises LinkDown when nothing listens there within the time-out."""
    tap = _Tap()
    client = open_client(endpoint, tap)
    try:
        await _open(endpoint, client)
        # a request that waits is failed through this future; until the first one there is nobody to tell
        client.ctx.response_future.cancel()
        yield ModbusLink(endpoint, bindings, client, tap)
    finally:
        transport: Any = client.ctx.transport
        client.close()
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn


async def _open(endpoint: ModbusEndpoint, client: AsyncModbusTcpClient) -> None:
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            await client.ctx.call_create()  # not client.connect(): it swallows the reason
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: no connection within {endpoint.timeout_s} s") from None
    except OSError as error:
        raise LinkDown(f"{endpoint.name}: {error.strerror or error}") from None


class ModbusLink:
    """PollLink and WriteLink over one connection, one request at a time."""

    def __init__(
        self, endpoint: ModbusEndpoint, bindings: Sequence[Binding], client: AsyncModbusTcpClient, tap: _Tap
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._tap = tap
        self._turn = asyncio.Lock()
        self._bindings = {binding.series: binding for binding in bindings}
        units: dict[int, list[ModbusDevice]] = {}
        for binding in bindings:
            units.setdefault(binding.device.unit, []).append(binding.device)
        self._limits: dict[int, Limits] = {unit: limits_of(devices) for unit, devices in units.items()}
        self._misfits: dict[Series, str] = {}
        self._points: dict[Series, Point] = {}
        for series, binding in self._bindings.items():
            address: ModbusAddress = binding.address
            unit = binding.device.unit
            reason = misfit(address, binding.kind, self._limits[unit])
            if reason is not None:
                self._misfits[series] = reason
            self._points[series] = Point(series, unit, address.table, address.address, address.width)
        self._lessons = Lessons()
        self._plans: dict[tuple[Series, ...], list[Block]] = {}
        self._silent: set[int] = set()

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked.

        A unit that stays silent costs one time-out and gives errors; when every unit of this endpoint has been silent since the last
        answer, LinkDown. ProtocolFault, with all samples in it, when a request was answered with nonsense.
        """
        turn = _Turn({})
        for one in series:
            if one not in self._points:
                turn.samples[one] = Sample(one, _now(), None, "this link has no such point")
            elif one in self._misfits:
                turn.samples[one] = Sample(one, _now(), None, self._misfits[one])
        for block in self._plan(tuple(one for one in series if one not in turn.samples)):
            await self._read_block(block, turn)
        samples = [turn.samples[one] for one in series]
        if turn.fault is not None:
            raise ProtocolFault(turn.fault.reason, turn.fault.payload, self._endpoint.name, samples)
        return samples

    def _plan(self, series: tuple[Series, ...]) -> list[Block]:
        blocks = self._plans.get(series)
        if blocks is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            blocks = self._plans[series] = plan([self._points[one] for one in series], self._limits, self._lessons)
        return blocks

    async def _read_block(self, block: Block, turn: "_Turn") -> frozenset[Series]:
        """Put a sample for each of the block's points into the turn; returns the points that were refused."""
        if block.unit in turn.dead:
            return _all_fail(block, turn, turn.dead[block.unit])
        outcome = await self._ask_for(block)
        match outcome:
            case Values():
                self._take(block, outcome, turn)
                return frozenset()
            case Refused(code) if code in _ONE_POINT_SPOILS:
                return await self._find_who_spoils(block, outcome, turn)
            case Refused(code) if code in _GATEWAY:
                turn.dead[block.unit] = f"unit {block.unit}: {outcome.reason}"
            case Silent():
                self._count_silence(block.unit, outcome)
                turn.dead[block.unit] = outcome.reason
            case Garbled():
                self._silent.clear()
                turn.fault = turn.fault or outcome
                if outcome.slow:
                    turn.dead[block.unit] = outcome.reason
        return _all_fail(block, turn, turn.dead.get(block.unit, outcome.reason))

    async def _find_who_spoils(self, block: Block, refusal: Refused, turn: "_Turn") -> frozenset[Series]:
        if len(block.points) == 1:
            _all_fail(block, turn, f"{self._bindings[block.points[0].series].address.name}: {refusal.reason}")
            self._learn(block, frozenset({block.points[0].series}))
            return frozenset({block.points[0].series})
        first, second = halve(block)
        refused = await self._read_block(first, turn) | await self._read_block(second, turn)
        if not refused and turn.fault is None and block.unit not in turn.dead:
            self._learn(block, refused)
        return refused

    def _learn(self, block: Block, refused: frozenset[Series]) -> None:
        lessons = learn(self._lessons, block, refused)
        if lessons != self._lessons:
            self._lessons = lessons
            self._plans.clear()

    def _take(self, block: Block, values: Values, turn: "_Turn") -> None:
        for point in block.points:
            binding = self._bindings[point.series]
            words = values.words[point.first - block.first : point.end - block.first]
            value = decode(words, binding.address, binding.device, binding.kind)
            turn.samples[point.series] = Sample(point.series, values.at, value.raw, value.error)

    def _count_silence(self, unit: int, silence: Silent) -> None:
        """One silent unit behind a gateway is that unit's matter; silence all around is the endpoint's."""
        self._silent.add(unit)
        if self._silent >= self._limits.keys():
            self._silent.clear()
            raise LinkDown(f"{self._endpoint.name}: {silence.reason}")

    async def write(self, series: Series, value: Scalar) -> Scalar | None:
        """Write the raw `value` (before the profile's scale) to a coil or to holding registers, and read it back."""
        binding = self._bindings.get(series)
        if binding is None or not binding.writable:
            raise BadInput("this point is not writable", "/".join(series))
        address: ModbusAddress = binding.address
        if address.table not in ("coil", "holding") or series in self._misfits:
            raise BadInput(self._misfits.get(series, f"a {address.table} cannot be written"), address.name)
        outcome = await self._ask_to_set(binding, encode(value, address, binding.device))
        if isinstance(outcome, Refused):
            raise BadInput(outcome.reason, f"{self._endpoint.name} {address.name}", code="refused")
        self._raise_unless_answered(outcome)
        point = self._points[series]
        seen = await self._ask_for(Block(point.unit, point.table, point.first, point.width, (point,)))
        self._raise_unless_answered(seen)
        if isinstance(seen, Values):
            return decode(seen.words, address, binding.device, binding.kind).raw
        return None

    def _raise_unless_answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Silent):
            raise LinkDown(f"{self._endpoint.name}: {outcome.reason}")
        if isinstance(outcome, Garbled):
            raise ProtocolFault(outcome.reason, outcome.payload, self._endpoint.name)

    async def _ask_for(self, block: Block) -> Outcome:
        ask: Callable[..., Awaitable[ModbusPDU]] = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "input": self._client.read_input_registers,
            "holding": self._client.read_holding_registers,
        }[block.table]
        outcome = await self._exchange(block.unit, lambda: ask(block.first, count=block.size, device_id=block.unit))
        if isinstance(outcome, Values):
            # answers over TCP are judged before; this holds for every transport: a short answer is no answer
            words = outcome.words[: block.size] if block.table in BIT_TABLES else outcome.words
            if len(words) != block.size:
                return Garbled(f"{len(words)} values instead of {block.size}", self._tap.received)
            return Values(outcome.at, words)
        return outcome

    async def _ask_to_set(self, binding: Binding, words: list[int]) -> Outcome:
        at, unit = binding.address.address, binding.device.unit
        if binding.address.table == "coil":
            return await self._exchange(unit, lambda: self._client.write_coil(at, bool(words[0]), device_id=unit))
        if len(words) == 1:
            return await self._exchange(unit, lambda: self._client.write_register(at, words[0], device_id=unit))
        return await self._exchange(unit, lambda: self._client.write_registers(at, words, device_id=unit))

    async def _exchange(self, unit: int, ask: Callable[[], Awaitable[ModbusPDU]]) -> Outcome:
        """One question and its outcome; raises LinkDown when the connection is gone."""
        async with self._turn:
            try:
                pdu = await ask()
            except _NonsenseError as error:
                garbled = Garbled(f"unit {unit}: {error}", self._tap.received)
                self._tap.asked = None
                await asyncio.sleep(_QUIET_S)
                return garbled
            except ConnectionException as error:
                raise LinkDown(f"{self._endpoint.name}: {error.string.removeprefix('[Connection] ')}") from None
            except ModbusIOException:
                return self._no_answer(unit)
            except ModbusException as error:
                return Garbled(f"unit {unit}: {error.string}", self._tap.received)
            finally:
                self._tap.asked = None
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # Python 3.11's wait_for, inside pymodbus, forgets a cancellation that meets the answer
            raise asyncio.CancelledError
        self._silent.clear()
        if pdu.isError():
            return Refused(pdu.exception_code)
        return Values(_now(), pdu.registers or [int(bit) for bit in pdu.bits])

    def _no_answer(self, unit: int) -> Silent | Garbled:
        received = self._tap.received
        if received and self._tap.asked is not None:
            verdict = judge(received, self._tap.asked)
            if verdict.stage is Stage.CUT:
                return Garbled(f"unit {unit}: {verdict.reason}", received, slow=True)
        return Silent(f"unit {unit} did not answer within {self._endpoint.timeout_s} s")


class _Turn:
    """What one call of `read` has so far."""

    def __init__(self, samples: dict[Series, Sample]) -> None:
        self.samples = samples
        self.dead: dict[int, str] = {}
        """units that are not asked again in this turn, and why"""
        self.fault: Garbled | None = None


def _all_fail(block: Block, turn: _Turn, reason: str) -> frozenset[Series]:
    at = _now()
    for point in block.points:
        turn.samples[point.series] = Sample(point.series, at, None, reason)
    return frozenset()


def _now() -> Micros:
    return time.time_ns() // 1000
