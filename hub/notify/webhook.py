"""Webhooks after Standard Webhooks 1.0: `webhook-id` is the idempotency key and stays the same over retries, timestamp and signature
(HMAC-SHA256, `v1`) are made anew for each attempt. 2xx is delivered, 410 gives up, everything else is tried again; a redirect is not followed.

The receiver must drop what it has already seen by `webhook-id`: a hub that is killed between sending and noting it sends once more.
"""

import asyncio
import base64
import binascii
import json
import logging
import ssl
from datetime import UTC, datetime
from functools import cache
from typing import ClassVar

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from standardwebhooks import Webhook

from hub.errors import BadInput
from hub.notify.address import Peer, resolve
from hub.notify.message import Message, Outcome, Receipt
from hub.notify.wording import headline, instruction

# these write whole URLs into their log, and a URL may hold a token
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

_SECONDS = 5.0
_GONE = 410
_PREFIX = "whsec_"


class WebhookSettings(BaseModel):
    """Where to post, and the shared secret (`whsec_` and base64 of 24 to 64 bytes). The URL may hold a token: it is a secret too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr
    secret: SecretStr

    @field_validator("url")
    @classmethod
    def _is_plain_http(cls, url: SecretStr) -> SecretStr:
        try:
            parsed = httpx.URL(url.get_secret_value())
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError("is no URL") from None
        if parsed.scheme not in ("http", "https") or parsed.host == "":
            raise ValueError("a webhook goes to http:// or https:// and a host")
        if parsed.userinfo or parsed.fragment:
            raise ValueError("a webhook's URL has no user, password or fragment: the signature proves who sends")
        return url

    @field_validator("secret")
    @classmethod
    def _is_long_enough(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
            raise ValueError("a webhook secret is whsec_ and the base64 of 24 to 64 random bytes")
        return secret

    def shown(self) -> dict[str, object]:
        """What may be shown: the host, not the path."""
        url = httpx.URL(self.url.get_secret_value())
        return {"url": f"{url.scheme}://{url.netloc.decode('ascii')}/…", "secret": "***"}


@cache
def _trust() -> ssl.SSLContext:
    # building one costs 15 ms and more; it holds no state of a connection
    return httpx.create_ssl_context(trust_env=False)


def content(message: Message) -> bytes:
    """The body: `type`, `timestamp` (when the alarm was raised) and `data`. An exercise is of another type, so that a receiver that knows
    nothing of exercises does not take it for real; `exercise` says which, and title and response are marked."""
    data = {
        "alarm": str(message.alarm),
        "institution": message.institution,
        "institution_title": message.institution_title.model_dump(),
        "division": message.division,
        "place": message.place.model_dump(),
        "device": message.device,
        "definition": message.definition,
        "instance": message.instance,
        "class": message.signal_class,
        "priority": message.priority,
        "state": message.state,
        "title": headline(message).model_dump(),
        "response": instruction(message).model_dump(),
        "raised_at": _rfc3339(message.raised_at),
        "occurrences": message.occurrences,
        "late": message.late,
        "responder": message.responder,
        "round": message.round,
        "step": message.step,
        "repetition": message.repetition,
        "link": message.link,
        "exercise": message.exercise,
    }
    kind = "alarm.raised" if message.exercise is None else "alarm.exercise"
    document = {"type": kind, "timestamp": _rfc3339(message.raised_at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class WebhookChannel:
    """Posts messages to one URL."""

    carries_marks: ClassVar[bool] = True

    def __init__(self, settings: WebhookSettings, *, allow_loopback: bool = False, seconds: float = _SECONDS) -> None:
        self._url = httpx.URL(settings.url.get_secret_value())
        self._signer = Webhook(settings.secret.get_secret_value())
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def send(self, message: Message) -> Receipt:
        """One POST, five seconds at most for all of it."""
        try:
            async with asyncio.timeout(self._seconds):
                port = self._url.port or (443 if self._url.scheme == "https" else 80)
                peers = await resolve(self._url.host, port, allow_loopback=self._allow_loopback)
                status = await self._post(peers, message)
        except (TimeoutError, httpx.TimeoutException):
            return Receipt(Outcome.FAILED, None, f"no answer within {self._seconds:g} s")
        except BadInput as error:
            return Receipt(Outcome.REFUSED, None, error.reason)
        except httpx.HTTPError as error:
            return Receipt(Outcome.FAILED, None, _wording(error))
        except (OSError, UnicodeError):
            return Receipt(Outcome.FAILED, None, "the host's name cannot be resolved")
        return _judge(status)

    async def _post(self, peers: list[Peer], message: Message) -> int:
        failure: httpx.HTTPError | None = None
        for peer in peers:
            try:
                return await self._post_to(peer, message)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def _post_to(self, peer: Peer, message: Message) -> int:
        payload = content(message)
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "anxin-hub",
            "host": self._url.netloc.decode("ascii"),
            "webhook-id": str(message.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(str(message.id), now, payload.decode()),
        }
        # a connection each: one that is shared by address could carry another name's certificate
        transport = httpx.AsyncHTTPTransport(
            verify=_trust(), trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        # TCP and TLS each get less than half: a TLS handshake that is cancelled from outside would leave its socket open (httpcore)
        timeout = httpx.Timeout(self._seconds, connect=0.4 * self._seconds)
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, follow_redirects=False, timeout=timeout
        ) as client:
            request = client.build_request(
                "POST",
                self._url.copy_with(host=peer.address),
                content=payload,
                headers=headers,
                extensions={"sni_hostname": self._url.host},
            )
            response = await client.send(request, stream=True)
            # the answer's body is never read: it is nobody's here, and may have no end
            await response.aclose()
            return response.status_code


def _judge(status: int) -> Receipt:
    if 200 <= status < 300:
        return Receipt(Outcome.DELIVERED, status)
    if status == _GONE:
        return Receipt(Outcome.REFUSED, status, "the receiver says that this webhook is gone")
    if 300 <= status < 400:
        return Receipt(Outcome.FAILED, status, "the receiver redirects, which is not followed")
    return Receipt(Outcome.FAILED, status, "the receiver did not take it")


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
