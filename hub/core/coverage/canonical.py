"""Values of the core as canonical JSON and back: one text for one value, so that its SHA-256 names it. Pure.

A frozen dataclass becomes an object of its fields (what equals its default is left out, so that a field added later changes no old text), a
requirement carries the name of its class under `is`, sets are sorted, whole floats are written as integers. Keys are sorted, nothing is indented.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping
from enum import Enum
from functools import cache
from itertools import repeat
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from hub.errors import BadInput

_T = TypeVar("_T")
DEEPEST = 32
"""how far values may be nested; what comes from outside is bounded by this"""


def text(value: object) -> bytes:
    """The canonical text of plain data (None, bool, int, float, str, list, dict). What is no finite number is written as a word."""
    return _write(_whole(value)).encode()


def text_of(value: object) -> bytes:
    """The canonical text of a value of the core."""
    return _write(plain(value)).encode()


_write = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


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
    """A value of the core as plain data, with whole floats as integers."""
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return _whole(value)
    if kind in (tuple, list):
        return [one if type(one) in _PLAIN else plain(one) for one in value]
    if isinstance(value, Enum):
        return value._value_
    if isinstance(value, frozenset | set):
        held = [plain(one) for one in value]
        return held if len(held) < 2 else sorted(held, key=text)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    writer = _writers.get(kind)
    if writer is None:
        writer = _writers[kind] = _writer(kind)
    return writer(value)


def _writer(kind: type) -> Callable[[Any], dict[str, Any]]:
    """What writes a dataclass; made once for each, as for reading."""
    fields = _fields(kind)
    head = {"is": kind.__name__} if kind.__name__ in _tagged() else {}
    getters = [attrgetter(name) for name, _ in fields]

    def write_fields(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = dict(head)
        for (name, default), get in zip(fields, getters, strict=True):
            given = get(value)
            if type(given) in _PLAIN:
                if given != default:
                    found[name] = given
            elif default is _NOTHING or given != default:
                found[name] = plain(given)
        return found

    return write_fields


_writers: dict[type, Callable[[Any], dict[str, Any]]] = {}
_PLAIN = frozenset({str, int, bool, NoneType})
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
    try:
        found: _T = _reader(cast(Hashable, kind))(data, DEEPEST)
    except _WrongError as wrong:
        place = "".join(reversed(wrong.path))
        raise BadInput(
            wrong.reason, f"{where}{place}" if where else place.removeprefix("."), code="canonical"
        ) from None
    return found


class _WrongError(Exception):
    """What cannot be read, and the place of it from the inside outward: nobody makes up the names of places where nothing is wrong."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.path: list[str] = []


_Reader = Callable[[Any, int], Any]


@cache
def _reader(kind: Hashable) -> _Reader:
    """What reads this kind; made once for each, since facts are read by the million."""
    if dataclasses.is_dataclass(kind):
        return _reader_of_fields(kind)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _reader_of_union(get_args(kind))
    if origin is Literal:
        return _reader_of_word(get_args(kind))
    if origin in (tuple, frozenset):
        return _reader_of_many(origin, get_args(kind))
    return _reader_of_scalar(kind)


def _reader_of_fields(kind: Any) -> _Reader:
    fields = dict(_fields(kind))
    needed = [name for name, default in fields.items() if default is _NOTHING]
    readers: dict[str, _Reader] = {}

    def read_fields(data: Any, depth: int) -> Any:
        if depth <= 0:
            raise _WrongError(_TOO_DEEP)
        if not isinstance(data, dict):
            raise _WrongError(f"must be an object ({kind.__name__})")
        if not readers:  # not before: a kind may hold itself
            readers.update({name: _reader(hint) for name, hint in get_type_hints(kind).items() if name in fields})
        given = {}
        for name in needed:
            if name not in data:
                break
        else:
            for name, one in data.items():
                reader = readers.get(name)
                if reader is None:
                    if name == "is":
                        continue
                    break
                try:
                    given[name] = reader(one, depth - 1)
                except _WrongError as wrong:
                    wrong.path.append(f".{name}")
                    raise
            else:
                return kind(**given)
        unknown = data.keys() - fields.keys() - {"is"}
        if unknown:
            raise _WrongError(f"unknown key {min(map(str, unknown))!r} in {kind.__name__}")
        raise _WrongError(f"{next(name for name in needed if name not in data)} is missing in {kind.__name__}")

    return read_fields


_TOO_DEEP = "nested too deeply"


def _reader_of_union(kinds: tuple[Any, ...]) -> _Reader:
    optional, rest = NoneType in kinds, [one for one in kinds if one is not NoneType]
    alone = _reader(rest[0]) if len(rest) == 1 else None
    named = {getattr(one, "__name__", None): one for one in reversed(rest)}

    def read_union(data: Any, depth: int) -> Any:
        if data is None and optional:
            return None
        if alone is not None:
            return alone(data, depth)
        name = data.get("is") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in named:
            raise _WrongError("`is` names no kind that is known here")
        return _reader(named[name])(data, depth)

    return read_union


def _reader_of_word(words: tuple[Any, ...]) -> _Reader:
    def read_word(data: Any, depth: int) -> Any:
        if not isinstance(data, str) or data not in words:
            raise _WrongError(f"must be one of {', '.join(map(str, words))}")
        return data

    return read_word


def _reader_of_many(origin: Any, kinds: tuple[Any, ...]) -> _Reader:
    exact = origin is tuple and not (len(kinds) == 2 and kinds[1] is Ellipsis)
    readers = [_reader(one) for one in (kinds if exact else kinds[:1])]

    def read_many(data: Any, depth: int) -> Any:
        if depth <= 0:
            raise _WrongError(_TOO_DEEP)
        if not isinstance(data, list):
            raise _WrongError("must be a list")
        if exact and len(data) != len(kinds):
            raise _WrongError(f"must have {len(kinds)} members")
        found = []
        try:
            for reader, one in zip(readers if exact else repeat(readers[0]), data, strict=False):
                found.append(reader(one, depth - 1))
        except _WrongError as wrong:
            wrong.path.append(f"[{len(found)}]")
            raise
        return origin(found)

    return read_many


_NO_NUMBERS = ("nan", "inf", "-inf")


def _reader_of_scalar(kind: Any) -> _Reader:
    is_enum = isinstance(kind, type) and issubclass(kind, Enum)
    exact = kind if kind in (bool, int, str) else None

    def read_enum(data: Any, depth: int) -> Any:
        try:
            return kind(data)
        except ValueError:
            raise _WrongError(f"no such {kind.__name__}") from None

    def read_float(data: Any, depth: int) -> Any:
        if type(data) is float:
            return data
        try:
            if type(data) is int or (isinstance(data, str) and data in _NO_NUMBERS):
                return float(data)
        except OverflowError:
            pass
        raise _WrongError("must be float")

    def read_exact(data: Any, depth: int) -> Any:
        if exact is None or type(data) is not exact:
            raise _WrongError(f"must be {getattr(kind, '__name__', kind)}")
        return data

    return read_enum if is_enum else read_float if kind is float else read_exact
