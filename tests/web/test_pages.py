"""The console's pages: what they show, to whom, and that nothing on them can run or lead elsewhere."""

import re
from datetime import timedelta

import pytest

from hub.core.rights import Role
from hub.web.rendering import BEIJING
from tests.api import seed
from tests.web.conftest import Console
from tests.web.routes import PAGES, Ids, filled, furnish

HOSTILE = "</script><img src=x onerror=alert(1)>\"'`{{7*7}}${7*7}&lt;"


NOWHERE = tuple(f"{path}?institution={name}" for path in ("", "alarms") for name in ("b-home", "typo"))


async def test_the_stream_asks_for_a_login_and_the_root_leads_to_the_board(console: Console) -> None:
    async with console.visitor() as visitor:
        assert (await visitor.http.get("/console/events")).status_code == 401
        assert (await visitor.http.get("/")).headers["location"] == "/console/"


def _pages(ids: Ids) -> list[str]:
    return [f"/console{filled(page.at, ids)}" for pages in PAGES.values() for page in pages if "floors" not in page.at]


async def test_every_answer_forbids_scripts_frames_and_hosts_that_are_not_ours(console: Console) -> None:
    more = ("/console/login", "/console/nothing", "/n/a/b/c", "/console/institutions/nowhere")
    pages = _pages(await furnish(console.city.conn, console.city.a))
    async with console.visitor("admin") as visitor:
        for path in (*pages, *more):
            answer = await visitor.http.get(path)
            assert "unsafe" not in answer.headers["content-security-policy"], path
            if "/report." in path or "/attachments/" in path:  # a page with its own style, a download: and nothing else
                assert answer.headers["content-security-policy"].startswith("default-src 'none'")
                continue
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            # a link's address is a key: no page that is opened from it is told more than the host
            assert answer.headers["referrer-policy"] == ("strict-origin" if path.startswith("/n/") else "same-origin")
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(
                r"<script(?![^>]*src=\"/console/static/)|\son\w+=|\sstyle=|javascript:", answer.text
            ), path
            assert not re.findall(r"(?:src|href|action)=\"(?:https?:)?//", answer.text), path


async def test_our_own_files_are_served_and_may_be_kept(console: Console) -> None:
    async with console.visitor() as visitor:
        page = (await visitor.http.get("/console/login")).text
        (style,) = re.findall(r'href="(/console/static/[0-9a-f]{12}/console.css)"', page)
        answer = await visitor.http.get(style)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/css")
        assert "immutable" in answer.headers["cache-control"]
        for wrong in ("/console/static/x/app.py", "/console/static/x/..%2Fapp.py", "/console/static/x/none.js"):
            assert (await visitor.http.get(wrong)).status_code == 404


async def test_hostile_names_are_shown_as_text_everywhere(console: Console) -> None:
    ids = await furnish(console.city.conn, console.city.a)
    for table in ("institution", "zone", "position", "responder", "rota", "drill"):
        await console.city.conn.execute(f"update {table} set title_zh = %s, title_en = %s".encode(), [HOSTILE, HOSTILE])
    await console.city.conn.execute("update alarm_transition set note = %s, actor = %s", [HOSTILE, HOSTILE])
    await console.city.conn.execute(
        "update alarm set acknowledged_by = %s, acknowledged_at = now(), definition = %s", [HOSTILE, HOSTILE]
    )
    await console.city.conn.execute("update point_state set text = %s", [HOSTILE])
    await console.city.conn.execute("update device_state set function_reason = %s", [HOSTILE])
    await console.city.conn.execute("update maintenance_window set reason = %s, made_by = %s", [HOSTILE, HOSTILE])
    await console.city.conn.execute("update police_window set reference = %s, agreed_by = %s", [HOSTILE, HOSTILE])
    await console.city.conn.execute("update proof set reason = %s, requested_by = %s", [HOSTILE, HOSTILE])
    await console.city.conn.execute("update device_test set detail = %s, requested_by = %s", [HOSTILE, HOSTILE])
    await console.city.conn.execute(
        "insert into arming (institution, mode, since, before, actor, reason) select key, 'armed', now(), 'auto', %s, %s from institution",
        [HOSTILE, HOSTILE],
    )
    async with console.visitor("admin") as visitor:
        seen = 0
        for path in (*_pages(ids), f"/console/institutions?q={HOSTILE}", f"/console/noise?post={HOSTILE}"):
            text = (await visitor.http.get(path)).text
            if "report.csv" in path or "/waiting" in path:
                continue
            assert "<img" not in text, path
            assert "</script><img" not in text
            assert "49" not in re.findall(r"onerror=alert\(1\)&gt;&#34;&#39;`(.{8})", text)
            seen += text.count("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;")
        assert seen > 40


