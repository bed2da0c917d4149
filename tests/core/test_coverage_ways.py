"""What a device depends on, put together from what each thing hangs on."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.ways import Hangs, depends_on

CAMERA = Hangs("cam", "nvr", "edge", "access", "circuit-2")
HALL = {"cam": CAMERA, "access": Hangs(switch="core", powered_by="ups"), "edge": Hangs(switch="core"), "ups": Hangs()}


def test_a_way_leads_from_the_device_outward_each_thing_once_where_it_stands_furthest_out() -> None:
    assert depends_on("cam", HALL, "sun") == (
        "link:cam", "power:circuit-2", "switch:access", "power:ups", "recorder:nvr", "edge:edge", "switch:core", "uplink:sun",
    )  # fmt: skip
    assert depends_on("ups", HALL, "sun") == ("uplink:sun",)
    assert depends_on("gone", HALL, "sun") == ("uplink:sun",)


def test_of_a_device_whose_own_switch_nobody_named_no_switch_is_told() -> None:
    bare = {**HALL, "cam": CAMERA._replace(switch=None)}
    assert not any(one.startswith("switch:") for one in depends_on("cam", bare, "sun"))


_things = st.sampled_from("abcde")
_hangs = st.builds(
    Hangs, switch=st.none() | _things, powered_by=st.none() | _things, edge=st.none() | st.sampled_from("xy")
)


@given(st.dictionaries(_things | st.sampled_from("xy"), _hangs), _things)
def test_whatever_hangs_on_whatever_a_way_ends(hangs: dict[str, Hangs], device: str) -> None:
    way = depends_on(device, hangs, "sun")
    assert len(way) == len(set(way))
    assert way[-1] == "uplink:sun"


@given(st.lists(st.integers(0, 5), min_size=6, max_size=6), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_in_a_tree_of_switches_two_ways_share_a_switch_only_where_they_end_at_the_same_one(
    above: list[int], places: list[int]
) -> None:
    tree = {f"s{n}": Hangs(switch=f"s{up}" if up < n else None) for n, up in enumerate(above)}
    tree |= {"e0": Hangs(switch=f"s{places[0]}"), "e1": Hangs(switch=f"s{places[1]}")}
    tree |= {"d0": Hangs(edge="e0", switch=f"s{places[2]}"), "d1": Hangs(edge="e1", switch=f"s{places[3]}")}
    ways = [[one for one in depends_on(name, tree, "sun") if one.startswith("switch:")] for name in ("d0", "d1")]
    roots = [{one for one in way if tree[one.removeprefix("switch:")].switch is None} for way in ways]
    if len(roots[0]) == len(roots[1]) == 1:
        assert bool({*ways[0]} & {*ways[1]}) is (ways[0][-1] == ways[1][-1])
