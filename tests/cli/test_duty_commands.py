"""`anxinctl duty, handover, calendar` and `policy check`, against the real API and the demo's city."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rich.cells import cell_len

from hub.calendars import load_calendars
from hub.config import data_folder
from hub.runtime.duty_watch import DutyWatch
from tests.cli.conftest import DEMO, Command, Server
from tests.cli.test_devices_alarms_coverage import ALARM, OTHER, add_alarm

CALENDARS = data_folder("calendars")
TWO = """
responders:
  - {id: ada, title: {zh: 甲岗, en: Ada}, channels: [{id: mail, kind: smtp, settings: %(smtp)s}]}
  - {id: bo, title: {zh: 乙岗, en: Bo}, channels: [{id: mail, kind: smtp, settings: %(smtp)s}]}
rotas:
  - id: county
    title: {zh: 区值班表, en: District watch}
    division: "140403"
    shifts:
      - {id: day, starts: "08:00", ends: "20:00", responders: [ada, bo], since: "2026-01-01"}
      - {id: night, starts: "20:00", ends: "%(night)s", responders: [bo, ada], since: "2026-01-01"}
policies:
  - id: county-fault
    title: {zh: 区故障, en: District faults}
    division: "140403"
    signal_classes: [fault]
    priorities: [high]
    round_every: 1h
    steps: [{rota: county}]
