"""What the hub must tell a person about its own work, beside the policies (hub.core.policy_alarms): which alarms, where, in which words. Pure.

Words hold no count and no age: an alarm whose words change gets a note each time, and these are looked at every minute.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from hub.core.policy_alarms import UNCHECKED, Wanted, told_at
from hub.core.reachability import Duty

UNVERIFIED = "handover_unverified"
REFUSED = "urgent_message_refused"
"""definitions of the profile `anxin-duty`"""
MOST = 200
"""alarms of one definition at once"""


class Unverified(NamedTuple):
    """An alarm that was handed to an authority and that nobody has written down as received."""

    division: str
    alarm: UUID
    authority: str
    institution: tuple[str, str]


class RefusedFrom(NamedTuple):
    """A client before fire or panic devices, of which messages of the urgent lane were not understood."""

    division: str
    client: str
    code: str
    institution: tuple[str, str]


def unverified(found: Iterable[Unverified]) -> list[Wanted]:
    """One alarm for each hand-over: what was asked for help and nobody has confirmed is never merged away."""
    return [
        Wanted(
            one.division,
            UNVERIFIED,
            f"{one.authority}-{one.alarm.hex[:12]}",
            f"{one.institution[0]}：已移交 {one.authority}，尚无人记录其已接收，请打电话核实（告警 {one.alarm}）",
            f"{one.institution[1]}: handed to {one.authority}, and nobody has noted that it was received: telephone (alarm {one.alarm})",
        )
        for one in [*found][:MOST]
    ]


def refused(found: Iterable[RefusedFrom]) -> list[Wanted]:
    """One alarm for each client: a fire or a press may have been in what could not be read."""
    return [
        Wanted(
            one.division,
            REFUSED,
            one.client,
            f"{one.institution[0]}：{one.client} 在紧急通道发来的消息无法读取（{one.code}），其中可能有火警或紧急求助，请打电话核实",
            f"{one.institution[1]}: a message of {one.client} on the urgent lane could not be read ({one.code}); a fire or a press may have"
            " been in it: telephone",
        )
        for one in [*found][:MOST]
    ]


def placed(duty: Duty, one: Wanted, broken: Collection[str], parents: Mapping[str, str | None]) -> Wanted:
    """The alarm where a policy takes care of it, or with those whom it tells where none does; `broken`: policies that reach nobody at some hour."""
    division, plan = told_at(duty, one.division, set(broken), parents)
    return one._replace(division=division, plan=plan)


def overdue(parents: Mapping[str, str | None]) -> list[Wanted]:
    """Nobody has checked the policies for more than a day, and nobody has said why: whoever should is dead."""
    top = min((code for code, parent in parents.items() if parent is None), default=None)
    zh, en = (
        "一天多没有检查过报警策略：检查的程序可能已停",
        "nobody has checked the policies for more than a day: what checks them may be dead",
    )
    return [] if top is None else [Wanted(top, UNCHECKED, "", zh, en)]
