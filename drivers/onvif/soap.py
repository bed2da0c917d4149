"""Speaking with a device: the only file that knows onvif-zeep-async.

The library makes the questions from ONVIF's own WSDL documents and signs them (WS-UsernameToken with a digest, and its time corrected by the
device's clock). What it leaves open is done here (docs/decisions/0160-onvif-zeep-async-asks-and-we-read.md): answers are bounded and parsed once, harmlessly; every
wait has a limit; questions go only to the host that people named; nothing is followed elsewhere, logged, or sent with a password in the clear.
"""

import asyncio
import contextlib
import datetime
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp
from lxml import etree
from zeep import Settings

from drivers.onvif.answer import DeniedError, Element, FaultError, GarbledError, body_of
from drivers.onvif.settings import Endpoint


def _import_quietly() -> Any:
    """onvif-zeep-async sets up the root logger of whoever imports it, and takes proxies out of the environment when it is used."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    import onvif.client

    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("zeep").setLevel(logging.CRITICAL)
    return onvif.client


_onvif = _import_quietly()

_WSDL = Path(_onvif.__file__).parent / "wsdl"
_ANSWERS_ARE_OURS = Settings(strict=False, raw_response=True)
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "anxin"}
_PORTS = 16
_locks: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]" = WeakKeyDictionary()

EVENTS = _onvif.SERVICES["events"]["ns"]
CAPABILITIES = {
    "Media": _onvif.SERVICES["media"]["ns"],
    "Events": EVENTS,
    "Search": _onvif.SERVICES["search"]["ns"],
}
"""Services by their names in GetCapabilities (tt:Capabilities)."""


class SilentError(Exception):
    """No answer in time, or nobody there: the whole question is open."""


class _Transport(_onvif.AIOHTTPTransport):  # type: ignore[misc, name-defined]
    """Carries one question over HTTP; what it returns is the body's first element."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        super().__init__(session=session, verify_ssl=False)
        self._endpoint = endpoint
        self.patience = endpoint.timeout_s
        """seconds for the next question"""

    async def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Element:
        status, content = await self._exchange(address, _onvif_bytes(envelope), {**headers, **_HEADERS})
        try:
            return body_of(content)
        except GarbledError:
            if status in (401, 403):
                raise DeniedError(f"HTTP {status}") from None
            if status >= 300:
                raise FaultError(f"HTTP {status}") from None
            raise

    async def _exchange(self, address: str, message: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        limit, patience, content = self._endpoint.max_answer, self.patience, bytearray()
        try:
            async with (
                asyncio.timeout(patience),
                self.session.post(address, data=message, headers=headers, allow_redirects=False) as response,
            ):
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > limit:
                        response.close()
                        raise GarbledError(f"the answer is longer than {limit} bytes", bytes(content))
                return response.status, bytes(content)
        except TimeoutError:
            raise SilentError(f"no answer within {patience:g} s") from None
        except aiohttp.ClientPayloadError:
            raise GarbledError("the answer broke off", bytes(content)) from None
        except aiohttp.ClientResponseError as error:
            raise GarbledError(f"the answer is no HTTP: {type(error).__name__}", bytes(content)) from None
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.os_error.errno) if error.os_error.errno else type(error.os_error).__name__
            raise SilentError(reason) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SilentError(f"the connection broke: {type(error).__name__}") from None


def _onvif_bytes(envelope: Element) -> bytes:
    return bytes(etree.tostring(envelope, encoding="utf-8", xml_declaration=True))


