"""Every route: a keeper sees and does nothing of another institution, roles are held, and nothing is asked or sent without a login.

The walks go over the console's own list of routes, so that a new page cannot be forgotten.
"""

import re

from hub.core.rights import RIGHTS, Permission, Role
from hub.web.app import LINKED, ROUTES
from tests.web.conftest import Console
from tests.web.routes import ACTIONS, APART, PAGES, PUBLIC, Done, filled, foreign, furnish

SCRIPT = {"x_console": "1"}
TABLES = (
    *("alarm_transition", "arming", "audit", "device_test", "drill", "drill_mark", "duty_handover", "handover"),
    *("attestation", "attestation_second", "zone_plan_signature"),
    *("maintenance_window", "notification", "police_window", "proof", "shelving_asked", "change", "waiver"),
    "work_order_step",
)
"""what a form of the console may write to"""


def _known() -> set[tuple[str, str]]:
    asked = {(path, "GET") for path in PAGES} | {(path, "POST") for path in ACTIONS}
    return asked | PUBLIC | APART


def test_every_route_of_the_console_stands_in_the_table_of_the_tests() -> None:
    routes = {(route.path, "POST" if "POST" in (route.methods or ()) else "GET") for route in ROUTES}
    assert routes == _known()
    assert {(route.path, "POST" in (route.methods or ())) for route in LINKED} == {
        ("/{notification}/{expires}/{mac}", False),
        ("/{notification}/{expires}/{mac}", True),
    }, "tests/web/test_linked.py holds what a link shows: add what is new there"


async def _contents(console: Console) -> list[int]:
    found = []
    for table in TABLES:
        ((count,),) = await console.rows(f"select count(*) from {table}")
        found.append(count)
    ((cancelled, ended, received),) = await console.rows(
        "select (select count(*) from drill where cancelled_at is not null), (select count(*) from maintenance_window where ended_by is not null),"
        " (select count(*) from police_window where receipt_at is not null or cancelled_at is not null)"
    )
    return [*found, cancelled, ended, received]


async def test_a_keeper_sees_nothing_of_another_institution_on_any_page(console: Console) -> None:
    a = await furnish(console.city.conn, console.city.a)
    b = await furnish(console.city.conn, console.city.b)
    names = foreign(b)
    seen = ""
    async with console.visitor("operator-a") as visitor:
        for page in (page for pages in PAGES.values() for page in pages):
            at = filled(page.at, a)
            mine = await visitor.http.get(f"/console{at}")
            assert mine.status_code in ((200,) if "floors" not in at else (200, 404)), at
            assert not [name for name in names if name in mine.text], at
            seen += mine.text
            other = await visitor.http.get(f"/console{filled(page.at, b)}")
            if page.whole:
                said = set(
                    filled(page.at, b).partition("?")[2].split("=")
                )  # what was asked for may stand in its own form
                assert other.status_code == 200, at
                assert not [name for name in names if name in other.text and name not in said], at
            else:
                assert other.status_code == 404, at
                assert not [name for name in names if name in other.text], at
    missing = [name for name in foreign(a) if name not in seen and name != a["group"]]
    assert missing == [], "what a keeper should have seen of their own"


async def test_whoever_is_not_logged_in_is_shown_and_may_do_nothing(console: Console) -> None:
    a = await furnish(console.city.conn, console.city.a)
    before = await _contents(console)
    async with console.visitor() as visitor:
        for page in (page for pages in PAGES.values() for page in pages):
            answer = await visitor.http.get(f"/console{filled(page.at, a)}")
            assert answer.status_code == 303, page.at
            assert answer.headers["location"].startswith("/console/login?next=%2Fconsole%2F"), page.at
            answer = await visitor.http.get(f"/console{filled(page.at, a)}", headers={"x-console": "1"})
            assert answer.status_code == 401, page.at
        for done in ACTIONS.values():
            answer = await visitor.post(f"/console{filled(done.at, a)}", _fields(done, a))
            assert answer.status_code in (401, 403), done.at
    assert await _contents(console) == before


def _fields(done: Done, ids: dict[str, str]) -> dict[str, str]:
    return {filled(name, ids): filled(value, ids) for name, value in done.fields.items()}


async def test_a_form_of_another_institution_or_another_role_or_another_site_changes_nothing(console: Console) -> None:
    a = await furnish(console.city.conn, console.city.a)
    b = await furnish(console.city.conn, console.city.b)
    deeds = [done for path, done in ACTIONS.items() if path != "/logout"]
    async with console.visitor("admin-a") as keeper:
        before = await _contents(console)
        for done in deeds:
            answer = await keeper.post(f"/console{filled(done.at, b)}", _fields(done, b), **SCRIPT)
            assert answer.status_code in done.answers, (done.at, answer.text)
            assert not [name for name in foreign(b) if name in answer.text and name not in _asked(done, b)]
            for wrong in ({"csrf": ""}, {"csrf": "x" * 43}):
                answer = await keeper.post(f"/console{filled(done.at, a)}", {**_fields(done, a), **wrong}, **SCRIPT)
                assert answer.status_code == 403, done.at
            answer = await keeper.post(f"/console{filled(done.at, a)}", _fields(done, a), origin="https://evil.example")
            assert answer.status_code == 403, done.at
    for role in Role:
        async with console.visitor(f"{role.value}-a") as visitor:
            for pages in PAGES.values():
                for page in pages:
                    may = page.permission in RIGHTS[role]
                    answer = await visitor.http.get(f"/console{filled(page.at, a)}")
                    assert (answer.status_code == 403) is not may, (role, page.at)
                    assert not [name for name in foreign(b) if name in answer.text], (role, page.at)
                    for at in re.findall(r'<form method="post" action="/console([^"]+)"', answer.text):
                        assert _permission(at) in RIGHTS[role], (role, page.at, at)
            before = await _contents(console)
            for done in deeds:
                if done.permission in RIGHTS[role]:
                    continue
                answer = await visitor.post(f"/console{filled(done.at, a)}", _fields(done, a), **SCRIPT)
                assert answer.status_code == 403, (role, done.at)
            assert await _contents(console) == before


