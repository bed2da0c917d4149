"""What an agent's answer says, and which points are asked together. Pure: any answer gives a value or a reason."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from drivers.snmp.settings import SnmpAddress, SnmpDevice
from hub.model import Scalar

Raw = bool | int | float | str | bytes | None
_LONGEST = 1024
"""Characters of a text that travels (docs/protocol.md)."""
_NUMBERS = frozenset({"integer", "gauge", "counter", "timeticks"})
_TEXTS = frozenset({"oid", "ip"})


class Value(NamedTuple):
    """What a point's answer says, or why it says nothing."""

    raw: Scalar | None
    error: str | None = None


def oid_of(address: SnmpAddress, device: SnmpDevice) -> str | None:
    """The OID to ask for; None when the point is indexed and its device has no index."""
    if not address.indexed:
        return address.oid
    return None if device.index is None else f"{address.oid}.{device.index}"


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
    if address.type == "string" and not isinstance(raw, bytes):
        return _wrong(raw, address)
    if isinstance(raw, bytes):
        try:
            raw = raw.rstrip(b"\0").decode(address.encoding)
        except UnicodeDecodeError as error:
            return Value(None, f"{address.oid}: byte {error.start} of the string is not {address.encoding}")
    return _wrong(raw, address) if raw is None else _as_kind(raw, address, kind)


def _wrong(raw: Raw, address: SnmpAddress) -> Value:
    came = {int: "a number", bytes: "an octet string", str: "an OID or address", float: "a float"}.get(
        type(raw), "nothing usable"
    )
    return Value(None, f"{address.oid}: the agent gives {came}, the profile says {address.type or 'a value'}")


def _as_kind(raw: bool | int | float | str, address: SnmpAddress, kind: str) -> Value:
    if kind == "str":
        text = str(raw)
        if len(text) > _LONGEST:
            return Value(None, f"{address.oid}: a text of {len(text)} characters, more than {_LONGEST}")
        return Value(None, f"{address.oid}: a NUL in the text") if "\0" in text else Value(text)
    if isinstance(raw, str):
        number = _number(raw)
        if number is None:
            return Value(None, f"{address.oid}: {raw[:40]!r} is no number")
        raw = number
    if not math.isfinite(raw):
        return Value(None, f"{address.oid}: {raw} is not finite")
    if kind == "bool":
        return Value(bool(raw)) if raw in (0, 1) else Value(None, f"{address.oid}: {raw} is neither 0 nor 1")
    return Value(int(raw) if isinstance(raw, bool) else raw)


def _number(text: str) -> int | float | None:
    """A number that an agent wrote as text ("12.5", the output of a script)."""
    text = text.strip()
    try:
        return int(text) if text.lstrip("+-").isdecimal() and text.isascii() and len(text) <= 20 else float(text)
    except ValueError:
        return None