""".replace(
    "%(smtp)s", "{host: 127.0.0.1, port: 2525, security: none, sender: hub@demo.invalid, recipients: [a@demo.invalid]}"
)


def soon(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")


@pytest.fixture
def county(ctl: Command, server: Server, tmp_path: Path, environment: dict[str, str]) -> Path:
    """The demo's city and a district with two people who take turns; the district's manifest."""
    file = tmp_path / "county.yaml"
    file.write_text(TWO.replace("%(night)s", "08:00"), "utf-8")
    done = ctl("apply", "-f", DEMO / "demo", "-f", file, "--yes")
    assert done.code == 0, done
    assert "county" in done.out, "a new rota is part of the plan that one looks at"
    return file


async def _checked(server: Server) -> None:
    watch = DutyWatch(server.database, {}, load_calendars([CALENDARS]), poll_seconds=0.05)
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(20):
        await watch.looked.wait()
    task.cancel()
    await asyncio.wait([task])


def narrow(text: str) -> None:
    assert [line for line in text.splitlines() if cell_len(line) > 80] == []


def test_who_is_on_duty_at_an_instant(ctl: Command, county: Path) -> None:
    day = ctl("duty", "show", "county", "--at", "2026-10-01T12:00+08:00", who="operator")
    assert day.code == 0, day
    assert "乙岗 (bo)" in day.out, "274 days after the first turn of Ada it is Bo's"
    night = ctl("duty", "show", "--at", "2026-10-01T03:10+08:00", who="operator")
    assert "区值班表" in night.out
    assert "city-watch" in night.out
    narrow(day.out + night.out)
    assert ctl("duty", "show", "nowhere").code == 1


def test_a_policy_that_would_reach_nobody_is_refused_with_the_hours(ctl: Command, server: Server, county: Path) -> None:
    bad = county.with_name("bad.yaml")
    bad.write_text(TWO.replace("%(night)s", "03:10"), "utf-8")
    for command in (("policy", "check", "-f", bad), ("apply", "-f", bad, "--yes")):
        refused = ctl(*command)
        assert refused.code in (1, 2), refused
        assert "03:10–08:00: fault in division 140403 (policy county-fault) reaches nobody" in refused.out + refused.err
        assert "bad.yaml:" in refused.out + refused.err
    assert server.rows("select ends from rota_shift where rota = 'county' and id = 'night'") == [(480,)]
    fine = ctl("policy", "check", "-f", county)
    assert fine.code == 0, fine


def test_a_swap_is_entered_listed_and_cancelled_and_one_that_leaves_a_hole_is_refused(
    ctl: Command, server: Server, county: Path
) -> None:
    times = ("--from", soon(1), "--to", soon(30), "-m", "ill")
    for name in ("ada", "bo"):
        hole = ctl("duty", "swap", "county", "--absent", name, *times, who="operator")
        assert hole.code == 2, hole
        assert "fault in division 140403 (policy county-fault) reaches nobody" in hole.err
    assert ctl("duty", "swap", "county", "--absent", "ada", "--present", "bo", *times).code == 4, "an installer may not"
    done = ctl("duty", "swap", "county", "--absent", "ada", "--present", "bo", *times, who="operator")
    assert done.code == 0, done
    narrow(done.out)
    ((key, reason, by),) = server.rows("select id::text, reason, made_by from rota_override")
    assert (reason, by) == ("ill", "测试 operator")
    assert key[:8] in ctl("duty", "swaps", "county").out
    assert ctl("duty", "unswap", "county", key[:8], who="operator").code == 0
    assert ctl("duty", "unswap", "county", key[:8], who="operator").code == 1
    assert "cancelled" in ctl("duty", "swaps", "county").out
    actions = [row[0] for row in server.rows("select action from audit where target = 'rota:county' order by key")]
    assert actions == ["rota.override", "rota.override-cancel"]
    assert server.rows("select count(*) from change where kind = 'duty'") == [(2,)]


def test_a_handover_note_holds_the_alarms_that_stand_open_at_that_instant(
    ctl: Command, server: Server, county: Path
) -> None:
    ((device,),) = server.rows(
        "select d.id from device d join institution i on i.key = d.institution"
        " where d.kind = 'panic_button' and starts_with(i.division, '140403') order by 1 limit 1"
    )
    add_alarm(server, OTHER, device, "panic", 6)
    server.rows("update alarm set state = 'normal', ended_at = now() where id = %s", [OTHER])
    add_alarm(server, ALARM, device, "panic", 5)
    given = ("county", "--giver", "ada", "--taker", "bo", "-m", "南门门禁待修")
    done = ctl("handover", "write", *given, who="operator")
    assert done.code == 0, done
    server.rows("update alarm set state = 'normal', ended_at = now() where id = %s", [ALARM])
    listed = ctl("handover", "list", "county").out
    assert "ada → bo" in listed
    assert "南门门禁待修" in listed
    assert str(ALARM)[:8] in listed
    assert str(OTHER)[:8] not in listed
    assert server.rows("select alarm_count from duty_handover") == [(1,)]
    narrow(listed)
    assert ctl("handover", "write", *given).code == 4, "an installer may not"
    for wrong in (("--giver", "ada", "--taker", "ada"), ("--giver", "ada", "--taker", "ghost")):
        assert ctl("handover", "write", "county", *wrong, who="operator").code == 2


def test_a_year_is_imported_once_and_one_that_opens_a_hole_is_refused(
    ctl: Command, server: Server, county: Path, tmp_path: Path
) -> None:
    done = ctl("calendar", "import", CALENDARS / "cn-2026.yaml")
    assert done.code == 0, done
    again = ctl("calendar", "import", CALENDARS / "cn-2026.yaml")
    assert again.code == 0, again
    assert server.rows("select version from calendar_year where year = 2026") == [(1,)]
    listed = ctl("calendar", "list").out
    assert "国办发明电〔2025〕7号" in listed.replace("\n", "").replace(" ", "")
    narrow(listed)
    working = county.with_name("working.yaml")
    text = TWO.replace("%(night)s", "08:00").replace(
        'since: "2026-01-01"}', 'since: "2026-01-01", days: [workday, weekend]}'
    )
    working.write_text(text, "utf-8")
    next_year = datetime.now(UTC).year + 1
    refused = ctl("apply", "-f", working, "--yes")
    if refused.code == 0:  # no holiday of a known year lies ahead: the import of one is what is refused
        assert f"days off and made-up working days of {next_year} are not known" in refused.out + refused.err
    off = tmp_path / "year.yaml"
    off.write_text(
        f"year: {next_year}\nnotice: 假日\nholidays:\n"
        f'  - {{title: {{zh: 元旦, en: New Year}}, first: "{next_year}-01-01", last: "{next_year}-01-01"}}\n',
        "utf-8",
    )
    hole = ctl("calendar", "import", off)
    if refused.code == 0:
        assert hole.code == 2, hole
        assert "reaches nobody" in hole.err
    bad = tmp_path / "bad.yaml"
    bad.write_text("notice: x\n", "utf-8")
    assert ctl("calendar", "import", bad).code == 2
    assert ctl("calendar", "import", CALENDARS / "cn-2025.yaml", who="operator").code == 4


def test_the_last_check_is_shown_and_nobody_having_looked_is_a_failure(
    ctl: Command, server: Server, county: Path
) -> None:
    never = ctl("policy", "check")
    assert never.code == 1
    assert "overdue" in never.out
    asyncio.run(_checked(server))
    fine = ctl("policy", "check")
    assert fine.code == 0, fine
    assert "current" in fine.out
    server.rows("update responder_channel set retired_at = now() where responder = 'bo'")
    server.rows("update responder set version = version + 1 where id = 'bo'")
    assert "changed since" in ctl("policy", "check").out
    asyncio.run(_checked(server))
    hole = ctl("policy", "check")
    assert hole.code == 1
    assert "(policy county-fault) reaches nobody" in hole.out


def test_what_lies_beyond_the_scope_is_not_seen_and_not_touched(server: Server, ctl: Command, county: Path) -> None:
    headers = {"Authorization": f"Bearer {server.tokens['stranger']}"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers) as stranger:
        assert [row["id"] for row in stranger.get("/rotas").json()] == []
        for path in ("/rotas/county", "/rotas/county/overrides", "/rotas/county/handovers"):
            assert stranger.get(path).status_code == 404
        assert stranger.get("/policies/check").json()["findings"] == []
        theirs = {"id": "county", "title": {"zh": "x", "en": "x"}, "division": "15", "shifts": []}
        assert stranger.put("/rotas/county", json=theirs).status_code == 422
        year = {"year": 2027, "notice": "x", "holidays": []}
        assert stranger.put("/calendars/2027", json=year).status_code == 403


def test_rotas_responders_and_policies_are_made_one_at_a_time_too(server: Server, county: Path) -> None:
    headers = {"Authorization": f"Bearer {server.tokens['installer']}"}
    title = {"zh": "丙岗", "en": "Chen"}
    shift = {"id": "all", "starts": "00:00", "ends": "00:00", "responders": ["chen"], "since": "2026-01-01"}
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=30) as hub:
        made = hub.put("/responders/chen", json={"id": "chen", "title": title})
        assert made.json()["applied"], made.text
        listed = {row["id"]: row for row in hub.get("/responders").json()}
        assert (listed["chen"]["channels"], listed["duty-room"]["manned"]) == ([], True)
        assert [channel["kind"] for channel in listed["ada"]["channels"]] == ["smtp"]
        assert "demo.invalid" not in hub.get("/responders").text
        rota = {"id": "spare", "title": title, "division": "140403", "shifts": [shift]}
        assert hub.put("/rotas/spare", json=rota).status_code == 200
        assert hub.put("/rotas/other", json=rota).status_code == 422
        policy = {"id": "spare", "title": title, "signal_classes": ["clock"], "round_every": "1h"}
        silent = hub.put("/policies/spare", json={**policy, "steps": [{"rota": "spare"}]})
        assert silent.status_code == 422, "Chen has no channel"
        assert "reaches nobody" in silent.text
        now = "2026-12-01T00:00:00Z"
        watches = hub.get("/rotas/county/watches", params={"start": now, "end": "2026-12-02T00:00:00Z"}).json()
        assert [watch["responders"] for watch in watches][:1] in (["ada"], ["bo"], [["ada"]], [["bo"]])
        assert (watches[0]["start"], watches[-1]["end"]) == (
            "2026-12-01T00:00:00.000000Z",
            "2026-12-02T00:00:00.000000Z",
        )
        assert hub.get("/rotas/county/watches", params={"start": now, "end": now}).status_code == 422
        before = datetime.now(UTC).isoformat()
        operator = {"Authorization": f"Bearer {server.tokens['operator']}"}
        told = {"giver": "chen", "taker": "ada", "note": "quiet"}
        note = hub.post("/rotas/spare/handovers", json=told, headers=operator).json()
        assert note["shift"] == "all"
        assert (
            note["watch_starts_at"] < note["at"]
        )  # in the first hour of a day it is yesterday's watch that is handed over
        changed = {**rota, "shifts": [{**shift, "id": "other", "responders": ["ada"]}]}
        assert hub.put("/rotas/spare", json=changed).status_code == 200
        assert [one["id"] for one in hub.get("/rotas/spare").json()["on_duty"]] == ["ada"]
        then = hub.get("/rotas/spare", params={"at": before}).json()
        assert ([one["id"] for one in then["on_duty"]], then["shifts"][0]["id"]) == (["chen"], "all"), "the past stays"
        editions = hub.get("/rotas/spare/editions").json()
        assert [(one["edition"], one["shifts"][0]["id"], one["saved_by"]) for one in editions] == [
            (2, "other", "测试 installer"),
            (1, "all", "测试 installer"),
        ]
        assert hub.get("/rotas/spare/handovers").json()["items"][0]["shift"] == "all", "the note stays with its watch"
        assert hub.put("/rotas/spare", json={**rota, "retired": True}).status_code == 200
        assert hub.get("/rotas/spare").status_code == 404
