"""The boards: well formed, up to date, and every query of theirs runs as the read-only role on the real database."""

import copy
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.types.json import Jsonb

from dashboards.__main__ import GENERATED
from dashboards.boards import boards
from dashboards.checks import faults
from dashboards.files import stale, texts, write
from dashboards.panels import BASES, NO_TILES, SOURCE, UNKNOWN
from dashboards.queries import expand, sent
from tests.dashboards.asked import CHINESE, LOOKS, MADE, MINE, OTHER, Asked, sql_of, value_of
from tests.dashboards.conftest import Readers
from tests.dashboards.rendering import said, shown

TREE = Path(__file__).parents[2]


# ---- as files, and as Grafana's JSON ----


def test_what_is_generated_is_up_to_date() -> None:
    assert stale(GENERATED, boards()) == []


def test_a_file_that_differs_is_missing_or_should_not_be_there_is_stale(tmp_path: Path) -> None:
    first, *rest = texts(boards())
    for name in rest:
        (tmp_path / name).write_text("{}")
    (tmp_path / "anxin-gone.json").write_text("{}")
    assert stale(tmp_path, boards()) == sorted([first, *rest, "anxin-gone.json"])
    assert write(tmp_path, boards()) == len(MADE)
    assert stale(tmp_path, boards()) == []


def test_there_is_a_board_for_everything_that_the_regulator_asks_in_both_languages() -> None:
    wanted = "coverage map modules clauses institution zone groups orders alarms responses fire drills recordings devices hub".split()
    assert set(MADE) == {f"anxin-{name}" for name in wanted} | {f"anxin-{name}-en" for name in wanted}


def test_nothing_is_wrong_with_the_boards() -> None:
    assert faults(list(MADE.values())) == []
    assert [json.loads(json.dumps(one)) for one in MADE.values()] == list(MADE.values())


