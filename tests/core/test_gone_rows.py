"""Rows that go from a table: a fault for a day, then retired and shown as gone; where a fire would show they are never green."""

from dataclasses import replace

import yaml

from hub.core.lane import State
from hub.model import GONE, FunctionState, Lane, Quality, Series
from hub.profiles import parse_profile
from tests.core.lane_world import SECOND, T0, World, device, registry, sample

HOUR = 3600 * SECOND
_DOCUMENT = """
profile: p-array
kind: other
vendor: v
model: m
title: {zh: 阵列, en: array}
source: our own
driver: snmp
liveness: {beat: 1m, offline_after: 3m}
points:
  disk: {title: {zh: 盘, en: disk}, type: int, enum: {1: ok, 2: failing}}
  load: {title: {zh: 载, en: load}, type: float}
  zone: {title: {zh: 回路, en: zone}, type: int, enum: {0: normal, 1: fire}}
health:
  - {point: disk, condition: {equals: failing}, state: failed, title: {zh: 盘坏, en: a disk fails}}
alarms:
  disk: {title: {zh: 盘坏, en: disk}, class: fault, priority: low, point: disk, condition: {equals: failing}, response: {zh: 换, en: swap}}
  fire: {title: {zh: 火, en: fire}, class: fire, priority: critical, point: zone, condition: {equals: fire}, response: {zh: 立即, en: at once}}
test: {seen: [disk]}
"""
PROFILE = parse_profile(yaml.safe_load(_DOCUMENT), "world")
LOST = f"{GONE}1.3.6: the row has gone"


class Array:
    """An array of disks behind an edge, in service and proven."""

    def __init__(self) -> None:
        made = replace(device(9, "array", "p-heat"), profile=PROFILE, lane=PROFILE.lane)
        self.world = World(Lane.URGENT, registry(device(1, "edge-1", "p-edge"), made))
        live = self.world.say(sample("array", "load", 1.0, T0)).live["array"]
        self.world.state.live["array"] = live._replace(proven=True, function=FunctionState.OK)

    def say(self, point: str, row: str, raw: int | None, error: str | None = None) -> None:
        self.world.say(sample("array", point, raw, self.world.now, row, error))

    def lose(self, point: str, row: str, hours: int) -> None:
        """The row is said to have gone, hour by hour."""
        for _ in range(hours):
            self.say(point, row, None, LOST)
            self.world.tick()
            self.world.now += HOUR

    def function(self) -> str:
        return str(self.world.state.live["array"].function)


def test_a_row_that_went_is_a_fault_for_a_day_and_then_retired_and_still_shown_as_gone() -> None:
    array = Array()
    array.say("disk", "a", 1)
    array.say("disk", "b", 1)
    assert array.function() == "ok"
    array.lose("disk", "b", 24)
    assert array.function() == "degraded"
    array.lose("disk", "b", 3)
    assert array.function() == "ok"
    shown = array.world.state.latest[Series("array", "disk", "b")]
    assert (shown.quality, shown.text) == (Quality.BAD_GONE, LOST)


def test_a_retired_row_that_is_back_is_judged_as_ever() -> None:
    array = Array()
    array.lose("disk", "b", 30)
    assert array.function() == "ok"
    array.say("disk", "b", 2)
    assert array.function() == "failed"
    assert array.world.alarms() == {"disk": "unack_active"}
    array.lose("disk", "b", 2)
    assert array.function() == "failed", "the day begins anew"


def test_a_failing_disk_that_was_pulled_stays_an_alarm_for_a_day_and_is_cleared_then() -> None:
    array = Array()
    array.say("disk", "b", 2)
    array.lose("disk", "b", 24)
    assert (array.function(), array.world.alarms()) == ("failed", {"disk": "unack_active"})
    array.lose("disk", "b", 2)
    assert (array.function(), array.world.alarms()) == ("ok", {"disk": "unack_cleared"})
    array.world.now += HOUR
    array.world.tick()
    assert array.world.alarms() == {"disk": "unack_cleared"}, "nothing raises it again"


def test_a_row_that_nobody_speaks_of_any_more_is_retired_by_time_also_after_a_restart_of_the_hub() -> None:
    array = Array()
    array.lose("disk", "b", 1)
    array.world.now += 20 * HOUR
    kept = array.world.state
    array.world.state = State(latest=kept.latest, live=kept.live, streams=kept.streams)
    array.world.state.remember_faults(array.world.registry)
    array.world.tick()
    assert array.function() == "degraded"
    array.world.now += 4 * HOUR
    array.world.tick()
    assert array.function() == "ok"


def test_what_was_retired_is_no_fault_for_a_moment_after_a_restart_of_the_hub_either() -> None:
    array = Array()
    array.lose("disk", "b", 30)
    kept = array.world.state
    array.world.state = State(latest=kept.latest, live=kept.live, streams=kept.streams)
    array.world.state.remember_faults(array.world.registry)
    array.say("disk", "a", 1)
    assert array.function() == "ok"


def test_a_row_that_went_is_retired_also_of_a_device_that_others_wrote_to_meanwhile() -> None:
    array = Array()
    array.lose("disk", "b", 2)
    state = array.world.state
    fresh = State(latest=dict(state.latest), live=dict(state.live), streams=state.streams)
    state.take_over({"array"}, fresh, array.world.registry)
    array.world.now += 30 * HOUR
    array.world.tick()
    assert array.function() == "ok"


def test_a_row_where_a_fire_would_show_is_never_retired() -> None:
    array = Array()
    array.say("zone", "7", 1)
    array.lose("zone", "7", 100)
    assert array.function() == "unproven"
    assert array.world.alarms() == {"fire": "unack_active"}
    array.say("zone", "7", 0)
    assert array.function() == "ok"


def test_a_row_that_cannot_be_read_is_not_taken_for_one_that_has_gone() -> None:
    array = Array()
    for _ in range(100):
        array.say("disk", "b", None, "the agent answers, but not to this")
        array.world.tick()
        array.world.now += HOUR
    assert array.function() == "degraded"
