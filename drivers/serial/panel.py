"""From GB/T 26875.3 frames to samples. Pure, but for what it remembers: the last time of every series.

**Time.** The label of sending is checked against the clock of this process. Within `MAX_SKEW` the transmitter's clock is believed, and an item's
own label becomes the event time; else the time of arrival. So it does, too, when an item's label is no date, lies ahead, is older than
`MAX_AGE`, or goes back behind the label before it of the same series: a panel whose clock fell back to the year 2000 must not lose its
fires to the rule that the past is not judged.
"""

from collections.abc import Sequence
from typing import NamedTuple

from drivers.serial import gb26875_2011 as gb
from drivers.serial.settings import Address, transmitter_of
from hub.driver import Binding
from hub.model import SECOND, Micros, Reject, Sample, Scalar, Series

MAX_SKEW = 300 * SECOND
MAX_AGE = 24 * 3600 * SECOND
MAX_REMEMBERED = 10_000
"""Series whose last time is kept; a transmitter has hundreds of parts."""


class Heard(NamedTuple):
    """What one frame gave, and how it is answered once that is safe (None: not at all)."""

    samples: list[Sample]
    rejects: list[Reject]
    answer: gb.Command | None


class Panel:
    """The transmitters behind one endpoint. Raises ValueError for a device whose address is none."""

    def __init__(self, bindings: Sequence[Binding], source: str) -> None:
        self._bound = [(transmitter_of(binding.device), binding) for binding in bindings]
        self._source = source
        self._last: dict[Series, Micros] = {}

    def hear(self, found: gb.Frame | gb.Garbage, now: Micros) -> Heard:
        """What a frame says; a broken one is denied, one that cannot be read is kept as a reject."""
        if isinstance(found, gb.Garbage):
            deny = found.frame is not None and found.frame.command == gb.Command.SEND
            reject = Reject(now, self._source, found.code, found.reason, found.octets[:4096])
            return Heard([], [reject], gb.Command.DENY if deny else None)
        if found.command in (gb.Command.CONFIRM, gb.Command.DENY):
            return Heard([], [], None)
        if found.command not in (gb.Command.SEND, gb.Command.ANSWER):
            return self._refuse(found, now, "command", f"command {found.command} is not for a centre")
        bindings = [binding for address, binding in self._bound if address in (None, found.source)]
        if not bindings:
            return self._refuse(found, now, "device", f"no device has the transmitter address {found.source:012x}")
        try:
            unit = gb.decode_unit(found.data)
        except gb.Malformed as error:
            return self._refuse(found, now, "unit", str(error))
        answer = gb.Command.CONFIRM if found.command == gb.Command.SEND else None
        if unit.type not in gb.KINDS and unit.type not in gb.UNREAD:
            # What it says is kept; to deny it would only bring it three times more.
            reject = self._reject(found, now, "type", f"a data unit of type {unit.type} is not known")
            return Heard(self._skew(bindings, found, now), [reject], answer)
        samples = self._skew(bindings, found, now)
        for item in unit.items:
            samples += self._samples(bindings, gb.KINDS[unit.type], item, found.label, now)
        return Heard(samples, [], answer)

    def _reject(self, frame: gb.Frame, now: Micros, code: str, reason: str) -> Reject:
        return Reject(now, self._source, code, reason, gb.encode(frame)[:4096])

    def _refuse(self, frame: gb.Frame, now: Micros, code: str, reason: str) -> Heard:
        return Heard([], [self._reject(frame, now, code, reason)], gb.Command.DENY)

    def _skew(self, bindings: Sequence[Binding], frame: gb.Frame, now: Micros) -> list[Sample]:
        sent = gb.label_at(frame.label)
        series = [binding.series for binding in bindings if binding.address.item == "clock_skew"]
        if sent is None:
            return [Sample(one, now, None, "the frame's label is no date") for one in series]
        return [Sample(one, now, (sent - now) / SECOND) for one in series]

    def _samples(
        self, bindings: Sequence[Binding], kind: gb.Kind, item: gb.Item, sent: bytes, now: Micros
    ) -> list[Sample]:
        samples = []
        for binding in bindings:
            address: Address = binding.address
            if address.item != kind.name or not _meant(address, item):
                continue
            wanted = address.item == "part" if address.instances is None else address.instances
            value = _value(address, kind, item)
            if value is False and kind.name.endswith("operation"):
                continue  # what a person did happens, and what was not done is no news
            series = binding.series._replace(instance=_instance(kind.name, item)) if wanted else binding.series
            at = self._at(series, item.label, sent, now)
            samples.append(Sample(series, at, value))
        return samples

    def _at(self, series: Series, label: bytes, sent: bytes, now: Micros) -> Micros:
        told, clock = gb.label_at(label), gb.label_at(sent)
        believed = clock is not None and abs(clock - now) <= MAX_SKEW
        if told is None or not believed or not now - MAX_AGE <= told <= now + MAX_SKEW:
            return now
        at = told if told >= self._last.get(series, told) else now
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
        self._last[series] = at
        return at


def _meant(address: Address, item: gb.Item) -> bool:
    asked = (
        (address.system_type, item.system_type),
        (address.system, item.system),
        (address.part_type, item.part_type),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _instance(name: str, item: gb.Item) -> str:
    """`1-23` is part 23 of system 1; a system that is no fire alarm system (type 1) has its type before it: `13.1-23`."""
    if name in ("transmitter", "transmitter_operation"):
        return ""
    system = f"{item.system}" if item.system_type == 1 else f"{item.system_type}.{item.system}"
    return f"{system}-{item.part}" if name == "part" else system


def _value(address: Address, kind: gb.Kind, item: gb.Item) -> Scalar:
    if address.bit is not None:
        return bool(item.status >> kind.bits[address.bit] & 1)
    if address.field == "description":
        return item.description
    return item.operator if address.field == "operator" else item.status
