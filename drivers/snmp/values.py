"""What an agent's answer says, and which points are asked together. Pure: any answer gives a value or a reason."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from drivers.snmp.settings import SnmpAddress, SnmpDevice
from hub.model import Scalar

Raw = bool | int | float | str | bytes | None
_LONGEST = 1024
"""Characters of a text that travels (docs/protocol.md)."""
_LONGEST_NAME = 80
_QUANTITY = re.compile(r"\s*([-+]?[0-9]{1,15}(?:\.[0-9]{1,9})?)(?![0-9.])")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._:/-]+")
"""docs/protocol.md, `samples[].i`."""
_NUMBERS = frozenset({"integer", "gauge", "counter", "timeticks"})
_TEXTS = frozenset({"oid", "ip"})


class Value(NamedTuple):
    """What a point's answer says, or why it says nothing."""

    raw: Scalar | None
    error: str | None = None


def oid_of(address: SnmpAddress, device: SnmpDevice) -> str | None:
    """The OID to ask for, of a table its column; None when there is none or it is indexed and the device has no index."""
    place = address.oid or address.table
    if place is None or not address.indexed:
        return place
    return None if device.index is None else f"{place}.{device.index}"


def row_names(indices: Iterable[str], labels: Mapping[str, Raw]) -> dict[str, str]:
    """The instance of each row: its label in the letters that an instance may have, else its index. All of them differ.

    Rows of one label are told apart by their index behind it, all of them, so that none changes its name when another goes.
    """
    said = {index: instance_of(labels.get(index)) for index in indices}
    often = Counter(said.values())
    names = {index: name if name and often[name] == 1 else "" for index, name in said.items()}
    taken = set(names.values())
    for index, name in names.items():
        if not name:
            named = _shortened(f"{said[index]}.{index}" if said[index] else index)
            names[index] = named if named not in taken else _shortened(f"{named}.{index}", always=True)
            taken.add(names[index])
    return names


def instance_of(label: Raw) -> str:
    """A name that an instance may have; empty where nothing is left of it."""
    if isinstance(label, bytes):
        label = label.rstrip(b"\0").decode("utf-8", "replace")
    if not isinstance(label, str | int):
        return ""
    return _shortened(_NOT_IN_NAMES.sub("-", str(label)).lstrip("._:/-").rstrip("-"))


def _shortened(name: str, *, always: bool = False) -> str:
    if len(name) <= _LONGEST_NAME and not always:
        return name
    return f"{name[: _LONGEST_NAME - 9]}.{crc32(name.encode()):08x}"


def batches(oids: Iterable[str], most: int) -> list[tuple[str, ...]]:
    """Every OID once, at most `most` in one request, in the order given."""
    unique = list(dict.fromkeys(oids))
    return [tuple(unique[at : at + most]) for at in range(0, len(unique), most)]


def halves(batch: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The two halves of at least two OIDs, to find the one that spoils the answer."""
    middle = len(batch) // 2
    return tuple(batch[:middle]), tuple(batch[middle:])


def takes_int(address: SnmpAddress, kind: str) -> bool:
    """Whether `decode` gives every whole number as it is."""
    return kind in ("int", "float") and (address.type is None or address.type in _NUMBERS)


def takes_text(address: SnmpAddress, kind: str) -> bool:
    """Whether `decode` gives plain octets as their text, where that is short and has no NUL."""
    return kind == "str" and address.type in (None, "string") and address.encoding == "utf-8"


def decode(raw: Raw, address: SnmpAddress, kind: str) -> Value:
    """The value of what gufo-snmp gives: int for numbers, bytes for OCTET STRING, str for OID and IpAddress."""
    if address.type in _NUMBERS and (isinstance(raw, bool) or not isinstance(raw, int)):
        return _wrong(raw, address)
    if address.type in _TEXTS and not isinstance(raw, str):
        return _wrong(raw, address)
    if address.type == "truth":
        return _as_kind(raw == 1, address, kind) if raw in (1, 2) else _wrong(raw, address)
    if address.type == "hex":
        return _as_kind(raw.hex(":"), address, kind) if isinstance(raw, bytes) else _wrong(raw, address)
    if address.type in ("string", "quantity") and not isinstance(raw, bytes):
        return _wrong(raw, address)
    if isinstance(raw, bytes):
        try:
            raw = raw.rstrip(b"\0").decode(address.encoding)
        except UnicodeDecodeError as error:
            return Value(None, f"{address.name}: byte {error.start} of the string is not {address.encoding}")
        if address.type == "quantity":
            number = _QUANTITY.match(raw)
            if number is None:
                return Value(None, f"{address.name}: {raw[:40]!r} does not begin with a number")
            raw = number[1]
    return _wrong(raw, address) if raw is None else _as_kind(raw, address, kind)


def _wrong(raw: Raw, address: SnmpAddress) -> Value:
    came = {int: "a number", bytes: "an octet string", str: "an OID or address", float: "a float"}.get(
        type(raw), "nothing usable"
    )
    return Value(None, f"{address.name}: the agent gives {came}, the profile says {address.type or 'a value'}")


def _as_kind(raw: bool | int | float | str, address: SnmpAddress, kind: str) -> Value:
    if kind == "str":
        text = str(raw)
        if len(text) > _LONGEST:
            return Value(None, f"{address.name}: a text of {len(text)} characters, more than {_LONGEST}")
        return Value(None, f"{address.name}: a NUL in the text") if "\0" in text else Value(text)
    if isinstance(raw, str):
        number = _number(raw)
        if number is None:
            return Value(None, f"{address.name}: {raw[:40]!r} is no number")
        raw = number
    if not math.isfinite(raw):
        return Value(None, f"{address.name}: {raw} is not finite")
    if kind == "bool":
        return Value(bool(raw)) if raw in (0, 1) else Value(None, f"{address.name}: {raw} is neither 0 nor 1")
    return Value(int(raw) if isinstance(raw, bool) else raw)


def _number(text: str) -> int | float | None:
    """A number that an agent wrote as text ("12.5", the output of a script)."""
    text = text.strip()
    try:
        return int(text) if text.lstrip("+-").isdecimal() and text.isascii() and len(text) <= 20 else float(text)
    except ValueError:
        return None
