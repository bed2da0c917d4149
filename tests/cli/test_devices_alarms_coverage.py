"""`anxinctl device`, `alarm`, `coverage` and `bundle` against the real API; where ingest would judge, the test judges."""

import contextlib
import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from rich.cells import cell_len

from hub.bundle import read_bundle
from hub.engine import mosquitto_hash
from tests.api.test_what_if import PACK
from tests.cli.conftest import Command, Ground, Server
from tests.store.coverage_register import Register

ALARM = UUID("0e0c7f3a-0000-4000-8000-000000000001")
OTHER = UUID("0e0c7f3b-0000-4000-8000-000000000002")


@pytest.fixture
def ground(demo_ground: Ground) -> Ground:
    """The demo's city, applied."""
    return demo_ground


@pytest.fixture
def ingest(server: Server) -> Iterator[dict[str, str]]:
    """Somebody who judges function tests as they come; put `device: state` into the mapping for another end than passed (`never`: it stays open)."""
    verdicts: dict[str, str] = {}
    over = threading.Event()

    def judge() -> None:
        while not over.wait(0.05):
            server.rows("update device_test set state = 'open', opened_at = now() where state = 'requested'")
            # long enough for the command, which asks twice a second, to see it open and to say what to do
            for test, device in server.rows(
                "select t.id, d.id from device_test t join device d on d.key = t.device"
                " where t.state = 'open' and t.opened_at < now() - interval '1200 ms'"
            ):
                if verdicts.get(device) == "never":
                    continue
                server.rows(
                    "update device_test set state = %s, finished_at = now(), detail = 'press has not come' where id = %s",
                    [verdicts.get(device, "passed"), test],
                )

    thread = threading.Thread(target=judge, name="ingest")
    thread.start()
    yield verdicts
    over.set()
    thread.join(10)


def add_alarm(server: Server, alarm: UUID, device: str, signal_class: str, seconds: int) -> None:
    server.rows(
        """insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at)
           select %s, key, institution, 'panic', %s, 'critical', 'latched_unack', true, now() - make_interval(secs => %s), now()
           from device where id = %s""",
        [alarm, signal_class, seconds, device],
    )


# devices --------------------------------------------------------------------------------------------------------------


def test_the_list_of_devices_fits_eighty_columns_and_cuts_no_id(ctl: Command) -> None:
    found = ctl("device", "list")
    assert found.code == 0
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80
    assert "center-smoke-reception" in found.out
    listed = json.loads(ctl("device", "list", "--json", "--institution", "demo-home").out)
    assert [row["id"] for row in listed] == ["home-cam", "home-edge", "home-smoke"]


def test_a_device_is_shown_with_its_axes_and_points(ctl: Command, server: Server) -> None:
    server.rows(
        "with s as (insert into series (device, point) select key, 'charge' from device where id = 'center-ups' returning key)"
        " insert into point_state select key, now(), now(), 97, null, 0, now(), now() from s"
    )
    found = ctl("device", "show", "center-ups")
    assert "demo-center / reception / reception-cabinet-low" in found.out
    assert "97 %" in found.out
    assert ctl("device", "show", "nobody").code == 1


@pytest.mark.usefixtures("ingest")
def test_all_devices_that_wait_are_tested_and_the_installer_is_told_what_to_do(ctl: Command, server: Server) -> None:
    found = ctl("device", "test", "--all", "--institution", "demo-point")
    assert (found.code, found.err) == (0, "")
    assert "point-button: 现在按下按钮 · press the button now" in found.out
    assert "通过 passed 4/4" in found.out
    assert server.rows("select count(*) from device_test") == [(4,)]


def test_a_test_that_did_not_pass_ends_with_one_and_says_what_was_missing(ctl: Command, ingest: dict[str, str]) -> None:
    ingest["center-button"] = "expired"
    found = ctl("device", "test", "center-button", "center-ups")
    assert found.code == 1
    assert "center-button: 未通过 expired: press has not come" in found.out
    assert "通过 passed 1/2" in found.out


def test_the_results_of_tests_are_there_for_programs(ctl: Command, ingest: dict[str, str]) -> None:
    ingest["home-cam"] = "expired"
    found = ctl("device", "test", "home-cam", "home-smoke", "--json", "--within", "30")
    assert found.code == 1
    assert [(row["device"], row["state"], row["within_seconds"]) for row in json.loads(found.out)] == [
        ("home-cam", "expired", 30.0),
        ("home-smoke", "passed", 30.0),
    ]


def test_a_device_that_does_not_exist_is_not_tested_and_neither_are_the_others(ctl: Command, server: Server) -> None:
    found = ctl("device", "test", "home-cam", "nobody")
    assert (found.code, found.err) == (1, "anxinctl: there is no device 'nobody'\n")
    assert server.rows("select count(*) from device_test") == [(0,)]


