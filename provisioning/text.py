"""YAML as the installer writes it: a careful subset of YAML 1.2, with the line of every value.

Plain scalars follow YAML 1.2's core schema (`no` is a word, not false). Refused, each with its line: anchors and aliases, tags, duplicate keys,
several documents in a file, keys that are no strings, numbers with a leading zero (a code must be quoted), infinities, NUL and lone surrogates,
text deeper than `MAX_DEPTH` or larger than `MAX_BYTES`. `${env:NAME}` is replaced from the environment given; `$${env:` stands for itself.
Knows nothing of manifests, of the hub or of files.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 20

Json = None | bool | int | float | str | list[Any] | dict[str, Any]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Mapping[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_ENVIRONMENT = re.compile(r"\$(\$\{env:|\{env:([^}]*)\})")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# the parser in C is some twenty times faster and gives the same events
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Refused(Exception):
    """Why a text cannot be taken; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class Document(NamedTuple):
    """The value of a text and the line of each of its values, by JSON pointer (`""` is the whole)."""

    value: Json
    lines: dict[str, int]


def pointer_part(key: str | int) -> str:
    """One step of a JSON pointer (RFC 6901, section 3)."""
    return str(key).replace("~", "~0").replace("/", "~1")


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being filled."""

    value: list[Any] | dict[str, Any]
    pointer: str
    key: str | None = None
    seen: dict[str, int] = field(default_factory=dict)


def read(raw: bytes, environment: Mapping[str, str]) -> Document:
    """The document in `raw`; raises Refused with the line."""
    text = _decoded(raw)
    lines: dict[str, int] = {}
    stack: list[_Open] = []
    root: list[Json] = []
    for event in _events(text):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent) and root:
            raise Refused(line, "a second document; write one document a file")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise Refused(line, "anchors and aliases (& and *) are not allowed in a manifest")
        if isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if event.tag is not None:
                raise Refused(line, f"the tag {event.tag!r} is not allowed in a manifest")
            if len(stack) >= MAX_DEPTH:
                raise Refused(line, f"nested deeper than {MAX_DEPTH} levels")
            value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            stack.append(_Open(value, _place(stack, root, value, line, lines)))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            stack.pop()
        elif isinstance(event, yaml.ScalarEvent):
            _take_scalar(event, stack, root, line, lines, environment)
    return Document(root[0] if root else None, lines)


def _decoded(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise Refused(1, f"larger than {MAX_BYTES // 1024 // 1024} MiB; split it into several files")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            raw.count(b"\n", 0, error.start) + 1,
            f"not UTF-8 (byte 0x{raw[error.start]:02x}): 请另存为 UTF-8 save the file as UTF-8",
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        raise Refused(text.count("\n", 0, nul) + 1, "a NUL byte")
    return text


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        rows = text.splitlines()
        row = rows[line - 1] if 0 < line <= len(rows) else ""
        indent = row[: len(row) - len(row.lstrip())]
        if "\t" in indent or (mark is not None and row[mark.column : mark.column + 1] == "\t"):
            raise Refused(line, "a tab where YAML wants spaces") from None
        reasons = [reason for reason in (error.context, error.problem) if reason]
        raise Refused(line, "not YAML: " + ", ".join(reasons)) from None
    except yaml.reader.ReaderError as error:
        position = error.position if isinstance(error.position, int) else 0
        raise Refused(
            text.count("\n", 0, position) + 1, f"the character U+{_code(error.character):04X} is not allowed in YAML"
        ) from None


def _code(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _place(stack: list[_Open], root: list[Json], value: Any, line: int, lines: dict[str, int]) -> str:
    """Put a value where it belongs; returns its pointer."""
    if not stack:
        root.append(value)
        lines[""] = line
        return ""
    parent = stack[-1]
    if isinstance(parent.value, list):
        pointer = f"{parent.pointer}/{len(parent.value)}"
        parent.value.append(value)
        lines[pointer] = line
        return pointer
    if parent.key is None:
        raise Refused(line, "a key must be a word or a text, not a list or a mapping")
    pointer = f"{parent.pointer}/{pointer_part(parent.key)}"
    parent.value[parent.key] = value
    parent.key = None
    return pointer  # its line is that of the key, which stands already


def _take_scalar(
    event: Any, stack: list[_Open], root: list[Json], line: int, lines: dict[str, int], environment: Mapping[str, str]
) -> None:
    if event.tag is not None:
        raise Refused(line, f"the tag {event.tag!r} is not allowed in a manifest")
    plain = event.style is None or event.style == ""
    parent = stack[-1] if stack else None
    if parent is not None and isinstance(parent.value, dict) and parent.key is None:
        key = _checked_text(event.value, line)
        if plain and not isinstance(_resolved(key, line, key), str):
            raise Refused(line, f"the key {key} must be a text: write it in quotes")
        if key in parent.seen:
            raise Refused(line, f"the key {key!r} stands here already, in line {parent.seen[key]}")
        parent.seen[key] = line
        parent.key = key
        lines[f"{parent.pointer}/{pointer_part(key)}"] = line
        return
    text = _substituted(event.value, line, environment)
    # what is shown in an error is the text of the file, never what a variable holds
    _place(stack, root, _resolved(text, line, event.value) if plain else text, line, lines)


def _substituted(text: str, line: int, environment: Mapping[str, str]) -> str:
    def replacement(found: re.Match[str]) -> str:
        name = found[2]
        if name is None:
            return "${env:"
        if _NAME.fullmatch(name) is None:
            raise Refused(line, f"${{env:{name}}} names no environment variable")
        value = environment.get(name)
        if value is None:
            raise Refused(line, f"the environment variable {name} is not set")
        return value

    return _checked_text(_ENVIRONMENT.sub(replacement, text), line)


def _checked_text(text: str, line: int) -> str:
    for character in text:
        if character == "\0":
            raise Refused(line, "a NUL character in a text")
        if "\ud800" <= character <= "\udfff":
            raise Refused(line, f"a lone surrogate (U+{ord(character):04X}) in a text")
    return text


def _resolved(text: str, line: int, shown: str) -> Json:
    """The value of a plain scalar (YAML 1.2, 10.3.2); `shown` stands for it in an error."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits.startswith("0"):
            raise Refused(line, f"{shown} begins with a zero: write a code in quotes, a number without the zero")
        if len(digits) > 19:
            raise Refused(line, f"the number {shown[:24]} is too large; a code is written in quotes")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise Refused(line, f"the number {shown[:24]} is too large")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise Refused(line, f"{shown} is not a finite number")
    return text
