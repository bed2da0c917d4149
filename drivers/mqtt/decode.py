"""From one MQTT message to samples and rejects. Pure: no broker, no clock.

A payload that is garbage as a whole (not JSON, NaN, NUL, too large) gives one reject that names the topic, and no sample. A value that is
garbage alone gives a sample with its error, so that the point shows it, and one reject for the message. A key that is missing or null
is no news: products send only what changed.
"""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from drivers.mqtt.settings import Address
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Micros, Reject, Sample, Scalar, Series

MAX_TEXT = 1024
"""Characters of a string value (docs/protocol.md)."""

MAX_NUMBER = 2.0**63

MAX_REJECTED = 4096


class Decoded(NamedTuple):
    """What one message gave."""

    samples: Sequence[Sample]
    rejects: Sequence[Reject]


class _Absent(Exception):
    """The message says nothing about this point."""


class _Refused(Exception):
    """The value cannot be taken; the text says why."""


_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}\Z")
"""What an instance may be (docs/protocol.md)."""


class Topics:
    """Which bindings a message is for: exact topics at once, those with a `+` one after the other, their instances counted."""

    def __init__(self, bindings: Sequence[Binding], max_instances: int) -> None:
        self._exact: dict[str, list[Binding]] = {}
        self._filters: list[tuple[re.Pattern[str], Binding]] = []
        self._most = max_instances
        self._instances: dict[Series, set[str]] = {}
        for binding in bindings:
            name = binding.address.full_topic(binding.device)
            if "+" in name:
                self._filters.append((_pattern(name), binding))
            else:
                self._exact.setdefault(name, []).append(binding)
        wild = {binding.address.full_topic(binding.device) for _, binding in self._filters}
        patterns = [pattern for pattern, _ in self._filters]
        bare = [name for name in self._exact if not any(pattern.fullmatch(name) for pattern in patterns)]
        self.filters: Sequence[str] = sorted([*wild, *bare])
        """what to subscribe to: none that another covers, a broker may send such a message once for each (MQTT 5.0, 3.3.4)"""

    def of(self, topic: str) -> tuple[Sequence[Binding], str]:
        """The bindings of this topic, with their instance filled in, and why some of it is refused (empty when nothing is)."""
        found, refused = list(self._exact.get(topic, ())), ""
        for pattern, binding in self._filters:
            match = pattern.fullmatch(topic)
            if match is None:
                continue
            instance = "/".join(match.groups())
            known = self._instances.setdefault(binding.series, set())
            if instance not in known:
                if _INSTANCE.match(instance) is None:
                    refused = f"{instance[:80]!r} is no instance of {binding.series.point}"
                    continue
                if len(known) >= self._most:
                    refused = f"{binding.series.point} has {self._most} instances already, {instance!r} is one more"
                    continue
                known.add(instance)
            found.append(binding._replace(series=binding.series._replace(instance=instance)))
        return found, refused


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("/".join("([^/]*)" if part == "+" else re.escape(part) for part in name.split("/")))


def decode(
    topic: str, payload: bytes, retained: bool, bindings: Sequence[Binding], at: Micros, source: str, max_payload: int
) -> Decoded:
    """Samples of all `bindings` of this topic; `source` names the endpoint in rejects."""
    where = f"{source} topic {topic!r}"

    def reject(code: str, reason: str) -> Reject:
        return Reject(at, where, code, reason, payload[:MAX_REJECTED])

    if not bindings:
        return Decoded((), (reject("topic", "no point is bound to this topic"),))
    wanted = [b for b in bindings if not retained or b.address.retained == "take"]
    if not wanted:
        return Decoded((), ())
    if len(payload) > max_payload:
        return Decoded((), (reject("size", f"{len(payload)} bytes, at most {max_payload} are taken"),))
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return Decoded((), (reject("payload", "not UTF-8"),))
    if "\0" in text:
        return Decoded((), (reject("text", "NUL in the payload"),))
    document: Any = None
    if any(b.address.format == "json" for b in wanted):
        try:
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            return Decoded((), (reject("payload", f"not JSON: {error}"),))
    samples: list[Sample] = []
    refused: list[str] = []
    for binding in wanted:
        try:
            raw = _value(binding.address, binding.kind, _found(binding.address, document, text))
        except _Absent:
            continue
        except _Refused as error:
            samples.append(Sample(binding.series, at, None, str(error)))
            refused.append(f"{binding.series.point} at {binding.address.pointer or 'the payload'!r}: {error}")
        else:
            samples.append(Sample(binding.series, at, raw))
    return Decoded(samples, (reject("value", "; ".join(refused)),) if refused else ())


