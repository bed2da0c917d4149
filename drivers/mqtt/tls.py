"""Whom we trust at the far end of TLS, and who we are there: an authority's file, or one certificate by its fingerprint."""

import hashlib
import ssl
from typing import Any

from drivers.mqtt.settings import Endpoint
from hub.errors import LinkDown
from hub.mqtt import ClosingSocket


def context_of(endpoint: Endpoint) -> ssl.SSLContext | None:
    """None without TLS; raises LinkDown that names the file which cannot be used."""
    if not endpoint.tls:
        return None
    context = ssl.create_default_context()
    if endpoint.ca_file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(context.load_verify_locations, "ca_file", endpoint.ca_file)
    if endpoint.fingerprint is not None:
        context = _pinned(endpoint.fingerprint)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.certificate_file is not None:
        _load(context.load_cert_chain, "certificate_file", endpoint.certificate_file, endpoint.key_file)
    return context


def _load(load: Any, key: str, *files: str | None) -> None:
    try:
        load(*files)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no PEM of the right kind"
        raise LinkDown(f"{key} {files[0]}: {reason}") from None


def _pinned(fingerprint: str) -> ssl.SSLContext:
    """Checked in the handshake, so before a password is sent."""
    wanted = bytes.fromhex(fingerprint.replace(":", ""))

    class Pinned(ClosingSocket):
        def check_peer(self) -> None:
            shown = self.getpeercert(binary_form=True)
            if shown is None or hashlib.sha256(shown).digest() != wanted:
                raise ssl.SSLCertVerificationError("the broker's certificate is not the one of the fingerprint")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = Pinned
    return context
