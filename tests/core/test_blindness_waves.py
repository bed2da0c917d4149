"""Part of an area is cut, and comes back in waves: one root, everybody silent explained by it or by himself, nobody blamed who is heard."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.blindness import FEWEST, RECOVERY, REST, SETTLE, UNEXPLAINED, Area, Cause, Client, Heard, Site
from hub.core.blindness_plan import Look, Open, Plan, Standing, plan
from hub.model import SECOND, Micros

T0: Micros = 1_795_000_000 * SECOND
BEAT, OFFLINE = 10 * SECOND, 30 * SECOND
OURS, THEIRS = 40, 24
SITES = {f"x{n:03}": Site(f"x{n:03}", ("140403", "1404", "14"), "unicom") for n in range(OURS)} | {
    f"y{n:03}": Site(f"y{n:03}", ("140403", "1404", "14"), "mobile") for n in range(THEIRS)
}
AREA = Area("140403", "unicom")


@dataclass
class Watcher:
    """What the store keeps of one plan for the next look, and nothing else."""

    cut: dict[str, Micros]
    """sites that are silent, with the last that was heard of each"""
    now: Micros = T0
    areas: dict[int, Standing] = field(default_factory=dict)
    rows: dict[str, Open] = field(default_factory=dict)
    begun: list[tuple[Area, Cause, int]] = field(default_factory=list)
    """every area that ever began: where, why, how many sites it had then"""

    def look(self) -> Plan:
        """One look, written down."""
        found = plan(Look(self.now, SITES, self._clients(), (), {}, [*self.areas.values()], [*self.rows.values()]))
        for row in [row for row in self.rows.values() if row.key in found.back]:
            del self.rows[row.client]
            if row.area in self.areas:
                self.areas[row.area] = self.areas[row.area]._replace(last_return=self.now)
        for key in found.ended:
            del self.areas[key]
        keys = []
        for failing in found.begun:
            keys.append(len(self.begun) + 1)
            self.begun.append((failing.area, failing.cause, len(failing.sites)))
            self.areas[keys[-1]] = Standing(keys[-1], failing.area, failing.sites, failing.first, failing.latest, None)
        for one in found.found:
            area = one.area if one.begun is None else keys[one.begun]
            before = self.rows.get(one.client)
            key = hash(one.client) if before is None else before.key
            self.rows[one.client] = Open(key, one.client, area if area is not None or before is None else before.area)
            if area in self.areas:
                self.areas[area] = self.areas[area]._replace(members=self.areas[area].members | {one.client})
        return found

    def _clients(self) -> dict[str, Client]:
        found = {}
        for name in SITES:
            last = self.cut.get(name)
            gone = last is not None and self.now >= last + OFFLINE
            state, heard = (Heard.SILENT, last) if gone else (Heard.HEARD, self.now)
            assert heard is not None
            found[name] = Client(name, name, state, heard, heard + OFFLINE if gone else 0, BEAT)
        return found

    def run(self, seconds: int, every: int = 5) -> None:
        """Look again and again; nobody who is heard is ever blamed, and each silent site that settled has its verdict."""
        for _ in range(seconds // every):
            self.now += every * SECOND
            found = self.look()
            blamed = {one.client for one in found.found}
            silent = {name for name, last in self.cut.items() if self.now >= last + OFFLINE}
            assert blamed <= silent
            assert {name for name in silent if self.now - self.cut[name] - OFFLINE >= SETTLE} <= blamed


def watcher(silent: int) -> Watcher:
    """The first so many sites of one carrier fell silent at one moment, each between two beats."""
    return Watcher({f"x{n:03}": T0 - n % 10 * SECOND for n in range(silent)})


@pytest.mark.parametrize("silent", [22, 24, 30, 39, 40])
def test_the_larger_part_of_a_carriers_sites_cut_at_once_is_one_root_with_exactly_those_under_it(silent: int) -> None:
    world = watcher(silent)
    world.run(120)
    assert world.begun == [(AREA, Cause.CARRIER, silent)]
    assert {row.client for row in world.rows.values() if row.area == 1} == set(world.cut)


@pytest.mark.parametrize("silent", [UNEXPLAINED, 15, 20])
def test_a_lesser_part_of_them_is_one_root_too_whose_cause_nobody_can_know(silent: int) -> None:
    world = watcher(silent)
    world.run(120)
    assert world.begun == [(AREA, Cause.UNDETERMINED, silent)]
    assert {row.area for row in world.rows.values()} == {1}


@pytest.mark.parametrize("silent", [1, FEWEST, UNEXPLAINED - 1])
def test_a_few_are_no_area_and_each_stands_for_itself(silent: int) -> None:
    world = watcher(silent)
    world.run(120)
    assert world.begun == []
    assert {row.area for row in world.rows.values()} == {None}
    assert set(world.rows) == set(world.cut)


@settings(max_examples=60)
@given(
    st.integers(22, OURS),
    st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(1, 60)), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_recovery_in_waves_begins_no_second_root_and_releases_those_that_stay_away_when_few_are_left(
    silent: int, waves: list[tuple[float, int]], chance: object
) -> None:
    world = watcher(silent)
    world.run(60)
    assert len(world.begun) == 1
    for share, pause in waves:
        away = sorted(world.cut)
        chance.shuffle(away)  # type: ignore[attr-defined]
        for name in away[: round(share * len(away))]:
            del world.cut[name]
        world.run(5 * pause)
        stays = max(FEWEST, (silent + REST - 1) // REST)
        if len(world.cut) >= stays:
            assert set(world.areas) == {1}, "a root stands while a fifth of its sites is away"
            assert {row.area for row in world.rows.values()} == {1}
    few = 0 < len(world.cut) < max(FEWEST, (silent + REST - 1) // REST)
    world.run(RECOVERY // SECOND + 10)
    assert set(world.rows) == set(world.cut)
    if few:
        assert world.areas == {}, "those that stay away are paged by themselves"
    if not world.cut:
        assert world.areas == {}
        assert world.rows == {}
    assert len(world.begun) == 1


def test_a_second_part_of_the_same_area_that_falls_silent_a_little_later_joins_its_root() -> None:
    world = watcher(24)
    world.run(70)
    world.cut |= {f"x{n:03}": world.now for n in range(24, 32)}
    world.run(60)
    assert world.begun == [(AREA, Cause.CARRIER, 24)]
    assert {row.area for row in world.rows.values()} == {1}
    assert len(world.rows) == 32
