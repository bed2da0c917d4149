"""What a manifest and a profile may say to the serial driver; unknown keys are refused."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from drivers.serial import gb26875_2011 as gb
from drivers.serial.lines import compile_pattern
from hub.model import Scalar

_TRANSMITTER = re.compile(r"^[0-9a-f]{12}$")


def _port(text: str) -> str:
    if "://" not in text:
        if not text.startswith("/") or "\0" in text:
            raise ValueError("a port is a device's absolute path, socket://host:port or listen://host:port")
        return text
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("socket", "listen") and bool(parts.hostname) and parts.port is not None
        whole = whole and not (parts.path or parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("a port is a device's absolute path, socket://host:port or listen://host:port")
    return text


def _compiles(text: str) -> str:
    compile_pattern(text)
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_compiles)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Endpoint(_Model):
    """A serial line, a pseudo terminal, or the TCP port of a serial server or transmitter."""

    port: Annotated[str, Field(max_length=200), AfterValidator(_port)]
    protocol: Literal["lines", "gb26875"]
    baudrate: int = Field(default=9600, ge=50, le=4_000_000)
    bytesize: Literal[5, 6, 7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    idle_timeout: float = Field(default=120.0, ge=0.1, le=86_400)
    """seconds without a byte after which the far end counts as gone: a dead peer makes no sound on TCP, nor on a line"""
    terminator: str = Field(default="\n", min_length=1, max_length=4)
    max_line: int = Field(default=256, ge=16, le=1024)
    encoding: Literal["ascii", "utf-8", "gb18030", "latin-1"] = "utf-8"
    ignore: tuple[Pattern, ...] = ()
    """lines that mean nothing and are no garbage either"""
    query: str | None = Field(default=None, max_length=200)
    """sent with the terminator every `query_every` seconds to a device that speaks only when asked"""
    query_every: float = Field(default=5.0, ge=0.1, le=3600)

    @model_validator(mode="after")
    def _keys_of_the_protocol(self) -> "Endpoint":
        lines_only = {"terminator", "max_line", "encoding", "ignore", "query", "query_every"} & self.model_fields_set
        if self.protocol != "lines" and lines_only:
            raise ValueError(f"{min(lines_only)}: only the protocol 'lines' has it")
        return self


class Device(_Model):
    """One device of the endpoint. Without an address it is whoever speaks."""

    address: str | None = Field(default=None, min_length=1, max_length=40)
    """gb26875: the transmitter's address, 12 hexadecimal digits; lines: what the pattern's group `device` must hold"""


class Address(_Model):
    """Where a point stands: by `pattern` in a line, or by `item` in a GB/T 26875.3 frame."""

    pattern: Pattern | None = None
    """has a group `value`, and may have `instance` and `device`"""
    map: dict[str, Scalar] | None = None

    item: Literal["system", "part", "transmitter", "system_operation", "transmitter_operation", "clock_skew"] | None = (
        None
    )
    bit: str | None = None
    """a bit of the item's status by name: true when it is set; without it, `field` is given"""
    field: Literal["status", "description", "operator"] | None = None
    instances: bool | None = None
    """does the item's address go to the series' instance? By default for parts only"""
    system_type: int | None = Field(default=None, ge=0, le=255)
    system: int | None = Field(default=None, ge=0, le=255)
    part_type: int | None = Field(default=None, ge=0, le=255)

    @model_validator(mode="after")
    def _one_protocol(self) -> "Address":
        if (self.pattern is None) == (self.item is None):
            raise ValueError("exactly one of pattern and item is given")
        if self.pattern is not None:
            if "value" not in re.compile(self.pattern).groupindex:
                raise ValueError(f"pattern {self.pattern!r}: it has no group (?P<value>…)")
            extra = self.model_fields_set - {"pattern", "map"}
            if extra:
                raise ValueError(f"{min(extra)}: not together with pattern")
            return self
        return self._check_item()

    def _check_item(self) -> "Address":
        if self.map is not None:
            raise ValueError("map: only with pattern")
        if self.item == "clock_skew":
            if self.bit is not None or self.field is not None:
                raise ValueError("item clock_skew has neither bit nor field: it is a number of seconds")
            return self
        if (self.bit is None) == (self.field is None):
            raise ValueError("item: exactly one of bit and field is given")
        bits = next(kind.bits for kind in gb.KINDS.values() if kind.name == self.item)
        if self.bit is not None and self.bit not in bits:
            raise ValueError(f"bit {self.bit!r}: {self.item} has {', '.join(bits)}")
        return self


def transmitter_of(device: Device) -> int | None:
    """The transmitter's address as a number; raises ValueError."""
    if device.address is None:
        return None
    if not _TRANSMITTER.match(device.address):
        raise ValueError(f"address {device.address!r}: a transmitter's address has 12 hexadecimal digits")
    return int(device.address, 16)
