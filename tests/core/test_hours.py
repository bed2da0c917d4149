"""Conditions that depend on opening hours or the armed state, and panels that arm."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from hub.core.opening import ASSUMED, Armed, Hours, Mode
from hub.core.premises import Premises, Said
from hub.errors import BadInput
from hub.model import Lane, Micros, to_micros
from hub.profiles import Profile, parse_profile
from tests.core.lane_world import SECOND, World, device, registry, sample

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def at(text: str) -> Micros:
    """Local time of Asia/Shanghai."""
    return to_micros(datetime.fromisoformat(f"2026-11-23T{text}+08:00").astimezone(UTC))  # a Monday


_DOCUMENT = """
profile: p-door
kind: access_controller
vendor: anxin
model: door
title: {zh: 门, en: door}
source: our own
driver: edge
liveness: {beat: 60s, offline_after: 300s}
points:
  open: {title: {zh: 开, en: open}, type: bool}
  move: {title: {zh: 动, en: motion}, type: str, record: event}
  set: {title: {zh: 布防, en: set}, type: int, enum: {0: unset, 1: set}}
alarms:
  held: {title: {zh: 未关, en: held open}, class: access, priority: medium, point: open, condition: {equals: true},
         when: closed, on_delay: 5m, response: {zh: 看, en: look}}
  intruder: {title: {zh: 入侵, en: intruder}, class: intrusion, priority: high, point: move, condition: {present: true},
             when: armed, latching: true, response: {zh: 看, en: look}}
arming: {point: set, armed: {equals: set}, disarmed: {equals: unset}}
test: {seen: [open]}
"""


def door(**changes: object) -> Profile:
    document = yaml.safe_load(_DOCUMENT)
    document["alarms"]["held"] |= changes
    return parse_profile(document, "test")


class Door(World):
    """A door in an institution that is open from 07:00 to 19:00."""

    def __init__(self, now: Micros) -> None:
        made = replace(device(5, "door-1", "p-heat"), profile=door(), lane=Lane.BULK)
        super().__init__(Lane.BULK, registry(device(1, "edge-1", "p-edge"), made))
        self.now = now

    def pass_to(self, now: Micros) -> None:
        """Time passes, and the edge and the door are heard."""
        self.now = now
        self.say(sample("edge-1", "beat", 900.0, now))
        draft = self.state.live.get("door-1")
        if draft is not None:
            self.state.live["door-1"] = draft._replace(heard=now)

    def heard(self, point: str, raw: object, when: Micros | None = None) -> None:
        self.say(sample("door-1", point, raw, self.now if when is None else when))  # type: ignore[arg-type]


def test_a_door_that_is_open_at_closing_time_is_an_alarm_when_its_delay_has_passed_since_then() -> None:
    world = Door(at("15:00:00"))
    world.pass_to(at("15:00:00"))
    world.heard("open", True)
    world.tick()
    assert world.alarms() == {}
    for clock, alarms in (("18:59:59", {}), ("19:00:00", {}), ("19:04:59", {}), ("19:05:00", {"held": "unack_active"})):
        world.pass_to(at(clock))
        world.tick()
        assert world.alarms() == alarms, clock
    [alarm] = world.state.alarms.values()
    assert alarm.raised_at == at("19:05:00")


def test_the_delay_since_closing_time_survives_a_restart() -> None:
    world = Door(at("15:00:00"))
    world.pass_to(at("15:00:00"))
    world.heard("open", True)
    world.tick()
    world.state.gates.clear()  # what is not stored; the hub was down at closing time
    world.pass_to(at("19:20:00"))
    draft = world.tick()
    [alarm] = world.state.alarms.values()
    assert (alarm.raised_at, alarm.late) == (at("19:05:00"), True)
    assert list(draft.begin) == []  # its edge may have a backlog that says when the door was closed
    world.pass_to(at("19:20:15"))
    assert list(world.tick().begin) == [alarm.id]


def test_a_door_that_is_closed_in_time_is_no_alarm_and_one_that_is_opened_at_night_is() -> None:
    world = Door(at("18:50:00"))
    world.pass_to(at("18:50:00"))
    world.heard("open", True)
    world.pass_to(at("19:01:00"))
    world.tick()
    world.heard("open", False)
    world.pass_to(at("19:10:00"))
    world.tick()
    assert world.alarms() == {}
    world.heard("open", True)
    world.pass_to(at("19:15:00"))
    world.tick()
    assert world.alarms() == {"held": "unack_active"}


def test_the_alarm_clears_when_the_institution_opens() -> None:
    world = Door(at("05:00:00"))
    world.pass_to(at("05:00:00"))
    world.heard("open", True)
    world.pass_to(at("05:10:00"))
    world.tick()
    assert world.alarms() == {"held": "unack_active"}
    world.pass_to(at("07:00:00"))
    world.tick()
    assert world.alarms() == {"held": "unack_cleared"}


def test_a_reading_that_was_on_its_way_at_closing_time_is_judged_and_does_not_start_the_delay_again() -> None:
    world = Door(at("18:00:00"))
    world.pass_to(at("18:00:00"))
    world.heard("open", True)
    world.pass_to(at("19:00:01"))
    world.tick()
    world.heard("open", True, at("18:59:59"))
    world.pass_to(at("19:05:00"))
    world.tick()
    assert world.alarms() == {"held": "unack_active"}
    assert next(iter(world.state.alarms.values())).raised_at == at("19:05:00")


def said(world: Door, mode: Mode, since: Micros, until: Micros | None = None) -> None:
    hours = Hours(ASSUMED, Armed(mode, since, until))
    world.state.premises = Said({"garden": Premises(hours)})


def test_motion_is_an_intruder_while_armed_and_nothing_while_not() -> None:
    world = Door(at("12:00:00"))
    world.heard("move", "x")
    assert world.alarms() == {}
    said(world, Mode.ARMED, world.now)
    world.now += SECOND
    world.heard("move", "x")
    assert world.alarms() == {"intruder": "latched_unack"}


def test_what_a_panel_says_of_arming_counts_for_the_next_sample_of_the_same_message_and_is_written_down() -> None:
    world = Door(at("12:00:00"))
    world.heard("set", 0)
    world.now += SECOND
    draft = world.say(
        sample("door-1", "set", 1, world.now),
        sample("door-1", "move", "x", world.now + 1),
        sample("door-1", "set", 1, world.now + 2),
    )
    armed, panel = draft.armed["garden"]
    assert (armed.mode, armed.since, armed.before, panel.id) == (Mode.ARMED, world.now, Mode.DISARMED, "door-1")
    assert world.alarms() == {"intruder": "latched_unack"}
    assert [change.kind for change in draft.changes].count("armed") == 1


def test_a_panel_that_says_the_same_again_does_not_overrule_a_person() -> None:
    world = Door(at("20:00:00"))
    world.heard("set", 1)
    said(world, Mode.DISARMED, world.now + SECOND, world.now + HOUR)
    world.now += MINUTE
    world.heard("set", 1)
    world.heard("move", "x")
    assert world.alarms() == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class": "panic", "priority": "critical", "on_delay": "0s"}, "always armed"),
        ({"class": "fire", "priority": "critical"}, "always armed"),
        ({"point": "link"}, "at any hour"),
        ({"when": "sometimes"}, "when"),
    ],
)
def test_a_profile_whose_fire_panic_or_silence_would_depend_on_hours_is_refused(
    changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        door(**changes)
