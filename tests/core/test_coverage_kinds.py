"""Every kind of requirement, case by case: what makes it green, red, and unknown."""

from dataclasses import replace
from typing import Any

import pytest

from hub.core.commissioning import last_proofs
from hub.core.coverage.facts import (
    Arming,
    Attestation,
    DeviceFact,
    InstitutionFacts,
    Interval,
    PlanState,
    RecordingFact,
    Value,
    View,
    ZoneFact,
)
from hub.core.coverage.findings import Finding
from hub.core.coverage.judge import check
from hub.core.coverage.requirements import DAY
from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    ShareCovered,
    TimeBound,
    Verdict,
)
from hub.model import SECOND, AdminState, FunctionState, LinkState
from tests.core.coverage_city import ACT, CAMERA, FAILED, NAP, NOW, OFFLINE, TOILET, pack, rule, site

GREEN, RED, UNKNOWN, NONE = Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
HOUR = 3600 * SECOND
VIDEO = frozenset({"video.live"})
SMOKE = frozenset({"fire.smoke"})
ROOMS = frozenset({"activity_room", "nap_room"})
DETECTOR = replace(CAMERA, id="det-1", kind="smoke_detector", capabilities=SMOKE)


def finding(asked: Requirement, of: InstitutionFacts, age: int | None = None) -> Finding:
    [found] = check([pack(replace(rule(asked), evidence_max_age=age))], of, NOW)
    return found


def verdict(asked: Requirement, of: InstitutionFacts, age: int | None = None) -> Verdict:
    return finding(asked, of, age).verdict


def some(*devices: DeviceFact, zones: tuple[ZoneFact, ...] = (ACT,), **facts: Any) -> InstitutionFacts:
    return replace(site(*devices, zones=zones), **facts)


def copies(n: int, of: DeviceFact = DETECTOR) -> tuple[DeviceFact, ...]:
    return tuple(replace(of, id=f"{of.id}-{k}") for k in range(n))


def seeing(*views: View, **changes: Any) -> DeviceFact:
    return replace(CAMERA, sees=views, **changes)


# at_least


def test_a_camera_counts_where_it_looks_not_where_it_hangs() -> None:
    each = AtLeast(VIDEO, 1, "zone", ROOMS)
    both = seeing(View("act", 0.6, NOW), View("nap", 0.4, NOW), zone="hall")
    assert verdict(each, some(both, zones=(ACT, NAP))) is GREEN
    assert verdict(each, some(seeing(View("nap", 1, NOW), zone="act"), zones=(ACT, NAP))) is RED
    [part] = finding(AtLeast(VIDEO, 1, "zone", frozenset({"activity_room"})), some(CAMERA)).parts
    assert [row.by for row in part.devices] == ["zone"]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (View("act", 1, NOW), GREEN),
        (View("act", 1, None), UNKNOWN),
        (View("act", 1, NOW - 400 * DAY), UNKNOWN),
        (View("act", 1, NOW, masked=True), RED),
        (View("act", 0, NOW), RED),
        (View("act", float("nan"), NOW), RED),
    ],
)
def test_a_view_counts_while_somebody_attested_it_lately(view: View, expected: Verdict) -> None:
    asked = AtLeast(VIDEO, 1, "zone", frozenset({"activity_room"}), views_within=365 * DAY)
    assert verdict(asked, some(seeing(view))) is expected


def test_what_was_heard_too_long_ago_is_unknown_though_it_is_called_online() -> None:
    asked = AtLeast(VIDEO, 1, "institution")
    heard = some(replace(CAMERA, last_heard_at=NOW - 2 * DAY))
    assert verdict(asked, heard) is GREEN
    assert verdict(asked, heard, DAY) is UNKNOWN
    assert verdict(asked, some(replace(CAMERA, last_heard_at=None)), DAY) is UNKNOWN
    assert verdict(asked, some(replace(CAMERA, last_heard_at=NOW + DAY)), DAY) is UNKNOWN


