"""From one message to samples: pure."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.mqtt.decode import Decoded, Topics, command_of, decode, point_at
from drivers.mqtt.settings import Address, Device, Endpoint, Search
from hub.driver import Binding
from hub.errors import BadInput
from hub.model import Sample, Scalar, Series

AT = 1_795_296_000_000_000
DEVICE = Device(topic="zigbee2mqtt/smoke-1")


def bind(point: str, kind: str, **address: Any) -> Binding:
    return Binding(Series("smoke-1", point), DEVICE, Address(**address), kind)


SMOKE = bind("smoke", "bool", pointer="/smoke")
BATTERY = bind("battery", "float", pointer="/battery")
PRESSED = bind("pressed", "bool", pointer="/action", equals="emergency", only_when_equal=True)
REACHABLE = bind(
    "reachable", "bool", topic="availability", pointer="/state", map={"online": True, "offline": False}, retained="take"
)


def read(payload: bytes, *bindings: Binding, retained: bool = False) -> Decoded:
    return decode("zigbee2mqtt/smoke-1", payload, retained, bindings, AT, "mqtt://h:1", 65_536)


def test_a_smoke_detector_as_zigbee2mqtt_publishes_it() -> None:
    payload = b'{"battery":96.5,"linkquality":92,"enrolled":true,"smoke":true,"battery_low":false}'
    samples, rejects = read(payload, SMOKE, BATTERY, PRESSED)
    assert samples == [Sample(SMOKE.series, AT, True), Sample(BATTERY.series, AT, 96.5)]
    assert rejects == ()


def test_a_press_gives_one_sample_and_the_next_report_without_it_none() -> None:
    assert read(b'{"action":"emergency","battery":100}', PRESSED).samples == [Sample(PRESSED.series, AT, True)]
    for other in (b'{"battery":100}', b'{"action":""}', b'{"action":null}', b'{"action":"disarm"}'):
        assert read(other, PRESSED) == Decoded([], ())


def test_equals_alone_gives_true_and_false() -> None:
    door = bind("open", "bool", pointer="/contact", equals=False)
    assert [read(p, door).samples[0].raw for p in (b'{"contact":false}', b'{"contact":true}', b'{"contact":0}')] == [
        True,
        False,
        False,
    ]


def test_a_retained_message_tells_the_past_and_is_dropped_unless_the_address_takes_it() -> None:
    assert read(b'{"smoke":true,"action":"emergency"}', SMOKE, PRESSED, retained=True) == Decoded((), ())
    assert read(b'{"state":"offline"}', REACHABLE, retained=True).samples == [Sample(REACHABLE.series, AT, False)]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "payload"),
        (b"online", "payload"),
        (b'{"smoke": NaN}', "payload"),
        (b'{"smoke": Infinity}', "payload"),
        (b'{"battery": 1e999}', "payload"),
        (b'{"smoke": true', "payload"),
        (b'{"smoke": true}}', "payload"),
        (b'{"smoke": "\\ud800"}', "payload"),
        (b"\xff\xfe\x00", "payload"),
        (b'{"smoke": true}\x00', "text"),
        (b"[" * 50_000, "payload"),
        (b'{"smoke": "' + b"x" * 70_000 + b'"}', "size"),
    ],
)
def test_garbage_is_one_reject_that_names_the_topic(payload: bytes, code: str) -> None:
    samples, rejects = read(payload, SMOKE, BATTERY)
    assert samples == ()
    (reject,) = rejects
    assert reject.code == code
    assert "zigbee2mqtt/smoke-1" in reject.source
    assert reject.payload == payload[:4096]
    assert reject.at == AT


@pytest.mark.parametrize(
    ("value", "reason"),
    [('"maybe"', "'maybe' where a bool"), ("2", "'2' where a bool"), ("[true]", "an array"), ("{}", "an object")],
)
def test_a_value_of_the_wrong_type_is_an_error_of_its_point_and_leaves_the_others_alone(
    value: str, reason: str
) -> None:
    samples, rejects = read(b'{"smoke":%s,"battery":50}' % value.encode(), SMOKE, BATTERY)
    assert samples[0].raw is None
    assert reason in (samples[0].error or "")
    assert samples[1] == Sample(BATTERY.series, AT, 50)
    assert rejects[0].code == "value"
    assert "smoke at '/smoke'" in rejects[0].reason


@pytest.mark.parametrize("value", ['"a\\u0000b"', '"' + "x" * 1025 + '"', "1" + "0" * 30, "-1e300"])
def test_nul_endless_texts_and_absurd_numbers_are_refused(value: str) -> None:
    kind = "str" if value.startswith('"') else "float"
    samples, rejects = read(b'{"x":%s}' % value.encode(), bind("x", kind, pointer="/x"))
    assert samples[0].error
    assert rejects


def test_a_value_that_is_not_in_the_map_is_refused_by_name() -> None:
    samples, rejects = read(b'{"state":"sleeping"}', REACHABLE)
    assert samples[0].error == "'sleeping' is not in the point's map"
    assert rejects[0].code == "value"


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        ("bool", b"ON", True),
        ("bool", b"0", False),
        ("int", b" 42\n", 42),
        ("float", b"-1.5e1", -15.0),
        ("str", "在线".encode(), "在线"),
    ],
)
def test_a_raw_payload_is_read_as_its_points_type(kind: str, payload: bytes, value: Scalar) -> None:
    assert read(payload, bind("x", kind, format="raw")).samples == [Sample(Series("smoke-1", "x"), AT, value)]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [("bool", b"maybe"), ("int", b"4.5x"), ("float", b"nan"), ("float", b"inf"), ("int", b"9" * 400)],
)
def test_a_raw_payload_that_is_none_is_refused(kind: str, payload: bytes) -> None:
    samples, rejects = read(payload, bind("x", kind, format="raw"))
    assert samples[0].raw is None
    assert rejects


def test_a_topic_that_no_point_is_bound_to_is_a_reject() -> None:
    assert read(b"{}").rejects[0].code == "topic"


@pytest.mark.parametrize(
    ("payload", "field", "separator", "value"),
    [
        (b"21.5,48,0\r\n", 0, ",", 21.5),
        (b"21.5,48,0", 1, ",", 48.0),
        (b'a;"4;5";7', 2, ";", 7.0),
        (b"t\t 9 \n", 1, "\t", 9.0),
    ],
)
def test_a_field_of_csv_is_read_as_its_points_type(payload: bytes, field: int, separator: str, value: float) -> None:
    point = bind("x", "float", format="csv", field=field, separator=separator)
    assert read(payload, point).samples == [Sample(Series("smoke-1", "x"), AT, value)]


def test_an_empty_field_of_csv_is_no_news_and_one_that_is_missing_is_an_error_that_counts_them() -> None:
    first, third = (bind(f"f{n}", "float", format="csv", field=n) for n in (0, 2))
    assert read(b",48,1", first).samples == []
    samples, rejects = read(b"21,48", first, third)
    assert [one.raw for one in samples] == [21.0, None]
    assert samples[1].error == "2 fields, the point is field 2"
    assert rejects[0].code == "value"


@pytest.mark.parametrize("payload", [b"1,2\n3,4", b"", b'"1,2', b'1"2,3', b"\n\n"])
def test_csv_that_is_not_one_line_of_it_is_refused(payload: bytes) -> None:
    samples, rejects = read(payload, bind("x", "float", format="csv", field=0))
    assert [one.raw for one in samples] == [None]
    assert rejects


def test_csv_takes_equals_and_a_map_by_the_text_of_the_field() -> None:
    pressed = bind("p", "bool", format="csv", field=1, equals="SOS", only_when_equal=True)
    state = bind("s", "int", format="csv", field=0, map={"OK": 0, "FIRE": 1})
    assert [one.raw for one in read(b"FIRE,SOS", pressed, state).samples] == [True, 1]
    assert [one.raw for one in read(b"OK,", pressed, state).samples] == [0]


def test_a_press_by_a_name_that_nobody_knows_is_an_error_and_quarantined_where_the_profile_lists_what_is_known() -> (
    None
):
    """A firmware that calls it otherwise must not lose it in silence."""
    known = bind("pressed", "bool", pointer="/action", equals="emergency", only_when_equal=True, ignored=["", "arm"])
    for said in (b'{"action":""}', b'{"action":"arm"}', b'{"action":null}', b'{"battery":1}'):
        assert read(said, known) == Decoded([], ())
    assert read(b'{"action":"emergency"}', known).samples[0].raw is True
    for said in (b'{"action":"sos"}', b'{"action":0}', b'{"action":true}', b'{"action":["emergency"]}'):
        samples, rejects = read(said, known)
        assert samples[0].raw is None
        assert samples[0].error is not None
        assert rejects[0].code == "value"


def test_what_the_product_says_when_it_says_nothing_is_no_news_beside_a_map() -> None:
    press = bind("press", "int", pointer="/action", map={"single": 1, "hold": 2}, ignored=[""])
    assert read(b'{"action":""}', press).samples == []
    assert read(b'{"action":"hold"}', press).samples[0].raw == 2
    assert read(b'{"action":"shake"}', press).samples[0].error is not None


def topics(*bindings: Binding, most: int = 4) -> Topics:
    return Topics(bindings, most)


def test_what_stands_for_a_plus_becomes_the_instance() -> None:
    moved = bind("moved", "bool", topic="event/+/motion/+")
    known = topics(SMOKE, moved)
    assert known.filters == ["zigbee2mqtt/smoke-1", "zigbee2mqtt/smoke-1/event/+/motion/+"]
    found, refused = known.of("zigbee2mqtt/smoke-1/event/2/motion/left")
    assert [one.series for one in found] == [Series("smoke-1", "moved", "2/left")]
    assert refused == ""
    assert known.of("zigbee2mqtt/smoke-1")[0] == [SMOKE]
    for other in ("zigbee2mqtt/smoke-1/event/2/motion", "x/zigbee2mqtt/smoke-1/event/2/motion/left", "a/b"):
        assert known.of(other) == ([], "")


def test_a_topic_that_a_plus_covers_is_not_subscribed_to_again() -> None:
    """A broker may send a message once for each subscription that matches: a press would be two."""
    gate, every = bind("gate", "bool", topic="event/gate"), bind("moved", "bool", topic="event/+")
    known = topics(gate, every, SMOKE)
    assert known.filters == ["zigbee2mqtt/smoke-1", "zigbee2mqtt/smoke-1/event/+"]
    assert [one.series.point for one in known.of("zigbee2mqtt/smoke-1/event/gate")[0]] == ["gate", "moved"]


def test_instances_are_bounded_and_only_those_that_can_travel() -> None:
    known = topics(bind("x", "int", topic="in/+"), most=2)
    for name in ("1", "2", "1"):
        assert known.of(f"zigbee2mqtt/smoke-1/in/{name}")[1] == ""
    found, refused = known.of("zigbee2mqtt/smoke-1/in/3")
    assert found == []
    assert "has 2 instances already" in refused
    for name in ("", "é", "a b", "x" * 81, "-1"):
        assert "no instance" in known.of(f"zigbee2mqtt/smoke-1/in/{name}")[1]


@given(st.text(max_size=40))
def test_no_topic_raises(topic: str) -> None:
    for binding in topics(SMOKE, bind("x", "int", topic="in/+")).of(topic)[0]:
        assert binding.series.device == "smoke-1"


def test_a_topic_may_stand_around_the_devices() -> None:
    power = bind("power", "bool", topic="stat/{device}/POWER", format="raw")
    assert power.address.full_topic(power.device) == "stat/zigbee2mqtt/smoke-1/POWER"


def test_what_the_gateway_says_of_itself_stands_at_the_first_level_or_where_the_device_says() -> None:
    address = Address(topic="{gateway}/bridge/state", pointer="/state", equals="online")
    assert address.full_topic(Device(topic="zigbee2mqtt/kitchen/gas-1")) == "zigbee2mqtt/bridge/state"
    assert address.full_topic(Device(topic="home/z2m/gas-1", gateway="home/z2m")) == "home/z2m/bridge/state"
    for wrong in ("home/#", "$SYS", "home/", ""):
        with pytest.raises(ValidationError, match="gateway"):
            Device(topic="home/z2m/gas-1", gateway=wrong)


def test_a_command_says_the_value_as_json_or_as_the_product_wants_it() -> None:
    plain = Address(command={"topic": "set"})
    assert command_of(True, plain, "") == b"true"
    assert command_of(2.5, plain, "") == b"2.5"
    assert command_of('a"b', plain, "") == b'"a\\"b"'
    worded = Address(command={"topic": "set", "payload": '{"state":"{value}"}', "values": {"true": "ON", "1": "?"}})
    assert command_of(True, worded, "") == b'{"state":"ON"}'
    for value in (False, 2, "ON"):
        with pytest.raises(BadInput, match="not among the command's values"):
            command_of(value, worded, "siren/sound")
    refused: list[Scalar] = [math.inf, "x" * 1025, "a\0"]
    for bad in refused:
        with pytest.raises(BadInput):
            command_of(bad, plain, "")
    with pytest.raises(BadInput, match="no command"):
        command_of(1, Address(), "")


RFC_6901 = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC_6901),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/foo/2", None),
        ("/foo/01", None),
        ("/foo/-", None),
        ("/foo/x", None),
        ("/none/at/all", None),
        ("/foo/0/deep", None),
    ],
)
def test_json_pointers_are_those_of_rfc_6901_section_5(pointer: str, value: object) -> None:
    assert point_at(RFC_6901, pointer) == value


@given(payload=st.binary(max_size=200))
def test_no_payload_raises(payload: bytes) -> None:
    for sample in read(
        payload, SMOKE, BATTERY, PRESSED, bind("t", "str", format="raw"), bind("n", "int", format="raw")
    ).samples:
        assert (sample.raw is None) != (sample.error is None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["smoke", "battery", "action"]), inner),
    max_leaves=8,
)


@given(document=JSON)
def test_every_sample_of_any_document_is_a_finite_scalar_or_an_error(document: object) -> None:
    payload = json.dumps(document).encode("utf-8", "replace")
    for sample in read(payload, SMOKE, BATTERY, PRESSED).samples:
        if sample.error is None:
            assert isinstance(sample.raw, bool | int | float | str)
            assert not isinstance(sample.raw, float) or math.isfinite(sample.raw)


@pytest.mark.parametrize(
    ("model", "document", "named"),
    [
        (Endpoint, {"host": "h", "pasword": "hidden-1"}, "pasword"),
        (Endpoint, {"host": "h", "version": 4}, "version"),
        (Endpoint, {"host": "h", "password": "hidden-1"}, "password"),
        (Endpoint, {"host": "h", "client_id": "a b"}, "client_id"),
        (Endpoint, {"host": "h", "username": "u", "password": ["hidden-1"]}, "password"),
        (Device, {"topic": "a/#"}, "topic"),
        (Device, {"topic": "a/"}, "topic"),
        (Device, {"topic": "$SYS/broker"}, "topic"),
        (Device, {"topic": "a", "base": "b"}, "base"),
        (Address, {"pointer": "smoke"}, "pointer"),
        (Address, {"pointer": "/a~2"}, "pointer"),
        (Address, {"format": "xml"}, "format"),
        (Address, {"format": "raw", "pointer": "/x"}, "pointer"),
        (Address, {"equals": 1, "map": {"a": 1}}, "map"),
        (Address, {"only_when_equal": True}, "only_when_equal"),
        (Address, {"equals": "x", "only_when_equal": True, "retained": "take"}, "retained"),
        (Address, {"format": "csv"}, "field"),
        (Address, {"field": 1}, "field"),
        (Address, {"format": "csv", "field": 1, "pointer": "/x"}, "pointer"),
        (Address, {"format": "csv", "field": 1, "separator": '"'}, "separator"),
        (Address, {"equals": "x", "ignored": ["y"]}, "ignored"),
        (Address, {"topic": "a/#"}, "topic"),
        (Address, {"topic": "a+/b"}, "whole level"),
        (Address, {"topic": "+/+/+"}, "at most 2"),
        (Address, {"topic": "a/+", "command": {"topic": "set"}}, "command"),
        (Address, {"command": {"topic": "set", "payload": "on"}}, "payload"),
        (Address, {"command": {"topic": "set/#"}}, "topic"),
        (Search, {"host": "h", "seconds": 5}, "filter"),
        (Search, {"host": "h", "filter": "a/#/b", "seconds": 5}, "filter"),
        (Search, {"host": "h", "filter": "a+", "seconds": 5}, "filter"),
        (Search, {"host": "h", "filter": "a/#"}, "seconds"),
        (Search, {"host": "h", "filter": "a/#", "seconds": 601}, "seconds"),
    ],
)
def test_settings_that_do_not_hold_are_refused_and_named(model: Any, document: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    assert named in str(caught.value)
    assert "hidden-1" not in str(caught.value)


def test_a_password_stands_in_no_repr() -> None:
    endpoint = Endpoint(host="h", username="u", password="hidden-1", version=5)
    assert "hidden-1" not in repr(endpoint) + str(endpoint)
    assert endpoint.version == "5"
