"""`anxinctl plan` and `apply` on the demo's city, and every mistake with its file and line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.conftest import DEMO, ENVIRONMENT, Command, Server

CITY = DEMO / "demo"
pytestmark = pytest.mark.usefixtures("environment")


def edited(tmp_path: Path, name: str, old: str, new: str) -> tuple[Path, int]:
    """A copy of the demo's city with one text replaced; the folder, and the line where it stands."""
    for path in CITY.glob("*.yaml"):
        text = path.read_text("utf-8")
        if path.name == name:
            assert old in text
            line = text[: text.index(old)].count("\n") + 1
            text = text.replace(old, new, 1)
        (tmp_path / path.name).write_text(text, "utf-8")
    return tmp_path, line


def test_the_city_is_planned_applied_and_applied_again_without_a_change(ctl: Command, server: Server) -> None:
    planned = ctl("plan", "-f", CITY)
    [plain] = planned.err.splitlines()
    assert (planned.code, "there is no device 'center-switch': taken as a switch" in plain) == (0, True)
    assert "demo-center" in planned.out
    assert server.rows("select count(*) from device") == [(0,)]
    applied = ctl("apply", "-f", CITY, "--yes")
    assert (applied.code, applied.err) == (0, planned.err)
    assert server.rows("select count(*) from device where kind <> 'edge'") == [(18,)]
    again = ctl("apply", "-f", CITY)
    assert (again.code, again.err) == (0, planned.err)
    assert "Nothing to change" in again.out


def test_the_city_has_three_devices_a_driver_two_over_onvif_and_an_institution_that_is_only_on_the_register(
    ctl: Command, server: Server
) -> None:
    ctl("apply", "-f", CITY, "--yes")
    counted = server.rows(
        "select n.driver, count(*) from device d join endpoint n on n.key = d.endpoint group by 1 order by 1"
    )
    assert [driver for driver, _ in counted] == ["modbus", "mqtt", "onvif", "serial", "snmp"]
    assert all(count >= 3 or (driver, count) == ("onvif", 2) for driver, count in counted)
    assert server.rows("select filing_number from register_entry where institution is null") == [("DEMO-140405-001",)]


def test_a_camera_in_a_toilet_is_taken_with_a_warning_that_names_file_line_and_clause(ctl: Command) -> None:
    ctl("apply", "-f", CITY, "--yes")
    path = DEMO / "demo-toilet" / "20-center.yaml"
    found = ctl("plan", "-f", path)
    text = path.read_text("utf-8").splitlines()
    line = next(n for n, row in enumerate(text, 1) if "id: center-cam-toilet" in row)
    assert found.code == 0
    assert found.err.startswith(f"{path}:{line}: 警告 warning: institutions/0/devices/12/position: ")
    assert "国务院令第799号 第八条" in found.err
    assert ctl("apply", "-f", path, "--yes").code == 0
    assert ctl("apply", "-f", CITY / "20-center.yaml", "--yes").code == 0
    assert "Nothing to change" in ctl("plan", "-f", CITY).out


