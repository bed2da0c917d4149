"""How a raised order reaches people: an alarm of the class `compliance` at each division that it was raised to, told by the policy there. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.orders import Order, reached
from hub.core.policy_alarms import MOST, Wanted

OVERDUE = "order_overdue"
"""definition of the profile `anxin-duty`"""


class Raised(NamedTuple):
    """An order that was raised, with what people are told of it."""

    id: str
    order: Order
    title_zh: str
    title_en: str
    rule_zh: str
    rule_en: str
    due: str
    """the day on which it was due, as people write it"""


def wanted(raised: Sequence[Raised], parents: Mapping[str, str | None]) -> list[Wanted]:
    """An alarm for each order and each division that it was raised to, the longest overdue first; of what is beyond the bound the last one says how
    many there are.
    """
    found = [
        Wanted(
            division,
            OVERDUE,
            one.id,
            f"整改逾期：{one.title_zh}，{one.rule_zh}，应于 {one.due} 前完成",
            f"Order overdue: {one.title_en}, {one.rule_en}, due by {one.due}",
        )
        for one in raised
        for division in reached(one.order, parents)
    ]
    more = len(found) - MOST
    if more <= 0:
        return found
    last = found[MOST - 1]
    zh, en = f"（另有 {more} 项逾期整改未单独告警）", f" ({more} more have no alarm of their own)"
    return [*found[: MOST - 1], last._replace(zh=last.zh + zh, en=last.en + en)]
