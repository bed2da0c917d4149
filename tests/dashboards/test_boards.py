"""The boards: well formed, up to date, and every query of theirs runs as the read-only role on the real database."""

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import GENERATED, stale, texts
from dashboards.boards import BASES, BOARDS
from dashboards.panels import SOURCE, WIDTH
from tests.dashboards.conftest import DISTRICTS, Readers
from tests.dashboards.grafana import expand, relative

TREE = Path(__file__).parents[2]
MADE: dict[str, dict[str, Any]] = {one["uid"]: one for one in (make() for make in BOARDS)}
PANELS = [(uid, panel) for uid, one in MADE.items() for panel in one["panels"]]
NAMES = [f"{uid}-{panel['id']}" for uid, panel in PANELS]
UNITS = {"short", "percent", "s", "dateTimeAsLocal"}
MINE, OTHER = DISTRICTS
CHOSEN = {"division": "all", "institution": "all", "device": f"d-0-{MINE}"}
RANGES = ("now-1h", "now-24h", "now-30d")


def _run(readers: Readers, who: str, sql: str, since: str = "now-24h", **chosen: str) -> tuple[list[str], list[Any]]:
    now = datetime.now(UTC)
    text = expand(sql, relative(since, now), now, {**CHOSEN, **chosen})
    with readers.connect(who) as conn:
        cursor = conn.execute(text.encode())
        assert cursor.description is not None
        return [one.name for one in cursor.description], cursor.fetchall()


def test_what_is_generated_is_up_to_date() -> None:
    assert stale(GENERATED) == []


def test_a_file_that_differs_is_missing_or_should_not_be_there_is_stale(tmp_path: Path) -> None:
    first, *rest = texts()
    for name in rest:
        (tmp_path / name).write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    assert stale(tmp_path) == sorted([first, *rest, "gone.json"])


@pytest.mark.parametrize("uid", MADE)
def test_a_board_is_well_formed(uid: str) -> None:
    one = MADE[uid]
    ids = [panel["id"] for panel in one["panels"]]
    assert len(set(ids)) == len(ids)
    assert json.loads(json.dumps(one)) == one
    titles = (
        [panel["title"] for panel in one["panels"]] + [one["title"]] + [v["label"] for v in one["templating"]["list"]]
    )
    for title in titles:
        assert re.match(r"[^ ]*[\u4e00-\u9fff]", title), f"{title}: Chinese first"
        assert re.search(r"[A-Za-z]{4}", title), f"{title}: English second"


@pytest.mark.parametrize("uid", MADE)
def test_panels_do_not_overlap_and_stay_within_the_grid(uid: str) -> None:
    places = [panel["gridPos"] for panel in MADE[uid]["panels"]]
    for place in places:
        assert 0 <= place["x"] < place["x"] + place["w"] <= WIDTH
    for a, b in itertools.combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (a, b)


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=NAMES)
def test_a_panel_reads_the_provisioned_source_and_only_known_variables_and_units(
    uid: str, panel: dict[str, Any]
) -> None:
    known = {variable["name"] for variable in MADE[uid]["templating"]["list"]}
    assert panel["datasource"] == SOURCE
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert set(re.findall(r"\$\{(\w+)\}", target["rawSql"])) <= known
        assert set(re.findall(r"from (\S+)", target["rawSql"])) <= {f"dash.{view}" for view in ("subject", "coverage", "finding", "device", "alarm", "reading_hour")} | {"now()"}  # fmt: skip
    shown = [panel["fieldConfig"]["defaults"]]
    shown += [{p["id"]: p["value"] for p in o["properties"]} for o in panel["fieldConfig"]["overrides"]]
    assert {one["unit"] for one in shown if "unit" in one} <= UNITS


@pytest.mark.parametrize("since", RANGES)
@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=NAMES)
def test_every_query_runs_as_the_reader_for_several_ranges_and_choices(
    readers: Readers, uid: str, panel: dict[str, Any], since: str
) -> None:
    (target,) = panel["targets"]
    for chosen in ({}, {"division": MINE}, {"institution": f"sun-{MINE}"}, {"division": "it's none"}):
        names, rows = _run(readers, "all", target["rawSql"], since, **chosen)
        assert len(set(names)) == len(names)
        if panel["type"] == "stat":
            assert [len(row) for row in rows] == [1]
        if panel["type"] == "table":
            shown = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
            assert shown == set(names), "every column has a title"
        if target["format"] == "time_series":
            times = [row[names.index("time")] for row in rows]
            assert times == sorted(times)


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=NAMES)
def test_a_reader_of_one_district_is_shown_nothing_of_another(
    readers: Readers, uid: str, panel: dict[str, Any]
) -> None:
    (target,) = panel["targets"]
    _, rows = _run(readers, MINE, target["rawSql"], "now-30d", device=f"d-0-{OTHER}")
    assert OTHER not in str(rows)
    if "device = '${device}'" in target["rawSql"]:
        assert rows == []


@pytest.mark.parametrize("uid", MADE)
def test_the_choices_are_those_within_the_readers_scope(readers: Readers, uid: str) -> None:
    for variable in MADE[uid]["templating"]["list"]:
        names, rows = _run(readers, MINE, variable["query"])
        assert names == ["__text", "__value"]
        assert MINE in str(rows)
        assert OTHER not in str(rows)


# ---- what the boards say ----


def _panel(uid: str, title: str) -> str:
    (found,) = [panel for panel in MADE[uid]["panels"] if panel["title"].startswith(title)]
    return str(found["targets"][0]["rawSql"])


def test_the_register_and_who_is_not_connected_are_counted(readers: Readers) -> None:
    counted = [_run(readers, MINE, _panel("anxin-coverage", title))[1] for title in ("名册", "已接入", "未接入")]
    assert counted == [[(2,)], [(1,)], [(1,)]]


def test_the_three_figures_are_never_mixed(readers: Readers) -> None:
    # one district: obligations 1 of 2 and an unknown of the unconnected one, its target 1 of 1, no recommendation applies
    figures = {}
    for basis, title in BASES.items():
        (((rate,),),) = [_run(readers, MINE, _panel("anxin-coverage", f"{title}: "))[1]]
        figures[basis] = None if rate is None else round(float(rate), 1)
    assert figures == {"obligation": 33.3, "target": 100.0, "recommendation": None}


def test_the_unconnected_stand_first_and_findings_cite_their_clause(readers: Readers) -> None:
    names, rows = _run(readers, MINE, _panel("anxin-coverage", "按机构"))
    assert [row[names.index("connected")] for row in rows] == ["no", "yes"]
    names, rows = _run(readers, MINE, _panel("anxin-coverage", "判定"))
    assert [row[names.index("verdict")] for row in rows] == ["unknown", "non_compliant"]
    assert {tuple(row[names.index(key)] for key in ("document", "number", "clause")) for row in rows} == {
        ("某标准", "GB 1", "4.2")
    }


def test_what_waits_for_a_person_is_counted_with_its_age(readers: Readers) -> None:
    (((waiting,),),) = [_run(readers, MINE, _panel("anxin-alarms", "待接警"))[1]]
    (((age,),),) = [_run(readers, MINE, _panel("anxin-alarms", "最久未接警"))[1]]
    assert waiting == 3
    assert 300 <= float(age) < 360


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
