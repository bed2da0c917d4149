"""The console in a real browser: what people see when two act at once, five hundred alarms come, or the network goes."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from hub.core.links import sign
from hub.engine.browser import Browser as Program
from hub.web import rendering
from tests.api.conftest import fill
from tests.core.test_pictures import png
from tests.web.routes import PAGES, filled
from tests.web.served import WAIT, Hub, LogIn, chromium, people, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=WAIT)
HOSTILE = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>\"'`"
PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(browser_program: Program) -> AsyncIterator[Browser]:
    async with chromium(browser_program) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(database: str) -> AsyncIterator[Hub]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "BEAT_SECONDS", 1.5)  # what a page calls silence follows from it
        async with served(await fill(database)) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="module")
async def hub(running: Hub) -> AsyncIterator[Hub]:
    await running.clear()
    running.blind.clear()
    running.line.mend()
    yield running
    running.line.mend()


@pytest_asyncio.fixture(loop_scope="module")
async def log_in(browser: Browser, hub: Hub) -> AsyncIterator[LogIn]:
    async with people(browser, hub) as made:
        yield made


SMALL = """[...document.querySelectorAll("main button, main .button, main summary, main select, main input:not([type=hidden], [type=radio], [type=checkbox])")]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 34).map((one) => one.outerHTML.slice(0, 120))"""
WIDE = """[...document.body.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().right > screen.width).map((one) => one.outerHTML.slice(0, 160))"""
FAINT = """() => {
    document.body.classList.remove("stale"); // a machine that is busy may have been silent for a moment: that is pale on purpose
    // the contrast of every text with what stands behind it (WCAG 2.1, 1.4.3): [ratio, text] of what is below 4.5
    const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parse = (text) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = text; paint.fillRect(0, 0, 1, 1); const d = paint.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
    const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
    const behind = (one) => { const stack = []; for (let at = one; at; at = at.parentElement) stack.unshift(parse(getComputedStyle(at).backgroundColor)); return stack.reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
    const found = [];
    for (const one of document.body.querySelectorAll("*")) {
        const text = [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
        if (!text || one.closest("svg, option, .unseen, .skip, dialog, noscript") || !one.checkVisibility()) continue;
        let opacity = 1;
        for (let at = one; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
        const back = behind(one);
        const ink = parse(getComputedStyle(one).color);
        const [a, b] = [light(over([...ink.slice(0, 3), ink[3] * opacity], back)), light(back)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) found.push([Math.round(ratio * 100) / 100, one.className, text.slice(0, 40)]);
    }
    return found;
}"""


def every_page(hub: Hub, alarm: str) -> list[str]:
    """Every page of the console, of tenant a."""
    names = {**hub.names, "alarm": alarm}
    shown = [
        page
        for pages in PAGES.values()
        for page in pages
        if not any(part in page.at for part in ("floors", "report.csv", "attachments"))
    ]
    return [f"/console{filled(page.at, names)}" for page in shown if page.at != "/waiting"]


async def connected(page: Page) -> None:
    await expect(page.locator("#pulse")).to_have_class("pulse live")


async def test_an_alarm_appears_by_itself_and_goes_when_somebody_else_acknowledges(hub: Hub, log_in: LogIn) -> None:
    page = await log_in("operator-a")
    await expect(page.locator("#calm")).to_be_visible()
    await connected(page)
    (alarm,) = await hub.raise_alarms("one")
    card = page.locator(f"#a-{alarm}")
    await expect(card).to_have_class(re.compile("unowned"))
    await expect(page.locator("#calm")).to_have_count(0)
    await expect(card.locator(".age")).to_have_text(re.compile(r"^\s*00:0\d:\d\d\s*$"))
    await expect(page).to_have_title(re.compile(r"^\(1\) "))
    other = await log_in("operator")
    await other.locator(f"#a-{alarm} form.acknowledge button").click()
    await expect(card).not_to_have_class(re.compile("unowned"))
    await expect(card.locator(".owner")).to_contain_text("holder of all000000002")


async def test_of_two_people_who_press_at_once_one_owns_it_and_the_other_reads_who(hub: Hub, log_in: LogIn) -> None:
    (alarm,) = await hub.raise_alarms("both")
    pages = [await log_in("operator-a"), await log_in("operator")]
    buttons = [page.locator(f"#a-{alarm} form.acknowledge button") for page in pages]
    for button in buttons:
        await expect(button).to_be_visible()
    await asyncio.gather(*(button.dispatch_event("click") for button in buttons))
    for page in pages:
        await expect(page.locator("#said p")).to_have_count(1)
    owner = await hub.owner(alarm)
    said = sorted([await page.locator("#said p").inner_text() for page in pages], key=lambda text: "于" in text)
    assert said[0].startswith("已接警")
    assert owner is not None
    assert owner in said[1]
    for page in pages:
        await expect(page.locator(f"#a-{alarm} .owner")).to_contain_text(owner)


async def test_five_hundred_alarms_in_a_minute_leave_the_board_usable_and_a_fire_on_top(
    hub: Hub, log_in: LogIn
) -> None:
    page = await log_in("operator-a")
    await connected(page)
    looks = 0

    def asked(url: str) -> None:
        nonlocal looks
        looks += url.endswith("/console/")

    page.on("request", lambda request: asked(request.url))
    began = time.monotonic()
    for n in range(50):
        await hub.raise_alarms(*(f"flood-{n}-{m}" for m in range(10)), signal_class="fault", priority="medium")
    (fire,) = await hub.raise_alarms("the fire", signal_class="fire")
    await expect(page.locator("article.alarm").first).to_have_id(f"a-{fire}")
    await expect(page.locator("#board")).to_have_attribute("data-unowned", "501")
    await expect(page.locator("#notshown b")).to_have_text("351")
    await expect(page.locator("body")).not_to_have_class(re.compile("moving"))
    assert looks <= (time.monotonic() - began) / 0.7 + 3  # a flood costs a look each 0.7 s, not one for each alarm
    await page.locator(f"#a-{fire} form.acknowledge button").click()
    await expect(page.locator("#board")).to_have_attribute("data-unowned", "500")
    assert await hub.owner(fire) == "holder of one000000002"


@pytest.mark.parametrize("how", ["cut", "hush"])
async def test_a_lost_network_is_said_at_once_in_two_languages_and_what_was_missed_is_shown_when_it_returns(
    hub: Hub, log_in: LogIn, how: str
) -> None:
    page = await log_in("operator-a")
    await connected(page)
    lost = page.locator("#lost")
    await expect(lost).to_be_hidden()
    getattr(hub.line, how)()
    await expect(lost).to_be_visible()
    await expect(lost).to_contain_text("连接中断")
    await expect(lost).to_contain_text("Connection lost")
    await expect(page.locator("#lost-since")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    await expect(page.locator("#lost-age")).to_have_text(re.compile(r"^00:00:\d\d$"))
    await expect(page.locator("body")).to_have_class("stale")
    await expect(page.locator("#calm")).to_be_hidden()  # nothing green is left
    await expect(page.locator(".unsure")).to_contain_text("不知道现在有没有告警")
    await expect(page).to_have_title(re.compile("^⚠ "))
    (alarm,) = await hub.raise_alarms("missed")
    hub.line.mend()
    await expect(page.locator(f"#a-{alarm}")).to_be_visible()
    await expect(lost).to_be_hidden()
    await connected(page)
    (after,) = await hub.raise_alarms("after")
    await expect(page.locator(f"#a-{after}")).to_be_visible()


async def test_an_acknowledgement_that_does_not_arrive_is_never_shown_as_one_and_what_is_old_can_still_be_read(
    hub: Hub, log_in: LogIn
) -> None:
    (alarm,) = await hub.raise_alarms("far")
    page = await log_in("operator-a")
    await connected(page)
    hub.line.cut()
    button = page.locator(f"#a-{alarm} form.acknowledge button")
    await button.click()
    await expect(page.locator("#said p.bad")).to_contain_text("没有送达平台")
    await expect(button).to_be_enabled()
    assert await hub.owner(alarm) is None
    await expect(page.locator("body")).to_have_class("stale")
    await page.locator("#lost").evaluate("one => { one.style.background = '#94101f'; }")  # the lighter of its stripes
    for scheme in ("light", "dark"):  # grey, and still to be read: somebody has to telephone now
        await page.emulate_media(color_scheme=scheme)
        assert await page.evaluate(FAINT.replace('document.body.classList.remove("stale");', "")) == [], scheme
    hub.line.mend()
    await connected(page)
    await button.click()
    await expect(page.locator("#said p").last).to_contain_text("已接警")


async def test_a_hub_that_is_itself_blind_says_which_part(hub: Hub, log_in: LogIn) -> None:
    page = await log_in("operator-a")
    await connected(page)
    hub.blind.add("broker")
    await expect(page.locator("#lost")).to_contain_text("The hub itself is partly blind")
    await expect(page.locator("#lost-parts")).to_have_text("(broker)")
    hub.blind.clear()
    await expect(page.locator("#lost")).to_be_hidden()
    # the ingest of another process hears nothing any more: nobody has told this one
    await hub.conn.execute("update lane_watch set heard_at = now() - interval '1 min' where partition = 0")
    await expect(page.locator("#lost-parts")).to_have_text("(ingest)")
    await hub.conn.execute("update lane_watch set heard_at = now() + interval '50 min'")
    await expect(page.locator("#lost")).to_be_hidden()
    async with hub.conn.transaction():  # a database that takes every question and answers none
        await hub.conn.execute("lock table lane_watch in access exclusive mode")
        await expect(page.locator("#lost-parts")).to_have_text("(database)")
        await expect(page.locator("#lost")).to_contain_text("can acknowledge by its link")
    await expect(page.locator("#lost")).to_be_hidden()


async def test_the_end_of_a_login_is_said_and_not_shown_as_calm(hub: Hub, log_in: LogIn) -> None:
    page = await log_in("operator-a")
    await connected(page)
    await hub.conn.execute("update web_session set ended_at = now()")
    hub.line.cut()
    hub.line.mend()
    await expect(page.locator("#lost")).to_contain_text("登录已结束")
    await expect(page.locator("body")).to_have_class("stale")


async def test_hostile_names_run_nowhere(hub: Hub, log_in: LogIn) -> None:
    await hub.conn.execute(
        "update institution set title_zh = %s, title_en = %s where id = 'b-home'", [HOSTILE, HOSTILE]
    )
    await hub.conn.execute("update responder set title_zh = %s where id = 'b-duty'", [HOSTILE])
    b = hub.filled.b
    (alarm,) = await hub.raise_alarms(HOSTILE)
    await hub.conn.execute(
        "update alarm set institution = %s, device = %s, definition = %s where id = %s",
        [b.key, b.button_key, HOSTILE, alarm],
    )
    await hub.conn.execute("update alarm_transition set note = %s, actor = %s", [HOSTILE, HOSTILE])
    await hub.conn.execute("update device_state set function_reason = %s where device = %s", [HOSTILE, b.button_key])
    await hub.conn.execute("update drill set title_zh = %s, title_en = %s", [HOSTILE, HOSTILE])
    await hub.conn.execute("update maintenance_window set reason = %s", [HOSTILE])
    await hub.conn.execute("update police_window set reference = %s", [HOSTILE])
    await hub.conn.execute("update proof set reason = %s", [HOSTILE])
    page = await log_in("admin")
    for path in (
        *(
            "/console/",
            f"/console/alarms/{alarm}",
            f"/console/alarms/{alarm}/why",
            "/console/alarms",
            "/console/institutions",
        ),
        *(
            "/console/institutions/b-home",
            "/console/devices/b-button",
            "/console/drills",
            "/console/drills/new?institution=b-home",
        ),
        *(
            f"/console/drills/{hub.names['drill']}",
            f"/console/proofs/{hub.names['proof']}",
            "/console/proofs",
            "/console/tests",
        ),
        "/console/maintenance?institution=b-home",
    ):
        await page.goto(hub.url + path)
        await expect(page.locator("main")).to_contain_text("onerror=alert(1)")
        assert await page.locator("main img, main svg[onload]").count() == 0
    await page.goto(f"{hub.url}/console/")
    await page.locator(f"#a-{alarm} form.acknowledge button").click()
    await expect(page.locator(f"#a-{alarm}")).not_to_have_class(re.compile("unowned"))


async def test_a_links_button_works_in_a_browser_and_no_page_that_is_opened_from_it_hears_its_address(
    hub: Hub, log_in: LogIn
) -> None:
    (alarm,) = await hub.raise_alarms("linked")
    notification = uuid4()
    await hub.conn.execute(
        "insert into escalation (alarm, institution, urgency, policy, plan, state, started_at, round, round_started_at)"
        " values (%s, %s, 0, 'a-policy', '{}', 'running', now(), 0, now())",
        [alarm, hub.filled.a.key],
    )
    await hub.conn.execute(
        "insert into notification (id, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, created_at, state,"
        " attempts, next_attempt_at, ended_at) values (%s, %s, %s, 0, 1, 0, 'a-duty', 'hook', 0, now(), now(), 'sent', 1, now(), now())",
        [notification, alarm, hub.filled.a.key],
    )
    row = await (await hub.conn.execute("select key from link_key")).fetchone()
    assert row is not None
    path = sign(bytes(row[0]), notification, int(time.time()) + 3600)
    page = await log_in("operator-a")
    await page.goto(hub.url + path)
    await page.locator("form button.big").click()
    await expect(page.locator(".saying")).to_contain_text("已接警")
    assert "[a-duty]" in (await hub.owner(alarm) or "")
    async with page.expect_request("**/console/alarms/*") as asked:
        await page.locator("a[href^='/console/alarms/']").click()
    heard = (await (await asked.value).all_headers()).get("referer", "")
    assert heard == f"{hub.url}/"  # the host, and nothing of the key


async def test_an_alarm_is_found_and_acknowledged_by_keyboard_alone(hub: Hub, log_in: LogIn) -> None:
    first, second = await hub.raise_alarms("k1", "k2")
    page = await log_in("operator-a")
    await connected(page)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    focused = page.locator("article.alarm:focus")
    await expect(focused).to_have_count(1)
    chosen = await focused.get_attribute("data-alarm")
    assert chosen in (str(first), str(second))
    await page.keyboard.press("a")
    button = page.locator(f"#a-{chosen} form.acknowledge button")
    await expect(button).to_be_focused()
    outline = await button.evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline == "solid"
    assert await hub.owner(first if chosen == str(first) else second) is None  # a key alone acknowledges nothing
    await page.keyboard.press("Enter")
    await expect(page.locator("#said p")).to_contain_text("已接警")
    assert await hub.owner(first if chosen == str(first) else second) == "holder of one000000002"
    # the button is gone and the place is kept; on an alarm that somebody has, `a` goes to no other alarm's button
    await expect(page.locator(f"#a-{chosen}")).to_be_focused()
    await page.keyboard.press("a")
    await expect(page.locator(f"#a-{chosen}")).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/alarms/*")
    await page.locator("#note").fill("j 到场 a s m 1")
    await expect(page.locator("#note")).to_have_value("j 到场 a s m 1")


async def test_focus_and_what_is_being_typed_stay_while_the_page_is_refreshed(hub: Hub, log_in: LogIn) -> None:
    (alarm,) = await hub.raise_alarms("typing")
    page = await log_in("operator-a", path=f"/console/alarms/{alarm}")
    await connected(page)
    await page.locator("#note").type("两名教师")
    await page.locator("#d-dispose summary").click()
    await page.locator("#note").focus()
    await hub.conn.execute("update alarm set occurrences = 7 where id = %s", [alarm])
    await hub.conn.execute(
        "insert into change (kind, institution, payload) select 'alarm', %s, jsonb_build_object('id', %s::text)",
        [hub.filled.a.key, str(alarm)],
    )
    await expect(page.locator("#facts")).to_contain_text("7")
    await expect(page.locator("#note")).to_be_focused()
    await expect(page.locator("#note")).to_have_value("两名教师")
    await expect(page.locator("#d-dispose")).to_have_attribute("open", "")
    await page.locator("article, #deeds form.acknowledge button").first.click()
    await expect(page.locator("#alarm")).to_have_attribute("data-state", "ack_active")
    await page.locator("#d-dispose input[value=nuisance]").check()
    await page.locator("#d-dispose button").click()
    await expect(page.locator("#head")).to_contain_text("扰报")


async def test_focus_stays_on_an_alarm_while_others_come_go_and_change_places(hub: Hub, log_in: LogIn) -> None:
    (first,) = await hub.raise_alarms("f1")
    (mine,) = await hub.raise_alarms("f2")
    page = await log_in("operator-a")
    other = await log_in("operator")
    button = page.locator(f"#a-{mine} form.acknowledge button")
    await button.focus()
    await connected(page)
    await expect(button).to_be_focused()
    await other.locator(f"#a-{first} form.acknowledge button").click()
    await expect(page.locator("article.alarm").first).to_have_id(f"a-{mine}")  # what somebody owns goes below
    (fire,) = await hub.raise_alarms("f3", signal_class="fire")
    await expect(page.locator("article.alarm").nth(1)).to_have_id(f"a-{fire}")
    await expect(page.locator("article.alarm").last).to_have_id(f"a-{first}")
    await expect(button).to_be_focused()


async def test_a_click_meant_for_an_alarm_that_has_just_gone_does_not_acknowledge_the_one_that_took_its_place(
    hub: Hub, log_in: LogIn
) -> None:
    (first,) = await hub.raise_alarms("c1")
    (second,) = await hub.raise_alarms("c2")
    page = await log_in("operator-a")
    await connected(page)
    top = await page.locator(f"#a-{first} form.acknowledge button").bounding_box()
    assert top is not None
    # the finger is on its way to the first when somebody else takes that one: it lands on the second, which has come up
    await page.evaluate(
        """([second, x, y]) => new MutationObserver(() => {
            const under = document.elementFromPoint(x, y)?.closest("button");
            if (!under?.closest(`#a-${second}`) || window.landed) return;
            window.landed = true;
            requestAnimationFrame(() => under.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1, clientX: x, clientY: y })));
        }).observe(document.getElementById("live"), { childList: true, subtree: true })""",
        [str(second), top["x"] + 30, top["y"] + 20],
    )
    await hub.conn.execute(
        "update alarm set state = 'ack_active', acknowledged_by = 'another desk' where id = %s", [first]
    )
    await hub.conn.execute(
        "insert into change (kind, institution, payload) select 'alarm', %s, jsonb_build_object('id', %s::text)",
        [hub.filled.a.key, str(first)],
    )
    await expect(page.locator("#said p.bad")).to_contain_text("列表刚刚变动")
    assert await hub.owner(second) is None
    await expect(page.locator("body")).not_to_have_class(re.compile("moving"))
    await page.locator(f"#a-{second} form.acknowledge button").click()
    await expect(page.locator("#said p").last).to_contain_text("已接警")
    assert await hub.owner(second) == "holder of one000000002"


async def _heard(page: Page, seconds: float) -> float:
    """The loudest that went to the loudspeaker meanwhile, of 0 to 1: measured behind the page's back, at the destination of its audio."""
    loudest: float = await page.evaluate(
        """async (seconds) => {
            let loudest = 0;
            const end = performance.now() + seconds * 1000;
            while (performance.now() < end && loudest < 0.1) {
                for (const tap of window.taps) {
                    const wave = new Float32Array(tap.fftSize);
                    tap.getFloatTimeDomainData(wave);
                    loudest = Math.max(loudest, ...wave.map(Math.abs));
                }
                await new Promise((later) => setTimeout(later, 20));
            }
            return loudest;
        }""",
        seconds,
    )
    return loudest


