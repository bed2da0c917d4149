"""Files that only their owner may read, replaced at once or not at all."""

import os
import secrets
from pathlib import Path


def write_secret(path: Path, text: str, sync: bool = False) -> None:
    """Replace `path` (mode 0600) by `text` atomically; `sync` also outlives a power cut. An existing file's owner stays."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if os.geteuid() == 0 and path.exists():
            os.chown(fresh, path.stat().st_uid, path.stat().st_gid)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
