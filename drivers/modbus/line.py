"""Questions to a Modbus endpoint and what became of them: values, a refusal, silence or nonsense.

RTU frames carry no transaction number, so a late answer looks like the answer to the next question. After any time-out the line is left
alone until no answer can come any more, what still comes is thrown away, and the next answer of that unit is thrown away too.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from drivers.modbus import wire as wires
from drivers.modbus.frame import COIL_ON, IDENTIFICATION, REPORT_SERVER, Asked, Stage, objects_of, refusal_of, values_of
from drivers.modbus.settings import ModbusEndpoint
from hub.errors import LinkDown
from hub.model import Micros

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
_READS = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
_WRITE_COIL, _WRITE_REGISTER, _WRITE_REGISTERS = 5, 6, 16
_QUIET_S = 0.05
"""After nonsense, what still comes in this time is thrown away, so that it is not taken for the next answer."""
_BABBLE_S = 1.0
"""How much longer than it should be quiet a line is waited for that goes on talking."""


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


class Whole(NamedTuple):
    """A good answer as it came, without header and checksum."""

    at: Micros
    pdu: bytes


Outcome = Values | Refused | Silent | Garbled


@asynccontextmanager
async def opened(endpoint: ModbusEndpoint, doubtful: set[int]) -> AsyncIterator["Line"]:
    """The open line; raises LinkDown when nothing is there, AccessDenied when the machine does not let us use its port.

    `doubtful` are the units that the last one to have this line left owing an answer; the line keeps it for the next one.
    """
    async with wires.opened(endpoint) as wire:
        yield Line(endpoint, wire, doubtful)


class Line:
    """One connection, one request at a time."""

    def __init__(self, endpoint: ModbusEndpoint, wire: wires.Wire, doubtful: set[int]) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._turn = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._rtu = endpoint.is_rtu
        self._body = slice(1, -2) if self._rtu else slice(7, None)
        # each connection begins elsewhere, so that no gateway's answer to the last one fits this one's
        self._transaction = random.randrange(1 << 16)
        self._doubtful = doubtful
        """units whose next answer may be to an earlier question"""
        # whoever had this line before us may have left a question behind
        self._quiet_until = self._clock() + endpoint.timeout_s + endpoint.late_s if self._rtu else 0.0

    async def read(self, unit: int, table: str, first: int, count: int) -> Outcome:
        """Values of `count` addresses, or what became of the question; raises LinkDown when the connection is gone."""
        ask = Asked(self._next(), unit, _READS[table], first, count)
        outcome = await self._exchange(ask, ask)
        if isinstance(outcome, Whole):
            return Values(outcome.at, values_of(outcome.pdu)[:count])  # bits come in whole bytes
        return outcome

    async def write(self, unit: int, table: str, first: int, words: list[int]) -> Outcome:
        """Write one coil, or one register or more; raises LinkDown when the connection is gone."""
        look = Asked(self._next(), unit, _READS[table], first, len(words))
        if table == "coil":
            ask = Asked(self._next(), unit, _WRITE_COIL, first, COIL_ON if words[0] else 0)
        elif len(words) == 1:
            ask = Asked(self._next(), unit, _WRITE_REGISTER, first, words[0])
        else:
            ask = Asked(self._next(), unit, _WRITE_REGISTERS, first, len(words), tuple(words))
        outcome = await self._exchange(ask, look)
        return Values(outcome.at, words) if isinstance(outcome, Whole) else outcome

    async def identify(self, unit: int) -> dict[int, bytes] | Refused | Silent | Garbled:
        """What the unit says of itself: its basic objects (function 43/14: 0 vendor, 1 product code, 2 revision)."""
        ask = Asked(self._next(), unit, IDENTIFICATION, 0, 0)
        outcome = await self._exchange(ask, ask)
        return (objects_of(outcome.pdu) or {}) if isinstance(outcome, Whole) else outcome

    async def report(self, unit: int) -> bytes | Refused | Silent | Garbled:
        """What the unit's maker lets it say (function 17): number, running or not, and any text, in an order of his own."""
        ask = Asked(self._next(), unit, REPORT_SERVER, 0, 0)
        outcome = await self._exchange(ask, ask)
        return outcome.pdu[2:] if isinstance(outcome, Whole) else outcome

    async def _exchange(self, ask: Asked, look: Asked) -> Whole | Refused | Silent | Garbled:
        """One question; `look` is a harmless one whose answer is thrown away where it could be an older one's."""
        async with self._turn:
            if self._rtu:
                await self._settle()
                if ask.unit in self._doubtful:
                    thrown_away = await self._ask(look)
                    if isinstance(thrown_away, Silent | Garbled):
                        return thrown_away
                    # if that was the older answer, its own is still to come
                    self._quiet_until = self._clock() + self._endpoint.late_s
                    await self._settle()
                return await self._ask(ask)
            return await self._ask_once(ask)

    def _next(self) -> int:
        self._transaction = self._transaction + 1 & 0xFFFF
        return self._transaction

    async def _settle(self) -> None:
        """Wait until no answer can come any more. What comes meanwhile is dropped by the wire: nothing was asked."""
        while (left := self._quiet_until - self._clock()) > 0:
            await asyncio.sleep(left)
        give_up = self._clock() + _BABBLE_S
        gap = _QUIET_S if self._quiet_until else self._endpoint.frame_gap_s
        while (left := self._wire.heard_at + gap - self._clock()) > 0 and self._clock() < give_up:
            await asyncio.sleep(left)
        self._quiet_until = 0.0

    async def _ask(self, ask: Asked) -> Whole | Refused | Silent | Garbled:
        """Over RTU: until the answer is there the unit owes one, also when we are cancelled."""
        self._doubtful.add(ask.unit)
        self._quiet_until = self._clock() + self._endpoint.timeout_s + self._endpoint.late_s
        outcome = await self._ask_once(ask)
        if isinstance(outcome, Garbled) and not outcome.slow:
            self._quiet_until = self._clock() + self._endpoint.late_s
        if isinstance(outcome, Silent | Garbled):
            await self._settle()  # now: whoever was silent pays for it, not the next one
        else:
            self._doubtful.discard(ask.unit)
            self._quiet_until = 0.0
        return outcome

    async def _ask_once(self, ask: Asked) -> Whole | Refused | Silent | Garbled:
        try:
            verdict = await self._wire.ask(ask, self._endpoint.timeout_s)
        except ConnectionError as error:
            raise LinkDown(f"{self._endpoint.name}: {error}") from None
        if verdict.stage is Stage.WHOLE:
            pdu = verdict.frame[self._body]
            code = refusal_of(pdu)
            return Whole(time.time_ns() // 1000, pdu) if code is None else Refused(code)
        if verdict.stage is Stage.NONSENSE:
            garbled = Garbled(f"unit {ask.unit}: {verdict.reason}", self._wire.received)
            await asyncio.sleep(_QUIET_S)
            return garbled
        if verdict.stage is Stage.CUT:
            return Garbled(f"unit {ask.unit}: {verdict.reason}", self._wire.received, slow=True)
        return Silent(f"unit {ask.unit} did not answer within {self._endpoint.timeout_s} s")
