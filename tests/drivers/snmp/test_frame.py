"""What can be an SNMP message, by the outermost layer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyasn1.codec.ber import encoder
from pyasn1.type import univ

from drivers.snmp.frame import envelope_fault


@given(st.binary(max_size=3000))
def test_every_sequence_of_an_independent_encoder_passes(content: bytes) -> None:
    sequence = univ.SequenceOf(componentType=univ.OctetString())
    sequence.append(univ.OctetString(content))
    datagram = encoder.encode(sequence)
    assert envelope_fault(datagram) is None
    assert envelope_fault(datagram[:-1]) is not None
    assert envelope_fault(datagram + b"x") is not None


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "0 bytes"),
        (b"\x30", "1 bytes"),
        (b"GET / HTTP/1.1", "0x47"),
        (b"\x30\x80\0\0", "no length"),
        (b"\x30\x85\0\0\0\0\1x", "no length"),
        (b"\x30\x82\1", "no length"),
        (b"\x30\5abc", "3 bytes instead of 5"),
    ],
)
def test_rubbish_is_named(datagram: bytes, reason: str) -> None:
    assert reason in str(envelope_fault(datagram))


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(datagram: bytes) -> None:
    fault = envelope_fault(datagram)
    assert fault is None or fault
