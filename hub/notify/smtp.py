"""Mail: plain text in Chinese and English, `Message-ID` made from the idempotency key, so that a mail sent twice is one in the mailbox."""

import asyncio
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

import aiosmtplib
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from hub.errors import BadInput
from hub.notify.address import connect, resolve
from hub.notify.message import ChannelSettings, Message, Outcome, Receipt
from hub.notify.wording import body, subject

_SECONDS = 10.0
_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"


class SmtpSettings(ChannelSettings):
    """The relay and whom to write to. `security`: STARTTLS (must succeed), TLS from the first byte, or none."""

    host: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")
    port: int = Field(ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    """certificates to trust instead of the machine's"""
    username: str | None = None
    password: SecretStr | None = None
    sender: str = Field(pattern=_ADDRESS, max_length=254)
    recipients: tuple[str, ...] = Field(min_length=1, max_length=50)

    @field_validator("recipients")
    @classmethod
    def _are_addresses(cls, recipients: tuple[str, ...]) -> tuple[str, ...]:
        for recipient in recipients:
            _Address(address=recipient)
        return recipients

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> "SmtpSettings":
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password are given together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password is not sent without TLS: security must be starttls or tls")
        return self

    def shown(self) -> dict[str, object]:
        """What may be shown."""
        shown = self.model_dump(mode="json", exclude={"password"}, exclude_none=True)
        return shown if self.password is None else {**shown, "password": "***"}

    def channel(self, *, allow_loopback: bool) -> "SmtpChannel":
        """The channel of these settings."""
        return SmtpChannel(self, allow_loopback=allow_loopback)


class _Address(BaseModel):
    address: str = Field(pattern=_ADDRESS, max_length=254)


@cache
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def mail(message: Message, settings: SmtpSettings) -> EmailMessage:
    """The mail as it goes out."""
    letter = EmailMessage()
    letter["Subject"] = subject(message)
    letter["From"] = settings.sender
    letter["To"] = ", ".join(settings.recipients)
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = f"<{message.id}@{settings.sender.partition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    if message.priority == "critical":
        letter["Importance"] = "high"
    letter.set_content(body(message), charset="utf-8", cte="base64")
    return letter


class SmtpChannel:
    """Sends mail through one relay."""

    carries_marks: ClassVar[bool] = True

    def __init__(self, settings: SmtpSettings, *, allow_loopback: bool = False, seconds: float = _SECONDS) -> None:
        self._settings = settings
        self._allow_loopback = allow_loopback
        self._seconds = seconds

    async def send(self, message: Message) -> Receipt:
        """One mail to all recipients, ten seconds at most for all of it."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._send(message)
        except TimeoutError:
            return Receipt(Outcome.FAILED, None, f"no answer within {self._seconds:g} s")
        except BadInput as error:
            return Receipt(Outcome.REFUSED, None, error.reason)
        except aiosmtplib.SMTPException as error:
            return _judge(error)
        except ssl.SSLError:
            return Receipt(Outcome.FAILED, None, "the relay's certificate or TLS does not hold")
        except (OSError, UnicodeError):
            return Receipt(Outcome.FAILED, None, "no connection to the relay")

    async def _send(self, message: Message) -> Receipt:
        settings = self._settings
        peers = await resolve(settings.host, settings.port, allow_loopback=self._allow_loopback)
        sock = await connect(peers)
        own = sock.getsockname()[0]
        client = aiosmtplib.SMTP(
            sock=sock,
            hostname=settings.host,
            local_hostname=f"[IPv6:{own}]" if ":" in own else f"[{own}]",
            timeout=self._seconds,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=None if settings.security == "none" else _trust(settings.ca_file),
            username=settings.username,
            password=None if settings.password is None else settings.password.get_secret_value(),
        )
        try:
            await client.connect()
            refused, _ = await client.send_message(
                mail(message, settings), sender=settings.sender, recipients=list(settings.recipients)
            )
        finally:
            # no QUIT: the mail is the relay's once DATA is answered, and a relay that hangs then must not turn it into a failure;
            # no orderly end of TLS either, which would wait for the relay too
            transport = client.transport
            client.close()
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        if refused:
            return Receipt(Outcome.DELIVERED, 250, f"{len(refused)} of {len(settings.recipients)} recipients refused")
        return Receipt(Outcome.DELIVERED, 250)


def _judge(error: aiosmtplib.SMTPException) -> Receipt:
    """5xx for all recipients or for the content is final; a failed login is not: a person can mend it meanwhile."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
        final = all(500 <= code < 600 for code in codes)
        return Receipt(
            Outcome.REFUSED if final else Outcome.FAILED, max(codes, default=None), "no recipient was accepted"
        )
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Receipt(Outcome.FAILED, error.code, "the relay does not accept the login")
    if isinstance(error, aiosmtplib.SMTPDataError):
        final = 500 <= error.code < 600
        return Receipt(Outcome.REFUSED if final else Outcome.FAILED, error.code, "the relay refused the mail")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Receipt(Outcome.FAILED, error.code, "the relay refused")
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Receipt(Outcome.FAILED, None, "the relay does not offer what the settings ask for (STARTTLS, login)")
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return Receipt(Outcome.FAILED, None, "the relay did not answer in time")
    return Receipt(Outcome.FAILED, None, f"the connection to the relay broke ({type(error).__name__})")
