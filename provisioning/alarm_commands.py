"""`anxinctl alarm`: list, acknowledge, confirm, reset, why, noise."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError

_FIRST = ("fire", "panic")
_MARKS = {
    None: "",
    "drill": "【演练 DRILL】",
    "proof": "【测试 TEST】",
    "canary": "【测试 TEST】",
    "function_test": "【测试 TEST】",
}
_SHORT = 8
"""Characters of an alarm's id that are shown; enough of them name it."""
_NEWEST = 1000
"""alarms that have ended among which one is looked for"""
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
                f"{_MARKS[alarm['exercise']]}{alarm['title']['zh']} {alarm['instance']}".strip()
                + f"\n{alarm['title']['en']}",
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


def why(hub: Hub, alarm: str, at: str | None, *, as_json: bool) -> None:
    """Why an alarm was as it was at a moment: what decided, and the facts in the order of time."""
    with hub:
        found = hub.get(f"/alarms/{full_id(hub, alarm, ended=True)}/why", at=at)
    if as_json:
        show.as_json(found)
        return
    decided = found["conclusion"]["text"]
    show.console().print(f"{decided['zh']}\n{decided['en']}\n")
    show.table(
        ["时间\nTime", "事实\nFact"],
        ([show.moment(fact["at"]), f"{fact['text']['zh']}\n{fact['text']['en']}"] for fact in found["facts"]),
        whole=(0,),
    )


def noise(hub: Hub, post: str | None, days: int, *, as_json: bool) -> None:
    """What a post had to bear in the last `days` days."""
    since = datetime.now(UTC) - timedelta(days=days)
    with hub:
        found = hub.get("/alarm-noise", post=post, **{"from": since.isoformat()})
        posts = hub.get("/alarm-noise/posts", **{"from": since.isoformat()})["items"]
    if as_json:
        show.as_json(found)
        return
    figures = [
        ("值班岗 Post", post or "全部 all"),
        ("告警 Alarms", str(found["alarms"])),
        ("每十分钟 Per ten minutes", f"{found['per_ten_minutes']:.2f}，最多 at most {found['peak']}"),
        ("泛滥 In flood", f"{found['flood_share']:.1%} ({len(found['floods'])})"),
        ("级别 Priorities", "  ".join(f"{name} {share:.0%}" for name, share in found["priorities"].items()) or "-"),
    ]
    show.pairs(figures)
    rows = [
        *((f"抖动 chattering\n{one['worst_minute']}/min", one) for one in found["chattering"]),
        *((f"瞬时 fleeting\n{one['count']}×", one) for one in found["fleeting"]),
        *((f"长期 standing\n{show.ago(one['since'])}", one) for one in found["standing"]),
    ]
    if rows:
        show.table(
            ["现象\nWhat", "设备\nDevice", "告警\nAlarm"],
            (
                [what, f"{one['institution']}\n{one['device']}", f"{one['definition']} {one['instance']}".strip()]
                for what, one in rows
            ),
        )
    if post is None and posts:
        show.table(["值班岗\nPost", "告警\nAlarms"], ([one["post"], str(one["alarms"])] for one in posts))


def full_id(hub: Hub, alarm: str, *, ended: bool = False) -> str:
    """The whole id of an alarm that is active (or, with `ended`, of any), from enough of its beginning; raises HubError."""
    if len(alarm) == _FULL:
        return alarm
    listed = hub.items("/alarms", active=None if ended else True)
    fitting: list[Any] = [row["id"] for row in listed if row["id"].startswith(alarm.lower())]
    if not fitting and ended:
        newest = islice(hub.items("/alarms", active=False), _NEWEST)
        fitting = [row["id"] for row in newest if row["id"].startswith(alarm.lower())]
    if not fitting:
        raise HubError(f"no alarm{'' if ended else ' that is active'} begins with {alarm!r}", Exit.REFUSED)
    if len(fitting) > 1:
        raise HubError(f"{len(fitting)} alarms begin with {alarm!r}: give more of it", Exit.BAD_INPUT)
    return str(fitting[0])
