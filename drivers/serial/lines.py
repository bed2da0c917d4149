"""The line protocol: bytes to lines, lines to values by regular expression. Pure.

A line that no point knows gives a reject; nothing that a line holds ends the stream. Patterns come from profiles, which installers write, so
they are checked before they run: `re` has no time limit, and `(a+)+` on a line of 256 characters would outlive the hub.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from hub.driver import Binding
from hub.model import Micros, Reject, Sample, Scalar

MAX_REPETITIONS = 4
"""Unbounded repetitions in one pattern; each may multiply the time by the length of the line."""

MAX_INSTANCE = 40


class Long(NamedTuple):
    """The beginning of a line that was longer than allowed; the rest is skipped."""

    octets: bytes


class LineSplitter:
    """Cuts a stream at its terminator, however it arrives. Holds at most one line of `max_line` bytes."""

    def __init__(self, terminator: bytes, max_line: int) -> None:
        self._terminator = terminator
        self._max_line = max_line
        self._buffer = b""
        self._skipping = False

    def feed(self, octets: bytes) -> list[bytes | Long]:
        """Whole lines without their terminator, in order; empty lines are left out."""
        *lines, rest = (self._buffer + octets).split(self._terminator)
        found: list[bytes | Long] = []
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif len(line) > self._max_line:
                found.append(Long(line[: self._max_line]))
            elif line:
                found.append(line)
        if self._skipping:
            rest = rest[-len(self._terminator) :]
        elif len(rest) > self._max_line + len(self._terminator):
            found.append(Long(rest[: self._max_line]))
            self._skipping = True
            rest = rest[-len(self._terminator) :]
        self._buffer = rest
        return found


def compile_pattern(text: str) -> re.Pattern[str]:
    """The compiled pattern; raises ValueError that names it when it does not compile or may run without end."""
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern {text!r} does not compile: {error}") from None
    _refuse_nested_repetition(text)
    return pattern


def _refuse_nested_repetition(text: str) -> None:
    """Refuse a repeated group that holds a repetition or a choice, and more than `MAX_REPETITIONS` without bound."""
    groups: list[bool] = [False]  # per open group: does it hold a repetition or a choice?
    unbounded, at, closed = 0, 0, False
    while at < len(text):
        sign, held, at = text[at], False, at + 1
        if sign == "\\":
            at += 1
        elif sign == "[":
            at = _end_of_class(text, at)
        elif sign == "(":
            groups.append(False)
            closed = False
            at += text[at : at + 1] == "?"  # the sign of an extension, no repetition
            continue
        elif sign == ")" and len(groups) > 1:
            held = groups.pop()
            groups[-1] |= held
            closed = held
            continue
        elif sign == "|":
            groups[-1] = True
        elif sign in "*+{":
            if closed:
                raise ValueError(
                    f"the pattern {text!r} repeats a group that itself repeats or chooses: it may run without end"
                )
            upper = re.match(r"(\d*)(,?)(\d*)\}", text[at:]) if sign == "{" else None
            if sign != "{" or upper is not None:
                groups[-1] = True
                unbounded += sign != "{" or (upper is not None and upper[2] == "," and upper[3] == "")
        closed = False
    if unbounded > MAX_REPETITIONS:
        raise ValueError(
            f"the pattern {text!r} has {unbounded} repetitions without bound, at most {MAX_REPETITIONS} are taken"
        )


def _end_of_class(text: str, at: int) -> int:
    at += text[at : at + 1] == "^"
    at += text[at : at + 1] == "]"
    while at < len(text) and text[at] != "]":
        at += 2 if text[at] == "\\" else 1
    return at + 1


class Refused(Exception):
    """A value that cannot be taken; the text says why."""


_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


def value_of(word: str, kind: str, mapping: dict[str, Scalar] | None) -> Scalar:
    """The value that a text stands for; raises Refused."""
    if mapping is not None:
        if word not in mapping:
            raise Refused(f"{word[:60]!r} is not in the point's map")
        return mapping[word]
    if kind == "str":
        return word
    try:
        if kind == "bool":
            return _BOOLEANS[word.strip().lower()]
        if kind == "int" and len(word) <= 20:
            return int(word)
        number = float(word)
    except (KeyError, ValueError):
        raise Refused(f"{word[:60]!r} where a {kind} should be") from None
    if not math.isfinite(number):
        raise Refused(f"{word[:60]!r} is not finite")
    return number


class Lines(NamedTuple):
    """What the lines of an endpoint mean: `patterns` go with `bindings`, one each."""

    bindings: Sequence[Binding]
    patterns: Sequence[re.Pattern[str]]
    ignored: Sequence[re.Pattern[str]]
    encoding: str
    source: str

    def read(self, line: bytes | Long, at: Micros) -> tuple[list[Sample], list[Reject]]:
        """Samples of every point whose pattern is found in the line, or one reject."""
        if isinstance(line, Long):
            return [], [Reject(at, self.source, "size", f"a line longer than {len(line.octets)} bytes", line.octets)]
        try:
            text = line.decode(self.encoding)
        except UnicodeDecodeError:
            return [], [Reject(at, self.source, "text", f"not {self.encoding}", line)]
        if "\0" in text:
            return [], [Reject(at, self.source, "text", "NUL in a line", line)]
        samples: list[Sample] = []
        refused: list[str] = []
        known = False
        for binding, pattern in zip(self.bindings, self.patterns, strict=True):
            found = pattern.search(text)
            if found is None:
                continue
            groups = found.groupdict()
            if groups.get("device") is not None and groups["device"] != binding.device.address:
                continue
            known = True
            word = groups["value"]
            if word is None:  # the group is optional and was not there
                continue
            series = binding.series._replace(
                instance=(groups.get("instance") or binding.series.instance)[:MAX_INSTANCE]
            )
            try:
                samples.append(Sample(series, at, value_of(word, binding.kind, binding.address.map)))
            except Refused as error:
                samples.append(Sample(series, at, None, str(error)))
                refused.append(f"{series.point}: {error}")
        if refused:
            return samples, [Reject(at, self.source, "value", "; ".join(refused), line)]
        if not known and not any(pattern.search(text) for pattern in self.ignored):
            return [], [Reject(at, self.source, "line", "no point knows this line", line)]
        return samples, []