TAPPED = """
    window.taps = [];
    const connect = AudioNode.prototype.connect;
    const taps = new WeakMap();
    AudioNode.prototype.connect = function (to, ...more) {
        if (to instanceof AudioDestinationNode) {
            if (!taps.has(this.context)) {
                const tap = new AnalyserNode(this.context, { fftSize: 2048 });
                taps.set(this.context, tap);
                window.taps.push(tap);
                connect.call(tap, to);
            }
            return connect.call(this, taps.get(this.context));
        }
        return connect.call(this, to, ...more);
    };
"""


async def test_an_alarm_is_really_heard_on_every_page_from_the_first_click_on_and_until_then_the_page_says_loudly_that_it_is_not(
    hub: Hub, log_in: LogIn
) -> None:
    page = await log_in("operator-a")
    await page.context.add_init_script(TAPPED)
    # a fresh document that nobody has touched: the browser lets it make no sound
    fresh = await page.context.new_page()
    fresh.set_default_timeout(WAIT)
    await fresh.goto(f"{hub.url}/console/")
    await connected(fresh)
    sound, banner = fresh.locator("#sound"), fresh.locator("#soundless")
    await expect(sound).to_have_class("sound blocked")
    await expect(banner).to_contain_text("来了告警不会响")
    await expect(banner).to_contain_text("SOUND IS OFF")
    (alarm,) = await hub.raise_alarms("loud")
    await expect(fresh.locator(f"#a-{alarm}")).to_be_visible()
    assert await _heard(fresh, 1.0) == 0
    await fresh.locator("#board-title").click()  # anywhere
    await expect(sound).to_have_class("sound on")
    await expect(sound).to_have_attribute("aria-pressed", "true")
    await expect(banner).to_be_hidden()
    assert await _heard(fresh, 20) > 0.1
    await fresh.locator("#mute").click()
    await expect(sound).to_have_class("sound muted")
    for _ in range(10):  # what the audio hardware holds already is heard for a moment more
        if await _heard(fresh, 2.6) == 0:
            break
    else:
        pytest.fail("it was muted and still sounds")
    await fresh.locator("nav a[data-page=institutions]").click()  # and there somebody is when the next one comes
    await fresh.wait_for_url("**/console/institutions")
    await connected(fresh)
    await expect(sound).to_have_class("sound muted")
    (fire,) = await hub.raise_alarms("elsewhere", signal_class="fire")
    strip = fresh.locator("#waiting")
    await expect(strip).to_contain_text("2")
    await expect(strip).to_have_class(re.compile("urgent"))
    await expect(fresh).to_have_title(re.compile(r"^\(2\) "))
    assert await _heard(fresh, 20) > 0.1
    await sound.click()
    await expect(sound).to_have_class("sound off")
    await expect(banner).to_contain_text("声音已由您关闭")
    await strip.click()
    await expect(fresh.locator(f"#a-{fire}")).to_be_visible()
    await expect(sound).to_have_class("sound off")  # a person's own choice is kept, and said on every page
    await expect(banner).to_be_visible()
    await fresh.keyboard.press("s")
    await expect(sound).to_have_class("sound on")


