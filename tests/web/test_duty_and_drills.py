"""Duty posts and drills in the console: who is on duty now, what nobody fills, how a drill went."""

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest

from hub.core.exercises import Declared
from hub.core.rights import EVERYTHING
from hub.core.rota import Rota, Shift
from hub.model import SECOND, SignalClass, to_micros
from hub.store import drills, duty
from hub.store.pool import connect
from tests.api import seed
from tests.web.conftest import Console

NOW = seed.at(3600)


async def _rota(console: Console, id: str, **more: object) -> None:
    local = (NOW + timedelta(hours=8)).hour
    shift = Shift("day", (local - 1) % 24 * 60, (local + 2) % 24 * 60, ("a-duty",), date(2026, 1, 1))
    rota = Rota(id, (shift,), title_zh=f"岗{id}", title_en=f"Post {id}", **more)  # type: ignore[arg-type]
    async with await connect(console.city.url, "tests") as conn, conn.cursor() as cur:
        await duty.put_rota(cur, rota)


async def test_a_post_shows_who_is_on_duty_now_and_where_nobody_is(console: Console) -> None:
    await _rota(console, "desk")
    await _rota(console, "of-a", institution="a-home")
    await _rota(console, "of-b", institution="b-home")
    await console.city.conn.execute(
        "insert into duty_handover (rota, giver, taker, note, alarms, alarm_count, written_by)"
        " values ('desk', 'b-duty', 'a-duty', '门锁待修 <b>', '[]', 2, 'b-duty'), ('of-b', 'b-duty', 'a-duty', 'secret of b', '[]', 0, 'x')"
    )
    async with console.visitor("operator-a") as visitor:
        page = (await visitor.http.get("/console/duty")).text
    assert page.count('class="post"') == 2
    assert "岗of-b" not in page
    assert "secret of b" not in page
    post = page.split('id="p-desk"')[1].split("</section>")[0]
    now, later = post.split("接下来")
    assert "值班" in now
    assert "无人值班" not in now
    assert "无人值班" in later
    assert "门锁待修 &lt;b&gt;" in page
    assert "岗desk" in page.split('class="handed"')[1], "the post of a handover is called by its title"
    assert later.count("→ …") == 1, "the last watch goes on beyond what was looked at: no end of it is made up"


async def _drill(console: Console, *institutions: str) -> UUID:
    start = NOW + timedelta(minutes=5)
    presses = tuple(
        Declared(name, "wall", SignalClass.PANIC, to_micros(start + timedelta(minutes=1)), 60 * SECOND)
        for name in institutions
    )
    place = drills.Place(division="14")
    plan = drills.Plan(
        "秋季演练", "Autumn drill", place, to_micros(start), to_micros(start + timedelta(hours=1)), presses
    )
    async with await connect(console.city.url, "tests") as conn:
        return await drills.declare(conn, EVERYTHING, plan, "tests", to_micros(NOW), [])


@pytest.fixture
def later(console: Console) -> datetime:
    """The hub's clock stands in the middle of the drill."""
    at = NOW + timedelta(minutes=10)
    object.__setattr__(console.app.state.services, "clock", lambda: at)
    return at


async def test_a_drill_is_listed_shown_and_what_a_person_saw_is_recorded(console: Console, later: datetime) -> None:
    drill = await _drill(console, "a-home")
    path = f"/console/drills/{drill}"
    async with console.visitor("operator-a") as visitor:
        assert f'href="{path}"' in (await visitor.http.get("/console/drills")).text
        page = (await visitor.http.get(path)).text
        for word in ("演练", "秋季演练", "记录到场", "记录解除", "取消演练"):
            assert word in page, word
        mark = {"institution": "a-home", "kind": "arrival"}
        assert (await visitor.post(f"{path}/marks", mark)).status_code == 303
        assert (await visitor.post(f"{path}/marks", {**mark, "kind": "party"})).status_code == 422
        assert (await visitor.post(f"{path}/marks", {**mark, "institution": "b-home"})).status_code == 404
        for kind, type_ in (("html", "text/html"), ("csv", "text/csv")):
            report = await visitor.http.get(f"{path}/report.{kind}")
            assert report.headers["content-type"].startswith(type_)
            assert "default-src 'none'" in report.headers["content-security-policy"]
        assert (await visitor.http.get(f"{path}/report.exe")).status_code == 404
        assert (await visitor.post(f"{path}/cancel")).status_code == 303
        assert "已取消" in (await visitor.http.get(path)).text
        assert (await visitor.post(f"{path}/cancel")).status_code == 409
    assert await console.rows("select kind, actor from drill_mark") == [("arrival", "holder of one000000002")]
    actions = await console.rows("select action from audit where starts_with(action, 'drill.') order by key")
    assert actions == [("drill.record",), ("drill.cancel",)]


