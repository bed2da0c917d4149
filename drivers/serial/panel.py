"""From GB/T 26875.3 frames to samples. Pure, but for what it remembers: the last time of every series, parts that are not at rest, open duty checks.

**Time.** The label of sending is checked against the clock of this process. Within `MAX_SKEW` the transmitter's clock is believed, and an item's
own label becomes the event time; else the time of arrival. So it does, too, when an item's label is no date, lies ahead by more than
`MAX_AHEAD`, is older than `MAX_AGE`, or goes back behind the label before it of the same series: a panel whose clock fell back to the
year 2000 must not lose its fires to the rule that the past is not judged.

**Reset.** A reset clears nothing here: what it cleared, the panel says when it is asked (decision 0131).
"""

from collections.abc import Sequence
from typing import NamedTuple

from drivers.serial import framing
from drivers.serial import gb26875_2011 as gb
from drivers.serial import gb26875_2011_tables as tables
from drivers.serial.gb26875 import Edition, edition_of
from drivers.serial.settings import QUANTITY_CODES, Address, transmitter_of
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import SECOND, Micros, Reject, Sample, Scalar, Series

MAX_SKEW = 300 * SECOND
MAX_AHEAD = 2 * SECOND
"""A label further ahead of our clock gets the time of arrival. The hub puts its own time in the place of one that lies more than 5 s ahead,
and what the panel says next would then seem older and move nothing."""
MAX_AGE = 24 * 3600 * SECOND
MAX_REMEMBERED = 10_000
"""Series whose last time is kept; a transmitter has hundreds of parts."""
MAX_PARTS = 1_000
"""Parts of one transmitter that are not at rest; more are not asked after a reset."""
MAX_TRANSMITTERS = 256
"""Transmitters whose parts are remembered."""
MAX_STRANGERS = 1_000
"""Unknown addresses that were said already."""

_INSTANCED = frozenset({"part", "analog", "part_config"})
_PER_QUESTION = gb.KINDS[gb.TYPES["read_part"]].most


class Heard(NamedTuple):
    """What one frame gave, and how it is answered once that is safe (None: not at all)."""

    samples: list[Sample]
    rejects: list[Reject]
    answer: gb.Command | None
    ask: tuple[bytes, ...] = ()
    """data units to request from its transmitter after a while: what was not at rest when the panel was reset"""


class Duty(NamedTuple):
    """A duty check of one transmitter: when it was sent, until when it may be answered, and the answer's label and arrival."""

    sent: Micros
    until: Micros
    answer: bytes | None = None
    answered: Micros = 0


Duties = dict[int, Duty]
"""Duty checks by transmitter; they outlive a link, as the person who must answer does not see it go."""

_Place = tuple[int, int, int]
"""System type, system and part."""


