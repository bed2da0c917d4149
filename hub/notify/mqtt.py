"""A broker's topic: something else reads it (a building's display, a platform). The broker must say that it took it (QoS 1, reason checked).

A connection of its own for each message: it is quick enough, and a broker that is away costs its own messages alone. Topics below
`anxin/` are refused: there the hub speaks to edges.
"""

import asyncio
import re
import secrets
import ssl
from functools import cache
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from hub.errors import AccessDenied, BadInput, LinkDown
from hub.mqtt import Broker, session
from hub.notify.address import resolve
from hub.notify.message import ChannelSettings, Message, Outcome, Receipt
from hub.notify.webhook import content

_SECONDS = 8.0
_NOT_AUTHORIZED = 0x87


class MqttSettings(ChannelSettings):
    """The broker, who we are there, and the topic. A password is sent over TLS alone."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(default=8883, ge=1, le=65535)
    tls: bool = True
    username: str | None = Field(default=None, max_length=100)
    password: SecretStr | None = None
    topic: str = Field(min_length=1, max_length=200)
    retain: bool = False

    @field_validator("topic")
    @classmethod
    def _is_somebody_elses(cls, topic: str) -> str:
        if re.search(r"[+#\x00-\x1f\x7f]", topic) or topic.startswith(("$", "/")):
            raise ValueError("a topic name without wildcards, that begins with neither $ nor /")
        if topic.split("/")[0].lower() == "anxin":
            raise ValueError("below anxin/ the hub speaks to its edges")
        return topic

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> "MqttSettings":
        if self.password is not None and not self.tls and self.host not in ("127.0.0.1", "::1"):
            raise ValueError("a password is not sent without TLS")
        if self.password is not None and self.username is None:
            raise ValueError("username and password are given together")
        return self

    def shown(self) -> dict[str, object]:
        """What may be shown."""
        shown = self.model_dump(mode="json", exclude={"password"}, exclude_none=True)
        return shown if self.password is None else {**shown, "password": "***"}

    def channel(self, *, allow_loopback: bool) -> "MqttChannel":
        """The channel of these settings."""
        return MqttChannel(self, allow_loopback=allow_loopback)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


class MqttChannel:
    """Publishes messages to one topic."""

    carries_marks: ClassVar[bool] = True

    def __init__(self, settings: MqttSettings, *, allow_loopback: bool = False, seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def send(self, message: Message) -> Receipt:
        """One PUBLISH, eight seconds at most for all of it; the payload is a webhook's, `id` the idempotency key."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._publish(message)
        except TimeoutError:
            return Receipt(Outcome.FAILED, None, f"no answer within {self._seconds:g} s")
        except AccessDenied:
            return Receipt(Outcome.FAILED, _NOT_AUTHORIZED, "the broker does not let us in, or not on this topic")
        except BadInput as error:
            if error.code == "address":
                return Receipt(Outcome.REFUSED, None, error.reason)
            return Receipt(Outcome.FAILED, None, "the broker does not take this message")
        except LinkDown:
            return Receipt(Outcome.FAILED, None, "no connection to the broker")
        except (OSError, UnicodeError):
            return Receipt(Outcome.FAILED, None, "the host's name cannot be resolved")
        return Receipt(Outcome.DELIVERED, 0, "taken by the broker")

    async def _publish(self, message: Message) -> None:
        settings = self._settings
        peers = await resolve(settings.host, settings.port, allow_loopback=self._allow_loopback)
        # with TLS the name must be the certificate's, so whoever answers under another address is not believed
        host = settings.host if settings.tls else peers[0].address
        broker = Broker(host, settings.port, settings.username, settings.password, _trust() if settings.tls else None)
        name = f"anxin-notify-{secrets.token_hex(6)}"
        properties = [("id", str(message.id))]
        if message.exercise is not None:
            properties.append(("exercise", message.exercise.value))
        async with session(broker, client_id=name, clean_start=True, session_expiry=0) as live:
            await live.publish(
                settings.topic, content(message), retain=settings.retain, user_properties=tuple(properties)
            )