@pytest.mark.parametrize(
    ("n", "area", "expected"),
    [
        (2, 120.0, GREEN),
        (2, 120.5, RED),
        (3, 120.5, GREEN),
        (1, None, UNKNOWN),
        (0, None, RED),
        (1, float("nan"), UNKNOWN),
    ],
)
def test_so_many_for_each_area_begun(n: int, area: float | None, expected: Verdict) -> None:
    asked = AtLeast(SMOKE, 1, "zone", ROOMS, per_m2=60)
    assert verdict(asked, some(*copies(n), zones=(replace(ACT, area_m2=area),))) is expected


def test_zones_are_chosen_by_their_size_and_one_of_unknown_size_stays_unknown() -> None:
    large = AtLeast(SMOKE, 2, "zone", ROOMS, area_above=80)
    assert verdict(large, some(zones=(replace(ACT, area_m2=80.0),))) is NONE
    assert verdict(large, some(zones=(replace(ACT, area_m2=80.1),))) is RED
    assert verdict(large, some(*copies(2), zones=(ACT,))) is UNKNOWN
    small = AtLeast(SMOKE, 1, "zone", ROOMS, area_up_to=80)
    assert verdict(small, some(*copies(1), zones=(replace(ACT, area_m2=80.0),))) is GREEN


def test_so_many_for_the_children_that_may_be_there() -> None:
    asked = AtLeast(SMOKE, 1, "institution", per_children=30)
    assert verdict(asked, some(*copies(2), capacity=60)) is GREEN
    assert verdict(asked, some(*copies(2), capacity=61)) is RED
    assert verdict(asked, some(*copies(2))) is UNKNOWN
    assert verdict(AtLeast(SMOKE, 1, "institution", per_m2=0.1), some(*copies(2), area_m2=1.7e308)) is UNKNOWN


def test_the_area_of_an_institution_is_its_own_or_the_sum_of_its_zones() -> None:
    asked = AtLeast(SMOKE, 1, "institution", per_m2=50)
    zones = (replace(ACT, area_m2=30.0), replace(NAP, area_m2=25.0))
    assert verdict(asked, some(*copies(1), zones=zones)) is RED
    assert verdict(asked, some(*copies(2), zones=zones)) is GREEN
    assert verdict(asked, some(*copies(1), zones=zones, area_m2=50.0)) is GREEN
    assert verdict(asked, some(*copies(2), zones=(*zones, TOILET))) is UNKNOWN


def test_every_entrance_needs_one_and_one_that_is_not_on_the_plan_is_unknown() -> None:
    door = ZoneFact("door", "entrance", "大门", "Door")
    back = ZoneFact("back", "corridor", "后门", "Back door")
    inside = replace(ACT, entrances=("back",))
    asked = AtLeast(frozenset({"access.control"}), 1, "entrance")
    lock = replace(CAMERA, capabilities=frozenset({"access.control"}), zone="door")
    both = (lock, replace(lock, id="lock-2", zone="back"))
    assert verdict(asked, some(*both, zones=(door, back, inside))) is GREEN
    assert verdict(asked, some(lock, zones=(door, back, inside))) is RED
    assert verdict(asked, some(lock, zones=(door, inside))) is UNKNOWN
    assert verdict(asked, some(lock, zones=(TOILET,))) is NONE


def test_every_floor_needs_one_and_a_zone_without_a_floor_is_unknown() -> None:
    asked = AtLeast(SMOKE, 1, "floor", must_exist=True)
    up, down = replace(ACT, floor="2"), replace(NAP, floor="1")
    assert verdict(asked, some(DETECTOR, replace(DETECTOR, id="det-2", zone="nap"), zones=(up, down))) is GREEN
    lacking = finding(asked, some(DETECTOR, zones=(up, down)))
    assert lacking.verdict is RED
    assert "1 层" in lacking.sentence_zh
    assert verdict(asked, some(DETECTOR, zones=(up, TOILET))) is UNKNOWN


# share_covered, none_in, independent