async def test_on_a_phone_nothing_is_cut_off_and_one_thumb_acknowledges(hub: Hub, log_in: LogIn) -> None:
    await hub.conn.execute(
        """update institution set contacts = '[{"title_zh": "值班园长", "title_en": "Head on duty", "phone": "0355-2071234"}]'"""
    )
    (alarm,) = await hub.raise_alarms("thumb")
    page = await log_in("admin-a", **PHONE)
    await connected(page)
    for path in (*every_page(hub, str(alarm)), "/console/login"):
        await page.goto(hub.url + path)
        await expect(page.locator("h1").first).to_be_visible()
        # the screen's width, not the window's: a phone's window grows with what is too wide
        if await page.evaluate("document.documentElement.scrollWidth > screen.width"):
            pytest.fail(f"{path} is too wide: {await page.evaluate(WIDE)}")
        small = await page.evaluate(SMALL)
        assert small == [], path  # a thumb hits every button
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            found = await page.evaluate(FAINT)
            assert found == [], (path, scheme)
    await page.locator("h1").evaluate(
        "one => { one.style.background = '#777'; one.style.color = '#888'; one.textContent = 'faint'; }"
    )
    assert [text for _, _, text in await page.evaluate(FAINT)] == ["faint"]  # the check finds what it is for
    await page.goto(f"{hub.url}/console/")
    button = page.locator(f"#a-{alarm} form.acknowledge button")
    box = await button.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    call = page.locator(f"#a-{alarm} a.call")
    assert await call.get_attribute("href") == "tel:0355-2071234"
    await button.tap()
    await expect(page.locator(f"#a-{alarm}")).not_to_have_class(re.compile("unowned"))


