"""One agent as gufo-snmp speaks with it: the only file that knows gufo-snmp.

gufo-snmp 0.13 encodes, decodes and encrypts; what it leaves to others is done here: time-outs and retries as a whole, the bytes of nonsense
and the digest of what is received (`_Session`), refreshing the engine's time, telling wrong credentials from a dead agent, and walking a
column without going round in circles.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
from gufo.snmp._fast import GetIter
from gufo.snmp.aio import SnmpSession

from drivers.snmp.frame import envelope_fault, masked
from drivers.snmp.settings import SnmpEndpoint
from drivers.snmp.usm import DIGESTS, authenticity_fault, localized_key
from drivers.snmp.values import Raw
from hub.errors import AccessDenied, DriverError, LinkDown, ProtocolFault

T = TypeVar("T")
Pace = Callable[[], Awaitable[None]]

ALIVE = "1.3.6.1.2.1.1.3.0"
"""sysUpTime.0: every agent has it, and an agent that hides it still answers."""
LARGEST = 4080
"""Bytes of an answer that gufo-snmp takes; what is longer arrives cut off."""
_REFRESH_S = 100.0
"""Silence after which the engine's time is asked for again: it must be within 150 s (RFC 3414, section 2.2.3)."""
_REPETITIONS = (20, 5, 1)
"""Rows asked for in one GETBULK, fewer where the answer is too long for the library."""
_AUTH = {"sha": Sha1Key, "sha224": Sha224Key, "sha256": Sha256Key, "sha384": Sha384Key, "sha512": Sha512Key}
_PRIV = {"aes128": Aes128Key, "aes192": Aes192Key, "aes256": Aes256Key}
_EXPANSION = {"blumenthal": KeyExpansion.Blumenthal, "cisco": KeyExpansion.Cisco}
_VERSION = {"1": SnmpVersion.v1, "2c": SnmpVersion.v2c}


class SilentError(Exception):
    """No answer to any of the tries."""


class GarbledError(Exception):
    """An answer that is none; `payload` is the datagram."""

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(reason)
        self.payload = payload