def test_the_toilet_manifest_differs_from_the_city_by_its_camera_alone() -> None:
    one = (CITY / "20-center.yaml").read_text("utf-8").splitlines()
    two = (DEMO / "demo-toilet" / "20-center.yaml").read_text("utf-8").splitlines()
    more = [line for line in two if line not in one and not line.startswith("#")]
    assert [line for line in one if line not in two and not line.startswith("#")] == []
    assert all("toilet" in line.lower() for line in more)


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("20-center.yaml", "profile: demo-camera", "profile: demo-kamera", "devices/0/profile: there is no device profile"),
        ("20-center.yaml", "type: public_comprehensive", "type: zoo", "institutions/0/type: 'zoo' is none of"),
        ("20-center.yaml", "floor: 1", "flor: 1", "zones/0/flor: Extra inputs"),
        ("20-center.yaml", "area_m2: 36", "area_m2: wide", "zones/0/area_m2: Input should be a valid number"),
        ("20-center.yaml", "zone: reception", "zone: recepcion", "positions/0/zone: there is no zone 'recepcion'"),
        ("30-point.yaml", "endpoint: cam-activity", "endpoint: zigbee", "devices/0/endpoint: 'zigbee' is of the driver"),
        ("30-point.yaml", "position: activity-ceiling", "position: activity-corner", "taken by device 'point-cam'"),
        ("30-point.yaml", "protocol: lines", "protocol: morse", "endpoints/3/settings/protocol: "),
        ("30-point.yaml", 'division: "140403"', "division: 140403", "institutions/1/division: write the code in quotes"),
        ("40-home.yaml", "id: home-cam,", "id: point-cam,", "device point-cam stands in the manifest already"),
        ("40-home.yaml", "latitude: 36.051", "latitude: 360.51", "place/latitude: Input should be less than"),
        ("10-city.yaml", "responder: duty-room", "responder: nobody", "policies/0/steps/0/responder: there is no responder"),
        ("10-city.yaml", "kind: smtp", "kind: pigeon", "responders/1/channels/0/kind: there is no channel kind 'pigeon'"),
        ("10-city.yaml", 'parent: "1404"', 'parent: "140403"', "go round in a circle"),
        ("10-city.yaml", "round_every: 60s", "round_every: soon", "round_every: a duration is written"),
        ("10-city.yaml", "    capacity: 120", "\tcapacity: 120", "a tab where YAML wants spaces"),
        ("10-city.yaml", "WEBHOOK_SECRET", "NO_SUCH_SECRET", "the environment variable ANXIN_DEMO_NO_SUCH_SECRET is not set"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_and_line_and_nothing_is_applied(
    ctl: Command, server: Server, tmp_path: Path, name: str, old: str, new: str, says: str
) -> None:
    folder, line = edited(tmp_path, name, old, new)
    found = ctl("apply", "-f", folder, "--yes")
    assert found.code == 2
    lines = [row for row in found.err.splitlines() if row.startswith(f"{folder / name}:") and says in row]
    assert lines, found.err
    assert int(lines[0].split(":")[1]) == line
    assert server.rows("select count(*) from division") == [(0,)]


def test_fire_devices_that_no_policy_covers_are_refused(ctl: Command) -> None:
    found = ctl("apply", "-f", CITY / "40-home.yaml", "--yes")
    assert found.code == 2
    assert "no escalation policy covers fire alarms here (devices: home-smoke)" in found.err


def test_no_secret_is_ever_shown(ctl: Command, server: Server) -> None:
    outcomes = [
        ctl("plan", "-f", CITY, "--json"),
        ctl("apply", "-f", CITY, "--yes"),
        ctl("plan", "-f", CITY / "20-center.yaml"),
    ]
    shown = "".join(outcome.out + outcome.err for outcome in outcomes)
    shown += str(server.rows("select detail::text from audit union all select payload::text from change"))
    assert "hush" not in shown
    assert "whsec" not in shown


def test_a_changed_secret_shows_that_it_changed_and_not_what_it_is(
    ctl: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctl("apply", "-f", CITY, "--yes")
    monkeypatch.setenv("ANXIN_DEMO_SNMP_AUTH_KEY", "another-hush-hush")
    found = ctl("plan", "-f", CITY)
    assert "cam-activity" in found.out
    assert "settings.auth_key: ********** → ********** (changed)" in found.out
    assert "hush" not in found.out + found.err


def test_the_json_of_a_plan_is_for_programs_and_places_every_warning(ctl: Command) -> None:
    ctl("apply", "-f", CITY, "--yes")
    found = ctl("plan", "--json", "-f", DEMO / "demo-toilet")
    document = json.loads(found.out)
    assert {change["id"] for change in document["changes"]} == {"toilet-corner", "cam-toilet", "center-cam-toilet"}
    warning, plain = document["warnings"]
    assert (plain["code"], "center-switch" in plain["message"]) == ("unwatched", True)
    assert (warning["file"], warning["code"]) == (str(DEMO / "demo-toilet" / "20-center.yaml"), "placement")
    assert warning["line"] > 1


def test_a_plan_fits_eighty_columns_with_chinese_text_counted_as_it_is_shown(ctl: Command) -> None:
    found = ctl("plan", "-f", CITY)
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80
    assert "安装位" in found.out


def test_without_a_terminal_apply_asks_for_yes_and_changes_nothing(ctl: Command, server: Server) -> None:
    found = ctl("apply", "-f", CITY)
    assert found.code == 2
    assert "--yes" in found.err
    assert server.rows("select count(*) from division") == [(0,)]


@pytest.mark.parametrize(("answer", "code", "divisions"), [(b"n\n", 1, 0), (b"y\n", 0, 5)])
def test_at_a_terminal_apply_asks_first(server: Server, answer: bytes, code: int, divisions: int) -> None:
    terminal, line = os.openpty()
    variables = {**os.environ, **ENVIRONMENT, "ANXIN_API": server.url, "ANXIN_TOKEN": server.tokens["installer"]}
    os.write(terminal, answer)
    done = subprocess.run(
        [sys.executable, "-c", "from provisioning.main import main; main()", "apply", "-f", str(CITY)],
        stdin=line,
        capture_output=True,
        timeout=30,
        env=variables,
        check=False,
    )
    os.close(terminal)
    os.close(line)
    assert done.returncode == code, done.stderr
    assert "执行? Apply this" in done.stderr.decode()
    assert server.rows("select count(*) from division") == [(divisions,)]


def test_who_may_not_provision_is_told_so_by_the_exit_code(ctl: Command) -> None:
    assert ctl("plan", "-f", CITY, who="operator").code == 4
    found = ctl("plan", "-f", CITY, who="stranger")
    assert (found.code, "not within your scope" in found.err) == (4, True)


def test_a_hub_that_is_not_there_is_told_by_the_exit_code(ctl: Command) -> None:
    found = ctl("--api", "http://127.0.0.1:1", "plan", "-f", CITY)
    assert (found.code, "cannot be reached" in found.err) == (3, True)


def test_a_token_that_nobody_has_is_told_by_the_exit_code(ctl: Command, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("hub_nobody\n")
    assert ctl("--token-file", token, "plan", "-f", CITY).code == 4
    assert ctl("--token-file", tmp_path / "none", "plan", "-f", CITY).code == 2


@pytest.mark.parametrize("arguments", [("plan",), ("launch",), ("plan", "-f", "/nowhere.yaml"), ("device", "test")])
def test_wrong_usage_ends_with_two(ctl: Command, arguments: tuple[str, ...]) -> None:
    assert ctl(*arguments).code == 2
