"""Signed links in notifications: `/n/<notification>/<expiry>/<mac>`, short enough for a text message.

The link names one notification, and so one alarm and one responder. It is made and checked here; what it may show and do stands in
hub/web/links.py and docs/decisions/0270-signed-links.md.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from uuid import UUID

LIFETIME = timedelta(hours=24)
"""From the moment at which the notification was written: longer than any alarm should wait, shorter than a forgotten phone."""
_PURPOSE = b"anxin link 1"
_MAC_BYTES = 16


def sign(key: bytes, notification: UUID, expires: int) -> str:
    """The path of a link. `key` has 32 bytes; `expires` is in whole seconds since 1970 UTC."""
    return f"/n/{_text(notification.bytes)}/{expires:x}/{_text(_mac(key, notification, expires))}"


def opened(key: bytes, notification: str, expires: str, mac: str, now: int) -> UUID | None:
    """The notification that a link names, or None for one that is wrong or has expired; both look the same to the caller."""
    try:
        named = UUID(bytes=_bytes(notification, 16))
        until = int(expires, 16)
        given = _bytes(mac, _MAC_BYTES)
    except ValueError:
        return None
    if f"{until:x}" != expires or until > 0xFFFFFFFFFF:
        return None
    holds = hmac.compare_digest(given, _mac(key, named, until))
    return named if holds and now < until else None


def _mac(key: bytes, notification: UUID, expires: int) -> bytes:
    said = _PURPOSE + notification.bytes + expires.to_bytes(8, "big")
    return hmac.digest(key, said, hashlib.sha256)[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str, length: int) -> bytes:
    if len(text) > 32 or not text.isascii():
        raise ValueError
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) != length or _text(data) != text:
        raise ValueError
    return data
