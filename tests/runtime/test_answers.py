"""Who was paged while the database is away can say "I have it": by the signed link, at once, on disk, and in the database afterwards."""

import asyncio
import json
import signal
import uuid
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from hub.core.rights import EVERYTHING
from hub.core.rights import Role as Duty
from hub.model import SECOND
from hub.runtime.service import Role
from hub.store.access import create_token
from hub.store.pool import connect
from hub.testing import eventually
from hub.web.asking import COOKIE, forgery_token
from tests.paging import Receiver, receiver
from tests.runtime.city import client, fetch, rows, sample
from tests.runtime.outage import Centre, centre, cover, ingest_process, server
from tests.runtime.test_refusing_database import panics
from tests.runtime.test_standby import key, press

FORM = {"content-type": "application/x-www-form-urlencoded"}


def link_of(sink: Receiver, page: str) -> str:
    """The path of the link in the message of a page."""
    (body,) = {one.body for one in sink.requests if one.headers["webhook-id"] == page}
    return str(urlsplit(json.loads(body)["data"]["link"]).path)


async def opened(hub: Centre, path: str, *, acting: bool = False) -> httpx.Response:
    """Opened by a browser, or its one button pressed."""
    async with httpx.AsyncClient(base_url=hub.url, timeout=30) as browser:
        return await (browser.post(path, headers={"origin": hub.url, **FORM}) if acting else browser.get(path))


