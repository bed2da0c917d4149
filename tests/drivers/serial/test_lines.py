"""The line protocol: pure."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial.lines import Lines, LineSplitter, Long, compile_pattern
from drivers.serial.settings import Address, Device
from hub.driver import Binding
from hub.model import Sample, Series

AT = 1_795_296_000_000_000


def bind(point: str, kind: str, pattern: str, device: str | None = None, **more: Any) -> Binding:
    return Binding(Series("d", point), Device(address=device), Address(pattern=pattern, **more), kind)


def lines(*bindings: Binding, ignore: tuple[str, ...] = (), encoding: str = "utf-8") -> Lines:
    patterns = [compile_pattern(binding.address.pattern) for binding in bindings]
    return Lines(bindings, patterns, [compile_pattern(text) for text in ignore], encoding, "/line")


def split(octets: bytes, cuts: list[int], terminator: bytes = b"\r\n", max_line: int = 20) -> list[bytes | Long]:
    splitter = LineSplitter(terminator, max_line)
    edges = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [found for a, b in pairwise(edges) for found in splitter.feed(octets[a:b])]


def test_a_line_gives_every_point_that_it_holds() -> None:
    known = lines(
        bind("temperature", "float", r"T=(?P<value>-?[\d.]+)"),
        bind("door", "bool", r"D=(?P<value>\w+)", map={"open": True, "shut": False}),
        bind("count", "int", r"N=(?P<value>\d+)"),
    )
    assert known.read(b"T=-3.5 D=open", AT) == (
        [Sample(Series("d", "temperature"), AT, -3.5), Sample(Series("d", "door"), AT, True)],
        [],
    )


def test_the_group_instance_fills_the_series_and_the_group_device_tells_devices_apart() -> None:
    pattern = r"^(?P<device>\d+):(?P<instance>\w+)=(?P<value>\d)$"
    known = lines(bind("a", "bool", pattern, "1"), bind("b", "bool", pattern, "2"))
    assert known.read(b"2:left=1", AT)[0] == [Sample(Series("d", "b", "left"), AT, True)]
    assert known.read(b"3:left=1", AT)[1][0].code == "line"


def test_a_value_of_the_wrong_type_is_an_error_of_its_point_and_a_reject() -> None:
    known = lines(bind("t", "float", r"T=(?P<value>\S+)"), bind("d", "str", r"D=(?P<value>\w+)"))
    samples, rejects = known.read(b"T=nan D=x", AT)
    assert samples == [Sample(Series("d", "t"), AT, None, "'nan' is not finite"), Sample(Series("d", "d"), AT, "x")]
    assert (rejects[0].code, rejects[0].payload) == ("value", b"T=nan D=x")
    assert known.read(b"T=warm", AT)[0][0].error == "'warm' where a float should be"


@pytest.mark.parametrize(("octets", "code"), [(b"\xff\xfe", "text"), (b"T=1\x002", "text"), (b"hello", "line")])
def test_what_is_no_line_of_this_device_is_rejected_with_its_source(octets: bytes, code: str) -> None:
    samples, (reject,) = lines(bind("t", "float", r"^T=(?P<value>\d+)$")).read(octets, AT)
    assert samples == []
    assert (reject.code, reject.source, reject.payload) == (code, "/line", octets)


def test_a_line_that_is_to_be_ignored_is_no_garbage() -> None:
    known = lines(bind("t", "float", r"T=(?P<value>\d+)"), ignore=(r"^# ",))
    assert known.read(b"# ready", AT) == ([], [])


def test_chinese_lines_in_gb18030() -> None:
    known = lines(bind("door", "bool", "门(?P<value>.)$", map={"开": True, "关": False}), encoding="gb18030")
    assert known.read("三号门开".encode("gb18030"), AT)[0][0].raw is True


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<value>",
        "(?P<value>a)(",
        "*",
        "(?P<value>(a+)+)$",
        "(?P<value>(?:a*b?)*)",
        "((a|aa)+)(?P<value>x)",
        "(?P<value>(x{2,})*)",
        "(?P<value>.*.*.*.*.*)x",
        "(?P<value>[)]+(a+){2,})",
    ],
)
def test_a_pattern_that_does_not_compile_or_may_run_for_ever_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern)
    assert repr(pattern) in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"T=(?P<value>-?\d+(?:\.\d+)?)",
        r"^\((?P<value>[+*(]+)\)$",
        r"(?P<value>a|b) \{x\}",
        r"(?P<value>\w{1,8})",
        r"[]*+](?P<value>.)+",
    ],
)
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    if pattern.startswith("[]"):
        compile_pattern(pattern)
    assert "value" in compile_pattern(pattern).groupindex


def test_an_endless_line_is_reported_once_and_the_next_line_is_whole() -> None:
    found = split(b"x" * 500 + b"\r\nT=1\r\n", [30, 60, 90])
    assert found == [Long(b"x" * 20), b"T=1"]


@given(octets=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300)))
def test_lines_do_not_depend_on_how_the_stream_is_cut(octets: bytes, cuts: list[int]) -> None:
    pieces = [line for line in octets.split(b"\n")[:-1] if line]
    found = [line for line in split(octets, cuts, b"\n", 400) if isinstance(line, bytes)]
    assert found == pieces


@given(noise=st.binary(max_size=200), cuts=st.lists(st.integers(0, 300)))
def test_the_next_good_line_is_found_whatever_came_before_and_wherever_it_is_cut(noise: bytes, cuts: list[int]) -> None:
    assert split(noise + b"\r\nT=21.5\r\n", cuts)[-1] == b"T=21.5"


@given(pieces=st.lists(st.binary(max_size=100)))
def test_the_splitter_never_holds_more_than_a_line(pieces: list[bytes]) -> None:
    splitter = LineSplitter(b"\r\n", 20)
    for piece in pieces:
        splitter.feed(piece)
        assert len(splitter._buffer) <= 22


@given(line=st.binary(max_size=60))
def test_no_line_raises(line: bytes) -> None:
    known = lines(
        bind("t", "float", r"T=(?P<value>\S+)"), bind("n", "int", r"(?P<value>\d+)"), bind("s", "str", "(?P<value>.)")
    )
    samples, rejects = known.read(line, AT)
    assert samples or rejects
