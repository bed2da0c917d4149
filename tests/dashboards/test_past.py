"""What the boards show of a past: as it held then, as it was known then, the same as the API; and what has no past says that it is of now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from dashboards.checks import faults
from dashboards.panels import BASES
from hub.core.rights import Scope
from hub.store import coverage_views
from hub.store.pool import connect
from tests.dashboards.asked import MADE, MINE, OTHER, Asked, sql_of, value_of
from tests.dashboards.conftest import Readers
from tests.store.findings import add_finding


def test_a_past_day_shows_what_held_then_and_what_was_known_then(county: Asked) -> None:
    def verdict(**chosen: str) -> list[str]:
        found = county.records(sql_of("anxin-institution", "判定"), **chosen)
        return [row["verdict"] for row in found if row["clause"] == "4.2" and MINE in row["sentence"]]

    china = datetime.now(UTC) + timedelta(hours=8)
    past = (china - timedelta(days=45)).strftime("%Y-%m-%d %H:%M")
    assert verdict() == ["unsigned"], "it holds, on a plan that nobody signed"
    assert verdict(as_of=past) == ["non_compliant"]
    assert verdict(as_of=(china - timedelta(days=90)).strftime("%Y-%m-%d")) == []
    assert verdict(as_of=past, known_at=past) == [], "the hub did not know it then"


def test_what_was_held_green_while_nobody_looked_is_grey_as_known_then_too(readers: Readers, county: Asked) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(readers.url, autocommit=True) as conn:
        # compliant as known until ten hours ago; then the hub, back again, learnt that nobody had looked for the two hours before
        row: dict[str, Any] = {
            "subject": f"sun-{MINE}",
            "seen": now - timedelta(hours=12),
            "back": now - timedelta(hours=10),
        }
        add_finding(conn, subject=row["subject"], rule="rule-blind", verdict="compliant", since=now - timedelta(days=3))
        conn.execute("alter table finding disable trigger user")
        conn.execute("update finding set known_from = true_from, known_to = %(back)s where rule = 'rule-blind'", row)
        conn.execute("alter table finding enable always trigger finding_kept")
        conn.execute("alter table finding enable always trigger finding_whole")
        add_finding(
            conn,
            subject=row["subject"],
            rule="rule-blind",
            verdict="compliant",
            since=now - timedelta(days=3),
            until=row["seen"],
        )
        add_finding(
            conn,
            subject=row["subject"],
            rule="rule-blind",
            verdict="unknown",
            since=row["seen"],
            until=row["back"],
            sentence=("没有人看", "Nobody looked"),
        )
        conn.execute("alter table finding disable trigger user")
        conn.execute("update finding set reason = 'stale' where rule = 'rule-blind' and verdict = 'unknown'")
        conn.execute("alter table finding enable always trigger finding_kept")
        conn.execute("alter table finding enable always trigger finding_whole")

    def verdict(hours: float, known: float | None) -> list[str]:
        def said(back: float) -> str:
            return (now + timedelta(hours=8) - timedelta(hours=back)).strftime("%Y-%m-%d %H:%M:%S")

        found = county.records(
            sql_of("anxin-clauses", "判定").replace("where verdict in", "where true or verdict in"),
            rule="rule-blind",
            as_of=said(hours),
            known_at="" if known is None else said(known),
        )
        return [one["verdict"] for one in found]

    assert verdict(13, None) == verdict(13, 12.5) == ["compliant"]
    assert verdict(11, None) == ["unknown"]
    assert verdict(11, 11) == ["unknown"], "no green while nobody looked, whenever one looks at it"


async def test_an_institutions_board_says_what_the_api_says_now_and_on_a_past_day(
    readers: Readers, county: Asked
) -> None:
    """The API marks what stands on an unsigned plan beside its verdict; the board makes it a verdict of its own."""
    now = datetime.now(UTC)
    async with await connect(readers.url, "test", autocommit=True) as conn:
        for at in (None, now - timedelta(hours=36), now - timedelta(days=45)):
            said = "" if at is None else (at + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S.%f")
            shown = county.records(sql_of("anxin-institution", "判定"), as_of=said)
            told = await coverage_views.findings(conn, f"sun-{MINE}", at)
            wanted = sorted(
                "unsigned" if row["verdict"] == "compliant" and row["plan_not_signed"] else row["verdict"]
                for row in told
            )
            assert sorted(row["verdict"] for row in shown) == wanted
            assert wanted or at is None


def _ago(days: float) -> str:
    """A time of China, as one types it."""
    return (datetime.now(UTC) + timedelta(hours=8) - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.%f")


def test_the_register_of_a_past_is_the_one_of_then(county: Asked) -> None:
    def counted(days: float) -> list[Any]:
        return [value_of(county, "anxin-coverage", title, as_of=_ago(days)) for title in ("名册", "已接入")]

    assert counted(120) == [None, None], "where nothing was known there is no figure"
    assert counted(90) == [2, 0], "on the register, and not connected yet"
    assert counted(70) == [2, 1]
    rows = county.records(sql_of("anxin-coverage", "机构"), as_of=_ago(90))
    assert {(row["institution"], row["connected"]) for row in rows} == {
        (f"register:A-{MINE}", "no"), (f"register:B-{MINE}", "no"), (f"sun-{MINE}", "yes"),
    }  # fmt: skip
    assert all(row["complete"] is None for row in rows), "nobody had judged anything"


async def test_totals_of_any_moment_are_those_of_the_hubs_own_roll_up(readers: Readers, county: Asked) -> None:
    scope = Scope(divisions=(MINE,))
    async with await connect(readers.url, "test", autocommit=True) as conn:
        for days, known in ((45.0, None), (29.0, None), (45.0, 44.0), (1.5, None), (0.2, None)):
            at = datetime.now(UTC) - timedelta(days=days)
            known_at = datetime.max.replace(tzinfo=UTC) if known is None else at + timedelta(days=days - known)
            cursor = await conn.execute(
                "select * from coverage_rollup(%s, %s, %s, %s::jsonb, null, 12) where kind = 'division' and place = %s",
                [at, "infinity" if known is None else known_at, MINE, Jsonb(scope.as_json()), MINE],
            )
            row = await cursor.fetchone()
            assert row is not None
            assert cursor.description is not None
            told = dict(zip([one.name for one in cursor.description], row, strict=True))
            chosen = {"as_of": _ago(days), "known_at": "" if known is None else _ago(known), "division": MINE}
            assert value_of(county, "anxin-coverage", "名册", **chosen) == told["register"]
            assert value_of(county, "anxin-coverage", "已接入", **chosen) == told["connected"]
            assert value_of(county, "anxin-coverage", "未办结", **chosen) == told["open_orders"]
            assert value_of(county, "anxin-coverage", "豁免", **chosen) == told["waivers"]
            for basis, (words, _) in BASES.items():
                good, bad, unknown, waived, *_rest = told["figures"].get(f"{basis}/", [0] * 10)
                counted = good + bad + unknown + waived
                shown = value_of(county, "anxin-coverage", f"{words.zh}：", **chosen)
                assert (shown is None) == (counted == 0), (days, basis, told["figures"])
                assert shown is None or float(shown) == pytest.approx(100 * good / counted), (days, basis)


def test_who_moved_to_another_division_is_counted_where_it_was_then(readers: Readers, everything: Asked) -> None:
    with psycopg.connect(readers.url, autocommit=True) as conn:
        conn.execute("update register_entry set division = %s where filing_number = %s", [OTHER, f"A-{MINE}"])
        try:
            row = {
                division: [
                    (one["institution"], one["non_compliant"])
                    for one in everything.records(sql_of("anxin-coverage", "机构"), as_of=_ago(45), division=division)
                    if one["institution"].startswith("sun")
                ]
                for division in (MINE, OTHER)
            }
        finally:
            conn.execute("update register_entry set division = %s where filing_number = %s", [MINE, f"A-{MINE}"])
    assert row == {MINE: [(f"sun-{MINE}", 1)], OTHER: [(f"sun-{OTHER}", 1)]}


def test_orders_and_waivers_of_a_past_stand_as_they_stood_then(county: Asked) -> None:
    def counted(days: float) -> list[Any]:
        titles = ("待签发", "未办结", "已逾期", "有效豁免")
        return [value_of(county, "anxin-orders", one, institution="all", as_of=_ago(days)) for one in titles]

    assert counted(25) == [0, 0, 0, 0]
    assert counted(19.5) == [1, 0, 0, 0], "a draft"
    assert counted(15) == [0, 1, 0, 0]
    assert counted(5) == [0, 1, 1, 0], "its seven days were over"
    (row,) = county.records(sql_of("anxin-orders", "整改"), institution="all", as_of=_ago(19.5))
    assert (row["state"], row["due_at"]) == ("draft", None)


def test_clauses_and_the_map_of_a_past_show_what_was_found_then(county: Asked) -> None:
    def of_rule(days: float) -> tuple[int, int, int]:
        rows = {row["rule"]: row for row in county.records(sql_of("anxin-clauses", "按条款"), as_of=_ago(days))}
        row = rows["rule-turned"]
        return row["compliant"], row["non_compliant"], row["unknown"]

    assert (of_rule(45), of_rule(10)) == ((0, 1, 0), (0, 0, 1)), (
        "it did not hold; then it did, on a plan that nobody signed"
    )
    (then,) = county.records(sql_of("anxin-map", "地图"), as_of=_ago(45))
    assert (then["institution"], then["rate"]) == (f"sun-{MINE}", 0)
    assert county.records(sql_of("anxin-map", "地图"), as_of=_ago(101)) == [], "it was not there"


def test_a_zone_of_a_past_has_what_was_found_in_it_and_on_which_devices(county: Asked) -> None:
    def found(days: float) -> list[tuple[Any, ...]]:
        rows = county.records(sql_of("anxin-zone", "本区域的判定"), as_of=_ago(days))
        devices = county.records(sql_of("anxin-zone", "判定所依据的设备"), as_of=_ago(days))
        return [(row["verdict"], row["proven"]) for row in rows] + [
            (row["device"], row["contribution"]) for row in devices
        ]

    assert found(45) == [("non_compliant", 0), (f"d-0-{MINE}", "none")]
    assert found(10) == [("unsigned", 1), (f"d-0-{MINE}", "proven")]
    assert found(90) == []
    assert value_of(county, "anxin-zone", "未结束的告警") == 3
    assert value_of(county, "anxin-zone", "未结束的告警", as_of=_ago(1)) == 0


def test_groups_and_operators_are_counted_over_their_members(county: Asked, everything: Asked) -> None:
    (group,) = county.records(sql_of("anxin-groups", "机构组（"))
    (operator,) = county.records(sql_of("anxin-groups", "运营者"))
    assert (group["group_id"], group["institutions"], group["non_compliant"]) == (f"chain-{MINE}", 1, 1)
    assert (operator["operator"], operator["institutions"], operator["open_orders"]) == (f"运营者{MINE}", 1, 1)
    assert value_of(everything, "anxin-groups", "成员机构数") == 2
    assert value_of(everything, "anxin-groups", "成员机构数", group=f"chain-{MINE}") == 1


def test_a_score_that_nobody_looked_at_is_unknown_for_that_time(county: Asked) -> None:
    def score(days: float) -> Any:
        rows = {
            row["institution"]: row
            for row in county.records(sql_of("anxin-fire", "机构（"), institution="all", as_of=_ago(days))
        }
        return rows[f"sun-{MINE}"]["score"], rows[f"sun-{MINE}"]["complete"]

    assert score(0) == (30, 90), "of a hundred points ten rest on what nobody knows"
    assert score(25) == (80, 80)
    assert score(20 - 45 / 1440) == (None, 0), "nobody looked"
    assert score(60) == (None, 0)
    assert value_of(county, "anxin-fire", "得分未知", institution="all") == 1, "who is not connected"
    rows = county.records(sql_of("anxin-fire", "机构（"), institution="all")
    assert [(row["institution"], row["hard"]) for row in rows] == [
        (f"register:B-{MINE}", "unknown"),
        (f"sun-{MINE}", ""),
    ]


def test_a_board_of_which_the_past_can_be_chosen_shows_no_figure_of_now_under_it() -> None:
    spoilt = {uid: {**one, "panels": [dict(panel) for panel in one["panels"]]} for uid, one in MADE.items()}
    for panel in spoilt["anxin-zone"]["panels"]:
        panel["title"] = panel["title"].replace("（现在）", "")
    told = [one for one in faults(list(spoilt.values())) if "does not say so" in one]
    assert len(told) == 3, told


def test_devices_and_recordings_of_a_past_are_as_they_looked_then_and_unknown_where_nobody_looked(
    readers: Readers, county: Asked
) -> None:
    with psycopg.connect(readers.url) as conn:
        found = conn.execute(
            "select min(l.since) from institution_look l join institution i on i.key = l.institution where i.id = %s",
            [f"sun-{MINE}"],
        ).fetchone()
    assert found is not None
    looked: datetime = found[0]

    def then(hours: float) -> str:
        return (looked + timedelta(hours=8 + hours)).strftime("%Y-%m-%d %H:%M:%S.%f")

    def figures(uid: str, hours: float, *titles: str, **chosen: str) -> list[Any]:
        return [value_of(county, uid, one, institution="all", as_of=then(hours), **chosen) for one in titles]

    def rows(uid: str, title: str, hours: float) -> list[dict[str, Any]]:
        return county.records(sql_of(uid, title), institution="all", as_of=then(hours))

    axes = ("在用", "在线", "离线", "未知", "故障", "功能未证实")
    soon, later, before = 1 / 12, 12, -24  # five minutes after somebody looked, half a day after, and a day before
    assert figures("anxin-devices", soon, *axes) == [3, 1, 1, 1, 0, 3]
    (row,) = county.records(sql_of("anxin-devices", "在线"), institution="all", as_of=then(soon))
    assert float(row["complete"]) == pytest.approx(100 / 3)
    assert row["age"] == pytest.approx(300)
    assert [
        (row["kind"], row["devices"], row["offline"], row["unknown"]) for row in rows("anxin-devices", "按种类", soon)
    ] == [
        ("camera", 2, 1, 1),
        ("panic_button", 1, 0, 0),
    ]
    assert [(row["device"], row["link_state"]) for row in rows("anxin-devices", "不在线", soon)] == [
        (f"d-1-{MINE}", "offline"),
        (f"d-2-{MINE}", "unknown"),
    ]
    keeping = ("留存够天数", "不足", "预计", "未知")
    assert figures("anxin-recordings", soon, *keeping) == [0, 1, 2, 1]
    assert [(row["device"], row["outlook"], row["counted_days"]) for row in rows("anxin-recordings", "录像留存", soon)] == [
        (f"d-1-{MINE}", "short", 71), (f"d-2-{MINE}", "unknown", None),
    ]  # fmt: skip
    for hours in (later, before):
        assert figures("anxin-devices", hours, *axes) == [None] * 6, "today's figure stands under no past day"
        assert figures("anxin-recordings", hours, *keeping) == [None] * 4
        assert rows("anxin-devices", "按种类", hours) == []
        (unknown,) = rows("anxin-devices", "不在线", hours)
        assert (unknown["link_state"], unknown["device"], unknown["complete"]) == ("unknown", "当时无记录", 0)
        (unknown,) = rows("anxin-recordings", "录像留存", hours)
        assert (unknown["outlook"], unknown["device"], unknown["complete"]) == ("unknown", None, 0)
    assert figures("anxin-devices", soon, *axes, known_at=then(-1)) == [None] * 6, "the hub did not know it then"
    assert rows("anxin-devices", "不在线", -24 * 101) == [], "it was not there"
