"""The wire to a Modbus endpoint: the only file that knows pymodbus (its API changes in minor versions).

pymodbus carries frames and counts transactions; what it leaves to others is done here: every received byte is judged before it is
decoded (`_Tap`), a lost connection ends the request that waits for it, and nothing reconnects behind the runtime's back.

RTU frames carry no transaction number, so a late answer looks like the answer to the next question. After any time-out the line is left
alone until no answer can come any more, what still comes is thrown away, and the next answer of that unit is thrown away too.
"""

import asyncio
import errno
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from drivers.modbus.frame import Asked, Stage, asked_by, asked_by_rtu, judge, judge_rtu
from drivers.modbus.settings import BIT_TABLES, ModbusEndpoint
from hub.errors import AccessDenied, LinkDown
from hub.model import Micros

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
_QUIET_S = 0.05
"""After nonsense, what still comes in this time is thrown away, so that it is not taken for the next answer."""
_BABBLE_S = 1.0
"""How much longer than it should be quiet a line is waited for that goes on talking."""
_BUFFER = 1 << 20
"""Above what asyncio reads at once (256 KiB): pymodbus drops a larger buffer unseen, and the bytes would miss in quarantine."""
_FIRST_TRANSACTION = 50_000
"""Below what pymodbus counts to. Each connection begins elsewhere, so that no gateway's answer to the last one fits this one's."""

_Client = AsyncModbusTcpClient | AsyncModbusSerialClient


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

    def __init__(self, rtu: bool) -> None:
        self.asked: Asked | None = None
        self.received = b""
        self.heard_at = 0.0
        """the loop's time when the last byte went either way"""
        self.fail: Callable[[Exception], None] = lambda error: None
        self.judge = judge_rtu if rtu else judge
        self._asked_by = asked_by_rtu if rtu else asked_by

    def packet(self, sending: bool, data: bytes) -> bytes:
        """pymodbus' trace hook; `data` is all that came since the request was sent."""
        self.heard_at = asyncio.get_running_loop().time()
        if sending:
            self.asked, self.received = self._asked_by(data), b""
            return data
        if self.asked is None:
            return b""
        self.received = data
        verdict = self.judge(data, self.asked)
        if verdict.stage is Stage.NONSENSE:
            self.fail(_NonsenseError(verdict.reason))
        return verdict.frame

    def connection(self, up: bool) -> None:
        """pymodbus' hook for connections: whoever waits must not wait for the time-out."""
        if not up:
            self.fail(ConnectionException("the peer closed the connection"))


def _client_for(endpoint: ModbusEndpoint, tap: _Tap) -> _Client:
    """A client that is not connected yet, never repeats a request and never reconnects."""
    settings: dict[str, Any] = {
        "timeout": endpoint.timeout_s,
        "retries": 0,
        "reconnect_delay": 0,
        "trace_packet": tap.packet,
        "trace_connect": tap.connection,
        "framer": FramerType.RTU if endpoint.is_rtu else FramerType.SOCKET,
    }
    client: _Client
    if endpoint.device is not None:
        client = AsyncModbusSerialClient(
            endpoint.device,
            baudrate=endpoint.baudrate,
            bytesize=8,
            parity=endpoint.parity,
            stopbits=endpoint.stopbits,
            **settings,
        )
    else:
        assert endpoint.host is not None
        client = AsyncModbusTcpClient(endpoint.host, port=endpoint.port, **settings)
    client.set_max_no_responses(1 << 30)
    client.ctx.max_buffer_size = _BUFFER

    def fail(error: Exception) -> None:
        if not client.ctx.response_future.done():
            client.ctx.response_future.set_exception(error)

    tap.fail = fail
    return client


@asynccontextmanager
async def opened(endpoint: ModbusEndpoint, doubtful: set[int]) -> AsyncIterator["Line"]:
    """The open line; raises LinkDown when nothing is there, AccessDenied when the machine does not let us use its port.

    `doubtful` are the units that the last one to have this line left owing an answer; the line keeps it for the next one.
    """
    tap = _Tap(endpoint.is_rtu)
    client = _client_for(endpoint, tap)
    transport: Any = None
    try:
        transport = await _open(endpoint, client)
        for _ in range(2):
            await asyncio.sleep(0)  # a serial port is ready in the loop's second turn
        # a request that waits is failed through this future; until the first one there is nobody to tell
        client.ctx.response_future.cancel()
        client.ctx.next_tid = random.randrange(_FIRST_TRANSACTION)
        yield Line(endpoint, client, tap, doubtful)
    finally:
        client.close()
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn


async def _open(endpoint: ModbusEndpoint, client: _Client) -> Any:
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            transport, _ = await client.ctx.call_create()  # not client.connect(): it swallows the reason
            return transport
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: no connection within {endpoint.timeout_s} s") from None
    except (OSError, ValueError) as error:  # ValueError: a rate that the port does not know
        denied = isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM)
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise (AccessDenied if denied and endpoint.device is not None else LinkDown)(
            f"{endpoint.name}: {reason}"
        ) from None


