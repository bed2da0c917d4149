"""What a manifest and a profile may say to the serial driver; unknown keys are refused."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.serial import gb26875_2011 as gb
from drivers.serial import gb26875_2011_tables as tables
from drivers.serial.checks import CheckName, check_of, size_of
from drivers.serial.frames import FrameShape, Hex, Value, octets_of
from drivers.serial.gb26875 import Edition
from drivers.serial.lines import compile_pattern
from hub.model import Scalar

_TRANSMITTER = re.compile(r"^[0-9a-f]{12}$")


def _port(text: str) -> str:
    if "://" not in text:
        if not text.startswith("/") or "\0" in text:
            raise ValueError("a port is a device's absolute path, socket://, listen:// or udp://host:port")
        return text
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("socket", "listen", "udp") and bool(parts.hostname) and parts.port is not None
        whole = whole and not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("a port is a device's absolute path, socket://, listen:// or udp://host:port")
    return text


def _compiles(text: str) -> str:
    compile_pattern(text)
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_compiles)]


Port = Annotated[str, Field(max_length=200), AfterValidator(_port)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LineCheck(_Model):
    """A checksum in hexadecimal digits at the end of every line, over all that stands before it."""

    kind: CheckName
    since: int = Field(default=0, ge=0, le=16)
    """characters at the beginning that it does not cover"""


class LineShape(_Model):
    """What the lines of a device look like."""

    terminator: str = Field(default="\n", min_length=1, max_length=4)
    max_line: int = Field(default=256, ge=16, le=1024)
    encoding: Literal["ascii", "utf-8", "gb18030", "latin-1"] = "utf-8"
    ignore: tuple[Pattern, ...] = Field(default=(), max_length=20)
    """lines that mean nothing and are no garbage either"""
    check: LineCheck | None = None
    acknowledge: str | None = Field(default=None, min_length=1, max_length=20)
    """sent for every line when its content is safe; a receiver sends it again until then"""
    refuse: str | None = Field(default=None, min_length=1, max_length=20)
    """sent for a line whose checksum is wrong"""
    query: str | None = Field(default=None, max_length=200)
    """sent with the terminator every `query_every` seconds to a device that speaks only when asked"""

    @model_validator(mode="after")
    def _sendable(self) -> "LineShape":
        for name in ("terminator", "acknowledge", "refuse", "query"):
            try:
                (getattr(self, name) or "").encode(self.encoding)
            except UnicodeEncodeError:
                raise ValueError(f"{name}: not in {self.encoding}") from None
        return self


class Query(_Model):
    """A question in binary: sent as it is, with the checksum of the frames where `check` is given."""

    send: Hex
    check: CheckName | None = None
    order: Literal["big", "little"] = "little"

    @property
    def octets(self) -> bytes:
        """What goes on the line."""
        body = octets_of(self.send)
        if self.check is None:
            return body
        return body + check_of(self.check, body).to_bytes(size_of(self.check), self.order)


_OF: dict[str, frozenset[str]] = {
    "lines": frozenset({*LineShape.model_fields, "query_every"}),
    "frames": frozenset({"frame", "queries", "query_every"}),
    "gb26875": frozenset({"edition", "retry_after", "repeats", "sync_clock", "patrol"}),
}
"""The endpoint's keys that only one protocol has."""


