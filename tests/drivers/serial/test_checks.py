"""Checksums against the check values that the CRC catalogue publishes (reveng.sourceforge.io), and against the standard library."""

import binascii
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial.checks import CheckName, check_of, size_of

NINE = b"123456789"


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("crc-8-smbus", 0xF4),
        ("crc-8-maxim-dow", 0xA1),
        ("crc-16-arc", 0xBB3D),
        ("crc-16-modbus", 0x4B37),
        ("crc-16-usb", 0xB4C8),
        ("crc-16-ibm-3740", 0x29B1),
        ("crc-16-xmodem", 0x31C3),
        ("crc-16-kermit", 0x2189),
        ("crc-16-ibm-sdlc", 0x906E),
        ("crc-32-iso-hdlc", 0xCBF43926),
        ("sum8", 0xDD),
        ("sum8-complement", 0x23),
        ("sum16", 0x01DD),
        ("xor8", 0x31),
    ],
)
def test_the_check_values_are_the_published_ones(name: CheckName, published: int) -> None:
    assert check_of(name, NINE) == published
    assert published < 1 << 8 * size_of(name)


@given(octets=st.binary(max_size=300))
def test_two_of_them_agree_with_the_standard_library_on_any_bytes(octets: bytes) -> None:
    assert check_of("crc-32-iso-hdlc", octets) == zlib.crc32(octets)
    assert check_of("crc-16-xmodem", octets) == binascii.crc_hqx(octets, 0)
    assert check_of("crc-16-ibm-3740", octets) == binascii.crc_hqx(octets, 0xFFFF)
