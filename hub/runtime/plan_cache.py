"""The cached plan on the hub's disk, so that a hub that is started while the database is away can still page.

It holds what the channels need to send, secrets among it. So each file is encrypted (AES-256-GCM) by a key that is derived from the
database's address, which holds the password: the file alone, in a backup or on a lost disk, tells nothing (decision 0250). Mode 0600 in a
folder of mode 0700, written whole and renamed. With another address the files cannot be read and are made anew.
"""

import os
import secrets
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_MAGIC = b"anxin plan 1\n"
_SALT, _NONCE = 16, 12
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class PlanCache:
    """Named parts of the plan in one folder; None: nothing is kept. All calls block."""

    def __init__(self, folder: Path | None, database_url: str) -> None:
        self._folder = folder
        self._secret = database_url.encode()
        self._written: dict[str, int] = {}

    def save(self, name: str, part: Any) -> bool:
        """Write a part where it differs from what was written last; False where the disk did not take it."""
        if self._folder is None:
            return True
        plain = msgspec.msgpack.encode(part)
        mark = hash(plain)
        if self._written.get(name) == mark:
            return True
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._key(salt)).encrypt(nonce, plain, name.encode())
        unfinished = self._folder / f".{name}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + salt + nonce + sealed)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._folder / f"{name}.plan")
        except OSError as error:
            _log.error("standby.plan_not_written", part=name, reason=error.strerror)
            return False
        self._written[name] = mark
        return True

    def load(self, name: str, kind: type[T]) -> T | None:
        """A part as it was written last, None where there is none that can be read."""
        if self._folder is None:
            return None
        try:
            whole = (self._folder / f"{name}.plan").read_bytes()
        except OSError:
            return None
        head = len(_MAGIC)
        salt, nonce, sealed = (
            whole[head : head + _SALT],
            whole[head + _SALT : head + _SALT + _NONCE],
            whole[head + _SALT + _NONCE :],
        )
        try:
            if not whole.startswith(_MAGIC):
                raise ValueError("it is no plan of this version")
            plain = AESGCM(self._key(salt)).decrypt(nonce, sealed, name.encode())
            return msgspec.msgpack.decode(plain, type=kind)
        except (InvalidTag, ValueError, msgspec.DecodeError) as error:
            _log.warning("standby.plan_unreadable", part=name, reason=type(error).__name__)
            return None

    def _key(self, salt: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, b"anxin cached plan").derive(self._secret)