@pytest.mark.timeout(240)
async def test_a_link_shows_the_alarm_and_its_button_stops_the_chain_and_the_database_knows_it_afterwards(
    tmp_path: Path, mqtt_url: str
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port, ("0s", "0s", "0"), ("60s", "2s", "5"))
        async with (
            centre(db.url, mqtt_url, tmp_path) as hub,
            centre(db.url, mqtt_url, tmp_path / "front", [Role.API], standby_url=hub.url) as front,
        ):
            standby = hub.service.standby
            assert standby is not None
            await sender.told("urgent", sample("button-1", "pressed", False))
            with db.frozen():
                seq, alarm = await press(sender)
                await eventually(lambda: panics(sink) == [key(alarm)], 30)
                await eventually(lambda: standby.pager.outcomes["delivered"] > 0, 20)
                path = link_of(sink, key(alarm))
                ways = (hub, hub, front)  # previews and scanners, too; and by a process that has no standby
                for shown in await asyncio.gather(*(opened(way, path) for way in ways)):
                    assert shown.status_code == 200
                    assert all(words in shown.text for words in ("花园", "Garden", "button-1", "立即", "at once"))
                    assert f'action="{path}"' in shown.text
                assert standby.answers.standing(alarm) is None
                both = await asyncio.gather(opened(front, path, acting=True), opened(hub, path, acting=True))
                assert [one.status_code for one in both] == [200, 200]
                assert sum("已有人接警" in one.text for one in both) == 1  # one was first
                assert all("值班 [duty]" in one.text and f'action="{path}"' not in one.text for one in both)
                (answer,) = standby.answers.of(alarm)
                forged = path[:-1] + ("A" if path[-1] != "A" else "B")
                wrong = await asyncio.gather(opened(hub, forged), opened(hub, forged, acting=True))
                assert [one.status_code for one in wrong] == [503, 503]
                began = standby.known._began
                standby.known._began = began[0] + 90 * SECOND, began[1]  # past the second step, whose pages do not come
                seen = standby._watched
                await eventually(lambda: standby._watched > seen + 1.0, 20)
                standby.known._began = began
                assert panics(sink) == [key(alarm)]
            await sender.confirmed("urgent", seq)
            await rows(
                db.url,
                "select acknowledged_by, ended_at is null from alarm where signal_class = 'panic'",
                [("值班 [duty]", True)],
                40,
            )
            await eventually(lambda: not standby.pursuits and not standby.answers.of(alarm), 40)
            took = "select extract(epoch from acknowledged_at)::float8 from alarm where signal_class = 'panic'"
            assert abs(fetch(db.url, took)[0][0] - answer.at / 1e6) < 1.0
            assert fetch(db.url, "select actor, detail->>'by' from audit where action = 'alarm.acknowledge'") == [
                ("值班 [duty]", "link")
            ]
            await rows(
                db.url, "select count(*) from ownership where state = 'open'", [(1,)], 20
            )  # and goes on as usual
            assert panics(sink) == [key(alarm)]
            assert fetch(db.url, "select count(*) from notification where urgency = 0 and state = 'pending'") == [(0,)]
            assert "值班 [duty]" in (await opened(hub, path)).text  # by the database again

            # pressed again: a new cry for help, in an outage that begins with what the database has told
            token, login = await keeper(db.url, front)
            await eventually(lambda: len(standby.known.people.bearers) == 2, 20)
            await db.stop()
            again, _ = await press(sender)
            await eventually(lambda: len(panics(sink)) == 2, 30)
            second = panics(sink)[1]
            assert (await opened(hub, link_of(sink, second), acting=True)).status_code == 200
            await asyncio.sleep(0.5)
            after, _ = await press(sender)  # and again after that
            await eventually(lambda: len(panics(sink)) == 3, 30)
            await eventually(lambda: standby.pager.outcomes["delivered"] == 3, 20)  # noted, not only sent
        assert len(set(panics(sink))) == 3

        # both are started anew in the middle of it: what they say and take comes from the disk
        async with (
            centre(db.url, mqtt_url, tmp_path, away=True) as hub,
            centre(db.url, mqtt_url, tmp_path / "front", [Role.API], away=True, standby_url=hub.url) as front,
        ):
            again_by = hub.service.standby
            assert again_by is not None
            for seq in (again, after):  # the edge sends again what nobody has confirmed
                await sender.send_raw("urgent", sender.sent["urgent"][seq], seq)
            path = link_of(sink, panics(sink)[2])
            for way in (hub, front):
                shown = await opened(way, path)
                assert shown.status_code == 200
                assert f'action="{path}"' in shown.text
                closed = await opened(way, "/console/")
                assert closed.status_code == 503
                assert "请用其中的链接接警" in closed.text
                assert "can acknowledge by its link" in closed.text
                listed = await asked(way, "GET", "/api/v1/alarms", token)
                assert (listed.status_code, listed.headers["retry-after"]) == (503, "1")
            for secret in (token[:-1] + ("A" if token[-1] != "A" else "B"), "hub_nobody"):
                refused = await asked(front, "POST", f"/api/v1/alarms/{alarm}/acknowledge", secret)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")  # nobody can say who it is
            assert again_by.answers.standing(alarm) is None
            taken = await asked(front, "POST", f"/api/v1/alarms/{alarm}/acknowledge", token, {"note": "门口已到人"})
            assert taken.status_code == 202, taken.text
            assert taken.json()["acknowledged_by"] == NAME
            slower = await asked(hub, "POST", f"/api/v1/alarms/{alarm}/acknowledge", token)
            assert slower.status_code == 409
            late = await pressed_by(front, alarm, login)
            assert (late.status_code, late.json()["zh"]) == (409, "已有人接警")
            assert (await pressed_by(front, alarm, login[:-1])).status_code in (403, 503)
            standing = again_by.answers.standing(alarm)
            assert standing is not None
            await db.start()
            await rows(
                db.url,
                "select acknowledged_by, note from alarm a join alarm_transition t on t.alarm = a.id and t.event = 'acknowledge'"
                " where a.acknowledged_by = t.actor and a.signal_class = 'panic' order by t.n desc limit 1",
                [(NAME, "acknowledged while the database did not answer: 门口已到人")],
                60,
            )
            found = "select detail->>'by', detail->>'note' from audit where actor = 'Keeper, tests only' and action = 'alarm.acknowledge'"
            await rows(db.url, found, [("name", "门口已到人")], 20)

            async def ready() -> bool:
                return all((await hub.service.ready()).values()) and all((await front.service.ready()).values())

            await eventually(ready, 40)
            await eventually(lambda: not again_by.pursuits, 40)
            assert (await asked(front, "GET", "/api/v1/alarms", token)).status_code == 200
        assert len(set(panics(sink))) == len(panics(sink)) == 3


