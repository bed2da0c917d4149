"""Links into an institution's video system: a template of a URL, filled with what is to be seen. No video passes through the hub."""

import re
from datetime import UTC, datetime
from urllib.parse import quote

from hub.errors import BadInput

PLACES = ("institution", "zone", "position", "device", "at", "unix")
"""What a template may name: identifiers, and the moment as RFC 3339 in UTC or as Unix seconds."""
MAX_TEMPLATE = 500
_HEAD = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?=[/?#])")
_PLACE = re.compile(r"\{([a-z]*)\}")
_SIGNS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}]+")


def check_template(template: str) -> str:
    """The template itself, once it holds: http or https, a fixed host, only known places, at least the device or its position.

    Raises BadInput saying what is wrong.
    """
    wrong = _fault(template)
    if wrong:
        raise BadInput(wrong, "video", "video")
    return template


def _fault(template: str) -> str:
    if len(template) > MAX_TEMPLATE:
        return f"a template has at most {MAX_TEMPLATE} characters"
    if not _SIGNS.fullmatch(template):
        return "a template holds only the characters of a URL and places in braces"
    if not _HEAD.match(template):
        return "a template begins with http:// or https://, a host without places, and a path"
    named = _PLACE.findall(template)
    unknown = [name for name in named if name not in PLACES]
    if unknown or "{" in _PLACE.sub("", template) or "}" in _PLACE.sub("", template):
        return f"the places are {', '.join('{' + name + '}' for name in PLACES)}"
    if not {"device", "position"} & set(named):
        return "a template names {device} or {position}: else every camera would be the same"
    return ""


def link(template: str, *, institution: str, zone: str | None, position: str | None, device: str, at: datetime) -> str:
    """The URL under which a camera is seen at a moment; what is filled in cannot leave its place."""
    moment = at.astimezone(UTC)
    values = {
        "institution": institution,
        "zone": zone or "",
        "position": position or "",
        "device": device,
        "at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "unix": str(int(moment.timestamp())),
    }
    return _PLACE.sub(lambda found: quote(values[found[1]], safe=""), template)