def test_a_test_that_is_under_way_is_said_and_the_others_go_on(
    ctl: Command, server: Server, ingest: dict[str, str]
) -> None:
    ingest["home-cam"] = "never"
    server.rows(
        "insert into device_test (id, device, requested_by, within) select %s, key, 'x', '1 min' from device where id = 'home-cam'",
        [ALARM],
    )
    found = ctl("device", "test", "home-cam", "home-smoke")
    assert (found.code, found.err) == (1, "home-cam: a function test of home-cam is under way\n")
    assert "通过 passed 1/2" in found.out


def test_an_operator_may_not_start_a_test(ctl: Command) -> None:
    assert ctl("device", "test", "home-cam", who="operator").code == 4


# alarms ---------------------------------------------------------------------------------------------------------------


def test_fire_and_panic_stand_first_in_the_list_of_alarms(ctl: Command, server: Server) -> None:
    add_alarm(server, OTHER, "center-cam-activity", "fault", 1)
    add_alarm(server, ALARM, "center-sos", "panic", 60)
    found = ctl("alarm", "list")
    assert found.out.index("center-sos") < found.out.index("center-cam-activity")
    assert "一键报警" in found.out
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80


def test_an_alarm_is_acknowledged_by_the_beginning_of_its_id(ctl: Command, server: Server) -> None:
    add_alarm(server, ALARM, "center-sos", "panic", 5)
    add_alarm(server, OTHER, "center-cam-activity", "fault", 1)
    assert ctl("alarm", "ack", "0e0c7f3", who="operator").code == 2
    found = ctl("alarm", "ack", "0e0c7f3a", "-m", "on my way", who="operator")
    assert (found.code, "latched_ack" in found.out) == (0, True)
    assert server.rows("select acknowledged_by from alarm where id = %s", [ALARM]) == [("测试 operator",)]


def test_an_alarm_whose_condition_holds_is_not_reset(ctl: Command, server: Server) -> None:
    add_alarm(server, ALARM, "center-sos", "panic", 5)
    assert ctl("alarm", "reset", str(ALARM), who="operator").code == 1
    assert ctl("alarm", "ack", "ffff", who="operator").code == 1
    assert ctl("alarm", "ack", str(ALARM)).code == 4


# coverage -------------------------------------------------------------------------------------------------------------


def test_the_institution_that_is_not_connected_is_listed_first(ctl: Command) -> None:
    found = ctl("coverage", "show")
    assert found.code == 0
    assert "未接入 not connected: 1" in found.out
    assert found.out.index("DEMO-140405-001") < found.out.index("demo-center")
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80
    document = json.loads(ctl("coverage", "show", "--json").out)
    assert [row["connected"] for row in document["items"]] == [False, True, True, True]


def test_the_coverage_of_one_institution_is_shown(ctl: Command) -> None:
    assert "demo-home" in ctl("coverage", "show", "demo-home").out
    assert ctl("coverage", "show", "nobody").code == 1
    known = ("--known-at", "2025-03-31T00:00:00Z")
    assert "demo-home" in ctl("coverage", "show", "demo-home", *known).out
    assert "2025-03-30" in ctl("coverage", "show", "demo-home", "--at", "2025-03-30T00:00:00Z", *known, "--json").out
    assert ctl("coverage", "show", *known).code == 2, "a past time is asked of one institution"
    assert ctl("coverage", "show", "demo-home", "--at", "2025-04-01T00:00:00Z", *known).code == 2
    assert "known otherwise now: 0" in ctl("coverage", "changes", "demo-home", *known).out
    assert ctl("coverage", "changes", "nobody", *known).code == 1
    assert "demo-home" in ctl("coverage", "fire-risk").out
    explained = ctl("coverage", "fire-risk", "demo-home").out
    assert "Internal parameters" in explained
    assert max(cell_len(line) for line in explained.splitlines()) <= 80
    assert ctl("coverage", "fire-risk", "nobody").code == 1