def test_shares_add_up_over_cameras_and_only_proven_ones_count() -> None:
    asked = ShareCovered(VIDEO, 1.0, frozenset({"activity_room"}))
    one, two = seeing(View("act", 0.6, NOW)), seeing(View("act", 0.4, NOW), id="cam-2")
    assert verdict(asked, some(one, two)) is GREEN
    assert verdict(asked, some(one)) is RED
    assert verdict(asked, some(one, replace(two, link_state=LinkState.OFFLINE))) is UNKNOWN
    assert verdict(asked, some(one, replace(two, function_state=FunctionState.FAILED))) is RED
    assert verdict(asked, some(CAMERA)) is UNKNOWN  # it hangs there, and declares nothing
    [part] = finding(asked, some(one, seeing(View("act", 0.9, NOW), id="cam-2"))).parts
    assert (part.needed, part.proven) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("masked", "attested", "expected"),
    [(False, None, RED), (False, NOW, RED), (True, NOW, GREEN), (True, None, UNKNOWN)],
)
def test_a_view_into_a_forbidden_room_is_a_violation_without_a_mask_and_unknown_with_one_that_nobody_looked_at(
    masked: bool, attested: int | None, expected: Verdict
) -> None:
    asked = NoneIn(frozenset({"toilet"}), capabilities=VIDEO)
    for state in (AdminState.IN_SERVICE, AdminState.REGISTERED, AdminState.OUT_OF_SERVICE):
        camera = seeing(View("wc", 0.1, attested, masked), admin_state=state)
        found = finding(asked, some(camera, zones=(ACT, TOILET)))
        assert found.verdict is expected
        assert ("隐私遮挡未经确认" in found.sentence_zh) is (expected is UNKNOWN)
    retired = seeing(View("wc", 0.1, NOW), admin_state=AdminState.RETIRED)
    assert verdict(asked, some(retired, zones=(TOILET,))) is GREEN


def test_two_devices_behind_one_line_are_not_independent() -> None:
    asked = Independent(SMOKE, 2, "link")
    one, two = (replace(DETECTOR, id=name, behind=(f"link:{line}", "edge:e")) for name, line in (("a", 1), ("b", 2)))
    assert verdict(asked, some(one, two)) is GREEN
    assert verdict(asked, some(one, replace(two, behind=one.behind))) is RED
    assert verdict(asked, some(one, replace(two, behind=()))) is UNKNOWN
    assert verdict(replace(asked, of="edge"), some(one, two)) is RED
    chained = replace(two, behind=("link:3", "link:1", "edge:e"))  # its bus hangs on the other's
    assert verdict(asked, some(one, chained)) is RED


# bounds

HELD = Bounds("recording_days", 90, 120, capabilities=VIDEO, must_exist=True, hold_excepted=True)


def recorded(days: float, **changes: Any) -> RecordingFact:
    return replace(RecordingFact("cam-1", "nvr", days, 0.0, None, NOW, NOW), **changes)


