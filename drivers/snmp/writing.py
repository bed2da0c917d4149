"""SET: one value to one agent, over our own messages (decision 0140), because gufo-snmp has none.

A SET is sent once and never again by itself: whoever does not hear its answer reads the point back instead. The exchange is short: a socket
of its own, at most four datagrams, gone when it is over.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from typing import Any

from drivers.snmp.ber import (
    COUNTER,
    GAUGE,
    INTEGER,
    IP_ADDRESS,
    OCTETS,
    TIMETICKS,
    Element,
    encoded,
    encoded_oid,
    encoded_whole,
)
from drivers.snmp.message import (
    AUTHENTIC,
    ENCRYPTED,
    GET,
    REPORT,
    REPORTABLE,
    RESPONSE,
    SET,
    V1,
    V2C,
    Pdu,
    community_message,
    encoded_community,
    encoded_pdu,
    encoded_scoped,
    encoded_secured,
    encoded_varbind,
    parse_pdu,
    scoped_pdu,
    secured_message,
    version_of,
)
from drivers.snmp.settings import SnmpAddress, SnmpEndpoint
from drivers.snmp.usm import DIGESTS, Keys, Secrets, authenticity_fault
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Scalar

ERRORS = {
    1: "tooBig", 2: "noSuchName", 3: "badValue", 4: "readOnly", 5: "genErr", 6: "noAccess", 7: "wrongType", 8: "wrongLength",
    9: "wrongEncoding", 10: "wrongValue", 11: "noCreation", 12: "inconsistentValue", 13: "resourceUnavailable",
    14: "commitFailed", 15: "undoFailed", 16: "authorizationError", 17: "notWritable", 18: "inconsistentName",
}  # fmt: skip
"""error-status (RFC 3416, section 3)."""
_NOT_IN_TIME = "1.3.6.1.6.3.15.1.1.2.0"
"""usmStatsNotInTimeWindows (RFC 3414, section 3.2)."""
_UNSIGNED = {"gauge": GAUGE, "timeticks": TIMETICKS, "counter": COUNTER}


class Unanswered(Exception):
    """Nothing that can be believed came in time."""


def encoded_value(value: Scalar, address: SnmpAddress, kind: str) -> bytes:
    """The value in the type that the point has at the agent; raises BadInput."""
    where = address.name
    wanted = "string" if address.type == "quantity" else address.type or ("string" if kind == "str" else "integer")
    if wanted == "truth":
        if value not in (0, 1):
            raise BadInput("a truth value is true or false", where)
        return encoded_whole(1 if value else 2)
    if wanted == "integer" or wanted in _UNSIGNED:
        if isinstance(value, str) or int(value) != value:
            raise BadInput(f"{wanted} is a whole number", where)
        number = int(value)
        lowest, highest = (-(2**31), 2**31 - 1) if wanted == "integer" else (0, 2**32 - 1)
        if not lowest <= number <= highest:
            raise BadInput(f"{wanted} is from {lowest} to {highest}", where)
        return encoded_whole(number, _UNSIGNED.get(wanted, INTEGER))
    if wanted == "string":
        try:
            return encoded(OCTETS, (value if isinstance(value, str) else f"{value}").encode(address.encoding))
        except UnicodeEncodeError:
            raise BadInput(f"a letter of the text is not in {address.encoding}", where) from None
    try:
        if wanted == "hex":
            return encoded(OCTETS, bytes.fromhex(str(value).replace(":", "")))
        if wanted == "ip":
            octets = [int(part) for part in str(value).split(".")]
            if len(octets) != 4:
                raise ValueError
            return encoded(IP_ADDRESS, bytes(octets))
        return encoded_oid(SnmpAddress(oid=str(value)).oid or "")
    except ValueError:
        raise BadInput(f"the value is no {wanted}", where) from None


def same_value(seen: Scalar | None, wanted: Scalar) -> bool:
    """Whether the agent now has what was asked for, as far as a reading can tell."""
    return seen is not None and (seen == wanted or str(seen) == str(wanted))


async def set_value(endpoint: SnmpEndpoint, address: str, oid: str, value: bytes) -> None:
    """SET one OID of the agent at `address`; raises Unanswered, BadInput when it refuses, AccessDenied when it does not know us."""
    wire = _Wire()
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: wire, remote_addr=(address, endpoint.port))
    except OSError as error:
        raise LinkDown(f"{endpoint.name}: {error.strerror or error}") from None
    try:
        exchange = _Exchange(endpoint, wire, transport)
        bindings = encoded_varbind(oid, value)
        answer = await (exchange.secured(bindings) if endpoint.version == "3" else exchange.plain(bindings))
    except ConnectionRefusedError:
        raise LinkDown(f"{endpoint.name}: nothing listens there") from None
    finally:
        transport.close()
    if answer.error_status:
        reason = ERRORS.get(answer.error_status, f"error {answer.error_status}")
        raise BadInput(f"the agent refuses to be written: {reason}", f"{endpoint.name} {oid}", code="refused")


class _Wire(asyncio.DatagramProtocol):
    """What the agent says, the newest few."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[bytes | OSError] = asyncio.Queue(16)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self._heard.full():
            self._heard.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError) and not self._heard.full():
            self._heard.put_nowait(exc)

    async def hear(self, seconds: float, take: Callable[[bytes], Pdu | None]) -> Pdu:
        """The first message that `take` takes; what is malformed or another's is passed over."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await self._heard.get()
                    if isinstance(message, OSError):
                        raise message
                    try:
                        found = take(message)
                    except ValueError:
                        continue
                    if found is not None:
                        return found
        except TimeoutError:
            raise Unanswered(f"no answer within {seconds} s") from None


class _Exchange:
    def __init__(self, endpoint: SnmpEndpoint, wire: _Wire, transport: asyncio.DatagramTransport) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._transport = transport
        self._number = secrets.randbelow(2**30)

    async def plain(self, bindings: bytes) -> Pdu:
        secret = self._endpoint.write_community or self._endpoint.community
        assert secret is not None
        community = secret.get_secret_value().encode()
        version = V1 if self._endpoint.version == "1" else V2C
        self._transport.sendto(encoded_community(version, community, encoded_pdu(SET, self._number, bindings)))

        def take(message: bytes) -> Pdu | None:
            if version_of(message) != version:
                return None
            return self._answer(message, community_message(message).pdu)

        return await self._wire.hear(self._endpoint.timeout_s, take)

    def _answer(self, message: bytes, pdu: Element) -> Pdu | None:
        found = parse_pdu(message, pdu)
        return found if found.tag in (RESPONSE, REPORT) and found.request_id == self._number else None

    async def secured(self, bindings: bytes) -> Pdu:
        """Ask the engine for its id and time, then SET; once more where the time was not the engine's (RFC 3414, section 4)."""
        self._engine = (b"", 0, 0)
        self._keys: Keys | None = None
        await self._send_secured(GET, b"", sealed=False)
        if not self._engine[0]:
            raise Unanswered("the agent does not tell its engine id")
        for again in (False, True):
            answer = await self._send_secured(SET, bindings, sealed=True)
            if answer.tag == RESPONSE:
                return answer
            told = answer.varbinds[0][0] if answer.varbinds else ""
            if told != _NOT_IN_TIME or again:
                raise AccessDenied(f"{self._endpoint.name}: the agent refuses user {self._endpoint.user} ({told})")
            self._number += 1
        raise AssertionError("unreachable")

    async def _send_secured(self, tag: int, bindings: bytes, *, sealed: bool) -> Pdu:
        endpoint = self._endpoint
        engine_id, boots, time = self._engine
        scoped = encoded_scoped(engine_id, encoded_pdu(tag, self._number, bindings))
        user, digest, salt, flags = b"", b"", b"", REPORTABLE
        if sealed:
            assert endpoint.user is not None
            if self._keys is None:
                self._keys = (await asyncio.to_thread(secrets_of, endpoint)).at(engine_id)
            user, digest, salt = endpoint.user.encode(), bytes(DIGESTS[endpoint.auth].size), os.urandom(8)
            flags |= AUTHENTIC | ENCRYPTED
            scoped = encoded(OCTETS, self._keys.encrypted(scoped, boots, time, salt))
        message = encoded_secured(self._number, flags, engine_id, boots, time, user, digest, salt, scoped)
        self._transport.sendto(message if self._keys is None else self._keys.sealed(message))
        return await self._wire.hear(endpoint.timeout_s, self._take_secured)

    def _take_secured(self, message: bytes) -> Pdu | None:
        keys = self._keys
        if authenticity_fault(message, DIGESTS[self._endpoint.auth], None if keys is None else keys.auth):
            return None
        said = secured_message(message)
        if said.id != self._number or (keys is not None and said.engine_id != self._engine[0]):
            return None
        scoped = message[said.data.start : said.data.end]
        if said.flags & ENCRYPTED:
            assert keys is not None
            scoped = keys.decrypted(scoped, said.boots, said.time, said.salt)
        else:
            scoped = encoded(said.data.tag, scoped)
        _, pdu = scoped_pdu(scoped)
        found = parse_pdu(scoped, pdu)
        if found.tag == RESPONSE and found.request_id != self._number:
            return None
        if found.tag == REPORT and (keys is None or (said.flags & AUTHENTIC)):
            self._engine = (said.engine_id, said.boots, said.time)
        return found if found.tag in (RESPONSE, REPORT) else None


def secrets_of(endpoint: SnmpEndpoint) -> Secrets:
    """The endpoint's passwords, stretched: some milliseconds of work."""
    assert endpoint.auth_key is not None
    assert endpoint.priv_key is not None
    return Secrets(
        endpoint.auth,
        endpoint.auth_key.get_secret_value().encode(),
        endpoint.priv,
        endpoint.priv_key.get_secret_value().encode(),
        endpoint.key_expansion,
    )
