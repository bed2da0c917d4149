"""User properties, read and written as paho does it, quicker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt import MQTTException, _packet
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub import mqtt
from hub.user_properties import UserPropertiesOnly, written

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=40)
_PAIRS = st.lists(st.tuples(_TEXT, _TEXT), max_size=5)


def by_paho(pairs: list[tuple[str, str]]) -> Properties:
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if pairs:
        made.UserProperty = pairs
    return made


def read(kind: type[Properties], raw: bytes) -> object:
    """What is read and how much of it, or the error."""
    made = kind(PacketTypes.PUBLISH)
    try:
        _, length = made.unpack(raw)  # type: ignore[no-untyped-call]
    except (MQTTException, UnicodeDecodeError, IndexError, KeyError, ValueError) as error:
        return type(error)
    names = ("UserProperty", "ContentType", "MessageExpiryInterval", "TopicAlias", "CorrelationData")
    return length, [getattr(made, name, None) for name in names]


def test_the_hub_reads_what_it_receives_with_it() -> None:
    assert mqtt.RECEIVE_MAXIMUM > 0  # whoever imports the adapter has it
    assert vars(_packet)["Properties"] is UserPropertiesOnly  # paho's seam is still there


@given(_PAIRS)
def test_what_is_written_is_what_paho_writes(pairs: list[tuple[str, str]]) -> None:
    assert written(tuple(pairs)).pack() == by_paho(pairs).pack()  # type: ignore[no-untyped-call]


@given(_PAIRS, st.binary(max_size=8))
def test_what_is_read_is_what_paho_reads(pairs: list[tuple[str, str]], payload: bytes) -> None:
    raw = by_paho(pairs).pack() + payload  # type: ignore[no-untyped-call]
    assert read(UserPropertiesOnly, raw) == read(Properties, raw)


@given(_PAIRS, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.binary(max_size=20))
def test_garbage_is_refused_like_paho_refuses_it(
    pairs: list[tuple[str, str]], flips: list[tuple[int, int]], tail: bytes
) -> None:
    raw = bytearray(by_paho(pairs).pack() + tail)  # type: ignore[no-untyped-call]
    for at, value in flips:
        if raw:
            raw[at % len(raw)] = value
    assert read(UserPropertiesOnly, bytes(raw)) == read(Properties, bytes(raw))


def test_other_properties_beside_are_read_too() -> None:
    made = by_paho([("stream", "s"), ("seq", "7")])
    made.ContentType = "text"
    raw = made.pack()  # type: ignore[no-untyped-call]
    assert read(UserPropertiesOnly, raw) == read(Properties, raw)


def test_a_text_that_no_property_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="65,535"):
        written((("a", "x" * 65_536),))
    with pytest.raises(ValueError, match="surrogates"):
        written((("a", "\ud800"),))
