"""Looking for units on a line or behind a gateway: one read for each number in the range, then what the unit says of itself.

Only reads: a register or a bit (any answer, a refusal too, shows that somebody is there), Read Device Identification (function 43/14) and
Report Server ID (function 17). A number that stays silent is asked once.
"""

import asyncio
from collections.abc import AsyncGenerator

from drivers.modbus.line import Garbled, Line, Refused, Silent, Values, opened
from drivers.modbus.settings import ModbusSearch
from hub.driver import Found, FoundPoint
from hub.errors import LinkDown

_GATEWAY = frozenset({10, 11})
"""A gateway answers for a unit that is not there."""
_OBJECTS = {0: "vendor", 1: "product", 2: "revision"}
"""Basic objects of function 43/14 (Modbus Application Protocol V1.1b3, 6.21)."""
_MOST_TEXT = 120


class _Pace:
    """No more than so many questions a second."""

    def __init__(self, per_second: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._between = 1 / per_second
        self._next = self._clock()

    async def wait(self) -> None:
        left = self._next - self._clock()
        self._next = max(self._next, self._clock()) + self._between
        if left > 0:
            await asyncio.sleep(left)


async def discover(search: ModbusSearch) -> AsyncGenerator[Found, None]:
    """The units that answer, in order. Raises LinkDown when the line is gone or never was there, AccessDenied as a link does."""
    pace = _Pace(search.per_second)
    doubtful: set[int] = set()
    unit, seen, hung_up = search.first_unit, 0, None
    while unit <= search.last_unit:
        async with opened(search.endpoint, doubtful) as line:
            fresh = True
            try:
                while unit <= search.last_unit:
                    found = await _look(line, search, unit, pace)
                    fresh = False
                    unit += 1
                    if found is not None:
                        seen += 1
                        yield found
            except LinkDown as error:
                # some gateways hang up on a question that they do not like: the others are asked over a new connection
                hung_up = error
                unit += fresh
    if hung_up is not None and not seen:
        raise hung_up


async def _look(line: Line, search: ModbusSearch, unit: int, pace: _Pace) -> Found | None:
    await pace.wait()
    outcome = await line.read(unit, search.table, search.address, 1)
    if isinstance(outcome, Silent | Garbled) or (isinstance(outcome, Refused) and outcome.code in _GATEWAY):
        return None
    try:
        marks = await _marks(line, unit, pace)
    except LinkDown:  # it is there, and hangs up when asked who it is
        marks = {}
    says = " ".join(marks.values()) or "answers, and says nothing of itself"
    points: tuple[FoundPoint, ...] = ()
    if isinstance(outcome, Values):
        name = f"{search.table}_{search.address}"
        points = (FoundPoint(name, {"table": search.table, "address": search.address}, outcome.words[0]),)
    return Found(f"unit-{unit}", search.settings, {"unit": unit}, says, marks, points)


async def _marks(line: Line, unit: int, pace: _Pace) -> dict[str, str]:
    await pace.wait()
    objects = await line.identify(unit)
    if isinstance(objects, dict):
        marks = {name: _text(objects.get(number, b"")) for number, name in _OBJECTS.items()}
        marks = {name: text for name, text in marks.items() if text}
        if marks:
            return marks
    await pace.wait()
    report = await line.report(unit)
    text = _text(report) if isinstance(report, bytes) else ""
    return {"report": text} if text else {}


def _text(octets: bytes) -> str:
    """What can be read of it: signs that print, one blank between words."""
    signs = "".join(sign if sign.isprintable() else " " for sign in octets.decode("utf-8", "replace"))
    return " ".join(signs.replace("\ufffd", " ").split())[:_MOST_TEXT]
