"""The bytes of docs/protocol.md: topics, properties, upward messages and confirmations, read strictly and written exactly.

Shared by edge and ingest. A bad message is refused as a whole (`BadInput`, its code is one of docs/protocol.md); a bad sample or reject
inside a good message is refused by itself and its neighbours are returned. Knows nothing of the registry: whether a device exists, or a
time is plausible, is judged by ingest.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, TypeGuard

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hub.errors import BadInput
from hub.model import IDENTIFIER, Lane, Reject, Sample, Scalar, Series

ROOT = "anxin/v1"
MAX_PAYLOAD = 131_072
"""bytes; half of what the broker lets through, so that a sender who is wrong finds itself in quarantine and not cut off"""
MAX_SAMPLES = 1_000
MAX_REJECTS = 100
MAX_TEXT = 1_024
"""characters of a string value, an error or a reason"""
MAX_SEQUENCE = 2**63 - 1
QUARANTINED_BYTES = 4_096

STREAM_PROPERTY = "stream"
SEQUENCE_PROPERTY = "seq"
ITEMS_PROPERTY = "items"
DROPPED_PROPERTY = "dropped"
MAX_ITEMS = 10**15
"""of a stream; a client that writes more writes nonsense"""

_INT64 = Meta(ge=-(2**63), le=2**63 - 1)
_IDENTIFIER = IDENTIFIER.removesuffix("$") + r"\Z"  # `$` would let a line feed follow
_POINT = r"^[a-z][a-z0-9_]{0,39}\Z"
_INSTANCE = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}\Z"
_CODE = r"^[a-z0-9][a-z0-9-]{0,39}\Z"
_MARK = r"^[a-z]{1,20}(?:/[0-9a-z-]{1,40}){1,2}\Z"
_STREAM = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-(?:urgent|bulk)"

_Text = Annotated[str, Meta(max_length=MAX_TEXT)]
_Time = Annotated[int, _INT64]

_TOPIC = re.compile(rf"{ROOT}/(0|[1-9][0-9]{{0,4}})/({_IDENTIFIER[1:-2]})/(up|down)/(urgent|bulk)")
_STATE_TOPIC = re.compile(rf"{ROOT}/(0|[1-9][0-9]{{0,4}})/({_IDENTIFIER[1:-2]})/up/state")
_STREAM_NAME = re.compile(_STREAM)
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_ITEMS = re.compile(r"(0|[1-9][0-9]{0,14})/(0|[1-9][0-9]{0,14})")
_identifier, _point, _instance, _code, _mark = (re.compile(p) for p in (_IDENTIFIER, _POINT, _INSTANCE, _CODE, _MARK))


class Topic(NamedTuple):
    """One of the four topics of a client."""

    partition: int
    client: str
    direction: Literal["up", "down"]
    lane: Lane

    def __str__(self) -> str:
        return f"{ROOT}/{self.partition}/{self.client}/{self.direction}/{self.lane}"


def configuration_topic(partition: int, client: str) -> str:
    """Where the hub keeps a client's configuration, retained (docs/protocol.md)."""
    return f"{ROOT}/{partition}/{client}/down/config"


TIME_PROPERTY = "time"
"""of a confirmation: the hub's clock when it was written, whole microseconds"""


def state_topic(partition: int, client: str) -> str:
    """Where a client says that a session of its begins, and the broker (its last will) that it ended."""
    return f"{ROOT}/{partition}/{client}/up/state"


class SessionState(NamedTuple):
    """One session of a client began or ended."""

    session: str
    """32 hexadecimal digits, chosen by the client for each connection"""
    born: bool


class Items(NamedTuple):
    """What a client says of how much it has produced; an item is a sample or a reject."""

    through: int
    """items of the stream up to and with this message, as they were written"""
    given: int
    """items of the stream up to the newest number given when this message was sent: the rest waits in the spool"""
    dropped: int = 0
    """items of this message whose content was given up; what it holds then is the declaration, and no item"""


class Numbered(NamedTuple):
    """A good sample and its number in the message: what `event` and `quarantine` call n."""

    n: int
    sample: Sample


class NumberedReject(NamedTuple):
    """A good reject; rejects are numbered on after the message's samples."""

    n: int
    reject: Reject


