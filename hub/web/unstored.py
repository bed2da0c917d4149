"""Alarms that the standby knows and the database does not show (hub.runtime.unstored), in the words of the board."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hub.core.alarms import UNACKNOWLEDGED, is_paged
from hub.core.rights import Principal
from hub.model import LIFE_SAFETY, Exercise, to_datetime, to_micros
from hub.runtime.standby import Standby
from hub.runtime.unstored import Shown, shown
from hub.store.plan import Place
from hub.store.rows import Row
from hub.web.words import worded

_MACHINES = frozenset({Exercise.PROOF, Exercise.CANARY})
"""exercises that no board shows"""


def board_rows(
    standby: Standby, profiles: Mapping[str, Any], who: Principal, now: datetime, institution: str | None = None
) -> list[Row]:
    """The alarms of somebody's scope that the standby knows and the database does not show, as the board wants them: unowned ones first."""
    found = []
    for one in shown(standby):
        place = standby.known.places.get(one.alarm.device)
        if (
            place is None
            or one.alarm.exercise in _MACHINES
            or (institution is not None and place.institution != institution)
        ):
            continue
        if who.scope.covers(place.institution, place.division, place.groups):
            found.append(worded(profiles, _row(one, place, now)))
    return sorted(found, key=lambda row: (not row["wanted"], -row["raised_at"].timestamp()))


def _row(one: Shown, place: Place, now: datetime) -> Row:
    alarm = one.alarm
    unowned = alarm.state in UNACKNOWLEDGED
    wanted = is_paged(alarm, to_micros(now))
    zone, position = place.zone_title or ("", ""), place.position_title or (alarm.device, alarm.device)
    at = alarm.acknowledged_at
    return {
        "id": alarm.id, "profile": place.profile, "definition": alarm.definition, "exercise": alarm.exercise,
        "signal_class": alarm.signal_class, "priority": alarm.priority, "state": alarm.state, "late": alarm.late,
        "unowned": unowned, "wanted": wanted, "hidden": unowned and not wanted, "occurrences": alarm.occurrences,
        "institution": place.institution, "institution_zh": place.institution_title[0], "institution_en": place.institution_title[1],
        "zone_zh": zone[0], "zone_en": zone[1], "position_zh": position[0], "position_en": position[1],
        "raised_at": to_datetime(alarm.raised_at), "acknowledged_by": alarm.acknowledged_by,
        "acknowledged_at": None if at is None else to_datetime(at), "contacts": (), "escalation": None,
        "shelved": False, "suppressed_by": None, "held": False, "out_of_service": alarm.out_of_service, "stale": alarm.stale,
        "unstored": not one.stored,
    }  # fmt: skip


def sounds(rows: Iterable[Row]) -> dict[str, str]:
    """What wants somebody now, and how it sounds."""
    return {
        str(row["id"]): "urgent" if row["signal_class"] in LIFE_SAFETY else "plain" for row in rows if row["wanted"]
    }