async def test_every_page_is_gone_through_by_keyboard_with_the_focus_always_to_be_seen(hub: Hub, log_in: LogIn) -> None:
    (alarm,) = await hub.raise_alarms("keys")
    page = await log_in("admin-a")
    for path in (
        f"/console/alarms/{alarm}",
        "/console/drills/new?institution=a-home",
        "/console/maintenance?institution=a-home",
    ):
        await page.goto(hub.url + path)
        await page.locator("#main").focus()
        wanted = await page.evaluate(
            """[...document.querySelectorAll("main a[href], main button, main summary, main input:not([type=hidden]), main select, main textarea")]
            .filter((one) => one.checkVisibility()).length"""
        )
        seen = 0
        for _ in range(wanted + 10):
            await page.keyboard.press("Tab")
            state = await page.evaluate(
                """(() => { const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
                return { inside: one.closest("main") !== null, outline: style.outlineStyle, shown: box.bottom > 0 && box.top < innerHeight }; })()"""
            )
            if not state["inside"]:
                break
            assert state["outline"] != "none", path
            assert state["shown"], path
            seen += 1
        assert seen >= min(wanted, 5), path
    for key, place in (("6", "proofs"), ("7", "tests"), ("8", "maintenance"), ("9", "noise"), ("4", "duty")):
        await page.locator("#main").focus()
        await page.keyboard.press(key)
        await page.wait_for_url(f"**/console/{place}")