async def test_the_board_puts_whom_nobody_owns_first_and_says_how_many_and_whose_alarms_it_leaves_out(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.web import alarms, institutions

    monkeypatch.setattr(alarms, "BOARD", 3)
    insert = (
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at)"
        " select gen_random_uuid(), %s, %s, 'pressed', %s, %s, %s, %s, true, now() - %s::interval, now()"
    )
    a = console.city.a
    for instance, kind, priority, state, ago in (
        ("old-fault", "fault", "high", "unack_active", "9 h"),
        ("owned-fire", "fire", "critical", "ack_active", "1 h"),
        ("fire", "fire", "critical", "unack_active", "1 s"),
        ("journal", "access", "journal", "unack_active", "1 s"),
    ):
        await console.city.conn.execute(insert.encode(), [a.button_key, a.key, instance, kind, priority, state, ago])
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get("/console/")).text
    kinds = re.findall(r'class="alarm c-(\w+) p-\w+ (\w+)"', page)
    assert kinds == [("panic", "unowned"), ("fire", "unowned"), ("fault", "unowned")]
    assert re.search(r'id="notshown"><b>2</b>', page)
    assert 'data-unowned="3"' in page
    assert 'id="only"' not in page
    monkeypatch.setattr(alarms, "BOARD", 9)
    monkeypatch.setattr(institutions, "ALARMS", 2)
    await console.city.conn.execute(
        "update alarm set acknowledged_by = 'night desk', acknowledged_at = %s where instance = 'owned-fire'",
        [seed.at(0) - timedelta(days=2)],
    )
    async with console.visitor("operator-a") as visitor:
        shown = {path: await visitor.http.get(f"/console/{path}") for path in ("", "?institution=a-home", *NOWHERE)}
        home = (await visitor.http.get("/console/institutions/a-home")).text
        history = (await visitor.http.get("/console/alarms?institution=a-home")).text
    # who had it two nights ago at three has not had it since three of this night
    owner = re.findall(r'class="owner">night desk <time [^>]*>([^<]*)<', shown[""].text)
    assert owner == [f"{(seed.at(0) - timedelta(days=2)).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"]
    for one in (shown["?institution=a-home"].text, history):
        assert "只显示一个机构" in one.split("<main")[1]
    assert [shown[path].status_code for path in NOWHERE] == [404] * len(NOWHERE)  # and never "no active alarms"
    assert re.search(r'class="notshown"><b>\d+</b>', home), "an institution's page says how many it leaves out"
    described = re.findall(r'<button type="submit" aria-describedby="t-([^"]+)"', shown[""].text)
    assert len(described) == len(set(described)) == 3  # a button of each alarm says of which


