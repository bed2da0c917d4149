"""Values of the core as canonical JSON and back: one text for one value, so that its SHA-256 names it. Pure.

A frozen dataclass becomes an object of its fields (what equals its default is left out, so that a field added later changes no old text), a
requirement carries the name of its class under `is`, sets are sorted, whole floats are written as integers. Keys are sorted, nothing is indented.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hub.errors import BadInput

_T = TypeVar("_T")
DEEPEST = 32
"""how far values may be nested; what comes from outside is bounded by this"""


def text(value: object) -> bytes:
    """The canonical text of plain data (None, bool, int, float, str, list, dict). What is no finite number is written as a word."""
    given = json.dumps(_whole(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return given.encode()


def digest(value: object) -> bytes:
    """SHA-256 of the canonical text."""
    return sha256(text(value))


def sha256(data: bytes) -> bytes:
    """The 32 bytes that name these."""
    return hashlib.sha256(data).digest()


def _whole(value: object) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """A value of the core as plain data."""
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if kind in (tuple, list):
        return [plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset | set):
        return sorted((plain(one) for one in value), key=text)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    found = {"is": kind.__name__} if kind.__name__ in _tagged() else {}
    for name, default in _fields(kind):
        given = getattr(value, name)
        if given != default:
            found[name] = plain(given)
    return found


_PLAIN = frozenset({str, int, float, bool, NoneType})
_NOTHING = object()


@cache
def _fields(kind: type) -> tuple[tuple[str, object], ...]:
    """Names of the fields with their defaults, `_NOTHING` where there is none."""
    return tuple(
        (one.name, _NOTHING if one.default is dataclasses.MISSING else one.default) for one in dataclasses.fields(kind)
    )


@cache
def _tagged() -> frozenset[str]:
    """Names of the classes that stand beside others in a union, and so must be named in the text."""
    from hub.core.coverage import rules

    return frozenset(one.__name__ for one in get_args(rules.Requirement))


def read(kind: type[_T], data: object, where: str = "") -> _T:
    """A value of the core from plain data; raises BadInput that names the place in it."""
    found: _T = _read(kind, data, where, DEEPEST)
    return found


def _read(kind: Any, data: Any, where: str, depth: int) -> Any:
    if depth <= 0:
        raise BadInput("nested too deeply", where, code="canonical")
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, data, where, depth)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _read_union(get_args(kind), data, where, depth)
    if origin is Literal:
        if not isinstance(data, str) or data not in get_args(kind):
            raise BadInput(f"must be one of {', '.join(map(str, get_args(kind)))}", where, code="canonical")
        return data
    if origin in (tuple, frozenset):
        return _read_many(origin, get_args(kind), data, where, depth)
    return _read_scalar(kind, data, where)


def _read_fields(kind: Any, data: Any, where: str, depth: int) -> Any:
    if not isinstance(data, dict):
        raise BadInput(f"must be an object ({kind.__name__})", where, code="canonical")
    hints, fields = _hints(kind), dict(_fields(kind))
    unknown = data.keys() - fields.keys() - {"is"}
    if unknown:
        raise BadInput(f"unknown key {min(map(str, unknown))!r} in {kind.__name__}", where, code="canonical")
    missing = [name for name, default in fields.items() if default is _NOTHING and name not in data]
    if missing:
        raise BadInput(f"{missing[0]} is missing in {kind.__name__}", where, code="canonical")
    given = {
        name: _read(hints[name], one, f"{where}.{name}" if where else name, depth - 1)
        for name, one in data.items()
        if name != "is"
    }
    return kind(**given)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read_union(kinds: tuple[Any, ...], data: Any, where: str, depth: int) -> Any:
    if data is None and NoneType in kinds:
        return None
    rest = [one for one in kinds if one is not NoneType]
    if len(rest) == 1:
        return _read(rest[0], data, where, depth)
    name = data.get("is") if isinstance(data, dict) else None
    named = [one for one in rest if getattr(one, "__name__", None) == name]
    if not named:
        raise BadInput("`is` names no kind that is known here", where, code="canonical")
    return _read(named[0], data, where, depth)


def _read_many(origin: Any, kinds: tuple[Any, ...], data: Any, where: str, depth: int) -> Any:
    if not isinstance(data, list):
        raise BadInput("must be a list", where, code="canonical")
    if origin is tuple and not (len(kinds) == 2 and kinds[1] is Ellipsis):
        if len(data) != len(kinds):
            raise BadInput(f"must have {len(kinds)} members", where, code="canonical")
        return tuple(
            _read(one, each, f"{where}[{n}]", depth - 1) for n, (one, each) in enumerate(zip(kinds, data, strict=True))
        )
    return origin(_read(kinds[0], one, f"{where}[{n}]", depth - 1) for n, one in enumerate(data))


_NO_NUMBERS = ("nan", "inf", "-inf")


def _read_scalar(kind: Any, data: Any, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            raise BadInput(f"no such {kind.__name__}", where, code="canonical") from None
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if kind is float and data in _NO_NUMBERS:
        return float(data)
    exact = {bool: bool, int: int, str: str}.get(kind)
    if exact is None or type(data) is not exact:
        raise BadInput(f"must be {getattr(kind, '__name__', kind)}", where, code="canonical")
    return data
