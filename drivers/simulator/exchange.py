"""The files of a case, one form a protocol: text to values and back. Pure. Everything raises BadInput that names file and line.

What answers is kept as content, so that a question may be asked in any way: `registers.yaml`, `agent.snmpwalk`. What speaks by itself is
kept as said, in order: `messages.jsonl`, `line.jsonl`, `traps.jsonl` (content there too: a datagram's octets hold for one engine and moment).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub.errors import BadInput

REGISTERS, WALK, MESSAGES, LINE = "registers.yaml", "agent.snmpwalk", "messages.jsonl", "line.jsonl"
TRAPS = "traps.jsonl"
TABLES: dict[str, int] = {"coil": 1, "discrete": 1, "input": 0xFFFF, "holding": 0xFFFF}
"""The largest value of each table of Modbus."""

M = TypeVar("M", bound=BaseModel)
Places = dict[tuple[int, str, int], int]
"""unit, table, address → value"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def content_of(files: Mapping[str, bytes], name: str) -> str:
    """The text of one file of a case."""
    if name not in files:
        raise BadInput(f"this driver's cases have a file {name}", name, code="case")
    try:
        return files[name].decode()
    except UnicodeDecodeError:
        raise BadInput("not UTF-8", name, code="case") from None


def _checked(model: type[M], document: object, where: str) -> M:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{key}: {first['msg']}" if key else str(first["msg"]), where, code="case") from None


# registers ----------------------------------------------------------------------------------------------------------

Run = Annotated[list[Annotated[int, Field(ge=0, le=0xFFFF)]], Field(min_length=1, max_length=0x10000)]
Address = Annotated[int, Field(ge=0, le=0xFFFF)]


class _Registers(_Model):
    units: dict[
        Annotated[int, Field(ge=0, le=255)], dict[Literal["coil", "discrete", "input", "holding"], dict[Address, Run]]
    ]


