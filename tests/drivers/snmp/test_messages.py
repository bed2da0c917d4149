"""Our messages against pysnmp's, which shares no code with them, and against any bytes at all."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import api, rfc1902

from drivers.snmp import ber
from drivers.snmp.message import (
    INFORM,
    RESPONSE,
    SET,
    TRAP,
    V2C,
    Notification,
    community_message,
    encoded_community,
    encoded_pdu,
    encoded_scoped,
    encoded_secured,
    encoded_varbind,
    notification,
    notification_v1,
    parse_pdu,
    scoped_pdu,
    secured_message,
    version_of,
)
from drivers.snmp.usm import DIGESTS, Keys, Secrets, authenticity_fault

V1_API, V2_API = (api.PROTOCOL_MODULES[one] for one in (api.SNMP_VERSION_1, api.SNMP_VERSION_2C))
ARCS = st.lists(st.integers(0, 2**32 - 1), max_size=20)
OIDS = st.builds(
    lambda first, second, arcs: ".".join(map(str, (first, second, *arcs))), st.integers(0, 2), st.integers(0, 39), ARCS
)
VALUES = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(rfc1902.Integer32),
    st.integers(0, 2**32 - 1).map(rfc1902.Counter32),
    st.integers(0, 2**32 - 1).map(rfc1902.Gauge32),
    st.integers(0, 2**32 - 1).map(rfc1902.TimeTicks),
    st.integers(0, 2**64 - 1).map(rfc1902.Counter64),
    st.binary(max_size=300).map(rfc1902.OctetString),
    OIDS.map(rfc1902.ObjectIdentifier),
    st.binary(min_size=4, max_size=4).map(rfc1902.IpAddress),
)


def plain(value: Any) -> ber.Raw:
    """pysnmp's value as ours."""
    name = type(value).__name__
    if name == "IpAddress":
        return ".".join(str(octet) for octet in value.asOctets())
    if name == "ObjectIdentifier":
        return str(value)
    return bytes(value) if name == "OctetString" else int(value)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(OIDS, VALUES), max_size=12), st.integers(0, 2**31 - 1), st.booleans())
def test_what_pysnmp_sends_is_read_as_it_was_meant(bindings: list[Any], number: int, inform: bool) -> None:
    pdu = V2_API.InformRequestPDU() if inform else V2_API.SNMPv2TrapPDU()
    V2_API.apiPDU.set_defaults(pdu)
    V2_API.apiPDU.set_request_id(pdu, number)
    V2_API.apiPDU.set_varbinds(pdu, bindings)
    message = V2_API.Message()
    V2_API.apiMessage.set_defaults(message)
    V2_API.apiMessage.set_community(message, "c0mmunity")
    V2_API.apiMessage.set_pdu(message, pdu)
    sent = encoder.encode(message)
    version, community, body = community_message(sent)
    found = parse_pdu(sent, body)
    assert (version_of(sent), version, community) == (V2C, V2C, b"c0mmunity")
    assert (found.tag, found.request_id) == (INFORM if inform else TRAP, number)
    assert list(found.varbinds) == [(str(oid), plain(value)) for oid, value in bindings]
    answer, rest = decoder.decode(
        encoded_community(V2C, community, encoded_pdu(RESPONSE, number, found.body)), asn1Spec=V2_API.Message()
    )
    assert rest == b""
    response = V2_API.apiMessage.get_pdu(answer)
    assert int(V2_API.apiPDU.get_request_id(response)) == number
    assert [(str(oid), plain(value)) for oid, value in V2_API.apiPDU.get_varbinds(response)] == list(found.varbinds)