class Refused(NamedTuple):
    """A sample or reject that could not be taken, by itself; `payload` holds at most 4,096 bytes of it."""

    n: int
    code: str
    reason: str
    payload: bytes


class Up(NamedTuple):
    """An upward message, decoded; what stood in it is in exactly one of the three."""

    samples: list[Numbered]
    rejects: list[NumberedReject]
    refused: list[Refused]

    @property
    def total(self) -> int:
        """How many samples and rejects the message held, good or not."""
        return len(self.samples) + len(self.rejects) + len(self.refused)


class Confirmation(NamedTuple):
    """All of `stream` up to and with `upto` is committed; 0: nothing is."""

    stream: str
    upto: int


class _WireSample(Struct, forbid_unknown_fields=True, omit_defaults=True):
    d: Annotated[str, Meta(pattern=_IDENTIFIER)]
    p: Annotated[str, Meta(pattern=_POINT)]
    t: _Time
    r: bool | _Time | float | _Text | UnsetType = UNSET
    e: _Text | UnsetType = UNSET
    i: Annotated[str, Meta(pattern=_INSTANCE)] | Literal[""] = ""
    s: _Time | UnsetType = UNSET
    x: Annotated[str, Meta(pattern=_MARK)] | UnsetType = UNSET


class _WireReject(Struct, forbid_unknown_fields=True):
    t: _Time
    s: _Text
    c: Annotated[str, Meta(pattern=_CODE)]
    m: _Text
    b: Annotated[bytes, Meta(max_length=QUARANTINED_BYTES)] = b""