def test_what_if_is_read_in_eighty_columns_and_a_pack_is_tried_from_a_file(
    ctl: Command, server: Server, tmp_path: Path
) -> None:
    with contextlib.closing(Register(server.database)) as register:
        for partition in range(8):
            register.listen(partition)
        server.rows(
            "update device_state set admin_state = 'in_service', link_state = 'online', function_state = 'ok', last_heard_at = now()"
        )
        server.rows(
            "update device_state set function_state = 'failed' where device = (select key from device where id = 'center-cam-reception')"
        )
        pack = tmp_path / "next.yaml"
        pack.write_text(PACK, "utf-8")
        for arguments, said in (
            (("what-if", "demo-center", "losses"), ["switch:center-switch", "power:center-ups", "交换机"]),
            (("what-if", "demo-center", "missing"), ["合计 Altogether", "center-cam-reception", "故障", "视频监控"]),
            (("what-if", "demo-center", "rules"), ["判定不变"]),
            (
                ("what-if", "demo-home", "rules", "--at", "2099-09-01", "--pack", pack),
                ["tried-two-cameras", "无此规则"],
            ),
            (("turns", "--at", "2099-09-01", "--pack", pack), ["tried-two-cameras", "demo-home", "→ 不合规"]),
        ):
            found = ctl("coverage", *arguments)
            assert (found.code, found.err) == (0, ""), found
            assert max(cell_len(line) for line in found.out.splitlines()) <= 80, found.out
            assert [words for words in said if words not in found.out] == [], found.out
        assert json.loads(ctl("coverage", "turns", "--json").out)["turned"] == 0
        assert "不生效" in ctl("coverage", "what-if", "demo-home", "rules", "--pack", pack).err
        pack.write_text(PACK.replace(", n: 2", ", n: 0"), "utf-8")
        bad = ctl("coverage", "turns", "--pack", pack)
        assert (bad.code, "requirement.at_least.n" in bad.err) == (2, True)
        assert ctl("coverage", "turns", "--pack", tmp_path / "none").code == 2
        assert ctl("coverage", "what-if", "demo-home", "missing", "--at", "2099-09-01").code == 2


# bundles --------------------------------------------------------------------------------------------------------------


def test_a_bundle_is_written_for_its_owner_alone_and_the_edge_can_read_it(
    ctl: Command, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "edge.json"
    found = ctl("bundle", "center-edge", "-o", path)
    assert (found.code, found.err) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    bundle = read_bundle(path)
    assert (bundle.edge, bundle.institution, bundle.beat) == ("center-edge", "demo-center", 2_000_000)
    assert sorted(device.id for endpoint in bundle.endpoints for device in endpoint.devices)[:2] == [
        "center-back-door",
        "center-button",
    ]
    (stored,) = server.rows("select password_hash from client where name = 'center-edge'")
    salt = stored[0].split("$")[3]
    assert stored[0] == mosquitto_hash(bundle.broker.password.get_secret_value(), _decoded(salt))
    assert bundle.broker.password.get_secret_value() not in found.out


def _decoded(salt: str) -> bytes:
    import base64

    return base64.b64decode(salt)


def test_a_second_bundle_ends_the_first_and_overwrites_nothing_unasked(
    ctl: Command, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "edge.json"
    ctl("bundle", "home-edge", "-o", path)
    first = server.rows("select password_hash from client where name = 'home-edge'")
    assert ctl("bundle", "home-edge", "-o", path).code == 2
    assert server.rows("select password_hash from client where name = 'home-edge'") == first
    assert ctl("bundle", "home-edge", "-o", path, "--force").code == 0
    assert server.rows("select password_hash from client where name = 'home-edge'") != first


def test_no_bundle_for_a_device_or_for_another_ones_edge(ctl: Command, tmp_path: Path) -> None:
    assert ctl("bundle", "home-cam", "-o", tmp_path / "x").code == 1
    assert ctl("bundle", "home-edge", "-o", tmp_path / "x", who="stranger").code == 1
    assert ctl("bundle", "home-edge", "-o", tmp_path / "x", who="operator").code == 4
    assert ctl("bundle", "home-edge", "-o", tmp_path / "no" / "x").code == 2
    assert list(tmp_path.iterdir()) == []


# edges ----------------------------------------------------------------------------------------------------------------


def test_the_list_of_edges_tells_what_is_wanted_what_runs_and_why_not_in_eighty_columns(
    ctl: Command, server: Server, tmp_path: Path
) -> None:
    ctl("bundle", "center-edge", "-o", tmp_path / "edge.json")
    assert read_bundle(tmp_path / "edge.json").configuration == 1
    server.rows(
        """with s as (insert into series (device, point) select key, p from device,
                      unnest(array['config_version', 'config_refused', 'config_reason']) p where id = 'center-edge' returning key, point)
           insert into point_state
           select key, now(), now(), case point when 'config_version' then 1 when 'config_refused' then 2 end,
                  case point when 'config_reason' then 'endpoint ''io'' did not come up again within 120 s' end, 0, now(), now() from s"""
    )
    found = ctl("edge", "list")
    assert found.code == 0
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80
    (line,) = [line for line in found.out.splitlines() if line.startswith("center-edge ")]
    assert "current" in line
    assert "拒绝了版本 refused 2: endpoint 'io' did not come up" in " ".join(found.out.split())
    again = ctl("edge", "again", "center-edge")
    assert (again.code, again.out.split()[-1]) == (0, "3"), "above what the edge has spoken of"
    rows = json.loads(ctl("edge", "list", "--institution", "demo-center", "--json").out)
    assert [(row["id"], row["state"], row["wanted"], row["running"]) for row in rows] == [
        ("center-edge", "pending", 3, 1)
    ]
    assert ctl("edge", "again", "nobody").code == 1
