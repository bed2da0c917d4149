"""The roll-up and the monthly ledger over a real database: agreed with a plain count, cut by scope, and the same for the same month however late it is drawn up."""

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from hub.core.coverage import month_changes
from hub.core.coverage.judge import worst
from hub.core.coverage.month import COLUMNS, Month, bounds, digest, summary
from hub.core.coverage.month_changes import Changes, What
from hub.core.coverage.rollup import EMPTY, Figure, figures, tally
from hub.core.coverage.rules import Basis, Verdict
from hub.core.rights import EVERYTHING, Scope
from hub.errors import BadInput, NotFound
from hub.model import SECOND, Micros, to_datetime, to_micros
from hub.store import month as ledgers
from hub.store import rollup
from hub.store.order_desk import open_order_desk
from hub.store.pool import Connection, connect
from tests.store.findings import add_finding

DIVISIONS = {
    "14": None,
    "1404": "14",
    "140403": "1404",
    "140404": "1404",
    "140403001": "140403",
    "140403002": "140403",
}
PLACES = ("140403001", "140403002", "140404", "1404")
RULES = [(basis, module, n) for basis in Basis for module in ("video", "panic", "other") for n in range(2)]
NOW = datetime.now(UTC)
LAST = (NOW + timedelta(hours=8)).replace(day=1) - timedelta(days=1)
MONTH = f"{LAST:%Y-%m}"
ENDS: Micros = bounds(MONTH)[1]


@dataclass
class City:
    """Entries with the verdicts that were found of each, as a plain count may use them."""

    url: str
    conn: psycopg.Connection[Any]
    subjects: dict[str, tuple[str, str | None, dict[tuple[Basis, str], list[Verdict]]]]
    """subject: (division, group, verdicts as they may be shown)"""


@pytest.fixture
def city(fresh_database: str) -> Iterator[City]:
    chance = random.Random(7)
    with psycopg.connect(fresh_database, autocommit=True) as conn:
        for code, parent in DIVISIONS.items():
            conn.execute("insert into division values (%s, %s, '区划', 'Division')", [code, parent])
        conn.execute("insert into institution_group values ('chain', '连锁', 'Chain')")
        made = City(fresh_database, conn, {})
        for number in range(24):
            division, connected = PLACES[number % 4], number % 5 > 0
            name = f"home-{number:02}"
            subject = name if connected else f"register:F-{number:02}"
            if connected:
                conn.execute(
                    "insert into institution (id, division, type, title_zh, title_en, partition, created_at)"
                    " values (%s, %s, 'private', '园', 'Home', 0, '2025-01-01')",
                    [name, division],
                )
            conn.execute(
                "insert into register_entry (filing_number, division, type, title_zh, title_en, capacity, institution) values"
                " (%s, %s, 'private', %s, 'Home', 20, (select key from institution where id = %s))",
                [f"F-{number:02}", division, f"=园{number}", name],
            )
            group = "chain" if connected and number % 3 == 0 else None
            if group:
                conn.execute("insert into group_member select 'chain', key from institution where id = %s", [name])
            found: dict[tuple[Basis, str], list[Verdict]] = {}
            state = chance.choice(["fresh", "fresh", "stale", "never"]) if number > 3 else "fresh"
            if state != "never":
                checked = NOW - timedelta(minutes=20 if state == "stale" else 0)
                conn.execute("insert into coverage_check values (%s, %s)", [subject, checked])
                for basis, module, n in RULES:
                    verdict = chance.choice(list(Verdict)) if connected else Verdict.UNKNOWN
                    unsigned = chance.random() < 0.2
                    add_finding(
                        conn, subject=subject, rule=f"{basis.value}-{module}-{n}", basis=basis.value, module=module,
                        verdict=verdict.value, since="2025-06-01", plan_not_signed=unsigned,
                    )  # fmt: skip
                    doubted = verdict is Verdict.COMPLIANT and (unsigned or state == "stale")
                    for key in ((basis, module), (basis, "")):
                        found.setdefault(key, []).append(Verdict.UNKNOWN if doubted else verdict)
            made.subjects[subject] = (division, group, found)
        conn.execute("update register_version set since = '2025-01-01'")
        yield made


@pytest.fixture
async def conn(city: City) -> AsyncIterator[Connection]:
    async with await connect(city.url, "test", autocommit=True) as found:
        yield found


