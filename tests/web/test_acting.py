"""What a person does in the console: one of two is first, roles are held, and everything is written down."""

import asyncio

import pytest

from tests.web.conftest import Console

SCRIPT = {"x_console": "1"}


async def test_of_two_who_acknowledge_at_once_one_is_first_and_the_other_reads_who(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}/acknowledge"
    async with console.visitor("operator") as one, console.visitor("operator-a") as two:
        answers = await asyncio.gather(one.post(path, **SCRIPT), two.post(path, **SCRIPT))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    ((owner,),) = await console.rows("select acknowledged_by from alarm where id = %s", console.city.a.alarm)
    (refused,) = (answer.json() for answer in answers if answer.status_code == 409)
    assert owner in refused["zh"]
    assert owner in refused["en"]
    rows = await console.rows("select actor from audit where action = 'alarm.acknowledge'")
    assert rows == [(owner,)]
    ((state,),) = await console.rows("select state from escalation where alarm = %s", console.city.a.alarm)
    assert state == "stopped"


async def test_without_a_script_a_button_leads_back_to_the_alarm(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    async with console.visitor("operator") as visitor:
        answer = await visitor.post(f"{path}/acknowledge")
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        again = await visitor.post(f"{path}/acknowledge")
        assert again.status_code == 409
        assert "holder of all000000002" in again.text


async def test_a_note_is_kept_with_who_and_when(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    async with console.visitor("operator-a") as visitor:
        assert (await visitor.post(f"{path}/note", {"note": " 已到现场 "}, **SCRIPT)).status_code == 200
        assert (await visitor.post(f"{path}/note", {"note": "  "}, **SCRIPT)).status_code == 422
        page = (await visitor.http.get(path)).text
    assert "<q>已到现场</q>" in page
    assert "holder of one000000002" in page


async def test_an_owner_confirms_and_a_latched_alarm_is_reset_after_it_cleared(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    async with console.visitor("operator") as visitor:
        refused = await visitor.post(f"{path}/confirm", **SCRIPT)
        assert refused.status_code == 409
        assert "还没有人接警" in refused.json()["zh"]
        await visitor.post(f"{path}/acknowledge", **SCRIPT)
        assert (await visitor.post(f"{path}/confirm", **SCRIPT)).status_code == 200
        refused = await visitor.post(f"{path}/reset", **SCRIPT)
        assert "触发条件还在" in refused.json()["zh"]
        await console.city.conn.execute(
            "update alarm set state = 'latched_ack', version = version + 1 where ended_at is null"
        )
        assert 'data-act="reset"' in (await visitor.http.get(path)).text
        assert (await visitor.post(f"{path}/reset", {"note": "误碰"}, **SCRIPT)).status_code == 200
        page = (await visitor.http.get(path)).text
        assert 'data-state="normal"' in page
        assert 'data-act="acknowledge"' not in page


@pytest.mark.parametrize("role", ["regulator", "installer", "platform"])
async def test_who_may_not_act_sees_no_button_and_is_refused(console: Console, role: str) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    async with console.visitor(role) as visitor:
        for page in ("/console/", path):
            assert "data-act" not in (await visitor.http.get(page)).text
        for verb in ("acknowledge", "confirm", "reset", "note"):
            assert (await visitor.post(f"{path}/{verb}", {"note": "x"}, **SCRIPT)).status_code == 403


async def test_an_alarm_outside_ones_scope_cannot_be_acted_on(console: Console) -> None:
    async with console.visitor("operator-a") as visitor:
        for verb in ("acknowledge", "note", "nonsense"):
            answer = await visitor.post(f"/console/alarms/{console.city.b.alarm}/{verb}", {"note": "x"}, **SCRIPT)
            assert answer.status_code == 404
        assert (await visitor.post(f"/console/alarms/{console.city.a.alarm}/nonsense", **SCRIPT)).status_code == 404
    assert await console.rows("select count(*) from alarm_transition where alarm = %s", console.city.b.alarm) == [(1,)]


async def test_a_database_that_is_away_is_said_and_not_hidden(console: Console) -> None:
    async with console.visitor("operator") as visitor:
        await console.app.state.services.pool.close()
        answer = await visitor.http.get("/console/")
        assert answer.status_code == 503
        assert "画面不可信" in answer.text
        assert (await visitor.http.get("/console/", headers={"x-console": "1"})).json()["zh"]
