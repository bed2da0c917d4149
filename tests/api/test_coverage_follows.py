"""Whatever people do that makes a fact of coverage another one stands in the feed for its institution, and no other is judged for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from hub.model import Micros
from hub.runtime.coverage_watch import FOLLOWED
from hub.store.changes import Page, open_feed
from hub.store.coverage import Ledger, open_ledger
from hub.store.coverage_facts import UNCONNECTED
from tests.api import seed
from tests.api.conftest import City
from tests.store.coverage_register import RULES

T0: Micros = 1_795_000_000_000_000
HEADER = "备案号,机构名称,机构类型,托位数,行政区划\n"


async def test_every_deed_that_matters_is_seen_for_its_institution_alone(city: City) -> None:
    """Statements and their second signatures, plans, views, the register, alarms, receipts, waivers, drills, devices, calendars."""
    now = datetime.now(UTC)
    city.app.state.services = replace(city.app.state.services, clock=lambda: datetime.now(UTC))
    async with (
        open_feed(city.url) as feed,
        open_ledger(city.url, seed.PROFILES, RULES) as ledger,
        city.client("admin") as client,
        city.client("operator") as second,
    ):
        place = await feed.horizon()

        async def seen() -> Page:
            nonlocal place
            page = await feed.stirred(place, 100, FOLLOWED)
            place = page.cursor
            return page

        async def done(path: str, json: Any = None, by: httpx.AsyncClient = client, **more: Any) -> Any:
            """Somebody does it, and the institution, and only it, is to be judged: it may take a green away."""
            answer = await by.post(path, json=json, **more)
            assert answer.is_success, answer.text
            page = await seen()
            assert [(one.institution, one.takes) for one in page.stirred] == [("a-home", True)], path
            assert not page.is_full
            assert page.read <= page.began
            return answer.json()

        patrol = {"institution": "a-home", "kind": "patrol", "done_by": "值班员", "zone": "nap"}
        made = await done("/attestations", patrol)
        await done(f"/attestations/{made['id']}/second", by=second)
        made = await done(f"/attestations/{made['id']}/correct", patrol)
        await done(f"/attestations/{made['id']}/withdraw", {"note": "误录"})
        plan = (await client.get("/institutions/a-home/zone-plan")).json()
        await done("/institutions/a-home/zone-plan/signatures", {"digest": plan["digest"]})
        await done("/devices/a-button/views/attest", {"views": [{"zone": "nap", "share": 0.5}]})
        await done(f"/alarms/{city.a.alarm}/acknowledge")
        until = (now + timedelta(hours=1)).isoformat()
        await city.conn.execute(
            "update alarm set signal_class = 'fault', priority = 'high' where id = %s", [city.a.alarm]
        )
        await done(f"/alarms/{city.a.alarm}/shelve", {"until": until, "reason": "正在维修"})
        shelved = await turns_at(ledger)
        assert shelved == datetime.fromisoformat(until)
        await city.conn.execute("update device set dials_police = true where id = 'a-button'")
        window = {
            "device": "a-button",
            "reference": "JZ-1",
            "agreed_by": "Zhao",
            "starts_at": (now - timedelta(minutes=9)).isoformat(),
            "ends_at": until,
        }
        booked = await second.post("/police-windows", json=window)
        assert (await seen()).stirred == ()  # it proves nothing yet
        await done(f"/police-windows/{booked.json()['id']}/receipt", {"number": "110-1", "text": "核对无误"}, by=second)
        press = {"institution": "a-home", "position": "wall", "at": (now + timedelta(minutes=12)).isoformat()}
        over = now + timedelta(minutes=30)
        drill = {
            "title": {"zh": "演练", "en": "Drill"}, "place": {"institution": "a-home"}, "presses": [press],
            "starts_at": (now + timedelta(minutes=10)).isoformat(), "ends_at": over.isoformat(),
        }  # fmt: skip
        called = await done("/drills", drill, by=second)
        assert await turns_at(ledger) == over  # and not the shelving, which ends later
        await done(f"/drills/{called['id']}/cancel", by=second)
        assert await turns_at(ledger) == shelved

        listed = HEADER + "F-a,园,private,61,140403\nF-a-missing,未接入,private,6,140403\nN-1,新园,private,30,140403\n"
        taken = await client.post(
            "/register/imports",
            params={"division": "140403", "file_name": "x.csv", "apply": True},
            content=listed.encode(),
        )
        assert taken.is_success, taken.text
        [said] = (await seen()).stirred
        assert (said.institution, said.registered) == (None, True)
        assert await ledger.registered_since(said.since) == ["a-home", UNCONNECTED + "F-a-missing", UNCONNECTED + "N-1"]
        again = await client.post(
            "/register/imports",
            params={"division": "140403", "file_name": "x.csv", "apply": True},
            content=listed.encode(),
        )
        assert again.is_success
        assert (await seen()).stirred == ()

        before = await ledger.calendars()
        days = {
            "year": 2027,
            "notice": "国办发明电〔2026〕1号",
            "holidays": [{"title": {"zh": "元旦", "en": "New Year"}, "first": "2027-01-01", "last": "2027-01-01"}],
        }
        put = await client.put("/calendars/2027", json=days)
        assert put.is_success, put.text
        assert await ledger.calendars() != before


async def turns_at(ledger: Ledger) -> datetime | None:
    """When the facts of a-home change by time alone."""
    async with ledger.judging(["a-home"], T0) as judging:
        at = judging.turns_at.get("a-home")
    return None if at is None else datetime.fromtimestamp(at / 1e6, UTC)
