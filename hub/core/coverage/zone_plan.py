"""The zone plan 分区图 that a regulator signs off: what of it counts, and its digest.

What rules rest on counts: a zone's purpose, area, floor, entrances, which children use it, and the picture of its floor. Names do not: a
corrected name needs no new signature. Pure.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class PlanZone(NamedTuple):
    """One zone as it is signed. `entrances` are ids of zones through which one comes into it."""

    id: str
    purpose: str
    area_m2: float | None
    floor: int | None
    entrances: tuple[str, ...]
    ages: tuple[str, ...]


def document(zones: Iterable[PlanZone], floors: Mapping[int, str]) -> dict[str, Any]:
    """The plan as JSON, the same for every order of zones. `floors`: SHA-256 (hex) of the picture of each floor."""
    return {
        "zones": [
            {
                "id": zone.id,
                "purpose": zone.purpose,
                "area_m2": zone.area_m2,
                "floor": zone.floor,
                "entrances": sorted(zone.entrances),
                "ages": sorted(zone.ages),
            }
            for zone in sorted(zones, key=lambda zone: zone.id)
        ],
        "floors": {str(floor): floors[floor] for floor in sorted(floors)},
    }


def digest(plan: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the plan in canonical JSON: keys sorted, no blanks, UTF-8."""
    said = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()
