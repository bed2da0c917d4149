"""`anxinctl alarm`: list, acknowledge, confirm, reset."""

from typing import Any

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError

_FIRST = ("fire", "panic")
_SHORT = 8
"""Characters of an alarm's id that are shown; enough of them name it."""
_FULL = 36


def list_alarms(hub: Hub, institution: str | None, *, every: bool, as_json: bool) -> None:
    """Alarms that have not ended (or all), fire and panic first, then the newest."""
    with hub:
        alarms = list(hub.items("/alarms", institution=institution, active=None if every else True))
    if as_json:
        show.as_json(alarms)
        return
    alarms.sort(key=lambda alarm: alarm["signal_class"] not in _FIRST)  # stable: the hub's order within
    if not alarms:
        show.console().print("没有告警 No alarms.")
        return
    show.table(
        ["编号\nAlarm", "时间\nRaised", "级别 / 状态\nPriority / State", "告警\nWhat", "位置\nWhere"],
        (
            [
                alarm["id"][:_SHORT],
                show.moment(alarm["raised_at"]),
                f"{alarm['priority']}\n{alarm['state']}",
                f"{alarm['title']['zh']} {alarm['instance']}".strip() + f"\n{alarm['title']['en']}",
                f"{alarm['institution']}\n{alarm['device']}",
            ]
            for alarm in alarms
        ),
        coloured=(2,),
        whole=(0, 4),
    )


def act(hub: Hub, alarm: str, action: str, note: str, *, as_json: bool) -> None:
    """Acknowledge, confirm or reset one alarm."""
    with hub:
        found = hub.post(f"/alarms/{full_id(hub, alarm)}/{action}", {"note": note})
    if as_json:
        show.as_json(found)
        return
    done = {"acknowledge": "已接警 acknowledged", "confirm": "已确认跟进 confirmed", "reset": "已复位 reset"}[action]
    print(f"{found['id'][:_SHORT]} {found['title']['zh']} {found['title']['en']}: {done}, {found['state']}")


def full_id(hub: Hub, alarm: str) -> str:
    """The whole id of an alarm that is active, from enough of its beginning; raises HubError."""
    if len(alarm) == _FULL:
        return alarm
    fitting: list[Any] = [row["id"] for row in hub.items("/alarms", active=True) if row["id"].startswith(alarm.lower())]
    if not fitting:
        raise HubError(f"no alarm that is active begins with {alarm!r}", Exit.REFUSED)
    if len(fitting) > 1:
        raise HubError(f"{len(fitting)} alarms begin with {alarm!r}: give more of it", Exit.BAD_INPUT)
    return str(fitting[0])
