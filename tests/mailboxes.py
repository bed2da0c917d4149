"""A real SMTP server (aiosmtpd) on loopback, with and without TLS and login, for the tests of mail."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "anxin", "hidden-password"


@dataclass
class Mailbox:
    """What arrived. `answers` are used up by RCPT and DATA (`rcpt 550 no`, `data 554 no`, `hang`); then all is accepted."""

    answers: list[str] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    port: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def _next(self, verb: str) -> str | None:
        if self.answers and self.answers[0].startswith(verb):
            return self.answers.pop(0).removeprefix(verb).strip()
        return None

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        refused = self._next("rcpt")
        if refused is not None:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        if self._next("hang") is not None:
            await self.release.wait()
        refused = self._next("data")
        if refused is not None:
            return refused
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.envelopes.append((envelope.mail_from or "", list(envelope.rcpt_tos)))
        return "250 taken"


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test relay")])
    found = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(found), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    crt, pem = folder / "relay.crt", folder / "relay.key"
    crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return crt, pem


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False) if not good else AuthResult(success=True)


@asynccontextmanager
async def mailbox(
    *answers: str, security: str = "none", files: tuple[Path, Path] | None = None, login: bool = False
) -> AsyncIterator[Mailbox]:
    """A relay for as long as the block lasts."""
    found = Mailbox(list(answers))
    tls = None
    if files is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*files)
    servers: list[SMTP] = []

    def make() -> SMTP:
        with warnings.catch_warnings():
            # it does not see that the connection is TLS from its first byte
            warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
            return make_server()

    def make_server() -> SMTP:
        servers.append(
            SMTP(
                found,
                hostname="relay.test",
                tls_context=tls if security == "starttls" else None,
                require_starttls=security == "starttls",
                authenticator=_login if login else None,
                auth_required=login,
                auth_require_tls=security == "starttls",
            )
        )
        return servers[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls if security == "tls" else None)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.release.set()
        server.close()
        for one in servers:
            if one.transport is not None:
                one.transport.close()
            if one._handler_coroutine is not None:
                one._handler_coroutine.cancel()
        await server.wait_closed()