async def test_the_navigation_is_one_row_and_its_menus_open_one_at_a_time_on_any_screen(
    hub: Hub, log_in: LogIn
) -> None:
    page = await log_in("admin", viewport={"width": 1280, "height": 720})
    middles = "(one) => one.map((e) => e.getBoundingClientRect()).map((r) => Math.round((r.top + r.bottom) / 2))"
    inside = await page.locator(".top nav > *, .top .tools").evaluate_all(middles)
    assert max(inside) - min(inside) <= 4, "the top is one row"
    phone = await log_in("admin", **PHONE)
    inside = await phone.locator(".top nav > :not(.brand)").evaluate_all(middles)
    assert max(inside) - min(inside) <= 4, "what leads elsewhere takes one row of a phone: the alarm needs the rest"
    for shown in (page, phone):
        compliance, duty = (shown.locator(".menu").nth(n) for n in (0, 1))
        await expect(shown.locator("a[data-page=retypings]")).to_be_hidden()
        await compliance.locator("summary").click()
        await expect(shown.locator("a[data-page=retypings]")).to_be_visible()
        await duty.locator("summary").click()
        await expect(shown.locator("a[data-page=proofs]")).to_be_visible()
        await expect(shown.locator("a[data-page=retypings]")).to_be_hidden()
        wide = await shown.locator(".menu[open] a").evaluate_all(
            "(all) => all.filter((one) => { const r = one.getBoundingClientRect(); return r.left < 0 || r.right > innerWidth || r.height < 34; }).length"
        )
        assert wide == 0, "every entry lies on the screen, and is large enough for a finger"
        await shown.mouse.click(100, 680)  # anywhere else
        await expect(shown.locator("a[data-page=proofs]")).to_be_hidden()
    await page.locator(".menu summary").first.focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.dataset.page") == "coverage"
    await page.keyboard.press("Escape")
    await expect(page.locator("a[data-page=retypings]")).to_be_hidden()
    await page.keyboard.press("Enter")
    await page.locator("a[data-page=retypings]").click()
    await page.wait_for_url("**/console/retypings")
    await expect(page.locator(".menu summary.here")).to_have_count(1)
    await expect(page.locator("main")).to_contain_text("retyper of a")


