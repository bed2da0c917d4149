"""`anxin dashboards` against a stand-in for Grafana's HTTP API and the real database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo
from typer.testing import CliRunner, Result

from dashboards.boards import boards
from dashboards.panels import NO_TILES, SOURCE
from hub.cli.main import app
from hub.errors import AccessDenied, BadInput, Conflict, LinkDown
from hub.grafana import Grafana, source
from tests.dashboards.conftest import DISTRICTS, PASSWORD, Readers
from tests.dashboards.grafana_api import CALLS, strays
from tests.dashboards.grafana_server import PASSWORD as ADMIN
from tests.dashboards.grafana_server import ROUTES, USER, FakeGrafana, serving

MINE = DISTRICTS[0]


@pytest.fixture
def fake() -> Iterator[FakeGrafana]:
    with serving() as one:
        yield one
    assert one.strays == [], "what is asked and answered is as Grafana's published API has it"


@pytest.fixture
def admin(tmp_path: Path, readers: Readers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the administrator's password; the commands find the database."""
    monkeypatch.setenv("ANXIN_DATABASE_URL", readers.url)
    monkeypatch.setenv("ANXIN_MQTT_URL", "mqtt://127.0.0.1")
    file = tmp_path / "admin"
    file.write_text(ADMIN + "\n")
    return file


def _run(*words: str) -> Result:
    return CliRunner().invoke(app, ["dashboards", *words])


def _at(fake: FakeGrafana, admin: Path) -> tuple[str, ...]:
    return ("--grafana", fake.url, "--grafana-password-file", str(admin))


def test_a_scope_gets_a_role_an_organisation_and_a_data_source_that_reads_its_scope_alone(
    fake: FakeGrafana, admin: Path, readers: Readers
) -> None:
    def reaches(given: dict[str, Any]) -> str:
        """As Grafana tries a data source: by what it was given, nothing else."""
        url = conninfo.make_conninfo(readers.url, user=given["user"], password=given["secureJsonData"]["password"])
        with psycopg.connect(url) as conn:
            rows = conn.execute("select distinct division from dash.device").fetchall()
        return "" if rows == [(MINE,)] else f"it sees {rows}"

    fake.healthy = reaches
    role = readers.roles["all"] + "_org"
    made = _run("grant", MINE, "--role", role, "--database-address", "timescaledb:5432", *_at(fake, admin))
    assert made.exit_code == 0, made.output
    (organisation,) = [one for one in fake.organisations.values() if one.name == f"Anxin {role}"]
    (there,) = organisation.sources.values()
    assert {"type": there["type"], "uid": there["uid"]} == SOURCE, "the one that every panel names"
    assert (there["url"], there["user"], there["jsonData"]["timescaledb"]) == ("timescaledb:5432", role, True)
    first = there["secureJsonData"]["password"]
    assert len(first) >= 32
    assert first not in made.output

    again = _run("grant", MINE, "--role", role, "--database-address", "timescaledb:5432", *_at(fake, admin))
    assert again.exit_code == 0, again.output
    assert len(fake.organisations) == 2, "the same organisation"
    assert organisation.sources["anxin"]["secureJsonData"]["password"] != first, (
        "another password, and it reaches with it"
    )

    gone = _run("revoke", "--role", role, *_at(fake, admin))
    assert gone.exit_code == 0, gone.output
    assert [one.name for one in fake.organisations.values()] == ["Main Org."]
    with pytest.raises(psycopg.OperationalError):
        Readers(readers.url, {"gone": role}).connect("gone")


def test_boards_go_to_the_organisations_of_the_scopes_and_to_no_other(
    fake: FakeGrafana, admin: Path, readers: Readers
) -> None:
    role = readers.roles["all"] + "_push"
    try:
        assert _run("push", *_at(fake, admin)).exit_code == 2, "nobody has an organisation yet"
        assert _run("grant", MINE, "--role", role, "--database-address", "db:5432", *_at(fake, admin)).exit_code == 0
        (key, here) = next((key, one) for key, one in fake.organisations.items() if key != 1)
        here.boards["anxin-of-yesterday"] = {"uid": "anxin-of-yesterday", "title": "x", "tags": ["anxin"], "version": 1}
        here.boards["theirs"] = {"uid": "theirs", "title": "y", "tags": ["anxin"], "version": 1}
        done = _run("push", *_at(fake, admin))
        assert done.exit_code == 0, done.output
        wanted = {one["uid"]: one for one in boards()}
        assert set(here.boards) == {*wanted, "theirs"}, "what is ours and old goes, what is not ours stays"
        assert {uid: here.boards[uid]["panels"] for uid in wanted} == {
            uid: one["panels"] for uid, one in wanted.items()
        }
        assert here.preferences["homeDashboardUID"] == "anxin-coverage"
        assert fake.organisations[1].boards == {}
        assert {org for _, path, org in fake.asked if not path.startswith("/api/orgs")} == {key}

        tiled = _run("push", *_at(fake, admin), "--tiles", "https://tiles.example.org/{z}/{x}/{y}.png")
        assert tiled.exit_code == 0, tiled.output
        assert here.boards["anxin-map"]["version"] == 2
        assert NO_TILES not in str(here.boards["anxin-map"]["panels"])
    finally:
        _run("revoke", "--role", role)


