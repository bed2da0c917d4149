"""From the store's rows to the API's shapes: titles, qualities, labels."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from hub.api.schemas import Name
from hub.core.commissioning import last_proofs
from hub.model import Quality, to_micros
from hub.profiles import Point, Profile

M = TypeVar("M", bound=BaseModel)
Row = Mapping[str, Any]
_CLASSES = ("good", "uncertain", "bad")


def titled(model: type[M], row: Row) -> M:
    """A model from a row that holds `title_zh` and `title_en`."""
    return model.model_validate({**row, "title": Name(zh=row["title_zh"], en=row["title_en"])})


def quality(code: int) -> dict[str, str]:
    """Class and reason of a quality code; a code that this version does not know is bad."""
    try:
        known = Quality(code)
    except ValueError:
        return {"quality": "bad", "quality_reason": f"code {code}"}
    return {"quality": _CLASSES[known // 100], "quality_reason": known.name.lower()}


def label(point: Point | None, value: float | None) -> str | None:
    """The enumeration's label of a value."""
    if point is None or point.enum is None or value is None or value != value or not value.is_integer():
        return None
    return point.enum.get(int(value))


def point_of(profiles: Mapping[str, Profile], profile: str, name: str) -> Point | None:
    """A profile's point, or None where profile or point are not installed any more."""
    found = profiles.get(profile)
    return None if found is None else found.points.get(name)


def device_row(profiles: Mapping[str, Profile], row: Row) -> dict[str, Any]:
    """A device's row with what its profile says of how soon its silence is found, and of what it does that nobody has seen."""
    profile = profiles.get(row["profile"])
    if profile is None:
        return {**row, "silent_after_s": None, "found_late": None, "unproven": []}
    late = profile.liveness.late_because if profile.is_found_late else None
    name = None if late is None else Name(zh=late.zh, en=late.en)
    at = row["proven_at"]
    shown = last_proofs(profile.capabilities, None if at is None else to_micros(at), row["shown"])
    unproven = [] if at is None else sorted({*profile.capabilities} - shown.keys())
    silent = profile.liveness.offline_after // 1_000_000
    return {**row, "silent_after_s": silent, "found_late": name, "unproven": unproven}


def alarm_row(profiles: Mapping[str, Profile], row: Row) -> dict[str, Any]:
    """An alarm's row with the title and the response text of its definition."""
    profile = profiles.get(row["profile"])
    definition = None if profile is None else profile.alarms.get(row["definition"])
    if definition is None:
        return {**row, "title": Name(zh=row["definition"], en=row["definition"]), "response": None}
    title, response = definition.title, definition.response
    return {**row, "title": Name(zh=title.zh, en=title.en), "response": Name(zh=response.zh, en=response.en)}


def quarantined(row: Row) -> dict[str, Any]:
    """A row of quarantine with its payload in base64."""
    return {**row, "payload": b64encode(row["payload"]).decode("ascii")}