def _mark(board: dict[str, Any], value: str, color: str) -> None:
    for panel in board["panels"]:
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                if one["id"] == "mappings" and value in one["value"][0].get("options", {}):
                    one["value"][0]["options"][value]["color"] = color


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "overlap": lambda b: b["panels"][1]["gridPos"].update(x=0),
    "leaves the grid": lambda b: b["panels"][1]["gridPos"].update(x=23),
    "one id": lambda b: b["panels"][1].update(id=1),
    "other language": lambda b: b["panels"][0].update(title="Register"),
    "no variable": lambda b: b["templating"]["list"].pop(),
    "not a view of dash": lambda b: b["panels"][0]["targets"][0].update(rawSql="select 1 as age, 2 as complete from public.device"),
    "neither age nor completeness": lambda b: b["panels"][0]["targets"][0].update(rawSql="select count(*) from dash.subject"),
    "another data source": lambda b: b["panels"][0].update(datasource={"type": "x", "uid": "y"}),
    "unit": lambda b: b["panels"][0]["fieldConfig"]["defaults"].update(unit="furlongs"),
    "green where there is nothing": lambda b: b["panels"][0]["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(color="green"),
    "no value is not grey": lambda b: b["panels"][0]["fieldConfig"]["defaults"]["mappings"][0]["options"]["result"].update(color="green"),
    "kind pie": lambda b: b["panels"][0].update(type="pie"),
    "not one of ours": lambda b: b.update(uid="Other Board"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_board_is_found_out(fault: str) -> None:
    spoilt = copy.deepcopy(list(MADE.values()))
    SPOILT[fault](spoilt[0])
    found = faults(spoilt)
    assert any(fault in one for one in found), found


def test_a_green_unknown_and_a_link_that_leads_nowhere_are_found_out() -> None:
    spoilt = copy.deepcopy(MADE)
    _mark(spoilt["anxin-institution"], "unknown", "green")
    assert any("unknown is not grey" in one for one in faults(list(spoilt.values())))
    gone = [one for uid, one in copy.deepcopy(MADE).items() if uid != "anxin-zone"]
    assert any("leads nowhere" in one for one in faults(gone))


def test_no_tile_server_is_asked_unless_one_is_named() -> None:
    def basemap(made: dict[str, Any]) -> dict[str, Any]:
        (found,) = [panel["options"]["basemap"] for panel in made["panels"] if panel["type"] == "geomap"]
        return dict(found)

    assert basemap(MADE["anxin-map"])["config"]["url"] == NO_TILES
    assert NO_TILES.startswith("data:image/")
    assert "http" not in json.dumps(list(MADE.values()))
    named = {one["uid"]: one for one in boards("https://tiles.example.org/{z}/{x}/{y}.png")}
    assert basemap(named["anxin-map"])["config"]["url"] == "https://tiles.example.org/{z}/{x}/{y}.png"


# ---- every query, as the role ----


@pytest.mark.parametrize("uid", MADE)
def test_every_query_runs_as_the_reader_for_several_ranges_and_choices(everything: Asked, uid: str) -> None:
    shown = {panel["id"]: panel for panel in MADE[uid]["panels"]}
    for since, chosen in LOOKS if uid in CHINESE else LOOKS[:1]:
        for where, shape, sql in sent(MADE[uid]):
            names, rows = everything.rows(sql, since, **chosen)
            assert len(set(names)) == len(names), where
            if shape == "choice":
                assert names == ["__text", "__value"], where
                continue
            panel = shown[int(where.split()[1])]
            if shape == "time_series":
                times = [row[names.index("time")] for row in rows]
                assert times == sorted(times), where
                continue
            assert {"age", "complete"} <= set(names), where
            for row in rows:
                age, complete = row[names.index("age")], row[names.index("complete")]
                assert age is None or age >= -5, (where, age)
                assert complete is None or 0 <= complete <= 100, (where, complete)
            if panel["type"] == "stat":
                assert [names, len(rows)] == [["value", "age", "complete"], 1], where
            if panel["type"] in ("table", "geomap"):
                titled = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
                assert set(names) - titled <= {"latitude", "longitude", "institution", "division"}, (
                    f"{where}: every column has a title"
                )


@pytest.mark.parametrize("uid", CHINESE)
def test_a_reader_of_one_district_is_shown_nothing_of_another(county: Asked, everything: Asked, uid: str) -> None:
    for where, _, sql in sent(MADE[uid]):
        for chosen in (
            {},
            {"institution": f"sun-{OTHER}", "device": f"d-0-{OTHER}"},
            {"division": OTHER, "institution": "all"},
        ):
            _, rows = county.rows(sql, "now-90d", **chosen)
            assert OTHER not in str(rows), where
    shown = [str(everything.rows(sql, "now-90d", institution="all")[1]) for _, _, sql in sent(MADE[uid])]
    if uid not in ("anxin-institution", "anxin-zone", "anxin-modules"):
        assert any(OTHER in one for one in shown), "as the role of everything it is there"


# ---- what the boards say ----


def test_the_register_is_counted_by_the_totals_of_the_day(county: Asked) -> None:
    assert [value_of(county, "anxin-coverage", title) for title in ("名册", "已接入", "判定过时")] == [4, 3, 1]
    (row,) = county.records(sql_of("anxin-coverage", "名册"))
    assert 60 <= row["age"] < 600
    assert row["complete"] == 50.0, "two of four were judged lately"


def test_the_three_figures_are_never_mixed_and_unknown_counts_against_them(county: Asked) -> None:
    for words, _ in BASES.values():
        assert float(value_of(county, "anxin-coverage", f"{words.zh}：")) == 25.0
    assert value_of(county, "anxin-coverage", "名册", as_of="2001-01-01") is None, (
        "where nothing is known there is no figure"
    )


def test_the_unconnected_stand_first_with_what_is_unknown(county: Asked) -> None:
    rows = county.records(sql_of("anxin-coverage", "机构"))
    assert [row["connected"] for row in rows] == ["no", "yes"]
    assert [(row["non_compliant"], row["unknown"], row["compliant"]) for row in rows] == [(0, 1, 0), (1, 1, 1)]


def test_a_verdict_that_nobody_renews_is_grey_on_every_board(readers: Readers, county: Asked) -> None:
    with psycopg.connect(readers.url, autocommit=True) as conn:
        conn.execute("update coverage_check set checked_at = now() - interval '1 hour'")
        try:
            assert float(value_of(county, "anxin-institution", "义务：")) == 0.0
            (row,) = county.records(sql_of("anxin-map", "地图"))
            assert row["rate"] == -1.0, "the map has a colour of its own for what is not known"
            assert row["age"] >= 3600
            verdicts = {row["verdict"] for row in county.records(sql_of("anxin-institution", "判定"))}
            assert "compliant" not in verdicts
            clauses = county.records(sql_of("anxin-clauses", "按条款"))
            assert sum(row["compliant"] for row in clauses) == 0
        finally:
            conn.execute("update coverage_check set checked_at = now()")
    assert float(value_of(county, "anxin-institution", "义务：")) > 0


def test_the_colour_of_unknown_is_grey_and_only_full_coverage_is_green() -> None:
    (shown,) = [panel for panel in MADE["anxin-map"]["panels"] if panel["type"] == "geomap"]
    steps = shown["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["color"], step["value"]) for step in steps] == [
        (UNKNOWN, None), ("red", 0), ("orange", 80), ("green", 100),
    ]  # fmt: skip


def test_clauses_are_cited_and_who_breaks_one_is_listed(county: Asked) -> None:
    rows = {row["rule"]: row for row in county.records(sql_of("anxin-clauses", "按条款"))}
    assert {(row["document"], row["number"], row["clause"]) for row in rows.values()} == {("某标准", "GB 1", "4.2")}
    assert (rows["rule-turned"]["unknown"], rows["rule-turned"]["compliant"]) == (1, 0), (
        "a plan that nobody signed is no green"
    )
    broken = county.records(sql_of("anxin-clauses", "判定"), rule="rule-1")
    assert [(row["verdict"], row["institution"]) for row in broken] == [("non_compliant", f"sun-{MINE}")]


def test_what_waits_for_a_person_is_counted_with_its_age(county: Asked) -> None:
    assert value_of(county, "anxin-alarms", "待接警", institution="all") == 3
    assert 300 <= value_of(county, "anxin-alarms", "最久未接警", institution="all") < 400


def test_who_was_never_reached_makes_no_figure_better(county: Asked) -> None:
    (row,) = county.records(sql_of("anxin-responses", "火警与一键报警 50 % 接警"), institution="all")
    assert (row["value"], row["complete"]) == (None, 0.0), (
        "three presses that nobody took: no figure, and nothing of it is there"
    )


def test_orders_drills_attestations_and_recordings_are_counted(county: Asked) -> None:
    counted = [value_of(county, "anxin-orders", title, institution="all") for title in ("未办结", "已逾期", "有效豁免")]
    assert counted == [1, 1, 1]
    assert value_of(county, "anxin-drills", "演练应按", institution="all") == 50.0
    assert value_of(county, "anxin-drills", "已过有效期", institution="all") == 1
    assert value_of(county, "anxin-drills", "通路验证", institution="all") == 100.0
    (row,) = county.records(sql_of("anxin-recordings", "不足"), institution="all")
    assert (row["value"], row["complete"]) == (1, 50.0)
    (press, missed) = county.records(sql_of("anxin-drills", "演练：应按"), institution="all")
    assert (press["taken"] or missed["taken"], sorted([press["complete"], missed["complete"]])) == (40, [0, 50])


def test_provisioning_names_the_source_and_the_folder_that_compose_mounts() -> None:
    folder = TREE / "dashboards/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/anxin.yaml").read_text("utf-8"))["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    assert source["jsonData"]["timescaledb"] is True, "the macros that are tested here"
    (provider,) = yaml.safe_load((folder / "dashboards/anxin.yaml").read_text("utf-8"))["providers"]
    grafana = yaml.safe_load((TREE / "docker-compose.yml").read_text("utf-8"))["services"]["grafana"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in grafana["volumes"]}
    assert mounted[provider["options"]["path"]] == "./dashboards/generated"
    assert timedelta(seconds=provider["updateIntervalSeconds"]) >= timedelta(seconds=10)


def test_macros_are_expanded_as_grafana_does() -> None:
    since, until = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)

    def made(sql: str) -> str:
        return expand(sql, since, until, {"x": "o'clock"})

    assert made("$__timeFilter(at)") == "at BETWEEN '2026-11-20T00:00:00.000000Z' AND '2026-11-21T00:00:00.000000Z'"
    assert made("$__timeGroupAlias(at, '5m')") == "time_bucket('300.000s',at) AS \"time\""
    assert made("'${x}'") == "'o''clock'"
    with pytest.raises(ValueError, match="unknown macro"):
        made("$__fill(x)")
    with pytest.raises(KeyError):
        made("${y}")


