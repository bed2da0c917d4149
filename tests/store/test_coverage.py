"""The ledger of findings and the facts behind it, in a real database."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import pytest

from hub.core.coverage.facts import Value
from hub.core.coverage.findings import Finding
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.rules import Basis, Bounds, Verdict
from hub.core.coverage.snapshot import Snapshot, snapshot, steady
from hub.core.rights import EVERYTHING, Scope
from hub.errors import LinkDown, NotFound
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.store import coverage, coverage_views
from hub.store.coverage import Ledger, open_ledger
from hub.store.coverage_facts import UNCONNECTED
from hub.store.pool import connect
from tests.core.coverage_city import CAMERA, pack, rule, site
from tests.store.coverage_register import PROFILES, RULES, Register

T0: Micros = 1_795_000_000_000_000
VIDEO, FORBIDDEN = "national-video-infant-zones", "national-video-forbidden"


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.listen()
    yield made
    made.close()


@pytest.fixture
async def ledger(fresh_database: str, register: Register) -> AsyncIterator[Ledger]:
    async with open_ledger(fresh_database, PROFILES, RULES) as opened:
        yield opened


async def judge(ledger: Ledger, at: Micros = T0) -> int:
    async with ledger.judging(await ledger.subjects(), at) as judging:
        return await judging.record()


async def test_subjects_are_institutions_and_what_is_on_the_register_without_being_connected(ledger: Ledger) -> None:
    assert await ledger.subjects() == ["sun", UNCONNECTED + "CZ-2"]


async def test_facts_have_zones_devices_capabilities_and_the_three_axes(ledger: Ledger, register: Register) -> None:
    register.device("sun", "cam-2", "axis-camera", None, link_state="offline", function_state="failed")
    async with ledger.judging(["sun"], T0) as judging:
        [facts] = [kept.facts for kept in judging.fresh]
    assert [(zone.id, zone.purpose, zone.title_zh) for zone in facts.zones] == [("act", "activity_room", "区域act")]
    devices = {device.id: device for device in facts.devices}
    assert devices["cam-1"].zone == "act"
    assert devices["cam-1"].capabilities == {"video.live"}
    assert (devices["cam-2"].zone, devices["cam-2"].link_state, devices["cam-2"].function_state) == (
        None,
        "offline",
        "failed",
    )


async def test_a_retired_device_zone_and_position_are_no_facts(ledger: Ledger, register: Register) -> None:
    register.do("update device set retired_at = now()")
    register.do("update zone set retired_at = now()")
    async with ledger.judging(["sun"], T0) as judging:
        [facts] = [kept.facts for kept in judging.fresh]
    assert facts.zones == ()
    assert facts.devices == ()


async def test_where_nobody_listens_no_device_counts_as_online(ledger: Ledger, register: Register) -> None:
    await judge(ledger)
    assert register.verdicts("sun")[VIDEO] == "compliant"
    register.stop_listening()
    await judge(ledger, T0 + SECOND)
    assert register.verdicts("sun")[VIDEO] == "unknown"


async def test_it_counts_who_said_of_this_very_lane_within_half_a_minute_that_it_listens(
    ledger: Ledger, register: Register
) -> None:
    """Not who holds the partition: a process that stands still holds it for ever. And not what a clock said that was hours ahead."""
    cases = [("-25 s", "compliant"), ("-31 s", "unknown"), ("-25 s", "compliant"), ("8 hours", "unknown")]
    for n, (after, verdict) in enumerate(cases):
        register.heard(after)
        await judge(ledger, T0 + n * SECOND)
        assert register.verdicts("sun")[VIDEO] == verdict, after
    register.listen(4)
    register.heard("0 s", 3, "urgent")
    await judge(ledger, T0 + 5 * SECOND)
    assert register.verdicts("sun")[VIDEO] == "unknown", "another partition and another lane do not help"
    register.heard("0 s", 3, "bulk")
    await judge(ledger, T0 + 6 * SECOND)
    assert register.verdicts("sun")[VIDEO] == "compliant"


async def test_a_device_whose_profile_is_not_installed_proves_nothing(ledger: Ledger, register: Register) -> None:
    register.do("update device set profile = 'nobody-knows'")
    await judge(ledger)
    assert register.verdicts("sun")[VIDEO] == "non_compliant"


async def test_what_is_not_connected_is_unknown_in_every_rule(ledger: Ledger, register: Register) -> None:
    await judge(ledger)
    found = register.verdicts(UNCONNECTED + "CZ-2")
    assert len(found) > 5
    assert set(found.values()) == {"unknown"}


async def test_a_turned_verdict_closes_one_period_and_opens_the_next_without_a_gap(
    ledger: Ledger, register: Register
) -> None:
    await judge(ledger, T0)
    register.turn("cam-1", "link_state", "offline")
    await judge(ledger, T0 + SECOND)
    register.turn("cam-1", "link_state", "online")
    await judge(ledger, T0 + 2 * SECOND)
    first, second, third = (to_datetime(T0 + n * SECOND) for n in range(3))
    assert register.periods("sun", VIDEO) == [
        ("compliant", first, second),
        ("unknown", second, third),
        ("compliant", third, None),
    ]


async def test_what_was_green_before_nobody_judged_for_long_is_unknown_from_then_on(
    ledger: Ledger, register: Register
) -> None:
    await judge(ledger, T0)
    await judge(ledger, T0 + 60 * SECOND)
    back = T0 + 3600 * SECOND
    await judge(ledger, back)
    assert register.periods("sun", VIDEO) == [
        ("compliant", to_datetime(T0), to_datetime(T0 + 60 * SECOND)),
        ("unknown", to_datetime(T0 + 60 * SECOND), to_datetime(back)),
        ("compliant", to_datetime(back), None),
    ]
    [[reason, sentence]] = register.all(
        "select f.reason, s.sentence_zh from finding f join statement s on s.hash = f.statement where f.subject = 'sun' and rule = %s and verdict = 'unknown'",
        VIDEO,
    )
    assert (reason, sentence) == ("stale", "超过三分钟未重新判定，无法证实。")
    assert register.periods("sun", "national-smoke-small") == [("non_compliant", to_datetime(T0), None)]


async def test_what_turned_while_nobody_judged_is_unknown_in_between(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0)
    register.turn("cam-1", "function_state", "failed")
    back = T0 + 3600 * SECOND
    await judge(ledger, back)
    assert register.periods("sun", VIDEO) == [
        ("unknown", to_datetime(T0), to_datetime(back)),
        ("non_compliant", to_datetime(back), None),
    ]


async def test_a_pause_of_three_minutes_leaves_a_period_whole(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0)
    await judge(ledger, T0 + 180 * SECOND)
    assert register.periods("sun", VIDEO) == [("compliant", to_datetime(T0), None)]


async def test_judging_again_without_a_change_writes_no_finding_and_says_nothing(
    ledger: Ledger, register: Register
) -> None:
    await judge(ledger, T0)
    before = register.all("select count(*) from finding"), register.all("select count(*) from change")
    assert await judge(ledger, T0 + SECOND) == 0
    assert (register.all("select count(*) from finding"), register.all("select count(*) from change")) == before
    assert register.all("select checked_at from coverage_check where subject = 'sun'") == [(to_datetime(T0 + SECOND),)]


def test_what_was_too_old_and_is_renewed_by_the_same_value_is_judged_again_within_the_hour() -> None:
    asked = Bounds(capabilities=frozenset({"video.live"}), of="point", point="temperature", minimum=10.0)
    book = Rulebook((pack(replace(rule(asked), evidence_max_age=60 * SECOND)),))
    old, renewed = (
        snapshot(site(replace(CAMERA, values=(Value("temperature", 20.0, at),)))) for at in (T0, T0 + 3690 * SECOND)
    )
    at, later = T0 + 90 * SECOND, T0 + 3700 * SECOND
    (before,), (after,) = book.findings(book.current, old, at), book.findings(book.current, renewed, later)
    assert (before.verdict, after.verdict) == (Verdict.UNKNOWN, Verdict.COMPLIANT)
    seen = coverage.Seen(steady(old), book.current, book.next_turn(book.current, old, at), at + coverage.REMEMBERED)
    assert seen.is_quiet(steady(renewed), book.current, at + 60 * SECOND)  # nothing else tells
    assert not seen.is_quiet(steady(renewed), book.current, later)


class Attentive(Rulebook):
    """Whom it was asked to judge."""

    def __init__(self) -> None:
        super().__init__(RULES.packs)
        self.asked: list[str] = []

    def findings(self, packs: bytes, kept: Snapshot, at: Micros) -> Sequence[Finding]:
        self.asked.append(kept.facts.subject)
        return super().findings(packs, kept, at)


async def test_who_takes_over_judges_anew_only_what_is_different(
    ledger: Ledger, register: Register, fresh_database: str
) -> None:
    await judge(ledger)
    rules = Attentive()
    async with open_ledger(fresh_database, PROFILES, rules) as other:
        await other.take_over(T0 + SECOND)
        assert (
            {name: one[:3] for name, one in other.seen.items()}
            == {name: one[:3] for name, one in ledger.seen.items()}
            != {}
        )
        assert await judge(other, T0 + SECOND) == 0
        assert rules.asked == []
        register.turn("cam-1", "link_state", "offline")
        await judge(other, T0 + 2 * SECOND)
        assert set(rules.asked) == {"sun"}
    assert register.verdicts("sun")[VIDEO] == "unknown"


async def test_who_takes_over_with_other_packs_or_another_program_remembers_nothing(
    ledger: Ledger, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await judge(ledger)
    async with open_ledger(fresh_database, PROFILES, Rulebook(RULES.packs[:1])) as other:
        await other.take_over(T0 + SECOND)
        assert other.seen == {}
    monkeypatch.setattr(coverage, "_program", lambda: b"the next release")
    async with open_ledger(fresh_database, PROFILES, RULES) as other:
        await other.take_over(T0 + SECOND)
        assert other.seen == {}


async def test_what_somebody_wrote_who_learns_nothing_is_not_overlooked(
    ledger: Ledger, register: Register, fresh_database: str
) -> None:
    """A hub of the release before judges in between, and leaves behind what was learnt before it."""
    await judge(ledger)
    learnt = register.all("select steady, judge, turns_at, entry from coverage_check where subject = 'sun'")[0]
    register.turn("cam-1", "link_state", "offline")
    await judge(ledger, T0 + SECOND)
    register.do(
        "update coverage_check set (steady, judge, turns_at, entry) = (%s, %s, %s, %s) where subject = 'sun'", *learnt
    )
    register.turn("cam-1", "link_state", "online")
    async with open_ledger(fresh_database, PROFILES, RULES) as other:
        await other.take_over(T0 + 2 * SECOND)
        assert "sun" not in other.seen
        await judge(other, T0 + 2 * SECOND)
    assert register.verdicts("sun")[VIDEO] == "compliant"


async def test_other_evidence_under_the_same_verdict_restates_the_open_row(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0)
    register.device("sun", "cam-2", "axis-camera", None)
    register.do(
        "update position set zone = (select key from zone where id = 'act') where id = 'cam-2'"
    )  # not placed: nothing
    register.do(
        "update device_state set function_state = 'degraded' where device = (select key from device where id = 'cam-1')"
    )
    await judge(ledger, T0 + SECOND)
    assert len(register.periods("sun", VIDEO)) == 1
    [[evidence]] = register.all("select evidence from finding_now where subject = 'sun' and rule = %s", VIDEO)
    assert evidence[0]["devices"][0]["reason"] == "degraded"


async def test_every_turn_is_a_row_of_the_change_feed(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0)
    register.do("delete from change")
    register.turn("cam-1", "function_state", "failed")
    await judge(ledger, T0 + SECOND)
    said = [row[0] for row in register.all("select payload from change where kind = 'coverage' order by seq")]
    turned = {(row["rule"], row["from"], row["to"]) for row in said}
    assert (VIDEO, "compliant", "non_compliant") in turned
    assert all(row["subject"] == "sun" and row["sentence"]["zh"] for row in said)


async def test_an_institution_that_gets_connected_ends_the_findings_of_its_entry(
    ledger: Ledger, register: Register
) -> None:
    await judge(ledger, T0)
    register.institution("moon")
    register.do(
        "update register_entry set institution = (select key from institution where id = 'moon') where filing_number = 'CZ-2'"
    )
    assert await ledger.close_gone(T0 + SECOND) == 1
    await judge(ledger, T0 + SECOND)
    assert register.verdicts(UNCONNECTED + "CZ-2") == {}
    assert register.verdicts("moon")["changzhi-panic"] == "non_compliant"
    assert await ledger.close_gone(T0 + 2 * SECOND) == 0


async def test_a_retired_institution_keeps_its_past_and_has_no_present(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0)
    register.do("update institution set retired_at = now() where id = 'sun'")
    assert await ledger.close_gone(T0 + SECOND) == 1
    assert register.verdicts("sun") == {}
    assert register.periods("sun", VIDEO) == [("compliant", to_datetime(T0), to_datetime(T0 + SECOND))]
    # its entry of the register is there without it
    assert await ledger.subjects() == [UNCONNECTED + "CZ-1", UNCONNECTED + "CZ-2"]


async def test_a_clock_that_went_back_makes_no_periods_that_overlap(ledger: Ledger, register: Register) -> None:
    await judge(ledger, T0 - 60 * SECOND)
    register.turn("cam-1", "link_state", "offline")
    await judge(ledger, T0)
    register.turn("cam-1", "function_state", "failed")
    await judge(ledger, T0 - 30 * SECOND)
    first, second, just_after = (to_datetime(T0 + one) for one in (-60 * SECOND, 0, 1))
    assert register.periods("sun", VIDEO) == [
        ("compliant", first, second),
        ("unknown", second, just_after),
        ("non_compliant", just_after, None),
    ]


async def test_a_broken_transaction_records_nothing(ledger: Ledger, register: Register) -> None:
    with pytest.raises(RuntimeError, match="half way"):
        async with ledger.judging(["sun"], T0) as judging:
            await judging.record()
            raise RuntimeError("half way")
    assert register.verdicts("sun") == {}


async def test_a_lost_connection_is_a_link_that_is_down(ledger: Ledger, register: Register) -> None:
    register.do("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'anxin-coverage'")
    with pytest.raises(LinkDown):
        await ledger.subjects()


async def test_the_past_is_read_from_the_periods(ledger: Ledger, register: Register, fresh_database: str) -> None:
    await judge(ledger, T0)
    register.turn("cam-1", "function_state", "failed")
    await judge(ledger, T0 + 10 * SECOND)
    conn = await connect(fresh_database, "test", autocommit=True)
    async with conn:
        for at, expected in [(T0 + SECOND, "compliant"), (T0 + 10 * SECOND, "non_compliant"), (None, "non_compliant")]:
            moment = None if at is None else to_datetime(at)
            rows = await coverage_views.findings(conn, "sun", moment)
            assert {row["rule"]: row["verdict"] for row in rows}[VIDEO] == expected
        assert await coverage_views.findings(conn, "sun", to_datetime(T0 - SECOND)) == []


async def test_the_overview_counts_by_basis_and_shows_what_nobody_renewed_as_unknown(
    ledger: Ledger, register: Register, fresh_database: str
) -> None:
    register.sign("sun")
    await judge(ledger, T0)
    conn = await connect(fresh_database, "test", autocommit=True)
    async with conn:
        fresh = await coverage_views.overview(conn, EVERYTHING, division=None, fresh_since=to_datetime(T0))
        stale = await coverage_views.overview(conn, EVERYTHING, division=None, fresh_since=to_datetime(T0 + SECOND))
    by_subject = {one.subject: one for one in fresh}
    assert by_subject.keys() == {"sun", UNCONNECTED + "CZ-2"}
    assert by_subject["sun"].filing_number == "CZ-1"
    assert by_subject[UNCONNECTED + "CZ-2"].institution is None
    assert {(one.basis, one.verdict) for one in by_subject["sun"].counts} >= {
        (Basis.OBLIGATION, Verdict.COMPLIANT),
        (Basis.TARGET, Verdict.NON_COMPLIANT),
    }
    assert all(one.verdict is not Verdict.COMPLIANT for row in stale for one in row.counts)


async def test_the_overview_and_a_subject_are_cut_by_scope_and_division(
    ledger: Ledger, register: Register, fresh_database: str
) -> None:
    await judge(ledger, T0)
    conn = await connect(fresh_database, "test", autocommit=True)
    async with conn:

        async def seen(scope: Scope, division: str | None = None) -> set[str]:
            rows = await coverage_views.overview(conn, scope, division=division, fresh_since=to_datetime(T0))
            return {row.subject for row in rows}

        assert await seen(Scope(institutions=("sun",))) == {"sun"}
        assert await seen(Scope(divisions=("14",))) == {"sun", UNCONNECTED + "CZ-2"}
        assert await seen(Scope(divisions=("33",))) == set()
        assert await seen(EVERYTHING, "33") == set()
        assert (await coverage_views.subject(conn, Scope(institutions=("sun",)), "sun"))["filing_number"] == "CZ-1"
        for scope, name in [
            (Scope(divisions=("33",)), "sun"),
            (Scope(institutions=("sun",)), UNCONNECTED + "CZ-2"),
            (EVERYTHING, "nobody"),
        ]:
            with pytest.raises(NotFound):
                await coverage_views.subject(conn, scope, name)


async def test_a_subject_whose_kept_facts_cannot_be_read_is_vouched_for_by_nobody(
    ledger: Ledger, register: Register
) -> None:
    checked = "select checked_at from coverage_checked where subject = 'sun'"
    await judge(ledger)
    await ledger.renew("watch", T0, T0 + SECOND)
    assert register.all(checked) == [(to_datetime(T0 + SECOND),)]
    register.do("alter table facts disable trigger all")
    register.do("update facts set body = 'x'")
    register.do("update device_state set link_state = 'offline'")
    await judge(ledger, T0 + 2 * SECOND)
    await ledger.renew("watch", T0, T0 + 3 * SECOND)
    assert register.verdicts("sun")[VIDEO] == "compliant"  # the ledger is not rewritten
    assert register.all(checked) == [
        (to_datetime(T0 + 2 * SECOND),)
    ]  # not beyond, and judged again it is unknown from then on
    assert "sun" not in ledger.seen


async def test_who_waits_for_too_long_is_vouched_for_by_nobody_until_it_is_judged(
    ledger: Ledger, register: Register
) -> None:
    """A camera goes offline, and the judge has no time: the others are renewed, and it is not."""

    def checked() -> dict[str, int]:
        return {row[0]: to_micros(row[1]) for row in register.all("select subject, checked_at from coverage_checked")}

    await judge(ledger, T0)
    await ledger.renew("w", T0 - SECOND, T0 + 60 * SECOND)
    assert set(checked().values()) == {T0 + 60 * SECOND}
    register.turn("cam-1", "link_state", "offline")
    changed = T0 + 50 * SECOND  # before what was vouched for already: nothing of that counts any more
    await ledger.doubt({"sun": changed, "nobody": T0})
    await ledger.doubt({"sun": changed + SECOND})
    await ledger.renew("w", T0 - SECOND, T0 + 400 * SECOND)
    assert checked() == {"sun": changed, UNCONNECTED + "CZ-2": T0 + 400 * SECOND}
    async with open_ledger(register.url, PROFILES, RULES) as other:
        await other.take_over(T0 + 700 * SECOND)
    assert checked()["sun"] == changed  # nor where another watch takes over
    await judge(ledger, T0 + 400 * SECOND)
    assert checked()["sun"] == T0 + 400 * SECOND
    assert register.periods("sun", VIDEO) == [
        ("compliant", to_datetime(T0), to_datetime(changed)),
        ("unknown", to_datetime(changed), None),
    ]


async def test_values_that_rules_ask_for_are_seen_when_they_move_or_come_late(register: Register) -> None:
    asked = Bounds(capabilities=frozenset({"video.live"}), of="point", point="temperature", minimum=10.0)
    book = Rulebook((pack(rule(asked)),))
    series = "insert into series (device, point) select key, %s from device where id = 'cam-1' returning key"
    put = (
        "insert into point_state (series, at, received_at, value, quality, changed_at, stored_at) values (%s, %s, %s, 1, 0, %s, %s)"
        " on conflict (series) do update set at = excluded.at, received_at = excluded.received_at, changed_at = excluded.changed_at"
    )
    [[key]], [[other]] = register.all(series, "temperature"), register.all(series, "humidity")
    async with open_ledger(register.url, PROFILES, book) as ledger, open_ledger(register.url, PROFILES, RULES) as plain:
        for at, received, changed, seen in [
            (T0 - SECOND, T0 - SECOND, T0 - SECOND, []),
            (T0 + SECOND, T0 + SECOND, T0 - SECOND, []),  # the same value again
            (T0 + 2 * SECOND, T0 + 2 * SECOND, T0 + 2 * SECOND, ["sun"]),
            (T0 - 900 * SECOND, T0 + 2 * SECOND, T0 - 900 * SECOND, ["sun"]),  # out of a spool
        ]:
            for one in (key, other):
                register.do(put, one, to_datetime(at), to_datetime(received), to_datetime(changed), to_datetime(at))
            assert await ledger.measured_since(T0) == seen
            assert await plain.measured_since(T0) == []
