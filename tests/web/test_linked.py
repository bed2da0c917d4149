"""Signed links: opening shows, only the button acts, and only for as long as the link holds."""

import asyncio
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx

from hub.core.links import LIFETIME, sign
from tests.api import seed
from tests.web.conftest import Console, Visitor


async def link(console: Console, notification: UUID | None = None, ahead: timedelta = LIFETIME) -> str:
    ((key,),) = await console.rows("select key from link_key")
    if notification is None:
        ((notification,),) = await console.rows("select id from notification where alarm = %s", console.city.a.alarm)
    return sign(bytes(key), notification, int((seed.at(3600) + ahead).timestamp()))


async def everything(console: Console) -> list[object]:
    """All that an acknowledgement would change."""
    return [
        await console.rows(f"select * from {table} order by 1, 2")
        for table in (
            "alarm",
            "alarm_transition",
            "escalation",
            "escalation_step",
            "notification",
            "audit",
            "change",
            "web_session",
        )
    ]


async def press(visitor: Visitor, path: str, origin: str = "http://hub") -> httpx.Response:
    head = {"content-type": "application/x-www-form-urlencoded", "origin": origin}
    return await visitor.http.post(path, content=urlencode({}), headers=head)


async def test_opening_a_link_shows_the_alarm_and_changes_nothing_however_often(console: Console) -> None:
    path = await link(console)
    before = await everything(console)
    async with console.visitor() as visitor:
        for method in ("GET", "HEAD", "GET", "OPTIONS", "PUT", "DELETE", "PATCH"):
            answer = await visitor.http.request(method, path)
            assert answer.status_code == (200 if method in ("GET", "HEAD") else 405), method
        page = (await visitor.http.get(path, headers={"user-agent": "a mail scanner", "x-purpose": "preview"})).text
        for query in ("?acknowledge=1", "?_method=POST", "/"):
            await visitor.http.get(path + query)
    assert await everything(console) == before
    assert "紧急按钮" in page
    assert "去看" in page
    assert "打开本页不会接警" in page
    for kept_back in ("a-button", "operator of a", "hook", "secret-of", "data-act", "a-policy", "transition"):
        assert kept_back not in page


async def test_the_button_acknowledges_for_the_named_responder_and_whoever_opens_it_later_reads_that_it_is_done(
    console: Console,
) -> None:
    path = await link(console)
    async with console.visitor() as visitor:
        answer = await press(visitor, path)
        assert answer.status_code == 200
        assert "已接警" in answer.text
        ((owner, state),) = await console.rows(
            "select acknowledged_by, state from alarm where id = %s", console.city.a.alarm
        )
        assert (owner, state) == ("值班 [a-duty]", "ack_active")
        ((actor, detail),) = await console.rows("select actor, detail from audit where action = 'alarm.acknowledge'")
        assert actor == "值班 [a-duty]"
        assert detail["by"] == "link"
        assert "set-cookie" not in answer.headers
        again = await press(visitor, path)
        assert "已由 值班 [a-duty] 于" in again.text
        assert "<button" not in again.text.split("<main")[1].split("</main>")[0]
        assert "已有人接警" in (await visitor.http.get(path)).text
        assert 'id="others"' not in again.text
        await console.city.conn.execute(
            "insert into digest_alarm select n.id, a.id, 1, 1, 0 from notification n, alarm a where n.alarm = %s",
            [console.city.a.alarm],
        )
        ((more,),) = await console.rows("select count(*) - 1 from alarm")
        assert more > 0
        assert f"另外 {more} 条告警" in (await visitor.http.get(path)).text, (
            "a message of many alarms does not look like one of this alone"
        )
        await console.city.conn.execute("update alarm set state = 'normal', ended_at = now()")
        assert "不必接警" in (await visitor.http.get(path)).text
    assert len(await console.rows("select * from audit where action = 'alarm.acknowledge'")) == 1


async def test_a_link_and_a_console_that_press_at_once_make_one_owner(console: Console) -> None:
    path = await link(console)
    async with console.visitor("operator") as one, console.visitor(address="10.0.0.9") as two:
        await asyncio.gather(one.post(f"/console/alarms/{console.city.a.alarm}/acknowledge"), press(two, path))
    assert len(await console.rows("select * from audit where action = 'alarm.acknowledge'")) == 1


async def test_a_link_that_expired_was_changed_or_is_not_ours_shows_and_does_nothing(console: Console) -> None:
    path = await link(console)
    expired = await link(console, ahead=timedelta(seconds=-1))
    before = await everything(console)
    async with console.visitor() as visitor:
        for wrong in (
            expired,
            path[:-3] + "AAA",
            path.replace("/n/", "/n/A"),
            "/n/a/b/c",
            "/n/%00/1/x",
            f"/n/{'x' * 500}/1/x",
        ):
            for answer in (await visitor.http.get(wrong), await press(visitor, wrong)):
                assert answer.status_code in (404, 422, 429), wrong
                assert "紧急按钮" not in answer.text
    async with console.visitor(address="10.0.0.3") as visitor:
        assert (await press(visitor, path, "https://evil.example")).status_code == 403
    assert await everything(console) == before


async def test_guessing_links_is_slowed_down(console: Console) -> None:
    async with console.visitor() as visitor:
        codes = [(await visitor.http.get(f"/n/{'A' * 22}/6b000000/{'A' * 22}")).status_code for _ in range(12)]
        assert codes == [404] * 10 + [429] * 2
        # a phone behind the same address whose link holds is not made to wait
        assert (await press(visitor, await link(console))).status_code == 200


async def test_a_link_opens_nothing_else_in_the_console(console: Console) -> None:
    path = await link(console)
    async with console.visitor() as visitor:
        await visitor.http.get(path)
        assert (await visitor.http.get(f"/console/alarms/{console.city.a.alarm}")).status_code == 303
        assert (await visitor.http.get("/console/institutions/a-home")).status_code == 303


async def test_a_retired_responders_link_shows_and_does_not_act(console: Console) -> None:
    path = await link(console)
    await console.city.conn.execute("update responder set retired_at = now()")
    async with console.visitor() as visitor:
        assert "link.acknowledge" not in (await visitor.http.get(path)).text
        assert (await press(visitor, path)).status_code == 403
    ((state,),) = await console.rows("select state from alarm where id = %s", console.city.a.alarm)
    assert state == "unack_active"


async def test_a_notice_that_the_hub_has_not_recorded_yet_says_so(console: Console) -> None:
    async with console.visitor() as visitor:
        answer = await visitor.http.get(await link(console, uuid4()))
        assert answer.status_code == 404
        assert "正在补记" in answer.text
