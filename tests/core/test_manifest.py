"""The shape of a manifest: unknown keys, wrong types, and text that no database holds are refused where they stand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.core.provisioning import declared, rota_fields, rota_of
from hub.core.rota import check_rota
from hub.errors import BadInput
from hub.manifest import Manifest
from tests.core.provisioning_world import city, institution, manifest, policy, rota, title


def refusals(**lists: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        manifest(**lists)
    return [("/".join(str(part) for part in row["loc"]), row["msg"]) for row in caught.value.errors()]


def with_settings(settings: Any) -> dict[str, Any]:
    endpoint = {"id": "agent", "driver": "snmp", "edge": "e", "settings": settings}
    return {"institutions": [institution(endpoints=[endpoint])]}


@pytest.mark.parametrize(
    ("lists", "pointer", "says"),
    [
        ({"colour": []}, "colour", "Extra inputs"),
        ({"institutions": [institution(colour="red")]}, "institutions/0/colour", "Extra inputs"),
        ({"institutions": [institution(id="Sun")]}, "institutions/0/id", "pattern"),
        ({"institutions": [institution(division=1404)]}, "institutions/0/division", "write the code in quotes"),
        ({"institutions": [institution(capacity=0)]}, "institutions/0/capacity", "greater than"),
        ({"institutions": [institution(capacity="many")]}, "institutions/0/capacity", "integer"),
        ({"institutions": [institution(filing_number=7)]}, "institutions/0/filing_number", "write the code in quotes"),
        (
            {"institutions": [institution(place={"latitude": 91, "longitude": 0})]},
            "institutions/0/place/latitude",
            "90",
        ),
        ({"institutions": [institution(title={"zh": "日"})]}, "institutions/0/title/en", "required"),
        ({"institutions": [institution(title={"zh": "日\0", "en": "x"})]}, "institutions/0/title", "NUL"),
        ({"institutions": [institution(operator="\ud800")]}, "institutions/0/operator", ""),
        ({"policies": [policy(round_every="soon")]}, "policies/0/round_every", "a duration is written"),
        ({"policies": [policy(signal_classes=["boredom"])]}, "policies/0/signal_classes/0", "fire"),
        ({"policies": [policy(steps=[])]}, "policies/0/steps", "at least 1"),
        (with_settings({"a": "x\0"}), "institutions/0/endpoints/0/settings", "NUL"),
        (with_settings({"a\0": 1}), "institutions/0/endpoints/0/settings", "NUL"),
        (with_settings({"a": float("nan")}), "institutions/0/endpoints/0/settings", "finite"),
        (with_settings({"a": 2**60}), "institutions/0/endpoints/0/settings", "2^53"),
        (with_settings({"a": [[[[[[[[[1]]]]]]]]]}), "institutions/0/endpoints/0/settings", "nested deeper"),
        (with_settings([]), "institutions/0/endpoints/0/settings", "dictionary"),
    ],
)
def test_what_does_not_hold_is_refused_where_it_stands(lists: dict[str, Any], pointer: str, says: str) -> None:
    found = refusals(**lists)
    assert any(at == pointer and says in message for at, message in found), found


def test_a_local_rule_that_leaves_people_no_time_is_refused_in_words_of_the_manifest() -> None:
    rule = {"id": "siren", "siren": "s", "point": "sound", "devices": ["d"], "after": "29s"}
    edges = [{"id": "e", "local_rules": [rule]}]
    assert refusals(institutions=[institution(edges=edges)]) == [
        ("institutions/0/edges/0/local_rules/0/after", "Value error, at least 30s: the hub's own people come first")
    ]


def test_a_refusal_never_shows_what_was_given() -> None:
    with pytest.raises(ValidationError) as caught:
        manifest(**with_settings({"password": "hush\0"}))
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(manifest(**with_settings({"password": "hush"})))


def test_two_channels_of_one_responder_do_not_share_a_name() -> None:
    channel = {"id": "hook", "kind": "webhook", "settings": {}}
    responder = {"id": "duty", "title": title(), "channels": [channel, channel]}
    assert refusals(responders=[responder]) == [("responders/0", "Value error, channels: 'hook' stands here twice")]


def test_whole_numbers_in_settings_are_integers_however_they_are_written() -> None:
    (endpoint,) = manifest(**with_settings({"a": 1.0, "b": -0.0, "c": 0.5})).institutions[0].endpoints
    assert repr(endpoint.settings["a"]) == "1"
    assert repr(endpoint.settings["b"]) == "0"
    assert endpoint.settings["c"] == 0.5


def test_every_thing_is_declared_once_and_its_pointer_leads_back_to_it() -> None:
    document = city(groups=[{"id": "g", "title": title(), "institutions": ["sun"]}])
    records = declared(Manifest.model_validate(document))
    for record in records:
        here: Any = document
        for part in record.pointer.split("/")[1:]:
            here = here[int(part)] if isinstance(here, list) else here[part]
        assert record.key.id in (here.get("id"), here.get("code"), here.get("filing_number"))
    assert len({record.key for record in records}) == len(records) == 17


SHIFT = rota()["shifts"][0]


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        ({"starts": 480}, "starts", 'write the time as "08:30"'),
        ({"starts": "24:00"}, "starts", 'write the time as "08:30"'),
        ({"ends": "8:00"}, "ends", 'write the time as "08:30"'),
        ({"ends": "０8:00"}, "ends", 'write the time as "08:30"'),
        ({"since": "2026-02-30"}, "since", "day"),
        ({"since": "20260201"}, "since", 'write the day as "2026-10-01"'),
        ({"since": "1999-01-01"}, "since", "from 2000 to 2200"),
        ({"until": 20260201}, "until", "in quotes"),
        ({"responders": []}, "responders", "at least 1"),
        ({"weekdays": ["monday"]}, "weekdays/0", "mon"),
        ({"days": []}, "days", "at least 1"),
        ({"crew": 0}, "crew", "greater than or equal to 1"),
    ],
)
def test_a_shift_that_does_not_hold_is_refused_where_it_stands(changed: dict[str, Any], key: str, says: str) -> None:
    pointer, message = refusals(rotas=[rota(shifts=[{**SHIFT, **changed}])])[0]
    assert pointer == f"rotas/0/shifts/0/{key}"
    assert says in message


_anything = (
    st.none() | st.booleans() | st.integers(-5, 2_000) | st.text("0123456789:-Tamon", max_size=12) | st.dates().map(str)
)


@given(
    st.fixed_dictionaries(
        {"id": st.just("all"), "responders": st.lists(st.sampled_from(["a", "b"]), max_size=3)},
        optional={
            key: _anything | st.lists(_anything, max_size=3) | st.sampled_from(["00:00", "23:59", "2026-02-28"])
            for key in ("starts", "ends", "since", "until", "turn_days", "crew", "weekdays", "days")
        },
    )
)
def test_any_shift_is_refused_by_name_or_comes_back_as_it_was_declared(shift: dict[str, Any]) -> None:
    try:
        (record,) = declared(manifest(rotas=[rota(shifts=[{**SHIFT, **shift}])]))
    except ValidationError:
        return
    made = rota_of("round", record.fields)
    assert rota_fields(made) == record.fields
    people, crew = made.shifts[0].responders, made.shifts[0].crew
    if len(set(people)) == len(people) and crew <= len(people):
        until = made.shifts[0].until
        if until is None or until >= made.shifts[0].since:
            check_rota(made)
            return
    with pytest.raises(BadInput, match=r"rota round: shifts\.0"):
        check_rota(made)
