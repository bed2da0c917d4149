"""Coverage through the API: who is listed first, three figures, findings with evidence, the past, and nothing green on silence."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from hub.api.app import create_app
from hub.config import Settings
from hub.core.rights import EVERYTHING, Role, Scope
from hub.model import SECOND, Micros, to_datetime
from hub.store.coverage import open_ledger
from hub.store.pool import open_pool
from tests.api import seed
from tests.store.coverage_register import PACKS, PROFILES, RULES, Register

T0: Micros = 1_795_000_000_000_000
VIDEO = "national-video-infant-zones"


@pytest.fixture
def register(fresh_database: str) -> Iterator[Register]:
    made = Register(fresh_database)
    made.city()
    made.zone("sun", "act", "activity_room")
    made.device("sun", "cam-1", "axis-camera", "act")
    made.device("sun", "smoke-1", "heiman-hs1sa", None)
    made.do(
        "insert into position (institution, id, zone, title_zh, title_en) select institution, 's', key, '位', 'P' from zone"
    )
    made.do("update device set position = (select key from position where id = 's') where id = 'smoke-1'")
    made.listen()
    yield made
    made.close()


async def judge(url: str, at: Micros) -> None:
    async with open_ledger(url, PROFILES, RULES) as ledger:
        async with ledger.judging(await ledger.subjects(), at) as judging:
            await judging.record()


@asynccontextmanager
async def asking(url: str, now: Micros = T0 + SECOND, scope: Scope = EVERYTHING) -> AsyncIterator[httpx.AsyncClient]:
    """A regulator's client at a time."""
    settings = Settings.model_validate({"database_url": url, "mqtt_url": "mqtt://127.0.0.1"})
    clock: datetime = to_datetime(now)
    conn = await seed.connect(url)
    await conn.execute("delete from token")
    token = await seed.give_token(conn, "one000000000", Role.REGULATOR, scope)
    await conn.close()
    async with open_pool(url, 2) as pool:
        app = create_app(settings, pool, PROFILES, PACKS, clock=lambda: clock)
        headers = {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1", headers=headers) as client:
            yield client


async def get(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_what_is_not_connected_stands_first_then_the_worst(fresh_database: str, register: Register) -> None:
    register.institution("bad")
    register.zone("bad", "act", "activity_room")
    register.enter("CZ-3", "bad")
    register.institution("dim")
    register.enter("CZ-4", "dim")
    register.sign("sun")
    register.do("update device_state set last_heard_at = now()")
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        page = await get(client, "/coverage")
    assert [(row["subject"], row["verdict"]) for row in page["items"]] == [
        ("register:CZ-2", "unknown"),
        ("bad", "non_compliant"),
        ("dim", "unknown"),
        ("sun", "compliant"),
    ]
    assert page["items"][0]["connected"] is False
    assert (page["register_entries"], page["not_connected"]) == (4, 1)
    heard = {row["subject"]: row["never_heard"] for row in page["items"]}
    assert heard == {"register:CZ-2": False, "bad": True, "dim": True, "sun": False}, (
        "a manifest alone has sent nothing"
    )
    assert page["never_heard"] == 2


async def test_the_three_figures_count_what_is_not_connected_as_unknown(
    fresh_database: str, register: Register
) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        unsigned = (await get(client, "/coverage"))["figures"]
        one = await get(client, "/coverage/sun")
    assert unsigned["obligation"]["institutions"]["compliant"] == 0  # nobody signed the plan that its green stands on
    assert one["verdicts"]["obligation"] == "unknown"
    assert "compliant" in {row["verdict"] for row in one["findings"] if row["plan_not_signed"]}
    register.sign("sun")
    await judge(fresh_database, T0 + SECOND)
    async with asking(fresh_database) as client:
        figures = (await get(client, "/coverage"))["figures"]
    assert figures["obligation"]["institutions"] == {
        "compliant": 1, "non_compliant": 0, "unknown": 1, "waived": 0, "not_applicable": 0, "rate": 0.5,
    }  # fmt: skip
    assert figures["target"]["institutions"]["rate"] == 0
    assert figures["target"]["findings"]["compliant"] == 2  # video and smart fire; no button, no access control
    assert figures["target"]["findings"]["rate"] == 0.25
    assert figures["recommendation"]["findings"]["non_compliant"] == 1


async def test_an_institution_that_is_not_on_the_register_is_shown_but_in_no_figure(
    fresh_database: str, register: Register
) -> None:
    register.do("update register_entry set removed_at = now(), institution = null where filing_number = 'CZ-1'")
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        page = await get(client, "/coverage")
    assert {row["subject"]: row["filing_number"] for row in page["items"]} == {"register:CZ-2": "CZ-2", "sun": None}
    assert page["figures"]["obligation"]["institutions"]["compliant"] == 0


async def test_what_register_and_institution_say_differently_is_shown_and_counted_once_in_the_registers_division(
    fresh_database: str, register: Register
) -> None:
    for code, parent in (("140403", "1404"), ("140404", "1404")):
        register.do("insert into division values (%s, %s, '县', 'County')", code, parent)
    register.do("update institution set division = '140403' where id = 'sun'")
    register.do("update register_entry set division = '140404', type = 'private' where filing_number = 'CZ-1'")
    await judge(fresh_database, T0)
    register.do(
        "insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, state, drafted_at, issued_at, issued_by, owner)"
        ' select key, \'r\', \'obligation\', \'video\', \'{"title_zh": "规", "title_en": "R", "document": "d", "number": "1", "clause": "1"}\', \'句\', \'S\', now(), 30, \'issued\', now(), now(), \'p\', \'140403\' from institution'
    )
    wholes: dict[str, Any] = {}
    for code, scope in (
        ("140403", EVERYTHING), ("140404", EVERYTHING), ("1404", EVERYTHING), ("140403", Scope(divisions=("140403",))),
        ("140404", Scope(divisions=("140404",))), ("140404", Scope(institutions=("sun",))), ("140403", Scope(institutions=("sun",))),
    ):  # fmt: skip
        async with asking(fresh_database, scope=scope) as client:
            page = await get(client, f"/coverage?division={code}")
            rolled = (await client.get(f"/rollup/divisions/{code}")).json()
            fire = await get(client, f"/fire-risk?division={code}")
            orders = await get(client, f"/orders?division={code}")
        rows = {row["subject"]: row for row in page["items"]}
        counted = {name for name, row in rows.items() if row["counted"]}
        place = rolled.get("place")
        assert page["register_entries"] == len(counted)
        # whoever is over one institution alone is not shown a division in which it does not say to stand
        assert scope.institutions or len(counted) == (place["register_entries"] if place else 0), (code, scope)
        if place:
            for basis in ("obligation", "target", "recommendation"):
                ours, theirs = page["figures"][basis], place[basis]["all"]
                assert ours["institutions"]["rate"] == theirs["institutions"]["rate"], (code, scope, basis)
                assert ours["findings"] == theirs["findings"]
            assert place["connected"] == page["register_entries"] - page["not_connected"]
            assert place["open_orders"] == len(orders["items"]) or not scope.everything
        assert ("sun" in counted) == (code != "140403")
        assert ("sun" in {row["subject"] for row in fire["items"]}) == (
            code != "140403" and scope != Scope(divisions=("140404",))
        )
        if "sun" in rows:
            assert rows["sun"]["division"] == "140404"
            assert page["discrepancies"] == 1
            assert rows["sun"]["discrepancy"] == {
                "register_division": "140404", "institution_division": "140403",
                "register_type": "private", "institution_type": "community_point",
            }  # fmt: skip
        wholes[f"{code} {scope.divisions}"] = rows
    assert "sun" in wholes["140403 ('140403',)"], "whose own it says to be sees it, and that it is counted elsewhere"
    async with asking(fresh_database) as client:
        one = await get(client, "/coverage/sun")
    assert (one["division"], one["discrepancy"]["institution_division"]) == ("140404", "140403")


async def test_pages_follow_each_other_without_a_hole(fresh_database: str, register: Register) -> None:
    for n in range(4):
        register.institution(f"more-{n}")
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        whole = [row["subject"] for row in (await get(client, "/coverage"))["items"]]
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await get(client, "/coverage?limit=2" + (f"&cursor={cursor}" if cursor else ""))
            seen += [row["subject"] for row in page["items"]]
            cursor = page["next"]
        assert seen == whole
        assert len(seen) == 6
        await get(client, "/coverage?cursor=nonsense", 422)


async def test_findings_cite_document_and_clause_and_show_their_evidence(
    fresh_database: str, register: Register
) -> None:
    register.turn("cam-1", "link_state", "offline")
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        shown = await get(client, "/coverage/sun")
    assert shown["verdict"] == "unknown"
    assert shown["verdicts"] == {"obligation": "unknown", "target": "non_compliant", "recommendation": "non_compliant"}
    [found] = [one for one in shown["findings"] if one["rule"] == VIDEO]
    assert (found["document"], found["clause"], found["force"], found["basis"]) == (
        "托育机构管理规范（试行）",
        "第三十二条",
        "NORM",
        "obligation",
    )
    assert "cam-1 离线" in found["sentence"]["zh"]
    [part] = found["parts"]
    assert (part["zone"], part["purpose"], part["verdict"]) == ("act", "activity_room", "unknown")
    [device] = part["devices"]
    assert (device["device"], device["contribution"], device["reason"]) == ("cam-1", "unknown", "offline")
    assert [one["basis"] for one in shown["findings"]] == sorted(
        (one["basis"] for one in shown["findings"]), key=["obligation", "target", "recommendation"].index
    )


async def test_the_past_is_answered_as_it_was(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    register.turn("cam-1", "function_state", "failed")
    await judge(fresh_database, T0 + 10 * SECOND)
    async with asking(fresh_database, T0 + 11 * SECOND) as client:

        async def verdict(at: datetime | None) -> str | None:
            query = {} if at is None else {"at": at.isoformat()}
            shown = (await client.get("/coverage/sun", params=query)).json()
            return next((one["verdict"] for one in shown["findings"] if one["rule"] == VIDEO), None)

        assert await verdict(None) == "non_compliant"
        assert await verdict(to_datetime(T0 + 9 * SECOND)) == "compliant"
        assert await verdict(to_datetime(T0 - SECOND)) is None


async def test_a_report_prints_the_same_after_late_facts_and_what_is_known_otherwise_is_said(
    fresh_database: str, register: Register
) -> None:
    register.do("update device_state set link_since = %s", to_datetime(T0 - SECOND))
    await judge(fresh_database, T0)
    known = f"known_at={to_datetime(T0 + 40 * SECOND):%Y-%m-%dT%H:%M:%SZ}"
    report = f"/coverage/sun?at={to_datetime(T0 + 30 * SECOND):%Y-%m-%dT%H:%M:%SZ}&{known}"
    changed = report.replace("/coverage/sun", "/institutions/sun/coverage/changes")
    async with asking(fresh_database, T0 + 41 * SECOND) as client:
        before = await get(client, report)
        assert (await get(client, changed))["changes"] == []
    lost = to_datetime(T0 + 20 * SECOND)
    register.do("update device_state set link_state = 'offline', link_since = %s", lost)
    await judge(fresh_database, T0 + 60 * SECOND)
    async with asking(fresh_database, T0 + 61 * SECOND) as client:
        assert await get(client, report) == before
        changes = await get(client, changed)
        now = await get(client, report.partition("&")[0])
    told = {row["rule"]: (row["before"]["verdict"], row["after"]["verdict"]) for row in changes["changes"]}
    assert told[VIDEO] == ("compliant", "unknown")
    assert changes["unchanged"] + len(told) == len(before["findings"])
    assert {row["rule"]: row["verdict"] for row in now["findings"]}[VIDEO] == "unknown"
    assert changes["changes"][0]["after"]["recorded_at"] > changes["known_at"]


async def test_a_day_before_anything_was_judged_is_unknown_not_green(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        before = (to_datetime(T0) - timedelta(days=1)).isoformat()
        shown = (await client.get("/coverage/sun", params={"at": before})).json()
    assert shown["findings"] == []
    assert set(shown["verdicts"].values()) == {"unknown"}


async def test_what_nobody_judged_again_is_not_shown_as_compliant(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database, T0 + 181 * SECOND) as client:
        page = await get(client, "/coverage")
        shown = await get(client, "/coverage/sun")
    assert all(row["stale"] for row in page["items"])
    assert {row["verdict"] for row in page["items"]} == {"unknown"}
    assert all(one["verdict"] != "compliant" for one in shown["findings"])
    assert {one["reason"] for one in shown["findings"] if one["rule"] == VIDEO} == {"stale"}


async def test_a_moment_in_which_nobody_judged_is_not_green_afterwards_either(
    fresh_database: str, register: Register
) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database, T0 + 7200 * SECOND) as client:

        async def shown(seconds: int) -> tuple[str, bool]:
            query = {"at": to_datetime(T0 + seconds * SECOND).isoformat()}
            answer = (await client.get("/coverage/sun", params=query)).json()
            return next(one["verdict"] for one in answer["findings"] if one["rule"] == VIDEO), answer["stale"]

        assert await shown(170) == ("compliant", False)
        assert await shown(1800) == ("unknown", True)
        assert await shown(9000) == ("unknown", True)
        await judge(fresh_database, T0 + 3600 * SECOND)
        assert await shown(1800) == ("unknown", False)
        assert await shown(3600) == ("compliant", False)


async def test_before_the_first_judgement_everything_is_unknown(fresh_database: str, register: Register) -> None:
    async with asking(fresh_database) as client:
        page = await get(client, "/coverage")
    assert {row["verdict"] for row in page["items"]} == {"unknown"}
    assert page["figures"]["target"]["institutions"]["unknown"] == 2


async def test_an_entry_that_is_not_connected_has_its_findings_too(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        shown = await get(client, "/coverage/register:CZ-2")
    assert shown["institution"] is None
    assert {one["verdict"] for one in shown["findings"]} == {"unknown"}
    assert "尚未接入" in shown["findings"][0]["sentence"]["zh"]


async def test_outside_the_scope_there_is_nothing(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database, scope=Scope(divisions=("33",))) as client:
        page = await get(client, "/coverage")
        assert page["items"] == []
        assert page["register_entries"] == 0
        await get(client, "/coverage/sun", 404)
        await get(client, "/coverage/register:CZ-2", 404)
    async with asking(fresh_database, scope=Scope(institutions=("sun",))) as client:
        assert [row["subject"] for row in (await get(client, "/coverage"))["items"]] == ["sun"]
        await get(client, "/coverage/register:CZ-2", 404)


async def test_a_division_cuts_the_list_and_its_figures(fresh_database: str, register: Register) -> None:
    await judge(fresh_database, T0)
    async with asking(fresh_database) as client:
        assert (await get(client, "/coverage?division=33"))["register_entries"] == 0
        assert (await get(client, "/coverage?division=14"))["register_entries"] == 2