class _Session(SnmpSession):
    """A session that keeps the last datagram, ends when it is told, and whose time-out is the caller's.

    `_recv`, `_sock`, `_fd` and `GetIter` are private to gufo-snmp (pinned below 0.14); tests fail when they are not what they were.
    One reader stands at the loop for the session's whole life: what comes while nobody waits belongs to an earlier request and is dropped.
    """

    def __init__(self, address: str, endpoint: SnmpEndpoint, **settings: Any) -> None:
        super().__init__(address, endpoint.port, **settings)
        self.address = address
        self.datagram = b""
        self.forged = ""
        """why the last message that was not believed was not; its bytes are in `datagram`"""
        self._auth_key = endpoint.auth_key
        self._digest = DIGESTS[endpoint.auth]
        self._key: bytes | None = None
        self._peek = socket.socket(fileno=self._fd)
        self._receive: Callable[[], Any] | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._limit = endpoint.timeout_s
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._readable)

    async def get_values(self, oids: Sequence[str]) -> dict[str, Raw]:
        """One GET; raises TimeoutError and what gufo-snmp raises. `get_many` without what is done here anyway."""
        self._sock.send_get_many(list(oids))
        values: dict[str, Raw] = await self._recv(self._sock.recv_get_many)
        return values

    async def get_rows(self, place: GetIter) -> list[tuple[str, Raw] | None]:
        """The next rows of a column; None, or none at all, where it ends."""
        self._sock.send_get_bulk(place)
        rows: list[tuple[str, Raw] | None] = await self._recv(lambda: self._sock.recv_get_bulk(place))
        return rows

    async def get_row(self, place: GetIter) -> list[tuple[str, Raw] | None]:
        """The next row, for version 1; raises StopAsyncIteration where the column ends."""
        self._sock.send_get_next(place)
        row: tuple[str, Raw] = await self._recv(lambda: self._sock.recv_get_next(place))
        return [row]

    async def _recv(self, receiver: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._receive, self._answer = receiver, answer
        timer = self._loop.call_later(self._limit, self._expire)  # a third of what asyncio.timeout costs
        try:
            return await answer
        finally:
            timer.cancel()
            self._receive = self._answer = None
            del answer, receiver, timer  # an error that is kept must hold neither them nor, by them, the socket

    def _expire(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())

    def _readable(self) -> None:
        """One datagram, or the error that the last one sent has met."""
        receive, answer = self._receive, self._answer
        try:
            if receive is None or answer is None or answer.done():
                self._peek.recv(1)
                return
            message = self.datagram = self._peek.recv(LARGEST + 1, socket.MSG_PEEK)
            if len(message) <= LARGEST:  # a cut message is refused by gufo-snmp
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
        del (
            self._sock
        )  # closes it now: what was cancelled in a question may hold the session until the collector comes by


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


async def address_of(endpoint: SnmpEndpoint) -> str:
    """The agent's address; raises OSError or TimeoutError."""
    try:
        return str(ipaddress.ip_address(endpoint.host))
    except ValueError:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(endpoint.timeout_s):
            found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
        return str(found[0][4][0])


async def _open(endpoint: SnmpEndpoint) -> _Session:
    try:
        address = await address_of(endpoint)
        if endpoint.community is not None:
            community = endpoint.community.get_secret_value()
            return _Session(address, endpoint, community=community, version=_VERSION[endpoint.version])
        return _Session(address, endpoint, user=_user(endpoint), version=SnmpVersion.v3)
    except TimeoutError:
        raise LinkDown(f"{endpoint.name}: the name was not resolved within {endpoint.timeout_s} s") from None
    except OSError as error:
        raise LinkDown(f"{endpoint.name}: {error.strerror or error}") from None


class Rows(NamedTuple):
    """A column as far as it was walked."""

    values: list[tuple[str, Raw]]
    """by index, in the agent's order"""
    more: bool
    """there are more rows than were asked for"""


@asynccontextmanager
async def connected(endpoint: SnmpEndpoint, pace: Pace | None = None) -> AsyncIterator["Agent"]:
    """The agent, greeted; each question waits for `pace` first. Raises LinkDown when it does not answer, AccessDenied when it refuses user or keys."""
    agent = Agent(endpoint, await _open(endpoint), pace)
    try:
        await agent.greet()
        yield agent
    except DriverError as error:
        # what it was raised from has frames that hold the session, and with it the socket, for as long as somebody holds the error
        error.__context__ = None
        raise
    finally:
        agent.let_go()


class Agent:
    """Questions to one agent, one request at a time."""

    def __init__(self, endpoint: SnmpEndpoint, session: _Session, pace: Pace | None = None) -> None:
        self._endpoint = endpoint
        self._session = session
        self._pace = pace
        self._turn = asyncio.Lock()
        self._fresh_until = 0.0
        self._secret = None if endpoint.community is None else endpoint.community.get_secret_value().encode()

    def let_go(self) -> None:
        """Close the socket: gufo-snmp does it with the session's last reference. The agent cannot be asked any more."""
        self._session.release()
        del self._session

    @property
    def address(self) -> str:
        """Where its answers come from."""
        return self._session.address

    @property
    def engine_id(self) -> bytes:
        """Of a version 3 agent that has told it, else empty."""
        return self._session.get_engine_id() if self._endpoint.version == "3" else b""

    async def greet(self) -> None:
        """The first exchange: proves that the agent is there and takes our credentials."""
        try:
            await self.get((ALIVE,))
        except SilentError as error:
            self._explain_silence(str(error))
        except GarbledError as error:
            raise LinkDown(f"{self._endpoint.name}: what answers is no SNMP agent of ours: {error}") from None

    def _explain_silence(self, reason: str) -> NoReturn:
        """An agent that just told us its engine id, unencrypted, and then says nothing cannot decrypt our questions."""
        if self._endpoint.version != "3":
            raise LinkDown(f"{self._endpoint.name}: {reason} (a wrong community looks the same)")
        if not self._session.get_engine_id():
            raise LinkDown(f"{self._endpoint.name}: {reason}")
        raise AccessDenied(
            f"{self._endpoint.name}: the agent is there and does not answer user {self._endpoint.user}: is priv_key or priv wrong?"
        )

    async def get(self, oids: Sequence[str]) -> dict[str, Raw]:
        """One GET, sent again where nothing comes; raises SilentError, GarbledError, LinkDown, AccessDenied."""

        return await self._ask(lambda: self._session.get_values(oids))

    async def walk(self, column: str, most: int) -> Rows:
        """The rows of a column, at most `most`; raises as `get` does. What goes back instead of on is a GarbledError."""
        for repetitions in _REPETITIONS:
            try:
                return await self._walk(column, most, repetitions)
            except GarbledError as error:
                if len(error.payload) <= LARGEST or repetitions == _REPETITIONS[-1] or self._endpoint.version == "1":
                    raise
        raise AssertionError("unreachable")

    async def _walk(self, column: str, most: int, repetitions: int) -> Rows:
        place = GetIter(column, min(repetitions, most + 1))
        bulk = self._endpoint.version != "1"
        rows: dict[str, Raw] = {}
        below = f"{column}."
        while True:
            ask = self._session.get_rows if bulk else self._session.get_row
            try:
                found = await self._ask(lambda: ask(place))  # noqa: B023 -- awaited in this turn
            except StopAsyncIteration:
                found = []
            for one in found:
                if one is None or not one[0].startswith(below):
                    return Rows(list(rows.items()), False)
                index = one[0][len(below) :]
                if index in rows:
                    raise GarbledError(f"walking {column} comes to row {index} again", self._shown())
                if len(rows) == most:
                    return Rows(list(rows.items()), True)
                rows[index] = one[1]
            if not found:
                return Rows(list(rows.items()), False)

    async def prove_alive(self, reason: str) -> None:
        """After silence: raises LinkDown for `reason` when sysUpTime is not answered either."""
        try:
            await self.get((ALIVE,))
        except SilentError:
            raise LinkDown(f"{self._endpoint.name}: {reason}") from None
        except GarbledError as error:
            raise ProtocolFault(str(error), error.payload, self._endpoint.name) from None

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            refreshed = False
            tries = self._endpoint.retries + 1
            while tries:
                if self._pace is not None:
                    await self._pace()
                try:
                    return await self._exchange(question)
                except (TimeoutError, BlockingIOError):  # the second: the network takes nothing
                    tries -= 1
                except SnmpAuthError:
                    if refreshed or self._endpoint.version != "3":
                        raise AccessDenied(self._denial()) from None
                    # an agent that restarted counts its time anew: ask for it once before blaming the credentials
                    refreshed, self._fresh_until = True, 0.0
                except SnmpDecodeError as error:
                    raise GarbledError(f"the answer is no SNMP message: {error}", self._shown()) from None
                except ConnectionRefusedError:
                    raise LinkDown(f"{self._endpoint.name}: nothing listens there") from None
                except (OSError, SnmpError) as error:
                    raise LinkDown(f"{self._endpoint.name}: {error}") from None
        if self._session.forged:
            raise GarbledError(self._session.forged, self._shown())
        raise SilentError(
            f"no answer to {self._endpoint.retries + 1} requests within {self._endpoint.timeout_s} s each"
        )

    def _shown(self) -> bytes:
        return masked(self._session.datagram, self._secret)

    async def _exchange(self, question: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        self._session.datagram, self._session.forged = b"", ""
        if self._endpoint.version == "3" and loop.time() >= self._fresh_until:
            await self._session.refresh()
            self._fresh_until = loop.time() + _REFRESH_S
        answer = await question()
        self._fresh_until = loop.time() + _REFRESH_S
        return answer

    def _denial(self) -> str:
        who = (
            f"user {self._endpoint.user} (name, auth, auth_key or its rights)"
            if self._endpoint.version == "3"
            else "the community"
        )
        return f"{self._endpoint.name}: the agent refuses {who}"