async def test_proofs_and_canaries_are_not_on_the_board_and_drills_are_marked(console: Console) -> None:
    insert = (
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at, received_at,"
        " exercise, exercise_id) select gen_random_uuid(), %s, %s, 'pressed', %s, 'panic', 'critical', 'unack_active', true, now(), now(), %s,"
        " gen_random_uuid()"
    )
    a = console.city.a
    await console.city.conn.execute("delete from alarm_transition; delete from attempt; delete from notification")
    await console.city.conn.execute("delete from escalation_step; delete from escalation; delete from alarm")
    for mark in ("proof", "drill"):
        await console.city.conn.execute(insert.encode(), [a.button_key, a.key, mark, mark])
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get("/console/")).text
    assert page.count("<article") == 1
    assert "演练" in page.split("<article")[1]
    assert "DRILL" in page.split("<article")[1]


async def test_the_timeline_shows_every_step_notification_and_receipt(console: Console) -> None:
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get(f"/console/alarms/{console.city.a.alarm}")).text
    timeline = page.split('id="timeline"')[1]
    order = [
        timeline.index(word)
        for word in ("产生", "值班</span>", " / hook", "轮</span>", "第 1 步", "已送达", "尝试", "204")
    ]
    assert order == sorted(order)
    assert "请先" in page
    assert "去看" in page


async def test_the_institutions_pages_show_axes_readings_telephones_and_the_fire_risk_of_now(console: Console) -> None:
    await console.city.conn.execute(
        """update institution set contacts = '[{"title_zh": "园长", "title_en": "Head", "phone": "0355 207 1234"}]' where id = 'a-home'"""
    )
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get("/console/institutions/a-home")).text
        cover = (await visitor.http.get("/console/coverage/a-home")).text
        past = (await visitor.http.get("/console/coverage/a-home?at=2026-11-21T16:00:00")).text
        await console.city.conn.execute("update institution set retired_at = now() where id = 'a-home'")
        retired = await visitor.http.get("/console/coverage/a-home")
    for word in ('id="fire-risk"', "内部参数", "其中未知", "计分", "unknown)"):
        assert word in cover, word
    assert 'id="fire-risk"' not in past, "the score is of now: no past day has one"
    assert retired.status_code == 200
    assert 'id="fire-risk"' not in retired.text, "what is retired has a past and no score"
    assert 'href="tel:03552071234"' in page
    for word in ("在用", "在线", "正常", "99.5", "armed", "<polyline"):
        assert word in page, word


async def test_a_floor_plan_is_shown_with_the_alarms_place_and_only_inside_the_scope(console: Console) -> None:
    from hub.core.pictures import look
    from hub.core.rights import EVERYTHING, Principal
    from hub.store import premises
    from hub.store.pool import connect
    from tests.core.test_pictures import png

    image = png(400, 200)
    who = Principal("x", "x", Role.ADMIN, EVERYTHING)
    async with await connect(console.city.url, "tests") as conn:
        for name in ("a-home", "b-home"):
            await premises.put_plan(conn, who, name, 1, look(image), image)
    await console.city.conn.execute("update position set plan_x = 0.25, plan_y = 0.5")
    await console.city.conn.execute("update institution set video = 'https://video.example/{device}'")
    await console.city.conn.execute(
        "update device set kind = 'camera' where id in ('a-edge', 'b-edge');"
        "insert into position (institution, id, zone, title_zh, title_en) select institution, 'cam', key, '角', 'Corner' from zone where id = 'nap';"
        "update device d set position = p.key from position p where p.id = 'cam' and p.institution = d.institution and d.kind = 'camera'"
    )
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get(f"/console/alarms/{console.city.a.alarm}")).text
        assert 'transform="translate(100.0 100.0)"' in page
        (picture,) = re.findall(r'<image href="([^"?]+)', page)
        shown = await visitor.http.get(picture)
        assert (shown.content, shown.headers["content-type"]) == (image, "image/png")
        assert "sandbox" in shown.headers["content-security-policy"]
        assert 'href="https://video.example/a-edge" target="_blank" rel="noopener noreferrer"' in page
        for wrong in (picture.replace("a-home", "b-home"), picture[:-1] + "7", picture + "x", picture[:-1] + "-9999"):
            assert (await visitor.http.get(wrong)).status_code == 404, wrong
