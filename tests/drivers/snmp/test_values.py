"""What agents answer, and what is made of it."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.snmp.settings import SnmpAddress, SnmpDevice
from drivers.snmp.values import Raw, batches, decode, halves, oid_of

OIDS = st.lists(st.integers(1, 60).map(lambda number: f"1.3.6.1.{number}"), max_size=80)
TYPES = [None, "integer", "gauge", "counter", "timeticks", "truth", "string", "quantity", "hex", "oid", "ip"]
ANSWERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(), st.text(max_size=2000))


def _address(**settings: Any) -> SnmpAddress:
    return SnmpAddress(oid="1.3.6.1.4.1.9", **settings)


@given(OIDS, st.integers(1, 60))
def test_batches_hold_every_oid_once_and_never_too_many(oids: list[str], most: int) -> None:
    made = batches(oids, most)
    flat = [oid for batch in made for oid in batch]
    assert sorted(flat) == sorted(set(oids))
    assert all(1 <= len(batch) <= most for batch in made)


@given(st.lists(st.integers().map(str), min_size=2, max_size=60))
def test_halves_are_shorter_and_lose_nothing(batch: list[str]) -> None:
    first, second = halves(batch)
    assert [*first, *second] == batch
    assert 1 <= min(len(first), len(second))


@given(
    ANSWERS,
    st.sampled_from(TYPES),
    st.sampled_from(["utf-8", "gb18030", "latin-1"]),
    st.sampled_from(["bool", "int", "float", "str"]),
)
def test_any_answer_gives_a_value_that_can_travel_or_a_reason(raw: Raw, kind_of: Any, encoding: Any, kind: str) -> None:
    value = decode(raw, _address(type=kind_of, encoding=encoding), kind)
    assert (value.raw is None) == (value.error is not None)
    assert not isinstance(value.raw, float) or math.isfinite(value.raw)
    assert not isinstance(value.raw, str) or ("\0" not in value.raw and len(value.raw) <= 1024)


@pytest.mark.parametrize(
    ("raw", "settings", "kind", "value"),
    [
        (0, {}, "int", 0),
        (0, {}, "bool", False),
        (1, {"type": "truth"}, "bool", True),
        (2, {"type": "truth"}, "int", 0),
        (b"a\xc3\xa9\0", {}, "str", "aé"),
        ("安".encode("gb18030"), {"encoding": "gb18030"}, "str", "安"),
        (b" 21.5 ", {"type": "string"}, "float", 21.5),
        (b"-3", {}, "int", -3),
        (b"28 C/82 F", {"type": "quantity"}, "float", 28),
        (b"15 PERCENT", {"type": "quantity"}, "int", 15),
        (b"-2.5C", {"type": "quantity"}, "float", -2.5),
        (b"\x00\x1b", {"type": "hex"}, "str", "00:1b"),
        (7, {}, "str", "7"),
    ],
)
def test_values(raw: Raw, settings: dict[str, Any], kind: str, value: object) -> None:
    assert decode(raw, _address(**settings), kind) == (value, None)


@pytest.mark.parametrize(
    ("raw", "settings", "kind", "reason"),
    [
        (b"12", {"type": "gauge"}, "int", "the agent gives an octet string, the profile says gauge"),
        (3, {"type": "truth"}, "bool", "the agent gives a number, the profile says truth"),
        (b"--", {"type": "quantity"}, "float", "'--' does not begin with a number"),
        (b"10.0.0.1", {"type": "quantity"}, "float", "does not begin with a number"),
        (3, {"type": "quantity"}, "float", "the agent gives a number, the profile says quantity"),
        (3, {"type": "string"}, "str", "the agent gives a number, the profile says string"),
        (3, {}, "bool", "3 is neither 0 nor 1"),
        (b"\xff\xfe", {}, "str", "byte 0 of the string is not utf-8"),
        (b"a\0b", {}, "str", "a NUL in the text"),
        (b"n/a", {}, "float", "'n/a' is no number"),
        (b"nan", {}, "float", "nan is not finite"),
        (b"x" * 1025, {}, "str", "1025 characters"),
    ],
)
def test_what_cannot_be_taken_says_why_and_names_the_oid(
    raw: Raw, settings: dict[str, Any], kind: str, reason: str
) -> None:
    value = decode(raw, _address(**settings), kind)
    assert value.raw is None
    assert str(value.error).startswith("1.3.6.1.4.1.9: ")
    assert reason in str(value.error)


def test_the_devices_index_is_appended_to_indexed_oids_only() -> None:
    assert oid_of(_address(indexed=True), SnmpDevice(index="2.1")) == "1.3.6.1.4.1.9.2.1"
    assert oid_of(_address(), SnmpDevice(index="2.1")) == "1.3.6.1.4.1.9"
    assert oid_of(_address(indexed=True), SnmpDevice()) is None
