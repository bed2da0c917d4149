"""Proofs from the order to the sink and presses of a drill: real database, broker, ingest, edge, Modbus peer, webhook and mail server."""

import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from hub.core.exercises import PROVEN_EVERY, phase, slot_at
from hub.core.proof_order import Order, make_order, order_topic
from hub.core.rights import EVERYTHING
from hub.errors import NotFound
from hub.model import Series
from hub.mqtt import parse_broker, session
from hub.runtime import prover
from hub.runtime.partitions import Partitions
from hub.runtime.prover import Prover, injected
from hub.store import commissioning, drills, proofs
from hub.store.pool import connect
from hub.store.proofs import ToSend
from hub.testing import eventually
from tests.delivering import delivering, escalating, task
from tests.edge.sites import Device, device, running
from tests.mailboxes import Mailbox, mailbox
from tests.paging import SECRET, Receiver, receiver
from tests.runtime.test_configurations import PARTITION, TITLE, Centre, forget, profile, profiles

BUTTON = profile(
    "button",
    "panic_button",
    {
        "pressed": {"type": "int", "address": {"table": "holding", "address": 0}},
        "test": {"type": "bool", "writable": True, "address": {"table": "coil", "address": 8}},
        "answer": {"type": "int", "enum": {0: "idle", 2: "tested"}, "address": {"table": "holding", "address": 8}},
    },
    capabilities=["alarm.manual"],
    test_point={
        "write": "test",
        "value": True,
        "rest": False,
        "expect": "answer",
        "answer": {"equals": "tested"},
        "within": "2s",
        "harmless": {"zh": "按钮灯闪一下", "en": "the button's lamp blinks once"},
    },
    alarms={
        "panic": {
            "title": {"zh": "紧急按钮", "en": "Panic button"},
            "class": "panic",
            "priority": "critical",
            "point": "pressed",
            "condition": {"equals": 1},
            "latching": True,
            "response": TITLE,
        }
    },
)
METER = profile(
    "meter",
    "other",
    {"level": {"type": "int", "every": "1h", "address": {"table": "holding", "address": 20}}},
    liveness={"beat": "1h", "offline_after": "3h"},
)
KNOWN = profiles(BUTTON, METER)


def manifest(port: int, hook: str, mail: int) -> dict[str, Any]:
    """A button behind an edge, a guard with a webhook and a head with a mailbox, and a policy that tells both."""
    hook_channel = {"id": "hook", "kind": "webhook", "settings": {"url": hook, "secret": SECRET}}
    mail_settings = {
        "host": "127.0.0.1",
        "port": mail,
        "security": "none",
        "sender": "hub@anxin.test",
        "recipients": ["a@anxin.test"],
    }
    return {
        "divisions": [{"code": "14", "title": TITLE}],
        "responders": [
            {"id": "guard", "title": TITLE, "channels": [hook_channel]},
            {
                "id": "head",
                "title": TITLE,
                "manned": True,
                "channels": [{"id": "mail", "kind": "smtp", "settings": mail_settings}],
            },
        ],
        "policies": [
            {
                "id": "all",
                "title": TITLE,
                "round_every": "10m",
                "steps": [{"responder": "guard", "channel": "hook"}, {"responder": "head", "channel": "mail"}],
            }
        ],
        "institutions": [
            {
                "id": "kita",
                "division": "14",
                "type": "private",
                "title": {"zh": "阳光托育园", "en": "Sunshine"},
                "zones": [{"id": "hall", "purpose": "entrance", "title": TITLE}],
                "positions": [{"id": "door", "zone": "hall", "title": {"zh": "门边", "en": "By the door"}}],
                "edges": [{"id": "edge-1"}],
                "endpoints": [
                    {"id": "io", "driver": "modbus", "edge": "edge-1", "settings": {"host": "127.0.0.1", "port": port}}
                ],
                "devices": [
                    {"id": "button-1", "profile": "button", "endpoint": "io", "position": "door"},
                    {"id": "meter-1", "profile": "meter", "endpoint": "io"},
                ],
            }
        ],
    }