class Line:
    """One connection, one request at a time."""

    def __init__(self, endpoint: ModbusEndpoint, client: _Client, tap: _Tap, doubtful: set[int]) -> None:
        self._endpoint = endpoint
        self._client = client
        self._tap = tap
        self._turn = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._rtu = endpoint.is_rtu
        self._doubtful = doubtful
        """units whose next answer may be to an earlier question"""
        # whoever had this line before us may have left a question behind
        self._quiet_until = self._clock() + endpoint.timeout_s + endpoint.late_s if self._rtu else 0.0

    async def read(self, unit: int, table: str, first: int, count: int) -> Outcome:
        """Values of `count` addresses, or what became of the question; raises LinkDown when the connection is gone."""
        ask = self._reading(unit, table, first, count)
        outcome = await self._exchange(unit, ask, ask)
        if isinstance(outcome, Values):
            # answers are judged before; this holds for every transport: a short answer is no answer
            words = outcome.words[:count] if table in BIT_TABLES else outcome.words
            if len(words) != count:
                return Garbled(f"{len(words)} values instead of {count}", self._tap.received)
            return Values(outcome.at, words)
        return outcome

    async def write(self, unit: int, table: str, first: int, words: list[int]) -> Outcome:
        """Write one coil, or one register or more; raises LinkDown when the connection is gone."""
        look = self._reading(unit, table, first, len(words))
        if table == "coil":
            return await self._exchange(
                unit, lambda: self._client.write_coil(first, bool(words[0]), device_id=unit), look
            )
        if len(words) == 1:
            return await self._exchange(
                unit, lambda: self._client.write_register(first, words[0], device_id=unit), look
            )
        return await self._exchange(unit, lambda: self._client.write_registers(first, words, device_id=unit), look)

    def _reading(self, unit: int, table: str, first: int, count: int) -> Callable[[], Awaitable[ModbusPDU]]:
        ask: Callable[..., Awaitable[ModbusPDU]] = {
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
            "input": self._client.read_input_registers,
            "holding": self._client.read_holding_registers,
        }[table]
        return lambda: ask(first, count=count, device_id=unit)

    async def _exchange(
        self, unit: int, ask: Callable[[], Awaitable[ModbusPDU]], look: Callable[[], Awaitable[ModbusPDU]]
    ) -> Outcome:
        """One question; `look` is a harmless one whose answer is thrown away where it could be an older one's."""
        async with self._turn:
            if self._rtu:
                await self._settle()
                if unit in self._doubtful:
                    thrown_away = await self._ask(unit, look)
                    if isinstance(thrown_away, Silent | Garbled):
                        return thrown_away
                    # if that was the older answer, its own is still to come
                    self._quiet_until = self._clock() + self._endpoint.late_s
                    await self._settle()
            return await self._ask(unit, ask)

    async def _settle(self) -> None:
        """Wait until no answer can come any more. What comes meanwhile is dropped by the tap: nothing was asked."""
        while (left := self._quiet_until - self._clock()) > 0:
            await asyncio.sleep(left)
        give_up = self._clock() + _BABBLE_S
        gap = _QUIET_S if self._quiet_until else self._endpoint.frame_gap_s
        while (left := self._tap.heard_at + gap - self._clock()) > 0 and self._clock() < give_up:
            await asyncio.sleep(left)
        self._quiet_until = 0.0

    async def _ask(self, unit: int, ask: Callable[[], Awaitable[ModbusPDU]]) -> Outcome:
        if self._client.ctx.transport is None:  # pymodbus would connect again by itself
            raise LinkDown(f"{self._endpoint.name}: the peer closed the connection")
        if self._rtu:  # until the answer is there; also when we are cancelled
            self._doubtful.add(unit)
            self._quiet_until = self._clock() + self._endpoint.timeout_s + self._endpoint.late_s
        outcome = await self._ask_once(unit, ask)
        if self._rtu:
            if isinstance(outcome, Garbled) and not outcome.slow:
                self._quiet_until = self._clock() + self._endpoint.late_s
            if isinstance(outcome, Silent | Garbled):
                await self._settle()  # now: whoever was silent pays for it, not the next one
            else:
                self._doubtful.discard(unit)
                self._quiet_until = 0.0
        return outcome

    async def _ask_once(self, unit: int, ask: Callable[[], Awaitable[ModbusPDU]]) -> Outcome:
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
        if pdu.isError():
            return Refused(pdu.exception_code)
        return Values(time.time_ns() // 1000, pdu.registers or [int(bit) for bit in pdu.bits])

    def _no_answer(self, unit: int) -> Silent | Garbled:
        received = self._tap.received
        if received and self._tap.asked is not None:
            verdict = self._tap.judge(received, self._tap.asked)
            if verdict.stage is Stage.CUT:
                return Garbled(f"unit {unit}: {verdict.reason}", received, slow=True)
        return Silent(f"unit {unit} did not answer within {self._endpoint.timeout_s} s")
