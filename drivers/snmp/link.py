"""The live connection to an SNMP agent: the only file that knows gufo-snmp.

gufo-snmp 0.13 encodes, decodes and encrypts; what it leaves to others is done here: time-outs and retries as a whole, the bytes of nonsense
and the digest of what is received (`_Session`), refreshing the engine's time, telling wrong credentials from a dead agent, and finding the
point that spoils a request.
SET and traps get a link of their own over pysnmp; this one only polls.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, NoReturn, TypeVar

from gufo.snmp import (
    Aes128Key,
    Aes192Key,
    Aes256Key,
    KeyExpansion,
    Sha1Key,
    Sha224Key,
    Sha256Key,
    Sha384Key,
    Sha512Key,
    SnmpAuthError,
    SnmpDecodeError,
    SnmpError,
    SnmpVersion,
    User,
)
from gufo.snmp.aio import SnmpSession

from drivers.snmp.frame import envelope_fault
from drivers.snmp.settings import SnmpAddress, SnmpEndpoint
from drivers.snmp.usm import DIGESTS, authenticity_fault, localized_key
from drivers.snmp.values import Raw, batches, decode, halves, oid_of, takes_int
from hub.driver import Binding
from hub.errors import AccessDenied, DriverError, LinkDown, ProtocolFault
from hub.model import Micros, Sample, Series

T = TypeVar("T")

_ALIVE = "1.3.6.1.2.1.1.3.0"
"""sysUpTime.0: every agent has it, and an agent that hides it still answers."""
_REFRESH_S = 100.0
"""Silence after which the engine's time is asked for again: it must be within 150 s (RFC 3414, section 2.2.3)."""
_ABSENT: Any = object()
_LARGEST = 4080
"""Bytes of an answer that gufo-snmp takes; what is longer arrives cut off."""
_AUTH = {"sha": Sha1Key, "sha224": Sha224Key, "sha256": Sha256Key, "sha384": Sha384Key, "sha512": Sha512Key}
_PRIV = {"aes128": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
_EXPANSION = {"blumenthal": KeyExpansion.Blumenthal, "cisco": KeyExpansion.Cisco}


class _SilentError(Exception):
    """No answer to any of the tries."""


class _GarbledError(Exception):
    """An answer that is none; `payload` is the datagram."""

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(reason)
        self.payload = payload


class _Session(SnmpSession):
    """A session that keeps the last datagram, ends when it is told, and whose time-out is the caller's.

    `_recv`, `_sock` and `_fd` are private to gufo-snmp (pinned below 0.14); a test fails when this override is not called any more.
    One reader stands at the loop for the session's whole life: what comes while nobody waits belongs to an earlier request and is dropped.
    """

    def __init__(self, address: str, endpoint: SnmpEndpoint, **settings: Any) -> None:
        super().__init__(address, endpoint.port, **settings)
        self.datagram = b""
        self.forged = ""
        """why the last message that was not believed was not; its bytes are in `datagram`"""
        self._auth_key = endpoint.auth_key
        self._digest = DIGESTS[endpoint.auth]
        self._key: bytes | None = None
        self._peek = socket.socket(fileno=self._fd)
        self._receive: Callable[[], Any] | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    async def _recv(self, receiver: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._receive, self._answer = receiver, answer
        try:
            return await answer
        finally:
            self._receive = self._answer = None
            del answer, receiver  # an error that is kept must hold neither them nor, by them, the socket

    def _readable(self) -> None:
        """One datagram, or the error that the last one sent has met."""
        receive, answer = self._receive, self._answer
        try:
            if receive is None or answer is None or answer.done():
                self._peek.recv(1)
                return
            message = self.datagram = self._peek.recv(_LARGEST + 1, socket.MSG_PEEK)
            if len(message) <= _LARGEST:  # a cut message is refused by gufo-snmp
                fault = envelope_fault(message)
                if fault is not None:
                    self._peek.recv(1)
                    raise SnmpDecodeError(fault)
                if self._auth_key is not None and (forged := self._forgery(message)):
                    self.forged = forged
                    self._peek.recv(1)
                    return  # the true answer may be on its way
            answer.set_result(receive())
        except BlockingIOError:
            return  # it was for an earlier request
        except Exception as error:  # noqa: BLE001 -- who waits for the answer has it
            if answer is not None and not answer.done():
                answer.set_exception(error)
        except BaseException as error:
            if type(error).__module__ != "pyo3_runtime":
                raise
            # the Rust code ran off the end of a malformed answer; this type is no Exception and cannot be imported
            if answer is not None and not answer.done():
                answer.set_exception(SnmpDecodeError("malformed"))
        finally:
            del self, receive, answer

    def _forgery(self, message: bytes) -> str | None:
        """Why a version 3 message is not believed, else None."""
        if self._key is None and (engine_id := self.get_engine_id()):
            assert self._auth_key is not None
            self._key = localized_key(self._digest, self._auth_key.get_secret_value().encode(), engine_id)
        return authenticity_fault(message, self._digest, self._key)

    def release(self) -> None:
        """Let go of the file descriptor, which is gufo-snmp's."""
        self._loop.remove_reader(self._fd)
        self._receive = self._answer = None
        self._peek.detach()


def _user(endpoint: SnmpEndpoint) -> User:
    assert endpoint.user is not None
    assert endpoint.auth_key is not None
    assert endpoint.priv_key is not None
    return User(
        endpoint.user,
        auth_key=_AUTH[endpoint.auth](endpoint.auth_key.get_secret_value().encode()),
        priv_key=_PRIV[endpoint.priv](endpoint.priv_key.get_secret_value().encode()),
        key_expansion=_EXPANSION[endpoint.key_expansion],
    )


async def _address(endpoint: SnmpEndpoint) -> str:
    try:
        return str(ipaddress.ip_address(endpoint.host))
    except ValueError:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(endpoint.timeout_s):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        return str(found[0][4][0])


async def _open(endpoint: SnmpEndpoint) -> _Session:
    try:
        address = await _address(endpoint)
        if endpoint.community is not None:
            community = endpoint.community.get_secret_value()
            return _Session(address, endpoint, community=community, version=SnmpVersion.v2c)
        return _Session(address, endpoint, user=_user(endpoint), version=SnmpVersion.v3)
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: the name was not resolved within {endpoint.timeout_s} s") from None
    except OSError as error:
        raise LinkDown(f"{endpoint.name}: {error.strerror or error}") from None


@asynccontextmanager
async def connect(endpoint: SnmpEndpoint, bindings: Sequence[Binding]) -> AsyncIterator["SnmpLink"]:
    """A link to the agent; raises LinkDown when it does not answer, AccessDenied when it refuses user or keys."""
    link = SnmpLink(endpoint, bindings, await _open(endpoint))
    try:
        await link.greet()
        yield link
    except DriverError as error:
        # what it was raised from has frames that hold the session, and with it the socket, for as long as somebody holds the error
        error.__context__ = None
        raise
    finally:
        link.let_go()


class SnmpLink:
    """A PollLink to one agent, one request at a time."""

    def __init__(self, endpoint: SnmpEndpoint, bindings: Sequence[Binding], session: _Session) -> None:
        self._endpoint = endpoint
        self._session = session
        self._turn = asyncio.Lock()
        self._fresh_until = 0.0
        self._points = {one.series: _Point.of(one) for one in bindings}
        self._apart: dict[str, None] = {}
        """OIDs that had no value when they were asked alone, the one to be asked alone next first"""
        self._planned: _Plan | None = None
        """of the last read: the runtime asks for the same points again and again"""

    def let_go(self) -> None:
        """Close the socket: gufo-snmp does it with the session's last reference. The link cannot be used any more."""
        self._session.release()
        del self._session

    async def greet(self) -> None:
        """The first exchange: proves that the agent is there and takes our credentials."""
        try:
            await self._get((_ALIVE,))
        except _SilentError as error:
            self._explain_silence(str(error))
        except _GarbledError as error:
            raise LinkDown(f"{self._endpoint.name}: what answers is no SNMP agent of ours: {error}") from None

    def _explain_silence(self, reason: str) -> NoReturn:
        """An agent that just told us its engine id, unencrypted, and then says nothing cannot decrypt our questions."""
        if self._endpoint.version == "2c":
            raise LinkDown(f"{self._endpoint.name}: {reason} (a wrong community looks the same)")
        if not self._session.get_engine_id():
            raise LinkDown(f"{self._endpoint.name}: {reason}")
        raise AccessDenied(
            f"{self._endpoint.name}: the agent is there and does not answer user {self._endpoint.user}: is priv_key or priv wrong?"
        )

    async def read(self, series: Sequence[Series]) -> Sequence[Sample]:
        """One sample for every series asked.

        A point that the agent does not have is an error of that point. When a request gets no answer and sysUpTime gets none either,
        LinkDown; ProtocolFault, with all samples in it, when a request was answered with nonsense; AccessDenied when the agent refuses us.
        """
        plan = self._planned
        if plan is None or plan.asked != series:
            plan = self._planned = self._plan(series)
        found = _Found()
        for batch in plan.together:
            await self._read_batch(batch, found)
        await self._read_apart(plan.apart, found)
        samples = [self._sample(point, found) for point in plan.points]
        if found.fault is not None:
            raise ProtocolFault(str(found.fault), found.fault.payload, self._endpoint.name, samples)
        return samples

    def _plan(self, series: Sequence[Series]) -> "_Plan":
        points = [self._points.get(one) or _Point.unbound(one) for one in series]
        oids = dict.fromkeys(point.oid for point in points if point.oid is not None)
        together = batches((oid for oid in oids if oid not in self._apart), self._endpoint.max_varbinds)
        return _Plan(list(series), points, together, [oid for oid in self._apart if oid in oids])

    async def _read_batch(self, batch: Sequence[str], found: "_Found") -> None:
        values = await self._try(batch, found)
        if values is None:
            return
        found.take(values)
        if values:
            return  # what is missing the agent does not have: noSuchObject, noSuchInstance
        # none of them: all unknown, or one of them made the agent refuse the whole request (tooBig, genErr), which gufo-snmp does not tell
        if len(batch) == 1:
            self._apart[batch[0]], self._planned = None, None
            return
        for half in halves(batch):
            await self._read_batch(half, found)

    async def _read_apart(self, oids: Sequence[str], found: "_Found") -> None:
        """Points known to have no value: all in one request, and one of them, in turn, by itself."""
        for batch in batches(oids, self._endpoint.max_varbinds):
            values = await self._try(batch, found)
            found.take(values or {})
        if oids and not found.has_any(oids):
            first = oids[0]
            values = await self._try((first,), found) if len(oids) > 1 else {}
            found.take(values or {})
            del self._apart[first]
            self._apart[first], self._planned = None, None
        for oid in oids:
            if oid in found.values:
                del self._apart[oid]
                self._planned = None

    async def _try(self, batch: Sequence[str], found: "_Found") -> dict[str, Raw] | None:
        """The agent's answer to one request; None after putting the reason into `found`."""
        try:
            return await self._get(batch)
        except _GarbledError as error:
            if len(error.payload) > _LARGEST and len(batch) > 1:
                return {}  # too long for the library: shorter questions get shorter answers
            found.fault = found.fault or error
            found.fail(batch, str(error))
        except _SilentError as error:
            await self._get_sign_of_life(str(error))
            found.fail(batch, f"the agent answers, but not to this: {error}")
        return None

    async def _get_sign_of_life(self, reason: str) -> None:
        try:
            await self._get((_ALIVE,))
        except _SilentError:
            raise LinkDown(f"{self._endpoint.name}: {reason}") from None
        except _GarbledError as error:
            raise ProtocolFault(str(error), error.payload, self._endpoint.name) from None

    def _sample(self, point: "_Point", found: "_Found") -> Sample:
        if point.oid is None:
            return Sample(point.series, _now(), None, point.unreadable)
        raw = found.values.get(point.oid, _ABSENT)
        if type(raw) is int and point.takes_int:
            return Sample(point.series, found.at[point.oid], raw)
        if raw is _ABSENT:
            reason = found.reasons.get(point.oid) or f"{point.oid}: no such object or instance"
            return Sample(point.series, _now(), None, reason)
        value = decode(raw, point.address, point.kind)
        return Sample(point.series, found.at[point.oid], value.raw, value.error)

    async def _get(self, oids: Sequence[str]) -> dict[str, Raw]:
        """One GET, sent again where nothing comes; raises _SilentError, _GarbledError, LinkDown, AccessDenied."""
        async with self._turn:
            refreshed = False
            tries = self._endpoint.retries + 1
            while tries:
                try:
                    async with asyncio.timeout(self._endpoint.timeout_s):
                        return await self._exchange(oids)
                except TimeoutError:
                    tries -= 1
                except SnmpAuthError:
                    if refreshed or self._endpoint.version == "2c":
                        raise AccessDenied(self._denial()) from None
                    # an agent that restarted counts its time anew: ask for it once before blaming the credentials
                    refreshed, self._fresh_until = True, 0.0
                except SnmpDecodeError as error:
                    raise _GarbledError(f"the answer is no SNMP message: {error}", self._session.datagram) from None
                except ConnectionRefusedError:
                    raise LinkDown(f"{self._endpoint.name}: nothing listens there") from None
                except (OSError, SnmpError) as error:
                    raise LinkDown(f"{self._endpoint.name}: {error}") from None
        if self._session.forged:
            raise _GarbledError(self._session.forged, self._session.datagram)
        raise _SilentError(
            f"no answer to {self._endpoint.retries + 1} requests within {self._endpoint.timeout_s} s each"
        )

    async def _exchange(self, oids: Sequence[str]) -> dict[str, Raw]:
        loop = asyncio.get_running_loop()
        self._session.datagram, self._session.forged = b"", ""
        if self._endpoint.version == "3" and loop.time() >= self._fresh_until:
            await self._session.refresh()
            self._fresh_until = loop.time() + _REFRESH_S
        values: dict[str, Raw] = dict(await self._session.get_many(oids))
        self._fresh_until = loop.time() + _REFRESH_S
        return values

    def _denial(self) -> str:
        who = (
            "the community"
            if self._endpoint.version == "2c"
            else f"user {self._endpoint.user} (name, auth, auth_key or its rights)"
        )
        return f"{self._endpoint.name}: the agent refuses {who}"


class _Point(NamedTuple):
    """One point, and what can be known of it before it is asked for."""

    series: Series
    address: SnmpAddress
    kind: str
    oid: str | None
    """None where it cannot be asked for, and then `unreadable` says why"""
    takes_int: bool
    unreadable: str = ""

    @classmethod
    def of(cls, binding: Binding) -> "_Point":
        """The point of a binding."""
        address: SnmpAddress = binding.address
        oid = oid_of(address, binding.device)
        unreadable = "" if oid is not None else f"{address.oid} is indexed and the device has no index"
        return cls(binding.series, address, binding.kind, oid, takes_int(address, binding.kind), unreadable)

    @classmethod
    def unbound(cls, series: Series) -> "_Point":
        """A series that this link does not know."""
        return cls(series, SnmpAddress(oid=_ALIVE), "str", None, False, "this link has no such point")


class _Plan(NamedTuple):
    """How one set of points is read."""

    asked: list[Series]
    points: list[_Point]
    together: list[tuple[str, ...]]
    apart: list[str]


class _Found:
    """What one call of `read` has so far."""

    def __init__(self) -> None:
        self.values: dict[str, Raw] = {}
        self.at: dict[str, Micros] = {}
        self.reasons: dict[str, str] = {}
        self.fault: _GarbledError | None = None

    def take(self, values: dict[str, Raw]) -> None:
        """Add an answer."""
        self.at |= dict.fromkeys(values, _now())
        self.values |= values

    def fail(self, oids: Sequence[str], reason: str) -> None:
        """Say why these have no value."""
        self.reasons |= {oid: f"{oid}: {reason}" for oid in oids}

    def has_any(self, oids: Sequence[str]) -> bool:
        """Whether any of these has a value."""
        return any(oid in self.values for oid in oids)


def _now() -> Micros:
    return time.time_ns() // 1000
