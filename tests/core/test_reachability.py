"""Whom a policy reaches and when nobody: exact against a reading of every ten seconds, with counterexamples in words."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.escalation import Policy, Step
from hub.core.media import REACHES_A_PERSON, medium
from hub.core.reach import Way, told, ways
from hub.core.reachability import Duty, Finding, Person, Site, check, worse
from hub.core.reachability_wording import span_en, span_zh
from hub.core.rota import DAY, MINUTE, Calendar, Override, Rota, Shift
from hub.model import SECOND, DayKind, Micros, Priority, SignalClass
from tests.core.rotas import (
    DAY_SHIFT,
    FIRST,
    MONDAY,
    NATIONAL_DAY,
    NIGHT_SHIFT,
    PEOPLE,
    ROTA,
    calendars,
    local,
    naive_on_duty,
    rotas,
)

FIRE, PANIC, FAULT = SignalClass.FIRE, SignalClass.PANIC, SignalClass.FAULT
HOOK, MAIL, CALL, SIREN = Way("hook", "webhook"), Way("mail", "smtp"), Way("call", "voice_aliyun"), Way("horn", "siren")
BOTH = Person((HOOK, MAIL))
ROOM = Person((HOOK, CALL), manned=True)
CREW = dict.fromkeys(PEOPLE, BOTH) | {"room": ROOM}
POLICY = Policy(
    id="city",
    signal_classes=frozenset({FIRE}),
    priorities=frozenset({Priority.CRITICAL}),
    round_every=3600 * SECOND,
    steps=(Step(1, rota="duty", kinds=2), Step(2, "room", delay=60 * SECOND)),
    division="140403",
)
TEN_DAYS = (FIRST, FIRST + 10 * DAY)


def duty(policy: Policy = POLICY, rota: Rota = ROTA, calendar: Calendar = NATIONAL_DAY, **people: Person) -> Duty:
    return Duty((policy,), {rota.id: rota}, CREW | people, calendar)


def found(given: Duty, code: str = "", span: tuple[Micros, Micros] = TEN_DAYS) -> list[Finding]:
    return [finding for finding in check(given, (), *span) if code in ("", finding.code)]


def test_a_policy_that_reaches_somebody_at_every_hour_has_no_finding() -> None:
    assert found(duty()) == []
    assert found(duty(), span=(FIRST, FIRST + 400 * DAY)) == []


def test_the_counterexample_says_day_hours_what_and_where() -> None:
    early = replace(NIGHT_SHIFT, ends=3 * 60 + 10)
    late = replace(DAY_SHIFT, starts=7 * 60)
    only = replace(POLICY, steps=(Step(1, rota="duty", kinds=2),))
    gap = found(duty(only, Rota("duty", (late, early))), "gap", (local("2026-10-01 00:00"), local("2026-10-03 00:00")))[
        0
    ]
    assert gap.en == "Oct 1 03:10–07:00: fire in division 140403 (policy city) reaches nobody (and 1 more)"
    assert gap.zh == "10月1日 03:10–07:00：区划 140403的火警（策略 city）通知不到任何人（另有 1 段）"
    assert (gap.since, gap.until) == (local("2026-10-01 03:10"), local("2026-10-01 07:00"))


def test_a_check_in_the_midst_of_such_hours_says_until_when_and_names_the_next_ones_whole() -> None:
    early = replace(NIGHT_SHIFT, ends=3 * 60 + 10)
    only = replace(POLICY, steps=(Step(1, rota="duty", kinds=2),))
    now = local("2026-10-01 03:40") + 10 * SECOND
    gap = found(duty(only, Rota("duty", (DAY_SHIFT, early))), "gap", (now, local("2026-10-04 00:00")))[0]
    assert gap.en.startswith("Oct 1 03:40:10–08:00 and Oct 2 03:10–08:00: fire in division 140403")
    assert gap.en.endswith("reaches nobody (and 1 more)")
    assert gap.zh.startswith("10月1日 03:40:10–08:00、10月2日 03:10–08:00：区划 140403的火警")
    assert gap.zh.endswith("（另有 1 段）")
    thin = Duty((replace(POLICY, steps=(Step(1, rota="duty", kinds=2), Step(2, "room", delay=60 * SECOND))),))
    thin = replace(thin, rotas={"duty": Rota("duty", (DAY_SHIFT, early))}, people=CREW)
    (few,) = found(thin, "two-media", (now, local("2026-10-02 08:00")))
    assert few.en.startswith("Oct 1 03:40:10–08:00 and Oct 2 03:10–08:00: fire in division 140403")
    assert few.en.endswith("(FIR-49)"), "no third time to add"


def test_a_holiday_that_nobody_covers_is_found() -> None:
    office = Shift("office", 0, 0, ("ada",), MONDAY, day_kinds=frozenset({DayKind.WORKDAY, DayKind.WEEKEND}))
    only = replace(POLICY, steps=(Step(1, rota="duty", kinds=2),))
    gap = found(duty(only, Rota("duty", (office,))), "gap")[0]
    assert gap.en.startswith("2026 Oct 1 00:00 – 2026 Oct 8 00:00: fire")
    assert found(duty(only, Rota("duty", (office,)), Calendar(years=frozenset({2026}))), "gap") == []


@pytest.mark.parametrize("person", [Person(()), Person((SIREN,)), Person((Way("horn", "pigeon"),))])
def test_who_has_no_channel_that_reaches_a_person_is_reached_by_nothing(person: Person) -> None:
    """T10: a person who simply has no channel was escalated past, in silence."""
    to_guard = replace(POLICY, steps=(Step(1, "guard"),))
    assert next(f.code for f in found(duty(to_guard, guard=person))) == "gap"
    on_rota = Rota("duty", (Shift("all", 0, 0, ("guard",), MONDAY),))
    assert found(duty(replace(POLICY, steps=(Step(1, rota="duty"),)), on_rota, guard=person), "gap")
    assert found(duty(replace(POLICY, steps=(Step(1, "ghost"),))), "gap"), "nor is who is gone"
    assert found(duty(replace(POLICY, steps=(Step(1, "ada", "sms"),))), "gap"), "nor a channel that is retired"
    assert found(duty(replace(POLICY, steps=(Step(1, rota="gone"),))), "gap"), "nor a rota that is"


def test_one_person_of_the_turn_without_a_channel_leaves_his_days_uncovered() -> None:
    only = replace(POLICY, steps=(Step(1, rota="duty", kinds=2),))
    gap = found(duty(only, bo=Person(())), "gap")[0]
    assert (gap.since, gap.until) == (local("2026-09-29 08:00"), local("2026-09-29 20:00"))


def test_a_swap_without_a_stand_in_opens_a_hole_and_with_one_does_not() -> None:
    only = replace(POLICY, steps=(Step(1, rota="duty", kinds=2),))
    away = Override("o", local("2026-09-30 10:00"), local("2026-09-30 11:30"), "ada")
    gap = found(duty(only, replace(ROTA, overrides=(away,))), "gap")[0]
    assert gap.en.startswith("Sep 30 10:00–11:30: fire")
    assert found(duty(only, replace(ROTA, overrides=(replace(away, present="dai"),))), "gap") == []


def test_an_alarm_is_reached_by_a_later_step_where_the_first_finds_nobody() -> None:
    nights = Rota("duty", (replace(NIGHT_SHIFT, responders=("chen",)),))
    later = replace(POLICY, steps=(Step(1, rota="duty", kinds=2), Step(2, rota="duty", delay=4 * 3600 * SECOND)))
    gap = found(duty(replace(later, round_every=4 * 3600 * SECOND), nights), "gap")[0]
    assert gap.en.startswith("Sep 28 08:00–16:00: fire"), "from 16:00 on the second step finds the night shift"


def test_fire_and_panic_are_told_by_two_kinds_of_channel_within_fifteen_seconds() -> None:
    for steps, ok in (
        ((Step(1, "room"),), False),
        ((Step(1, "room", kinds=2),), True),
        ((Step(1, "room", "hook"), Step(2, "room", "call")), True),
        ((Step(1, "room", "hook"), Step(2, "room", "call", delay=15 * SECOND)), True),
        ((Step(1, "room", "hook"), Step(2, "room", "call", delay=15 * SECOND + 1)), False),
        ((Step(1, "room", "hook", repeat_every=SECOND, repeat_times=3),), False),
    ):
        for signal_class in (FIRE, PANIC):
            policy = replace(POLICY, signal_classes=frozenset({signal_class, FAULT}), steps=steps)
            assert (found(duty(policy), "two-media") == []) is ok, steps
    fault = replace(POLICY, signal_classes=frozenset({FAULT}), steps=(Step(1, "ada"),))
    assert found(duty(fault)) == []
    chats = Person(
        (Way("a", "dingtalk"), Way("b", "feishu"), Way("s", "sms_aliyun"), Way("t", "sms_tencent")), manned=True
    )
    for step, ok in ((Step(1, "guard", kinds=2), True), (Step(1, "guard"), False)):
        assert (found(duty(replace(POLICY, steps=(step,)), guard=chats), "two-media") == []) is ok
    one = Person(chats.ways[:2], manned=True)
    assert found(duty(replace(POLICY, steps=(Step(1, "guard", kinds=5),)), guard=one), "two-media")


def test_hours_with_one_kind_only_are_named() -> None:
    policy = replace(POLICY, steps=(Step(1, rota="duty", kinds=2), Step(2, "room", delay=60 * SECOND)))
    finding = found(duty(policy, chen=Person((MAIL,))), "two-media")[0]
    assert (finding.since, finding.until) == (FIRST, local("2026-09-28 08:00"))
    assert "within 15 s (FIR-49)" in finding.en


def test_hours_with_one_kind_only_are_one_span_whichever_kind_it_is() -> None:
    rota = Rota("duty", (replace(DAY_SHIFT, responders=("ada",)), replace(NIGHT_SHIFT, responders=("bo",))))
    (finding,) = found(duty(rota=rota, ada=Person((HOOK,)), bo=Person((MAIL,))), "two-media")
    assert finding.spans == (TEN_DAYS,)
    assert finding.en.startswith("at every hour: fire in division 140403 (policy city) is not told by two kinds")


def test_the_last_step_of_a_critical_fire_policy_is_a_manned_room_and_never_an_end() -> None:
    to_ada = replace(POLICY, steps=(Step(1, "room", kinds=2), Step(2, "ada")))
    assert [f.code for f in found(duty(to_ada))] == ["last-step"]
    holed = Rota("duty", (DAY_SHIFT,))
    (finding,) = found(duty(replace(POLICY, steps=(Step(1, "room", kinds=2), Step(2, rota="duty"))), holed))
    assert finding.code == "last-step"
    assert "reaches nobody" in finding.en
    assert found(duty(replace(POLICY, steps=(Step(1, "room", kinds=2), Step(2, rota="duty"))))) == []
    assert [f.code for f in found(duty(replace(POLICY, max_rounds=9)))] == ["ends"]
    assert found(duty(replace(to_ada, max_rounds=3, priorities=frozenset({Priority.LOW})))) == []
    assert found(duty(replace(to_ada, max_rounds=3, signal_classes=frozenset({FAULT})))) == []


def test_a_year_without_data_is_said_where_a_rota_goes_by_working_days() -> None:
    office = replace(DAY_SHIFT, day_kinds=frozenset({DayKind.WORKDAY}))
    rest = replace(DAY_SHIFT, id="rest", day_kinds=frozenset({DayKind.WEEKEND, DayKind.HOLIDAY}))
    careful = duty(rota=Rota("duty", (office, rest, NIGHT_SHIFT)))
    (warning,) = found(careful, span=(FIRST, FIRST + 400 * DAY))
    assert (warning.code, warning.severity, warning.subject) == ("calendar", "warning", "2027")
    assert "days off and made-up working days of 2027 are not known" in warning.en
    assert warning.policy == POLICY.id, "it says which policies depend on it"
    assert found(careful) == []
    assert found(duty(), span=(FIRST, FIRST + 400 * DAY)) == []


def test_a_notice_that_is_missed_is_an_error_from_december_on_until_it_is_imported_and_hinders_no_save() -> None:
    office = replace(DAY_SHIFT, day_kinds=frozenset({DayKind.WORKDAY}))
    rest = replace(DAY_SHIFT, id="rest", day_kinds=frozenset({DayKind.WEEKEND, DayKind.HOLIDAY}))
    careful = duty(rota=Rota("duty", (office, rest, NIGHT_SHIFT)))
    for at, severity in (
        ("2026-11-30 23:59", "warning"),
        ("2026-12-01 00:00", "error"),
        ("2027-01-01 00:00", "error"),
        ("2027-06-01 12:00", "error"),
    ):
        start = local(at)
        first = found(careful, span=(start, start + 400 * DAY))[0]
        assert (first.code, first.severity, first.subject) == ("calendar", severity, "2027"), at
        assert worse([first], []) == [], "a manifest that mends something else is not refused for it"
    known = Calendar(NATIONAL_DAY.days, frozenset({2026, 2027, 2028}))
    assert (
        found(
            duty(rota=careful.rotas["duty"], calendar=known),
            span=(local("2027-01-01 00:00"), local("2028-01-01 00:00")),
        )
        == []
    )


def test_a_site_whose_fire_no_policy_covers_is_found() -> None:
    alarms = (("s-1", FIRE, Priority.CRITICAL), ("b-1", PANIC, Priority.CRITICAL), ("c-1", FAULT, Priority.LOW))
    inside = Site("star", "140403001", "home", (), alarms)
    (missing,) = check(duty(), [inside], *TEN_DAYS)
    assert (missing.code, missing.subject) == ("uncovered", "star")
    assert missing.en == "no escalation policy covers panic at institution star (such as b-1)"
    both = replace(POLICY, signal_classes=frozenset({FIRE, PANIC}))
    assert list(check(duty(both), [inside], *TEN_DAYS)) == []
    other = duty(replace(both, institution_types=frozenset({"centre"})))
    assert len(list(check(other, [inside], *TEN_DAYS))) == 2


def test_a_step_goes_by_the_first_channel_of_each_medium_in_the_order_of_preference() -> None:
    mixed = (SIREN, Way("d", "dingtalk"), Way("f", "feishu"), CALL, MAIL)
    assert [way.channel for way in ways(mixed, Step(1, "x", kinds=2))] == ["d", "call"]
    assert [way.channel for way in ways(mixed, Step(1, "x", kinds=5))] == ["d", "call", "mail"]
    assert [way.channel for way in ways(mixed, Step(1, "x", "horn"))] == ["horn"], "a named one is taken as it is"
    assert ways(mixed, Step(1, "x", "sms")) == ()
    channels = {name: person.ways for name, person in CREW.items()}
    now = local("2026-09-28 12:00")
    assert told(Step(1, rota="duty", kinds=2), {"duty": ROTA}, NATIONAL_DAY, channels, now) == (
        ("ada", "hook"),
        ("ada", "mail"),
    )
    assert told(Step(1, "room", "call"), {}, NATIONAL_DAY, channels, now) == (("room", "call"),)
    assert told(Step(1, rota="gone"), {}, NATIONAL_DAY, channels, now) == ()


def test_spans_are_worded() -> None:
    assert span_en(local("2026-10-01 03:10"), local("2026-10-01 07:00")) == "Oct 1 03:10–07:00"
    assert span_en(local("2026-12-31 23:59:30"), local("2027-01-01 07:00")) == "2026 Dec 31 23:59:30 – 2027 Jan 1 07:00"
    assert span_zh(local("2026-12-31 20:00"), local("2027-01-01 07:00")) == "2026年12月31日 20:00 – 2027年1月1日 07:00"


STEP_SECONDS = 10
people = st.fixed_dictionaries(
    {
        name: st.builds(
            Person,
            st.lists(st.sampled_from([HOOK, MAIL, CALL, SIREN]), max_size=3, unique=True).map(tuple),
            st.booleans(),
        )
        for name in (*PEOPLE, "room")
    }
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy over the rotas and the people of these tests, its times on the grid."""
    steps = []
    for n in range(1, draw(st.integers(1, 3)) + 1):
        target = draw(st.sampled_from(["duty", "other", "gone", "room", "ada"]))
        rota = target in ("duty", "other", "gone")
        channel = "" if rota else draw(st.sampled_from(["", "hook", "call"]))
        steps.append(
            Step(
                n,
                "" if rota else target,
                channel,
                draw(st.integers(0, 90)) * STEP_SECONDS * SECOND,
                600 * SECOND,
                draw(st.integers(0, 3)),
                target if rota else "",
                1 if channel else draw(st.integers(1, 3)),
            )
        )
    return replace(POLICY, steps=tuple(steps), max_rounds=None)


