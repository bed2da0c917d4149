"""Whether a datagram can be an SNMP message at all. Pure.

gufo-snmp 0.13 decodes what passes; on some bytes that are no SEQUENCE it runs off the end of its buffer, which is caught but costs
a stack trace on standard error, so that the plainest rubbish is turned away here.
"""


def masked(datagram: bytes, *secrets: bytes | None) -> bytes:
    """A datagram as it may be shown to people: communities travel in the clear, and quarantine is read by many."""
    for secret in secrets:
        if secret:
            datagram = datagram.replace(secret, b"*" * len(secret))
    return datagram


def envelope_fault(datagram: bytes) -> str | None:
    """What is wrong with the outermost SEQUENCE (X.690, 8.1.3; definite length), else None."""
    if len(datagram) < 2:
        return f"{len(datagram)} bytes"
    if datagram[0] != 0x30:
        return f"it begins with {datagram[0]:#04x}, not with a SEQUENCE (0x30)"
    octets = datagram[1] & 0x7F if datagram[1] & 0x80 else 0
    if octets > 4 or datagram[1] == 0x80 or len(datagram) < 2 + octets:
        return "the length of its SEQUENCE is no length"
    said = int.from_bytes(datagram[2 : 2 + octets]) if octets else datagram[1]
    there = len(datagram) - 2 - octets
    return None if said == there else f"its SEQUENCE has {there} bytes instead of {said}"
