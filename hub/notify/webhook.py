"""Webhooks after Standard Webhooks 1.0: `webhook-id` is the idempotency key and stays the same over retries, timestamp and signature
(HMAC-SHA256, `v1`) are made anew for each attempt. 2xx is delivered, 410 gives up, everything else is tried again; a redirect is not followed.

The receiver must drop what it has already seen by `webhook-id`: a hub that is killed between sending and noting it sends once more.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import ClassVar

import httpx
from pydantic import SecretStr, field_validator
from standardwebhooks import Webhook

from hub.notify.message import ChannelSettings, Listed, Message, Purpose, Receipt
from hub.notify.posting import judge, post
from hub.notify.wording import headline, instruction

_SECONDS = 5.0
_PREFIX = "whsec_"
_TYPES = {Purpose.PAGE: "alarm.raised", Purpose.REMINDER: "alarm.reminder", Purpose.DIGEST: "alarm.digest"}


class WebhookSettings(ChannelSettings):
    """Where to post, and the shared secret (`whsec_` and base64 of 24 to 64 bytes). The URL may hold a token: it is a secret too."""

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

    def channel(self, *, allow_loopback: bool) -> "WebhookChannel":
        """The channel of these settings."""
        return WebhookChannel(self, allow_loopback=allow_loopback)


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
    if message.purpose is Purpose.REMINDER:
        data["owner"] = message.owner
    if message.purpose is Purpose.DIGEST:
        data["alarms"] = [_line(one) for one in message.listed]
        data["alarm_count"] = message.listed_count
    kind = _TYPES[message.purpose] if message.exercise is None else "alarm.exercise"
    document = {"type": kind, "timestamp": _rfc3339(message.raised_at), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _line(one: Listed) -> dict[str, object]:
    titles = {"title": one.title, "institution_title": one.institution_title, "place": one.place}
    return {
        "alarm": str(one.alarm),
        "priority": one.priority,
        **{name: title.model_dump() for name, title in titles.items()},
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def post_signed(
    settings: WebhookSettings, name: str, payload: bytes, *, allow_loopback: bool, seconds: float
) -> Receipt:
    """One signed POST; `name` is the idempotency key."""
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(settings.secret.get_secret_value()).sign(name, now, payload.decode()),
    }
    url = httpx.URL(settings.url.get_secret_value())
    answer = await post(url, payload, headers, allow_loopback=allow_loopback, seconds=seconds)
    return answer if isinstance(answer, Receipt) else judge(answer.status, answer.retry_after)


class WebhookChannel:
    """Posts messages to one URL."""

    carries_marks: ClassVar[bool] = True

    def __init__(self, settings: WebhookSettings, *, allow_loopback: bool = False, seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def send(self, message: Message) -> Receipt:
        """One POST, five seconds at most for all of it."""
        return await post_signed(
            self._settings,
            str(message.id),
            content(message),
            allow_loopback=self._allow_loopback,
            seconds=self._seconds,
        )
