"""Logging in and out: the cookie, the shift's end, forgery, and too many failures."""

import re
from datetime import timedelta

import pytest

from hub.store import sessions
from hub.web.asking import COOKIE, after_login
from tests.api import seed
from tests.web.conftest import Console


async def test_a_login_gives_a_cookie_that_no_script_and_no_other_site_can_use(console: Console) -> None:
    async with console.visitor() as visitor:
        answer = await visitor.log_in(console.city.tokens["operator"])
        cookie = answer.headers["set-cookie"]
        assert answer.headers["location"] == "/console/"
        for word in ("HttpOnly", "SameSite=strict", "Path=/console", f"Max-Age={12 * 3600}"):
            assert word in cookie
        assert "Secure" not in cookie  # plain http on this machine
        assert console.city.tokens["operator"] not in cookie
        secret = re.findall(f"{COOKIE}=([^;]+)", cookie)[0]
        ((stored,),) = await console.rows("select id from web_session")
        assert secret.encode() not in bytes(stored)


async def test_a_login_never_goes_on_with_the_cookie_that_was_there_before(console: Console) -> None:
    async with console.visitor("regulator-a") as attacker, console.visitor() as victim:
        planted = attacker.http.cookies[COOKIE]
        victim.http.cookies.set(COOKIE, planted, domain="hub.local", path="/console")
        answer = await victim.log_in(console.city.tokens["operator"])
        assert planted not in answer.headers["set-cookie"]
        assert (await attacker.http.get("/console/")).status_code == 303, "the planted session has ended"
        page = (await victim.http.get("/console/")).text
        assert "holder of all000000002" in page
        victim.http.cookies.clear()
        victim.http.cookies.set(COOKIE, "x" * 43, domain="hub.local", path="/console")  # a secret that somebody made up
        answer = await victim.log_in(console.city.tokens["operator"])
        assert "x" * 43 not in answer.headers["set-cookie"]


async def test_behind_tls_the_cookie_is_sent_over_tls_only(console: Console) -> None:
    services = console.app.state.services
    object.__setattr__(services, "settings", services.settings.model_copy(update={"public_url": "https://hub.example"}))
    async with console.visitor() as visitor:
        assert (
            "Secure"
            in (await visitor.post("/console/login", {"token": console.city.tokens["operator"]})).headers["set-cookie"]
        )


@pytest.mark.parametrize(
    "token", ["", "hub_x", "hub_all000000002_" + "k" * 43, "不是令牌一二三", "hub_all000000002_all000000002\ud800"]
)
async def test_a_wrong_token_lets_nobody_in_and_says_nothing_of_why(console: Console, token: str) -> None:
    async with console.visitor() as visitor:
        answer = await visitor.post("/console/login", {"token": token.encode("utf-8", "replace").decode()})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "令牌不对、已过期或已作废" in answer.text
        assert token not in answer.text or not token


async def test_too_many_guesses_at_a_token_have_to_wait_and_the_right_one_too_but_nobody_else_there_or_elsewhere(
    console: Console,
) -> None:
    right = console.city.tokens["operator"]
    guess = right[:-1] + ("j" if right[-1] != "j" else "k")
    async with console.visitor() as visitor, console.visitor(address="10.0.0.2") as other:
        for n in range(10):
            assert (await visitor.post("/console/login", {"token": guess})).status_code == 401, n
        answer = await visitor.post("/console/login", {"token": right})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 6
        assert (await other.log_in(right)).status_code == 303
        for n in range(12):  # garbage is nobody's token: it keeps nobody out
            answer = await visitor.post("/console/login", {"token": f"wrong {n}"})
            assert answer.status_code == (401 if n < 10 else 429)
        assert (await visitor.log_in(console.city.tokens["admin"])).status_code == 303


async def test_a_session_ends_with_its_shift_with_its_token_and_by_logging_out(console: Console) -> None:
    services = console.app.state.services
    async with (
        console.visitor("operator") as one,
        console.visitor("admin") as two,
        console.visitor("regulator") as three,
    ):
        assert (await one.post("/console/logout")).headers["location"] == "/console/login"
        assert (await one.http.get("/console/")).status_code == 303
        await console.city.conn.execute("update token set revoked_at = now() where role = 'admin'")
        assert (await two.http.get("/console/")).status_code == 303
        assert (await three.http.get("/console/")).status_code == 200
        late = seed.at(3600) + sessions.LIFETIME + timedelta(seconds=1)
        object.__setattr__(services, "clock", lambda: late)
        assert (await three.http.get("/console/")).status_code == 303


async def test_a_stolen_table_of_sessions_lets_nobody_in(console: Console) -> None:
    async with console.visitor("operator"), console.visitor() as thief:
        ((stored,),) = await console.rows("select encode(id, 'hex') from web_session")
        thief.http.cookies.set(COOKIE, stored[:43], path="/console")
        assert (await thief.http.get("/console/")).status_code == 303


async def test_every_form_needs_the_sessions_own_token_and_our_own_page(console: Console) -> None:
    alarm = console.city.a.alarm
    async with console.visitor("operator") as visitor, console.visitor("operator-a") as other:
        for path in (f"/console/alarms/{alarm}/acknowledge", f"/console/alarms/{alarm}/note", "/console/logout"):
            for csrf in ("", "x" * 43, other.csrf, "密"):
                assert (await visitor.post(path, {"csrf": csrf})).status_code == 403, (path, csrf)
            assert (await visitor.post(path, origin="https://evil.example")).status_code == 403
            assert (await visitor.post(path, origin="null")).status_code == 403
            assert (await visitor.post(path, origin="")).status_code == 403
            assert (await visitor.post(path, sec_fetch_site="cross-site")).status_code == 403
            assert (await visitor.post(path, content_type="text/plain")).status_code == 415
            assert (await visitor.http.get(path)).status_code == 405
        assert (await visitor.post("/console/login", {"token": "x"}, origin="https://evil.example")).status_code == 403
        assert (await visitor.http.get("/console/")).status_code == 200
    ((state,),) = await console.rows("select state from alarm where id = %s", alarm)
    assert state == "unack_active"


async def test_a_form_that_is_too_large_or_garbage_is_refused(console: Console) -> None:
    path = f"/console/alarms/{console.city.a.alarm}/note"
    async with console.visitor("operator") as visitor:
        assert (await visitor.post(path, {"note": "x" * 30_000})).status_code == 413
        assert (await visitor.post(path, {"note": "x" * 2001})).status_code == 422
        assert (await visitor.post(path, {"note": "a\x00b"})).status_code == 422
        assert (await visitor.post(path, {str(n): "x" for n in range(60)})).status_code == 422
        head = {"content-type": "application/x-www-form-urlencoded", "origin": "http://hub"}
        for body in (b"\xff\xfe", b"csrf", b"%ff=%ff"):
            assert (await visitor.http.post(path, content=body, headers=head)).status_code in (403, 422)


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/console",
        "/console//evil",
        "javascript:alert(1)",
        "",
        "/consolex",
        "/console/\nx",
    ],
)
def test_after_the_login_one_is_led_nowhere_but_into_the_console(wanted: str) -> None:
    assert after_login(wanted) == "/console/"


def test_after_the_login_one_is_where_one_wanted_to_be() -> None:
    assert after_login("/console/alarms?institution=sun") == "/console/alarms?institution=sun"