@pytest.mark.parametrize(
    ("fact", "expected", "reason"),
    [
        (recorded(95), GREEN, "recorded"),
        (recorded(71), RED, "too_short"),
        (recorded(20, installed_at=NOW - 20 * DAY), GREEN, "so_far"),
        (recorded(12, installed_at=NOW - 20 * DAY), RED, "too_short"),
        (recorded(95, installed_at=NOW + DAY), UNKNOWN, "no_value"),
        (recorded(95, gap_seconds=3 * 86_400.0), RED, "gaps"),
        (recorded(95, bad_seconds=3 * 86_400.0), RED, "gaps"),
        (recorded(95, gap_seconds=3600.0), GREEN, "recorded"),
        (recorded(95, newest_at=NOW - 5 * DAY), RED, "gaps"),
        (
            recorded(95, newest_at=NOW - DAY // 2, gap_seconds=86_400.0 / 2 + 1),
            UNKNOWN,
            "gaps",
        ),  # may be the same hours
        (recorded(71, possible=95.0), UNKNOWN, "days_unproven"),
        (recorded(71, possible=80.0), RED, "too_short"),
        (recorded(0.0, installed_at=NOW), UNKNOWN, "days_unproven"),
        (recorded(95, read_at=NOW - 3 * DAY, newest_at=NOW - 3 * DAY), UNKNOWN, "stale"),
        (recorded(121), RED, "too_long"),
        (recorded(float("nan")), UNKNOWN, "no_value"),
    ],
)
def test_days_of_recording(fact: RecordingFact, expected: Verdict, reason: str) -> None:
    found = finding(HELD, some(CAMERA, recordings=(fact,)), 2 * DAY)
    assert (found.verdict, found.parts[0].devices[0].reason) == (expected, reason)


@pytest.mark.parametrize(
    ("fact", "expected", "reason"),
    [
        (recorded(95, newest_at=NOW - DAY), GREEN, "recorded"),
        (recorded(95, newest_at=NOW - DAY - 1), RED, "stopped"),
        (recorded(500, newest_at=NOW - 5 * DAY, possible=600.0), RED, "stopped"),
        (recorded(95, newest_at=None), UNKNOWN, "newest_unknown"),
        (recorded(71, newest_at=None), RED, "too_short"),
        (recorded(float("nan"), newest_at=NOW - 5 * DAY), UNKNOWN, "no_value"),
    ],
)
def test_a_recorder_that_stopped_is_no_proof_and_one_that_does_not_tell_is_not_either(
    fact: RecordingFact, expected: Verdict, reason: str
) -> None:
    found = finding(replace(HELD, maximum=None, newest_within=DAY), some(CAMERA, recordings=(fact,)), 2 * DAY)
    assert (found.verdict, found.parts[0].devices[0].reason) == (expected, reason)


def test_gaps_that_may_lie_before_what_is_asked_leave_it_unknown() -> None:
    month = replace(HELD, minimum=30.0)
    assert verdict(month, some(CAMERA, recordings=(recorded(95, gap_seconds=3 * 86_400.0),)), DAY) is UNKNOWN
    # what is missing since the newest picture lies nowhere else
    assert verdict(month, some(CAMERA, recordings=(recorded(95, newest_at=NOW - 3 * DAY),)), DAY) is RED


def test_a_camera_that_no_recorder_knows_is_unknown_and_no_camera_at_all_too() -> None:
    assert verdict(HELD, some(CAMERA), DAY) is UNKNOWN
    assert verdict(HELD, some(), DAY) is UNKNOWN
    assert verdict(replace(HELD, must_exist=False), some(), DAY) is NONE
    alone = replace(CAMERA, id="nvr", kind="recorder", capabilities=frozenset({"video.record"}), zone=None)
    assert verdict(HELD, some(alone, recordings=(recorded(71, device="nvr"),)), DAY) is RED


@pytest.mark.parametrize(
    ("hold", "expected"),
    [
        (Attestation("h", "legal_hold", NOW - DAY), GREEN),
        (Attestation("h", "legal_hold", NOW - DAY, device="cam-1"), GREEN),
        (Attestation("h", "legal_hold", NOW - DAY, zone="act"), GREEN),
        (Attestation("h", "legal_hold", NOW - DAY, zone="nap"), RED),
        (Attestation("h", "legal_hold", NOW - DAY, device="cam-2"), RED),
        (Attestation("h", "legal_hold", NOW - 2 * DAY, expires_at=NOW), RED),
        (Attestation("h", "legal_hold", NOW + DAY), RED),
    ],
)
def test_a_legal_hold_excuses_what_is_kept_too_long(hold: Attestation, expected: Verdict) -> None:
    assert verdict(HELD, some(CAMERA, recordings=(recorded(500),), attestations=(hold,)), DAY) is expected


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ((Value("battery", 50, NOW),), {}, GREEN),
        ((Value("battery", 19, NOW),), {}, RED),
        ((Value("battery", 19, NOW - DAY), Value("battery", 50, NOW)), {}, GREEN),
        ((Value("battery", 50, NOW - 3 * DAY),), {}, UNKNOWN),
        ((Value("battery", float("inf"), NOW),), {}, UNKNOWN),
        ((Value("battery", 50, NOW),), {"link_state": LinkState.OFFLINE}, UNKNOWN),
        ((Value("battery", 19, NOW),), {"function_state": FunctionState.FAILED}, UNKNOWN),
        ((), {}, UNKNOWN),
    ],
)
def test_a_point_within_bounds(values: tuple[Value, ...], changes: dict[str, Any], expected: Verdict) -> None:
    asked = Bounds("point", 20, None, "battery", capabilities=SMOKE)
    assert verdict(asked, some(replace(DETECTOR, values=values, **changes)), 2 * DAY) is expected