def _found(address: Address, document: Any, text: str) -> Any:
    """What stands at the address; None where nothing does."""
    if address.format == "json":
        return point_at(document, address.pointer)
    return text if address.field is None else _field_of(text, address.field, address.separator)


def _field_of(text: str, number: int, separator: str) -> str | None:
    """A field of a payload of one line (RFC 4180, with any separator); an empty one is no news."""
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=separator, strict=True) if row]
    except csv.Error as error:
        raise _Refused(f"not CSV: {error}") from None
    if len(rows) != 1:
        raise _Refused(f"{len(rows)} lines of CSV, one is taken")
    if number >= len(rows[0]):
        raise _Refused(f"{len(rows[0])} fields, the point is field {number}")
    return rows[0][number].strip() or None


def _value(address: Address, kind: str, found: Any) -> Scalar:
    if found is None:
        raise _Absent
    if not isinstance(found, bool | int | float | str):
        raise _Refused(f"{'an array' if isinstance(found, list) else 'an object'} where a {kind} should be")
    if not isinstance(found, str) and not -MAX_NUMBER < found < MAX_NUMBER:
        raise _Refused("a number that no measurement has")
    if isinstance(found, str):
        if len(found) > MAX_TEXT:
            raise _Refused(f"{len(found)} characters, at most {MAX_TEXT} are taken")
        if "\0" in found:  # written \u0000 in JSON
            raise _Refused("NUL in a text")
    if address.ignored is not None and any(_is(found, nothing) for nothing in address.ignored):
        raise _Absent
    if address.equals is not None:
        same = _is(found, address.equals)
        if address.only_when_equal and not same:
            if address.ignored is not None:
                raise _Refused(f"{str(found)[:60]!r} is nothing that the product is known to say")
            raise _Absent
        return same
    if address.map is not None:
        key = str(found).lower() if isinstance(found, bool) else str(found)
        if key not in address.map:
            raise _Refused(f"{key[:60]!r} is not in the point's map")
        return address.map[key]
    return _from_text(found, kind) if address.format != "json" and isinstance(found, str) else _of_kind(found, kind)


def _is(found: Scalar, wanted: Scalar) -> bool:
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def command_of(value: Scalar, address: Address, where: str) -> bytes:
    """What is published to write `value`; raises BadInput."""
    command = address.command
    if command is None:
        raise BadInput("the profile names no command for it", where)
    text = _text_of(value, command.values, where)
    return command.payload.replace("{value}", text).encode()


def _text_of(value: Scalar, values: Mapping[str, str] | None, where: str) -> str:
    if isinstance(value, str) and (len(value) > MAX_TEXT or "\0" in value):
        raise BadInput(f"a text of at most {MAX_TEXT} characters without NUL", where)
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput("the value is not finite", where)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if values is None:
        return json.dumps(value)
    if text not in values:
        raise BadInput(f"{text[:60]!r} is not among the command's values", where)
    return values[text]


def _of_kind(found: Scalar, kind: str) -> Scalar:
    """JSON carries types: only a text where a number should be is left to the profile, for its enumeration's labels."""
    fits = {
        "bool": isinstance(found, bool) or found in (0, 1),
        "int": isinstance(found, str) or (not isinstance(found, bool) and isinstance(found, int | float)),
        "float": isinstance(found, int | float) and not isinstance(found, bool),
        "str": isinstance(found, str),
    }
    if not fits[kind]:
        raise _Refused(f"{str(found)[:60]!r} where a {kind} should be")
    return found


_BOOLEANS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


def _from_text(found: str, kind: str) -> Scalar:
    if kind == "str":
        return found
    word = found.strip()
    try:
        if kind == "bool":
            return _BOOLEANS[word.lower()]
        if kind == "int" and len(word) <= 20:
            return int(word)
        number = float(word)
        if not math.isfinite(number):
            raise _Refused(f"{word[:60]!r} is not finite")
        return number
    except (KeyError, ValueError):
        raise _Refused(f"{word[:60]!r} where a {kind} should be") from None


def point_at(document: Any, pointer: str) -> Any:
    """What the JSON pointer (RFC 6901) names, None where there is nothing."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isascii() and key.isdigit() and (key == "0" or key[0] != "0"):
            document = document[int(key)] if len(key) < 7 and int(key) < len(document) else None
        else:
            return None
    return document