def counted(city: City, inside: list[str]) -> dict[tuple[Basis, str], Figure]:
    """The same figures by a plain walk over what was put in."""
    every = {key for _, _, found in city.subjects.values() for key in found}
    figure = {}
    for key in every | {(basis, "") for basis in Basis}:
        verdicts = [city.subjects[subject][2].get(key, []) for subject in inside]
        judged = [bool(city.subjects[subject][2]) for subject in inside]
        institutions = [worst(one) if known else Verdict.UNKNOWN for one, known in zip(verdicts, judged, strict=True)]
        figure[key] = Figure(tally(institutions), tally(verdict for one in verdicts for verdict in one))
    return figure


async def test_the_roll_up_is_what_a_plain_count_gives_at_every_level_and_for_a_group(
    city: City, conn: Connection
) -> None:
    rows = await rollup.live(conn, EVERYTHING, "division", list(DIVISIONS), now=NOW)
    assert [row["place"] for row in rows] == sorted(DIVISIONS)
    for row in rows:
        inside = [name for name, (division, _, _) in city.subjects.items() if division.startswith(row["place"])]
        assert figures(row["figures"]) == counted(city, inside), row["place"]
        assert row["register"] == len(inside)
        assert row["connected"] == sum(not name.startswith("register:") for name in inside)
        assert row["stale"] == sum(1 for name in inside if not city.subjects[name][2] or _is_stale(city, name)), row[
            "place"
        ]
    (chain,) = await rollup.live(conn, EVERYTHING, "group", ["chain"], now=NOW)
    members = [name for name, (_, group, _) in city.subjects.items() if group]
    assert figures(chain["figures"]) == counted(city, members)
    whole = figures(rows[0]["figures"])
    for figure in whole.values():
        assert figure.institutions.unknown > 0
        assert figure.institutions.denominator + figure.institutions.not_applicable == len(city.subjects)


def _is_stale(city: City, subject: str) -> bool:
    row = city.conn.execute("select checked_at from coverage_check where subject = %s", [subject]).fetchone()
    return row is None or row[0] < NOW - rollup.FRESH


async def test_what_lies_outside_the_scope_is_in_no_figure(city: City, conn: Connection) -> None:
    one = Scope(institutions=("home-01",))
    rows = await rollup.live(conn, one, "division", list(DIVISIONS), now=NOW)
    division = city.subjects["home-01"][0]
    assert {row["place"] for row in rows} == {code for code in DIVISIONS if division.startswith(code)}
    assert all(figures(row["figures"]) == counted(city, ["home-01"]) for row in rows)
    (chain,) = await rollup.live(conn, Scope(divisions=("140404",)), "group", ["chain"], now=NOW)
    mine = [name for name, (division, group, _) in city.subjects.items() if group and division == "140404"]
    assert figures(chain["figures"]) == counted(city, mine)
    assert await rollup.places(conn, Scope(divisions=("140404",)), "140403") == []
    assert not rollup.sees_all(Scope(divisions=("140404",)), "1404")
    assert not rollup.sees_all(Scope(groups=("chain",)), "1404")


async def test_a_day_keeps_its_last_snapshot_and_boards_read_it_by_basis_and_module(
    city: City, conn: Connection
) -> None:
    day = date(2026, 10, 1)
    async with open_order_desk(city.url, None) as desk:
        await desk.take(day, to_micros(NOW - timedelta(hours=1)))
        city.conn.execute("update register_entry set removed_at = now() where division = '140404'")
        await desk.take(day, to_micros(NOW))
    taken = await rollup.snapshots(conn, "division", list(DIVISIONS), day, day)
    assert {row["place"]: row["register"] for row in taken} == {
        "14": 18, "1404": 18, "140403": 12, "140403001": 6, "140403002": 6,
    }  # fmt: skip
    shown = city.conn.execute(
        "select institutions_compliant, institutions_non_compliant, institutions_unknown, institutions_waived, institutions_not_applicable, rate"
        " from coverage_by_division where division = '140403' and basis = 'target' and module = 'video' and day = %s",
        [day],
    ).fetchone()
    inside = [name for name, (division, _, _) in city.subjects.items() if division.startswith("140403")]
    wanted = counted(city, inside)[Basis.TARGET, "video"].institutions
    assert shown is not None
    assert shown[:5] == (wanted.compliant, wanted.non_compliant, wanted.unknown, wanted.waived, wanted.not_applicable)
    assert shown[5] == wanted.rate
    rates = city.conn.execute("select connected_rate from coverage_division_day where division = '140403'").fetchall()
    assert rates == [(sum(not name.startswith("register:") for name in inside) / 12,)]
    assert city.conn.execute("select count(*) from coverage_by_group where group_id = 'chain'").fetchone() != (0,)


