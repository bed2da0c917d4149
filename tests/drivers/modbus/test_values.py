"""Registers to values and back."""

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.settings import ModbusAddress, ModbusDevice
from drivers.modbus.values import decode, encode
from hub.errors import BadInput
from hub.model import Scalar

RANGES = {
    "u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1), "u64": (0, 2**64 - 1), "i64": (-(2**63), 2**63 - 1),
}  # fmt: skip
ORDERS = st.sampled_from(["big", "little"])
DEVICES = st.builds(ModbusDevice, word_order=ORDERS, byte_order=ORDERS)


def _register(**settings: Any) -> ModbusAddress:
    return ModbusAddress(table="holding", address=100, **settings)


@st.composite
def _whole(draw: st.DrawFn) -> tuple[ModbusAddress, int]:
    kind = draw(st.sampled_from(sorted(RANGES)))
    return _register(type=kind), draw(st.integers(*RANGES[kind]))


@given(_whole(), DEVICES)
def test_an_integer_that_is_written_is_read_again(case: tuple[ModbusAddress, int], device: ModbusDevice) -> None:
    address, value = case
    assert decode(encode(value, address, device), address, device, "int") == (value, None)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), DEVICES)
def test_a_float_of_two_registers_is_read_again(value: float, device: ModbusDevice) -> None:
    address = _register(type="f32")
    assert decode(encode(value, address, device), address, device, "float") == (value, None)


@given(st.floats(allow_nan=False, allow_infinity=False), DEVICES)
def test_a_float_of_four_registers_is_read_again(value: float, device: ModbusDevice) -> None:
    address = _register(type="f64")
    assert decode(encode(value, address, device), address, device, "float") == (value, None)


@given(st.text(st.characters(codec="gb18030", exclude_characters="\0"), max_size=10), DEVICES)
def test_a_text_is_read_again_without_the_blanks_at_its_end(value: str, device: ModbusDevice) -> None:
    address = _register(type="string", length=20, encoding="gb18030")
    assert decode(encode(value, address, device), address, device, "str") == (value.rstrip(" "), None)


ANY_ADDRESS = st.one_of(
    st.builds(_register, type=st.sampled_from([*sorted(RANGES), "f32", "f64"]), word_order=ORDERS, byte_order=ORDERS),
    st.builds(_register, bit=st.integers(0, 15)),
    st.builds(_register, bit=st.integers(0, 8), bits=st.integers(2, 8)),
    st.builds(
        _register,
        type=st.just("string"),
        length=st.integers(1, 8),
        encoding=st.sampled_from(["ascii", "utf-8", "gb18030"]),
    ),
    st.builds(ModbusAddress, table=st.sampled_from(["coil", "discrete"]), address=st.just(3)),
)


@given(
    ANY_ADDRESS, DEVICES, st.lists(st.integers(0, 0xFFFF), max_size=9), st.sampled_from(["bool", "int", "float", "str"])
)
def test_any_registers_give_a_value_that_can_travel_or_a_reason(
    address: ModbusAddress, device: ModbusDevice, words: list[int], kind: str
) -> None:
    exact = (words + [0] * address.width)[: address.width]
    for given_words in (words, exact):
        value = decode(given_words, address, device, kind)
        assert (value.raw is None) == (value.error is not None)
        assert not isinstance(value.raw, float) or math.isfinite(value.raw)
        assert not isinstance(value.raw, str) or "\0" not in value.raw


@pytest.mark.parametrize(
    ("word_order", "byte_order", "words"),
    [
        ("big", "big", [0x41AC, 0x0000]),
        ("little", "big", [0x0000, 0x41AC]),
        ("big", "little", [0xAC41, 0x0000]),
        ("little", "little", [0x0000, 0xAC41]),
    ],
)
def test_the_four_orders_of_a_float_in_the_field(word_order: Any, byte_order: Any, words: list[int]) -> None:
    address = _register(type="f32", word_order=word_order, byte_order=byte_order)
    assert decode(words, address, ModbusDevice(), "float") == (21.5, None)


def test_a_points_own_order_wins_over_the_devices() -> None:
    address = _register(type="u32", word_order="big")
    assert decode([0, 7], address, ModbusDevice(word_order="little"), "int").raw == 7


@pytest.mark.parametrize("bit", range(16))
def test_a_bit_is_counted_from_the_lowest(bit: int) -> None:
    assert decode([1 << bit], _register(bit=bit), ModbusDevice(), "bool").raw is True
    assert decode([0xFFFF ^ 1 << bit], _register(bit=bit), ModbusDevice(), "bool").raw is False


def test_bits_are_those_of_the_value_as_read() -> None:
    swapped = ModbusDevice(byte_order="little")
    assert decode([0x0100], _register(bit=0), swapped, "bool") == (True, None)
    assert decode([0x3400], _register(bit=4, bits=2), swapped, "int") == (3, None)


@given(st.integers(0, 0xFFFF), st.data())
def test_a_bit_field_is_a_number_of_its_own(word: int, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 14))
    bits = data.draw(st.integers(2, 16 - bit))
    digits = f"{word:016b}"[16 - bit - bits : 16 - bit]
    assert decode([word], _register(bit=bit, bits=bits), ModbusDevice(), "int") == (int(digits, 2), None)


def test_not_a_number_is_an_error_that_names_the_register() -> None:
    (high, low) = struct.unpack(">HH", struct.pack(">f", math.nan))
    value = decode([high, low], _register(type="f32"), ModbusDevice(), "float")
    assert value == (None, "holding 100: nan is not finite")


def test_zero_is_a_value() -> None:
    assert decode([0], _register(), ModbusDevice(), "int") == (0, None)
    assert decode([0], _register(), ModbusDevice(), "bool") == (False, None)


def test_a_bool_is_read_from_a_register_of_0_or_1_only() -> None:
    assert decode([2], _register(), ModbusDevice(), "bool").error == "holding 100: 2 is neither 0 nor 1"


def test_a_coil_counts_as_1_where_the_profile_wants_a_number() -> None:
    assert decode([1], ModbusAddress(table="coil", address=0), ModbusDevice(), "int") == (1, None)


@pytest.mark.parametrize(
    ("address", "value"),
    [
        (_register(), 65_536),
        (_register(), -1),
        (_register(), 1.5),
        (_register(), math.nan),
        (_register(), "7"),
        (_register(), 10**400),
        (_register(type="f32"), 1e39),
        (_register(type="f32"), math.inf),
        (_register(bit=3), True),
        (_register(bit=3, bits=2), 1),
        (_register(type="string", length=1), "abc"),
        (_register(type="string", length=2), "日"),
        (_register(type="string", length=2), "a\0"),
        (_register(type="string", length=2), 5),
        (ModbusAddress(table="coil", address=100), 2),
        (ModbusAddress(table="coil", address=100), "on"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_naming_the_register(address: ModbusAddress, value: Scalar) -> None:
    with pytest.raises(BadInput, match=r"(holding|coil) 100"):
        encode(value, address, ModbusDevice())
