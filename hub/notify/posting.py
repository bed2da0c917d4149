"""One POST to an address that was checked: the name is resolved once, every address is looked at, and what was looked at is connected to.
No redirect is followed, no proxy of the environment is used, and all of it has one time limit.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import httpx

from hub.errors import BadInput
from hub.model import SECOND, Micros
from hub.notify.address import Peer, resolve
from hub.notify.message import Outcome, Receipt

# these write whole URLs into their log, and a URL may hold a token
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class Answer(NamedTuple):
    """What came back; `body` as far as it was asked for."""

    status: int
    body: bytes
    retry_after: Micros | None = None
    """so long the receiver asks to be left alone"""


@cache
def _trust(ca_file: str | None) -> ssl.SSLContext:
    # building one costs 15 ms and more; it holds no state of a connection
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


async def post(
    url: httpx.URL,
    payload: bytes,
    headers: Mapping[str, str],
    *,
    allow_loopback: bool,
    seconds: float,
    read: int = 0,
    ca_file: str | None = None,
) -> Answer | Receipt:
    """What the receiver answered, of its body at most `read` bytes; or a receipt that says in our own words why there is no answer."""
    try:
        async with asyncio.timeout(seconds):
            port = url.port or (443 if url.scheme == "https" else 80)
            peers = await resolve(url.host, port, allow_loopback=allow_loopback)
            return await _post(peers, url, payload, headers, seconds, read, ca_file)
    except (TimeoutError, httpx.TimeoutException):
        return Receipt(Outcome.FAILED, None, f"no answer within {seconds:g} s")
    except BadInput as error:
        return Receipt(Outcome.REFUSED, None, error.reason)
    except httpx.HTTPError as error:
        return Receipt(Outcome.FAILED, None, _wording(error))
    except (OSError, UnicodeError):
        return Receipt(Outcome.FAILED, None, "the host's name cannot be resolved")


async def _post(
    peers: list[Peer],
    url: httpx.URL,
    payload: bytes,
    headers: Mapping[str, str],
    seconds: float,
    read: int,
    ca_file: str | None,
) -> Answer:
    failure: httpx.HTTPError | None = None
    # TCP and TLS each get less than half: a TLS handshake that is cancelled from outside would leave its socket open (httpcore). Of several
    # addresses each gets its share: those that do not answer must leave time for the one that does
    connect = min(0.4, 0.8 / len(peers)) * seconds
    for peer in peers:
        try:
            return await _post_to(peer, url, payload, headers, httpx.Timeout(seconds, connect=connect), read, ca_file)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            failure = error
    assert failure is not None
    raise failure


async def _post_to(
    peer: Peer,
    url: httpx.URL,
    payload: bytes,
    headers: Mapping[str, str],
    timeout: httpx.Timeout,
    read: int,
    ca_file: str | None,
) -> Answer:
    # a connection each: one that is shared by address could carry another name's certificate
    transport = httpx.AsyncHTTPTransport(
        verify=_trust(ca_file), trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, timeout=timeout
    ) as client:
        request = client.build_request(
            "POST",
            url.copy_with(host=peer.address),
            content=payload,
            headers={
                "user-agent": "anxin-hub",
                "accept-encoding": "identity",
                **headers,
                "host": url.netloc.decode("ascii"),
            },
            extensions={"sni_hostname": url.host},
        )
        response = await client.send(request, stream=True)
        try:
            # beyond what was asked for the answer is nobody's here, and may have no end
            return Answer(response.status_code, await _some(response, read), _retry_after(response))
        finally:
            await response.aclose()


async def _some(response: httpx.Response, read: int) -> bytes:
    found = b""
    if read > 0:
        # as it came: what unpacks a small answer may make a thousand times as much of it
        async for part in response.aiter_raw():
            found += part
            if len(found) >= read:
                break
    return found[:read]


def _retry_after(response: httpx.Response) -> Micros | None:
    """`Retry-After` in seconds (RFC 9110 10.2.3); a date would need two clocks that agree, and is not looked at."""
    said = response.headers.get("retry-after", "").strip()
    return int(said) * SECOND if re.fullmatch(r"[0-9]{1,6}", said, re.ASCII) else None


def judge(status: int, retry_after: Micros | None = None) -> Receipt:
    """What a status alone says: 2xx is delivered, 410 gives up, everything else is tried again, not before the receiver wants it."""
    if 200 <= status < 300:
        return Receipt(Outcome.DELIVERED, status)
    if status == httpx.codes.GONE:
        return Receipt(Outcome.REFUSED, status, "the receiver says that this webhook is gone")
    if 300 <= status < 400:
        return Receipt(Outcome.FAILED, status, "the receiver redirects, which is not followed")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Receipt(Outcome.FAILED, status, "too many messages for the receiver", retry_after=retry_after)
    return Receipt(Outcome.FAILED, status, "the receiver did not take it", retry_after=retry_after)


def _wording(error: httpx.HTTPError) -> str:
    if isinstance(error.__cause__, BaseException) and _is_tls(error):
        return "the receiver's certificate or TLS does not hold"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return f"the connection broke ({type(error).__name__})"


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