class Site:
    """The centre, the edge and everybody who is told, running."""

    def __init__(
        self,
        centre: Centre,
        owner: Partitions,
        button: Device,
        hook: Receiver,
        mails: Mailbox,
        hub: contextlib.AsyncExitStack,
    ) -> None:
        self.hub = hub
        """what takes in: closed, it is away"""
        self.centre = centre
        self.owner = owner
        self.button = button
        self.hook = hook
        self.mails = mails

    async def ask(self, level: str = "auto", tell: str = "sink", within: int = 60_000_000) -> UUID:
        async with await connect(self.centre.database, "test") as conn:
            target, _ = await proofs.target(conn, EVERYTHING, institution="kita", position="door")
            made = await proofs.request(
                conn, target, injected(KNOWN[target.profile], target, tell, level), "somebody", within
            )
        assert made is not None
        return made

    async def show(self, proof: UUID) -> dict[str, Any]:
        async with await connect(self.centre.database, "test") as conn:
            return await proofs.get(conn, EVERYTHING, proof)

    async def ended(self, proof: UUID) -> dict[str, Any]:
        async def finished() -> dict[str, Any] | None:
            row = await self.show(proof)
            return row if row["finished_at"] is not None else None

        found: dict[str, Any] = await eventually(finished, 60)
        return found

    async def declare(self, seconds_ahead: float, tolerance: float, minutes: int = 10) -> UUID:
        """A drill with one press, in `seconds_ahead`."""
        now = int(time.time() * 1_000_000)
        at = now + int(seconds_ahead * 1_000_000)
        press = drills.Declared("kita", "door", drills.SignalClass.PANIC, at, int(tolerance * 1_000_000))
        plan = drills.Plan(
            "消防演练", "Fire drill", drills.Place(institution="kita"), now, now + minutes * 60_000_000, (press,)
        )
        async with await connect(self.centre.database, "test") as conn:
            return await drills.declare(conn, EVERYTHING, plan, "keeper", now)

    def alarms(self, *, proofs: bool = False) -> list[tuple[Any, ...]]:
        """Exercise and state of the button's alarms: of proofs, or all others."""
        query = "select exercise, state from alarm where definition = 'panic' and (exercise is not distinct from 'proof') = %s"
        return sorted(self.centre.rows(query, proofs), key=str)

    def hooked(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.hook.requests]


@pytest.fixture
async def centre(
    fresh_database: str, mqtt_url: str, engine: Any, make_mqtt_user: Callable[[str], str]
) -> AsyncIterator[Centre]:
    found = Centre(fresh_database, parse_broker(mqtt_url), make_mqtt_user, engine.first.device_port)
    await forget(found)
    yield found
    await forget(found)


@pytest.fixture
def button() -> Iterator[Device]:
    with device() as peer:
        yield peer


@contextlib.asynccontextmanager
async def site(centre: Centre, button: Device, folder: Path, *, edge: bool = True) -> AsyncIterator[Site]:
    async with contextlib.AsyncExitStack() as stack:
        hook = await stack.enter_async_context(receiver())
        mails = await stack.enter_async_context(mailbox())
        assert await centre.apply(manifest(button.port, hook.url, mails.port), KNOWN) == []
        with_state = "update device_state set admin_state = 'in_service', proven_at = now()"
        centre.rows(f"with moved as ({with_state} returning 1) select count(*) from moved")
        hub = await stack.enter_async_context(contextlib.AsyncExitStack())
        owner = await hub.enter_async_context(centre.serving(KNOWN))
        world: Any = type("World", (), {"url": centre.database})
        await stack.enter_async_context(escalating(world))
        await stack.enter_async_context(delivering(world, profiles=KNOWN))
        await stack.enter_async_context(task("prover", prover.run(centre.database, centre.broker, KNOWN, [PARTITION])))
        if edge:
            await stack.enter_async_context(running(await centre.bundle(KNOWN), folder))
            seen = "select 1 from point_state p join series s on s.key = p.series where s.point = 'pressed'"
            await eventually(lambda: centre.rows(seen))
        yield Site(centre, owner, button, hook, mails, hub)


HOPS = ("requested_at", "sent_at", "device_at", "edge_at", "spooled_at", "hub_at", "committed_at", "notified_at", "handed_over_at", "received_at", "finished_at")  # fmt: skip


