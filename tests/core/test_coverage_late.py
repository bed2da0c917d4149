"""What an edge kept of a silence: what is believed of it, what is not, and how it amends the past."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config import data_folder
from hub.core.coverage.facts import ALONE, Contribution, DeviceFact, contribution
from hub.core.coverage.late import (
    CAUGHT_UP,
    LONGEST,
    MARGIN,
    MOST_PIECES,
    PATIENCE,
    SHORTEST,
    Kept,
    Silence,
    arrives,
    bounded,
    ended,
    further,
    held_back,
    observed,
    reading,
    telling,
    worth_it,
)
from hub.core.coverage.ledger import Span
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.snapshot import Observed, snapshot
from hub.model import SECOND, FunctionState, LinkState, Micros, Series
from hub.profiles import load_profiles
from tests.core.coverage_city import CAMERA, EACH_ZONE, NOW, pack, rule, site
from tests.core.test_coverage_ledger import Book

PROFILES = load_profiles([data_folder("device-profiles")])
AXIS = PROFILES["axis-camera"]
SINCE, UNTIL = NOW + 1000 * SECOND, NOW + 5000 * SECOND
QUIET = Silence("cam-1", SINCE, UNTIL)
WHOLE = Kept(arrived=UNTIL, heard=UNTIL, missing=(), began_anew=None, skew=0.1)
UNKNOWN = replace(CAMERA, link_state=LinkState.UNKNOWN, link_since=SINCE)


def heard(found: list[Observed]) -> list[tuple[Micros, Micros | None]]:
    return [(one.since, one.until) for one in found if one.key[0] == "heard_late"]


def test_a_silence_through_which_the_edge_heard_the_device_is_believed_whole() -> None:
    assert heard(observed(QUIET, WHOLE, AXIS)) == [(SINCE, UNTIL)]


@pytest.mark.parametrize(
    "doubtful",
    [
        {"skew": None},
        {"skew": 5.1},
        {"skew": -60.0},
        {"skew": float("nan")},
        {"arrived": None},
        {"heard": None},
        {"arrived": SINCE - CAUGHT_UP},
        {"said": None},
        {"began_anew": SINCE + MARGIN},
        {"missing": [(0, 10**18)]},
    ],
)
def test_where_something_is_in_doubt_nothing_is_believed(doubtful: dict[str, object]) -> None:
    assert observed(QUIET, WHOLE._replace(**doubtful), AXIS) == []  # type: ignore[arg-type]


def test_a_silence_of_which_a_part_is_on_its_way_is_not_over_before_that_has_come_or_had_its_time() -> None:
    back, behind = QUIET._replace(back=UNTIL), WHOLE._replace(arrived=UNTIL - CAUGHT_UP - 1)
    assert arrives(back, behind, UNTIL + SECOND)
    assert not arrives(back, WHOLE._replace(arrived=UNTIL - CAUGHT_UP), UNTIL + SECOND)
    assert not arrives(back, behind, UNTIL + PATIENCE)
    assert not arrives(QUIET, behind, UNTIL + SECOND), (
        "it was the hub that did not listen: nothing says when that ended"
    )
    assert not arrives(back._replace(gone=True), behind, UNTIL + SECOND)
    assert not arrives(back, WHOLE._replace(arrived=None), UNTIL + SECOND)
    now = site(replace(CAMERA, link_since=UNTIL), replace(CAMERA, id="cam-2"))
    last = site(UNKNOWN, replace(CAMERA, id="cam-2"))
    assert held_back(now, last, {"cam-1"}) == last
    assert held_back(now, last, ()) == now


def test_a_device_that_its_edge_misses_now_is_believed_until_it_was_heard_last() -> None:
    last = SINCE + 2000 * SECOND
    assert heard(observed(QUIET._replace(gone=True), WHOLE._replace(heard=last), AXIS)) == [(SINCE, last - MARGIN)]


def test_a_device_that_said_that_it_failed_counts_as_failed_until_it_takes_that_back() -> None:
    series = Series("cam-1", "video_signal")
    codes = {label: code for code, label in (AXIS.points["video_signal"].enum or {}).items()}
    failed, over = SINCE + 1000 * SECOND, SINCE + 2000 * SECOND
    said = [
        reading(AXIS, series, failed, codes["no_signal"], 0),
        reading(AXIS, series, over, codes[next(one for one in codes if one != "no_signal")], 0),
    ]
    found = observed(QUIET, WHOLE._replace(said=said), AXIS)
    assert heard(found) == [(SINCE, failed - MARGIN), (over + MARGIN, UNTIL)]
    assert [one for one in found if one.key[0] == "function"] == [
        Observed(("function", "cam-1"), failed, FunctionState.FAILED, over)
    ]


def test_a_device_whose_failure_leaves_no_rows_behind_is_not_believed() -> None:
    beats = PROFILES["ascii-line-door"].points["alive"]
    hidden = AXIS.model_copy(update={"points": {**AXIS.points, "video_signal": beats}})
    assert telling(AXIS) == frozenset({"video_signal"})
    assert telling(hidden) is None
    assert observed(QUIET, WHOLE, hidden) == []


span = st.tuples(st.integers(-500, 5000), st.integers(0, 900)).map(
    lambda one: (SINCE + one[0] * SECOND, SINCE + (one[0] + one[1]) * SECOND)
)


@given(
    st.lists(span, max_size=6),
    st.integers(0, 6000),
    st.integers(0, 6000),
    st.booleans(),
    st.none() | st.integers(1, 5000),
)
def test_nothing_is_believed_near_what_is_missing_nor_after_what_arrived(
    missing: list[tuple[Micros, Micros]], arrived: int, last: int, gone: bool, anew: int | None
) -> None:
    kept = WHOLE._replace(
        missing=missing,
        arrived=SINCE + arrived * SECOND,
        heard=SINCE + last * SECOND,
        began_anew=None if anew is None else SINCE + anew * SECOND,
    )
    found = heard(observed(QUIET._replace(gone=gone), kept, AXIS))
    believed = 0
    for since, until in found:
        assert until is not None
        assert SINCE <= since < until <= min(UNTIL, SINCE + arrived * SECOND + CAUGHT_UP)
        assert until - since >= SHORTEST
        assert not gone or until <= SINCE + last * SECOND - MARGIN
        assert anew is None or until <= SINCE + anew * SECOND - MARGIN
        assert all(until <= begin - MARGIN or since >= end + MARGIN for begin, end in missing)
        believed += until - since
    if not missing and not gone and anew is None and SINCE + arrived * SECOND >= UNTIL:
        assert believed == UNTIL - SINCE


@given(st.sets(st.sampled_from([*sorted(ALONE), "alarm.manual", "fire.smoke", "gas.detect"]), min_size=1), st.data())
def test_only_what_a_device_does_alone_is_proven_by_what_came_late(has: set[str], data: st.DataObject) -> None:
    asked = frozenset(data.draw(st.sets(st.sampled_from(sorted({*has, "alarm.manual", "video.live"})), min_size=1)))
    device = replace(UNKNOWN, capabilities=frozenset(has), heard_late=True)
    given_ = asked & has
    proven = contribution(device, asked)[0] is Contribution.PROVEN
    assert proven == bool(given_ and not given_ & {"alarm.manual", "fire.smoke", "gas.detect"})
    assert contribution(device)[0] is Contribution.UNKNOWN, "asked for nothing, nothing is proven"
    for other in (LinkState.OFFLINE,):
        assert contribution(replace(device, link_state=other), asked)[0] is Contribution.UNKNOWN
    for broken, gives in ((FunctionState.FAILED, Contribution.NONE), (FunctionState.UNPROVEN, Contribution.UNKNOWN)):
        assert contribution(replace(device, function_state=broken), asked)[0] is gives


# how far back ---------------------------------------------------------------------------------------------------------


def spanned(start: Micros, end: Micros | None, *devices: DeviceFact) -> Span:
    return Span(start, end, snapshot(site(*devices)), b"")


def test_a_silence_ends_when_the_link_is_known_again_and_goes_back_to_where_it_was_last() -> None:
    back = replace(CAMERA, link_since=UNTIL)
    last = spanned(SINCE + 50 * SECOND, None, UNKNOWN)
    [one] = ended(last, site(back), UNTIL + SECOND)
    assert one == Silence("cam-1", SINCE + 50 * SECOND, UNTIL, back=UNTIL)
    later = spanned(UNTIL + 3 * SECOND, None, UNKNOWN)  # other facts moved while it was held back
    assert ended(later, site(back), UNTIL + 9 * SECOND) == [Silence("cam-1", UNTIL + 3 * SECOND, UNTIL, back=UNTIL)]
    past = [spanned(NOW, SINCE, CAMERA), spanned(SINCE, SINCE + 50 * SECOND, UNKNOWN)]
    assert further([one], past[1:]) == ([QUIET._replace(back=UNTIL)], False), (
        "the span begins when the link was lost: no need to look on"
    )
    blind = replace(
        CAMERA, link_state=LinkState.UNKNOWN, link_since=NOW - SECOND
    )  # the hub's own deafness is not dated
    [one] = ended(spanned(SINCE, None, blind), site(replace(blind, link_state=LinkState.ONLINE)), UNTIL)
    assert one == QUIET
    assert further([one], [spanned(SINCE - SECOND, SINCE, blind)]) == ([QUIET._replace(since=SINCE - SECOND)], True)
    assert further([one], [spanned(NOW, SINCE, CAMERA)]) == ([QUIET], False)
    assert further([one], [spanned(NOW, SINCE - SECOND, blind)]) == ([QUIET], False), "nobody judged in between"


def test_a_device_never_heard_before_or_still_unknown_has_no_silence_that_ended() -> None:
    last = spanned(SINCE, None, replace(UNKNOWN, last_heard_at=None))
    assert ended(last, site(replace(CAMERA, link_since=UNTIL)), UNTIL) == []
    assert ended(spanned(SINCE, None, UNKNOWN), site(UNKNOWN), UNTIL) == []
    assert ended(spanned(SINCE, None, UNKNOWN), site(), UNTIL) == []
    [gone] = ended(
        spanned(SINCE, None, UNKNOWN), site(replace(CAMERA, link_state=LinkState.OFFLINE, link_since=UNTIL)), UNTIL
    )
    assert gone.gone


def test_a_short_silence_is_left_and_a_long_one_is_amended_only_in_its_last_part() -> None:
    assert worth_it(QUIET._replace(until=SINCE + SHORTEST - 1), UNTIL) is None
    assert worth_it(QUIET, UNTIL) == QUIET
    far = worth_it(QUIET._replace(since=UNTIL - 2 * LONGEST), UNTIL)
    assert far is not None
    assert far.since == UNTIL - LONGEST


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300), st.integers(0, 40)), max_size=60))
def test_what_flaps_is_amended_in_so_many_periods_and_the_longest(drawn: list[tuple[int, int, int]]) -> None:
    found = [Observed(("heard_late", f"d-{n}"), begin, True, begin + length) for begin, length, n in drawn]
    kept = bounded(found)
    periods = {(one.since, one.until) for one in kept}
    assert len(periods) <= MOST_PIECES
    assert all(one in kept for one in found if (one.since, one.until) in periods)
    if len({(one.since, one.until) for one in found}) <= MOST_PIECES:
        assert len(kept) == len(found)


# in the ledger --------------------------------------------------------------------------------------------------------


def test_the_ledger_is_amended_for_that_time_alone_and_says_before_what_it_said() -> None:
    rules = Rulebook([pack(rule(EACH_ZONE, id="zone"))])
    book = Book(rules)
    book.judge(site(CAMERA), NOW)
    book.checked_at = SINCE
    book.judge(site(UNKNOWN), SINCE + SECOND)
    book.checked_at = UNTIL
    since, until = SINCE + 500 * SECOND, UNTIL - 500 * SECOND
    late = [Observed(("heard_late", "cam-1"), since, True, until)]
    back = site(replace(CAMERA, link_since=UNTIL))
    book.judge(back, UNTIL + SECOND, late)
    assert book.periods("zone") == [
        ("compliant", NOW, SINCE),
        ("unknown", SINCE, since),
        ("compliant", since, until),
        ("unknown", until, UNTIL),
        ("compliant", UNTIL, None),
    ]
    assert book.coverage(since, UNTIL)["zone"] == "unknown", "as it was known before"
    assert book.judge(back, UNTIL + 2 * SECOND, late).is_empty