class Panel:
    """The transmitters behind one endpoint. Raises ValueError for a device whose address is none."""

    def __init__(
        self, bindings: Sequence[Binding], source: str, edition: Edition = "auto", duties: Duties | None = None
    ) -> None:
        self._bound = [(transmitter_of(binding.device), binding) for binding in bindings]
        self._source = source
        self._edition = edition
        self._duties = {} if duties is None else duties
        self._last: dict[Series, Micros] = {}
        self._strangers: set[int] = set()
        self._said_missed: set[int] = set()
        self._active: dict[int, dict[_Place, None]] = {}

    def knows(self, transmitter: int) -> bool:
        """Whether any device has this address, or any device takes whoever speaks."""
        return any(address in (None, transmitter) for address, _ in self._bound)

    def binding_of(self, series: Series) -> tuple[int | None, Binding] | None:
        """The transmitter's address, None for whoever speaks, and the binding of a series."""
        return next(((address, one) for address, one in self._bound if one.series == series), None)

    def hear(self, found: "gb.Frame | framing.Garbage[gb.Frame]", now: Micros) -> Heard:
        """What a frame says; a broken one is denied, one that cannot be read is kept as a reject."""
        if isinstance(found, framing.Garbage):
            deny = found.frame is not None and found.frame.command == gb.Command.SEND
            reject = Reject(now, self._source, found.code, found.reason, found.octets[:4096])
            return Heard([], [reject], gb.Command.DENY if deny else None)
        edition = edition_of(found.version, self._edition)
        if edition is None:
            version = f"{found.version[0]}.{found.version[1]}"
            return self._refuse(found, now, "version", f"version {version} is of no edition known here")
        bindings = [binding for address, binding in self._bound if address in (None, found.source)]
        if not bindings:
            return self._strange(found, now)
        beat = [Sample(one.series, now, found.serial) for one in bindings if one.address.item == "frame"]
        if found.command in (gb.Command.CONFIRM, gb.Command.DENY):
            return Heard(beat, [], None)
        if found.command not in (gb.Command.SEND, gb.Command.ANSWER):
            return self._refuse(found, now, "command", f"command {found.command} is not for a centre")
        answer = gb.Command.CONFIRM if found.command == gb.Command.SEND else None
        samples = [*beat, *self._skew(bindings, found.label, now, "clock_skew")]
        if not found.data:  # a heartbeat: figure 5 allows a unit to be empty
            return Heard(samples, [], answer)
        try:
            unit: gb.Unit = edition.decode_unit(found.data)
        except gb.Malformed as error:
            return self._refuse(found, now, "unit", str(error))
        kind = gb.KINDS.get(unit.type)
        if kind is None:
            # What it says is kept; to deny it would only bring it three times more.
            reject = self._reject(found, now, "type", f"a data unit of type {unit.type} is not known")
            return Heard(samples, [reject], answer)
        if kind.command is not gb.Command.SEND:
            return self._refuse(found, now, "type", f"a data unit of type {unit.type} is not for a centre")
        for item in unit.items:
            samples += self._samples(bindings, kind, item, found.label, now)
            samples += self._duty(found.source, bindings, kind, item, now)
            self._remember(found.source, kind, item)
        ask = self._after_reset(found.source, kind, unit.items)
        if unit.fault:  # with objects missing it is denied: what is read already comes again with the same time
            reject = self._reject(found, now, "unit", unit.fault)
            return Heard(samples, [reject], gb.Command.DENY if unit.short and answer else answer, ask)
        return Heard(samples, [], answer, ask)

    def duty_sent(self, transmitter: int, minutes: int, now: Micros) -> list[Sample]:
        """A duty check goes out: what to say once it is confirmed. Raises BadInput while another one may still be answered."""
        open_one = self._duties.get(transmitter)
        if open_one is not None and open_one.answer is None and now < open_one.until:
            left = (open_one.until - now) // SECOND
            raise BadInput(f"a duty check is open for {left} s more", f"transmitter {transmitter:012x}")
        self._duties[transmitter] = Duty(now, now + minutes * 60 * SECOND)
        self._said_missed.discard(transmitter)
        return [Sample(one, now, minutes) for one in self._own(transmitter, "duty_check")]

    def duty_withdrawn(self, transmitter: int) -> None:
        """It was not confirmed: nobody was asked."""
        self._duties.pop(transmitter, None)

    def overdue(self, now: Micros) -> list[tuple[int, list[Sample]]]:
        """Transmitters whose duty check is over without an answer, each once, and what there is to say; until it was `told` a new panel
        says it again, with the same time."""
        missed = []
        for transmitter, duty in self._duties.items():
            if duty.answer is not None or now < duty.until or transmitter in self._said_missed:
                continue
            self._said_missed.add(transmitter)
            waited = f"no answer within {(duty.until - duty.sent) // SECOND} s"
            samples = [Sample(one, duty.until, None, waited) for one in self._own(transmitter, "duty_time")]
            samples += [Sample(one, duty.until, True) for one in self._own(transmitter, "duty_missed")]
            missed.append((transmitter, samples))
        return missed

    async def told(self, transmitter: int) -> None:
        """That a duty check was missed is safe."""
        duty = self._duties.get(transmitter)
        if duty is not None and duty.answer is None and transmitter in self._said_missed:
            del self._duties[transmitter]
        self._said_missed.discard(transmitter)

    def _own(self, transmitter: int, item: str) -> list[Series]:
        return [
            one.series for address, one in self._bound if address in (None, transmitter) and one.address.item == item
        ]

    def _duty(
        self, transmitter: int, bindings: Sequence[Binding], kind: gb.Kind, item: gb.Item, now: Micros
    ) -> list[Sample]:
        duty = self._duties.get(transmitter)
        answers = kind.name == "transmitter_operation" and item.status >> kind.bits["duty_answer"] & 1
        if duty is None or not answers or duty.answer not in (None, item.label):
            return []
        if duty.answer is None:  # one that is sent again, because it was not confirmed, gives the same samples
            duty = self._duties[transmitter] = duty._replace(answer=item.label, answered=now)
        took = max(0, duty.answered - duty.sent) / SECOND
        values: dict[str, Scalar] = {"duty_time": took, "duty_missed": False}
        return [
            Sample(one.series, duty.answered, values[one.address.item])
            for one in bindings
            if one.address.item in values
        ]

    def _remember(self, transmitter: int, kind: gb.Kind, item: gb.Item) -> None:
        if kind.name != "part":
            return
        place = (item.system_type, item.system, item.part)
        if transmitter not in self._active and len(self._active) >= MAX_TRANSMITTERS:
            self._active.pop(next(iter(self._active)))
        active = self._active.setdefault(transmitter, {})
        if item.status & ~1 == 0:
            active.pop(place, None)
        elif len(active) < MAX_PARTS:
            active[place] = None

    def _after_reset(self, transmitter: int, kind: gb.Kind, items: Sequence[gb.Item]) -> tuple[bytes, ...]:
        if kind.name not in ("system", "system_operation"):
            return ()
        systems = {(item.system_type, item.system) for item in items if item.status >> kind.bits["reset"] & 1}
        places = [place for place in self._active.get(transmitter, {}) if place[:2] in systems]
        asked = [gb.Item(system_type=one[0], system=one[1], part=one[2]) for one in places]
        starts = range(0, len(asked), _PER_QUESTION)
        return tuple(gb.encode_unit(gb.TYPES["read_part"], *asked[n : n + _PER_QUESTION]) for n in starts)

    def _strange(self, frame: gb.Frame, now: Micros) -> Heard:
        answer = gb.Command.DENY if frame.command == gb.Command.SEND else None
        if frame.source in self._strangers or len(self._strangers) >= MAX_STRANGERS:
            return Heard([], [], answer)
        self._strangers.add(frame.source)
        reason = f"no device has the transmitter address {frame.source:012x}"
        return Heard([], [self._reject(frame, now, "device", reason)], answer)

    def _reject(self, frame: gb.Frame, now: Micros, code: str, reason: str) -> Reject:
        return Reject(now, self._source, code, reason, gb.encode(frame)[:4096])

    def _refuse(self, frame: gb.Frame, now: Micros, code: str, reason: str) -> Heard:
        deny = gb.Command.DENY if frame.command != gb.Command.ANSWER else None
        return Heard([], [self._reject(frame, now, code, reason)], deny)

    def _skew(self, bindings: Sequence[Binding], label: bytes, now: Micros, item: str) -> list[Sample]:
        told = gb.label_at(label)
        series = [binding.series for binding in bindings if binding.address.item == item]
        if told is None:
            return [Sample(one, now, None, "the frame's label is no date") for one in series]
        return [Sample(one, now, (told - now) / SECOND) for one in series]

    def _samples(
        self, bindings: Sequence[Binding], kind: gb.Kind, item: gb.Item, sent: bytes, now: Micros
    ) -> list[Sample]:
        if kind.name.endswith("_clock"):
            return self._skew([one for one in bindings if _meant(one.address, kind, item)], item.label, now, kind.name)
        samples = []
        for binding in bindings:
            address: Address = binding.address
            if address.item != kind.name or not _meant(address, kind, item):
                continue
            wanted = address.item in _INSTANCED if address.instances is None else address.instances
            value, error = _value(address, kind, item)
            if value is False and kind.name.endswith("operation"):
                continue  # what a person did happens, and what was not done is no news
            series = binding.series._replace(instance=_instance(kind, item)) if wanted else binding.series
            at = self._at(series, item.label, sent, now)
            samples.append(Sample(series, at, value, error))
        return samples

    def _at(self, series: Series, label: bytes, sent: bytes, now: Micros) -> Micros:
        told, clock = gb.label_at(label), gb.label_at(sent)
        believed = clock is not None and abs(clock - now) <= MAX_SKEW
        last = self._last.get(series, 0)
        last = last if last <= now + MAX_AHEAD else 0  # our own clock has gone back
        good = told is not None and believed and max(last, now - MAX_AGE) <= told <= now + MAX_AHEAD
        at = told if good and told is not None else max(now, last)
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
        self._last[series] = at
        return at


