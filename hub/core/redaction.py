"""What stands in a recording and is nobody else's business, replaced: the same original by the same word everywhere. Pure.

Addresses become those that are kept for documents: RFC 5737 (IPv4), RFC 3849 (IPv6), RFC 7042, 2.1.2 (MAC).
"""

import base64
import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from urllib.parse import quote

_HEX = "[0-9A-Fa-f]"
_PATTERNS = (
    ("url", re.compile(r"(?<=://)[^\s/\"@:]{1,200}:[^\s/\"@]{1,200}(?=@)")),
    ("mail", re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,63}(?![\w.-])")),
    ("mac", re.compile(rf"(?<![0-9A-Za-z:.-]){_HEX}{{2}}([:-]){_HEX}{{2}}(?:\1{_HEX}{{2}}){{4}}(?![0-9A-Za-z:.-])")),
    ("ieee", re.compile(rf"0x{_HEX}{{16}}(?!{_HEX})")),
    ("ipv4", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")),
    ("ipv6", re.compile(rf"(?<![\w:.])(?:{_HEX}{{0,4}}:){{2,7}}{_HEX}{{0,4}}(?![\w:.])")),
)
_NAMED = re.compile(
    r'("(?:[\w-]*(?:serial|passw|secret|token|imei|iccid|imsi|ssid|user_?name|host_?name|uuid|friendly_?name|phone|mobile)[\w-]*|sn|user|login)"\s*:\s*")'
    r'((?:[^"\\]|\\.)*)(")',
    re.IGNORECASE,
)
"""Members of JSON whose value names a device, a person or a secret by its key."""


class Redactor:
    """Replaces texts that are given by name, and whatever looks like an address, a serial number or a credential."""

    def __init__(self, known: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
        """`known`: originals and their replacement. `secrets`: what must not stand in any form in what is written."""
        self._known = {original: word for original, word in known.items() if original}
        self._secrets = sorted({secret for secret in secrets if secret})
        self._given: dict[tuple[str, str], str] = {}

    @property
    def replaced(self) -> dict[str, int]:
        """How many different originals of each kind were replaced."""
        kinds = [kind for kind, _ in self._given]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def __call__(self, text: str) -> str:
        """The text without them."""
        for original in sorted(self._known, key=len, reverse=True):
            text = text.replace(original, self._known[original])
        text = _NAMED.sub(lambda found: found[1] + self._word("named", found[2]) + found[3], text)
        for kind, pattern in _PATTERNS:
            text = pattern.sub(lambda found, kind=kind: self._word(kind, found[0]), text)  # type: ignore[misc]
        return text

    def _word(self, kind: str, original: str) -> str:
        ours = original in self._given.values() or original in self._known.values()
        if not original or ours or (kind == "ipv6" and not _is_ipv6(original)):
            return original
        word = self._given.get((kind, original))
        if word is None:
            number = sum(known == kind for known, _ in self._given) + 1
            word = self._given[kind, original] = _made(kind, original, number)
        return word

    def leaks(self, files: Mapping[str, bytes]) -> list[str]:
        """Names of files in which a secret still stands: as it is, in hexadecimal, in base64 or percent-encoded."""
        return [name for name, octets in files.items() if any(_stands(secret, octets) for secret in self._secrets)]


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False  # a time of day has colons too
    return True


def _made(kind: str, original: str, number: int) -> str:
    if kind == "mac":
        sign = original[2]
        made = f"00{sign}00{sign}5e{sign}00{sign}53{sign}{number % 256:02x}"
        return made.upper() if original.upper() == original and original.lower() != original else made
    if kind == "ieee":
        return f"0x00005e0053{number:06x}"
    if kind == "ipv4":
        return f"192.0.2.{number % 256}"
    if kind == "ipv6":
        return f"2001:db8::{number:x}"
    if kind == "mail":
        return f"redacted-{number}@example.invalid"
    return "redacted:redacted" if kind == "url" else f"redacted-{number}"


def _stands(secret: str, octets: bytes) -> bool:
    """In any form; hexadecimal with or without blanks between the octets."""
    raw = secret.encode()
    lowered = octets.lower()
    bare = re.sub(rb"[\s:-]", b"", lowered)
    inner = [_inside(raw, lead) for lead in range(3)]
    return (
        raw in octets
        or raw.hex().encode() in bare
        or quote(secret, safe="").encode() in octets
        or raw.decode().encode("utf-16-le") in octets
        or any(len(part) >= 6 and part in octets for part in inner)
    )


def _inside(raw: bytes, lead: int) -> bytes:
    """The characters of base64 that `raw` alone decides where it begins `lead` octets behind a multiple of three."""
    whole = base64.b64encode(bytes(lead) + raw)
    return whole[(8 * lead + 5) // 6 : 8 * (lead + len(raw)) // 6]