async def test_a_drill_of_others_does_not_exist_and_who_may_only_read_sees_no_button(
    console: Console, later: datetime
) -> None:
    foreign, mine = await _drill(console, "b-home"), await _drill(console, "a-home", "b-home")
    async with console.visitor("operator-a") as visitor:
        assert (await visitor.http.get(f"/console/drills/{foreign}")).status_code == 404
        assert str(foreign) not in (await visitor.http.get("/console/drills")).text
        page = (await visitor.http.get(f"/console/drills/{mine}")).text
        assert 'id="i-a-home"' in page
        assert 'id="i-b-home"' not in page
        assert (await visitor.post(f"/console/drills/{mine}/cancel")).status_code == 403
    async with console.visitor("regulator-a") as visitor:
        page = (await visitor.http.get(f"/console/drills/{mine}")).text
        assert "<button" not in page.split('id="drill"')[1].split("</main>")[0]
        assert (
            await visitor.post(f"/console/drills/{mine}/marks", {"institution": "a-home", "kind": "arrival"})
        ).status_code == 403


async def test_a_shift_is_handed_over_with_the_alarms_that_stand_open(console: Console) -> None:
    await _rota(console, "desk", institution="a-home")
    await console.city.conn.execute("insert into rota_turn (rota, shift, n, responder) values ('desk', 0, 1, 'b-duty')")
    note = {"giver": "a-duty", "taker": "b-duty", "note": "后门门锁待修"}
    async with console.visitor("operator-a") as visitor:
        assert "h-desk" in (await visitor.http.get("/console/duty")).text
        for wrong in ({"note": " "}, {"taker": "a-duty"}, {"giver": "nobody"}, {"note": "x" * 2001}):
            assert (await visitor.post("/console/duty/desk/handover", {**note, **wrong})).status_code == 422, wrong
        assert (await visitor.post("/console/duty/nowhere/handover", note)).status_code in (403, 404)
        assert (await visitor.post("/console/duty/desk/handover", note)).status_code == 303
        page = (await visitor.http.get("/console/duty")).text
        assert "后门门锁待修" in page
    async with console.visitor("regulator-a") as visitor:
        assert "h-desk" not in (await visitor.http.get("/console/duty")).text
        assert (await visitor.post("/console/duty/desk/handover", note)).status_code == 403
    assert await console.rows("select giver, taker, alarm_count, written_by from duty_handover") == [
        ("a-duty", "b-duty", 1, "holder of one000000002")
    ]


async def test_why_is_answered_for_any_moment_and_bad_moments_are_refused(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}/why"
    async with console.visitor("regulator-a") as visitor:
        assert f'href="{path}"' in (await visitor.http.get(f"/console/alarms/{console.city.a.alarm}")).text
        page = (await visitor.http.get(path)).text
        assert "依据" in page
        early = (await visitor.http.get(f"{path}?at=2026-11-20T00:00:00")).text
        assert "没有任何通知送达" in early
        for wrong in ("yesterday", "0001-01-01T00:00:00", "9999-12-31T23:59:59", "2026-13-01"):
            assert (await visitor.http.get(path, params={"at": wrong})).status_code == 422, wrong
        assert (await visitor.http.get(f"/console/alarms/{console.city.b.alarm}/why")).status_code == 404
