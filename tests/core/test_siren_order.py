"""Orders of sirens: by the hub's key, for one edge, for a short time, and only for what a local rule watches for fire alone."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bundle import LocalRule, RuleWatch
from hub.core.configuration import public_key
from hub.core.siren_order import (
    MAX_REASON,
    SirenAnswer,
    SirenOrder,
    make_siren_answer,
    make_siren_order,
    read_siren_answer,
    read_siren_order,
    rule_for,
)
from hub.errors import BadInput
from hub.model import SignalClass

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ORDER = SirenOrder("edge-1", UUID(int=7), "siren", "smoke-1", "fire", 1_000)
WORDS = {"zh": "火", "en": "fire"}


def rule(classes: tuple[str, ...] = ("fire",), signal_class: str = "fire", checked: bool = True) -> LocalRule:
    alarm = {
        "title": WORDS,
        "class": signal_class,
        "priority": "critical",
        "point": "smoke",
        "condition": {"equals": 1},
        "response": WORDS,
    }
    given: dict[str, Any] = {
        "device": "smoke-1",
        "definition": "fire",
        "alarm": alarm,
        "reads": {"title": WORDS, "type": "int"},
        "classes": ["fire"],
    }
    if checked:
        watches = (RuleWatch.model_validate(given),)
    else:  # as if every check before had been gone around
        good = RuleWatch.model_validate({**given, "alarm": {**alarm, "class": "fire"}})
        forced = good.model_copy(
            update={
                "classes": tuple(SignalClass(name) for name in classes),
                "alarm": good.alarm.model_copy(update={"signal_class": SignalClass(signal_class)}),
            }
        )
        return rule().model_copy(update={"watches": (forced,)})
    return LocalRule(id="siren", siren="horn-1", point="sounder", value=True, after=60_000_000, watches=watches)


def test_an_order_is_read_as_it_was_made_and_names_a_rule_that_watches_it() -> None:
    read = read_siren_order(make_siren_order(ORDER, KEY), "edge-1", public_key(KEY))
    assert read == ORDER
    assert rule_for(read, (rule(),), 999).siren == "horn-1"


def test_an_order_by_another_key_for_another_edge_or_changed_is_refused() -> None:
    with pytest.raises(BadInput, match="signature"):
        read_siren_order(make_siren_order(ORDER, OTHER), "edge-1", public_key(KEY))
    with pytest.raises(BadInput, match="it is for edge"):
        read_siren_order(make_siren_order(ORDER, KEY), "edge-2", public_key(KEY))
    wire = json.loads(make_siren_order(ORDER, KEY))
    wire["order"] = wire["order"][:-4] + "AAAA"
    with pytest.raises(BadInput):
        read_siren_order(json.dumps(wire).encode(), "edge-1", public_key(KEY))


@pytest.mark.parametrize(
    ("change", "now", "why"),
    [
        ({}, 1_001, "too old"),
        ({"rule": "other"}, 0, "no local rule"),
        ({"device": "button-1"}, 0, "does not watch button-1/fire for fire"),
        ({"definition": "pressed"}, 0, "does not watch smoke-1/pressed for fire"),
    ],
)
def test_an_order_that_comes_late_or_for_what_no_rule_watches_sounds_nothing(
    change: dict[str, Any], now: int, why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        rule_for(ORDER._replace(**change), (rule(),), now)


@given(st.sampled_from(SignalClass), st.lists(st.sampled_from(SignalClass), min_size=1, max_size=4))
def test_nothing_sounds_for_a_panic_whatever_went_around_every_check_before(
    signal_class: SignalClass, classes: list[SignalClass]
) -> None:
    forced = rule(tuple(classes), signal_class, checked=False)
    if signal_class is SignalClass.FIRE and SignalClass.PANIC not in classes:
        assert rule_for(ORDER, (forced,), 0) is forced
    else:
        with pytest.raises(BadInput, match="for fire"):
            rule_for(ORDER, (forced,), 0)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x) | st.dictionaries(st.sampled_from(["v", "order", "signature", "id", "sounded", "said"]), x)
        ),
    ).map(lambda v: json.dumps(v).encode())
)
def test_garbage_is_no_order_and_no_answer(payload: bytes) -> None:
    with pytest.raises(BadInput):
        read_siren_order(payload, "edge-1", public_key(KEY))
    with pytest.raises(BadInput):
        read_siren_answer(payload)


@given(st.uuids(), st.booleans(), st.text(st.characters(exclude_categories=["Cs"]), max_size=2 * MAX_REASON))
def test_an_answer_is_read_as_it_was_made(name: UUID, sounded: bool, said: str) -> None:
    assert read_siren_answer(make_siren_answer(SirenAnswer(name, sounded, said))) == SirenAnswer(
        name, sounded, said[:MAX_REASON]
    )
