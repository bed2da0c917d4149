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


def wanted(raised: Sequence[Raised], parents: Mapping[str, str | None], total: int) -> list[Wanted]:
    """An alarm for each order and each division that it was raised to, the longest overdue first; where there are more than the bound the last one says
    how many orders are overdue (`total`) at all.
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
    if len(found) <= MOST and total <= len(raised):
        return found
    *first, last = found[:MOST]
    zh, en = (
        f"（逾期整改共 {total} 项，其余未单独告警）",
        f" ({total} orders are overdue, not all have an alarm of their own)",
    )
    return [*first, last._replace(zh=last.zh + zh, en=last.en + en)]
