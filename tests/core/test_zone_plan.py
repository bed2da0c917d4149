"""The digest of a zone plan: the same for every order, another for everything that rules rest on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.coverage.zone_plan import PlanZone, digest, document

NAP = PlanZone("nap", "nap_room", 40.0, 1, ("hall",), ("infant", "junior"))
HALL = PlanZone("hall", "lobby", 12.5, 1, (), ())
FLOORS = {1: "ab" * 32, -1: "cd" * 32}
SIGNED = digest(document([NAP, HALL], FLOORS))


@given(st.permutations([NAP, HALL]), st.permutations(["infant", "junior"]), st.permutations(sorted(FLOORS)))
def test_order_means_nothing(zones: list[PlanZone], ages: list[str], floors: list[int]) -> None:
    turned = [zone._replace(ages=tuple(ages)) if zone.id == "nap" else zone for zone in zones]
    assert digest(document(turned, {floor: FLOORS[floor] for floor in floors})) == SIGNED


@pytest.mark.parametrize(
    "changed",
    [
        NAP._replace(id="nap-2"), NAP._replace(purpose="toilet"), NAP._replace(area_m2=41.0), NAP._replace(area_m2=None),
        NAP._replace(floor=2), NAP._replace(entrances=()), NAP._replace(ages=("infant",)),
    ],
)  # fmt: skip
def test_whatever_rules_rest_on_changes_the_digest(changed: PlanZone) -> None:
    assert digest(document([changed, HALL], FLOORS)) != SIGNED


def test_a_zone_less_and_another_picture_change_it_too() -> None:
    assert digest(document([NAP], FLOORS)) != SIGNED
    assert digest(document([NAP, HALL], {**FLOORS, 1: "ee" * 32})) != SIGNED
    assert digest(document([NAP, HALL], {1: FLOORS[1]})) != SIGNED