def _asked(done: Done, ids: dict[str, str]) -> set[str]:
    """What the one who asks has named."""
    asked = done.at + "".join(done.fields.values()) + "".join(done.fields)
    return {value for name, value in ids.items() if f"{{{name}}}" in asked}


def _permission(at: str) -> Permission:
    """What the form that is sent there asks for."""
    for path, done in ACTIONS.items():
        pattern = re.sub(r"\{[a-z]+(:uuid)?\}", "[^/]+", path)
        if re.fullmatch(pattern, at):
            return done.permission
    raise AssertionError(f"no route takes {at}")


async def test_what_every_form_is_for_happens_once_and_is_in_the_audit_log(console: Console) -> None:
    a = await furnish(console.city.conn, console.city.a)
    async with console.visitor("admin-a") as own, console.visitor("admin") as above:
        for path, done in ACTIONS.items():
            if path in ("/logout", "/duty/{rota}/handover"):
                continue
            keeper = own
            if path.startswith(("/orders/", "/waivers")) and done.permission is Permission.SUPERVISE:
                answer = await own.post(f"/console{filled(done.at, a)}", _fields(done, a), **SCRIPT)
                assert answer.status_code == 403, (path, "no institution supervises itself")
                keeper = above
            answer = await keeper.post(f"/console{filled(done.at, a)}", _fields(done, a), **SCRIPT)
            if path.startswith("/police-windows/"):
                assert answer.status_code in (200, 409), answer.text  # what has a receipt is not cancelled
                continue
            assert answer.status_code == 200, (path, answer.text)
            words = answer.json()
            assert re.search(r"[\u4e00-\u9fff]", words["zh"]), path
            assert words["en"], path
            assert (await keeper.http.get(words["to"])).status_code == 200, path
    rows = await console.rows("select action, detail ->> 'by' from audit where action <> 'console.login' order by key")
    assert {by for _, by in rows} == {"console"}
    assert [action for action, _ in rows] == [
        *("alarm.acknowledge", "institution.arm", "zone-plan.sign", "attestation.record", "attestation.second"),
        *("attestation.withdraw", "view.attest", "device.test", "drill.declare", "drill.cancel", "drill.record"),
        *("proof.ask", "window.book", "window.receipt"),
        *("order.issue", "order.answer", "order.withdraw", "waiver.grant", "waiver.end"),
        *("maintenance.make", "maintenance.end"),
    ]


async def test_a_ledger_is_taken_by_whoever_sees_all_of_its_division(console: Console) -> None:
    at = "/console/ledgers/1404/2026.csv"
    async with console.visitor() as nobody:
        assert (await nobody.http.get(at)).status_code == 303
    async with console.visitor("regulator-a") as keeper:
        assert (await keeper.http.get(at)).status_code == 404
        assert (await keeper.http.get("/console/ledgers/140403/2026-10.xlsx")).status_code == 404
    async with console.visitor("reader-b") as county:
        assert "/console/ledgers/140404/2026-11.xlsx" in (await county.http.get("/console/ledgers")).text
    async with console.visitor("regulator") as regulator:
        assert "/console/ledgers/14/2026-11.xlsx" in (await regulator.http.get("/console/ledgers")).text
        taken = await regulator.http.get(at)
        assert (taken.status_code, taken.content[:3]) == (200, b"\xef\xbb\xbf")
        taken = await regulator.http.get("/console/ledgers/1404/2026-11.xlsx")
        assert (taken.status_code, taken.content[:2]) == (200, b"PK")
        page = (await regulator.http.get("/console/ledgers?known_at=2026-11-05T08:00")).text
        assert "/console/ledgers/14/2026-11.xlsx?known_at=2026-11-05T08%3A00%3A00%2B08%3A00" in page
        both = "known_at=2026-11-05T08:00&seen_at=2026-11-04T08:00"
        assert (await regulator.http.get(f"/console/ledgers/1404/2026-11.xlsx?{both}")).status_code == 422
        for wrong in ("1404/2026-13.xlsx", "1404/2026-10.csv", "1404/2026-11.pdf", "1404/2026.pdf", "x/2026-10.xlsx"):
            assert (await regulator.http.get(f"/console/ledgers/{wrong}")).status_code in (404, 422), wrong