def test_an_argument_of_a_macro_holds_no_bracket_as_grafana_reads_none() -> None:
    for one in MADE.values():
        for where, _, sql in sent(one):
            for arguments in re.findall(r"\$__\w+\(([^)]*)\)", sql):
                assert "(" not in arguments, where


def test_where_nobody_looks_nothing_on_any_board_is_green(readers: Readers, everything: Asked, county: Asked) -> None:
    """Verdicts that nobody renews, totals that nobody takes, lanes that nobody hears: over all panels, by their own colours."""
    with psycopg.connect(readers.url, autocommit=True) as conn:
        # all that was green an hour ago: full rates, cameras that keep enough, devices online
        full = {f"{basis}/{module}": [4, 0, 0, 0, 0, 9, 0, 0, 0, 0] for basis in BASES for module in ("", "video", "panic", "access", "fire")}  # fmt: skip
        conn.execute("update coverage_check set checked_at = now() - interval '1 hour'")
        conn.execute("update coverage_day set taken_at = now() - interval '1 hour', figures = %s", [Jsonb(full)])
        conn.execute("update device_state set link_state = 'online', function_state = 'unproven'")
        conn.execute("update lane_watch set heard_at = now() - interval '1 hour'")
        conn.execute("update recording_state set outlook = 'unknown'")
    green, seen = [], 0
    for uid in CHINESE:
        for panel in MADE[uid]["panels"]:
            for asked in (everything, county):
                for row in asked.records(panel["targets"][0]["rawSql"], institution=f"sun-{MINE}"):
                    # of a map's figures one is a colour
                    coloured = {"rate": row["rate"]} if panel["type"] == "geomap" else row
                    for name, value in coloured.items():
                        seen += 1
                        if said(value, shown(panel, name))[1] == "green":
                            green.append((uid, panel["title"], name, value))
    assert green == []
    assert seen > 1000
