"""The files of a case: what is written is read again, and any text gives values or a BadInput that names file and line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.exchange import (
    TABLES,
    Message,
    Said,
    Variable,
    content_of,
    read_lines,
    read_registers,
    read_walk,
    write_lines,
    write_registers,
    write_walk,
)
from hub.errors import BadInput

places = st.dictionaries(
    st.tuples(st.integers(0, 255), st.sampled_from(sorted(TABLES)), st.integers(0, 0xFFFF)),
    st.integers(0, 1),
    max_size=50,
)
arcs = st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=12).map(lambda arcs: ".".join(map(str, arcs)))
variables = st.one_of(
    st.tuples(st.sampled_from(["integer"]), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from(["gauge", "counter", "timeticks"]), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("counter64"), st.integers(0, 2**64 - 1)),
    st.tuples(st.just("string"), st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=' "\\'))),
    st.tuples(st.just("octets"), st.binary(min_size=1, max_size=40).map(bytes.hex)),
    st.tuples(st.just("oid"), arcs),
    st.tuples(st.just("ip"), st.ip_addresses(v=4).map(str)),
)


@given(places)
def test_registers_that_are_written_are_read_again(known: dict[tuple[int, str, int], int]) -> None:
    assert read_registers(write_registers(known)) == known


def test_neighbours_are_written_as_one_run() -> None:
    known = {(1, "holding", 100): 7, (1, "holding", 101): 65535, (1, "holding", 103): 9, (2, "coil", 0): 1}
    assert write_registers(known).split() == ("units: 1: holding: 100: [7, 65535] 103: [9] 2: coil: 0: [1]".split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("units: {300: {}}", "units.300"),
        ("units: {1: {holdings: {}}}", "holdings"),
        ("units: {1: {holding: {0: [65536]}}}", "units.1.holding.0.0"),
        ("units: {1: {coil: {0: [2]}}}", "out of bounds"),
        ("units: {1: {holding: {65535: [1, 2]}}}", "out of bounds"),
        ("units: {1: {holding: {0: [1, 2], 1: [3]}}}", "address 1 stands here twice"),
        ("units: [", "registers.yaml"),
        ("- 1", "registers.yaml"),
    ],
)
def test_bad_registers_are_refused_with_their_place(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"registers\.yaml") as refused:
        read_registers(text)
    assert said in str(refused.value)


@given(st.dictionaries(arcs, variables, max_size=10))
def test_a_walk_that_is_written_is_read_again(known: dict[str, tuple[str, int | str]]) -> None:
    there = [Variable(oid, kind, value) for oid, (kind, value) in known.items()]
    assert sorted(read_walk(write_walk(there))) == sorted(there)


def test_a_walk_is_read_as_net_snmp_prints_it() -> None:
    text = """\
# snmpwalk -On -v2c
.1.3.6.1.2.1.1.1.0 = STRING: a camera
of two lines
.1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.368
.1.3.6.1.2.1.1.3.0 = Timeticks: (12345) 0:02:03.45
.1.3.6.1.2.1.2.2.1.6.1 = Hex-STRING: 02 00 5E
00 53 01
.1.3.6.1.2.1.2.2.1.8.1 = INTEGER: up(1)
.1.3.6.1.2.1.4.20.1.1.192.0.2.1 = IpAddress: 192.0.2.1
.1.3.6.1.2.1.1.6.0 = ""
.1.3.6.1.2.1.2.2.1.10.1 = Counter32: 7
"""
    assert [(kind, value) for _, kind, value in read_walk(text)] == [
        ("string", "a camera\nof two lines"),
        ("oid", "1.3.6.1.4.1.368"),
        ("timeticks", 12345),
        ("octets", "02005e005301"),
        ("integer", 1),
        ("ip", "192.0.2.1"),
        ("string", ""),
        ("counter", 7),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sysUpTime = 1", "line 1"),
        (".1.3.6 = INTEGER: up\n", "begins with no number"),
        (".1.3.6 = Hex-STRING: 0\n", "hexadecimal"),
        (".1.3.6 = Float: 1\n", "'Float' is not known"),
        (".1.3.6 = INTEGER: 1\n.1.3.6 = INTEGER: 2\n", "line 2: 1.3.6 stands here twice"),
    ],
)
def test_a_bad_walk_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"agent\.snmpwalk line") as refused:
        read_walk(text)
    assert said in str(refused.value)


def test_messages_and_octets_that_are_written_are_read_again() -> None:
    messages = [
        Message(topic="a/b", json={"on": None}, retained=True),
        Message(topic="a", text="", after=1.5),
        Message(topic="a", hex="00ff"),
        Message(topic="a", json=None),
    ]
    assert read_lines(Message, write_lines(messages), "m") == messages
    assert [message.payload for message in messages] == [b'{"on": null}', b"", b"\x00\xff", b"null"]
    said = [Said(who="hub", text="?\r\n", exact=True), Said(who="device", hex="ff 00")]
    assert read_lines(Said, write_lines(said), "m") == said
    assert [one.octets for one in said] == [b"?\r\n", b"\xff\x00"]


@pytest.mark.parametrize(
    ("model", "line", "said"),
    [
        (Message, '{"topic": "a"}', "exactly one"),
        (Message, '{"topic": "a", "text": "x", "hex": "00"}', "exactly one"),
        (Message, '{"topic": "a", "hex": "0"}', "hex"),
        (Message, '{"topic": "a", "text": "x", "qos": 1}', "qos"),
        (Message, '{"topic": "a", "text": "\\ud800"}', "surrogates"),
        (Message, '{"topic": "a", "json": ["\\ud800"]}', "surrogates"),
        (Said, '{"who": "hub", "text": "\\ud800"}', "surrogates"),
        (Message, "{", "not JSON"),
        (Message, "[" * 100_000, "not JSON"),
        (Said, '{"who": "me", "text": "x"}', "who"),
        (Said, '{"who": "hub", "text": ""}', "at least one octet"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(model: type[Message | Said], line: str, said: str) -> None:
    with pytest.raises(BadInput, match="x line 3") as refused:
        read_lines(model, f"# a comment\n\n{line}", "x")
    assert said in str(refused.value)


@given(st.text())
def test_any_text_gives_values_or_is_refused(text: str) -> None:
    for read in (read_registers, read_walk, lambda text: read_lines(Said, text, "x")):
        try:
            read(text)
        except BadInput:
            continue


@given(st.from_regex(r"\A\.1\.3\.6 = [A-Za-z0-9-]{0,12}: ?[ -~]{0,40}\n?\Z"))
def test_any_line_of_a_walk_gives_a_variable_or_is_refused(text: str) -> None:
    try:
        read_walk(text)
    except BadInput:
        pass


@given(
    st.dictionaries(
        st.sampled_from(["topic", "text", "hex", "json", "retained", "after"]), st.integers() | st.text() | st.none()
    )
)
def test_any_object_is_a_message_or_is_refused(document: dict[str, object]) -> None:
    try:
        for message in read_lines(Message, json.dumps(document), "x"):
            assert isinstance(message.payload, bytes)
    except BadInput:
        pass


def test_a_file_that_is_missing_or_no_text_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"a file registers\.yaml"):
        content_of({}, "registers.yaml")
    with pytest.raises(BadInput, match="not UTF-8"):
        content_of({"registers.yaml": b"\xff"}, "registers.yaml")