def test_a_point_of_another_kind_of_device_is_not_meant() -> None:
    asked = Bounds("point", 18, 28, "temperature", kinds=frozenset({"environment_sensor"}))
    hot = replace(CAMERA, kind="recorder", values=(Value("temperature", 50, NOW),))
    assert verdict(asked, some(hot)) is NONE
    assert verdict(asked, some(replace(hot, kind="environment_sensor"))) is RED


def test_the_area_and_the_capacity_of_an_institution_have_bounds_too() -> None:
    assert verdict(Bounds("area_m2", 30), some(area_m2=30.0)) is GREEN
    assert verdict(Bounds("area_m2", 30), some(area_m2=29.9)) is RED
    assert verdict(Bounds("area_m2", 30), some()) is UNKNOWN
    assert verdict(Bounds("capacity", None, 5), some(capacity=6)) is RED


def test_a_zone_lies_on_a_floor_within_bounds() -> None:
    asked = Bounds("floor", 1, 3, zones=frozenset({"activity_room"}), must_exist=True)

    def on(*floors: str) -> InstitutionFacts:
        zones = (ZoneFact(f"z-{n}", "activity_room", "甲", "A", floor) for n, floor in enumerate(floors))
        return replace(some(), zones=(*zones, ZoneFact("far", "office", "乙", "B", "9")))

    assert verdict(asked, on("1", "3")) is GREEN
    assert verdict(asked, on("1", "4")) is RED
    assert verdict(asked, on("-1")) is RED
    assert verdict(asked, on("1", "")) is UNKNOWN
    assert verdict(asked, on()) is UNKNOWN
    assert verdict(replace(asked, must_exist=False), on()) is NONE


# proven, always_armed


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({"proven": (("fire.smoke", NOW - DAY),)}, GREEN, "ok"),
        ({"proven": (("", NOW - DAY),)}, GREEN, "ok"),
        ({"proven": (("video.live", NOW - DAY),)}, UNKNOWN, "never_proven"),
        ({"proven": ()}, UNKNOWN, "never_proven"),
        ({"proven": (("fire.smoke", NOW + DAY),)}, UNKNOWN, "never_proven"),
        ({"proven": (("fire.smoke", NOW - 40 * DAY),)}, RED, "overdue"),
        ({"proven": (("fire.smoke", NOW),), "link_state": LinkState.OFFLINE}, UNKNOWN, "offline"),
        ({"proven": (("fire.smoke", NOW),), "function_state": FunctionState.FAILED}, RED, "failed"),
        ({"proven": (("fire.smoke", NOW),), "function_state": FunctionState.UNPROVEN}, UNKNOWN, "unproven"),
    ],
)
def test_each_device_was_proven_within_the_time(changes: dict[str, Any], expected: Verdict, reason: str) -> None:
    found = finding(Proven(SMOKE, 31 * DAY), some(replace(DETECTOR, **changes)))
    assert (found.verdict, found.parts[0].devices[0].reason) == (expected, reason)


BOTH_KINDS = replace(DETECTOR, capabilities=SMOKE | {"fire.heat", "video.live"}, sees=(View("nap", 1.0, NOW),))


def test_a_proof_of_the_smoke_alarm_proves_no_heat_alarm() -> None:
    heat = frozenset({"fire.heat"})
    smoke_only = replace(BOTH_KINDS, proven=(("fire.smoke", NOW - DAY),), unproven=heat)
    assert verdict(Proven(SMOKE, 31 * DAY), some(smoke_only)) is GREEN
    assert verdict(Proven(heat, 31 * DAY), some(smoke_only)) is UNKNOWN
    assert verdict(Proven(SMOKE | heat, 31 * DAY), some(smoke_only)) is UNKNOWN
    late = replace(smoke_only, proven=(("fire.smoke", NOW), ("fire.heat", NOW - 40 * DAY)), unproven=frozenset())
    assert verdict(Proven(SMOKE | heat, 31 * DAY), some(late)) is RED
    each = AtLeast(heat, 1, "zone", ROOMS)
    [part] = finding(each, some(smoke_only)).parts
    assert (part.verdict, part.devices[0].reason) == (UNKNOWN, "never_proven")
    assert verdict(replace(each, capabilities=SMOKE), some(smoke_only)) is GREEN
    assert verdict(replace(each, capabilities=SMOKE | heat), some(smoke_only)) is GREEN  # any of them will do
    assert verdict(Independent(heat, 1, "uplink"), some(replace(smoke_only, behind=("uplink:a",)))) is UNKNOWN


