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
    OnLine,
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
    weigh_client,
    weigh_line,
    weigh_return,
)
from hub.core.blindness_sentences import CAUSES, say
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
    assert weigh_return(weighed, None) == weigh_return(weighed, True) == weighed
    known = weigh_return(weighed, False)
    assert (known.cause, known.evidence[-1].what) == (Cause.UPLINK, "ran_meanwhile")


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


def test_all_devices_of_a_line_silent_together_are_the_lines_fault() -> None:
    found = weigh_line("rs485", [on_line(f"d{n}", n * 4) for n in range(7)])
    assert found is not None
    names, weighed = found
    assert names == {f"d{n}" for n in range(7)}
    assert weighed.cause is Cause.LINE
    assert weighed.evidence == (Evidence("line_silent", {"endpoint": "rs485", "silent": 7, "of": 7, "since": T0}),)


def test_a_device_that_was_silent_before_its_line_is_its_own_fault() -> None:
    found = weigh_line("rs485", [on_line("old", -3600), on_line("a", 0), on_line("b", 5)])
    assert found is not None
    names, weighed = found
    assert names == {"a", "b"}
    assert weighed.evidence[0].facts["silent"] == 2


@pytest.mark.parametrize(
    "devices",
    [
        [on_line("a", 0)],
        [on_line("a", 0), on_line("b", 0, silent=False)],
        [on_line("a", 0), on_line("b", 900)],
        [on_line("a", 0, beat=43_200), on_line("b", 0, beat=43_200)],
    ],
    ids=["alone", "one-heard", "one-after-the-other", "two-slow-ones"],
)
def test_a_line_that_lives_or_of_which_nothing_can_be_said_is_not_blamed(devices: list[OnLine]) -> None:
    assert weigh_line("rs485", devices) is None


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


# words ---------------------------------------------------------------------------------------------------------------


def test_every_cause_and_every_observation_can_be_said_in_both_languages() -> None:
    assert {cause.value for cause in Cause} <= CAUSES.keys()
    seen = [
        *weigh_client(EDGE, [MATE._replace(state=Heard.HEARD)], []).evidence,
        *weigh_client(EDGE, [], [Mains("ups-1", "s", T0), FINE]).evidence,
        *weigh_client(EDGE, [MATE], [FINE]).evidence,
        *weigh_client(EDGE._replace(closed=T0), [], []).evidence,
        *weigh_return(weigh_client(EDGE, [], []), False).evidence,
        *weigh_client(EDGE, [], []).evidence,
        *not_listening(Cause.DATABASE, T0, None).evidence,
        *not_listening(Cause.HUB, T0, NOW).evidence,
        Evidence("edge_heard", {"since": T0}),
        Evidence("line_silent", {"endpoint": "n", "silent": 7, "of": 7, "since": T0}),
        Evidence("area_silent", {"silent": 4, "of": 5, "carrier": "unicom", "since": T0, "within_s": 3}),
    ]
    for one in seen:
        title = say(one.what, one.facts)
        assert any("\u4e00" <= sign <= "\u9fff" for sign in title.zh), one
        assert title.en != one.what
    assert say("of-a-later-version", {}).en == "of-a-later-version"
    assert "中国联通" in say("area_silent", seen[-1].facts).zh
