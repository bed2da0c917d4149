"""What stands beside an alarm's state: what hides it from paging, what a person found it to be, and its closing. Pure, like `step`.

- Shelving (搁置): a person hides it, with a reason and an end; at most as long as its priority allows. Fire and panic take two people.
- Suppression by design (抑制): its root alarm explains it. Holding: a maintenance window, or a late alarm that waits for what is still on its
  way. Fire and panic are neither suppressed nor held.
- Out of service: its device was taken out by a person; what still stands at the return is paged.
- Disposition (处置结论) and close (办结): cleared, acknowledged, and given a disposition.

Each function returns the moved alarm and the row of its history, and raises Conflict, saying why, where that is not possible now. Hidings do
not end with each other: an alarm is paged when the last one ends (`hub.core.alarms.is_paged`).

Source: ISA-18.2-2016 / IEC 62682, alarm states "shelved", "suppressed by design" and "out of service".
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from hub.core.alarms import Alarm, AlarmEvent, AlarmState, Disposition, Refused, Transition
from hub.core.lateness import LONGEST_WAIT, is_late
from hub.core.maintenance import Window
from hub.errors import BadInput, Conflict
from hub.model import LIFE_SAFETY, SECOND, Micros, Priority

_E = AlarmEvent
_HOUR: Micros = 3600 * SECOND

HIDES: Mapping[str, str] = {
    _E.SHELVE: "shelved",
    _E.SUPPRESS: "suppressed",
    _E.HOLD: "held",
    _E.REMOVE_FROM_SERVICE: "out_of_service",
}
"""events that begin a hiding, and its name"""
SHOWS: Mapping[str, str] = {
    _E.UNSHELVE: "shelved",
    _E.UNSUPPRESS: "suppressed",
    _E.RELEASE: "held",
    _E.RETURN_TO_SERVICE: "out_of_service",
}
"""events that end one"""

LONGEST_SHELVING: Mapping[Priority, Micros] = {
    Priority.CRITICAL: _HOUR,
    Priority.HIGH: 8 * _HOUR,
    Priority.MEDIUM: 24 * _HOUR,
    Priority.LOW: 7 * 24 * _HOUR,
    Priority.JOURNAL: 7 * 24 * _HOUR,
}
"""from now; shelving again counts anew"""


def shelve(
    alarm: Alarm, at: Micros, until: Micros, actor: str, reason: str, second: str | None = None
) -> tuple[Alarm, Transition]:
    """A person hides the alarm until `until`. Raises BadInput for an end or a second person that is not allowed."""
    _require_open(alarm)
    longest = LONGEST_SHELVING[alarm.priority]
    if not at < until <= at + longest:
        hours = longest // _HOUR
        raise BadInput(f"a {alarm.priority} alarm is shelved for at most {hours} h from now", "until", code="shelve")
    if not reason.strip():
        raise BadInput("say why the alarm is shelved", "reason", code="shelve")
    if needs_second(alarm) and (second is None or second == actor):
        raise BadInput("a fire or panic alarm is shelved by two people", "second", code="shelve")
    changed = {"shelved_until": until, "shelved_by": actor, "shelve_reason": reason, "shelved_with": second}
    with_whom = "" if second is None else f" (with {second})"
    return _moved(alarm, _E.SHELVE, at, actor, reason + with_whom, changed)


def needs_second(alarm: Alarm) -> bool:
    """Whether one person alone may not shelve it."""
    return alarm.signal_class in LIFE_SAFETY


def unshelve(alarm: Alarm, at: Micros, actor: str = "", note: str = "") -> tuple[Alarm, Transition]:
    """The shelving ends: by a person, or by its time (no actor). Also of an alarm that has ended: its next one would inherit it."""
    _require(alarm.shelved_until is not None, Refused.NOT_SHELVED)
    changed = {"shelved_until": None, "shelved_by": None, "shelve_reason": None, "shelved_with": None}
    return _moved(alarm, _E.UNSHELVE, at, actor, note, changed)


def suppress(alarm: Alarm, at: Micros, root: UUID, reason: str) -> tuple[Alarm, Transition]:
    """The alarm `root` explains this one."""
    _require_hideable(alarm)
    return _moved(alarm, _E.SUPPRESS, at, "", reason, {"suppressed_by": root, "suppress_reason": reason})


def unsuppress(alarm: Alarm, at: Micros, note: str = "") -> tuple[Alarm, Transition]:
    """Nothing explains this alarm any more."""
    _require_open(alarm)
    _require(alarm.suppressed_by is not None, Refused.NOT_SUPPRESSED)
    return _moved(alarm, _E.UNSUPPRESS, at, "", note, {"suppressed_by": None, "suppress_reason": None})


def hold(alarm: Alarm, at: Micros, until: Micros, window: str | None, note: str = "") -> tuple[Alarm, Transition]:
    """Paging waits until `until`: for the maintenance window `window`, or (None) for the rest of what was late."""
    _require_hideable(alarm)
    return _moved(alarm, _E.HOLD, at, "", note, {"maintenance": window, "held_until": until})


def release(alarm: Alarm, at: Micros, actor: str = "", note: str = "") -> tuple[Alarm, Transition]:
    """Nothing holds the paging any more."""
    _require_open(alarm)
    _require(alarm.held_until is not None, Refused.NOT_HELD)
    return _moved(alarm, _E.RELEASE, at, actor, note, {"maintenance": None, "held_until": None})


def remove_from_service(alarm: Alarm, at: Micros, actor: str = "", note: str = "") -> tuple[Alarm, Transition]:
    """The device was taken out of service."""
    _require_open(alarm)
    return _moved(alarm, _E.REMOVE_FROM_SERVICE, at, actor, note, {"out_of_service": True})


def return_to_service(alarm: Alarm, at: Micros, actor: str = "", note: str = "") -> tuple[Alarm, Transition]:
    """The device is in service again: what still stands is paged."""
    _require_open(alarm)
    _require(alarm.out_of_service, Refused.NOT_OUT_OF_SERVICE)
    return _moved(alarm, _E.RETURN_TO_SERVICE, at, actor, note, {"out_of_service": False})


def dispose(alarm: Alarm, at: Micros, disposition: Disposition, actor: str, note: str) -> tuple[Alarm, Transition]:
    """A person says what the alarm was; it may be said anew until the alarm is closed."""
    _require(alarm.closed_at is None, Refused.CLOSED)
    changed = {"disposition": disposition, "disposition_by": actor, "disposition_at": at}
    said = disposition.value if not note else f"{disposition.value}: {note}"
    return _moved(alarm, _E.DISPOSE, at, actor, said, changed)


def close(alarm: Alarm, at: Micros, actor: str, note: str) -> tuple[Alarm, Transition]:
    """Cleared, acknowledged and given a disposition: it is dealt with."""
    _require(alarm.closed_at is None, Refused.CLOSED)
    _require(alarm.state is AlarmState.NORMAL, Refused.NOT_ENDED)
    _require(alarm.disposition is not None, Refused.NO_DISPOSITION)
    return _moved(alarm, _E.CLOSE, at, actor, note, {"closed_at": at, "closed_by": actor})


def note(alarm: Alarm, at: Micros, actor: str, text: str) -> tuple[Alarm, Transition]:
    """A person writes something down; also after the closing."""
    return _moved(alarm, _E.NOTE, at, actor, text, {})


def hide_raised(
    alarm: Alarm, raised: Transition, now: Micros, *, out_of_service: bool, window: Window | None, shelved: Alarm | None
) -> Iterator[tuple[Alarm, Transition]]:
    """What hides an alarm that the transition `raised` has just made stand: written with it, so that nobody is paged in between.

    `window`: the maintenance window that covers its device. `shelved`: the ended alarm of the same definition whose shelving still runs; it
    goes on, since what a person shelved is the definition at its device, however often it comes and goes. No fire or panic inherits it.
    """
    if out_of_service and not alarm.out_of_service:
        alarm, row = remove_from_service(alarm, now, note="the device is out of service")
        yield alarm, row
    came = raised.to_state is AlarmState.UNACK_ACTIVE and raised.from_state is not AlarmState.UNACK_ACTIVE
    if not came or alarm.signal_class in LIFE_SAFETY:
        return
    if shelved is not None and alarm.shelved_until is None and (shelved.shelved_until or 0) > now:
        names = ("shelved_until", "shelved_by", "shelve_reason", "shelved_with")
        said = f"still shelved: {shelved.shelve_reason}"
        alarm, row = _moved(alarm, _E.SHELVE, now, "", said, {name: getattr(shelved, name) for name in names})
        yield alarm, row
    if alarm.held_until is not None and alarm.held_until > now:
        return
    if window is not None:
        yield hold(alarm, now, window.until, window.id, "maintenance")
    elif is_late(raised.at, now):
        yield hold(alarm, now, now + LONGEST_WAIT, None, "late: waits for the rest of what was late")


def _moved(
    alarm: Alarm, event: AlarmEvent, at: Micros, actor: str, said: str, changed: dict[str, Any]
) -> tuple[Alarm, Transition]:
    moved = alarm._replace(version=alarm.version + 1, **changed)
    return moved, Transition(alarm.id, moved.version, event, alarm.state, alarm.state, at, actor, said)


def _require(stands: bool, otherwise: Refused) -> None:
    if not stands:
        raise Conflict(str(otherwise))


def _require_open(alarm: Alarm) -> None:
    _require(alarm.state is not AlarmState.NORMAL, Refused.NOT_ACTIVE)


def _require_hideable(alarm: Alarm) -> None:
    _require_open(alarm)
    _require(alarm.signal_class not in LIFE_SAFETY, Refused.NEVER_HIDDEN)