def read_registers(text: str, where: str = REGISTERS) -> Places:
    """`units: {1: {holding: {100: [7, 8]}}}`: what stands from an address on. An address that is not there is refused with exception 2."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(" ".join(str(error).split()), where, code="case") from None
    places: Places = {}
    for unit, tables in _checked(_Registers, document, where).units.items():
        for table, runs in tables.items():
            for first, values in runs.items():
                for address, value in enumerate(values, first):
                    key = f"units.{unit}.{table}.{first}"
                    if address > 0xFFFF or value > TABLES[table]:
                        raise BadInput(f"{key}: {value} at {address} is out of bounds", where, code="case")
                    if (unit, table, address) in places:
                        raise BadInput(f"{key}: address {address} stands here twice", where, code="case")
                    places[unit, table, address] = value
    return places


def write_registers(places: Places) -> str:
    """The file of these values, neighbours in one run."""
    units: dict[int, dict[str, dict[int, list[int]]]] = {}
    last: tuple[int, str, int] | None = None
    first = 0
    for unit, table, address in sorted(places):
        runs = units.setdefault(unit, {}).setdefault(table, {})
        if last != (unit, table, address - 1):
            first = address
        runs.setdefault(first, []).append(places[unit, table, address])
        last = (unit, table, address)
    return yaml.safe_dump({"units": units}, default_flow_style=None, width=100, sort_keys=False)


# walks --------------------------------------------------------------------------------------------------------------


class Variable(NamedTuple):
    """One line of a walk: `kind` is one of `drivers.simulator.snmp.Kind`; octets that are no text are hexadecimal."""

    oid: str
    kind: str
    value: int | str


_LINE = re.compile(r"^\.?(?P<oid>\d+(?:\.\d+)+) = (?:(?P<type>[A-Za-z0-9-]+): ?)?(?P<value>.*)$", re.DOTALL)
_BEGINS = re.compile(r"^\.?\d+(?:\.\d+)+ = ")
_NUMBERS = {
    "INTEGER": "integer",
    "Gauge32": "gauge",
    "Counter32": "counter",
    "Counter64": "counter64",
    "Timeticks": "timeticks",
}
_NAMES = {kind: name for name, kind in _NUMBERS.items()}
_NUMBER = re.compile(r"^(?:[A-Za-z][\w-]*\()?\(?(-?\d+)\)?")


def read_walk(text: str, where: str = WALK) -> list[Variable]:
    """What `snmpwalk -On` prints: `.1.3.6.1.2.1.1.3.0 = Timeticks: (12345) 0:02:03.45`. Lines that begin with `#` are comments.

    A line that names no OID goes on with the value before it, as net-snmp breaks long octet strings and prints texts.
    """
    found: dict[str, Variable] = {}
    for number, line in _joined(text):
        variable = _variable(line, f"{where} line {number}")
        if variable.oid in found:
            raise BadInput(f"{variable.oid} stands here twice", f"{where} line {number}", code="case")
        found[variable.oid] = variable
    return list(found.values())


def _joined(text: str) -> Iterable[tuple[int, str]]:
    at, held = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("#") or (not held and not line.strip()):
            continue
        if held and _BEGINS.match(line) is None:
            held += f"\n{line}"
            continue
        if held:
            yield at, held.rstrip("\n")
        at, held = number, line.rstrip("\r")
    if held:
        yield at, held.rstrip("\n")


def _variable(line: str, where: str) -> Variable:
    parts = _LINE.match(line)
    if parts is None:
        raise BadInput("a line is `.1.3.6.1… = TYPE: value`, as `snmpwalk -On` prints it", where, code="case")
    oid, kind, value = parts["oid"], parts["type"], parts["value"]
    if kind in _NUMBERS:
        number = _NUMBER.match(value)
        if number is None:
            raise BadInput(f"{kind}: {value[:40]!r} begins with no number", where, code="case")
        return Variable(oid, _NUMBERS[kind], int(number[1]))
    if kind == "STRING" or (kind is None and value.strip() == '""'):
        return Variable(oid, "string", _unquoted(value))
    if kind == "Hex-STRING":
        try:
            return Variable(oid, "octets", bytes.fromhex(value).hex())
        except ValueError:
            raise BadInput("Hex-STRING: not octets in hexadecimal", where, code="case") from None
    if kind == "OID":
        return Variable(oid, "oid", value.strip().lstrip("."))
    if kind == "IpAddress":
        return Variable(oid, "ip", value.strip())
    raise BadInput(f"the type {kind!r} is not known", where, code="case")


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


def write_walk(variables: Iterable[Variable]) -> str:
    """The file of these variables, in order of OID."""
    lines = []
    for oid, kind, value in sorted(variables, key=lambda one: [int(arc) for arc in one.oid.split(".")]):
        if kind == "timeticks":
            said = f"Timeticks: ({value})"
        elif kind in _NAMES:
            said = f"{_NAMES[kind]}: {value}"
        elif kind == "string" and str(value).isprintable():
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            said = f'STRING: "{escaped}"'
        elif kind in ("string", "octets"):
            octets = str(value).encode() if kind == "string" else bytes.fromhex(str(value))
            said = f"Hex-STRING: {octets.hex(' ').upper()}"
        else:
            said = f"{'OID: .' if kind == 'oid' else 'IpAddress: '}{value}"
        lines.append(f".{oid} = {said}\n")
    return "".join(lines)


# what is said -------------------------------------------------------------------------------------------------------


class Message(_Model):
    """One line of `messages.jsonl`: a message at a broker. Retained ones are there before anybody subscribes."""

    topic: str = Field(min_length=1, max_length=400)
    json_: Any = Field(default=None, alias="json")
    text: str | None = None
    hex: str | None = Field(default=None, pattern=r"^(?:[0-9a-fA-F]{2}|\s)*$")
    retained: bool = False
    after: float = Field(default=0.0, ge=0)
    """seconds since the recording began; for people, the replay does not wait"""

    @model_validator(mode="after")
    def _one_payload(self) -> "Message":
        if len({"json_", "text", "hex"} & self.model_fields_set) != 1:
            raise ValueError("exactly one of json, text and hex is the payload")
        assert self.payload is not None  # a lone surrogate has no octets: UnicodeEncodeError is a ValueError
        return self

    @property
    def payload(self) -> bytes:
        """The octets."""
        if self.hex is not None:
            return bytes.fromhex(self.hex)
        return self.text.encode() if self.text is not None else json.dumps(self.json_, ensure_ascii=False).encode()


class Said(_Model):
    """One line of `line.jsonl`: octets on a line. What the hub said is waited for, octet by octet where it is `exact`, else by its length."""

    who: Literal["device", "hub"]
    text: str | None = None
    hex: str | None = Field(default=None, pattern=r"^(?:[0-9a-fA-F]{2}|\s)*$")
    exact: bool = False
    after: float = Field(default=0.0, ge=0)
    """seconds since the recording began; for people, the replay does not wait"""

    @model_validator(mode="after")
    def _one_content(self) -> "Said":
        if (self.text is None) == (self.hex is None) or not self.octets:
            raise ValueError("exactly one of text and hex holds at least one octet")
        return self

    @property
    def octets(self) -> bytes:
        """The octets."""
        return bytes.fromhex(self.hex) if self.hex is not None else (self.text or "").encode()


class Trap(_Model):
    """One line of `traps.jsonl`: a notification by its snmpTrapOID, with its variable bindings as a walk prints them.

    sysUpTime and snmpTrapOID, which every notification begins with, are not among them.
    """

    trap: str = Field(pattern=r"^[012](?:\.\d{1,10}){1,127}$")
    variables: tuple[str, ...] = Field(default=(), max_length=60)

    @model_validator(mode="after")
    def _readable(self) -> "Trap":
        try:
            assert self.content is not None
        except BadInput as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def content(self) -> list[Variable]:
        """The variable bindings."""
        return [_variable(line, "variables") for line in self.variables]


def read_lines(model: type[M], text: str, where: str) -> list[M]:
    """One JSON object a line; empty lines and lines that begin with `#` are nothing."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"not JSON: {error}", f"{where} line {number}", code="case") from None
        found.append(_checked(model, document, f"{where} line {number}"))
    return found


def write_lines(said: Sequence[Message | Said]) -> str:
    """The file of these, a line each, with what differs from the defaults."""
    return "".join(
        json.dumps(one.model_dump(by_alias=True, exclude_unset=True), ensure_ascii=False) + "\n" for one in said
    )
