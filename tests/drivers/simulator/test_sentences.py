"""Lines that patterns find, for simulated devices that print."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulator.sentences import CannotSay, write


@pytest.mark.parametrize(
    ("pattern", "words", "line"),
    [
        (r"^D(?P<device>\d{2}) FORCED (?P<value>[01])\s*$", {"device": "01", "value": "1"}, "D01 FORCED 1"),
        (r"(?P<value>-?\d+\.\d)C(?: OK)?", {"value": "-3.5"}, "-3.5C"),
        (
            r"^Z(?P<instance>\d{3})[ ,](?:ALARM|FIRE) (?P<value>ON|OFF)",
            {"instance": "007", "value": "ON"},
            "Z007 ALARM ON",
        ),
        (r"^[^A-Z]x{3}.\w\s\D(?P<value>.*)$", {"value": "y"}, None),
        (r"(?P<value>\d)?;", {"value": "4"}, "4;"),
    ],
)
def test_a_line_holds_the_words_in_its_groups(pattern: str, words: dict[str, str], line: str | None) -> None:
    said = write(pattern, words)
    found = re.search(pattern, said)
    assert found is not None
    assert {name: found[name] for name in words} == words
    assert line in (None, said)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"^(?P<value>[01])$", {"value": "2"}),
        (r"^(?=a)(?P<value>.)", {"value": "a"}),
        (r"(a)\1(?P<value>b)", {"value": "b"}),
    ],
)
def test_a_word_or_a_pattern_that_does_not_fit_is_refused(pattern: str, words: dict[str, str]) -> None:
    with pytest.raises(CannotSay):
        write(pattern, words)


@given(
    st.lists(
        st.sampled_from([r"\d", r"[a-f]", r"[^x-z]", "A", r"\s*", r"(?:b|c)", r"\w{2,3}", ".?", r"[\d_]+", r"\."]),
        max_size=8,
    )
)
def test_any_pattern_of_these_parts_finds_what_is_written_for_it(parts: list[str]) -> None:
    pattern = "^" + "".join(parts) + r"=(?P<value>\d+)$"
    found = re.search(pattern, write(pattern, {"value": "42"}))
    assert found is not None
    assert found["value"] == "42"