@settings(max_examples=40, deadline=None)
@given(OIDS, st.integers(0, 6), st.integers(0, 2**31 - 1), st.lists(st.tuples(OIDS, VALUES), max_size=4))
def test_a_version_1_trap_says_what_rfc_3584_makes_of_it(
    enterprise: str, generic: int, specific: int, bindings: list[Any]
) -> None:
    bindings = [(oid, value) for oid, value in bindings if not isinstance(value, rfc1902.Counter64)]
    pdu = V1_API.TrapPDU()
    V1_API.apiTrapPDU.set_defaults(pdu)
    V1_API.apiTrapPDU.set_enterprise(pdu, enterprise)
    V1_API.apiTrapPDU.set_generic_trap(pdu, generic)
    V1_API.apiTrapPDU.set_specific_trap(pdu, specific)
    V1_API.apiTrapPDU.set_varbinds(pdu, [(oid, V1_API_VALUE(value)) for oid, value in bindings])
    message = V1_API.Message()
    V1_API.apiMessage.set_defaults(message)
    V1_API.apiMessage.set_pdu(message, pdu)
    sent = encoder.encode(message)
    said = notification_v1(sent, community_message(sent).pdu)
    trap = f"{enterprise}.0.{specific}" if generic == 6 else f"1.3.6.1.6.3.1.1.5.{generic + 1}"
    assert said == Notification(trap, [(str(oid), plain(value)) for oid, value in bindings])


def V1_API_VALUE(value: Any) -> Any:
    """The same value in version 1's types."""
    names = {
        rfc1902.Integer32: "Integer",
        rfc1902.Counter32: "Counter",
        rfc1902.Gauge32: "Gauge",
        rfc1902.TimeTicks: "TimeTicks",
        rfc1902.OctetString: "OctetString",
        rfc1902.ObjectIdentifier: "ObjectIdentifier",
        rfc1902.IpAddress: "IpAddress",
    }
    made = getattr(V1_API, names[type(value)])
    return made(value.asOctets()) if isinstance(value, rfc1902.IpAddress | rfc1902.OctetString) else made(value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_a_value_error(message: bytes) -> None:
    for read in (_community, _version_1, _secured, lambda m: scoped_pdu(m)):
        try:
            read(message)
        except ValueError:
            continue


def _community(message: bytes) -> None:
    notification(parse_pdu(message, community_message(message).pdu))


def _version_1(message: bytes) -> None:
    notification_v1(message, community_message(message).pdu)


def _secured(message: bytes) -> None:
    said = secured_message(message)
    assert message[said.data.start : said.data.end] is not None


@settings(deadline=None)
@given(st.data())
def test_a_spoiled_message_is_read_or_refused_by_a_value_error(data: st.DataObject) -> None:
    bindings = encoded_varbind("1.3.6.1.2.1.1.3.0", ber.encoded_whole(5, ber.TIMETICKS))
    bindings += encoded_varbind("1.3.6.1.6.3.1.1.4.1.0", ber.encoded_oid("1.3.6.1.4.1.9.0.1"))
    spoiled = bytearray(encoded_community(V2C, b"public", encoded_pdu(TRAP, 7, bindings)))
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(spoiled[: data.draw(st.integers(0, len(spoiled)))])
    try:
        version_of(cut)
        _community(cut)
    except ValueError:
        pass


@pytest.mark.parametrize("auth", sorted(DIGESTS))
@pytest.mark.parametrize("priv", ["aes128", "aes192", "aes256"])
@pytest.mark.parametrize("expansion", ["blumenthal", "cisco"])
def test_what_is_sealed_and_encrypted_is_opened_again_and_not_with_another_key(
    auth: str, priv: str, expansion: str
) -> None:
    engine, scoped = b"\x80\x00\x00\x00\x05abcdef", encoded_scoped(b"engine", encoded_pdu(SET, 5, b""))
    keys = Secrets(auth, b"authpass-12", priv, b"privpass-12", expansion).at(engine)
    hidden = ber.encoded(ber.OCTETS, keys.encrypted(scoped, 3, 99, b"saltsalt"))
    blank = bytes(DIGESTS[auth].size)
    message = keys.sealed(encoded_secured(77, 3, engine, 3, 99, b"user", blank, b"saltsalt", hidden))
    assert authenticity_fault(message, DIGESTS[auth], keys.auth) is None
    said = secured_message(message)
    assert (said.id, said.engine_id, said.boots, said.time, said.user) == (77, engine, 3, 99, b"user")
    opened = keys.decrypted(message[said.data.start : said.data.end], said.boots, said.time, said.salt)
    assert opened == scoped
    other = Keys(keys.digest, bytes(len(keys.auth)), keys.priv)
    assert authenticity_fault(message, DIGESTS[auth], other.auth) is not None
    with pytest.raises(ValueError, match="privacy"):
        keys.decrypted(b"x", said.boots, said.time, b"short")