def _meant(address: Address, kind: gb.Kind, item: gb.Item) -> bool:
    types = address.part_type if isinstance(address.part_type, tuple) else (address.part_type,)
    if types != (None,) and item.part_type not in types:
        return False
    if kind.name == "analog" and QUANTITY_CODES[address.quantity or ""] != item.quantity:
        return False
    asked = ((address.system_type, item.system_type), (address.system, item.system))
    return all(wanted is None or wanted == found for wanted, found in asked)


def _instance(kind: gb.Kind, item: gb.Item) -> str:
    """`1-23` is part 23 of system 1; a system that is no fire alarm system (type 1) has its type before it: `13.1-23`."""
    if "system" not in kind.fields:
        return ""
    system = f"{item.system}" if item.system_type == 1 else f"{item.system_type}.{item.system}"
    return f"{system}-{item.part}" if "part" in kind.fields else system


def _value(address: Address, kind: gb.Kind, item: gb.Item) -> tuple[Scalar | None, str | None]:
    if address.bit is not None:
        return bool(item.status >> kind.bits[address.bit] & 1), None
    if kind.name == "analog":
        quantity = tables.QUANTITIES[item.quantity]
        value = round(item.value * quantity.step, 4)
        if not quantity.low <= value <= quantity.high:
            return None, f"{value:g} {quantity.unit} is not within {quantity.low:g} to {quantity.high:g}"
        return value, None
    if "major" in kind.fields:
        return f"{item.major}.{item.minor}", None
    if address.field == "description" or (address.field is None and not kind.bits):
        return item.description, None
    return (item.operator if address.field == "operator" else item.status), None