def test_what_the_published_api_does_not_know_is_told() -> None:
    call = CALLS["POST", "/api/dashboards/db"]
    assert call.sent is not None
    assert [*strays(call.sent, {"dashboard": {}, "folderUid": 7, "force": True}, "x")] == [
        "x: folderUid is 7",
        "x: force is not known",
    ]
    assert "x: no version" in [*strays(call.answered, {"id": True}, "x")]
    assert set(CALLS) == set(ROUTES)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("grant", MINE, "--grafana", "http://x"), "--grafana-password-file"),
        (("grant", MINE), "--password-file"),
        (("grant", "--everything", MINE, "--password-file", "x"), "scope"),
        (("grant", "--institution", "sun", "--password-file", "x"), "--role"),
        (("revoke",), "role"),
        (("build", "--output", "x", "--tiles", "ftp://no"), "--tiles"),
        (("check", "--role", "grafana"), "--password-file"),
    ],
)
def test_what_is_missing_is_named(
    words: tuple[str, ...], says: str, admin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = _run(*words)
    assert (refused.exit_code, says in refused.stderr) == (2, True), refused.output


def test_a_grafana_that_lets_us_not_in_fails_or_is_not_there_is_an_error_without_a_password(fake: FakeGrafana) -> None:
    with pytest.raises(AccessDenied) as denied:
        Grafana(fake.url, USER, "another word").organisation("x")
    assert "another word" not in str(denied.value)
    ours = Grafana(fake.url, USER, ADMIN)
    fake.failing = 500
    with pytest.raises(LinkDown, match="500"):
        ours.organisation("x")
    fake.failing = None
    fake.healthy = lambda _: "db query error: the password is wrong"
    with pytest.raises((Conflict, BadInput), match="password is wrong"):
        ours.data_source(ours.organisation("x"), source("r", PASSWORD, "db:5432", "anxin"))
    with pytest.raises(LinkDown):
        Grafana("http://127.0.0.1:9", USER, ADMIN).organisation("x")
    for bad in ("127.0.0.1:3000", "ftp://x", "http://admin:secret-word@x"):
        with pytest.raises(BadInput) as refused:
            Grafana(bad, USER, ADMIN)
        assert "secret-word" not in str(refused.value)


def test_boards_are_built_with_the_tile_server_that_is_named(tmp_path: Path) -> None:
    done = _run("build", "--output", str(tmp_path / "b"), "--tiles", "https://tiles.example.org/{z}/{x}/{y}.png")
    assert done.exit_code == 0, done.output
    assert "tiles.example.org" in (tmp_path / "b" / "anxin-map.json").read_text("utf-8")
    assert len(list((tmp_path / "b").iterdir())) == len(boards())


def test_check_runs_every_query_as_the_role_and_names_what_fails(readers: Readers, admin: Path, tmp_path: Path) -> None:
    secret = tmp_path / "reader"
    secret.write_text(PASSWORD)
    held = _run("check", "--role", readers.roles[MINE], "--password-file", str(secret))
    assert held.exit_code == 0, held.output
    assert "queries ran as" in held.output
    with psycopg.connect(readers.url, autocommit=True) as conn:
        conn.execute("revoke select on dash.recording from anxin_reader")
        try:
            failed = _run("check", "--role", readers.roles[MINE], "--password-file", str(secret))
        finally:
            conn.execute("grant select on dash.recording to anxin_reader")
    assert failed.exit_code == 1
    lines = failed.stderr.strip().splitlines()
    assert lines
    assert all("anxin-recordings" in line and "permission denied" in line for line in lines), lines
