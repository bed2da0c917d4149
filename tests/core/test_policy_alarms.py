"""Which alarms the check of all policies raises: at whose division, with whose words, told to whom."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.escalation import MOST_KINDS, Policy, Step, covers
from hub.core.policy_alarms import MOST, UNREACHED, Wanted, unchecked, wanted
from hub.core.reach import Way
from hub.core.reachability import Duty, Finding, Person, Site
from hub.core.rota import Rota
from hub.model import SECOND, Priority, SignalClass

PARENTS = {"14": None, "1404": "14", "140403": "1404", "1405": "14"}
HOOK = (Way("hook", "webhook"), Way("mail", "smtp"))
FIRE = Policy(
    "fire-1404",
    frozenset({SignalClass.FIRE}),
    frozenset({Priority.CRITICAL}),
    600 * SECOND,
    (Step(1, "room"),),
    division="1404",
)
FAULTS = replace(FIRE, id="faults-1404", signal_classes=frozenset({SignalClass.FAULT}), priorities=frozenset(Priority))
ABOVE = replace(FAULTS, id="faults-14", division="14")
PEOPLE = {"room": Person(HOOK, manned=True), "guard": Person(HOOK), "gone": Person((), manned=True)}
HOMES = {"fire-1404": "1404", "faults-1404": "1404", "faults-14": "14", "anywhere": None}


def finding(policy: str, code: str = "gap", subject: str = "", n: int = 1) -> Finding:
    severity = "warning" if code == "calendar" else "error"
    said = f"10月{n}日 03:10–07:00", f"Oct {n} 03:10–07:00"
    return Finding(code, severity, policy, subject, *said)  # type: ignore[arg-type]


def duty(*policies: Policy, people: dict[str, Person] | None = None) -> Duty:
    return Duty(policies, {}, PEOPLE if people is None else people)


def alarms(given: Duty, *findings: Finding, sites: tuple[Site, ...] = ()) -> list[Wanted]:
    return wanted(given, sites, findings, HOMES, PARENTS)


def test_a_finding_is_an_alarm_of_its_policys_division_with_the_counterexample_in_its_words() -> None:
    found = alarms(duty(FIRE, FAULTS), finding("fire-1404"), finding("fire-1404", "two-media", n=2))
    assert found == [
        Wanted(
            "1404",
            UNREACHED,
            "fire-1404",
            "10月1日 03:10–07:00；10月2日 03:10–07:00",
            "Oct 1 03:10–07:00; Oct 2 03:10–07:00",
        )
    ]


def test_a_warning_is_no_alarm() -> None:
    assert alarms(duty(FIRE, FAULTS), finding("", "calendar", "2027")) == []


def test_a_policy_that_reaches_nobody_is_not_trusted_with_the_news_of_it() -> None:
    one, above = alarms(duty(FIRE, FAULTS, ABOVE), finding("faults-1404"), finding("fire-1404"))
    assert (one.division, one.instance, one.plan) == ("14", "faults-1404", None)
    assert (above.division, above.instance, above.plan) == ("14", "fire-1404", None)


def test_where_no_policy_holds_every_manned_room_is_told_by_all_its_kinds_of_channel() -> None:
    for policies in ((FIRE,), (FIRE, FAULTS)):
        (one,) = alarms(duty(*policies), *[finding(p.id) for p in policies][-1:])
        assert one.division == "1404"
        assert one.plan is not None
        assert [(step.responder, step.kinds) for step in one.plan.steps] == [("room", MOST_KINDS)]
        assert one.plan.max_rounds is None


def test_without_a_manned_room_whoever_is_on_duty_is_told_and_without_a_rota_everybody_with_a_channel() -> None:
    people = {"guard": Person(HOOK), "gone": Person((), manned=True), "head": Person(HOOK)}
    (one,) = alarms(duty(FIRE, people=people), finding("fire-1404"))
    assert one.plan is not None
    assert [step.responder for step in one.plan.steps] == ["guard", "head"]
    (one,) = alarms(Duty((FIRE,), {"nights": Rota("nights", ())}, people), finding("fire-1404"))
    assert one.plan is not None
    assert [(step.responder, step.rota) for step in one.plan.steps] == [("", "nights")]
    (one,) = alarms(duty(FIRE, people={}), finding("fire-1404"))
    assert one.plan is None


def test_institutions_that_no_policy_covers_are_one_alarm_of_their_division() -> None:
    sites = tuple(Site(f"moon-{n}", "1405") for n in range(5))
    found = alarms(duty(ABOVE), *[finding("", "uncovered", f"moon-{n}", n + 1) for n in range(5)], sites=sites)
    assert [(one.division, one.instance) for one in found] == [("1405", "")]
    assert found[0].en == "Oct 1 03:10–07:00; Oct 2 03:10–07:00; Oct 3 03:10–07:00 (and 2 more)"


def test_a_policy_for_everywhere_is_told_of_at_the_top() -> None:
    assert [one.division for one in alarms(duty(ABOVE), finding("anywhere"))] == ["14"]


def test_findings_of_two_divisions_that_go_up_to_one_are_one_alarm_there() -> None:
    sites = (Site("a", "1404"), Site("b", "1405"))
    lower = (FAULTS, replace(FAULTS, id="faults-1405", division="1405"))
    given = [finding("", "uncovered", "a"), finding("", "uncovered", "b", 2)]
    given += [finding("faults-1404"), finding("faults-1405")]
    found = alarms(duty(ABOVE, *lower), *given, sites=sites)
    assert [(one.division, one.instance) for one in found] == [("14", ""), ("14", "faults-1404"), ("14", "faults-1405")]
    assert found[0].en == "Oct 1 03:10–07:00; Oct 2 03:10–07:00"


def test_a_check_that_failed_is_said_at_the_top_and_where_there_is_no_division_nothing_can_be() -> None:
    (one,) = unchecked("ValueError: x" * 500, PARENTS)
    assert (one.division, len(one.en)) == ("14", 1000)
    assert unchecked("x", {}) == []
    assert wanted(duty(FIRE), (), [finding("fire-1404")], HOMES, {}) == []


def test_there_are_never_more_than_so_many_and_the_last_says_how_many_more() -> None:
    found = alarms(duty(ABOVE), *[finding(f"p-{n:04}") for n in range(MOST + 50)])
    assert len(found) == MOST
    assert found[-1].en.startswith("50 more policies have no alarm of their own; ")


policies = st.lists(
    st.builds(
        lambda n, division, classes: replace(FIRE, id=f"p{n}", division=division, signal_classes=frozenset(classes)),
        st.integers(0, 5),
        st.sampled_from([None, *PARENTS]),
        st.sets(st.sampled_from([SignalClass.FIRE, SignalClass.FAULT]), min_size=1),
    ).map(lambda policy: replace(policy, priorities=frozenset(Priority) - {Priority.JOURNAL})),
    max_size=6,
    unique_by=lambda policy: policy.id,
)


@pytest.mark.parametrize("nobody", [False, True])
@given(policies, st.data())
def test_no_alarm_is_left_to_a_policy_that_is_known_to_reach_nobody(
    nobody: bool, made: list[Policy], data: st.DataObject
) -> None:
    broken = data.draw(st.lists(st.sampled_from([p.id for p in made]), unique=True)) if made else []
    homes = {policy.id: policy.division for policy in made}
    given_duty = Duty(tuple(made), {}, {} if nobody else PEOPLE)
    found = wanted(given_duty, (), [finding(name) for name in broken], homes, PARENTS)
    assert sorted(one.instance for one in found) == sorted(broken)
    for one in found:
        policy = covers(made, "anxin-hub-x", one.division, SignalClass.FAULT, Priority.HIGH, "hub")
        trusted = policy is not None and policy.id not in broken
        assert trusted if one.plan is None and not nobody else True
        assert not nobody or one.plan is None
