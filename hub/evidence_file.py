"""The file of an evidence bundle: a zip whose every byte is sealed by its last line, so that nothing in it can be other than it was written.

Reading is bounded before anything is unpacked: a small file that would become a large one is refused.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from hub.core.coverage import canonical, evidence
from hub.errors import BadInput

MOST_BYTES = 512 << 20
"""of a bundle, and of what it unpacks to; a year of an institution takes some 20 MB"""
MOST_FILES = 200_000
_SEAL = len("sha256:") + 64
_WHEN = (1980, 1, 1, 0, 0, 0)


def pack(subject: str, since: str, until: str, made_at: str, files: Mapping[str, bytes]) -> bytes:
    """The bundle of these files, with its manifest."""
    named = {name: canonical.sha256(content).hex() for name, content in files.items()}
    about = {"subject": subject, "from": since, "to": until, "made_at": made_at}
    manifest = canonical.text({"format": evidence.FORMAT, **about, "files": named})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in [(evidence.MANIFEST, manifest), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return _sealed(out.getvalue())


def _sealed(data: bytes) -> bytes:
    # the comment's length is the last field of an archive without one
    body = data[:-2] + struct.pack("<H", _SEAL)
    return body + b"sha256:" + sha256(body).hexdigest().encode()


def read(data: bytes, where: str) -> tuple[dict[str, bytes], bool]:
    """The files by name, and whether the seal holds. Raises BadInput for what is no bundle, or too large to be one."""
    if len(data) > MOST_BYTES:
        raise BadInput(f"is larger than {MOST_BYTES >> 20} MB", where, code="evidence")
    body, seal = data[:-_SEAL], data[-_SEAL:]
    whole = seal == b"sha256:" + sha256(body).hexdigest().encode()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _unpacked(archive, where), whole
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, UnicodeDecodeError) as error:
        raise BadInput(f"is no whole zip file: {error}", where, code="evidence") from None
    except (RuntimeError, ValueError, OSError, OverflowError) as error:
        raise BadInput(f"cannot be unpacked: {error}", where, code="evidence") from None


def _unpacked(archive: zipfile.ZipFile, where: str) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise BadInput(f"holds more than {MOST_FILES} files", where, code="evidence")
    files: dict[str, bytes] = {}
    left = MOST_BYTES
    for entry in entries:
        if entry.filename in files:
            raise BadInput(f"holds {entry.filename!r} twice", where, code="evidence")
        with archive.open(entry) as source:
            content = source.read(left + 1)  # what it declares to be is not believed
        left -= len(content)
        if left < 0:
            raise BadInput(f"unpacks to more than {MOST_BYTES >> 20} MB", where, code="evidence")
        files[entry.filename] = content
    return files


def verify(data: bytes, where: str, key: bytes | None = None) -> evidence.Checked:
    """What a bundle turns out to be (hub.core.coverage.evidence), `key` as there. Raises BadInput for what is no bundle at all."""
    files, whole = read(data, where)
    checked = evidence.check(files, key)
    if whole:
        return checked
    fault = f"{where}: its seal is broken: bytes were changed"
    return checked._replace(faults=[fault, *checked.faults])


def lines(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a file of the bundle, one a line."""
    return b"".join(canonical.text(row) + b"\n" for row in rows)
