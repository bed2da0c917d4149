"""Switches and power feeds: blamed where all that hangs on one fell silent together while others go on, and never for one device alone."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.blindness import SLACK, Cause, Evidence
from hub.core.blindness_lines import OnLine
from hub.core.blindness_parts import Hanging, live_parts, parts_heard, weigh_parts
from hub.core.coverage.ways import Hangs
from hub.model import SECOND
from tests.core.blind_worlds import T0

NOW = T0 + 120 * SECOND


def hanging(name: str, heard: int, *on: str, line: str = "", silent: bool = True, beat: int = 30) -> Hanging:
    """Heard so many seconds after T0; on a line of its own where none is named."""
    return Hanging(OnLine(name, T0 + heard * SECOND, beat * SECOND, silent), line or f"line-{name}", on)


BESIDE = hanging("beside", 110, silent=False)
DEAD = [hanging(f"d{n}", n * 4, "switch:s") for n in range(4)]


def test_all_that_hangs_on_a_switch_silent_together_while_another_is_heard_is_the_switchs_fault() -> None:
    [found] = weigh_parts([*DEAD, BESIDE], (), NOW)
    assert (found.part, found.weighed.cause) == ("switch:s", Cause.SWITCH)
    assert found.devices == {f"d{n}" for n in range(4)}
    assert found.weighed.evidence == (
        Evidence("part_silent", {"part": "switch:s", "silent": 4, "of": 4, "since": T0}),
        Evidence("other_heard", {"device": "beside"}),
    )


def test_one_device_alone_silent_behind_a_switch_says_nothing_of_the_switch() -> None:
    assert weigh_parts([DEAD[0], BESIDE], (), NOW) == []
    lone = [DEAD[0], hanging("s", 0), BESIDE]
    assert weigh_parts(lone, (), NOW) == [], "nor with the switch itself"
    assert len(weigh_parts([*DEAD[:2], hanging("s", 0), BESIDE], (), NOW)[0].devices) == 3


def test_where_nobody_beside_it_is_heard_since_it_may_be_the_edge_itself() -> None:
    assert weigh_parts(DEAD, (), NOW) == []
    assert weigh_parts([*DEAD, hanging("slow", 10, silent=False, beat=3600)], (), NOW) == []


def test_whoever_is_heard_through_a_switch_shows_that_it_works() -> None:
    for alive in (hanging("e", 110, "switch:s", silent=False), hanging("s", 110, silent=False)):
        assert weigh_parts([*DEAD, alive, BESIDE], (), NOW) == []
    assert weigh_parts([*DEAD, BESIDE], {"switch:s"}, NOW) == [], "the edge itself hangs on it, and is heard"


def test_what_is_all_on_one_line_is_that_lines_fault() -> None:
    assert weigh_parts([hanging(f"d{n}", n, "switch:s", line="rs485") for n in range(4)] + [BESIDE], (), NOW) == []


def test_of_two_switches_one_behind_the_other_the_one_is_named_that_explains_all_and_no_more() -> None:
    inner = [hanging(f"i{n}", n, "switch:in", "switch:out") for n in range(2)]
    outer = [hanging(f"o{n}", n, "switch:out") for n in range(2)]
    [found] = weigh_parts([*inner, *outer, BESIDE], (), NOW)
    assert (found.part, len(found.devices)) == ("switch:out", 4)
    live = [hanging(f"o{n}", 110, "switch:out", silent=False) for n in range(2)]
    [found] = weigh_parts([*inner, *live], (), NOW)
    assert (found.part, len(found.devices)) == ("switch:in", 2)
    [found] = weigh_parts([*inner, BESIDE], (), NOW)
    assert (found.part, found.weighed.evidence[0].facts["or"]) == ("switch:in", ["switch:out"]), "nobody can tell"


def test_a_feed_that_takes_a_switch_and_more_with_it_is_named_and_the_switch_is_not() -> None:
    powered = [*(one._replace(on=("switch:s", "power:c")) for one in DEAD), hanging("lamp", 3, "power:c")]
    [found] = weigh_parts([*powered, BESIDE], (), NOW)
    assert (found.part, found.weighed.cause, len(found.devices)) == ("power:c", Cause.POWER_FEED, 5)


def test_an_edge_that_is_heard_proves_what_it_hangs_on_but_not_what_feeds_its_ups() -> None:
    hangs = {"s": Hangs(powered_by="c-2"), "ups-1": Hangs(powered_by="c-1")}
    edge = Hangs(switch="s", powered_by="ups-1")
    assert live_parts(edge, hangs, {"ups-1"}) == {"power:ups-1", "switch:s", "power:c-2"}
    assert live_parts(edge, hangs, ()) == {"power:ups-1", "power:c-1", "switch:s", "power:c-2"}
    assert live_parts(Hangs(), hangs, ()) == frozenset()


def test_a_part_was_heard_lately_where_the_next_beat_of_somebody_on_it_is_not_overdue() -> None:
    assert set(parts_heard([hanging("a", 80, "switch:s", silent=False)], NOW)) == {"switch:s"}
    assert set(parts_heard([hanging("a", 70, "switch:s", silent=False), hanging("b", 100, "switch:t")], NOW)) == set()


_WAYS = ((), ("switch:a",), ("switch:b", "switch:a"), ("switch:b", "power:c", "switch:a"), ("power:c",))


@given(
    st.lists(
        st.tuples(
            st.integers(-7200, 120),
            st.sampled_from([2, 10, 30, 600, 3600]),
            st.booleans(),
            st.sampled_from(_WAYS),
            st.sampled_from("xyz"),
        ),
        max_size=9,
    ),
    st.sets(st.sampled_from(["switch:a", "switch:b", "power:c"]), max_size=2),
    st.integers(0, 600),
)
def test_a_part_is_blamed_only_for_silences_that_go_together_through_which_nobody_was_heard_while_somebody_beside_was(
    raw: list[tuple[int, int, bool, tuple[str, ...], str]], alive: set[str], later: int
) -> None:
    devices = [
        hanging(f"d{n}", heard, *way, line=line, silent=silent, beat=beat)
        for n, (heard, beat, silent, way, line) in enumerate(raw)
    ]
    found = weigh_parts(devices, alive, T0 + later * SECOND)
    named = [name for one in found for name in one.devices]
    assert len(named) == len(set(named)), "no silence is explained twice"
    for one in found:
        mine = [each for each in devices if each.device.id in one.devices]
        rest = [each for each in devices if one.part in each.on and each not in mine]
        assert one.part not in alive
        assert len(mine) >= 2
        assert all(one.part in each.on for each in mine)
        assert any(each.device.silent for each in mine)
        assert len({each.endpoint for each in mine}) > 1
        broken_by = min(each.device.heard + each.device.beat for each in mine) + SLACK
        assert all(each.device.heard <= broken_by or each.device.silent for each in rest)
        witness = next(seen for seen in one.weighed.evidence if seen.what == "other_heard").facts["device"]
        [beside] = [each for each in devices if each.device.id == witness]
        assert one.part not in beside.on
        assert beside.device.heard > broken_by
