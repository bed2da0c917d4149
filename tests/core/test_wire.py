"""docs/protocol.md, word for word: what is taken, what is refused, and that a bad part never costs its neighbours."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core import wire
from hub.errors import BadInput
from hub.model import Lane, Reject, Sample, Series

STREAM = "6f1cb1b0-5d0a-4f43-9d5c-0123456789ab-urgent"
GOOD = {"d": "smoke-1", "p": "smoke", "t": 1795296000000000, "r": False}


def message(*samples: Any, **more: Any) -> bytes:
    return json.dumps({"v": 1, "samples": list(samples), **more}).encode()


def outcome(payload: bytes) -> str:
    try:
        wire.decode_up(payload)
    except BadInput as error:
        return error.code
    return "taken"


def raw_message(*samples: bytes) -> bytes:
    return b'{"v":1,"samples":[' + b",".join(samples) + b"]}"


def test_the_example_of_the_protocol_page_is_read_as_it_says() -> None:
    up = wire.decode_up(
        b"""{"v": 1,
 "samples": [{"d": "smoke-1", "p": "smoke", "t": 1795296000000000, "r": false},
             {"d": "panel-1", "p": "fire", "i": "1-23", "t": 1795296000000000, "r": true},
             {"d": "ups-1", "p": "charge", "t": 1795296000000000, "e": "noSuchObject"}],
 "rejects": [{"t": 1795296000000000, "s": "serial:/line-1", "c": "checksum", "m": "checksum is 0x31", "b": "QEABAQ=="}]}"""
    )
    at = 1795296000000000
    assert [numbered.sample for numbered in up.samples] == [
        Sample(Series("smoke-1", "smoke"), at, False),
        Sample(Series("panel-1", "fire", "1-23"), at, True),
        Sample(Series("ups-1", "charge"), at, None, "noSuchObject"),
    ]
    assert up.rejects == [
        wire.NumberedReject(3, Reject(at, "serial:/line-1", "checksum", "checksum is 0x31", b"@@\x01\x01"))
    ]
    assert up.refused == []
    assert up.total == 4


BAD_SAMPLES = {
    "an unknown key": (b'{"d":"a","p":"b","t":1,"r":1,"x":1}', "payload"),
    "no device": (b'{"p":"b","t":1,"r":1}', "payload"),
    "a device that is no identifier": (b'{"d":"A b","p":"b","t":1,"r":1}', "payload"),
    "a device with a line feed behind": (b'{"d":"a\\n","p":"b","t":1,"r":1}', "payload"),
    "a device with NUL": (b'{"d":"a\\u0000","p":"b","t":1,"r":1}', "payload"),
    "a point that is none": (b'{"d":"a","p":"B","t":1,"r":1}', "payload"),
    "an instance with a blank": (b'{"d":"a","p":"b","i":"1 2","t":1,"r":1}', "payload"),
    "a time as text": (b'{"d":"a","p":"b","t":"1","r":1}', "payload"),
    "a time as true": (b'{"d":"a","p":"b","t":true,"r":1}', "payload"),
    "a time with a fraction": (b'{"d":"a","p":"b","t":1.5,"r":1}', "payload"),
    "a time beyond 64 bits": (b'{"d":"a","p":"b","t":9223372036854775808,"r":1}', "payload"),
    "neither value nor error": (b'{"d":"a","p":"b","t":1}', "payload"),
    "value and error": (b'{"d":"a","p":"b","t":1,"r":1,"e":"x"}', "payload"),
    "a null": (b'{"d":"a","p":"b","t":1,"r":null}', "payload"),
    "an object": (b'{"d":"a","p":"b","t":1,"r":{}}', "payload"),
    "a number beyond float64": (b'{"d":"a","p":"b","t":1,"r":1e400}', "payload"),
    "an integer beyond 64 bits": (b'{"d":"a","p":"b","t":1,"r":9223372036854775808}', "payload"),
    "an integer of 400 digits": (b'{"d":"a","p":"b","t":1,"r":' + b"9" * 400 + b"}", "payload"),
    "an integer of 5,000 digits": (b'{"d":"a","p":"b","t":1,"r":' + b"9" * 5000 + b"}", "payload"),
    "NaN": (b'{"d":"a","p":"b","t":1,"r":NaN}', "payload"),
    "Infinity": (b'{"d":"a","p":"b","t":1,"r":-Infinity}', "payload"),
    "a text too long": (b'{"d":"a","p":"b","t":1,"r":"' + b"x" * 1025 + b'"}', "payload"),
    "NUL in a text": (b'{"d":"a","p":"b","t":1,"r":"a\\u0000b"}', "text"),
    "NUL in an error": (b'{"d":"a","p":"b","t":1,"e":"a\\u0000b"}', "text"),
    "a lone surrogate": (b'{"d":"a","p":"b","t":1,"r":"\\ud800"}', "text"),
    "a lone surrogate in the error": (b'{"d":"a","p":"b","t":1,"e":"\\udfff"}', "text"),
    "bytes that are not UTF-8": (b'{"d":"a","p":"b","t":1,"r":"\xff\xfe"}', "text"),
    "a surrogate encoded as UTF-8": (b'{"d":"a","p":"b","t":1,"r":"\xed\xa0\x80"}', "text"),
    "a list": (b"[]", "payload"),
    "a number": (b"3", "payload"),
}


@pytest.mark.parametrize(("bad", "code"), BAD_SAMPLES.values(), ids=BAD_SAMPLES.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_sample_is_refused_by_itself_and_its_neighbours_are_taken(bad: bytes, code: str, place: int) -> None:
    parts = [json.dumps({**GOOD, "t": n}).encode() for n in range(2)]
    parts.insert(place, bad)
    up = wire.decode_up(raw_message(*parts))
    assert [(found.n, found.code) for found in up.refused] == [(place, code)]
    assert up.refused[0].reason
    assert 0 < len(up.refused[0].payload) <= 4096
    assert [numbered.n for numbered in up.samples] == [n for n in range(3) if n != place]
    assert [numbered.sample.at for numbered in up.samples] == [0, 1]


def test_every_kind_of_bad_sample_in_one_message_leaves_all_the_good_ones() -> None:
    salvageable = [bad for name, (bad, _) in BAD_SAMPLES.items() if name != "an integer of 5,000 digits"]
    good = json.dumps(GOOD).encode()
    up = wire.decode_up(raw_message(*(part for bad in salvageable for part in (good, bad))))
    assert len(up.samples) == len(up.refused) == len(salvageable)


def test_a_bad_reject_is_refused_by_itself_and_numbered_behind_the_samples() -> None:
    good = {"t": 1, "s": "serial:/line-1", "c": "checksum", "m": "wrong"}
    rejects = [
        good,
        {**good, "c": "Not A Code"},
        {**good, "b": "!"},
        {**good, "s": "\0"},
        {**good, "m": "\ud800"},
        {**good, "b": "A" * 8192},
    ]
    up = wire.decode_up(message(GOOD, rejects=rejects))
    assert [(found.n, found.code) for found in up.refused] == [
        (2, "payload"),
        (3, "payload"),
        (4, "text"),
        (5, "text"),
        (6, "payload"),
    ]
    assert [found.n for found in up.rejects] == [1]
    assert len(up.samples) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"[]",
        b'"x"',
        b'{"samples":[]}',
        b'{"v":2,"samples":[]}',
        b'{"v":true,"samples":[]}',
        b'{"v":1,"samples":{}}',
        b'{"v":1,"samples":[],"more":1}',
        b'{"v":1,"samples":["\\ud800"],"more":1}',
        b'{"v":1.0,"samples":["\\ud800"]}',
        b'{"v":1,"samples":[]} x',
        b"\xef\xbb\xbf" + b'{"v":1,"samples":[]}',
        b'{"v":1,"samples":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
        b'{"v":1,"samples":[' + b",".join([b"1"] * 1001) + b"]}",
        b'{"v":1,"samples":["\\ud800",' + b",".join([b"1"] * 1000) + b"]}",
        b'{"v":1,"rejects":[' + b",".join([b"1"] * 101) + b"]}",
        b'{"v":1,"samples":[' + b" " * 131_072 + b"]}",
    ],
)
def test_garbage_as_a_whole_is_refused_with_the_code_payload(payload: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        wire.decode_up(payload)
    assert caught.value.code == "payload"


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_anything_else_than_a_message_or_bad_input(payload: bytes) -> None:
    assert outcome(payload) in ("taken", "payload")


@given(st.binary(max_size=12), st.integers(0, 200))
def test_a_message_with_bytes_put_in_anywhere_is_taken_or_refused(noise: bytes, place: int) -> None:
    payload = message(GOOD, {**GOOD, "r": "烟"}, rejects=[{"t": 1, "s": "a", "c": "b", "m": "c"}])
    assert outcome(payload[:place] + noise + payload[place:]) in ("taken", "payload")


identifiers = st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True)
points = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
instances = st.just("") | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}", fullmatch=True)
times = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
values = st.booleans() | times | st.floats(allow_nan=False, allow_infinity=False) | texts
series = st.builds(Series, identifiers, points, instances)
edge_times = st.none() | times
marks = st.none() | st.from_regex(r"[a-z]{1,20}(/[0-9a-z-]{1,40}){1,2}", fullmatch=True)
samples = st.builds(Sample, series, times, values, st.none(), edge_times, marks) | st.builds(
    Sample, series, times, st.none(), texts, edge_times, marks
)
rejects = st.builds(Reject, times, texts, st.from_regex(r"[a-z][a-z0-9-]{0,39}", fullmatch=True), texts, st.binary())


@given(st.lists(samples, max_size=5), st.lists(rejects, max_size=3))
def test_what_is_written_is_read_back_as_it_was(some: list[Sample], more: list[Reject]) -> None:
    up = wire.decode_up(wire.encode_up(some, more))
    assert up.refused == []
    assert [numbered.sample for numbered in up.samples] == some
    assert [type(numbered.sample.raw) for numbered in up.samples] == [type(sample.raw) for sample in some]
    assert [numbered.reject for numbered in up.rejects] == more
    assert [numbered.n for numbered in up.samples] + [numbered.n for numbered in up.rejects] == list(range(up.total))


def test_a_mark_that_cannot_be_written_stops_its_sample_and_is_never_left_out() -> None:
    with pytest.raises(BadInput, match="no mark"):
        wire.encode_sample(Sample(Series("button-1", "pressed"), 1, True, None, None, "Proof !"))


@given(st.text(max_size=60) | st.integers() | st.floats() | st.none())
@example("\0")
@example("\ud800")
@example("x" * 1025)
@example(2**64)
@example(10**400)
@example(math.nan)
@example(math.inf)
def test_whatever_a_driver_reads_travels_as_a_value_or_as_the_error_it_is(raw: str | int | float | None) -> None:
    up = wire.decode_up(wire.encode_up([Sample(Series("a", "b"), 1, raw)]))
    assert up.refused == []
    (numbered,) = up.samples
    assert (numbered.sample.raw is None) != (numbered.sample.error is None)
    if numbered.sample.raw is not None:
        assert numbered.sample.raw == raw or numbered.sample.raw == float(raw)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [
        Sample(Series("A", "b"), 1, 1),
        Sample(Series("a", "b c"), 1, 1),
        Sample(Series("a", ""), 1, 1),
        Sample(Series("a", "b", " "), 1, 1),
        Sample(Series("a", "b\ud800"), 1, 1),
        Sample(Series("a", "b"), 2**63, 1),
    ],
)
def test_a_sample_whose_series_or_time_cannot_be_written_is_bad_input(bad: Sample) -> None:
    with pytest.raises(BadInput):
        wire.encode_sample(bad)


def test_a_reject_is_cut_and_cleaned_so_that_the_hub_takes_it() -> None:
    dirty = Reject(2**70, "serial\0\ud800" + "x" * 2000, "Bad Code", "m" * 2000, b"\xff" * 9000)
    up = wire.decode_up(wire.encode_up([], [dirty]))
    assert up.refused == []
    (numbered,) = up.rejects
    assert numbered.reject.source.startswith("serial\ufffd\ufffdxxx")
    assert numbered.reject.code == "reject"
    assert (len(numbered.reject.reason), len(numbered.reject.payload)) == (1024, 4096)


def test_more_than_a_message_holds_is_not_written() -> None:
    sample = Sample(Series("a", "b"), 1, 1)
    with pytest.raises(BadInput):
        wire.encode_up([sample] * 1001)
    with pytest.raises(BadInput):
        wire.encode_up([sample._replace(raw="x" * 1000)] * 1000)
    assert wire.decode_up(wire.encode_up([sample] * 1000)).total == 1000


def test_a_topic_is_read_and_written() -> None:
    topic = wire.parse_topic("anxin/v1/7/edge-1/up/urgent")
    assert topic == wire.Topic(7, "edge-1", "up", Lane.URGENT)
    assert str(topic._replace(direction="down", lane=Lane.BULK)) == "anxin/v1/7/edge-1/down/bulk"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "anxin/v1",
        "anxin/v1/7/edge-1/up",
        "anxin/v1/7/edge-1/up/other",
        "anxin/v1/7/edge-1/up/urgent/",
        "anxin/v1/07/edge-1/up/urgent",
        "anxin/v1/-1/edge-1/up/urgent",
        "anxin/v1/\u0667/edge-1/up/urgent",
        "anxin/v1/7/Edge/up/urgent",
        "anxin/v1/7/edge\n/up/urgent",
        "anxin/v1/7//up/urgent",
        "anxin/v1/7/edge-1/up/urgent\n",
        "anxin/v2/7/edge-1/up/urgent",
        "anxin/v1/7/" + "a" * 41 + "/up/urgent",
    ],
)
def test_any_other_topic_is_refused_by_name(topic: str) -> None:
    with pytest.raises(BadInput) as caught:
        wire.parse_topic(topic)
    assert caught.value.code == "topic"


def test_stream_and_sequence_are_read_from_the_properties_and_others_are_ignored() -> None:
    given_properties = (("other", "x"), *wire.properties_of(STREAM, 41), ("other", "y"))
    assert wire.parse_properties(given_properties, Lane.URGENT) == (STREAM, 41)


@pytest.mark.parametrize(
    "properties",
    [
        (),
        (("stream", STREAM),),
        (("seq", "1"),),
        (("stream", STREAM), ("seq", "1"), ("seq", "2")),
        (("stream", STREAM), ("seq", "0")),
        (("stream", STREAM), ("seq", "-1")),
        (("stream", STREAM), ("seq", "1.0")),
        (("stream", STREAM), ("seq", "\u0661")),
        (("stream", STREAM), ("seq", str(2**63))),
        (("stream", STREAM), ("seq", "9" * 5000)),
        (("stream", STREAM.upper()), ("seq", "1")),
        (("stream", STREAM + "\n"), ("seq", "1")),
        (("stream", STREAM.replace("urgent", "bulk")), ("seq", "1")),
        (("stream", "urgent"), ("seq", "1")),
    ],
)
def test_missing_or_malformed_properties_are_refused(properties: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadInput) as caught:
        wire.parse_properties(properties, Lane.URGENT)
    assert caught.value.code == "properties"


def test_a_confirmation_is_written_and_read_back() -> None:
    assert json.loads(wire.encode_confirm(STREAM, 41)) == {"v": 1, "stream": STREAM, "upto": 41}
    assert wire.decode_confirm(wire.encode_confirm(STREAM, 0)) == wire.Confirmation(STREAM, 0)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"\xff", b'{"v":1,"stream":"x","upto":1}', b'{"v":1,"stream":"%s","upto":-1}' % STREAM.encode()],
)
def test_a_confirmation_that_is_none_is_refused(payload: bytes) -> None:
    with pytest.raises(BadInput):
        wire.decode_confirm(payload)


@given(st.none() | st.integers(-(2**63), 2**63 - 1))
def test_the_clients_own_time_travels_beside_the_devices(edge_at: int | None) -> None:
    sample = Sample(Series("panel-1", "fire"), 1, True, None, edge_at)
    assert [numbered.sample for numbered in wire.decode_up(wire.encode_up([sample])).samples] == [sample]


@pytest.mark.parametrize("nonsense", [2**63, -(2**63) - 1, 1.5, "now", True])
def test_an_edges_time_that_is_none_is_left_out_and_its_sample_goes_all_the_same(nonsense: Any) -> None:
    press = Sample(Series("panel-1", "fire"), 1, True)
    up = wire.decode_up(wire.encode_up([press._replace(edge_at=nonsense)]))
    assert up.refused == []
    assert [numbered.sample for numbered in up.samples] == [press]
