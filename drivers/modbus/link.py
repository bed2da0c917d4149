"""Reading and writing points over a line: blocks are planned, asked for, decoded; who spoils a block is found.

Planning and decoding are pure and stand beside; the line knows the protocol's time-outs.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from typing import NamedTuple

from drivers.modbus.line import Garbled, Line, Outcome, Refused, Silent, Values, opened
from drivers.modbus.plan import Block, Lessons, Limits, Point, halve, learn, limits_of, misfit, plan
from drivers.modbus.settings import ModbusAddress, ModbusDevice, ModbusEndpoint
from drivers.modbus.values import Reader, UnreadableError, decode, encode, reader
from hub.driver import Binding
from hub.errors import BadInput, LinkDown, ProtocolFault
from hub.model import Sample, Scalar, Series

_ONE_POINT_SPOILS = frozenset({2, 3, 4})
"""Exception codes that one bad address in a request can cause."""
_GATEWAY = frozenset({10, 11})
"""Exception codes that mean: the gateway lives, the unit does not."""
_SAMPLE = partial(tuple.__new__, Sample)
"""A sample from all its fields; its own constructor takes three times as long, and a block has a hundred."""
_REST = [repeat(None)] * (len(Sample._fields) - 3)
"""what is left of a sample after series, time and raw value: a field more there is no sample that lacks one here"""
_PLANS = 64
"""Sets of series whose plan is kept; the runtime asks for the same few sets again and again."""


@asynccontextmanager
async def connect(
    endpoint: ModbusEndpoint, bindings: Sequence[Binding], doubtful: set[int]
) -> AsyncIterator["ModbusLink"]:
    """A link to the endpoint; raises LinkDown when nothing is there, AccessDenied when its port may not be opened.

    `doubtful` outlives the link: see `drivers.modbus.line.opened`.
    """
    async with opened(endpoint, doubtful) as line:
        yield ModbusLink(endpoint, bindings, line)


class ModbusLink:
    """PollLink and WriteLink over one connection, one request at a time."""

    def __init__(self, endpoint: ModbusEndpoint, bindings: Sequence[Binding], line: Line) -> None:
        self._endpoint = endpoint
        self._line = line
        self._bindings = {binding.series: binding for binding in bindings}
        units: dict[int, list[ModbusDevice]] = {}
        for binding in bindings:
            units.setdefault(binding.device.unit, []).append(binding.device)
        self._limits: dict[int, Limits] = {unit: limits_of(devices) for unit, devices in units.items()}
        self._misfits: dict[Series, str] = {}
        self._points: dict[Series, Point] = {}
        self._readers: dict[Series, Reader] = {}
        for series, binding in self._bindings.items():
            address: ModbusAddress = binding.address
            unit = binding.device.unit
            reason = misfit(address, binding.kind, self._limits[unit]) or _misplaced(unit, endpoint)
            if reason is not None:
                self._misfits[series] = reason
            self._points[series] = Point(series, unit, address.table, address.address, address.width)
            self._readers[series] = reader(address, binding.device, binding.kind)
        self._lessons = Lessons()
        self._plans: dict[tuple[Series, ...], _Plan] = {}
        self._silent: set[int] = set()

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked.

        A unit that stays silent costs one time-out and gives errors; when every unit of this endpoint has been silent since the last
        answer, LinkDown. ProtocolFault, with all samples in it, when a request was answered with nonsense.
        """
        turn = _Turn()
        requests, unreadable = self._plan(tuple(series))
        for one, reason in unreadable.items():
            turn.samples[one] = Sample(one, _now(), None, reason)
        for request in requests:
            await self._read_block(request, turn)
        samples = [turn.samples[one] for one in series]
        if turn.fault is not None:
            raise ProtocolFault(turn.fault.reason, turn.fault.payload, self._endpoint.name, samples)
        return samples

    def _plan(self, series: tuple[Series, ...]) -> "_Plan":
        known = self._plans.get(series)
        if known is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            unreadable = {one: self._misfits.get(one, "this link has no such point") for one in series}
            unreadable = {
                one: why for one, why in unreadable.items() if one in self._misfits or one not in self._points
            }
            points = [self._points[one] for one in series if one not in unreadable]
            requests = [self._request(block) for block in plan(points, self._limits, self._lessons)]
            known = self._plans[series] = _Plan(requests, unreadable)
        return known

    async def _read_block(self, request: "_Request", turn: "_Turn") -> frozenset[Series]:
        """Put a sample for each of the block's points into the turn; returns the points that were refused."""
        block = request.block
        if block.unit in turn.dead:
            return _all_fail(block, turn, turn.dead[block.unit])
        outcome = await self._ask_for(block)
        match outcome:
            case Values():
                self._take(request, outcome, turn)
                return frozenset()
            case Refused(code) if code in _ONE_POINT_SPOILS:
                return await self._find_who_spoils(block, outcome, turn)
            case Refused(code) if code in _GATEWAY:
                turn.dead[block.unit] = f"unit {block.unit}: {outcome.reason}"
            case Silent():
                self._count_silence(block.unit, outcome)
                turn.dead[block.unit] = outcome.reason
            case Garbled():
                turn.fault = turn.fault or outcome
                if outcome.slow:
                    turn.dead[block.unit] = outcome.reason
        return _all_fail(block, turn, turn.dead.get(block.unit, outcome.reason))

    async def _find_who_spoils(self, block: Block, refusal: Refused, turn: "_Turn") -> frozenset[Series]:
        if len(block.points) == 1:
            _all_fail(block, turn, f"{self._bindings[block.points[0].series].address.name}: {refusal.reason}")
            self._learn(block, frozenset({block.points[0].series}))
            return frozenset({block.points[0].series})
        first, second = (self._request(half) for half in halve(block))
        refused = await self._read_block(first, turn) | await self._read_block(second, turn)
        if not refused and turn.fault is None and block.unit not in turn.dead:
            self._learn(block, refused)
        return refused

    def _learn(self, block: Block, refused: frozenset[Series]) -> None:
        lessons = learn(self._lessons, block, refused)
        if lessons != self._lessons:
            self._lessons = lessons
            self._plans.clear()

    def _request(self, block: Block) -> "_Request":
        readers = [(self._readers[point.series], point.first - block.first) for point in block.points]
        return _Request(block, tuple(point.series for point in block.points), readers)

    def _take(self, request: "_Request", values: Values, turn: "_Turn") -> None:
        at, words = values
        try:
            raws = [read(words, place) for read, place in request.readers]
        except UnreadableError:
            self._take_one_by_one(request, values, turn)
            return
        turn.samples.update(
            zip(
                request.names,
                map(_SAMPLE, zip(request.names, repeat(at), raws, *_REST)),
                strict=True,
            )
        )

    def _take_one_by_one(self, request: "_Request", values: Values, turn: "_Turn") -> None:
        for series, (read, place) in zip(request.names, request.readers, strict=True):
            try:
                turn.samples[series] = Sample(series, values.at, read(values.words, place))
            except UnreadableError as error:
                turn.samples[series] = Sample(series, values.at, None, str(error))

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
        outcome = await self._line.write(
            binding.device.unit, address.table, address.address, encode(value, address, binding.device)
        )
        self._hear(outcome)
        if isinstance(outcome, Refused):
            raise BadInput(outcome.reason, f"{self._endpoint.name} {address.name}", code="refused")
        self._raise_unless_answered(outcome)
        point = self._points[series]
        seen = await self._ask_for(Block(point.unit, point.table, point.first, point.width, (point,)))
        self._raise_unless_answered(seen)
        if isinstance(seen, Values):
            return decode(seen.words, address, binding.device, binding.kind).raw
        return None

    async def _ask_for(self, block: Block) -> Outcome:
        outcome = await self._line.read(block.unit, block.table, block.first, block.size)
        self._hear(outcome)
        return outcome

    def _hear(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Silent):
            self._silent.clear()

    def _raise_unless_answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Silent):
            raise LinkDown(f"{self._endpoint.name}: {outcome.reason}")
        if isinstance(outcome, Garbled):
            raise ProtocolFault(outcome.reason, outcome.payload, self._endpoint.name)


