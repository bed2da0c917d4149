"""Orders and waivers over a real database: who may do what, what the facts do, and whom an overdue order reaches."""

import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import openpyxl
import psycopg
import pytest

from hub.api.app import create_app
from hub.config import Settings
from hub.core.escalation import Policy, Step
from hub.core.orders import DAY, Terms
from hub.core.rights import EVERYTHING, Role, Scope
from hub.model import SECOND, Micros, Priority, SignalClass, to_datetime, to_micros
from hub.store.coverage import open_ledger
from hub.store.hub_alarms import PROFILE
from hub.store.order_desk import open_order_desk
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.store.pool import connect, open_pool
from tests.api import seed
from tests.store.coverage_register import PACKS, PROFILES, RULES, Register

T0: Micros = 1_795_000_000_000_000
HOUR = DAY // 24
PANIC, ACCESS, LAW = "changzhi-panic", "changzhi-access", "national-video-forbidden"
PEOPLE = {
    "keeper": (Role.OPERATOR, Scope(institutions=("sun",))),
    "county": (Role.REGULATOR, Scope(divisions=("140403",))),
    "city": (Role.REGULATOR, Scope(divisions=("1404",))),
    "province": (Role.REGULATOR, EVERYTHING),
    "neighbour": (Role.REGULATOR, Scope(divisions=("140404",))),
    "machine": (Role.REGULATOR, Scope(divisions=("140403",))),
}


