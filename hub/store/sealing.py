"""What channels need to send (addresses, passwords, signing secrets), sealed at rest: under a key that the database does not hold.

In a row stands `{"sealed": "<key id>:<base64>"}`: AES-256-GCM, with the row's place and kind as associated data, so that a line that is copied into
another row opens nothing. Plain settings are read as they are (a hub that was given no key; what stood before), and sealed by `reseal`. What this
process has no key for stays sealed: whoever wants to send by it is told so (`hub.notify`).
"""

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.types.json import Jsonb

from hub.core.channels import SEALED, is_sealed
from hub.errors import BadInput, Conflict
from hub.store.pool import Connection, connect
from hub.store.queries import queries
from hub.store.session import translated

_SQL = queries("sealing")
_NONCE = 12
_TABLES: tuple[LiteralString, ...] = ("responder", "authority")
_log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """Whose channel it is, and of which kind."""

    table: str
    """responder or authority"""
    owner: str
    channel: str
    kind: str


class Keys:
    """The first seals, each opens. Without any, what is written stands as it is."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._ciphers = {_id(key): AESGCM(key) for key in keys}

    def __bool__(self) -> bool:
        return bool(self._ciphers)

    def seal(self, settings: Mapping[str, Any], place: Place) -> dict[str, Any]:
        """As they are stored. What is sealed already (and could not be opened) stays as it is."""
        if not self._ciphers or is_sealed(settings):
            return dict(settings)
        name = next(iter(self._ciphers))
        nonce = secrets.token_bytes(_NONCE)
        plain = json.dumps(settings, ensure_ascii=False).encode()
        text = base64.b64encode(nonce + self._ciphers[name].encrypt(nonce, plain, _about(place))).decode()
        return {SEALED: f"{name}:{text}"}

    def open(self, settings: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
        """As they were given; what no key of ours opens, or was put into this row by somebody else, stays sealed."""
        if not is_sealed(settings):
            return settings
        name, _, text = str(settings[SEALED]).partition(":")
        cipher = self._ciphers.get(name)
        if cipher is None:
            return settings
        try:
            whole = base64.b64decode(text, validate=True)
            found = json.loads(cipher.decrypt(whole[:_NONCE], whole[_NONCE:], _about(place)))
        except (InvalidTag, ValueError):
            return settings
        return found if isinstance(found, dict) else settings

    def is_current(self, settings: Mapping[str, Any]) -> bool:
        """Whether they stand as they would be written now."""
        return not self._ciphers or str(settings.get(SEALED, "")).startswith(f"{next(iter(self._ciphers))}:")


def parse_keys(text: str) -> Keys:
    """Keys of 32 bytes in base64, separated by blanks or commas; raises BadInput that says which one is none, and never what it is."""
    keys = []
    for n, word in enumerate(re.split(r"[\s,]+", text.strip()) if text.strip() else (), 1):
        try:
            key = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise BadInput(f"key {n} is not 32 bytes in base64", "ANXIN_CHANNEL_KEYS", code="settings")
        keys.append(key)
    return Keys(keys)


class _Ring:
    """The keys of this process: given once, before anything is read."""

    keys = Keys()


def use(keys: Keys) -> None:
    """Seal and open with these from now on, in this process."""
    _Ring.keys = keys


def has_keys() -> bool:
    """Whether what this process writes is sealed."""
    return bool(_Ring.keys)


def sealed(settings: Mapping[str, Any], place: Place) -> Jsonb:
    """As a row holds them."""
    return Jsonb(_Ring.keys.seal(settings, place))


def opened(settings: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """What a row holds, for whoever sends."""
    return _Ring.keys.open(settings, place)


async def refuse_known(conn: Connection, place: Place, given: Iterable[Mapping[str, Any]], phone: str = "") -> None:
    """Raise Conflict where one of these addresses is told by the other side: an authority is told there, or a responder is (decision 0313).

    The database's own triggers see only what stands plain; this opens what is sealed.
    """
    mine = {told_at(settings) for settings in given} | {told_at({"number": phone}) if phone else ""}
    other = next(table for table in _TABLES if table != place.table)
    theirs = set()
    for owner, channel, kind, settings, number in await (await conn.execute(_SQL[f"live_{other}"])).fetchall():
        if settings is not None:
            theirs.add(told_at(opened(settings, Place(other, owner, channel, kind))))
        if number:
            theirs.add(told_at({"number": number}))
    if (mine & theirs) - {""}:
        raise Conflict("this contradicts what is stored (authority_is_no_responder)")


def told_at(settings: Mapping[str, Any]) -> str:
    """Where a channel leads, as the database's function of the same name says it; empty for what has no one address."""
    url = re.split(r"[?#]", str(settings.get("url") or ""), maxsplit=1)[0].rstrip("/").lower()
    return url or re.sub(r"^(00)?86", "", re.sub(r"\D", "", str(settings.get("number") or "")))


async def reseal(database_url: str) -> int:
    """Seal under the newest key what stands plain or under an older one, retired rows too; how many there were. Raises LinkDown."""
    if not _Ring.keys:
        return 0
    conn = await connect(database_url, "sealing", autocommit=True)
    done = 0
    try:
        with translated():
            for table in _TABLES:
                for owner, channel in await (await conn.execute(_SQL[f"all_{table}"])).fetchall():
                    async with conn.transaction():
                        done += await _reseal_one(conn, table, owner, channel)
    finally:
        await conn.close()
    if done:
        _log.info("channels.sealed", channels=done)
    return done


async def _reseal_one(conn: Connection, table: str, owner: str, channel: str) -> bool:
    given = {"owner": owner, "channel": channel}
    row = await (await conn.execute(_SQL[f"lock_{table}"], given)).fetchone()
    if row is None or _Ring.keys.is_current(row[1]):
        return False
    place = Place(table, owner, channel, row[0])
    plain = opened(row[1], place)
    if is_sealed(plain):
        _log.error("channels.key_missing", owner=owner, channel=channel, reason="sealed under a key that is not given")
        return False
    await conn.execute(_SQL[f"write_{table}"], given | {"settings": sealed(plain, place)})
    return True


def _about(place: Place) -> bytes:
    return json.dumps(["anxin channel 1", *place]).encode()


def _id(key: bytes) -> str:
    return hashlib.sha256(b"anxin channel key id" + key).hexdigest()[:8]