class _Request(NamedTuple):
    """A block and how its points are found in the answer, in the same order."""

    block: Block
    names: Sequence[Series]
    readers: Sequence[tuple[Reader, int]]


class _Plan(NamedTuple):
    """How a set of series is read, and why some of it never is."""

    requests: Sequence[_Request]
    unreadable: Mapping[Series, str]


class _Turn:
    """What one call of `read` has so far."""

    def __init__(self) -> None:
        self.samples: dict[Series, Sample] = {}
        self.dead: dict[int, str] = {}
        """units that are not asked again in this turn, and why"""
        self.fault: Garbled | None = None


def _all_fail(block: Block, turn: _Turn, reason: str) -> frozenset[Series]:
    at = _now()
    for point in block.points:
        turn.samples[point.series] = Sample(point.series, at, None, reason)
    return frozenset()


def _misplaced(unit: int, endpoint: ModbusEndpoint) -> str | None:
    """Why a unit cannot be asked over this transport (MODBUS over Serial Line V1.02, 2.2)."""
    if not endpoint.is_rtu or 1 <= unit <= 247:
        return None
    return f"unit {unit}: a serial line has units 1 to 247" + (
        "; 0 is everybody, and nobody answers" if unit == 0 else ""
    )


def _now() -> int:
    return time.time_ns() // 1000
