"""The plan: what would change, that applying it is final, and every contradiction with its place."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.core.provisioning import Change, Current, Guarded, Key, Noun, Plan, applied, beyond, declared, digest, plan
from hub.core.rights import EVERYTHING, Scope
from hub.model import Lane
from tests.core.provisioning_world import (
    CLAUSE,
    PROFILES,
    SmallCatalogue,
    city,
    institution,
    manifest,
    manifests,
    policy,
    title,
)
from tests.core.rotas import local

CATALOGUE = SmallCatalogue()
RULE = "/institutions/0/edges/0/local_rules/0/"
EMPTY = Current(at=local("2026-11-22 12:00"))


def planned(document: dict[str, Any], current: Current = EMPTY, catalogue: SmallCatalogue = CATALOGUE) -> Plan:
    return plan(declared(manifest(**document)), current, catalogue)


def after(document: dict[str, Any], current: Current = EMPTY) -> Current:
    found = planned(document, current)
    assert not found.errors, found.errors
    return applied(current, found.changes)


def errors(document: dict[str, Any], current: Current = EMPTY) -> list[tuple[str, str]]:
    return [(row.pointer, row.message) for row in planned(document, current).errors]


def with_device(**changed: Any) -> dict[str, Any]:
    """The city with its camera changed."""
    devices = institution()["devices"]
    return city(institutions=[institution(devices=[{**devices[0], **changed}, devices[1]])])


# what changes ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(manifests())
def test_applying_and_planning_again_changes_nothing(document: dict[str, Any]) -> None:
    assert planned(document, after(document)).changes == ()


@settings(deadline=None)
@given(manifests(), manifests())
def test_from_any_state_a_manifest_leads_to_the_same_things(one: dict[str, Any], two: dict[str, Any]) -> None:
    moved = after(two, after(one))
    assert planned(two, moved).changes == ()
    for key, fields in after(two).live.items():
        assert moved.live[key] == fields


@settings(deadline=None)
@given(manifests(), manifests(), st.randoms(use_true_random=False))
def test_the_order_of_a_manifest_does_not_matter(
    one: dict[str, Any], two: dict[str, Any], chance: random.Random
) -> None:
    shuffled = {name: chance.sample(rows, len(rows)) for name, rows in two.items()}
    for row in shuffled["institutions"]:
        for name in ("zones", "positions", "edges", "endpoints", "devices"):
            row[name] = chance.sample(row[name], len(row[name]))
    current = after(one)
    assert digest(planned(shuffled, current).changes) == digest(planned(two, current).changes)


def test_what_a_listed_institution_no_longer_names_is_retired_and_others_are_left_alone() -> None:
    other = institution(id="moon", filing_number=None, zones=[], positions=[], edges=[], endpoints=[], devices=[])
    current = after(city(institutions=[institution(), other]))
    smaller = institution(devices=institution()["devices"][:1], positions=institution()["positions"][:1])
    changes = planned({"institutions": [smaller]}, current).changes
    assert [(change.action, str(change.key)) for change in changes] == [
        ("retire", "device smoke-1"),
        ("retire", "position nap-2"),
        ("retire", "position wc-1"),
    ]


def test_an_institution_is_retired_only_in_so_many_words_and_then_with_all_that_is_in_it() -> None:
    current = after(city())
    assert planned({}, current).changes == ()
    empty: dict[str, Any] = {name: [] for name in ("zones", "positions", "edges", "endpoints", "devices")}
    gone = {"institutions": [institution(retired=True, filing_number=None, **empty)]}
    changes = planned(gone, current).changes
    assert {change.action for change in changes} == {"retire"}
    assert changes[-1].key == Key(Noun.INSTITUTION, "", "sun")
    assert not any(key.institution or key.noun is Noun.INSTITUTION for key in after(gone, current).live)


def test_a_change_names_the_fields_that_differ_with_both_values() -> None:
    current = after(city())
    (change,) = planned(with_device(position="wc-1"), current).changes
    assert change.differing == ("position",)
    assert (change.before or {})["position"] == "nap-1"
    assert (change.after or {})["position"] == "wc-1"


def test_a_profile_that_changed_on_the_hub_shows_as_a_change_of_its_devices() -> None:
    current = after(city())
    urgent = SmallCatalogue({**PROFILES, "camera": PROFILES["camera"]._replace(lane=Lane.URGENT)})
    (change,) = planned(city(), current, urgent).changes
    assert (change.key.id, change.differing) == ("cam-1", ("lane",))


def test_things_are_made_after_what_they_refer_to_and_retired_before_it() -> None:
    made = [change.key.noun for change in planned(city()).changes]
    assert made == sorted(made, key=list(Noun).index)


def test_the_digest_tells_one_plan_from_another() -> None:
    current = after(city())
    one = digest(planned(with_device(position=None), current).changes)
    assert one != digest(planned(with_device(position="wc-1"), current).changes)
    assert digest([]) == digest(planned(city(), current).changes)


def with_rule(**changed: Any) -> dict[str, Any]:
    """The city with a siren, a panic button and one local rule."""
    rule = {"id": "r", "siren": "siren-1", "point": "sounder", "devices": ["smoke-1"], **changed}
    more = [
        {"id": name, "profile": profile, "position": place, "endpoint": "broker"}
        for name, profile, place in (
            ("siren-1", "siren", None),
            ("button-1", "button", "wc-1"),
            ("both-1", "both", None),
        )
    ]
    edges = [{"id": "sun-edge", "local_rules": [rule]}]
    return city(institutions=[institution(edges=edges, devices=[*institution()["devices"], *more])])


# what contradicts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "pointer", "says"),
    [
        (
            city(institutions=[institution(calendar={"weekly": {"mon": ["8-18"]}})]),
            "/institutions/0/calendar/weekly/mon",
            "a time is written",
        ),
        (with_device(profile="nothing"), "/institutions/0/devices/0/profile", "no device profile 'nothing'"),
        (with_device(profile="anxin-edge"), "/institutions/0/devices/0/profile", "name it under edges"),
        (with_device(position="roof"), "/institutions/0/devices/0/position", "no position 'roof' in institution sun"),
        (with_device(position="nap-2"), "/institutions/0/devices/1/position", "taken by device 'cam-1'"),
        (with_device(endpoint="none"), "/institutions/0/devices/0/endpoint", "no endpoint 'none'"),
        (with_device(endpoint=None), "/institutions/0/devices/0/endpoint", "name the endpoint"),
        (with_device(endpoint="broker"), "/institutions/0/devices/0/endpoint", "of the driver 'mqtt'"),
        (with_device(profile="own"), "/institutions/0/devices/0/endpoint", "speaks to the hub itself"),
        (with_device(settings={"wrong": 1}), "/institutions/0/devices/0/settings/wrong", "not a setting"),
        (with_device(id="smoke-1"), "/institutions/0/devices/1", "already, at institutions/0/devices/0"),
        (with_device(id="sun-edge"), "/institutions/0/devices/0", "device sun-edge stands in the manifest already"),
        (city(institutions=[institution(division="99")]), "/institutions/0/division", "no division '99'"),
        (city(institutions=[institution(type="zoo")]), "/institutions/0/type", "'zoo' is none of: public_comp"),
        (city(institutions=[institution(filing_number="F-9")]), "/institutions/0/filing_number", "no register entry"),
        (city(institutions=[institution(retired=True)]), "/institutions/0", "still names"),
        (city(institutions=[institution(), institution()]), "/institutions/1", "institution sun stands"),
        (
            city(institutions=[institution(edges=[{"id": "sun-edge", "profile": "camera"}])]),
            "/institutions/0/edges/0/profile",
            "not the profile of an edge",
        ),
        (
            city(institutions=[institution(endpoints=[{"id": "agent", "driver": "telepathy", "edge": "sun-edge"}])]),
            "/institutions/0/endpoints/0/driver",
            "no driver 'telepathy'",
        ),
        (
            city(institutions=[institution(zones=[{"id": "nap", "purpose": "casino", "title": title()}])]),
            "/institutions/0/zones/0/purpose",
            "'casino' is none of: reception",
        ),
        (
            city(institutions=[institution(zones=institution()["zones"][:1])]),
            "/institutions/0/positions/2/zone",
            "no zone 'wc' in institution sun",
        ),
        (city(policies=[policy(division="99")]), "/policies/0/division", "no division '99'"),
        (city(policies=[policy(institution="sun")]), "/policies/0/division", "not for both"),
        (city(policies=[policy(round_every="0s")]), "/policies/0/round_every", "at least 1s"),
        (
            city(policies=[policy(steps=[{"responder": "nobody", "channel": "hook"}])]),
            "/policies/0/steps/0/responder",
            "no responder 'nobody'",
        ),
        (
            city(policies=[policy(steps=[{"responder": "duty", "channel": "smoke-signals"}])]),
            "/policies/0/steps/0/channel",
            "no channel 'smoke-signals'",
        ),
        (
            city(policies=[policy(steps=[{"responder": "duty", "channel": "hook", "repeat_times": 2}])]),
            "/policies/0/steps/0",
            "repeat_every",
        ),
        (
            city(groups=[{"id": "g", "title": title(), "institutions": ["atlantis"]}]),
            "/groups/0/institutions",
            "no institution 'atlantis'",
        ),
        (
            city(divisions=[{"code": "14", "parent": "1404", "title": title()}, *city()["divisions"][1:]]),
            "/divisions/0/parent",
            "14 → 1404 → 14",
        ),
        (with_rule(siren="nobody"), RULE + "siren", "no device 'nobody' is behind edge"),
        (with_rule(siren="cam-1"), RULE + "point", "no writable point 'sounder'"),
        (with_rule(point="level"), RULE + "point", "no writable point 'level'"),
        (with_rule(value=2), RULE + "value", "of type bool"),
        (with_rule(devices=["smoke-1", "nobody"]), RULE + "devices/1", "no device 'nobody'"),
        (with_rule(devices=["cam-1"]), RULE + "devices/0", "has no fire alarm"),
        (with_rule(devices=["button-1"]), RULE + "devices/0", "nothing automatic ever sounds on a panic press"),
        (with_rule(devices=["smoke-1", "both-1"]), RULE + "devices/1", "nothing automatic ever sounds"),
        (with_rule(zones=["attic"]), RULE + "zones/0", "no zone 'attic'"),
        (with_rule(zones=["wc"]), RULE + "zones/0", "no fire detector"),
    ],
)
def test_a_contradiction_names_its_place_and_what_is_wrong(document: dict[str, Any], pointer: str, says: str) -> None:
    found = errors(document)
    assert any(at == pointer and says in message for at, message in found), found


def test_a_local_rule_for_fire_holds_by_devices_and_by_zone_and_a_changed_one_is_a_change_of_its_edge() -> None:
    for document in (with_rule(), with_rule(devices=[], zones=["nap"]), with_rule(devices=["smoke-1"], zones=["nap"])):
        assert errors(document) == []
    (change,) = planned(with_rule(after="90s"), after(with_rule())).changes
    assert (str(change.key), change.differing) == ("edge sun-edge", ("local_rules",))


def test_an_institution_that_stands_there_twice_is_said_once() -> None:
    found = [message for _, message in errors(city(institutions=[institution(), institution()]))]
    assert [message for message in found if "already" in message] == [
        "institution sun stands in the manifest already, at institutions/0"
    ]


def test_a_channel_of_an_unknown_kind_is_named_within_its_responder() -> None:
    responder = {"id": "duty", "title": title(), "channels": [{"id": "hook", "kind": "pigeon", "settings": {}}]}
    assert ("/responders/0/channels/0/kind", "there is no such channel") in errors(city(responders=[responder]))


HORN = {"id": "horn", "title": title(), "channels": [{"id": "siren", "kind": "siren", "settings": {}}]}
PEOPLE = [{"responder": "duty", "channel": "hook"}, {"responder": "duty", "channel": "mail"}]
SOUNDED = [{"responder": "horn", "channel": "siren"}, *PEOPLE]


def test_a_siren_stands_in_a_policy_for_fire_and_for_nothing_else() -> None:
    responders = [*city()["responders"], HORN]
    for classes in (["fire", "panic"], ["panic"], ["intrusion"]):
        both = city(
            responders=responders, policies=[policy(), policy(id="loud", signal_classes=classes, steps=SOUNDED)]
        )
        assert (
            "/policies/1/steps/0/channel",
            "a siren sounds for fire alone: give fire a policy of its own",
        ) in errors(both)
    fire = city(responders=responders, policies=[policy(), policy(id="loud", signal_classes=["fire"], steps=SOUNDED)])
    assert not [row for row in errors(fire) if "siren" in row[1]]
    # the channel of a policy that is there already becomes a siren
    before = after(
        city(
            responders=[*city()["responders"], {**HORN, "channels": [{"id": "siren", "kind": "smtp", "settings": {}}]}],
            policies=[policy(steps=SOUNDED)],
        )
    )
    assert any("names it: a siren sounds for fire alone" in row[1] for row in errors({"responders": [HORN]}, before))


def test_a_device_id_of_another_institution_is_refused_even_when_it_is_retired_there() -> None:
    current = replace(after(city()), owners={"cam-9": "moon"})
    (found,) = errors(with_device(id="cam-9"), current)
    assert found[0] == "/institutions/0/devices/0/id"
    assert "moon" not in found[1]


def test_what_a_device_hangs_on_is_something_that_carries_and_never_itself() -> None:
    def hanging(camera: dict[str, Any], *more: dict[str, Any], edge: dict[str, Any] | None = None) -> dict[str, Any]:
        devices = institution()["devices"]
        edges = [{"id": "sun-edge", **(edge or {})}]
        return city(institutions=[institution(devices=[{**devices[0], **camera}, devices[1], *more], edges=edges)])

    core, access = {"id": "core", "profile": "switch"}, {"id": "access", "profile": "switch", "switch": "core"}
    good = hanging({"switch": "access", "powered_by": "access"}, core, access, edge={"switch": "core"})
    assert errors(good) == []
    [wrong] = errors(hanging({"switch": "smoke-1"}))
    assert wrong == (
        "/institutions/0/devices/0/switch",
        "'smoke-1' is of the kind smoke_detector: a switch is one of network_switch",
    )
    assert [row[0] for row in errors(hanging({"powered_by": "sun-edge"}))] == ["/institutions/0/devices/0/powered_by"]
    circle = errors(hanging({}, {**core, "switch": "access"}, access))
    assert [row[1] for row in circle] == [
        "it hangs on itself: core → access → core",
        "it hangs on itself: access → core → access",
    ]
    assert [row[1] for row in errors(hanging({}, {**core, "switch": "core"}))] == ["it hangs on itself: core → core"]


def test_a_plain_switch_is_taken_by_its_name_and_said_once() -> None:
    devices = [{**device, "switch": "hall"} for device in institution()["devices"]]
    document = city(institutions=[institution(devices=devices)])
    said = [row for row in planned(document).warnings if row.code == "unwatched"]
    assert [(row.pointer, row.message) for row in said] == [
        (
            "/institutions/0/devices/0/switch",
            "there is no device 'hall': taken as a switch of which nothing is read, for cam-1, smoke-1",
        )
    ]
    assert planned(document, after(document)).changes == ()


def test_an_edge_does_not_become_a_device() -> None:
    edges = institution(edges=[{"id": "new"}], endpoints=[], devices=[{"id": "sun-edge", "profile": "own"}])
    assert ("/institutions/0/devices/0/id", "'sun-edge' is the id of an existing edge") in errors(
        city(institutions=[edges]), after(city())
    )


def test_nobody_takes_the_hubs_own_name_at_the_broker() -> None:
    edges = [{"id": "hub"}, *institution()["edges"]]
    assert errors(city(institutions=[institution(edges=edges)])) == [
        ("/institutions/0/edges/0/id", "'hub' is the hub's own name at the broker")
    ]


def test_two_institutions_do_not_share_a_filing_number_or_an_external_id() -> None:
    bare: dict[str, Any] = {name: [] for name in ("zones", "positions", "edges", "endpoints", "devices")}
    first = institution(external_ids={"uscc": "91"}, **bare)
    second = institution(id="moon", external_ids={"uscc": "91"}, **bare)
    expected = {
        ("/institutions/1/filing_number", "'F-1' is that of 'sun'"),
        ("/institutions/1/external_ids/uscc", "'91' is that of 'sun'"),
    }
    assert set(errors(city(institutions=[first, second]))) == expected


def test_what_another_institution_has_is_said_without_its_name() -> None:
    bare: dict[str, Any] = {name: [] for name in ("zones", "positions", "edges", "endpoints", "devices")}
    current = after(city(institutions=[institution(external_ids={"uscc": "91"}, **bare)]))
    second = institution(id="moon", external_ids={"uscc": "91"}, **bare)
    assert {message for _, message in errors({"institutions": [second]}, current)} == {
        "'F-1' is that of another institution",
        "'91' is that of another institution",
    }


# nobody would be told -------------------------------------------------------------------------------------------------


def test_an_institution_with_fire_devices_that_no_policy_covers_is_refused() -> None:
    (found,) = errors(city(policies=[]))
    assert found == ("/institutions/0", "no escalation policy covers fire alarms here (devices: smoke-1)")
    assert errors(city(policies=[policy(signal_classes=["panic"])])) == [found]
    assert errors(city(policies=[policy(priorities=["high"])])) == [found]
    assert errors(city(policies=[policy(division=None, institution="sun")])) == []


def test_a_policy_does_not_go_while_another_institution_needs_it() -> None:
    current = replace(after(city()), guarded={"sun": Guarded("1404", ("smoke",), "private")})
    message = "fire alarms of institution 'sun' would be covered by no policy"
    assert errors({"policies": [policy(retired=True)]}, current) == [("/policies/0", message)]
    assert errors({"policies": [policy(signal_classes=["panic"])]}, current) == [("/policies/0", message)]
    more = {"policies": [policy(retired=True), policy(id="new", division="1404")]}
    assert errors(more, current) == []


def test_a_responder_does_not_go_while_a_policy_tells_it() -> None:
    current = after(city())
    gone = {"responders": [{"id": "duty", "title": title(), "retired": True}]}
    assert errors(gone, current) == [("/responders/0", "policy 'all' still names it: there is no responder 'duty'")]


# warnings -------------------------------------------------------------------------------------------------------------


def warnings(document: dict[str, Any], current: Current = EMPTY) -> list[tuple[str, str, str]]:
    return [(row.pointer, row.code, row.clause) for row in planned(document, current).warnings]


def test_a_sound_manifest_has_no_warnings() -> None:
    assert warnings(city()) == []


def test_a_camera_in_a_toilet_is_taken_with_a_warning_that_names_the_clause() -> None:
    found = planned(with_device(position="wc-1"))
    assert found.errors == ()
    assert [(row.pointer, row.code, row.clause) for row in found.warnings] == [
        ("/institutions/0/devices/0/position", "placement", CLAUSE)
    ]


def test_a_device_without_a_position_counts_for_nothing_and_the_plan_says_so() -> None:
    assert warnings(with_device(position=None)) == [("/institutions/0/devices/0", "unplaced", "")]


def test_an_institution_that_is_not_on_the_register_counts_in_no_rate_and_the_plan_says_so() -> None:
    assert warnings(city(institutions=[institution(filing_number=None)])) == [("/institutions/0", "not-registered", "")]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"max_rounds": 3},
            ["after 3 rounds nobody is told any more of a fire or panic alarm that nobody has acknowledged"],
        ),
        (
            {"steps": [{"responder": "duty", "channel": "hook", "delay": "61s"}], "round_every": "120s"},
            ["of a fire or panic alarm nobody is told in the first 61 seconds"],
        ),
        ({"max_rounds": 3, "signal_classes": ["fault"]}, []),
        ({"steps": [{"responder": "duty", "channel": "hook", "delay": "60s"}]}, []),
    ],
)
def test_a_policy_that_leaves_a_fire_or_panic_in_silence_is_pointed_out(
    changed: dict[str, Any], expected: list[str]
) -> None:
    document = city(policies=[policy(**changed)])
    found = [row.message for row in planned(document).warnings if row.code in ("falls-silent", "late")]
    assert found == expected


def test_an_endpoint_with_nothing_behind_it_is_pointed_out() -> None:
    alone = institution(devices=institution()["devices"][:1])
    assert warnings(city(institutions=[alone])) == [("/institutions/0/endpoints/1", "unused", "")]


@pytest.mark.parametrize("changed", [{"position": "wc-1"}, {"settings": {"unit": 2}}])
def test_what_was_proven_of_a_device_is_to_be_proven_again_when_it_changes(changed: dict[str, Any]) -> None:
    assert ("/institutions/0/devices/0", "test-again", "") in warnings(with_device(**changed), after(city()))


def with_endpoint(**changed: Any) -> dict[str, Any]:
    """The city with the endpoint of its camera changed."""
    agent, broker = institution()["endpoints"]
    edges = [{"id": "sun-edge"}, {"id": "sun-edge-2"}]
    return city(institutions=[institution(edges=edges, endpoints=[{**agent, **changed}, broker])])


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"settings": {"port": 1161}}, "port"),
        ({"settings": {"port": 161, "host": "10.0.0.2"}}, "host"),
        ({"settings": {"port": 161, "word-of-a-driver-to-come": 1}}, "word-of-a-driver-to-come"),
        ({"edge": "sun-edge-2"}, "edge"),
    ],
)
def test_what_was_commissioned_at_one_address_is_to_be_proven_again_at_another(
    changed: dict[str, Any], what: str
) -> None:
    found = [
        row for row in planned(with_endpoint(**changed), after(with_endpoint())).warnings if row.code == "test-again"
    ]
    assert [(row.pointer, row.message) for row in found] == [
        ("/institutions/0/devices/0", f"device 'cam-1' must be tested again: its endpoint's {what} changed")
    ]


def test_another_password_or_patience_of_an_endpoint_leaves_its_devices_proven() -> None:
    changed = with_endpoint(settings={"port": 161, "community": "other", "timeout_s": 5})
    assert planned(changed, after(with_endpoint())).changes != ()
    assert "test-again" not in [row.code for row in planned(changed, after(with_endpoint())).warnings]


# scope ----------------------------------------------------------------------------------------------------------------


def outside(document: dict[str, Any], scope: Scope, current: Current = EMPTY) -> list[str]:
    things = declared(manifest(**document))
    return list(beyond(scope, things, plan(things, current, CATALOGUE), current))


def test_a_scope_over_everything_may_all() -> None:
    assert outside(city(), EVERYTHING) == []


def test_a_scope_over_a_division_may_what_lies_below_it() -> None:
    assert outside(city(), Scope(divisions=("14",))) == []
    assert outside({"institutions": [institution()]}, Scope(divisions=("1404",)), after(city(institutions=[]))) == []


def test_a_listed_institution_must_lie_within_the_scope_even_when_nothing_changes() -> None:
    current = after(city())
    assert outside({"institutions": [institution()]}, Scope(divisions=("15",)), current) == [
        "institution 'sun' is not within your scope"
    ]
    assert outside({"institutions": [institution()]}, Scope(groups=("chain",)), current) != []
    grouped = replace(current, groups={"sun": ("chain",)})
    assert outside({"institutions": [institution()]}, Scope(groups=("chain",)), grouped) == []


def test_an_institution_is_not_moved_into_the_scope_from_outside() -> None:
    current = after(city(divisions=[*city()["divisions"], {"code": "15", "title": title()}]))
    moved = {"institutions": [institution(division="15")]}
    assert outside(moved, Scope(divisions=("15",)), current) == ["institution 'sun' is not within your scope"]


def test_a_retired_institution_is_not_taken_over_from_outside_its_division() -> None:
    current = replace(after(city(institutions=[])), retired={"sun": "15"})
    assert outside({"institutions": [institution()]}, Scope(divisions=("1404",)), current) == [
        "institution 'sun' is not within your scope"
    ]
    assert outside({"institutions": [institution()]}, Scope(divisions=("14", "15")), current) == []


def test_an_entry_of_the_register_is_taken_only_within_the_scope() -> None:
    elsewhere = {**city()["register"][0], "filing_number": "F-15", "division": "15"}
    divisions = [*city()["divisions"], {"code": "15", "title": title()}]
    current = after(city(divisions=divisions, register=[*city()["register"], elsewhere]))
    taking = {"institutions": [institution(filing_number="F-15")]}
    assert outside(taking, Scope(divisions=("14",)), current) == ["register_entry 'F-15' is not within your scope"]
    assert outside(taking, Scope(divisions=("14", "15")), current) == []
    assert outside(taking, Scope(institutions=("sun",)), current) != []
    assert outside({"institutions": [institution()]}, Scope(institutions=("sun",)), current) == []
    assert outside({"institutions": [institution()]}, Scope(institutions=("sun",)), after(taking, current)) == []


@pytest.mark.parametrize(
    "document",
    [
        {"groups": [{"id": "mine", "title": title()}]},
        {"policies": [policy(division=None)]},
        {"policies": [policy(division=None, institution="sun")]},
        {"policies": [policy(retired=True)]},
        {"responders": [{**city()["responders"][0], "title": title("new")}]},
        {"divisions": [{"code": "15", "title": title()}]},
        {"register": [{"filing_number": "F-2", "division": "14", "type": "private", "title": title()}]},
    ],
)
def test_what_reaches_beyond_a_place_takes_the_scope_for_it(document: dict[str, Any]) -> None:
    assert outside(document, Scope(divisions=("1499",)), after(city())) != []


def test_a_responder_of_ones_own_may_be_made_by_anyone_who_provisions() -> None:
    assert outside({"responders": [{"id": "gate", "title": title()}]}, Scope(institutions=("sun",))) == []


# any two plans --------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(manifests(), manifests())
def test_the_changes_of_a_plan_are_ordered_and_unique(one: dict[str, Any], two: dict[str, Any]) -> None:
    changes: tuple[Change, ...] = planned(two, after(one)).changes
    assert len({change.key for change in changes}) == len(changes)
    retiring = [change.action == "retire" for change in changes]
    assert retiring == sorted(retiring, reverse=True)


WORDS = {
    **dict.fromkeys(("division", "parent", "code"), ("14", "1404", "99")),
    **dict.fromkeys(
        ("id", "zone", "position", "edge", "endpoint"), ("aa", "aa-d1", "aa-e1", "d1", "p1", "z1", "n1", "hub")
    ),
    **dict.fromkeys(("responder", "channel", "institution"), ("duty", "c1", "c2", "aa", "bb")),
    "profile": ("camera", "smoke", "own", "anxin-edge", "nothing"),
    "driver": ("snmp", "mqtt", "telepathy"),
    "kind": ("webhook", "pigeon"),
    "purpose": ("toilet", "casino"),
    "filing_number": ("F-aa", "F-bb", "F-0"),
}


def broken(tree: Any, chance: random.Random, key: str = "") -> Any:
    """A copy in which references, names and lists are mixed up: the right shape, no sense."""
    if isinstance(tree, dict):
        return {name: broken(value, chance, name) for name, value in tree.items()}
    if isinstance(tree, list):
        kept = [broken(value, chance) for value in tree if len(tree) < 2 or chance.random() > 0.05]
        return kept + kept[: 1 if chance.random() < 0.05 else 0]
    return chance.choice(WORDS[key]) if key in WORDS and chance.random() < 0.1 else tree


@settings(max_examples=100, deadline=None)
@given(manifests(), manifests(), st.randoms(use_true_random=False))
def test_a_manifest_without_sense_gets_errors_and_never_a_crash(
    one: dict[str, Any], two: dict[str, Any], chance: random.Random
) -> None:
    try:
        records = declared(manifest(**broken(two, chance)))
    except ValidationError:
        return
    found = plan(records, after(one), CATALOGUE)
    pointers = {record.pointer for record in records} | {""}
    for problem in (*found.errors, *found.warnings):
        assert any(problem.pointer.startswith(pointer) for pointer in pointers)
    if not found.errors:
        again = applied(after(one), found.changes)
        assert plan(records, again, CATALOGUE).changes == ()


def test_the_names_that_the_hub_gives_to_shared_paths_are_its_own() -> None:
    taken = errors(city(institutions=[institution(id="anxin-path-14")]))
    assert any("anxin-path-" in message for _, message in taken)
