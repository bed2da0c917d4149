"""Whom a raised order reaches: every division that it rose to, and never more alarms than people can look at."""

from hub.core.order_alarms import Raised, wanted
from hub.core.orders import Order, State
from hub.core.policy_alarms import MOST

PARENTS = {"14": None, "1404": "14", "140403": "1404"}


def raised(number: int, to: str = "1404") -> Raised:
    order = Order(State.RAISED, 30, 0, owner="140403", raised_to=to)
    return Raised(f"o-{number}", order, "园", "Home", "规则", "Rule", "2026-12-01")


def test_each_division_that_an_order_rose_to_has_its_alarm() -> None:
    found = wanted([raised(1, "14"), raised(2)], PARENTS, 2)
    assert [(one.division, one.instance) for one in found] == [("1404", "o-1"), ("14", "o-1"), ("1404", "o-2")]
    assert "2026-12-01" in found[0].zh


def test_beyond_the_bound_the_last_one_says_how_many_there_are() -> None:
    found = wanted([raised(number) for number in range(MOST)], PARENTS, 1234)
    assert len(found) == MOST
    assert "1234" in found[-1].zh
    assert "1234" not in found[0].zh
    assert wanted([], PARENTS, 0) == []
