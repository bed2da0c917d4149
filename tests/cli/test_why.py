"""`anxinctl alarm why` and `noise` against the real API."""

import json
from uuid import UUID

import pytest
from rich.cells import cell_len

from tests.cli.conftest import Command, Ground, Server
from tests.cli.test_devices_alarms_coverage import add_alarm

ALARM = UUID("0e0c7f3a-0000-4000-8000-000000000001")


@pytest.fixture
def ground(demo_ground: Ground) -> Ground:
    """The demo's city, applied."""
    return demo_ground


@pytest.fixture(autouse=True)
def city(server: Server) -> None:
    """A press that nobody covers."""
    add_alarm(server, ALARM, "center-button", "panic", 120)
    server.rows(
        "insert into alarm_transition (alarm, n, event, from_state, to_state, at)"
        " select id, 1, 'raise', 'normal', 'unack_active', raised_at from alarm"
    )


def test_why_nobody_was_told_is_said_within_eighty_columns(ctl: Command) -> None:
    found = ctl("alarm", "why", "0e0c7f3a")
    assert (found.code, found.err) == (0, "")
    assert max(cell_len(line) for line in found.out.splitlines()) <= 80
    assert found.out.splitlines()[0]
    assert "产生" in found.out
    told = json.loads(ctl("alarm", "why", str(ALARM), "--json").out)
    assert (told["state"], told["paged"]) == ("unack_active", False)
    assert told["conclusion"]["text"]["en"] in found.out.replace("\n", " ")


def test_before_it_was_raised_it_was_not(ctl: Command) -> None:
    told = json.loads(ctl("alarm", "why", str(ALARM), "--at", "2026-01-01T00:00:00+08:00", "--json").out)
    assert (told["state"], told["conclusion"]["kind"]) == ("none", "not_raised")
    assert ctl("alarm", "why", str(ALARM), "--at", "yesterday").code == 2


def test_the_noise_of_the_last_day_is_shown(ctl: Command) -> None:
    found = ctl("alarm", "noise")
    assert (found.code, found.err) == (0, "")
    assert "告警 Alarms" in found.out
    assert json.loads(ctl("alarm", "noise", "--json").out)["alarms"] == 1
    assert json.loads(ctl("alarm", "noise", "duty-room", "--json").out)["alarms"] == 0
