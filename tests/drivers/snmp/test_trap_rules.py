"""What a trap means: which samples its bindings become, and whom to ask."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.snmp import SnmpDriver
from drivers.snmp.settings import TrapRule
from drivers.snmp.traps import Notification, Rules
from hub.driver import Binding
from hub.model import Series
from tests.drivers.snmp.agent import ROOT
from tests.drivers.snmp.trapping import DOOR, OPENED, raised_by

PORT = f"{ROOT}.2.1.8"


def mean(
    bound: Binding, *varbinds: tuple[str, Any], rows: dict[str, str] | None = None
) -> tuple[list[Any], list[Series]]:
    known = {} if rows is None else {bound.series: rows}
    found = Rules([bound]).apply(Notification(OPENED, varbinds), 5, known)
    return [(one.series.instance, one.raw) for one in found.samples], found.ask


def test_only_values_that_raise_become_samples_and_every_other_one_has_the_agent_asked() -> None:
    bound = raised_by({"trap": OPENED, "varbind": DOOR, "raises": [1, 2]})
    assert mean(bound, (DOOR, 2)) == ([("", 2)], [bound.series])
    for varbinds in ([(DOOR, 3)], [(DOOR, b"x")], [(DOOR, None)], []):
        assert mean(bound, *varbinds) == ([], [bound.series])


def test_a_trap_of_version_1_is_known_also_where_its_mib_has_no_zero_before_the_last_arc() -> None:
    bound = raised_by({"trap": f"{ROOT}.11.3", "value": 1})
    for trap, known in (
        (f"{ROOT}.11.3", True),
        (f"{ROOT}.11.0.3", True),
        (f"{ROOT}.11.0.4", False),
        (f"{ROOT}.3", False),
    ):
        assert Rules([bound]).apply(Notification(trap, ()), 5, {}).known is known


def test_a_rule_holds_only_where_its_bindings_say_so() -> None:
    bound = raised_by({"trap": OPENED, "value": 1, "when": {f"{ROOT}.7": [3, "smoke"]}})
    assert mean(bound, (f"{ROOT}.7.0", 3)) == ([("", 1)], [bound.series])
    assert mean(bound, (f"{ROOT}.7.0", b"smoke\0")) == ([("", 1)], [bound.series])
    for varbinds in ([(f"{ROOT}.7.0", 4)], [(f"{ROOT}.70", 3)], []):
        assert mean(bound, *varbinds) == ([], [])


def test_a_row_is_named_as_the_table_names_it_and_an_unknown_one_is_left_to_the_agent() -> None:
    by_index = raised_by({"trap": OPENED, "value": 2, "instance_index": PORT}, table=PORT, label=f"{ROOT}.2.1.2")
    assert mean(by_index, (f"{PORT}.7", 2), rows={"7": "eth7"}) == ([("eth7", 2)], [by_index.series])
    assert mean(by_index, (f"{PORT}.8", 2), rows={"7": "eth7"}) == ([], [by_index.series])
    assert mean(by_index, rows={"7": "eth7"}) == ([], [by_index.series])
    by_value = raised_by({"trap": OPENED, "value": 2, "instance": f"{ROOT}.9"}, table=PORT)
    assert mean(by_value, (f"{ROOT}.9.7", 7), rows={"7": "7"}) == ([("7", 2)], [by_value.series])


def test_a_trap_about_another_devices_row_is_not_this_ones() -> None:
    bound = raised_by({"trap": OPENED, "value": 1, "instance_index": PORT}, oid=PORT, indexed=True)
    mine = bound._replace(device=SnmpDriver.Device.model_validate({"index": "3"}))
    assert mean(mine, (f"{PORT}.3", 1)) == ([("", 1)], [mine.series])
    assert mean(mine, (f"{PORT}.4", 1)) == ([], [mine.series])


def test_a_point_that_only_traps_raise_is_raised_and_never_asked_for() -> None:
    bound = raised_by({"trap": OPENED, "value": True, "instance": f"{ROOT}.9"}, type=None)
    assert mean(bound, (f"{ROOT}.9.0", b"channel 2")) == ([("channel-2", True)], [])


@pytest.mark.parametrize(
    "rule",
    [
        {"varbind": DOOR},
        {"raises": [1]},
        {"varbind": DOOR, "raises": [1], "value": 1},
        {"instance": DOOR, "instance_index": DOOR},
    ],
)
def test_a_rule_that_could_clear_or_says_two_things_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"varbind|value|instance"):
        TrapRule.model_validate({"trap": OPENED, **rule})


@given(st.lists(st.tuples(st.sampled_from([DOOR, PORT, f"{PORT}.1", f"{ROOT}.9"]), st.one_of(st.none(), st.integers(), st.binary(max_size=90), st.text(max_size=20))), max_size=5))  # fmt: skip
def test_any_bindings_mean_something_or_nothing(varbinds: list[tuple[str, Any]]) -> None:
    for rule in (
        {"varbind": DOOR, "raises": [1]},
        {"value": 1, "instance": f"{ROOT}.9"},
        {"value": 1, "instance_index": PORT},
    ):
        samples, _ = mean(raised_by({"trap": OPENED, **rule}), *varbinds)
        assert all(raw == 1 for _, raw in samples)
