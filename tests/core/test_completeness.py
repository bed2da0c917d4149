"""Completeness: a share of time, from what is known to be missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.completeness import MOST_SPANS, Completeness, Known, Span, complete

KNOWN = Known(0, 0, None, True)
SPANS = st.lists(st.builds(lambda a, b: Span(min(a, b), max(a, b), "edge"), st.integers(0, 60), st.integers(0, 60)))


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 70), SPANS)
def test_the_share_is_of_the_moments_that_no_span_covers(since: int, length: int, now: int, spans: list[Span]) -> None:
    found = complete(since, since + length, now, KNOWN, spans)
    moments = range(since, min(since + length, now))
    if not moments:
        assert (found.share, found.reason) == (None, "future")
        return
    missing = sum(any(span.since <= moment < span.until for span in spans) for moment in moments)
    assert found.share == pytest.approx(1 - missing / len(moments))
    assert all(found.since <= span.since < span.until <= found.until for span in found.missing)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("since", "until", "known", "reason"),
    [
        (10, 10, KNOWN, "empty"),
        (10, 20, Known(0, 20, None, True), "no_device"),
        (10, 20, Known(0, 0, 10, True), "no_device"),
        (10, 20, Known(20, 0, None, True), "before_tracking"),
        (10, 20, Known(0, 0, None, False), "never_heard"),
        (60, 70, KNOWN, "future"),
    ],
)
def test_where_nothing_can_be_known_there_is_no_share_and_a_reason(
    since: int, until: int, known: Known, reason: str
) -> None:
    assert complete(since, until, 50, known, []) == Completeness(None, reason, None, None, [])  # type: ignore[arg-type]


def test_what_cannot_be_known_is_no_part_of_the_figure() -> None:
    found = complete(0, 100, 80, Known(20, 10, None, True), [Span(0, 50, "edge")])
    assert (found.share, found.since, found.until) == (0.5, 20, 80)
    assert found.missing == [Span(20, 50, "edge")]


def test_many_spans_are_counted_and_the_first_hundred_named() -> None:
    found = complete(0, 1000, 1000, KNOWN, [Span(2 * n, 2 * n + 1, "device") for n in range(300)])
    assert (found.share, len(found.missing), found.more) == (0.7, MOST_SPANS, 200)
