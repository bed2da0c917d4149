"""Silence counts only while somebody was listening."""

from hypothesis import given
from hypothesis import strategies as st

from hub.core.liveness import Beat, Verdict, judge_device, judge_edge
from hub.model import LinkState

S = 1_000_000
NOW = 1_795_000_000 * S
ONLINE = Verdict(LinkState.ONLINE, "")


def test_an_edge_is_online_while_its_messages_come_and_offline_after_its_time() -> None:
    assert judge_edge(NOW, 30 * S, NOW - 29 * S, NOW - 3600 * S) == ONLINE
    assert judge_edge(NOW, 30 * S, NOW - 30 * S, NOW - 3600 * S) == (LinkState.OFFLINE, "edge")


@given(st.integers(0, 29), st.one_of(st.none(), st.integers(0, 10**6)))
def test_nothing_is_offline_within_the_grace_after_the_hub_began_to_listen(listening: int, silent: int | None) -> None:
    heard = None if silent is None else NOW - (silent + listening + 1) * S
    assert judge_edge(NOW, 30 * S, heard, NOW - listening * S) == (LinkState.UNKNOWN, "hub")


def test_an_edge_whose_session_ended_is_unknown_after_a_grace_and_offline_only_by_its_silence() -> None:
    since = NOW - 3600 * S
    assert judge_edge(NOW, 30 * S, NOW - 3 * S, since, NOW - 2 * S) == ONLINE
    assert judge_edge(NOW, 30 * S, NOW - 9 * S, since, NOW - 6 * S) == (LinkState.UNKNOWN, "uplink")
    assert judge_edge(NOW, 30 * S, NOW - 31 * S, since, NOW - 29 * S) == (LinkState.OFFLINE, "edge")
    # what was on its way in another lane when the broker said so does not take it back; what came later does
    assert judge_edge(NOW, 30 * S, NOW - 5 * S, since, NOW - 6 * S) == (LinkState.UNKNOWN, "uplink")
    assert judge_edge(NOW, 30 * S, NOW - 3 * S, since, NOW - 6 * S) == ONLINE


@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
def test_a_death_never_makes_anybody_offline_or_online_that_was_not(heard: int, listening: int, died: int) -> None:
    without = judge_edge(NOW, 30 * S, NOW - heard * S, NOW - listening * S)
    told = judge_edge(NOW, 30 * S, NOW - heard * S, NOW - listening * S, NOW - died * S)
    assert told == without or (without == ONLINE and told == (LinkState.UNKNOWN, "uplink") and died <= heard + 2)


def test_an_edge_that_died_while_the_hub_was_away_is_offline_after_its_time() -> None:
    assert judge_edge(NOW, 30 * S, 0, NOW - 29 * S) == (LinkState.UNKNOWN, "hub")
    assert judge_edge(NOW, 30 * S, 0, NOW - 30 * S) == (LinkState.OFFLINE, "edge")


@given(st.sampled_from(["hub", "broker", "database"]), st.integers(0, 29), st.none() | st.integers(0, NOW))
def test_a_time_in_which_the_hub_was_blind_never_makes_anybody_offline(
    part: str, listening: int, heard: int | None
) -> None:
    since = NOW - listening * S
    edge = judge_edge(NOW, 30 * S, heard, since, None, part)
    assert edge == ONLINE or edge == (LinkState.UNKNOWN, part)
    beat = None if listening % 2 else Beat(NOW, NOW, 900 * S)
    device = judge_device(NOW, 3 * S, heard, edge, 30 * S, beat, part)
    assert device.state is not LinkState.OFFLINE or edge == ONLINE


def test_an_edge_that_was_never_heard_is_unknown_for_ever() -> None:
    assert judge_edge(NOW, 30 * S, None, NOW - 3600 * S) == (LinkState.UNKNOWN, "never_seen")


def device(heard: int | None, beat: Beat | None, edge: Verdict = ONLINE) -> Verdict:
    return judge_device(NOW, 6 * S, heard, edge, 30 * S, beat)


def test_a_silent_device_is_offline_only_against_the_beat_of_its_lane() -> None:
    assert device(NOW - 7 * S, Beat(NOW - 1 * S, NOW, 900 * S)) == (LinkState.OFFLINE, "device")
    assert device(NOW - 7 * S, Beat(NOW - 2 * S, NOW, 900 * S)) == ONLINE


def test_behind_an_edge_that_is_away_nobody_is_offline() -> None:
    beat = Beat(NOW - 1 * S, NOW, 900 * S)
    assert device(NOW - 60 * S, beat, Verdict(LinkState.OFFLINE, "edge")) == (LinkState.UNKNOWN, "edge")
    assert device(NOW - 60 * S, beat, Verdict(LinkState.UNKNOWN, "hub")) == (LinkState.UNKNOWN, "hub")


def test_behind_a_stalled_or_lagging_lane_nobody_is_offline() -> None:
    assert device(NOW - 60 * S, Beat(NOW - 31 * S, NOW - 31 * S, 900 * S)) == (LinkState.UNKNOWN, "uplink")
    assert device(NOW - 3600 * S, Beat(NOW - 3500 * S, NOW, 900 * S)) == (LinkState.UNKNOWN, "uplink")


def test_an_edge_that_just_started_has_not_listened_long_enough() -> None:
    assert device(NOW - 60 * S, Beat(NOW, NOW, 5 * S)) == (LinkState.UNKNOWN, "edge")
    assert device(NOW - 60 * S, Beat(NOW, NOW, 6 * S)) == (LinkState.OFFLINE, "device")


def test_before_the_first_beat_after_a_restart_a_device_is_unknown() -> None:
    assert device(NOW - 1 * S, None) == (LinkState.UNKNOWN, "hub")


def test_a_device_that_was_never_heard_is_unknown() -> None:
    assert device(None, Beat(NOW, NOW, 900 * S)) == (LinkState.UNKNOWN, "never_seen")