NAME = "Keeper, tests only"


async def keeper(database: str, hub: Centre) -> tuple[str, str]:
    """Somebody who may act on alarms: a token, and the cookie of a login by it."""
    async with await connect(database, "test") as conn:
        made = await create_token(
            conn, name=NAME, kind="person", role=Duty.OPERATOR, scope=EVERYTHING, actor="test", within=EVERYTHING
        )
    async with httpx.AsyncClient(base_url=hub.url, timeout=30) as browser:
        form = {"origin": hub.url, **FORM}
        answer = await browser.post("/console/login", headers=form, content=urlencode({"token": made.secret}))
        assert answer.status_code == 303, answer.text
        return made.secret, browser.cookies[COOKIE]


async def asked(hub: Centre, method: str, path: str, token: str, body: object = None) -> httpx.Response:
    """A request of the API by somebody who shows a token."""
    async with httpx.AsyncClient(base_url=hub.url, timeout=30) as http:
        return await http.request(method, path, headers={"authorization": f"Bearer {token}"}, json=body)


async def pressed_by(hub: Centre, alarm: uuid.UUID, login: str) -> httpx.Response:
    """The console's own button under an alarm, by somebody who is logged in."""
    form = urlencode({"csrf": forgery_token(login), "note": ""})
    headers = {"origin": hub.url, "x-console": "1", "cookie": f"{COOKIE}={login}", **FORM}
    async with httpx.AsyncClient(base_url=hub.url, timeout=30) as browser:
        return await browser.post(f"/console/alarms/{alarm}/acknowledge", content=form, headers=headers)


@pytest.mark.timeout(180)
async def test_what_a_wedged_ingest_does_not_commit_is_paged_and_answered_while_the_database_is_well(
    tmp_path: Path, mqtt_url: str
) -> None:
    async with server(tmp_path) as db, receiver() as sink, client(mqtt_url) as sender:
        cover(db.url, sink.port)
        async with (
            ingest_process(db.url, mqtt_url, tmp_path) as ingest,
            centre(db.url, mqtt_url, tmp_path, [Role.PAGING, Role.API]) as hub,
        ):
            await sender.told("urgent", sample("button-1", "pressed", False))
            ingest.send_signal(signal.SIGSTOP)
            seq, alarm = await press(sender)
            await eventually(lambda: panics(sink) == [key(alarm)], 40)
            assert fetch(db.url, "select count(*) from alarm where signal_class = 'panic'") == [
                (0,)
            ]  # nobody raised it
            second = await sender.say("urgent", sample("button-1", "pressed", True))
            await eventually(lambda: len(panics(sink)) == 2, 40)
            held = panics(sink)[1]
            taken = await opened(hub, link_of(sink, key(alarm)), acting=True)
            assert taken.status_code == 200
            assert "值班 [duty]" in taken.text
            ingest.send_signal(signal.SIGCONT)
            await sender.confirmed("urgent", max(seq, second))
            standby = hub.service.standby
            assert standby is not None
            await eventually(lambda: not standby.pursuits, 40)
            found = "select occurrences, acknowledged_by from alarm where signal_class = 'panic' order by definition"
            await rows(db.url, found, [(1, "值班 [duty]"), (1, None)], 40)
            await rows(db.url, "select count(*) from notification where urgency = 0 and state <> 'sent'", [(0,)], 40)
        assert len(set(panics(sink))) == len(panics(sink)) == 2
        assert panics(sink) == [key(alarm), held]
