"""The engine that version 3 informs are sent to: ours. Its id and how often it began are kept in a file, where there is a folder for it.

A sender that knows the id takes our time as of these boots; were they to begin at 1 again it would refuse to believe us (RFC 3414, 2.2.2).
"""

import json
import os
import secrets
import time
from pathlib import Path
from typing import NamedTuple

_NAME = "snmp-engine.json"
_MOST_BOOTS = 2**31 - 2


class Identity(NamedTuple):
    """Our authoritative engine."""

    id: bytes
    boots: int
    began: float
    """seconds of the monotonic clock"""

    @property
    def time(self) -> int:
        """snmpEngineTime: whole seconds since it began."""
        return int(time.monotonic() - self.began)


def begin_engine(folder: str | None) -> Identity:
    """The engine kept in `folder`, begun once more; a new one where there is none or nothing is kept. Raises OSError, ValueError."""
    began = time.monotonic()
    if folder is None:
        return Identity(_new_id(), 1, began)
    path = Path(folder) / _NAME
    try:
        kept = json.loads(path.read_text("utf-8"))
        engine = Identity(bytes.fromhex(kept["engine_id"]), int(kept["boots"]) + 1, began)
        if not 5 <= len(engine.id) <= 32 or engine.boots < 1:
            raise ValueError("out of bounds")
    except FileNotFoundError:
        engine = Identity(_new_id(), 1, began)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None
    if engine.boots > _MOST_BOOTS:  # RFC 3414, section 2.2.2: another id is the way out
        engine = Identity(_new_id(), 1, began)
    _write(path, json.dumps({"engine_id": engine.id.hex(), "boots": engine.boots}))
    return engine


def _new_id() -> bytes:
    """RFC 3411, SnmpEngineID, format 5: octets of our own choice; enterprise 0, because we have no number."""
    return b"\x80\x00\x00\x00\x05" + secrets.token_bytes(12)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