async def draw(city: City, known_at: Micros | None = None, month: str = MONTH, days: int = 0) -> Month:
    now = to_micros(datetime.now(UTC) + timedelta(days=days, minutes=5))
    async with await connect(city.url, "test") as conn:
        await ledgers.begin(conn)
        return await ledgers.draw_up(conn, "1404", month, known_at, now)


async def since(city: City, first: Month, hours: int, days: int = 1) -> Changes:
    """What is known otherwise so many hours after a ledger was known; asked so many days from now."""
    now = to_micros(datetime.now(UTC) + timedelta(days=days, minutes=5))
    async with await connect(city.url, "test") as conn:
        await ledgers.begin(conn)
        drawn = await ledgers.draw_up(conn, "1404", MONTH, first.known_at, now)
        assert digest(drawn) == digest(first), "the ledger itself prints the same"
        return await ledgers.changes(conn, drawn, first.known_at + hours * 3600 * SECOND)


async def the_year_says_of_the_month_what_its_ledger_says(
    city: City, drawn: Month, days: int = 0, *, closed: bool = False
) -> None:
    """Whatever a snapshot of the day said. `closed`: asked without a time, as the month's ledger without one."""
    now = to_micros(datetime.now(UTC) + timedelta(days=days, minutes=5))
    async with await connect(city.url, "test") as conn:
        await ledgers.begin(conn)
        found = await ledgers.year(conn, "1404", int(MONTH[:4]), None if closed else drawn.known_at, now)
    assert {one.known_at for one in found.months if one.month == MONTH} == {drawn.known_at}
    assert found.known_at == max(one.known_at for one in found.months)
    counted = {one.code: one for one in found.months if one.month == MONTH}
    for line in summary(drawn):
        one = counted[line.place.code]
        assert (one.at, one.title) == (drawn.at, line.place.title_zh)
        assert (one.register, one.connected, one.waivers, one.open_orders) == (
            line.register, line.connected, line.waivers, line.open_orders,
        )  # fmt: skip
        for column, figure in zip(COLUMNS, line.figures, strict=True):
            counted_so = one.figures.get(column, EMPTY)
            assert counted_so.institutions.rate == figure.institutions.rate
            assert counted_so.findings == figure.findings


