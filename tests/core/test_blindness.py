"""Why something is not seen: areas, single sites, lines; a campaign of faults with its confusion matrix."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.blindness import (
    BLIND,
    JOIN,
    RECOVERY,
    SETTLE,
    SLACK,
    Area,
    Cause,
    Client,
    Evidence,
    Failing,
    Heard,
    Mains,
    Silence,
    Site,
    Weighed,
    areas_of,
    comparable,
    find_areas,
    is_child,
    joins,
    not_listening,
    silences,
    stands,
)
from hub.core.blindness_lines import OnLine, line_stands, weigh_line
from hub.core.blindness_sentences import CAUSES, say
from hub.core.blindness_sites import ENDED_IN_ORDER, Return, weigh_client, weigh_return
from hub.edge.life import STOPPED
from hub.model import LIFE_SAFETY, SECOND, Micros, SignalClass
from tests.core.blind_worlds import CARRIERS, DISTRICTS, T0, campaign, table

BEAT = 10 * SECOND
NOW = T0 + 60 * SECOND


def site(name: str, district: str = "140403", carrier: str = "unicom", access: str = "") -> Site:
    return Site(name, (district, "1404", "14"), carrier, access)


def silence(last: Micros = T0, seen: Micros = T0 + 30 * SECOND) -> Silence:
    return Silence(last - SLACK, last + BEAT + SLACK, last, seen)


def found(sites: Mapping[str, Site], silent: Mapping[str, Silence], now: Micros = NOW) -> list[Failing]:
    return find_areas(sites, silent, frozenset(sites) - frozenset(silent), now)


# areas ---------------------------------------------------------------------------------------------------------------


def test_most_sites_of_a_carrier_silent_within_a_moment_are_the_carriers_fault_with_the_count_as_evidence() -> None:
    sites = {f"x{n}": site(f"x{n}") for n in range(500)} | {
        f"y{n}": site(f"y{n}", carrier="mobile") for n in range(300)
    }
    silent = {f"x{n}": silence(T0 + n % 10 * 4 * SECOND) for n in range(412)}
    [area] = found(sites, silent)
    assert (area.area, area.cause, len(area.sites)) == (Area("140403", "unicom"), Cause.CARRIER, 412)
    facts = {"silent": 412, "of": 500, "division": "140403", "carrier": "unicom", "since": T0, "within_s": 36}
    assert area.evidence == (Evidence("area_silent", facts),)


def test_all_carriers_of_a_district_silent_at_once_are_one_area_and_not_one_for_each_carrier() -> None:
    sites = {f"{carrier}{n}": site(f"{carrier}{n}", carrier=carrier) for carrier in CARRIERS for n in range(20)}
    sites |= {f"other{n}": site(f"other{n}", "140404") for n in range(20)}
    [area] = found(sites, {name: silence() for name, one in sites.items() if one.divisions[0] == "140403"})
    assert (area.area, area.cause, len(area.sites)) == (Area("140403"), Cause.DISTRICT, 60)


def test_a_carrier_that_fails_in_several_districts_is_one_area() -> None:
    sites = {f"{d}-{c}-{n}": site(f"{d}-{c}-{n}", d, c) for d in DISTRICTS for c in CARRIERS for n in range(10)}
    [area] = found(sites, {name: silence() for name, one in sites.items() if one.carrier == "mobile"})
    assert (area.area, area.cause, len(area.sites)) == (Area("1404", "mobile"), Cause.CARRIER, 40)


def test_an_access_node_is_named_where_it_alone_fails() -> None:
    sites = {f"s{n}": site(f"s{n}", DISTRICTS[n % 2], access=f"olt-{n % 4}") for n in range(40)}
    [area] = found(sites, {name: silence() for name, one in sites.items() if one.access == "olt-1"})
    assert (area.area, area.cause) == (Area("", "unicom", "olt-1"), Cause.CARRIER)


def test_where_no_site_at_all_is_heard_the_way_into_the_hub_is_blamed_and_a_lone_carrier_is_not() -> None:
    many = {f"s{n}": site(f"s{n}", DISTRICTS[n % 4], CARRIERS[n % 3]) for n in range(40)}
    [area] = found(many, {name: silence() for name in many})
    assert area.cause is Cause.BROKER
    alone = {f"s{n}": site(f"s{n}") for n in range(40)}
    [area] = found(alone, {name: silence() for name in alone})
    assert area.cause is Cause.UNDETERMINED
    assert area.evidence[-1] == Evidence("candidates", {"causes": ["carrier", "district", "broker"]})


def test_sites_that_fell_silent_at_different_times_are_no_area() -> None:
    sites = {f"s{n}": site(f"s{n}") for n in range(20)}
    assert found(sites, {f"s{n}": silence(T0 - n * 3600 * SECOND) for n in range(15)}) == []


def test_many_silences_at_one_moment_that_share_nothing_known_are_one_area_of_undetermined_cause() -> None:
    sites = {f"s{n}": site(f"s{n}", DISTRICTS[n % 4], CARRIERS[n % 3]) for n in range(400)}
    silent = {f"s{n}": silence() for n in random.Random(1).sample(range(400), 12)}
    [area] = found(sites, silent)
    assert (area.area.division, area.cause, len(area.sites)) == ("1404", Cause.UNDETERMINED, 12)
    few = dict(list(silent.items())[:6])
    assert found(sites, few) == []


def test_an_area_is_named_only_when_the_whole_picture_is_there() -> None:
    sites = {f"s{n}": site(f"s{n}") for n in range(10)} | {"far": site("far", "140404", "mobile")}
    silent = {f"s{n}": silence() for n in range(10)}
    seen = silent["s0"].seen
    assert found(sites, silent, seen + SETTLE - 1) == []
    assert len(found(sites, silent, seen + SETTLE)) == 1


@given(st.data())
def test_areas_share_no_site_name_only_silent_ones_and_explain_more_than_they_contradict(data: st.DataObject) -> None:
    names = [f"s{n}" for n in range(data.draw(st.integers(1, 30)))]
    sites = {
        name: site(name, data.draw(st.sampled_from(DISTRICTS[:2])), data.draw(st.sampled_from(("", *CARRIERS[:2]))))
        for name in names
    }
    silent = {n: silence(T0 + data.draw(st.integers(0, 8)) * 30 * SECOND) for n in names if data.draw(st.booleans())}
    heard = frozenset(n for n in names if n not in silent and data.draw(st.booleans()))
    areas = find_areas(sites, silent, heard, NOW + 3600 * SECOND)
    taken: set[str] = set()
    for area in areas:
        assert area.sites <= silent.keys()
        assert taken.isdisjoint(area.sites)
        taken |= area.sites
        assert len(area.sites) >= 3
        living = sum(area.area in areas_of(sites[name]) for name in heard)
        assert len(area.sites) > living + 2 or area.cause is Cause.UNDETERMINED
        assert any(max(silent[n].begin for n in area.sites) <= silent[m].end for m in area.sites)


@given(st.integers(3, 40), st.integers(0, 40), st.integers(0, 10))
def test_when_a_whole_area_falls_silent_no_site_in_it_is_blamed_by_itself(own: int, others: int, earlier: int) -> None:
    sites = {f"x{n}": site(f"x{n}") for n in range(own)}
    sites |= {f"y{n}": site(f"y{n}", DISTRICTS[n % 4], "mobile") for n in range(others)}
    silent = {f"x{n}": silence() for n in range(own)}
    silent |= {f"y{n}": silence(T0 - 3600 * SECOND * (n + 1)) for n in range(min(earlier, others))}
    explained = {name for area in found(sites, silent) for name in area.sites}
    assert {f"x{n}" for n in range(own)} <= explained


def test_a_silence_that_begins_while_the_hub_itself_was_long_blind_is_not_compared() -> None:
    one = silence()
    assert comparable(one, [])
    assert comparable(one, [(T0 + SECOND, T0 + SECOND + BLIND)])
    assert not comparable(one, [(T0 + SECOND, T0 + 2 * SECOND + BLIND)])
    assert comparable(one, [(T0 + 3600 * SECOND, T0 + 7200 * SECOND)])
    assert comparable(one, [(T0 - 7200 * SECOND, T0 - 3600 * SECOND)])


def test_a_site_is_silent_when_all_its_clients_are_and_heard_when_one_is() -> None:
    clients = [
        Client("a1", "a", Heard.SILENT, T0),
        Client("a2", "a", Heard.HEARD, NOW),
        Client("b1", "b", Heard.SILENT, T0, T0 + SECOND),
        Client("b2", "b", Heard.SILENT, T0 + SECOND, T0 + 2 * SECOND),
        Client("c1", "c", Heard.SILENT, T0),
        Client("c2", "c", Heard.UNKNOWN, T0),
    ]
    silent, heard = silences(clients)
    assert heard == {"a"}
    assert silent == {"b": silence(T0 + SECOND, T0 + 2 * SECOND)}


def test_a_site_joins_an_area_at_its_time_or_soon_after_its_last_one_and_no_other_does() -> None:
    area = Area("140403", "unicom")
    assert joins(site("s"), silence(T0 + SECOND), area, T0, T0)
    assert joins(site("s"), silence(T0 + JOIN), area, T0, T0)
    assert not joins(site("s"), silence(T0 + JOIN + SLACK + SECOND), area, T0, T0)
    assert not joins(site("s"), silence(T0 - 3600 * SECOND), area, T0, T0)
    assert not joins(site("s", carrier="mobile"), silence(), area, T0, T0)


def test_an_area_ends_when_all_are_back_or_when_the_few_that_stay_away_had_their_time() -> None:
    assert stands(500, 500, None, NOW)
    assert stands(100, 500, NOW - RECOVERY, NOW)
    assert stands(99, 500, NOW - RECOVERY + 1, NOW)
    assert not stands(99, 500, NOW - RECOVERY, NOW)
    assert not stands(0, 500, NOW, NOW)
    assert not stands(2, 3, NOW - RECOVERY, NOW)


@given(st.sampled_from(SignalClass), st.sampled_from(["link", "hold_seconds", "pressed", "spool_urgent"]))
def test_a_fire_or_panic_is_never_the_child_of_an_area(signal_class: SignalClass, point: str) -> None:
    assert not (is_child(signal_class, point) and signal_class in LIFE_SAFETY)
    assert is_child(SignalClass.COMMUNICATION, "link")
    assert not is_child(SignalClass.COMMUNICATION, "pressed")


# one site ------------------------------------------------------------------------------------------------------------

EDGE = Client("e1", "s", Heard.SILENT, T0, T0 + 30 * SECOND)
MATE = Client("e2", "s", Heard.SILENT, T0 + SECOND, T0 + 31 * SECOND)
FINE = Mains("ups-1", "s", None)


def test_an_edge_whose_neighbour_is_heard_has_failed_itself() -> None:
    weighed = weigh_client(EDGE, [MATE._replace(state=Heard.HEARD)], [Mains("ups-1", "s", T0)])
    assert weighed.cause is Cause.EDGE
    assert weighed.evidence[-1] == Evidence("other_heard", {"device": "e2"})


def test_mains_that_failed_before_the_silence_are_the_power_of_the_site_and_long_gone_or_later_ones_are_not() -> None:
    weighed = weigh_client(EDGE, [], [Mains("ups-1", "s", T0 - 1200 * SECOND)])
    assert weighed.cause is Cause.SITE_POWER
    assert weighed.evidence[-1] == Evidence("mains_lost", {"device": "ups-1", "since": T0 - 1200 * SECOND})
    for moment in (T0 - 48 * 3600 * SECOND, T0 + 3600 * SECOND):
        assert weigh_client(EDGE, [], [Mains("ups-1", "s", moment)]).cause is Cause.UNDETERMINED


def test_a_session_that_was_closed_at_once_was_closed_by_its_machine() -> None:
    assert weigh_client(EDGE._replace(closed=T0 + 2 * SECOND), [], []).cause is Cause.EDGE
    assert weigh_client(EDGE._replace(closed=T0 + 23 * SECOND), [], []).cause is Cause.UNDETERMINED
    assert weigh_client(EDGE._replace(closed=T0 - 23 * SECOND), [], []).cause is Cause.UNDETERMINED


def test_all_edges_of_a_site_silent_together_with_the_mains_there_are_its_uplink() -> None:
    assert weigh_client(EDGE, [MATE], [FINE]).cause is Cause.UPLINK
    without = weigh_client(EDGE, [MATE], [])
    assert without.cause is Cause.UNDETERMINED
    assert without.evidence[-1] == Evidence("candidates", {"causes": ["site_power", "uplink"]})


def test_what_cannot_be_told_apart_is_undetermined_until_the_return_shows_that_the_program_ran_all_the_while() -> None:
    weighed = weigh_client(EDGE, [], [])
    assert weighed == Weighed(
        Cause.UNDETERMINED,
        (
            Evidence("silent", {"device": "e1", "since": T0}),
            Evidence("candidates", {"causes": ["edge", "site_power", "uplink"]}),
        ),
    )
    assert weigh_return(weighed, Return()) == weighed
    known = weigh_return(weighed, Return(restarted=False))
    assert (known.cause, known.evidence[-1].what) == (Cause.UPLINK, "ran_meanwhile")


KILLED = "killed or without power"


@pytest.mark.parametrize(
    ("mains", "known", "cause", "last"),
    [
        ([], Return(False, lost=(("ups-1", T0 + SECOND),)), Cause.SITE_POWER, "mains_lost"),
        ([], Return(True, False, KILLED), Cause.EDGE, "machine_ran"),
        ([], Return(True, True, ENDED_IN_ORDER, in_order=True), Cause.EDGE, "began_anew"),
        ([], Return(True, True, ENDED_IN_ORDER, in_order=True, lost=(("ups-1", T0),)), Cause.SITE_POWER, "mains_lost"),
        ([FINE], Return(True, True, KILLED), Cause.EDGE, "machine_rebooted"),
        ([], Return(True, True, KILLED), Cause.UNDETERMINED, "candidates"),
        ([], Return(True, None, KILLED), Cause.UNDETERMINED, "candidates"),
        ([], Return(None, lost=(("ups-1", T0),)), Cause.SITE_POWER, "mains_lost"),
    ],
    ids=["cut-off-without-mains", "program", "in-order", "by-its-ups", "machine", "open", "old-edge", "no-edge"],
)
def test_a_return_tells_program_machine_power_and_uplink_apart_as_far_as_it_can(
    mains: list[Mains], known: Return, cause: Cause, last: str
) -> None:
    after = weigh_return(weigh_client(EDGE, [], mains), known)
    assert (after.cause, after.evidence[-1].what) == (cause, last)
    if cause is Cause.UNDETERMINED:
        assert after.evidence[-1].facts == {"causes": ["edge", "site_power"]}


def test_what_was_no_guess_is_not_amended_and_a_closed_session_was_one() -> None:
    sure = weigh_client(EDGE, [MATE._replace(state=Heard.HEARD)], [])
    assert weigh_return(sure, Return(restarted=False)) == sure
    power = weigh_client(EDGE, [], [Mains("ups-1", "s", T0)])
    assert weigh_return(power, Return(restarted=False)) == power
    guessed = weigh_client(EDGE._replace(closed=T0 + SECOND), [], [])
    assert weigh_return(guessed, Return(restarted=False)).cause is Cause.UPLINK
    assert weigh_return(guessed, Return(restarted=True, rebooted=True)).cause is Cause.EDGE
    assert weigh_return(guessed, Return()) == guessed


def test_an_edge_says_of_an_end_in_order_what_is_looked_for() -> None:
    assert ENDED_IN_ORDER == STOPPED


_clients = st.builds(
    Client,
    st.just("e2"),
    st.just("s"),
    st.sampled_from(Heard),
    st.integers(T0 - 10**9, T0 + 10**9),
    st.just(T0),
    st.just(BEAT),
    st.none() | st.integers(T0 - 10**8, T0 + 10**8),
)


@given(_clients, st.lists(_clients, max_size=3), st.lists(st.none() | st.integers(T0 - 10**9, T0 + 10**9), max_size=2))
def test_a_silent_client_is_never_the_devices_fault_and_every_verdict_names_evidence(
    client: Client, others: list[Client], mains: list[Micros | None]
) -> None:
    watched = [Mains(f"m{n}", "s", lost) for n, lost in enumerate(mains)]
    weighed = weigh_client(client, others, watched)
    assert weighed.cause in (Cause.EDGE, Cause.SITE_POWER, Cause.UPLINK, Cause.UNDETERMINED)
    assert weighed.evidence
    more = weigh_client(client, others, [*watched, Mains("new", "s", client.last)])
    if weighed.cause is not Cause.EDGE or not any(other.state is Heard.HEARD for other in others):
        assert more.cause is Cause.SITE_POWER  # evidence of something higher never leaves the edge to blame


# one line ------------------------------------------------------------------------------------------------------------


def on_line(name: str, heard: int, silent: bool = True, beat: int = 30) -> OnLine:
    return OnLine(name, T0 + heard * SECOND, beat * SECOND, silent)


LATER = T0 + 120 * SECOND


def test_all_devices_of_a_line_silent_together_are_the_lines_fault() -> None:
    found = weigh_line("rs485", [on_line(f"d{n}", n * 4) for n in range(7)], LATER)
    assert found is not None
    names, weighed = found
    assert names == {f"d{n}" for n in range(7)}
    assert weighed.cause is Cause.LINE
    assert weighed.evidence == (Evidence("line_silent", {"endpoint": "rs485", "silent": 7, "of": 7, "since": T0}),)


def test_a_device_that_was_silent_before_its_line_is_its_own_fault() -> None:
    found = weigh_line("rs485", [on_line("old", -3600), on_line("a", 0), on_line("b", 5)], LATER)
    assert found is not None
    names, weighed = found
    assert names == {"a", "b"}
    assert weighed.evidence[0].facts["silent"] == 2


def test_the_first_device_that_is_called_offline_is_enough_where_the_others_have_missed_two_beats() -> None:
    devices = [on_line("a", 0), on_line("b", 10, silent=False), on_line("c", 20, silent=False)]
    assert weigh_line("rs485", devices, T0 + 70 * SECOND) is None
    found = weigh_line("rs485", devices, T0 + 95 * SECOND)
    assert found is not None
    assert found[0] == {"a", "b", "c"}


def test_a_device_whose_next_beat_is_not_due_says_nothing_and_one_that_was_heard_since_says_that_the_line_lives() -> (
    None
):
    fast = [on_line("a", 0), on_line("b", 5)]
    slow = on_line("slow", -600, silent=False, beat=3600)
    found = weigh_line("rs485", [*fast, slow], LATER)
    assert found is not None
    assert found[0] == {"a", "b"}
    assert found[1].evidence[0].facts == {"endpoint": "rs485", "silent": 2, "of": 3, "since": T0}
    assert weigh_line("rs485", [*fast, on_line("slow", 90, silent=False, beat=3600)], LATER) is None
    many = [on_line(f"slow{n}", -600, silent=False, beat=3600) for n in range(3)]
    assert weigh_line("rs485", [*fast, *many], LATER) is None, "two of five say too little"


@pytest.mark.parametrize(
    "devices",
    [
        [on_line("a", 0)],
        [on_line("a", 0), on_line("b", 100, silent=False)],
        [on_line("a", 0), on_line("b", 900)],
        [on_line("a", 0, beat=43_200), on_line("b", 0, beat=43_200)],
        [on_line("a", 0, silent=False), on_line("b", 0, silent=False)],
    ],
    ids=["alone", "one-heard", "one-after-the-other", "two-slow-ones", "nobody-offline"],
)
def test_a_line_that_lives_or_of_which_nothing_can_be_said_is_not_blamed(devices: list[OnLine]) -> None:
    assert weigh_line("rs485", devices, LATER) is None


def test_a_line_that_comes_back_keeps_its_rest_until_that_had_two_beats_time() -> None:
    assert line_stands(3, NOW - RECOVERY + 1, BEAT, NOW)
    assert not line_stands(3, NOW - RECOVERY, BEAT, NOW)
    assert line_stands(3, NOW - RECOVERY, 60 * SECOND, NOW)
    assert not line_stands(0, NOW, BEAT, NOW)
    assert not line_stands(3, None, BEAT, NOW)
    assert not line_stands(3, NOW - 700 * SECOND, 3600 * SECOND, NOW)


@given(
    st.lists(st.tuples(st.integers(-7200, 120), st.sampled_from([2, 10, 30, 600, 3600]), st.booleans()), max_size=8),
    st.integers(0, 600),
)
def test_a_line_is_blamed_only_for_devices_that_can_have_fallen_silent_at_one_moment_in_which_no_other_was_heard_later(
    raw: list[tuple[int, int, bool]], later: int
) -> None:
    devices = [on_line(f"d{n}", heard, silent, beat) for n, (heard, beat, silent) in enumerate(raw)]
    now = T0 + later * SECOND
    found = weigh_line("rs485", devices, now)
    if found is None:
        return
    names, weighed = found
    mine = [device for device in devices if device.id in names]
    assert len(mine) >= 2
    assert any(device.silent for device in mine)
    broken_by = min(device.heard + device.beat for device in mine) + SLACK
    assert all(device.heard - SLACK <= broken_by for device in mine)
    assert all(device.heard <= broken_by or device.silent for device in devices if device.id not in names)
    assert weighed.evidence[0].facts["silent"] == len(mine)


# the campaign --------------------------------------------------------------------------------------------------------


def test_a_campaign_of_faults_blames_the_right_cause_or_none() -> None:
    matrix = campaign(seed=20261122, faults=40)
    print(table(matrix))
    for cause, shares in matrix.items():
        right, open_ = shares.get(cause, 0.0), shares.get(Cause.UNDETERMINED, 0.0)
        assert right + open_ >= 0.9, (cause, shares)
        if cause not in (Cause.EDGE, Cause.SITE_POWER, Cause.UPLINK):
            assert right >= 0.9, (cause, shares)
    assert matrix[Cause.EDGE][Cause.EDGE] >= 0.6
    assert matrix[Cause.SITE_POWER][Cause.SITE_POWER] >= 0.3
    for site_cause in (Cause.EDGE, Cause.SITE_POWER, Cause.UPLINK):
        assert matrix[site_cause].keys().isdisjoint({Cause.DEVICE, Cause.CARRIER, Cause.DISTRICT, Cause.BROKER})


def test_what_an_edge_says_once_it_is_back_tells_uplink_power_and_edge_apart_where_they_looked_alike() -> None:
    sites = (Cause.EDGE, Cause.SITE_POWER, Cause.UPLINK)
    before, after = (campaign(20261122, 60, afterwards, sites) for afterwards in (False, True))
    print(table(after))
    for cause in sites:
        assert after[cause].get(cause, 0.0) >= before[cause].get(cause, 0.0), (cause, after[cause])
        wrong = sum(share for other, share in after[cause].items() if other not in (cause, Cause.UNDETERMINED))
        assert wrong <= 0.1, (cause, after[cause])
    assert after[Cause.UPLINK][Cause.UPLINK] >= 0.95
    assert after[Cause.EDGE][Cause.EDGE] >= 0.8


# words ---------------------------------------------------------------------------------------------------------------


def test_every_cause_and_every_observation_can_be_said_in_both_languages() -> None:
    assert {cause.value for cause in Cause} <= CAUSES.keys()
    seen = [
        *weigh_client(EDGE, [MATE._replace(state=Heard.HEARD)], []).evidence,
        *weigh_client(EDGE, [], [Mains("ups-1", "s", T0), FINE]).evidence,
        *weigh_client(EDGE, [MATE], [FINE]).evidence,
        *weigh_client(EDGE._replace(closed=T0), [], []).evidence,
        *weigh_return(weigh_client(EDGE, [], []), Return(False)).evidence,
        *weigh_return(weigh_client(EDGE, [], []), Return(True, True, KILLED)).evidence,
        *weigh_return(weigh_client(EDGE, [], []), Return(True, False)).evidence,
        *weigh_client(EDGE, [], []).evidence,
        *not_listening(Cause.DATABASE, T0, None).evidence,
        *not_listening(Cause.HUB, T0, NOW).evidence,
        Evidence("edge_heard", {"since": T0}),
        Evidence("line_silent", {"endpoint": "n", "silent": 7, "of": 7, "since": T0}),
        Evidence("part_silent", {"part": "switch:sw-1", "silent": 3, "of": 4, "since": T0, "or": ["power:c-2"]}),
        Evidence("area_silent", {"silent": 4, "of": 5, "carrier": "unicom", "since": T0, "within_s": 3}),
    ]
    for one in seen:
        title = say(one.what, one.facts)
        assert any("\u4e00" <= sign <= "\u9fff" for sign in title.zh), one
        assert title.en != one.what
    assert say("of-a-later-version", {}).en == "of-a-later-version"
    assert "中国联通" in say("area_silent", seen[-1].facts).zh