def test_what_a_device_sees_and_what_it_does_where_it_hangs_are_proven_each_by_itself() -> None:
    asked = AtLeast(VIDEO | SMOKE, 1, "zone", frozenset({"nap_room"}))
    there = some(BOTH_KINDS, zones=(ACT, NAP))
    assert verdict(asked, there) is GREEN
    assert verdict(asked, replace(there, devices=(replace(BOTH_KINDS, unproven=VIDEO),))) is UNKNOWN
    share = ShareCovered(VIDEO, 0.5, frozenset({"nap_room"}))
    assert verdict(share, there) is GREEN
    assert verdict(share, replace(there, devices=(replace(BOTH_KINDS, unproven=VIDEO),))) is UNKNOWN
    point = Bounds("point", 1.0, None, "battery", capabilities=VIDEO)
    flat = replace(BOTH_KINDS, values=(Value("battery", 5, NOW),))
    assert verdict(point, some(flat)) is GREEN
    assert verdict(point, some(replace(flat, unproven=VIDEO))) is UNKNOWN


@pytest.mark.parametrize(
    ("capabilities", "proven_at", "recorded", "proofs", "expected"),
    [
        ("a", None, {"a": 5}, [("a", 6)], {}),  # never tested since it was changed: nothing counts
        ("a", 5, None, [], {"a": 5}),  # before tests said what they show: the only thing it does
        ("ab", 5, None, [(None, 7)], {}),  # of several nobody knows which
        ("ab", 5, None, [("b", 7)], {"b": 7}),
        ("ab", 5, {"a": 5, "gone": 5}, [("a", 3)], {"a": 5}),
        ("a", 5, {}, [], {}),  # a test that showed nothing of it
        ("a", 5, {"a": 5}, [(None, 9)], {"a": 9}),
        ("", 5, None, [(None, 9)], {}),
    ],
)
def test_what_was_proven_before_it_was_said_counts_only_where_it_can_be_but_one_thing(
    capabilities: str, proven_at: int | None, recorded: Any, proofs: Any, expected: dict[str, int]
) -> None:
    assert last_proofs(tuple(capabilities), proven_at, recorded, proofs) == expected


def test_a_button_that_a_schedule_may_switch_off_is_not_always_armed() -> None:
    asked = AlwaysArmed(frozenset({"panic"}))
    on, off = Arming("cam-1", "panic", True, NOW), Arming("cam-2", "panic", False, NOW)
    two = (CAMERA, replace(CAMERA, id="cam-2"))
    assert verdict(asked, some(*two, armed_always=(on,))) is GREEN
    assert verdict(asked, some(*two, armed_always=(on, off))) is RED
    assert verdict(asked, some(OFFLINE, armed_always=(on,))) is UNKNOWN
    assert verdict(asked, some(FAILED, armed_always=(on,))) is RED
    assert verdict(asked, some(*two)) is NONE
    assert verdict(replace(asked, must_exist=True), some(*two)) is UNKNOWN
    more = replace(asked, classes=frozenset({"panic", "fire"}), must_exist=True)
    lacking = finding(more, some(*two, armed_always=(on,)))
    assert lacking.verdict is UNKNOWN
    assert lacking.sentence_zh.endswith("无法证实：火警 没有这类在用设备。")


# attested, documents, time_bound


def stated(ago: int, kind: str = "inspection", **changes: Any) -> Attestation:
    return replace(Attestation(f"{kind}-{ago}", kind, NOW - ago), **changes)