async def test_a_ledger_has_every_entry_once_and_is_the_same_for_the_same_month_and_knowledge(city: City) -> None:
    city.conn.execute("update coverage_check set checked_at = now() where checked_at is not null")
    first = await draw(city)
    assert first.is_over
    assert first.at == ENDS
    assert [entry.filing_number for entry in first.entries] == [f"F-{number:02}" for number in range(24)]
    assert [line.place.code for line in summary(first)] == ["1404", "140403", "140404"]
    assert summary(first)[0].register == 24
    known = first.known_at
    await the_year_says_of_the_month_what_its_ledger_says(city, first)

    # at noon of its last day a verdict turned, as becomes known only now; a division and an institution are called otherwise from now on
    noon = to_datetime(ENDS) - timedelta(hours=12)
    city.conn.execute(
        "with ended as (update finding set known_to = now() + interval '6 h', ended_by = 1 where subject = 'home-02' and rule = 'target-panic-0' returning *)"
        " insert into finding (subject, institution, rule, basis, module, verdict, reason, statement, true_from, true_to, verdict_since, known_from)"
        " select subject, institution, rule, basis, module, verdict, 'judged', statement, true_from, %(noon)s, true_from, known_to from ended"
        " union all select subject, institution, rule, basis, module, case verdict when 'waived' then 'non_compliant' else 'waived' end, 'judged', statement,"
        " %(noon)s, null::timestamptz, %(noon)s, known_to from ended",
        {"noon": noon},
    )
    city.conn.execute("update division set title_zh = '另名', title_en = 'Renamed' where code in ('1404', '140403')")
    city.conn.execute(
        "update division_name set since = since + interval '6 h' where title_zh = '另名'"
    )  # as what is known of the verdict
    city.conn.execute("update institution set title_zh = '另名'")
    assert digest(await draw(city, known)) == digest(first)
    turned = await draw(city, days=1)
    assert (turned.division.title_zh, digest(turned) == digest(first)) == ("另名", False)
    before, after = (one.entries[2].findings["target/panic"] for one in (first, turned))
    assert before != after, "what held after noon is what the end of the month says"
    assert after[1] + after[3] > 0
    await the_year_says_of_the_month_what_its_ledger_says(city, turned, days=1)
    as_closed = await draw(city, ledgers.closed_at(MONTH, to_micros(datetime.now(UTC) + timedelta(days=1))), days=1)
    assert as_closed.known_at < known
    await the_year_says_of_the_month_what_its_ledger_says(city, as_closed, days=1, closed=True)
    assert (await since(city, first, 0)).lines == (await since(city, first, 5)).lines == ()
    told = await since(city, first, 8)
    (finding,) = [one for one in told.lines if one.what is What.FINDING]
    assert (finding.place, finding.item) == ("F-02", "target-panic-0")
    assert {finding.before, finding.after} <= {"waived", "non_compliant", "unknown", "compliant", "not_applicable"}
    assert finding.before != finding.after
    assert finding.known_at is not None
    assert known + 5 * 3600 * SECOND < finding.known_at < known + 7 * 3600 * SECOND
    figures_told = [one for one in told.lines if one.what is What.FIGURE]
    assert {"1404"} < {one.place for one in figures_told}
    assert {one.item for one in figures_told} == {"target/", "target/panic"}
    assert {one.known_at for one in figures_told} == {finding.known_at}

    # what is found out later about that month, an entry that goes, an institution that closes, and a day on which nobody looks
    city.conn.execute(
        "with ended as (update finding f set known_to = now() + interval '12 h', ended_by = 1 where subject = 'home-01' and rule = 'target-video-0' returning *)"
        " insert into finding (subject, institution, rule, basis, module, verdict, reason, statement, true_from, verdict_since, known_from)"
        " select subject, institution, rule, basis, module, case verdict when 'non_compliant' then 'compliant' else 'non_compliant' end, 'judged', statement, true_from,"
        " true_from, known_to from ended"
    )
    assert digest(await draw(city, known)) == digest(first)
    city.conn.execute("update register_entry set removed_at = now() where filing_number = 'F-02'")
    city.conn.execute("update institution set retired_at = now() where id = 'home-03'")
    assert digest(await draw(city, known, days=1)) == digest(first)
    assert month_changes.digest(await since(city, first, 8, days=2)) == month_changes.digest(told), "the same two times"
    later = await since(city, first, 14)
    assert {(one.place, one.item) for one in later.lines if one.what is What.FINDING} == {
        ("F-02", "target-panic-0"), ("F-01", "target-video-0"),
    }  # fmt: skip
    assert {one.what for one in later.lines} <= {What.FIGURE, What.ENTRY, What.FINDING}
    amended = await draw(city, days=1)
    assert amended.at == first.at
    assert digest(amended) != digest(first)
    assert len(amended.entries) == 24, "that it went later changes nothing of that month"


async def test_green_that_nobody_renewed_until_the_end_of_the_month_is_unknown_then_and_later(city: City) -> None:
    city.conn.execute("update coverage_check set checked_at = %s", [to_datetime(ENDS) - timedelta(hours=1)])
    silent = await draw(city)
    obligations = summary(silent)[0].figures[0]
    assert obligations.findings.compliant == 0
    # later the hub is back, and writes down that nobody looked from then on
    city.conn.execute(
        "with ended as (update finding set known_to = now() + interval '12 h', ended_by = 1 where verdict = 'compliant' returning *)"
        " insert into finding (subject, institution, filing_number, rule, basis, module, verdict, reason, statement, true_from, true_to, verdict_since, known_from)"
        " select subject, institution, filing_number, rule, basis, module, 'compliant', 'judged', statement, true_from, %(seen)s, true_from, known_to from ended"
        " union all select subject, institution, filing_number, rule, basis, module, 'unknown', 'stale', statement, %(seen)s, null, %(seen)s, known_to from ended",
        {"seen": to_datetime(ENDS) - timedelta(hours=1)},
    )
    city.conn.execute("update coverage_check set checked_at = now()")
    assert digest(await draw(city, silent.known_at, days=2)) == digest(silent)


async def test_what_was_not_yet_known_or_has_not_begun_is_no_ledger(city: City, conn: Connection) -> None:
    now = to_micros(datetime.now(UTC))
    for month, known in (("2199-01", None), (MONTH, now), (MONTH, bounds(MONTH)[0] - 1), ("2026-13", None)):
        with pytest.raises(BadInput):
            await ledgers.draw_up(conn, "1404", month, known, now)
    with pytest.raises(NotFound):
        await ledgers.draw_up(conn, "33", MONTH, None, now)
    # on its fifth day, whenever this runs: `draw` looks some minutes ahead, which on the last evening of a month is in the next one
    within = await ledgers.draw_up(conn, "1404", f"{LAST + timedelta(days=5):%Y-%m}", None, ENDS + 5 * 86_400_000_000)
    assert not within.is_over
    assert within.at == within.known_at
