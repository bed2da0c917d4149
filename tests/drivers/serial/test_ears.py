"""Lines with a checksum and a confirmation, from a profile's settings to the octets that answer."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.serial.ears import LineEar
from drivers.serial.lines import Lines, compile_pattern
from drivers.serial.settings import Address, Device, Endpoint, LineShape, line_shape
from hub.driver import Binding
from hub.model import Series

AT = 1_795_296_000_000_000
BINDING = Binding(Series("d", "code"), Device(), Address(pattern=r"^(?P<value>\d{3})"), "int")


def ear(**shape: Any) -> LineEar:
    made = LineShape.model_validate({"terminator": "\r\n", **shape})
    lines = Lines([BINDING], [compile_pattern(BINDING.address.pattern)], (), made.encoding, "port")
    return LineEar(lines, made)


def heard(listening: LineEar, octets: bytes) -> tuple[list[object], list[str], bytes]:
    (one,) = listening.feed(octets, AT)
    return [s.raw for s in one.samples], [r.code for r in one.rejects], one.answer() if one.answer else b""


def test_a_published_line_with_its_checksum_is_read_without_it() -> None:
    """6543D2 is the example of the IT-100 Developer's Guide."""
    assert heard(ear(check={"kind": "sum8"}), b"6543D2\r\n") == ([654], [], b"")


@pytest.mark.parametrize("line", [b"6543D3", b"6542D2", b"D2", b"2", b"6543+2", b"6543 2", b"6543_2", b"x"])
def test_a_line_whose_checksum_is_wrong_or_none_is_refused_and_nothing_is_read(line: bytes) -> None:
    samples, codes, answer = heard(ear(check={"kind": "sum8"}, acknowledge="A", refuse="N"), line + b"\r\n")
    assert (samples, codes, answer) == ([], ["checksum"], b"N")


def test_every_line_is_answered_once_a_known_one_and_one_that_no_point_knows() -> None:
    assert heard(ear(acknowledge="\x06"), b"100\r\nwhat?\r\n200\r\n") == ([100, 200], ["line"], b"\x06\x06\x06")


def test_without_settings_nothing_is_answered() -> None:
    assert heard(ear(), b"100\r\n") == ([100], [], b"")
    assert list(ear().feed(b"10", AT)) == []


def test_a_datagrams_end_is_its_last_lines_end() -> None:
    listening = ear()
    assert list(listening.feed(b"100", AT)) == []
    ((samples, _, _, _, _),) = listening.end(AT)
    assert [one.raw for one in samples] == [100]


@given(pieces=st.lists(st.binary(max_size=40)))
def test_no_bytes_crash_it(pieces: list[bytes]) -> None:
    listening = ear(check={"kind": "crc-16-modbus", "since": 3}, acknowledge="A", refuse="N")
    for piece in pieces:
        list(listening.feed(piece, AT))
    list(listening.end(AT))


def agreed(endpoint: dict[str, Any], *devices: dict[str, Any]) -> LineShape:
    lines: Sequence[Device] = [Device.model_validate({"line": one} if one else {}) for one in devices]
    return line_shape(Endpoint.model_validate({"port": "/dev/x", "protocol": "lines", **endpoint}), lines)


def test_what_a_profile_says_of_its_lines_holds_unless_the_endpoint_says_otherwise() -> None:
    shape = agreed({"encoding": "latin-1"}, {"terminator": "\x14", "encoding": "ascii", "ignore": ["^a"]}, {})
    assert (shape.terminator, shape.encoding, shape.ignore, shape.max_line) == ("\x14", "latin-1", ("^a",), 256)
    both = agreed({"ignore": ["^x"]}, {"ignore": ["^a"]}, {"ignore": ["^a", "^b"]})
    assert set(both.ignore) == {"^x", "^a", "^b"}


def test_devices_that_disagree_about_their_lines_are_refused_by_key_unless_the_endpoint_decides() -> None:
    with pytest.raises(ValueError, match="terminator: the devices of this endpoint disagree"):
        agreed({}, {"terminator": "\r"}, {"terminator": "\n"})
    assert agreed({"terminator": ";"}, {"terminator": "\r"}, {"terminator": "\n"}).terminator == ";"


@pytest.mark.parametrize(
    "document",
    [{"acknowledge": ""}, {"check": {"kind": "crc"}}, {"encoding": "ascii", "query": "温度"}, {"parity": "N"}],
)
def test_lines_that_do_not_hold_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Device.model_validate({"line": document})
