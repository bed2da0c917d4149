"""SET: one value to one agent by pysnmp (decision 0140), because gufo-snmp has none.

A SET is sent once and never again by itself: whoever does not hear its answer reads the point back instead. The exchange is short: a socket
of its own, at most four datagrams, gone when it is over, and an engine that is borrowed for as long.
"""

import asyncio
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from drivers.snmp.engines import borrowed, give_back
from drivers.snmp.settings import SnmpAddress, SnmpEndpoint
from drivers.snmp.usm import Secrets
from hub.errors import AccessDenied, BadInput, LinkDown
from hub.model import Scalar

ERRORS = {
    1: "tooBig", 2: "noSuchName", 3: "badValue", 4: "readOnly", 5: "genErr", 6: "noAccess", 7: "wrongType", 8: "wrongLength",
    9: "wrongEncoding", 10: "wrongValue", 11: "noCreation", 12: "inconsistentValue", 13: "resourceUnavailable",
    14: "commitFailed", 15: "undoFailed", 16: "authorizationError", 17: "notWritable", 18: "inconsistentName",
}  # fmt: skip
"""error-status (RFC 3416, section 3)."""
_UNSIGNED = frozenset({"gauge", "timeticks", "counter"})
_AT_ONCE = 8
"""SETs under way in one event loop, and so engines borrowed for them"""
_turns: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()


class Unanswered(Exception):
    """Nothing that can be believed came in time."""


class Typed(NamedTuple):
    """A value and its type, of `engine.asn1`."""

    type: str
    value: int | bytes | str


def typed_value(value: Scalar, address: SnmpAddress, kind: str) -> Typed:
    """The value in the type that the point has at the agent; raises BadInput."""
    where = address.name
    wanted = "string" if address.type == "quantity" else address.type or ("string" if kind == "str" else "integer")
    if wanted == "truth":
        if value not in (0, 1):
            raise BadInput("a truth value is true or false", where)
        return Typed("integer", 1 if value else 2)
    if wanted == "integer" or wanted in _UNSIGNED:
        if isinstance(value, str) or int(value) != value:
            raise BadInput(f"{wanted} is a whole number", where)
        number = int(value)
        lowest, highest = (-(2**31), 2**31 - 1) if wanted == "integer" else (0, 2**32 - 1)
        if not lowest <= number <= highest:
            raise BadInput(f"{wanted} is from {lowest} to {highest}", where)
        return Typed(wanted, number)
    if wanted == "string":
        try:
            return Typed("octets", (value if isinstance(value, str) else f"{value}").encode(address.encoding))
        except UnicodeEncodeError:
            raise BadInput(f"a letter of the text is not in {address.encoding}", where) from None
    try:
        if wanted == "hex":
            return Typed("octets", bytes.fromhex(str(value).replace(":", "")))
        if wanted == "ip":
            octets = [int(part) for part in str(value).split(".")]
            if len(octets) != 4:
                raise ValueError
            return Typed("ip", bytes(octets))
        return Typed("oid", SnmpAddress(oid=str(value)).oid or "")
    except ValueError:
        raise BadInput(f"the value is no {wanted}", where) from None


def same_value(seen: Scalar | None, wanted: Scalar) -> bool:
    """Whether the agent now has what was asked for, as far as a reading can tell."""
    return seen is not None and (seen == wanted or str(seen) == str(wanted))


async def set_value(endpoint: SnmpEndpoint, address: str, oid: str, value: Typed) -> None:
    """SET one OID of the agent at `address`; raises Unanswered, BadInput when it refuses, AccessDenied when it does not know us."""
    loop = asyncio.get_running_loop()
    async with _turns.setdefault(loop, asyncio.Semaphore(_AT_ONCE)):
        wire = _Wire()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: wire, remote_addr=(address, endpoint.port))
        except OSError as error:
            raise LinkDown(f"{endpoint.name}: {error.strerror or error}") from None
        try:
            engine = await borrowed()
            try:
                exchange = _Exchange(endpoint, (address, endpoint.port), engine, wire, transport)
                status = await (exchange.secured(oid, value) if endpoint.version == "3" else exchange.plain(oid, value))
            finally:
                give_back(engine)
        except ConnectionRefusedError:
            raise LinkDown(f"{endpoint.name}: nothing listens there") from None
        finally:
            transport.close()
    if status:
        reason = ERRORS.get(status, f"error {status}")
        raise BadInput(f"the agent refuses to be written: {reason}", f"{endpoint.name} {oid}", code="refused")


class _Wire(asyncio.DatagramProtocol):
    """What the agent says, the newest few."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes | OSError] = asyncio.Queue(16)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.heard.full():
            self.heard.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError) and not self.heard.full():
            self.heard.put_nowait(exc)


class _Exchange:
    def __init__(self, endpoint: SnmpEndpoint, addr: tuple[str, int], engine: Any, wire: _Wire, transport: Any) -> None:
        self._endpoint = endpoint
        self._addr = addr
        self._engine = engine
        self._wire = wire
        self._transport = transport

    async def plain(self, oid: str, value: Typed) -> int:
        """The error status of the answer."""
        secret = self._endpoint.write_community or self._endpoint.community
        assert secret is not None
        community = secret.get_secret_value().encode()
        self._engine.add_community(community)
        status, indication = await self._ask(community, oid, value)
        if indication:
            raise Unanswered(f"no answer that can be read ({indication})")
        return status

    async def secured(self, oid: str, value: Typed) -> int:
        """Ask the engine for its id and time, then SET; once more where the time was not the engine's (RFC 3414, section 4)."""
        assert self._endpoint.user is not None
        user = self._endpoint.user.encode()
        await self._ask(user, None, None)
        engine_id = self._engine.peer(self._addr)
        if not engine_id:
            raise Unanswered("the agent does not tell its engine id")
        secrets = await asyncio.to_thread(secrets_of, self._endpoint)
        self._engine.add_user(user, engine_id, secrets)
        for again in (False, True):
            status, indication = await self._ask(user, oid, value)
            if not indication:
                return status
            if indication != "NotInTimeWindow" or again:
                raise AccessDenied(
                    f"{self._endpoint.name}: the agent refuses user {self._endpoint.user} ({indication})"
                )
        raise AssertionError("unreachable")

    async def _ask(self, name: bytes, oid: str | None, value: Typed | None) -> tuple[int, str]:
        from drivers.snmp.engine import asn1  # loaded by now

        engine, seconds = self._engine, self._endpoint.timeout_s
        said = None if value is None else asn1(*value)
        try:
            handle, messages = engine.ask(self._endpoint.version, name, self._addr, oid, said)
        except ValueError as error:
            raise Unanswered(str(error)) from None
        try:
            async with asyncio.timeout(seconds):
                while (found := engine.answer()) is None:
                    for message in messages:
                        self._transport.sendto(message)
                    heard = await self._wire.heard.get()
                    if isinstance(heard, OSError):
                        raise heard
                    messages = engine.receive(heard, self._addr).send
        except TimeoutError:
            raise Unanswered(f"no answer within {seconds} s") from None
        finally:
            engine.give_up(handle)
        return found.status, found.indication


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