async def test_a_proof_goes_from_every_level_into_the_sink_and_each_hop_is_timed(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        readings = "select (select count(*) from reading), (select count(*) from event), (select max(value) from point_state p join series s on s.key = p.series where s.point = 'pressed')"
        for level, missing in (
            ("auto", set()),
            ("driver", set()),
            ("edge", {"device_at"}),
            ("hub", {"device_at", "edge_at", "spooled_at"}),
        ):
            row = await at.ended(await at.ask(level))
            lowest = ("device", "lowest") if level == "auto" else (level, "asked")
            assert (row["level"], row["not_lower"], row["state"], row["reason"]) == (*lowest, "passed", "")
            # how the edge's hops came late says nothing about the alarm: they travel behind it
            await eventually(lambda: _hops(centre, row["id"]) == {hop for hop in HOPS if hop not in missing})  # noqa: B023
            hub = [
                row[hop]
                for hop in (
                    "requested_at",
                    "sent_at",
                    "hub_at",
                    "committed_at",
                    "notified_at",
                    "handed_over_at",
                    "received_at",
                )
            ]
            assert hub == sorted(hub)
        assert button.bank.tested == [True, False], "the device's own test was tripped once, and set back"
        shown = centre.rows("select level, shows from proof order by requested_at")
        assert shown == [("device", ["alarm.manual"]), ("driver", []), ("edge", []), ("hub", [])]
        assert centre.rows(readings)[0][2] == 0.0
        assert centre.rows("select count(*) from event") == [(0,)]
        assert at.hook.requests == []
        assert at.mails.mails == []
        await eventually(lambda: at.alarms(proofs=True) == [("proof", "normal")] * 4)
        assert at.alarms() == []
        assert centre.rows("select code from quarantine where code not in ('point')") == []
        async with await connect(centre.database, "test") as conn:
            (position,) = await proofs.positions(conn, EVERYTHING, limit=10)
            assert position["last_proven_at"] is not None
            assert await proofs.positions(conn, EVERYTHING, limit=10, days=15) == []


def _hops(centre: Centre, proof: UUID) -> set[str]:
    (row,) = centre.rows(f"select {', '.join(HOPS)} from proof where id = %s", proof)
    return {hop for hop, at in zip(HOPS, row, strict=True) if at is not None}


async def test_a_proof_that_the_responders_are_told_of_reaches_them_marked(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        row = await at.ended(await at.ask("edge", "responders"))
        assert (row["state"], row["reason"]) == ("passed", "")
        (hooked,) = at.hooked()
        assert (hooked["type"], hooked["data"]["exercise"]) == ("alarm.exercise", "proof")
        assert "测试" in hooked["data"]["title"]["zh"]
        assert "TEST" in hooked["data"]["title"]["en"]
        (mail,) = at.mails.mails
        assert "测试" in mail["subject"]
        assert "TEST" in mail["subject"]


async def test_a_real_press_pre_empts_a_proof_and_pages_unmarked(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        held = "insert into responder_channel (responder, id, kind, settings) values ('proof-sink', 'slow', 'webhook', %s) returning 1"
        async with receiver("hang") as slow:
            centre.rows(held, json.dumps({"url": slow.url, "secret": SECRET}))
            proof = await at.ask("hub")
            await eventually(lambda: slow.requests)
            button.set_fire(True)
            row = await at.ended(proof)
            assert row["state"] == "preempted"
            await eventually(lambda: at.hook.requests)
            (hooked,) = at.hooked()
            assert (hooked["type"], hooked["data"]["exercise"]) == ("alarm.raised", None)
        assert at.alarms(proofs=True) == [("proof", "normal")]
        assert at.alarms() == [(None, "unack_active")]
        second = await at.ended(await at.ask("driver"))
        assert (second["state"], second["reason"]) == ("preempted", "a real alarm stands here")


async def test_a_press_that_was_made_while_a_proof_stood_and_the_hub_was_away_comes_late_and_pages_unmarked(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        held = "insert into responder_channel (responder, id, kind, settings) values ('proof-sink', 'slow', 'webhook', %s) returning 1"
        async with receiver("hang") as slow:
            centre.rows(held, json.dumps({"url": slow.url, "secret": SECRET}))
            proof = await at.ask("driver")
            await eventually(lambda: slow.requests, 60)
            await at.hub.aclose()
            for pressed in (True, False):
                before = button.handler.reads
                button.set_fire(pressed)
                await eventually(lambda: button.handler.reads > before + 2)  # noqa: B023
            assert at.hook.requests == []
            async with centre.serving(KNOWN):
                await eventually(lambda: at.hook.requests, 60)
                (hooked,) = at.hooked()
                assert (hooked["type"], hooked["data"]["exercise"]) == ("alarm.raised", None)
                assert (await at.ended(proof))["state"] == "preempted"
                assert at.alarms() == [(None, "latched_unack")]


async def test_a_function_test_asks_at_once_and_waits_for_no_poll(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    """The meter is polled once an hour."""
    async with site(centre, button, tmp_path):
        await eventually(
            lambda: centre.rows("select 1 from point_state p join series s on s.key = p.series where s.point = 'level'")
        )
        async with await connect(centre.database, "test") as conn:
            test = await commissioning.request(conn, "meter-1", "somebody", 120_000_000, None)
        await eventually(lambda: centre.rows("select state from device_test where id = %s", test) == [("passed",)], 60)
        assert centre.rows("select count(*) from proof") == [(0,)]
        assert centre.rows("select code from quarantine where code not in ('point')") == []


async def test_a_device_whose_own_test_fails_has_failed_its_proof_and_nobody_goes_a_level_higher(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        button.bank.answers = False
        row = await at.ended(await at.ask())
        assert (row["level"], row["state"]) == ("device", "failed")
        assert "did not answer its test within 2 s" in row["reason"]
        button.bank.answers = button.bank.pressed_in_test = True
        row = await at.ended(await at.ask())
        assert row["state"] in ("preempted", "passed"), "a real press within the test"
        await eventually(lambda: at.hook.requests)
        (hooked,) = at.hooked()
        assert (hooked["type"], hooked["data"]["exercise"]) == ("alarm.raised", None)
        assert [one for one in at.alarms() if one[0] is None] == [(None, "unack_active")]
        assert button.bank.tested == [True, False, True, False]


async def test_a_device_that_does_not_answer_fails_its_proof_at_that_hop(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        button.server.stop()
        row = await at.ended(await at.ask("driver"))
        assert row["state"] == "failed"
        assert row["reason"].startswith("the edge refused:")
        assert at.alarms(proofs=True) == []


async def test_an_edge_that_is_away_fails_its_proof_and_is_not_taken_for_alive(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path, edge=False) as at:
        row = await at.ended(await at.ask("edge", within=3_000_000))
        assert (row["state"], row["reason"]) == ("failed", "sent to the edge, and nothing came back")
        heard = dict(at.owner.shared[PARTITION].clients)  # what a test before may have left at the broker
        assert (await at.ended(await at.ask("hub")))["state"] == "passed"
        assert at.owner.shared[PARTITION].clients == heard


async def test_an_order_that_the_hub_did_not_sign_is_not_followed(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        order = Order("edge-1", UUID(int=5), Series("button-1", "pressed"), 1, "edge", int((time.time() + 60) * 1e6))
        async with session(centre.broker, client_id="forger", clean_start=True) as live:
            await live.publish(order_topic(PARTITION, "edge-1"), make_order(order, bytes(32)))
            await live.publish(order_topic(PARTITION, "edge-1"), b"{")
        assert (await at.ended(await at.ask("edge")))["state"] == "passed"  # after it, in order
        assert centre.rows("select count(*) from quarantine where code = 'mark'") == [(0,)]
        assert len(at.alarms(proofs=True)) == 1


async def test_what_nobody_would_be_told_of_is_not_proven(centre: Centre, button: Device, tmp_path: Path) -> None:
    async with site(centre, button, tmp_path) as at:
        centre.rows("update policy set retired_at = now() returning 1")
        row = await at.ended(await at.ask("edge"))
        assert (row["state"], row["reason"]) == ("failed", "no escalation policy covers it: nobody would be told")


async def test_a_proof_whose_profile_is_another_by_now_has_failed_and_ends_nothing() -> None:
    """The hub was started anew with a profile in which no value of the point meets the condition."""
    point = {"level": {"type": "int", "range": [0, 5], "address": {"table": "holding", "address": 0}}}
    alarm: dict[str, Any] = {"title": TITLE, "class": "panic", "priority": "critical", "response": TITLE}
    alarm |= {"point": "level", "condition": {"above": 5}, "latching": True}
    known = profiles(profile("button", "panic_button", point, alarms={"panic": alarm}))
    finished: list[tuple[Any, ...]] = []

    class Desk:
        async def finish(self, *said: Any) -> None:
            finished.append(said)

    about = ToSend(UUID(int=1), "b", "button", "panic", "level", "", "hub", datetime.now(UTC), 0, "edge-1", 0)
    prover = Prover(parse_broker("mqtt://127.0.0.1:1"), known, [0])
    assert await prover._send(Desk(), None, about) == 0  # type: ignore[arg-type]
    assert [(said[0], said[1]) for said in finished] == [(UUID(int=1), "failed")]


async def test_the_scheduler_asks_in_each_slot_once_and_makes_up_for_the_newest_alone(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    assert await centre.apply(manifest(button.port, "http://127.0.0.1:9/", 9), KNOWN) == []
    centre.rows("update device_state set admin_state = 'in_service' returning 1")
    clock = [PROVEN_EVERY * 1460 + phase("kita") + 1]
    # in Beijing's night, so that nobody is told beside
    clock[0] += (18 - (clock[0] // 3_600_000_000) % 24) % 24 * 3_600_000_000
    asked = "select slot, tell, requested_by from proof order by requested_at"
    loop = Prover(centre.broker, KNOWN, [PARTITION], lambda: clock[0])
    async with proofs.open_proving(centre.database, [PARTITION]) as proving:
        await loop.schedule(proving)
        assert centre.rows(asked) == []  # the first look is the beginning
        await loop.schedule(proving)
        assert centre.rows(asked) == []
        clock[0] += 5 * PROVEN_EVERY  # the hub was away
        newest = slot_at("kita", clock[0])
        await loop.schedule(proving)
        await loop.schedule(proving)
        assert centre.rows(asked) == [(newest, "sink", "scheduler")]
        centre.rows("update proof set state = 'passed', finished_at = now() returning 1")
        clock[0] += 8 * 3_600_000_000  # ten in the morning
        await loop.schedule(proving)
        await loop.schedule(proving)
        assert centre.rows(asked) == [(newest, "sink", "scheduler"), (newest, "responders", "scheduler")]


# drills -------------------------------------------------------------------------------------------------------------


async def test_a_drills_press_goes_to_the_real_responders_marked_and_the_next_press_is_real(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        drill = await at.declare(1, 120)
        await _lane_knows(at)
        button.set_fire(True)
        await eventually(lambda: at.hook.requests and at.mails.mails)
        (hooked,) = at.hooked()
        assert (hooked["type"], hooked["data"]["exercise"]) == ("alarm.exercise", "drill")
        assert "演练" in hooked["data"]["title"]["zh"]
        assert "DRILL" in at.mails.mails[0]["subject"]
        assert at.alarms() == [("drill", "unack_active")]
        button.set_fire(False)
        await eventually(lambda: at.alarms() == [("drill", "latched_unack")])
        button.set_fire(True)
        await eventually(lambda: len(at.hook.requests) >= 2 and len(at.mails.mails) >= 2)
        assert (at.hooked()[1]["type"], at.hooked()[1]["data"]["exercise"]) == ("alarm.raised", None)
        assert "DRILL" not in at.mails.mails[1]["subject"]
        assert at.alarms() == [("drill", "normal"), (None, "unack_active")]
        async with await connect(centre.database, "test") as conn:
            (run,) = await drills.runs(conn, EVERYTHING, drill)
        assert run["presses"][0]["first_notice_at"] is not None


async def test_a_press_while_its_drill_is_being_cancelled_is_real(
    centre: Centre, button: Device, tmp_path: Path
) -> None:
    async with site(centre, button, tmp_path) as at:
        drill = await at.declare(1, 120)
        await _lane_knows(at)
        # behind the lane's back: no trigger says it, so that it believes in the drill still
        with psycopg.connect(centre.database) as conn:
            conn.execute("set session_replication_role = replica")
            conn.execute("update drill set cancelled_at = now(), cancelled_by = 'keeper' where id = %s", [drill])
        button.set_fire(True)
        await eventually(lambda: at.hook.requests)
        assert at.hooked()[0]["type"] == "alarm.raised"
        assert at.alarms() == [(None, "unack_active")]


async def _lane_knows(at: Site) -> None:
    """A lane loads proofs and declared presses together: once a proof that was asked for later has gone through it, it knows of the press."""
    assert (await at.ended(await at.ask("hub")))["state"] == "passed"


async def test_a_position_without_a_device_is_not_found(fresh_database: str) -> None:
    async with await connect(fresh_database, "test") as conn:
        with pytest.raises(NotFound, match="nowhere"):
            await proofs.target(conn, EVERYTHING, institution="nowhere", position="door")
