"""What a Modbus endpoint, device and point are told by people: pydantic models that refuse unknown keys and name them.

Addresses are those of the protocol: the table is named and the number counts from 0 (holding register 40001 is `table: holding, address: 0`).
"""

from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Table = Literal["coil", "discrete", "input", "holding"]
Order = Literal["big", "little"]
Type = Literal["bool", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "string"]

WIDTHS: dict[str, int] = {"bool": 1, "u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "i64": 4, "f64": 4}
"""Registers a type takes (a coil or discrete input: one bit)."""
BIT_TABLES = frozenset({"coil", "discrete"})
LAST_ADDRESS = 0xFFFF
MOST_REGISTERS = 125
"""Registers one read may ask for (Modbus Application Protocol V1.1b3, 6.3 and 6.4)."""
MOST_BITS = 2000
"""Coils or discrete inputs one read may ask for (the same, 6.1 and 6.2)."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ModbusEndpoint(_Model):
    """A Modbus TCP device or gateway, a serial line, or a serial server that passes RTU frames on over TCP.

    Modbus knows no credentials: keep it inside the institution's own network.
    """

    transport: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    host: str | None = Field(default=None, min_length=1, max_length=253)
    """of `tcp` and `rtu_over_tcp`"""
    port: int = Field(default=502, ge=1, le=65535)
    device: str | None = Field(default=None, pattern=r"^/[!-~]+$", max_length=200)
    """of `rtu`: the serial port's absolute path"""
    baudrate: int = Field(default=9600, ge=50, le=4_000_000)
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    timeout_s: float = Field(default=2.0, ge=0.05, le=30.0)
    """how long connecting, and then each answer, may take; above the slowest device's response time"""
    late_s: float = Field(default=1.0, ge=0.05, le=10.0)
    """over RTU: how long after the time-out an answer may still come; the line is left alone for so long"""

    @model_validator(mode="after")
    def _keys_of_the_transport(self) -> "ModbusEndpoint":
        needed, others = ("host", {"device", "baudrate", "parity", "stopbits"})
        if self.transport == "rtu":
            needed, others = "device", {"host", "port"}
        if self.transport == "tcp":
            others |= {"late_s"}
        if getattr(self, needed) is None:
            raise ValueError(f"{needed}: transport {self.transport} needs it")
        strange = others & self.model_fields_set
        if strange:
            raise ValueError(f"{min(strange)}: transport {self.transport} has none")
        return self

    @property
    def name(self) -> str:
        """How errors name this endpoint."""
        return f"modbus {self.device}" if self.device is not None else f"modbus {self.host}:{self.port}"

    @property
    def is_rtu(self) -> bool:
        """Frames without transaction numbers, with a checksum."""
        return self.transport != "tcp"

    @property
    def frame_gap_s(self) -> float:
        """Silence between two frames, seconds: 3.5 characters of 11 bits, 1.75 ms from 19,200 baud up (Serial Line V1.02, 2.5.1.1)."""
        if self.transport != "rtu":
            return 0.0
        return 0.00175 if self.baudrate > 19_200 else 3.5 * 11 / self.baudrate


class Forbidden(_Model):
    """Addresses that must never be read, not even along with their neighbours (reading some registers clears them)."""

    table: Table
    first: int = Field(ge=0, le=LAST_ADDRESS)
    last: int = Field(ge=0, le=LAST_ADDRESS)

    @model_validator(mode="after")
    def _in_order(self) -> "Forbidden":
        if self.last < self.first:
            raise ValueError("last is below first")
        return self


class ModbusDevice(_Model):
    """One device behind the endpoint. Devices that share a unit id are read together, by the strictest of their limits."""

    unit: Annotated[int, Field(ge=0, le=255)] = 1
    """unit identifier: 1 to 247 behind a gateway, 0 or 255 for a device that is its own TCP server"""
    word_order: Order = "big"
    """which register of a 32- or 64-bit value comes first: the one of high (big) or of low (little) significance"""
    byte_order: Order = "big"
    """which byte of a register comes first; the protocol says big, some devices do not"""
    max_registers: int = Field(default=MOST_REGISTERS, ge=1, le=MOST_REGISTERS)
    max_bits: int = Field(default=MOST_BITS, ge=1, le=MOST_BITS)
    max_gap: int = Field(default=0, ge=0, le=MOST_REGISTERS - 1)
    """how many addresses that nobody asked for may be read along to save a request"""
    forbidden: tuple[Forbidden, ...] = Field(default=(), max_length=64)


class ModbusAddress(_Model):
    """Where a point is, and how its registers are read."""

    table: Table
    address: int = Field(ge=0, le=LAST_ADDRESS)
    type: Type | None = None
    """left out: bool for coils and discrete inputs, u16 for registers"""
    bit: int | None = Field(default=None, ge=0, le=15)
    """one bit of a register, 0 the lowest; the point is then a bool"""
    bits: int | None = Field(default=None, ge=2, le=16)
    """a bit field: so many bits from `bit` up are a number of their own"""
    length: int | None = Field(default=None, ge=1, le=MOST_REGISTERS)
    """registers of a string, two bytes each"""
    encoding: Literal["ascii", "utf-8", "gb18030"] = "ascii"
    word_order: Order | None = None
    """left out: the device's"""
    byte_order: Order | None = None
    """left out: the device's"""

    @model_validator(mode="after")
    def _holds_together(self) -> "ModbusAddress":
        if self.table in BIT_TABLES:
            others = (self.bit, self.bits, self.length)
            if self.type not in (None, "bool") or others != (None, None, None):
                raise ValueError(f"a {self.table} is one bit: it has no type but bool, no bit, no bits and no length")
        else:
            if self.type == "bool":
                raise ValueError("a register is no bool: name its bit")
            if (self.type == "string") != (self.length is not None):
                raise ValueError("length: a string has one, and only a string")
            if self.bit is not None and self.type not in (None, "u16"):
                raise ValueError("bit: a bit is taken from a single register, type u16")
            if self.bits is not None and (self.bit is None or self.bit + self.bits > 16):
                raise ValueError("bits: a bit field begins at `bit` and ends with its register")
        if self.address + self.width - 1 > LAST_ADDRESS:
            raise ValueError(f"address: {self.width} registers from {self.address} go beyond {LAST_ADDRESS}")
        return self

    @cached_property
    def read_as(self) -> str:
        """The type that the raw value is decoded as: one of `Type`."""
        if self.table in BIT_TABLES or (self.bit is not None and self.bits is None):
            return "bool"
        return self.type or "u16"

    @cached_property
    def width(self) -> int:
        """Registers (or bits of a bit table) that the point takes."""
        return WIDTHS[self.read_as] if self.length is None else self.length

    @cached_property
    def name(self) -> str:
        """How errors name this point's place: `holding 100`, `holding 100 bit 3`, `holding 100 bits 4 to 6`."""
        if self.bit is None:
            return f"{self.table} {self.address}"
        if self.bits is None:
            return f"{self.table} {self.address} bit {self.bit}"
        return f"{self.table} {self.address} bits {self.bit} to {self.bit + self.bits - 1}"


class ModbusSearch(ModbusEndpoint):
    """The endpoint, the range of unit numbers, and how fast to ask."""

    timeout_s: float = Field(default=0.5, ge=0.05, le=30.0, description="seconds for each answer")
    late_s: float = Field(default=0.3, ge=0.05, le=10.0, description="over RTU: seconds after it for a late answer")
    first_unit: int = Field(ge=0, le=255, description="where the range of unit numbers begins")
    last_unit: int = Field(ge=0, le=255, description="where it ends")
    per_second: float = Field(default=5.0, gt=0, le=50.0, description="questions a second, at most")
    table: Table = Field(default="holding", description="of the one address that every number is asked for")
    address: int = Field(
        default=0, ge=0, le=LAST_ADDRESS, description="the address itself; no register that reading clears"
    )

    @model_validator(mode="after")
    def _a_range_of_the_line(self) -> "ModbusSearch":
        if self.last_unit < self.first_unit:
            raise ValueError("last_unit is below first_unit")
        if self.is_rtu and not (self.first_unit >= 1 and self.last_unit <= 247):
            raise ValueError("first_unit, last_unit: a serial line has units 1 to 247")
        return self

    @property
    def endpoint(self) -> ModbusEndpoint:
        """The same line as a manifest would name it, but with the time-outs of this search."""
        own = ModbusEndpoint.model_fields.keys() & self.model_fields_set
        times = {"timeout_s": self.timeout_s, **({"late_s": self.late_s} if self.is_rtu else {})}
        return ModbusEndpoint.model_validate({name: getattr(self, name) for name in own} | times)

    @property
    def settings(self) -> dict[str, Any]:
        """Of the endpoint, for the manifest: without the short time-outs, which a slow day would not keep."""
        own = ModbusEndpoint.model_fields.keys() & self.model_fields_set - {"timeout_s", "late_s"}
        return {name: getattr(self, name) for name in ModbusEndpoint.model_fields if name in own}
