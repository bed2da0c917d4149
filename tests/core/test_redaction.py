"""What is redacted in a recording: consistently, in every place, and no secret is left in any form."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.redaction import Redactor


def test_addresses_serial_numbers_and_people_become_the_same_word_everywhere() -> None:
    redact = Redactor({})
    first = redact('{"ip": "10.1.2.3", "mac": "AC:CC:8E:01:02:03", "serial_number": "Q1JX-77", "n": 7}')
    assert first == '{"ip": "192.0.2.1", "mac": "00:00:5E:00:53:01", "serial_number": "redacted-1", "n": 7}'
    assert redact("10.1.2.3 10.1.2.4 ac-cc-8e-01-02-04") == "192.0.2.1 192.0.2.2 00-00-5e-00-53-02"
    assert redact("rtsp://admin:geheim@10.1.2.3/1") == "rtsp://redacted:redacted@192.0.2.1/1"
    assert redact("zigbee2mqtt/0x00158d0001020304") == "zigbee2mqtt/0x00005e0053000001"
    assert redact("fe80::1:2:3 mail to anna@kita.example.org") == "2001:db8::1 mail to redacted-1@example.invalid"
    assert redact.replaced == {"named": 1, "ipv4": 2, "mac": 2, "url": 1, "ieee": 1, "ipv6": 1, "mail": 1}


def test_a_text_that_is_redacted_is_left_alone_when_it_is_redacted_again() -> None:
    redact = Redactor({"kita-7": "redacted-1"})
    once = redact('kita-7 10.0.0.9 AC:CC:8E:01:02:03 {"sn": "X9"} a@b.example 0x00158d0001020304')
    assert redact(once) == once


@pytest.mark.parametrize(
    "text", ["12:34:56", "1.2.3", "D01 OPEN", '{"smoke": false, "battery": 97}', "21.5", "2026-11-22"]
)
def test_readings_and_times_are_no_addresses(text: str) -> None:
    assert Redactor({})(text) == text


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=30)


@given(secrets, st.text(), st.text())
def test_a_secret_never_stands_in_what_was_redacted(secret: str, before: str, after: str) -> None:
    redact = Redactor({secret: "*"}, [secret])
    if secret not in before + after:
        assert secret not in redact(f"{before}{secret}{after}")


@given(secrets, st.binary(max_size=20), st.binary(max_size=20))
def test_a_secret_is_found_in_every_form_in_which_it_may_be_left(secret: str, before: bytes, after: bytes) -> None:
    redact = Redactor({}, [secret])
    raw = secret.encode()
    for octets in (
        before + raw + after,
        before.hex().encode() + raw.hex(" ").encode(),
        base64.b64encode(raw),
        before + secret.encode("utf-16-le"),
    ):
        assert redact.leaks({"good": b"", "bad": octets}) == ["bad"]
    if len(raw) >= 9:
        assert redact.leaks({"bad": base64.b64encode(before + raw + after)}) == ["bad"]