@dataclass
class World:
    """An institution without a panic button and without access control in a town of a county, and whoever has to do with it."""

    url: str
    register: Register
    tokens: dict[str, str]
    now: Micros = T0
    app: Any = None

    async def ask(self, who: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1", headers=headers) as client:
            answer = await client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def judge(self, at: Micros, seen_until: Micros | None = None) -> None:
        """Everything judged at `at`, and, as if somebody had looked all along, until `seen_until`."""
        async with open_ledger(self.url, PROFILES, RULES) as ledger:
            async with ledger.judging(await ledger.subjects(), at) as judging:
                await judging.record()
        self.register.do("update coverage_check set checked_at = %s", to_datetime(seen_until or at))

    async def look(self, at: Micros) -> dict[str, int]:
        self.now = at
        async with open_order_desk(self.url, PROFILES[PROFILE]) as desk:
            return dict((await desk.look(at, Terms())).events)

    async def order(self, who: str = "province", rule: str = PANIC) -> Any:
        page = await self.ask(who, "GET", "/orders?institution=sun")
        (found,) = [row for row in page["items"] if row["rule"] == rule]
        return found


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    for code, parent in (("14", None), ("140403", "1404"), ("140404", "1404"), ("140403001", "140403")):
        made.do("insert into division values (%s, %s, '区划', 'Division')", code, parent)
    made.do("update division set parent = '14' where code = '1404'")
    made.do("update institution set division = '140403001' where id = 'sun'")
    made.zone("sun", "act", "activity_room")
    made.zone("sun", "wc", "toilet")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.listen()
    yield made
    made.close()


@pytest.fixture
async def world(fresh_database: str, register: Register) -> AsyncIterator[World]:
    conn = await seed.connect(fresh_database)
    tokens = {
        name: await seed.give_token(conn, name.ljust(12, "0"), role, scope, name=name)
        for name, (role, scope) in PEOPLE.items()
    }
    await conn.execute("update token set kind = 'service' where name = 'machine'")
    await conn.close()
    made = World(fresh_database, register, tokens)
    settings = Settings.model_validate(
        {"database_url": fresh_database, "mqtt_url": "mqtt://127.0.0.1", "report_font": "/no/such.ttf"}
    )
    async with open_pool(fresh_database, 3) as pool:
        made.app = create_app(settings, pool, PROFILES, PACKS, clock=lambda: to_datetime(made.now))
        yield made


async def test_an_order_is_drafted_issued_answered_raised_closed_by_the_facts_and_reopened(world: World) -> None:
    await world.judge(T0, T0 + 40 * DAY)
    assert await world.look(T0 + 23 * HOUR) == {}
    drafted = await world.look(T0 + DAY)
    page = await world.ask("keeper", "GET", "/orders")
    assert drafted == {"draft": len(page["items"])}
    assert {row["rule"] for row in page["items"]} >= {PANIC, ACCESS}
    assert page["counts"]["draft"] == len(page["items"])
    assert await world.look(T0 + DAY + HOUR) == {}, "one order for a rule at a place"

    order = await world.order()
    path = f"/orders/{order['id']}"
    assert (order["state"], order["basis"], order["verdict"]) == ("draft", "target", "non_compliant")
    for who, status in (("keeper", 403), ("machine", 403), ("neighbour", 404)):
        await world.ask(who, "POST", f"{path}/issue", {}, status)
    await world.ask("neighbour", "GET", path, status=404)
    assert (await world.ask("neighbour", "GET", "/orders"))["items"] == []
    world.now = T0 + 2 * DAY
    issued = await world.ask("county", "POST", f"{path}/issue", {"note": "三十日内完成"})
    assert (issued["state"], issued["issued_by"], issued["owner"]) == ("issued", "county", "140403")
    assert issued["due_at"] == to_datetime(T0 + 32 * DAY).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    await world.ask("county", "POST", f"{path}/issue", {}, 409)

    await world.ask("county", "POST", f"{path}/answer", {"text": "x"}, 403)
    await world.ask("keeper", "POST", f"{path}/answer", {"text": " "}, 422)
    answered = await world.ask("keeper", "POST", f"{path}/answer", {"text": "已安装", "attachment": "验收单 7"})
    assert answered["state"] == "answered"
    assert await world.look(T0 + 32 * DAY - SECOND) == {}

    await reach(world)
    assert await world.look(T0 + 32 * DAY) == {"raise": 1}
    assert (await world.order())["raised_to"] == "1404"
    assert [row["id"] for row in (await world.ask("city", "GET", "/orders?raised_to=1404"))["items"]] == [order["id"]]
    assert (await world.ask("county", "GET", "/orders?raised_to=140403"))["items"] == []
    assert told(world) == [("anxin-hub-1404", "compliance", "unack_active", ["head"])]
    said = await world.ask("city", "GET", path)
    assert [step["event"] for step in said["steps"]] == ["draft", "issue", "answer", "raise"]
    await world.ask("county", "POST", f"{path}/withdraw", {"note": "x"}, 403)

    world.register.device("sun", "sos", "tuya-ts0215a-sos", "act")
    await world.judge(T0 + 35 * DAY, T0 + 60 * DAY)
    assert await world.look(T0 + 39 * DAY) == {}, "the facts hold: it rises no further"
    assert await world.look(T0 + 42 * DAY - SECOND) == {}
    assert await world.look(T0 + 42 * DAY) == {"close": 1}
    assert told(world) == [("anxin-hub-1404", "compliance", "unack_cleared", [])]

    world.register.turn("sos", "function_state", "failed")
    await world.judge(T0 + 50 * DAY, T0 + 60 * DAY)
    assert await world.look(T0 + 51 * DAY) == {"reopen": 1}
    again = await world.order()
    assert (again["state"], again["raised_to"]) == ("reopened", None)
    gone = await world.ask("county", "POST", f"{path}/withdraw", {"note": "误判"})
    assert gone["state"] == "withdrawn"
    assert await world.look(T0 + 55 * DAY) == {}, "what a person withdrew is not drafted again at once"
    acts = world.register.all("select actor, action from audit where action like 'order.%%' order by key")
    assert acts == [("county", "order.issue"), ("keeper", "order.answer"), ("county", "order.withdraw")]


async def reach(world: World) -> None:
    """Somebody at the city is told of compliance alarms."""
    head = Responder(
        "head", "长", "Head", (Channel("app", "webhook", {"url": "https://example.org/x", "secret": "s" * 32}),)
    )
    policy = Policy(
        "compliance",
        frozenset({SignalClass.COMPLIANCE}),
        frozenset({Priority.MEDIUM}),
        300 * SECOND,
        (Step(1, "head"),),
    )
    async with await connect(world.url, "test") as conn, conn.cursor() as cur:
        await put_responder(cur, head)
        await put_policy(cur, policy)


def told(world: World) -> list[tuple[str, str, str, list[str]]]:
    """The alarms of overdue orders: where they stand, their class and state, and who is about to be told."""
    found = world.register.all(
        "select i.id::text, a.signal_class, a.state, array(select distinct s.responder::text from escalation_step s"
        " where s.alarm = a.id and s.state = 'due')"
        " from alarm a join institution i on i.key = a.institution where a.definition = 'order_overdue' order by 1"
    )
    return [(row[0], row[1], row[2], row[3]) for row in found]


async def test_a_waiver_excuses_a_target_until_its_time_and_never_a_law(world: World) -> None:
    await world.judge(T0, T0 + 40 * DAY)
    await world.look(T0 + DAY)
    waiver = {"institution": "sun", "rule": PANIC, "ground": "房屋改造，已另设人工值守", "document": "示例字 1 号"}
    expires = to_datetime(T0 + 30 * DAY).isoformat()
    for who, body, status in (
        ("keeper", {}, 403),
        ("machine", {}, 403),
        ("neighbour", {}, 404),
        ("county", {"rule": LAW}, 422),
        ("county", {"rule": "no-such"}, 422),
        ("county", {"expires_at": to_datetime(T0 + 400 * DAY).isoformat()}, 422),
    ):
        await world.ask(who, "POST", "/waivers", {**waiver, "expires_at": expires, **body}, status)
    granted = await world.ask("county", "POST", "/waivers", {**waiver, "expires_at": expires}, 201)
    assert (granted["state"], granted["approver"], granted["force"]) == ("holds", "county", "POL")
    await world.ask("county", "POST", "/waivers", {**waiver, "expires_at": expires}, 409)
    assert [row["id"] for row in (await world.ask("city", "GET", "/waivers?open=true"))["items"]] == [granted["id"]]
    assert (await world.ask("neighbour", "GET", "/waivers"))["items"] == []

    await world.judge(T0 + 2 * DAY, T0 + 40 * DAY)
    assert world.register.verdicts("sun")[PANIC] == "waived"
    assert await world.look(T0 + 2 * DAY) == {"lapse": 1}
    world.now = T0 + 2 * DAY
    figures = (await world.ask("city", "GET", "/coverage?division=1404"))["figures"]["target"]["findings"]
    assert figures["waived"] == 1
    await world.judge(T0 + 30 * DAY, T0 + 40 * DAY)
    assert world.register.verdicts("sun")[PANIC] == "non_compliant"
    assert await world.look(T0 + 31 * DAY) == {"draft": 1}
    shown = await world.ask("county", "GET", f"/waivers/{granted['id']}")
    assert shown["state"] == "expired"
    await world.ask("county", "DELETE", f"/waivers/{granted['id']}", status=409)

    world.now = T0 + 33 * DAY
    again = {**waiver, "rule": ACCESS, "expires_at": to_datetime(T0 + 60 * DAY).isoformat()}
    early = await world.ask("county", "POST", "/waivers", again, 201)
    ended = await world.ask("city", "DELETE", f"/waivers/{early['id']}")
    assert (ended["state"], ended["ended_by"]) == ("ended", "city")
    refused(world, "update waiver set expires_at = expires_at + interval '1 day'")
    refused(world, "delete from waiver")
    refused(world, "update work_order_step set note = 'x'")


def refused(world: World, statement: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
        world.register.do(statement)


async def test_the_database_itself_takes_no_waiver_of_a_law(world: World) -> None:
    await world.judge(T0)
    for force in ("LAW", "GB!", "POL"):  # the last one lies about the rule
        refused(
            world,
            "insert into waiver (institution, rule, force, basis, title_zh, title_en, ground, approver, granted_at, since, expires_at)"
            f" select key, '{LAW}', '{force}', 'obligation', '', '', 'x', 'x', now(), now(), now() + interval '1 day'"
            " from institution where id = 'sun'",
        )


async def test_a_rule_that_stops_to_apply_leaves_its_order_to_a_person(world: World) -> None:
    await world.judge(T0, T0 + 100 * DAY)
    await world.look(T0 + DAY)
    order = await world.order()
    world.now = T0 + DAY
    await world.ask("county", "POST", f"/orders/{order['id']}/issue", {})
    world.register.do("update institution set type = 'home_point'")  # the panic rule holds no home-based point
    world.register.do("update register_entry set type = 'home_point'")  # and the regulator says so, too (decision 0447)
    await world.judge(T0 + 2 * DAY, T0 + 100 * DAY)
    assert PANIC not in world.register.verdicts("sun")
    assert "close" not in await world.look(T0 + 20 * DAY)
    assert (await world.order())["verdict"] is None
    assert (await world.look(T0 + 31 * DAY)).get("raise") == 1


async def test_figures_and_ledgers_are_for_whoever_sees_all_of_a_division(world: World) -> None:
    await world.judge(T0, T0 + 40 * DAY)
    world.now = T0 + DAY
    world.register.do("update register_version set since = '2026-01-01'")
    month = f"{to_datetime(T0 + DAY // 3):%Y-%m}"
    for who, path, status in (
        ("city", "/rollup/divisions/1404", 200),
        ("keeper", "/rollup/divisions/1404", 200),
        ("neighbour", "/rollup/divisions/140403", 404),
        ("keeper", "/rollup/divisions/1404/trend", 404),
        ("city", "/rollup/divisions/1404/trend?days=3", 200),
        ("province", "/rollup/divisions", 200),
        ("province", "/rollup/groups", 200),
        ("city", "/rollup/groups/none", 404),
        ("keeper", f"/ledgers/1404/months/{month}.json", 404),
        ("county", f"/ledgers/1404/months/{month}.xlsx", 404),
        ("city", f"/ledgers/1404/months/{month}.pdf", 422),  # the font that this hub names is not there
        ("city", "/ledgers/1404/months/2026-13.xlsx", 422),
        ("city", "/ledgers/1404/months/2199-01.xlsx", 422),
        ("county", "/ledgers/1404/years/2026.csv", 404),
    ):
        found = await world.ask(who, "GET", path, status=status)
        if path == "/rollup/divisions/1404" and who == "city":
            assert found["place"]["register_entries"] == 2
            assert found["place"]["connected_rate"] == 0.5
            assert found["place"]["connected_target"] == 0.85
            assert found["place"]["target"]["all"]["institutions"]["unknown"] == 1
            assert set(found["place"]["target"]["modules"]) >= {"video", "panic", "access", "fire"}
        if path == "/rollup/divisions/1404" and who == "keeper":
            assert found["place"]["register_entries"] == 1, "over what lies within the scope"
    real = to_micros(datetime.now(UTC))
    world.now = real + 200 * SECOND  # what was judged was recorded by the clock of the wall
    known = to_datetime(real + 10 * SECOND).isoformat()
    headers = {"Authorization": f"Bearer {world.tokens['city']}"}
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1", headers=headers) as client:
        here = f"/ledgers/1404/months/{to_datetime(real + DAY // 3):%Y-%m}"
        books = [(await client.get(f"{here}.xlsx", params={"known_at": known})).content for _ in range(2)]
        as_json = (await client.get(f"{here}.json", params={"known_at": known})).json()
        alone = (await client.get(f"{here}.json", params={"known_at": known, "seen_at": known})).json()
        backwards = await client.get(
            f"{here}.xlsx", params={"known_at": known, "seen_at": to_datetime(real).isoformat()}
        )
        year = await client.get("/ledgers/1404/years/2026.csv")
        late = await client.get(f"{here}.xlsx", params={"known_at": to_datetime(world.now).isoformat()})
    assert books[0] == books[1]
    rows = [
        row[0].value for row in openpyxl.load_workbook(io.BytesIO(books[0]))["名册明细 Entries"].iter_rows(min_row=4)
    ]
    assert rows == ["CZ-1", "CZ-2"] == [entry["filing_number"] for entry in as_json["entries"]]
    assert len(as_json["sha256"]) == 64
    assert (alone["since"], alone["sha256"]) == (None, as_json["sha256"])
    assert as_json["since"]["seen_at"] > as_json["since"]["known_at"] == as_json["known_at"]
    assert len(as_json["since"]["sha256"]) == 64
    assert "此后变更 Changes since" in openpyxl.load_workbook(io.BytesIO(books[0])).sheetnames
    assert (backwards.status_code, backwards.json()["errors"][0]["pointer"]) == (422, "seen_at")
    assert year.content.startswith(b"\xef\xbb\xbf")
    assert late.status_code == 422
