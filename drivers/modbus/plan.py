"""Which requests read a set of points: neighbours are merged, limits hold, nothing forbidden is touched. Pure.

A point is never torn over two requests (its two halves could be of different moments). What a device refused teaches the
next plan: `learn` keeps a dead point apart from its neighbours, and stops reading over gaps where a gap was the fault.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from drivers.modbus.settings import BIT_TABLES, Forbidden, ModbusAddress, ModbusDevice
from hub.model import Series


class Point(NamedTuple):
    """A series and the addresses that it takes."""

    series: Series
    unit: int
    table: str
    first: int
    width: int

    @property
    def end(self) -> int:
        """One beyond the last address."""
        return self.first + self.width


class Limits(NamedTuple):
    """What one request to a unit may ask for."""

    registers: int
    bits: int
    gap: int
    forbidden: tuple[Forbidden, ...] = ()

    def most(self, table: str) -> int:
        """The most addresses of one request."""
        return self.bits if table in BIT_TABLES else self.registers

    def forbids(self, table: str, first: int, end: int) -> bool:
        """Whether any address from `first` up to but not `end` must not be read."""
        return any(rule.table == table and rule.first < end and first <= rule.last for rule in self.forbidden)


class Block(NamedTuple):
    """One request and the points it answers, in order of address."""

    unit: int
    table: str
    first: int
    size: int
    points: tuple[Point, ...]


class Lessons(NamedTuple):
    """What the device taught since the link was made."""

    apart: frozenset[Series] = frozenset()
    """points that are refused, or that spoil a request: each is asked by itself"""
    tight: frozenset[tuple[int, str]] = frozenset()
    """(unit, table) whose gaps are not read over any more"""


def limits_of(devices: Iterable[ModbusDevice]) -> Limits:
    """The strictest limits of the devices that share a unit id; at least one device."""
    shared = list(devices)
    return Limits(
        min(device.max_registers for device in shared),
        min(device.max_bits for device in shared),
        min(device.max_gap for device in shared),
        tuple(rule for device in shared for rule in device.forbidden),
    )


def misfit(address: ModbusAddress, kind: str, limits: Limits) -> str | None:
    """Why this point can never be read (its type, its width, a forbidden address), else None."""
    if limits.forbids(address.table, address.address, address.address + address.width):
        return f"{address.name} is forbidden by the device's settings"
    if address.width > limits.most(address.table):
        return (
            f"{address.name} takes {address.width} registers; the device gives {limits.most(address.table)} a request"
        )
    if (kind == "str") != (address.read_as == "string"):
        return f"{address.name} is read as {address.read_as}, but the profile's point is of type {kind}"
    return None


def plan(points: Sequence[Point], limits: Mapping[int, Limits], lessons: Lessons = Lessons()) -> list[Block]:
    """The requests that read all of `points`, in order of unit, table and address.

    `limits` holds every unit that occurs. Points may overlap, and the same addresses may be asked for by several.
    """
    groups: defaultdict[tuple[int, str], list[Point]] = defaultdict(list)
    for point in points:
        groups[point.unit, point.table].append(point)
    blocks: list[Block] = []
    for (unit, table), group in sorted(groups.items()):
        limit = limits[unit]
        gap = 0 if (unit, table) in lessons.tight else limit.gap
        blocks += _merge([point for point in group if point.series not in lessons.apart], limit, gap)
        blocks += [_block([point]) for point in group if point.series in lessons.apart]
    return blocks


def _merge(points: Iterable[Point], limits: Limits, gap: int) -> Iterable[Block]:
    run: list[Point] = []
    end = 0
    for point in sorted(points, key=lambda point: (point.first, point.width)):
        fits = run and (
            point.first - end <= gap
            and max(end, point.end) - run[0].first <= limits.most(point.table)
            and not limits.forbids(point.table, end, point.first)
        )
        if run and not fits:
            yield _block(run)
            run = []
        end = max(end, point.end) if run else point.end
        run.append(point)
    if run:
        yield _block(run)


def _block(points: Sequence[Point]) -> Block:
    first = points[0]
    size = max(point.end for point in points) - first.first
    return Block(first.unit, first.table, first.first, size, tuple(points))


def halve(block: Block) -> tuple[Block, Block]:
    """The two halves of a block of at least two points, to find the one that spoils it."""
    middle = len(block.points) // 2
    return _block(block.points[:middle]), _block(block.points[middle:])


def learn(lessons: Lessons, block: Block, refused: frozenset[Series]) -> Lessons:
    """What to do better after `block` was refused as a whole and `refused` of its points were refused by themselves."""
    if refused:
        return lessons._replace(apart=lessons.apart | refused)
    covered = {address for point in block.points for address in range(point.first, point.end)}
    if len(covered) < block.size and (block.unit, block.table) not in lessons.tight:
        return lessons._replace(tight=lessons.tight | {(block.unit, block.table)})
    return lessons._replace(apart=lessons.apart | {point.series for point in block.points})