class _Whole(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    samples: Annotated[list[_WireSample], Meta(max_length=MAX_SAMPLES)] = []
    rejects: Annotated[list[_WireReject], Meta(max_length=MAX_REJECTS)] = []


class _Parts(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    samples: Annotated[list[Raw], Meta(max_length=MAX_SAMPLES)] = []
    rejects: Annotated[list[Raw], Meta(max_length=MAX_REJECTS)] = []


class _WireConfirmation(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    stream: Annotated[str, Meta(pattern=rf"^{_STREAM}\Z")]
    upto: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class _WireState(Struct, forbid_unknown_fields=True):
    v: Literal[1]
    session: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    state: Literal["born", "died"]


_whole = msgspec.json.Decoder(_Whole)
_parts = msgspec.json.Decoder(_Parts)
_sample = msgspec.json.Decoder(_WireSample)
_reject = msgspec.json.Decoder(_WireReject)
_confirmation = msgspec.json.Decoder(_WireConfirmation)
_state = msgspec.json.Decoder(_WireState)
_encode = msgspec.json.Encoder().encode


# topics and properties ------------------------------------------------------------------------------------------


def parse_topic(topic: str) -> Topic:
    """The parts of a topic of this protocol; raises BadInput (`topic`)."""
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise BadInput("not a topic of this protocol", f"topic {topic[:200]!r}", code="topic")
    return Topic(int(found[1]), found[2], "up" if found[3] == "up" else "down", Lane(found[4]))


def parse_properties(properties: Iterable[tuple[str, str]], lane: Lane) -> tuple[str, int]:
    """Stream and sequence from a message's user properties; raises BadInput (`properties`).

    Other properties are ignored; one of ours given twice, or a stream of the other lane, is refused.
    """
    given = [(key, value) for key, value in properties if key in (STREAM_PROPERTY, SEQUENCE_PROPERTY)]
    found = dict(given)
    for name in (STREAM_PROPERTY, SEQUENCE_PROPERTY):
        if name not in found:
            raise BadInput("is missing", f"property {name}", code="properties")
    if len(given) != len(found):
        raise BadInput("stands twice", "properties stream and seq", code="properties")
    stream, number = found[STREAM_PROPERTY], found[SEQUENCE_PROPERTY]
    if _STREAM_NAME.fullmatch(stream) is None:
        raise BadInput("not a UUID, a hyphen and a lane", f"property stream {stream[:100]!r}", code="properties")
    if not stream.endswith(f"-{lane}"):
        raise BadInput(f"a stream of the other lane on the {lane} topic", f"property stream {stream!r}", "properties")
    if _NUMBER.fullmatch(number) is None or int(number) > MAX_SEQUENCE:
        raise BadInput("not a whole number from 1 to 2^63 - 1", f"property seq {number[:40]!r}", code="properties")
    return stream, int(number)


def parse_items(properties: Iterable[tuple[str, str]]) -> Items | None:
    """What the client declares, None where it declares nothing or nonsense: a message is never refused for its book-keeping."""
    given = dict(properties)
    if ITEMS_PROPERTY not in given:
        return None
    found = _ITEMS.fullmatch(given[ITEMS_PROPERTY])
    if found is None:
        return None
    dropped = 0
    if DROPPED_PROPERTY in given:
        written = given[DROPPED_PROPERTY]
        dropped = int(written) if written.isascii() and written.isdecimal() and len(written) <= 4 else 0
    items = Items(int(found[1]), int(found[2]), dropped)
    return items if items.through <= items.given and dropped <= MAX_SAMPLES + MAX_REJECTS else None


def properties_of(stream: str, seq: int, items: Items | None = None) -> tuple[tuple[str, str], ...]:
    """The user properties of message `seq` of `stream`."""
    place = ((STREAM_PROPERTY, stream), (SEQUENCE_PROPERTY, str(seq)))
    if items is None:
        return place
    declared = (ITEMS_PROPERTY, f"{items.through}/{items.given}")
    return (*place, declared, (DROPPED_PROPERTY, str(items.dropped))) if items.dropped else (*place, declared)


# upward, read ---------------------------------------------------------------------------------------------------


def decode_up(payload: bytes) -> Up:
    """An upward message; raises BadInput (`payload`) when it is garbage as a whole. Anything smaller is in `Up.refused`."""
    if len(payload) > MAX_PAYLOAD:
        raise BadInput(f"{len(payload)} bytes, at most {MAX_PAYLOAD} are taken", "payload", code="payload")
    try:
        whole = _whole.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_singly(payload)
    up = Up([], [], [])
    for n, sample in enumerate(whole.samples):
        _take_sample(up, n, sample, b"")
    for n, reject in enumerate(whole.rejects, len(whole.samples)):
        _take_reject(up, n, reject, b"")
    return up


def parts_of(payload: bytes) -> tuple[list[bytes], list[bytes]]:
    """The samples and rejects of an upward message as they stand in it; raises BadInput (`payload`) when it is garbage as a whole."""
    try:
        parts = _parts.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(str(error), "payload", code="payload") from None
    return [bytes(raw) for raw in parts.samples], [bytes(raw) for raw in parts.rejects]


def _decode_singly(payload: bytes) -> Up:
    """The slow way, for a message that has something bad in it."""
    try:
        parts = _parts.decode(payload)
        samples, rejects = [bytes(raw) for raw in parts.samples], [bytes(raw) for raw in parts.rejects]
    except msgspec.ValidationError as error:
        raise BadInput(str(error), "payload", code="payload") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        samples, rejects = _salvage(payload, error)
    up = Up([], [], [])
    for n, raw in enumerate(samples):
        try:
            _take_sample(up, n, _sample.decode(raw), raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            up.refused.append(_refusal(n, error, raw))
    for n, raw in enumerate(rejects, len(samples)):
        try:
            _take_reject(up, n, _reject.decode(raw), raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            up.refused.append(_refusal(n, error, raw))
    return up


def _salvage(payload: bytes, error: Exception) -> tuple[list[bytes], list[bytes]]:
    """The parts of a message that msgspec cannot even cut up: a lone surrogate, bytes that are no UTF-8, NaN or Infinity in one of them.

    The standard library's parser is lenient enough to find the neighbours; every part is then read strictly like any other.
    """
    try:
        document = json.loads(payload.decode("utf-8", "surrogateescape"))
        if not isinstance(document, dict):
            raise ValueError("not an object")
        if document.keys() - {"v", "samples", "rejects"} or type(document.get("v")) is not int or document["v"] != 1:
            raise ValueError("not v, samples and rejects")
        samples, rejects = document.get("samples", []), document.get("rejects", [])
        if not isinstance(samples, list) or not isinstance(rejects, list):
            raise ValueError("samples and rejects are lists")
        if len(samples) > MAX_SAMPLES or len(rejects) > MAX_REJECTS:
            raise ValueError("too many samples or rejects")
        return [json.dumps(part).encode() for part in samples], [json.dumps(part).encode() for part in rejects]
    except (ValueError, RecursionError):
        reason = str(error) if isinstance(error, msgspec.DecodeError) else "not UTF-8, or nested too deeply"
        raise BadInput(reason, "payload", code="payload") from None


def _refusal(n: int, error: Exception, raw: bytes) -> Refused:
    try:
        json.dumps(json.loads(raw.decode("utf-8", "surrogateescape")), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Refused(n, "text", "a lone surrogate, or bytes that are not UTF-8, in a string", raw[:QUARANTINED_BYTES])
    except (ValueError, RecursionError):
        pass
    return Refused(n, "payload", str(error)[:MAX_TEXT], raw[:QUARANTINED_BYTES])


def _take_sample(up: Up, n: int, wire: _WireSample, raw: bytes) -> None:
    value = None if wire.r is UNSET else wire.r
    error = None if wire.e is UNSET else wire.e
    if (value is None) == (error is None):
        up.refused.append(_refused_struct(n, "payload", "exactly one of r and e is given", wire, raw))
    elif (type(value) is str and "\0" in value) or (error is not None and "\0" in error):
        up.refused.append(_refused_struct(n, "text", "NUL in a string", wire, raw))
    else:
        edge_at, mark = None if wire.s is UNSET else wire.s, None if wire.x is UNSET else wire.x
        up.samples.append(Numbered(n, Sample(Series(wire.d, wire.p, wire.i), wire.t, value, error, edge_at, mark)))


def _take_reject(up: Up, n: int, wire: _WireReject, raw: bytes) -> None:
    if "\0" in wire.s or "\0" in wire.m:
        up.refused.append(_refused_struct(n, "text", "NUL in a string", wire, raw))
    else:
        up.rejects.append(NumberedReject(n, Reject(wire.t, wire.s, wire.c, wire.m, wire.b)))


def _refused_struct(n: int, code: str, reason: str, wire: Struct, raw: bytes) -> Refused:
    return Refused(n, code, reason, (raw or _encode(wire))[:QUARANTINED_BYTES])


# upward, written ------------------------------------------------------------------------------------------------


def encode_up(samples: Sequence[Sample], rejects: Sequence[Reject] = ()) -> bytes:
    """One upward message; raises BadInput when it would be more than one message may hold. `hub.core.batching.pack` cuts up any number."""
    return join_up([encode_sample(sample) for sample in samples], [encode_reject(reject) for reject in rejects])


def join_up(samples: Sequence[bytes], rejects: Sequence[bytes]) -> bytes:
    """A message of parts that are encoded already."""
    payload = b'{"v":1,"samples":[' + b",".join(samples) + b'],"rejects":[' + b",".join(rejects) + b"]}"
    if len(samples) > MAX_SAMPLES or len(rejects) > MAX_REJECTS or len(payload) > MAX_PAYLOAD:
        what = f"{len(samples)} samples, {len(rejects)} rejects, {len(payload)} bytes"
        raise BadInput(f"{what} are more than one message holds", "message", code="payload")
    return payload


def encode_sample(sample: Sample) -> bytes:
    """A sample as JSON; raises BadInput when its series or time cannot be written.

    A value that JSON or the protocol cannot carry (NaN, a number beyond float64, a NUL, a text too long) travels as an error that says
    so: device and point are known, and silence would be the greater lie. An integer beyond int64 travels as the nearest float.
    """
    series = sample.series
    for text, pattern, name in (
        (series.device, _identifier, "device"),
        (series.point, _point, "point"),
        (series.instance, _instance, "instance"),
    ):
        if type(text) is not str or ((text or name != "instance") and pattern.match(text) is None):
            where = f"{str(series.device)[:40]}/{str(series.point)[:40]} {name}"
            raise BadInput(f"{str(text)[:100]!r} is not written like one", where, "series")
    if type(sample.at) is not int or not -(2**63) <= sample.at < 2**63:
        raise BadInput(f"time {sample.at} does not fit 64 bits", f"{series.device}/{series.point}", code="time")
    if sample.mark is not None and _mark.match(sample.mark) is None:  # without it, it would be taken for real
        raise BadInput(f"{sample.mark[:60]!r} is no mark", f"{series.device}/{series.point} mark", code="mark")
    value, error = (None, sample.error) if sample.error is not None else _value(sample.raw)
    return _encode(
        _WireSample(
            d=series.device,
            p=series.point,
            i=series.instance,
            t=sample.at,
            r=UNSET if value is None else value,
            e=UNSET if error is None else _clean(error),
            s=UNSET if not _fits(sample.edge_at) else sample.edge_at,
            x=UNSET if sample.mark is None else sample.mark,
        )
    )


def _fits(at: object) -> TypeGuard[int]:
    """Whether it is a time of 64 bits; the edge's own beside a sample is left out where it is none, and the sample goes all the same."""
    return type(at) is int and -(2**63) <= at < 2**63


def _value(raw: Scalar | None) -> tuple[Scalar | None, str | None]:
    """Of types derived from the plain ones (numpy's, enumerations) the plain value: the encoder takes no others."""
    if isinstance(raw, str):
        raw = str.__str__(raw)
        if len(raw) > MAX_TEXT:
            return None, f"a text of {len(raw)} characters, at most {MAX_TEXT} are taken"
        return (raw, None) if _clean(raw) == raw else (None, "NUL or a lone surrogate in a text")
    if isinstance(raw, bool):
        return raw, None
    if isinstance(raw, int):
        try:
            return (int(raw) if -(2**63) <= raw < 2**63 else float(raw)), None
        except OverflowError:
            return None, "a number beyond float64"
    if isinstance(raw, float):
        return (float(raw), None) if math.isfinite(raw) else (None, f"the value is {raw}")
    return None, "no value"


def encode_reject(reject: Reject) -> bytes:
    """A reject as JSON, cut and cleaned to what the protocol takes."""
    code = reject.code if _code.match(reject.code) is not None else "reject"
    at = min(max(int(reject.at), -(2**63)), 2**63 - 1)
    return _encode(
        _WireReject(at, _clean(reject.source), code, _clean(reject.reason), reject.payload[:QUARANTINED_BYTES])
    )


def _clean(text: str) -> str:
    """`text` with NUL and lone surrogates replaced by U+FFFD, at most `MAX_TEXT` characters."""
    text = text[:MAX_TEXT]
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# confirmations --------------------------------------------------------------------------------------------------


def encode_confirm(stream: str, upto: int) -> bytes:
    """What the hub publishes after the commit."""
    return _encode(_WireConfirmation(1, stream, upto))


def decode_confirm(payload: bytes) -> Confirmation:
    """A confirmation; raises BadInput (`payload`)."""
    try:
        wire = _confirmation.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(str(error)[:200], "confirmation", code="payload") from None
    return Confirmation(wire.stream, wire.upto)


def confirm_properties(now: int) -> tuple[tuple[str, str], ...]:
    """What stands beside a confirmation: the hub's time, by which a client sees how its clock is."""
    return ((TIME_PROPERTY, str(now)),)


def parse_hub_time(properties: Iterable[tuple[str, str]]) -> int | None:
    """The hub's time of a confirmation; None where it has none or nonsense."""
    found = dict(properties).get(TIME_PROPERTY, "")
    return int(found) if _NUMBER.fullmatch(found) is not None and int(found) <= MAX_SEQUENCE else None


# a client's sessions --------------------------------------------------------------------------------------------


def encode_state(state: SessionState) -> bytes:
    """What a client publishes when its session begins, and what its will says."""
    return _encode(_WireState(1, state.session, "born" if state.born else "died"))


def parse_state(topic: str, payload: bytes) -> tuple[str, SessionState] | None:
    """Client and state; None where the topic is another one. Raises BadInput (`payload`)."""
    found = _STATE_TOPIC.fullmatch(topic)
    if found is None:
        return None
    try:
        wire = _state.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(str(error)[:200], f"topic {topic}", code="payload") from None
    return found[2], SessionState(wire.session, wire.state == "born")
