"""The console in a real browser while the database is away: what is pressed then is on the board, and can be taken there."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from hub.engine.browser import Browser as Program
from hub.testing import eventually
from hub.web import rendering
from hub.web.asking import COOKIE
from tests.paging import receiver
from tests.runtime.city import client, rows, sample
from tests.runtime.outage import centre, cover, server
from tests.runtime.test_answers import NAME, keeper
from tests.runtime.test_standby import key, press
from tests.web.served import WAIT, chromium

expect.set_options(timeout=WAIT)


async def is_not_stored(page: Page, alarm: str, shown: int) -> None:
    card = page.locator(f"#a-{alarm}")
    await expect(card.locator("strong.unstored")).to_contain_text("尚未入库（数据库不可用）")
    await expect(card).to_contain_text("Garden")
    await expect(page.locator("article.alarm")).to_have_count(shown)
    await expect(page.locator("article.alarm").first).to_have_id(f"a-{alarm}")
    await expect(page.locator("#lost")).to_contain_text("数据库没有应答")
    await expect(page.locator("#calm:visible")).to_have_count(0)


@pytest.mark.timeout(240)
async def test_what_is_pressed_without_the_database_is_on_the_board_at_once_is_taken_by_its_button_and_becomes_the_stored_one(
    tmp_path: Path, mqtt_url: str, browser_program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "BEAT_SECONDS", 1.5)
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port)
        async with centre(db.url, mqtt_url, tmp_path) as hub, chromium(browser_program) as browser:
            standby = hub.service.standby
            assert standby is not None
            _, login = await keeper(db.url, hub)
            await sender.told("urgent", sample("button-1", "pressed", False))
            context = await browser.new_context(locale="zh-CN")
            await context.add_cookies([{"name": COOKIE, "value": login, "url": hub.url}])
            page, later, beside = [await context.new_page() for _ in range(3)]
            await page.goto(f"{hub.url}/console/")
            await beside.goto(f"{hub.url}/console/duty")
            await expect(page.locator("article.c-fault")).to_have_count(1)  # the hub's own: its policy has a hole
            await expect(page.locator("#pulse")).to_have_class("pulse live")
            await eventually(lambda: len(standby.known.people.bearers) == 2, 20)
            with db.frozen():
                seq, id_ = await press(sender)
                alarm = str(id_)
                await is_not_stored(page, alarm, 2)
                await later.goto(f"{hub.url}/console/")  # opened in the middle of it
                await is_not_stored(later, alarm, 1)
                await expect(later.locator("#board > .unstored")).to_contain_text("no other alarm")
                await expect(beside.locator("#waiting b")).to_have_text("2")  # and heard wherever one is
                await page.locator(f"#a-{alarm} form.acknowledge button").click()
                await expect(page.locator("#said p")).to_contain_text("已接警")
                for one, left in ((page, "1"), (later, "0")):
                    await expect(one.locator(f"#a-{alarm} .owner")).to_contain_text(NAME)
                    await expect(one.locator("#board")).to_have_attribute("data-unowned", left)
                await expect(beside.locator("#waiting b")).to_have_text("1")
            await sender.confirmed("urgent", seq)
            for one in (page, later):
                await expect(one.locator("strong.unstored")).to_have_count(0)
                await expect(one.locator("article.alarm")).to_have_count(2)
                await expect(one.locator(f"#a-{alarm} .owner")).to_contain_text(NAME)
                await expect(one.locator("#lost")).to_be_hidden()
            panic = "select id::text, acknowledged_by from alarm where signal_class = 'panic'"
            await rows(db.url, panic, [(alarm, NAME)], 30)
        assert [one for one in sink.ids if one == key(id_)] == [key(id_)]