@given(policies(), rotas(), rotas("other"), calendars, people, st.integers(0, 4 * 24))
def test_the_check_finds_exactly_what_a_look_at_every_ten_seconds_finds(
    policy: Policy, rota: Rota, other: Rota, calendar: Calendar, known: dict[str, Person], hour: int
) -> None:
    given_duty = Duty((policy,), {"duty": rota, "other": other}, known, calendar)
    start = FIRST + hour * 60 * MINUTE
    count = 3600 // STEP_SECONDS
    end = start + count * STEP_SECONDS * SECOND
    who: dict[tuple[str, Micros], tuple[str, ...]] = {}

    def media(step: Step, at: Micros) -> set[str]:
        people_there: tuple[str, ...] = (step.responder,)
        if step.rota:
            minute = at - at % MINUTE  # everything of these rotas changes on the minute
            if (step.rota, minute) not in who:
                there = given_duty.rotas.get(step.rota)
                who[step.rota, minute] = () if there is None else naive_on_duty(there, minute, calendar)
            people_there = who[step.rota, minute]
        used = [way for name in people_there if name in known for way in ways(known[name].ways, step)]
        return {medium(way.kind) for way in used if medium(way.kind) in REACHES_A_PERSON}

    unreached, few = [], []
    for n in range(count):
        at = start + n * STEP_SECONDS * SECOND
        rows = [(s, s.delay + r * s.repeat_every) for s in policy.steps for r in range(s.repeat_times + 1)]
        if not any(media(step, at + offset) for step, offset in rows):
            unreached.append(at)
        elif len(set().union(*(media(s, at + o) for s, o in rows if o <= 15 * SECOND))) < 2:
            few.append(at)
    findings = {str(finding.code): finding for finding in check(given_duty, (), start, end)}
    for code, instants in (("gap", unreached), ("two-media", few)):
        assert (code in findings) is bool(instants), code
        if instants:
            finding = findings[code]
            after = [at for at in range(instants[0], end, STEP_SECONDS * SECOND) if at not in set(instants)]
            assert (finding.since, finding.until) == (instants[0], after[0] if after else end)


@given(rotas(), calendars, st.integers(0, 20))
def test_a_rota_as_last_step_is_refused_exactly_where_it_has_a_hole(rota: Rota, calendar: Calendar, hour: int) -> None:
    policy = replace(POLICY, steps=(Step(1, "room", kinds=2), Step(2, rota="duty")))
    start = FIRST + hour * 60 * MINUTE
    empty = any(not naive_on_duty(rota, start + n * MINUTE, calendar) for n in range(120))
    known = dict.fromkeys((*PEOPLE, "eve"), BOTH) | {"room": ROOM}
    given_duty = Duty((policy,), {"duty": rota}, known, calendar)
    codes = [
        finding.code
        for finding in check(given_duty, (), start, start + 120 * MINUTE)
        if finding.severity == "error" and finding.code != "calendar"
    ]
    assert codes == (["last-step"] if empty else [])


def test_the_days_of_the_calendar_are_dates() -> None:
    assert NATIONAL_DAY.kind(date(2026, 10, 10)) is DayKind.WORKDAY
