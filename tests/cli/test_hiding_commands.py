"""`anxinctl alarm shelve …`, `maintenance …` and `armed …` against the real API."""

import json

import pytest

from tests.cli.conftest import Command, Ground, Server
from tests.cli.test_devices_alarms_coverage import ALARM, add_alarm


@pytest.fixture
def ground(demo_ground: Ground) -> Ground:
    """The demo's city, applied."""
    return demo_ground


@pytest.fixture
def place(server: Server) -> str:
    """A press that stands; its institution."""
    ((device, institution),) = server.rows(
        "select d.id, i.id from device d join institution i on i.key = d.institution where d.kind = 'panic_button' order by d.id limit 1"
    )
    add_alarm(server, ALARM, device, "panic", 5)
    return str(institution)


def test_an_alarm_is_shelved_by_two_and_closed_when_it_is_over(ctl: Command, server: Server, place: str) -> None:
    short = str(ALARM)[:8]
    asked = ctl("alarm", "shelve", short, "--for", "20m", "--reason", "误触", who="operator")
    assert (asked.code, "second person" in asked.out) == (0, True), asked
    assert ctl("alarm", "agree", short, who="operator").code == 1
    agreed = ctl("alarm", "agree", short, who="admin")
    assert (agreed.code, "shelved" in agreed.out) == (0, True), agreed
    assert ctl("alarm", "unshelve", short, who="operator").code == 0
    assert ctl("alarm", "shelve", short, "--for", "2 hours", "--reason", "x", who="operator").code == 2
    assert ctl("alarm", "close", short, who="operator").code == 1
    server.rows("update alarm set state = 'normal', ended_at = now() where id = %s", [ALARM])
    assert ctl("alarm", "disposition", short, "false", "-m", "孩子按的", who="operator").code == 0
    assert ctl("alarm", "note", short, "已告知园长", who="operator").code == 0
    assert ctl("alarm", "close", short, who="operator").code == 0
    assert server.rows("select disposition, closed_at is not null from alarm where id = %s", [ALARM]) == [
        ("false", True)
    ]


def test_a_window_is_booked_listed_and_ended(ctl: Command, place: str) -> None:
    booked = ctl("maintenance", "book", place, "--for", "3h", "--reason", "换锅炉", who="operator")
    assert booked.code == 0, booked
    listed = json.loads(ctl("maintenance", "list", "--json").out)
    assert [(row["institution"], row["reason"], row["holds"]) for row in listed] == [(place, "换锅炉", 0)]
    assert "换锅炉" in ctl("maintenance", "list").out
    assert ctl("maintenance", "end", listed[0]["id"][:8], who="operator").code == 0
    assert "没有维护窗口" in ctl("maintenance", "list").out
    assert ctl("maintenance", "end", "00000000", who="operator").code == 1


def test_an_institution_is_armed_and_disarmed_for_a_while(ctl: Command, place: str) -> None:
    assert "auto" in ctl("armed", "show", place).out
    assert ctl("armed", "say", place, "disarmed", who="operator").code == 2
    done = ctl("armed", "say", place, "disarmed", "--for", "2h", "--reason", "亲子活动", who="operator")
    assert (done.code, "否 no" in done.out) == (0, True), done
    assert json.loads(ctl("armed", "show", place, "--json").out)["mode"] == "disarmed"