@pytest.mark.parametrize(
    ("rows", "expected", "reason"),
    [
        ((stated(DAY, seconded=True),), GREEN, "stated"),
        ((stated(DAY),), RED, "not_seconded"),
        ((stated(40 * DAY, seconded=True),), RED, "overdue"),
        ((stated(DAY, seconded=True, expires_at=NOW),), RED, "expired"),
        ((stated(-DAY, seconded=True),), UNKNOWN, "future"),
        ((), UNKNOWN, "never_stated"),
        ((stated(DAY, "patrol", seconded=True),), UNKNOWN, "never_stated"),
    ],
)
def test_an_attestation_within_the_time(rows: tuple[Attestation, ...], expected: Verdict, reason: str) -> None:
    asked = Attested("inspection", 31 * DAY, seconded=True)
    found = finding(asked, some(attestations=rows))
    assert (found.verdict, found.parts[0].facts[0].reason) == (expected, reason)


def test_what_nobody_ever_stated_is_a_violation_only_where_the_rule_says_so() -> None:
    assert verdict(Attested("drill", DAY, missing="non_compliant"), some()) is RED
    assert verdict(Documents(frozenset({"fire_plan"}), missing="non_compliant"), some()) is RED


def test_two_on_every_opening_day_and_a_closed_day_asks_for_none() -> None:
    asked = Attested("patrol", 7 * DAY, 2, each_open_day=True)
    monday = (NOW // DAY) * DAY - 2 * DAY  # 08:00 in China
    hours = (Interval("open", monday, monday + 8 * HOUR), Interval("open", monday + DAY, None))
    twice = (stated(NOW - monday - HOUR, "patrol"), stated(NOW - monday - 9 * HOUR, "patrol"))
    assert verdict(asked, some(intervals=hours, attestations=twice)) is GREEN
    assert verdict(asked, some(intervals=hours, attestations=twice[:1])) is RED
    assert verdict(asked, some(attestations=twice)) is UNKNOWN
    assert verdict(asked, some(intervals=hours)) is UNKNOWN


def test_a_sign_in_every_zone_that_a_camera_looks_into() -> None:
    asked = Attested("sign", None, per="zone", where=VIDEO)
    camera = seeing(View("act", 0.5, NOW), zone="nap")
    zones = (ACT, NAP, TOILET)
    signs = (stated(DAY, "sign", zone="act"), stated(DAY, "sign", zone="nap"))
    assert verdict(asked, some(camera, zones=zones, attestations=signs)) is GREEN
    assert verdict(asked, some(camera, zones=zones, attestations=signs[:1])) is UNKNOWN
    assert verdict(asked, some(replace(CAMERA, zone=None), zones=zones, attestations=signs)) is UNKNOWN
    assert verdict(asked, some(zones=zones)) is NONE


def test_each_camera_with_a_picture_that_was_judged() -> None:
    asked = Attested("picture_judged", 365 * DAY, per="device", where=VIDEO)
    assert verdict(asked, some(CAMERA, attestations=(stated(DAY, "picture_judged", device="cam-1"),))) is GREEN
    assert verdict(asked, some(CAMERA, attestations=(stated(400 * DAY, "picture_judged", device="cam-1"),))) is RED
    assert verdict(asked, some(CAMERA, attestations=(stated(DAY, "picture_judged"),))) is UNKNOWN


@pytest.mark.parametrize(
    ("value", "area", "expected"),
    [
        (2.0, 100.0, GREEN),
        (2.0, 101.0, RED),
        (2.0, None, UNKNOWN),
        (0.0, None, RED),
        (None, 100.0, UNKNOWN),
        (1.0, 50.0, RED),
    ],
)
def test_so_many_extinguishers_for_the_area(value: float | None, area: float | None, expected: Verdict) -> None:
    asked = Attested("extinguishers", 365 * DAY, min_value=2, value_per_m2=50)
    assert verdict(asked, some(area_m2=area, attestations=(stated(DAY, "extinguishers", value=value),))) is expected


def test_what_was_measured_last_decides_and_no_older_value_outweighs_it() -> None:
    asked = Attested("sounder_test", 365 * DAY, min_value=60)
    loud, faint = stated(9 * DAY, "sounder_test", value=65.0), stated(DAY, "sounder_test", value=40.0)
    assert verdict(asked, some(attestations=(loud,))) is GREEN
    assert verdict(asked, some(attestations=(loud, faint))) is RED
    assert verdict(asked, some(attestations=(faint, replace(loud, at=NOW)))) is GREEN
    assert verdict(asked, some(attestations=(loud, replace(faint, at=loud.at)))) is RED  # of one time, the worse
    assert verdict(asked, some(attestations=(loud, replace(faint, at=NOW + DAY)))) is GREEN  # a date ahead is no news
    assert verdict(asked, some(attestations=(loud, replace(faint, value=None)))) is UNKNOWN


def test_each_place_that_was_measured_must_be_as_asked_and_a_newer_value_for_all_stands_for_each() -> None:
    asked = Attested("sounder_test", 365 * DAY, min_value=60)
    loud = stated(DAY, "sounder_test", value=65.0, zone="act")
    faint = stated(9 * DAY, "sounder_test", value=40.0, zone="nap")
    assert verdict(asked, some(attestations=(loud, faint))) is RED
    assert verdict(asked, some(attestations=(faint, replace(loud, zone=None)))) is GREEN
    count = Attested("extinguishers", 365 * DAY, value_per_m2=50)  # of things that are counted the most decides
    all, few = stated(9 * DAY, "extinguishers", value=4.0), stated(DAY, "extinguishers", value=1.0, zone="nap")
    assert verdict(count, some(area_m2=200.0, attestations=(all, few))) is GREEN
    assert verdict(count, some(area_m2=200.0, attestations=(all, replace(few, zone=None)))) is RED


def test_documents_need_a_date_a_number_and_their_time() -> None:
    asked = Documents(frozenset({"filing_receipt", "fire_certificate"}), within=365 * DAY)
    receipt, fire = stated(DAY, "filing_receipt", number="A"), stated(DAY, "fire_certificate", number="B")
    assert verdict(asked, some(attestations=(receipt, fire))) is GREEN
    assert verdict(asked, some(attestations=(receipt,))) is UNKNOWN
    assert verdict(asked, some(attestations=(receipt, replace(fire, number=" ")))) is RED
    assert verdict(asked, some(attestations=(receipt, replace(fire, expires_at=NOW - 1)))) is RED
    renewed = replace(fire, id="new", expires_at=None)
    assert verdict(asked, some(attestations=(receipt, replace(fire, expires_at=NOW - 1), renewed))) is GREEN


def took(seconds: float | None, ago: int = HOUR) -> Interval:
    began = NOW - ago
    return Interval("detector-centre", began, None if seconds is None else began + int(seconds * SECOND))


@pytest.mark.parametrize(
    ("rows", "every", "half"),
    [
        ((took(4), took(9.9)), GREEN, GREEN),
        ((took(4), took(11)), RED, GREEN),
        ((took(4), took(None)), RED, GREEN),
        ((took(4), took(None, 5 * SECOND)), GREEN, GREEN),
        ((took(-4),), UNKNOWN, UNKNOWN),
        ((took(4, 40 * DAY),), UNKNOWN, UNKNOWN),
        ((), UNKNOWN, UNKNOWN),
    ],
)
def test_how_long_it_took(rows: tuple[Interval, ...], every: Verdict, half: Verdict) -> None:
    asked = TimeBound("detector", "centre", 10 * SECOND)
    assert verdict(asked, some(intervals=rows), 31 * DAY) is every
    assert verdict(replace(asked, quantile=0.5), some(intervals=rows), 31 * DAY) is half


# the zone plan's signature


def test_what_stands_on_an_unsigned_zone_plan_is_marked_and_judged_as_ever() -> None:
    zonal, anywhere = AtLeast(VIDEO, 1, "zone", ROOMS), AtLeast(VIDEO, 1, "institution")
    signed = PlanState(2, NOW, NOW - 1)
    for plan, marked in ((None, True), (PlanState(2, None, NOW), True), (signed, False), (PlanState(2, 5, 6), True)):
        found = finding(zonal, some(CAMERA, plan=plan))
        assert (found.verdict, found.plan_not_signed) == (GREEN, marked)
        assert not finding(anywhere, some(CAMERA, plan=plan)).plan_not_signed
        floor = finding(Bounds("area_m2", 30.0), some(area_m2=35.0, plan=plan))  # the sum of the plan's zones
        assert (floor.verdict, floor.plan_not_signed) == (GREEN, marked)
