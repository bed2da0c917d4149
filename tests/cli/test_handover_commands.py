"""`anxinctl authority` and the handing over of alarms, against the real API."""

from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.conftest import Command, Ground, Server
from tests.cli.test_devices_alarms_coverage import ALARM, OTHER, add_alarm
from tests.paging import SECRET

FILE = """
kind: police
title: {zh: 城区公安分局, en: City police}
division: "%s"
phone: "110"
channels:
  - id: desk
    kind: webhook
    settings: {url: "${env:ANXIN_POLICE_URL}", secret: "${env:ANXIN_POLICE_SECRET}"}
"""


@pytest.fixture
def ground(demo_ground: Ground) -> Ground:
    """The demo's city, applied."""
    return demo_ground


@pytest.fixture
def police(ctl: Command, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An authority and two alarms: a real one and a drill's."""
    monkeypatch.setenv("ANXIN_POLICE_URL", "https://police.example/hidden-token")
    monkeypatch.setenv("ANXIN_POLICE_SECRET", SECRET)
    ((device, division),) = server.rows(
        "select d.id, i.division from device d join institution i on i.key = d.institution where d.kind = 'panic_button' order by d.id limit 1"
    )
    file = tmp_path / "police.yaml"
    file.write_text(FILE % division[:4])
    done = ctl("authority", "put", "police-x", "-f", file, who="admin")
    assert done.code == 0, done
    assert "hidden-token" not in done.out
    add_alarm(server, ALARM, device, "panic", 5)
    return str(device)


def test_an_operator_hands_over_and_writes_down_reception_and_arrival(
    ctl: Command, server: Server, police: str
) -> None:
    listed = ctl("authority", "list")
    assert "police-x" in listed.out
    assert "110" in listed.out
    begun = ctl("alarm", "hand-over", str(ALARM)[:8], "police-x", "-m", "有人闯入", who="operator")
    assert begun.code == 0, begun
    assert "110" in begun.out
    assert "not verified yet" in begun.out
    taken = ctl(
        "alarm", "received", str(ALARM), "police-x", "--by", "接警台 3 号", "--reference", "JJ-118", who="operator"
    )
    assert taken.code == 0, taken
    assert "接警台 3 号 (JJ-118)" in taken.out
    assert ctl("alarm", "received", str(ALARM), "police-x", "--by", "again", who="operator").code == 1
    assert ctl("alarm", "arrived", str(ALARM), "police-x", who="operator").code == 0
    assert server.rows("select received_by, arrived_at is not null from handover") == [("接警台 3 号", True)]
    assert ctl("authority", "retire", "police-x", who="admin").code == 0
    assert "没有接警单位" in ctl("authority", "list").out


def test_an_exercise_is_refused_and_a_file_that_is_none_is_named(
    ctl: Command, server: Server, police: str, tmp_path: Path
) -> None:
    server.rows(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at,"
        " exercise) select %s, device, institution, definition, 'drill', signal_class, priority, state, latching, now(), now(), 'drill'"
        " from alarm where id = %s",
        [UUID(str(OTHER)), ALARM],
    )
    refused = ctl("alarm", "hand-over", str(OTHER), "police-x", who="operator")
    assert refused.code == 1
    assert "exercise" in refused.err
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: police\nkind: fire\n")
    said = ctl("authority", "put", "police-y", "-f", bad, who="admin")
    assert said.code == 2
    assert "bad.yaml" in said.err
