"""An acknowledgement without anything after it does not stand for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.ownership import DEFAULT_LAPSE, DEFAULT_REMIND, SETTLING, Sign, Terms, followed, terms
from hub.model import LIFE_SAFETY, SECOND, SignalClass

CLASSES = st.sampled_from(sorted(SignalClass))
TIMES = st.none() | st.integers(SECOND, 86_400 * SECOND)


@given(CLASSES, TIMES, TIMES)
def test_fire_and_panic_always_have_a_reminder_before_a_lapse_and_others_only_where_the_policy_says(
    signal_class: SignalClass, remind: int | None, lapse: int | None
) -> None:
    found = terms(signal_class, remind, lapse)
    if signal_class not in LIFE_SAFETY and lapse is None:
        assert found is None
        return
    assert found is not None
    assert 0 < found.remind_after <= found.lapse_after
    assert found.lapse_after == (DEFAULT_LAPSE if lapse is None else lapse)


def test_without_a_word_in_the_policy_a_panic_is_asked_about_after_three_minutes_and_paged_again_after_six() -> None:
    assert terms(SignalClass.PANIC, None, None) == Terms(DEFAULT_REMIND, DEFAULT_LAPSE)
    assert (DEFAULT_REMIND, DEFAULT_LAPSE) == (180 * SECOND, 360 * SECOND)


@pytest.mark.parametrize(
    ("events", "sign"),
    [
        ([], Sign.NOTHING),
        ([("raise", "")], Sign.NOTHING),
        ([("confirm", "duty")], Sign.RENEWED),
        ([("raise", ""), ("note", "duty"), ("raise", "")], Sign.RENEWED),
        ([("comment", "duty"), ("clear", "")], Sign.SETTLED),
        ([("dispose", "duty"), ("note", "duty")], Sign.SETTLED),
        ([("reset", "duty")], Sign.SETTLED),
    ],
)
def test_what_a_person_does_renews_and_what_ends_the_matter_settles(events: list[tuple[str, str]], sign: Sign) -> None:
    assert followed(events) is sign


@given(
    st.lists(st.tuples(st.sampled_from(["raise", "note", "confirm", *sorted(SETTLING)]), st.sampled_from(["", "duty"])))
)
def test_only_what_a_person_did_or_the_end_of_the_condition_keeps_an_acknowledgement(
    events: list[tuple[str, str]],
) -> None:
    sign = followed(events)
    assert (sign is Sign.SETTLED) == any(event in SETTLING for event, _ in events)
    if sign is Sign.NOTHING:
        assert all(actor == "" for _, actor in events)
