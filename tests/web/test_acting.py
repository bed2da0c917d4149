"""What a person does in the console: one of two is first, roles are held, and everything is written down."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

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
        assert "请用其中的链接接警；其余请用电话确认" in answer.text
        assert (await visitor.http.get("/console/", headers={"x-console": "1"})).json()["zh"]


async def _stand(console: Console, **columns: object) -> None:
    for name, value in columns.items():
        await console.city.conn.execute(
            f"update alarm set {name} = %s, version = version + 1 where id = %s".encode(), [value, console.city.a.alarm]
        )


async def test_an_alarm_gets_its_disposition_and_is_closed_after_it_ended(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    async with console.visitor("operator") as visitor:
        assert (await visitor.post(f"{path}/dispose", {"disposition": "maybe"}, **SCRIPT)).status_code == 422
        assert (
            await visitor.post(f"{path}/dispose", {"disposition": "nuisance", "note": "误碰"}, **SCRIPT)
        ).status_code == 200
        refused = await visitor.post(f"{path}/close", **SCRIPT)
        assert refused.status_code == 409
        assert "先接警" in refused.json()["zh"]
        await visitor.post(f"{path}/acknowledge", **SCRIPT)
        await _stand(console, state="latched_ack")
        await visitor.post(f"{path}/reset", **SCRIPT)
        assert 'data-act="close"' in (await visitor.http.get(path)).text
        assert (await visitor.post(f"{path}/close", {"note": "办结"}, **SCRIPT)).status_code == 200
        page = (await visitor.http.get(path)).text
        assert "扰报" in page
        assert 'data-act="dispose"' not in page
        refused = await visitor.post(f"{path}/dispose", {"disposition": "true"}, **SCRIPT)
        assert "已经办结" in refused.json()["zh"]
    (row,) = await console.rows(
        "select disposition, disposition_by, closed_by from alarm where id = %s", console.city.a.alarm
    )
    assert row == ("nuisance", "holder of all000000002", "holder of all000000002")


async def test_a_panic_is_shelved_only_by_two_people_and_the_page_says_who_asked(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    asked = {"hours": "1", "reason": "按钮卡住，已派人"}
    async with (
        console.visitor("operator") as one,
        console.visitor("operator-a") as two,
        console.visitor("regulator") as three,
    ):
        assert (await two.post(f"{path}/agree", **SCRIPT)).status_code == 409
        for wrong in ({"hours": "8"}, {"hours": "0"}, {"hours": "99"}, {"hours": "x"}, {"reason": " "}):
            assert (await one.post(f"{path}/shelve", {**asked, **wrong}, **SCRIPT)).status_code == 422, wrong
        answer = await one.post(f"{path}/shelve", asked, **SCRIPT)
        assert answer.status_code == 200
        assert "尚未搁置" in answer.json()["zh"]
        assert await console.rows("select count(*) from alarm where shelved_until is not null") == [(0,)]
        assert 'data-act="agree"' not in (await one.http.get(path)).text
        assert (await one.post(f"{path}/agree", **SCRIPT)).status_code == 409
        assert (await three.post(f"{path}/agree", **SCRIPT)).status_code == 403
        page = (await two.http.get(path)).text
        assert 'data-act="agree"' in page
        assert "按钮卡住，已派人" in page
        assert (await two.post(f"{path}/agree", **SCRIPT)).status_code == 200
        ((by, second),) = await console.rows(
            "select shelved_by, shelved_with from alarm where id = %s", console.city.a.alarm
        )
        assert (by, second) == ("holder of all000000002", "holder of one000000002")
        # the clock of the tests stands in the past: the shelving must reach beyond now to be seen
        await _stand(console, shelved_until=datetime.now(UTC) + timedelta(minutes=30))
        assert "已搁置，不通知" in (await one.http.get(path)).text
        assert (await one.post(f"{path}/unshelve", **SCRIPT)).status_code == 200
    assert await console.rows("select count(*) from alarm where shelved_until is not null") == [(0,)]
    actions = await console.rows("select action from audit where action like %s order by key", "alarm.%")
    assert actions == [("alarm.shelve",), ("alarm.agree",), ("alarm.unshelve",)]


async def test_what_is_hidden_sounds_nowhere_and_stands_below_what_is_not(console: Console) -> None:
    a = console.city.a
    insert = (
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at,"
        " suppressed_by, suppress_reason) values (gen_random_uuid(), %s, %s, 'pressed', 'x', 'communication', 'high', 'unack_active', true,"
        " now(), now(), %s, '运营商故障 <i>')"
    )
    await console.city.conn.execute(insert.encode(), [a.button_key, a.key, a.alarm])
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get("/console/")).text
        root = (await visitor.http.get(f"/console/alarms/{a.alarm}")).text
    first, second = page.split("<article")[1:3]
    assert "data-sounds" in first
    assert "data-sounds" not in second
    assert "已抑制" in second
    assert "运营商故障 &lt;i&gt;" in second
    assert 'data-unowned="1"' in page
    assert "a-button" in root.split('id="children"')[1].split("</section>")[0]


async def test_a_panic_is_handed_over_once_with_who_has_it_there_and_when_they_came(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}"
    await console.city.conn.execute(
        "insert into authority (id, kind, title_zh, title_en, division, phone) values ('police', 'police', '公安', 'Police', '1404', '110')"
    )
    of = {"authority": "police"}
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get(path)).text
        assert 'href="tel:110"' in page
        assert 'data-act="hand-over"' in page
        for _ in range(2):
            assert (await visitor.post(f"{path}/hand-over", {**of, "note": "有人受伤"}, **SCRIPT)).status_code == 200
        assert (await visitor.post(f"{path}/hand-over", {"authority": "nobody"}, **SCRIPT)).status_code == 404
        assert (await visitor.post(f"{path}/handover-received", of, **SCRIPT)).status_code == 422
        received = {**of, "received_by": "接警员 7 号", "reference": "A-12"}
        assert (await visitor.post(f"{path}/handover-received", received, **SCRIPT)).status_code == 200
        assert (await visitor.post(f"{path}/handover-arrived", of, **SCRIPT)).status_code == 200
        page = (await visitor.http.get(path)).text
        for word in ("对方已受理", "接警员 7 号", "A-12", "对方已到场"):
            assert word in page, word
        assert 'data-act="handover-' not in page
    assert await console.rows("select count(*) from handover") == [(1,)]
    assert (
        len(
            await console.rows(
                "select 1 from audit where action like 'alarm.hand%%' and actor = %s", "holder of one000000002"
            )
        )
        == 4
    )


async def test_an_exercise_shows_no_authority_to_hand_it_to_and_the_hub_refuses(console: Console) -> None:
    await console.city.conn.execute(
        "insert into authority (id, kind, title_zh, title_en, division, phone) values ('police', 'police', '公安', 'Police', '1404', '110')"
    )
    drill = uuid4()
    insert = (
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at,"
        " exercise, exercise_id) values (%s, %s, %s, 'pressed', 'd', 'panic', 'critical', 'unack_active', true, now(), now(), 'drill', %s)"
    )
    await console.city.conn.execute(insert.encode(), [drill, console.city.a.button_key, console.city.a.key, uuid4()])
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get(f"/console/alarms/{drill}")).text
        assert "tel:110" not in page
        assert 'data-act="hand-over"' not in page
        answer = await visitor.post(f"/console/alarms/{drill}/hand-over", {"authority": "police"}, **SCRIPT)
        assert answer.status_code == 409
    assert await console.rows("select count(*) from handover") == [(0,)]