class Endpoint(LineShape):
    """A serial line, a pseudo terminal, the TCP port of a serial server, or a port that far ends call (TCP) or send to (UDP)."""

    port: Port
    protocol: Literal["lines", "frames", "gb26875"]
    baudrate: int = Field(default=9600, ge=50, le=4_000_000)
    bytesize: Literal[5, 6, 7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    idle_timeout: float = Field(default=120.0, ge=0.1, le=86_400)
    """seconds without a byte after which the far end counts as gone: a dead peer makes no sound on TCP, nor on a line"""
    query_every: float = Field(default=5.0, ge=0.1, le=3600)

    frame: FrameShape | None = None
    """`frames`: what they look like, where the devices' own settings do not say it"""
    queries: tuple[Query, ...] = Field(default=(), max_length=32)
    """`frames`: questions, one after the other, each `query_every` seconds after the last"""

    edition: Edition = "auto"
    """`gb26875`: which edition a frame is, or `auto` by its main version"""
    retry_after: float = Field(default=3.0, ge=0.1, le=10)
    """`gb26875`: seconds until a command that was not answered is sent again (6.5.4: not above 10 s); with its repeats it ends within the
    15 s that a write has"""
    repeats: int = Field(default=3, ge=0, le=10)
    """`gb26875`: how often it is sent again (6.5.5: three times)"""
    sync_clock: float = Field(default=86_400.0, ge=0, le=604_800)
    """`gb26875`: seconds between two settings of a transmitter's clock, the first when it is first heard; 0: never"""
    patrol: float | None = Field(default=None, ge=0, le=86_400)
    """`gb26875`: seconds of silence after which a transmitter is asked for its state; 0: never; left out: half of `idle_timeout`"""

    @model_validator(mode="after")
    def _keys_of_the_protocol(self) -> "Endpoint":
        others = {
            key: name
            for name, keys in _OF.items()
            for key in keys
            if name != self.protocol and key not in _OF[self.protocol]
        }
        wrong = sorted(others.keys() & self.model_fields_set)
        if wrong:
            raise ValueError(f"{wrong[0]}: only the protocol {others[wrong[0]]!r} has it")
        return self


class Device(_Model):
    """One device of the endpoint. Without an address it is whoever speaks."""

    address: str | None = Field(default=None, min_length=1, max_length=40)
    """gb26875: the transmitter's address, 12 hexadecimal digits; lines: what the pattern's group `device` must hold;
    frames: the frame's `unit`, a number in decimal or a text"""
    line: LineShape | None = None
    """what its lines look like, so that a profile can say it; the endpoint's own keys win"""
    frame: FrameShape | None = None
    """what its frames look like, so that a profile can say it"""


class Address(_Model):
    """Where a point stands: by `pattern` in a line, by `octets` in a binary frame, or by `item` in a GB/T 26875.3 frame."""

    pattern: Pattern | None = None
    """has a group `value`, and may have `instance` and `device`"""
    octets: Value | None = None
    map: dict[str, Scalar] | None = None
    """values by their text, of a pattern or of octets"""

    item: str | None = None
    """a type of data unit that goes up, or one of `OWN_ITEMS`"""
    bit: str | None = None
    """a bit of the item's status by name: true when it is set; without it, `field` is given"""
    field: Literal["status", "description", "operator"] | None = None
    quantity: str | None = None
    """of an `analog` item: which quantity, `temperature` …; in its unit"""
    instances: bool | None = None
    """does the item's address go to the series' instance? By default for parts and analogue values only"""
    system_type: int | None = Field(default=None, ge=0, le=255)
    system: int | None = Field(default=None, ge=0, le=255)
    part_type: int | tuple[int, ...] | None = None
    """a code of table 5, or several"""

    @model_validator(mode="after")
    def _one_protocol(self) -> "Address":
        ways = {name for name in ("pattern", "octets", "item") if getattr(self, name) is not None}
        if len(ways) != 1:
            raise ValueError("exactly one of pattern, octets and item is given")
        if self.item is not None:
            return self._check_item()
        if self.pattern is not None and "value" not in re.compile(self.pattern).groupindex:
            raise ValueError(f"pattern {self.pattern!r}: it has no group (?P<value>…)")
        extra = self.model_fields_set - {"pattern", "octets", "map"}
        if extra:
            raise ValueError(f"{min(extra)}: only with item")
        return self

    def _check_item(self) -> "Address":
        if self.map is not None:
            raise ValueError("map: only with pattern or octets")
        if self.item not in (*ITEMS, *OWN_ITEMS):
            raise ValueError(f"item {self.item!r}: there are {', '.join((*ITEMS, *OWN_ITEMS))}")
        types = self.part_type if isinstance(self.part_type, tuple) else (self.part_type or 0,)
        if not all(0 <= one <= 255 for one in types):
            raise ValueError("part_type: a code has one byte")
        kind = ITEMS.get(self.item)
        if kind is None or not kind.bits:
            if self.bit is not None or self.field is not None:
                raise ValueError(f"item {self.item} has neither bit nor field")
            if (self.quantity is None) == (self.item == "analog"):
                raise ValueError("quantity: given with item analog, and only there")
            if self.quantity is not None and self.quantity not in QUANTITY_CODES:
                raise ValueError(f"quantity {self.quantity!r}: there are {', '.join(QUANTITY_CODES)}")
            return self
        if self.quantity is not None:
            raise ValueError("quantity: given with item analog, and only there")
        if (self.bit is None) == (self.field is None):
            raise ValueError("item: exactly one of bit and field is given")
        if self.bit is not None and self.bit not in kind.bits:
            raise ValueError(f"bit {self.bit!r}: {self.item} has {', '.join(kind.bits)}")
        if self.field is not None and self.field not in FIELDS[self.item]:
            raise ValueError(f"field {self.field!r}: {self.item} has {', '.join(FIELDS[self.item])}")
        return self


ITEMS = gb.UP
"""Items that are data units of the standard, by name."""

OWN_ITEMS = ("frame", "clock_skew", "duty_check", "duty_time", "duty_missed", "set_clock", "initialise")
"""Items that the exchange itself has: that a frame came, the clock's error, the duty check, and what can be commanded."""

COMMANDS = ("duty_check", "set_clock", "initialise")
"""Items that can be written."""

FIELDS = {
    name: tuple(
        {"status": "status", "status2": "status"}.get(field, field)
        for field in kind.fields
        if field in ("status", "status2", "operator", "description")
    )
    for name, kind in gb.UP.items()
}

QUANTITY_CODES = {quantity.name: code for code, quantity in tables.QUANTITIES.items()}


def transmitter_of(device: Device) -> int | None:
    """The transmitter's address as a number; raises ValueError."""
    if device.address is None:
        return None
    if not _TRANSMITTER.match(device.address):
        raise ValueError(f"address {device.address!r}: a transmitter's address has 12 hexadecimal digits")
    return int(device.address, 16)


def line_shape(endpoint: Endpoint, devices: Sequence[Device]) -> LineShape:
    """What the lines of an endpoint look like: its own keys, then those that its devices agree on. Raises ValueError."""
    given = {key: getattr(endpoint, key) for key in LineShape.model_fields if key in endpoint.model_fields_set}
    of_devices: dict[str, Any] = {}
    ignored: list[str] = list(given.get("ignore", ()))
    for shape in {device.line for device in devices if device.line is not None}:
        for key in shape.model_fields_set - {"ignore"}:
            value = getattr(shape, key)
            if of_devices.setdefault(key, value) != value and key not in given:
                raise ValueError(f"{key}: the devices of this endpoint disagree ({of_devices[key]!r} and {value!r})")
        ignored += [text for text in shape.ignore if text not in ignored]
    return LineShape.model_validate({**of_devices, **given, "ignore": tuple(ignored[:20])})


def frame_shape(endpoint: Endpoint, devices: Sequence[Device]) -> FrameShape:
    """What the frames of an endpoint look like. Raises ValueError where nobody says it, or the devices disagree."""
    if endpoint.frame is not None:
        return endpoint.frame
    shapes = {device.frame for device in devices if device.frame is not None}
    if len(shapes) != 1:
        raise ValueError("frame: " + ("the devices of this endpoint disagree" if shapes else "nobody says what it is"))
    return shapes.pop()
