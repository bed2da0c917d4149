"""What a role of Grafana sees, and what it cannot do whatever SQL it sends."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from typer.testing import CliRunner

from hub.api.coverage import STALE_AFTER
from hub.cli.main import app
from hub.core.rights import EVERYTHING, Scope
from hub.errors import BadInput, Conflict, NotFound
from hub.store.pool import connect
from hub.store.readers import VIEWS, drop_reader, grant_reader
from tests.dashboards.conftest import DISTRICTS, PASSWORD, Readers


def _all(readers: Readers, who: str, query: str) -> list[tuple[object, ...]]:
    with readers.connect(who) as conn:
        return conn.execute(query.encode()).fetchall()


PLACELESS = {"statement", "hub"}
"""Views that tell of no place: what rules cite, and the hub itself."""


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in PLACELESS])
def test_a_role_of_one_district_sees_its_own_and_nothing_of_another(readers: Readers, view: str) -> None:
    mine, other = DISTRICTS
    everything = str(_all(readers, "all", f"select * from dash.{view}"))
    own = str(_all(readers, mine, f"select * from dash.{view}"))
    assert mine in everything
    assert other in everything
    assert mine in own
    assert other not in own


def test_a_role_has_limits_on_time_and_connections(readers: Readers) -> None:
    shown = _all(
        readers, "all", "select current_setting('statement_timeout'), current_setting('default_transaction_read_only')"
    )
    assert shown == [("10s", "on")]
    limit = _all(
        readers, "all", "select rolconnlimit, rolsuper, rolcreaterole from pg_roles where rolname = current_user"
    )
    assert limit == [(20, False, False)]


# ---- what the views say ----


def test_the_hub_itself_is_shown_to_who_sees_all_of_it(readers: Readers) -> None:
    assert _all(readers, DISTRICTS[0], "select * from dash.hub") == []
    assert {row[0] for row in _all(readers, "all", "select part from dash.hub")} >= {
        "lane",
        "outbox",
        "uncovered",
        "quarantine",
    }


def test_a_total_of_a_division_that_holds_others_is_not_shown(readers: Readers) -> None:
    assert {row[0] for row in _all(readers, DISTRICTS[0], "select division from dash.rollup")} == {DISTRICTS[0]}
    assert {row[0] for row in _all(readers, DISTRICTS[0], "select division from dash.day")} == {DISTRICTS[0]}
    assert {row[0] for row in _all(readers, "all", "select division from dash.day")} == {*DISTRICTS, "1404"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-01", "2026-03-01T15:59:59.999999+00:00"),
        (" 2026-03-01 09:30 ", "2026-03-01T01:30:00+00:00"),
        ("2026-03-01T09:30:15", "2026-03-01T01:30:15+00:00"),
    ],
)
def test_a_day_means_its_end_in_china_and_a_time_is_one_of_china(readers: Readers, said: str, meant: str) -> None:
    rows = _all(readers, DISTRICTS[0], f"select dash.moment('{said}'), dash.known('{said}')")
    assert rows == [(datetime.fromisoformat(meant),) * 2]


def test_nothing_typed_is_now_and_the_future_is_now_too(readers: Readers) -> None:
    said = "select dash.moment(t) = now() from unnest(array['', 'now', ' ', '2999-01-01', '2999-01-01 00:00']) t"
    assert {row[0] for row in _all(readers, DISTRICTS[0], said)} == {True}
    with pytest.raises(errors.DataError):
        _all(readers, DISTRICTS[0], "select dash.moment('last week')")


def test_what_is_not_connected_is_a_subject_without_institution(readers: Readers) -> None:
    rows = _all(readers, DISTRICTS[0], "select subject, connected from dash.subject order by connected")
    assert rows == [(f"register:B-{DISTRICTS[0]}", False), (f"sun-{DISTRICTS[0]}", True)]


def test_obligation_target_and_recommendation_stand_apart_and_an_unsigned_plan_is_no_compliance(
    readers: Readers,
) -> None:
    rows = _all(
        readers,
        DISTRICTS[0],
        "select basis, verdict, count(*) from dash.verdict where connected group by 1, 2 order by 1, 2",
    )
    assert rows == [
        ("obligation", "compliant", 1),
        ("obligation", "non_compliant", 1),
        ("obligation", "unsigned", 1),
        ("recommendation", "not_applicable", 1),
        ("target", "compliant", 1),
    ]


def test_a_verdict_that_nobody_renewed_is_unknown_and_turns_when_the_api_turns_it(readers: Readers) -> None:
    def verdicts(age: timedelta) -> set[object]:
        with psycopg.connect(readers.url) as conn:
            conn.execute("update coverage_check set checked_at = now() - %s", [age])
        query = "select verdict from dash.verdict where connected and verdict in ('compliant', 'unsigned', 'unknown')"
        return {row[0] for row in _all(readers, DISTRICTS[0], query)}

    assert verdicts(STALE_AFTER - timedelta(seconds=30)) == {"compliant", "unsigned"}
    assert verdicts(STALE_AFTER + timedelta(seconds=1)) == {"unknown"}


def test_hours_hold_what_was_read_and_bad_values_give_no_figure(readers: Readers) -> None:
    rows = _all(
        readers, "all",
        f"select sum(n), count(*), max(maximum), sum(n) filter (where minimum = 3)"
        f" from dash.reading_hour where device = 'd-0-{DISTRICTS[0]}'",
    )  # fmt: skip
    assert rows[0][0] == 1001
    assert rows[0][2] == 1000
    assert rows[0][3] is None, "the bad value 3 is no figure"


def test_hours_have_the_share_that_is_not_known_to_be_missing(readers: Readers) -> None:
    device = f"d-0-{DISTRICTS[0]}"
    query = f"select hour, completeness from dash.reading_hour where device = '{device}' order by hour"

    def set_since(since: str) -> None:
        with psycopg.connect(readers.url) as conn:
            conn.execute("update hub_setting set value = to_jsonb(%s::timestamptz) where name = 'gaps_since'", [since])

    set_since("2200-01-01")
    assert {share for _, share in _all(readers, DISTRICTS[0], query)} == {None}
    set_since("2000-01-01")
    with psycopg.connect(readers.url) as conn:
        conn.execute("update device set created_at = '2000-01-01'")
        conn.execute("update device_state set link_state = 'online'")
    hour = _all(readers, DISTRICTS[0], query)[2][0]
    assert isinstance(hour, datetime)
    with psycopg.connect(readers.url) as conn:
        (key, lane) = conn.execute("select key, lane from device where id = %s", [device]).fetchone() or (0, "")
        since, until = hour + timedelta(minutes=15), hour + timedelta(minutes=45)
        values = [(device, lane, key, since, until), (device, lane, key, since, until + timedelta(minutes=30))]
        for value in values:
            conn.execute(
                "insert into gap (client, lane, device, since, until, cause) values (%s, %s, %s, %s, %s, 'device')",
                value,
            )
    found = _all(readers, DISTRICTS[0], query)
    assert [share for _, share in found[1:5]] == [1.0, 0.25, 0.75, 1.0]


def test_days_are_days_of_china_made_of_whole_hours(readers: Readers) -> None:
    with psycopg.connect(readers.url) as conn:
        total, count = conn.execute("select sum(n), count(*) from reading_day").fetchone() or (0, 0)
        assert total == 6 * 1001
        days = [row[0] for row in conn.execute("select distinct day from reading_day").fetchall()]
        china = timezone(timedelta(hours=8))
        assert count >= len(days) >= 7
        assert {day.astimezone(china).time() for day in days} == {datetime.min.time()}
        (hours,) = conn.execute(
            "select count(*) from (select series_id, day, n from reading_day except select series_id,"
            " date_trunc('day', at at time zone 'Asia/Shanghai') at time zone 'Asia/Shanghai', count(*) from reading group by 1, 2) x"
        ).fetchone() or (1,)
        assert hours == 0


def test_a_device_and_a_time_reach_the_index_and_only_the_chunks_of_that_time(readers: Readers) -> None:
    with psycopg.connect(readers.url) as conn:
        conn.execute("analyze")
        # a chunk that began just now is so small that reading all of it is cheapest: the question is what the index can answer
        conn.execute("set enable_seqscan = off")
        plan = conn.execute(
            "explain select * from reading_hour where series_id = 1 and hour >= now() - interval '3 hours'"
        ).fetchall()
    text = "\n".join(str(row[0]) for row in plan)
    assert "reading_series_at" in text
    assert "Chunks excluded during startup" in text or text.count("_chunk") <= 4


# ---- making and removing them ----


async def test_a_role_that_is_no_reader_is_never_taken_over(database: str) -> None:
    async with await connect(database, "test", autocommit=True) as conn:
        with pytest.raises(Conflict, match="no reader"):
            await grant_reader(conn, "anxin", EVERYTHING, PASSWORD, actor="test")
        with pytest.raises(NotFound):
            await drop_reader(conn, "anxin", actor="test")


@pytest.mark.parametrize(("role", "password"), [("Robert'; drop", PASSWORD), ("", PASSWORD), ("fine", "short")])
async def test_a_wrong_name_or_a_short_password_is_refused(database: str, role: str, password: str) -> None:
    async with await connect(database, "test", autocommit=True) as conn:
        with pytest.raises(BadInput) as refused:
            await grant_reader(conn, role, EVERYTHING, password, actor="test")
    assert "short" not in str(refused.value)


async def test_a_readers_scope_can_be_changed_and_counts_at_once(readers: Readers) -> None:
    mine, other = DISTRICTS
    async with await connect(readers.url, "test", autocommit=True) as conn:
        with readers.connect(mine) as seeing:
            await grant_reader(conn, readers.roles[mine], Scope(institutions=(f"sun-{other}",)), PASSWORD, actor="test")
            assert seeing.execute("select distinct institution from dash.device").fetchall() == [(f"sun-{other}",)]
            await grant_reader(conn, readers.roles[mine], Scope(divisions=(mine,)), PASSWORD, actor="test")
            assert seeing.execute("select distinct institution from dash.device").fetchall() == [(f"sun-{mine}",)]


async def test_entries_of_the_register_are_seen_by_their_division_or_with_their_institution(readers: Readers) -> None:
    mine, other = DISTRICTS
    of_mine, of_other = {f"A-{mine}", f"B-{mine}"}, {f"A-{other}", f"B-{other}"}
    async with await connect(readers.url, "test", autocommit=True) as conn:
        with readers.connect(mine) as seeing:
            for scope, seen in (
                (Scope(divisions=(mine,)), of_mine),
                (Scope(divisions=("1404",)), of_mine | of_other),
                (Scope(institutions=(f"sun-{other}",)), {f"A-{other}"}),
                (Scope(groups=(f"chain-{other}",)), {f"A-{other}"}),
                (Scope(divisions=(mine,), groups=(f"chain-{other}",)), of_mine | {f"A-{other}"}),
                (EVERYTHING, of_mine | of_other),
                (Scope(divisions=(mine,)), of_mine),
            ):
                await grant_reader(conn, readers.roles[mine], scope, PASSWORD, actor="test")
                assert {row[0] for row in seeing.execute("select * from dash.entries()")} == seen, scope


def test_the_command_makes_and_drops_a_reader(
    readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANXIN_DATABASE_URL", readers.url)
    monkeypatch.setenv("ANXIN_MQTT_URL", "mqtt://127.0.0.1")
    role = readers.roles["all"] + "_cli"
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    run = CliRunner()
    refused = run.invoke(app, ["dashboards", "grant", "--role", role, "--password-file", str(secret)])
    assert (refused.exit_code, "scope" in refused.stderr) == (2, True)
    made = run.invoke(app, ["dashboards", "grant", DISTRICTS[1], "--role", role, "--password-file", str(secret)])
    assert made.exit_code == 0, made.output
    cli = Readers(readers.url, {"cli": role})
    assert _all(cli, "cli", "select distinct division from dash.device") == [(DISTRICTS[1],)]
    assert run.invoke(app, ["dashboards", "revoke", "--role", role]).exit_code == 0
    with pytest.raises(psycopg.OperationalError):
        cli.connect("cli")