class Conversation:
    """One device and its services. Raises SilentError, GarbledError, FaultError or DeniedError from every question."""

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
        self._endpoint = endpoint
        self._transport = _Transport(session, endpoint)
        self._addresses: dict[str, str] = {_onvif.SERVICES["devicemgmt"]["ns"]: endpoint.base + endpoint.path}
        self._ahead: datetime.timedelta | None = None

    def believe_clock(self, seconds: float) -> None:
        """Sign from now on with a time that is the device's own."""
        self._ahead = datetime.timedelta(seconds=seconds)

    def learn(self, services: Mapping[str, str]) -> None:
        """Where services are, by namespace, as the device says."""
        self._addresses |= {name: self.here(address) for name, address in services.items()}

    def has(self, namespace: str) -> bool:
        """Whether the device said where this service is."""
        return namespace in self._addresses

    def here(self, address: str) -> str:
        """An address of the device's, on the host that people named: a device behind NAT tells its inner one, and a false one somebody else's."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            raise GarbledError("an address of the device is none", address.encode("utf-8", "replace")) from None
        base = self._endpoint.base
        if (
            parts.hostname == self._endpoint.host.lower()
            and port is not None
            and parts.scheme == base.partition(":")[0]
        ):
            base = f"{base.rpartition(':')[0]}:{port}"
        query = f"?{parts.query}" if parts.query else ""
        return f"{base}{parts.path or '/'}{query}"

    async def ask(
        self,
        service: str,
        operation: str,
        *,
        at: str = "",
        headers: Sequence[Element] = (),
        signed: bool = True,
        patience: float | None = None,
        **said: Any,
    ) -> Element:
        """One question; the answer's element. `service` is one of the library's names, `at` an address where the service's own is not meant."""
        known = _onvif.SERVICES[service]
        address = at or self._addresses.get(known["ns"], "")
        if not address:
            raise FaultError(f"the device has no {service} service")
        client = _onvif.ZeepAsyncClient(
            wsdl=await _document(str(_WSDL / known["wsdl"])),
            wsse=self._token() if signed else None,
            transport=self._transport,
            settings=_ANSWERS_ARE_OURS,
            plugins=[_onvif.WsAddressingIfMissingPlugin()],
        )
        proxy = client.create_service(f"{{{known['ns']}}}{known['binding']}", address)
        if headers:
            said["_soapheaders"] = list(headers)
        self._transport.patience = self._endpoint.timeout_s if patience is None else patience
        return await getattr(proxy, operation)(**said)

    def _token(self) -> Any:
        if self._endpoint.username is None or self._endpoint.password is None:
            return None
        return _onvif.UsernameDigestTokenDtDiff(
            self._endpoint.username, self._endpoint.password.get_secret_value(), dt_diff=self._ahead, use_digest=True
        )


async def _document(path: str) -> Any:
    """A parsed WSDL document. One at a time: sixty cameras that connect at once must not parse it sixty times."""
    async with _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await _onvif._cached_document(path)


def _digest(username: str, password: str) -> Any:
    """HTTP digest for every port of the device: the library's own answers the challenges of one only."""
    by_origin: dict[object, aiohttp.DigestAuthMiddleware] = {}

    async def answer(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        if len(by_origin) >= _PORTS:
            by_origin.clear()
        known = by_origin.setdefault(request.url.origin(), aiohttp.DigestAuthMiddleware(username, password))
        return await known(request, handler)

    return answer


@contextlib.asynccontextmanager
async def conversation(endpoint: Endpoint) -> AsyncIterator[Conversation]:
    """A conversation with the device; nothing is said yet."""
    digest: tuple[Any, ...] = ()
    if endpoint.username is not None and endpoint.password is not None:
        digest = (_digest(endpoint.username, endpoint.password.get_secret_value()),)
    tls: Any = {"off": True, "verified": True, "unverified": False}[endpoint.tls]
    # a connection a question: a device may end an idle one at any moment, and a question must not be asked twice to find out
    connector = aiohttp.TCPConnector(limit=6, ssl=tls, force_close=True)
    session = aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        middlewares=digest,
    )
    async with session:
        yield Conversation(endpoint, session)


__all__ = ["CAPABILITIES", "EVENTS", "Conversation", "SilentError", "conversation"]