async def test_a_file_goes_with_a_statement_and_comes_back_as_a_download_and_no_other_kind_is_taken(
    hub: Hub, log_in: LogIn
) -> None:
    page = await log_in("operator-a")
    await page.goto(f"{hub.url}/console/attestations?institution=a-home")
    await page.locator("#d-attest summary").click()
    await expect(page.locator("#d-attest")).to_contain_text("拍物不拍人")
    form = page.locator("form.f-attest")

    async def state(name: str, content: bytes, kind: str) -> None:
        await form.locator("[name=kind]").select_option("sign")
        await form.locator("[name=file]").set_input_files({"name": name, "mimeType": kind, "buffer": content})
        await form.locator("button[type=submit]").click()

    await state("门口<b>.png", b"<html><script>alert(1)</script>", "image/png")
    await expect(page.locator("#said p.bad")).to_contain_text("附件须为 PDF")
    await state("门口<b>.png", png(9, 9), "image/png")
    await expect(page.locator("#said p").last).to_contain_text("已记录")
    await page.reload()
    async with page.expect_download() as taken:
        await page.locator("td a", has_text="门口<b>.png").click()
    download = await taken.value
    assert Path(await download.path()).read_bytes() == png(9, 9)
    kept = "select media_type, length(content), content = %s from attestation_attachment where name like '门口%%' or name like '大%%' order by name"
    rows = await (await hub.conn.execute(kept, [png(9, 9)])).fetchall()
    assert rows == [("image/png", len(png(9, 9)), True)]
    # a phone's photograph: more bytes than the hub takes, so it is made smaller before it is sent
    await page.locator("#d-attest summary").click()
    large = await page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(1200, 1200), brush = canvas.getContext("2d"), noise = brush.createImageData(1200, 1200);
            for (let n = 0; n < noise.data.length; n += 65536) crypto.getRandomValues(noise.data.subarray(n, Math.min(n + 65536, noise.data.length)));
            brush.putImageData(noise, 0, 0);
            const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
            return [...bytes].map((one) => String.fromCharCode(one)).join("");
        }"""
    )
    assert len(large) > 2_000_000
    await state("大.png", large.encode("latin-1"), "image/png")
    await expect(page.locator("#said p").last).to_contain_text("已记录")
    rows = await (await hub.conn.execute(kept, [b""])).fetchall()
    assert [row[0] for row in rows] == ["image/jpeg", "image/png"]
    assert rows[0][1] <= 1_000_000


async def test_a_keeper_sees_and_hears_nothing_of_another_institution(hub: Hub, log_in: LogIn) -> None:
    page = await log_in("operator-a")
    await connected(page)
    (mine,) = await hub.raise_alarms("mine")
    (foreign,) = await hub.raise_alarms("foreign")
    await hub.conn.execute("update alarm set institution = %s where id = %s", [hub.filled.b.key, foreign])
    await hub.raise_alarms("mine too")
    await expect(page.locator("article.alarm")).to_have_count(2)
    await expect(page.locator(f"#a-{mine}")).to_be_visible()
    await expect(page.locator(f"#a-{foreign}")).to_have_count(0)


async def test_logging_out_ends_it_here_and_on_a_page_that_was_left_open(hub: Hub, log_in: LogIn) -> None:
    page = await log_in("operator-a")
    await connected(page)
    await page.locator("form.who button").click()
    await page.wait_for_url("**/console/login")
    await page.goto(f"{hub.url}/console/")
    await page.wait_for_url("**/console/login?next=*")
