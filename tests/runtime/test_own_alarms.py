"""What the hub's own work leaves undone reaches a person: by an ordinary alarm that pages, until it is mended."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from hub.config import data_folder
from hub.core import wire
from hub.core.draft import Draft
from hub.core.escalation import Policy, Step
from hub.core.intake import take_message
from hub.core.lane import Message, State
from hub.core.own_alarms import MOST, Unverified, overdue, unverified
from hub.model import SECOND, Lane, Priority, SignalClass
from hub.notify.authority import handover_id
from hub.profiles import load_profiles
from hub.runtime import deliverer, escalator, own_alarms
from hub.store.handovers import Authority, begin, put_authority, received
from hub.store.pool import connect
from hub.testing import eventually
from tests.core.lane_world import T0, registry
from tests.paging import SECRET, World, receiver, webhook

PROFILES = load_profiles([data_folder("device-profiles")])
FAULTS = Policy(
    "faults",
    frozenset({SignalClass.FAULT}),
    frozenset({Priority.HIGH}),
    600 * SECOND,
    (Step(1, "guard", "hook"),),
    division="14",
)
STREAM = "5a1f0c6e-0000-4000-8000-000000000001"


@asynccontextmanager
async def looking(world: World) -> AsyncIterator[None]:
    quick = {"every": 0.05, "verified": 60 * SECOND, "patience": 0.0}
    loops = (
        own_alarms.run(world.url, profiles=PROFILES, **quick),  # type: ignore[arg-type]
        escalator.run(world.url, poll=0.05),
        deliverer.run(world.url, profiles=PROFILES, allow_loopback=True, poll=0.05),
    )
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)


def refused_by_ingest(client: str, lane: Lane, payload: bytes, stream: str = STREAM) -> list[tuple[object, ...]]:
    """The rows of quarantine that a message makes."""
    draft = Draft(State(), registry(), T0)
    message = Message(f"anxin/v1/0/{client}/up/{lane}", client, lane, f"{stream}-{lane}", 1, payload)
    take_message(draft, message)
    assert draft.confirm  # it is confirmed: its sender lets go of it
    return [row[1:] for row in draft.quarantined]


async def quarantine(world: World, rows: list[tuple[object, ...]]) -> None:
    for row in rows:
        await world.conn.execute(
            "insert into quarantine (client, source, stream, seq, n, code, reason, payload)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            row,
        )


async def standing(world: World) -> dict[str, tuple[str, str]]:
    found = await world.rows(
        "select a.definition, a.instance, i.id::text as place, a.state from alarm a join institution i on i.key = a.institution"
        " join device d on d.key = a.device where d.profile = 'anxin-duty' and a.ended_at is null"
    )
    return {row["definition"] + "/" + row["instance"]: (row["place"], row["state"]) for row in found}


@pytest.mark.timeout(120)
async def test_an_unverified_hand_over_a_garbled_urgent_message_and_a_dead_check_of_policies_page_and_end_when_they_are_mended(
    fresh_database: str,
) -> None:
    async with World.open(fresh_database) as world, receiver() as hook:
        await world.policy(FAULTS, {"guard/hook": webhook(hook.url)})
        await world.conn.execute("update policy_check set checked_at = now() - interval '27 hours', problem = ''")
        await world.institution("moon")
        await world.device("button-2", "moon")
        await world.conn.execute("update device set lane = 'bulk' where id = 'button-2'")
        too_large = b'{"samples": [' + b" " * wire.MAX_PAYLOAD + b"]}"
        (row,) = refused_by_ingest("button-1", Lane.URGENT, too_large)
        assert row[4] == -1
        await quarantine(world, [row])
        await quarantine(world, refused_by_ingest("button-1", Lane.BULK, b"not JSON"))  # no fire could be in these
        await quarantine(world, refused_by_ingest("button-2", Lane.URGENT, b"{", STREAM[:-1] + "2"))
        alarm = await world.alarm()
        conn = await connect(world.url, "test")
        async with conn:
            desk = {"desk": ("webhook", {"url": "http://127.0.0.1:9/", "secret": SECRET})}
            await put_authority(conn, Authority("police-x", "police", "公安", "Police", "1404", "110", None, desk))
            await begin(conn, handover_id(alarm, "police-x"), alarm, "police-x", "operator", "")
        handed = f"handover_unverified/police-x-{alarm.hex[:12]}"
        wanted = {
            "urgent_message_refused/button-1": ("anxin-hub-140403001", "unack_active"),
            "policies_unchecked/": ("anxin-hub-14", "unack_active"),
        }

        async def stand(expected: dict[str, tuple[str, str]]) -> None:
            async def so() -> bool:
                return await standing(world) == expected

            try:
                await eventually(so)
            except AssertionError:
                assert await standing(world) == expected

        async with looking(world):
            await stand(wanted)
            await world.conn.execute("update handover set begun_at = begun_at - interval '2 minutes'")
            await stand({**wanted, handed: ("anxin-hub-140403001", "unack_active")})
            await eventually(lambda: len(hook.requests) >= 2)  # of one place in one message, of two in two
            said = " ".join(json.loads(one.body)["data"]["response"]["zh"] for one in hook.requests)
            assert "机构star：button-1 在紧急通道发来的消息无法读取（payload）" in said
            assert "一天多没有检查过报警策略" in said
            words = await world.rows(
                "select h.zh, e.state from hub_alarm h join alarm a on a.id = h.alarm join escalation e on e.alarm = a.id"
                " where a.definition = 'handover_unverified'"
            )
            assert words == [
                {
                    "zh": f"机构star：已移交 police-x，尚无人记录其已接收，请打电话核实（告警 {alarm}）",
                    "state": "running",
                }
            ]
            conn = await connect(world.url, "test")
            async with conn:
                await received(conn, alarm, "police-x", "operator", "desk 7", "", None)
            await world.conn.execute("update quarantine set received_at = received_at - interval '61 minutes'")
            await stand(
                {
                    "urgent_message_refused/button-1": ("anxin-hub-140403001", "unack_cleared"),
                    "policies_unchecked/": ("anxin-hub-14", "unack_active"),
                    handed: ("anxin-hub-140403001", "unack_cleared"),
                }
            )
            # where no policy covers such an alarm somebody is told all the same
            await world.conn.execute("update policy set retired_at = now()")
            await quarantine(world, [(*row[:3], 2, *row[4:])])
            await stand(
                {
                    "urgent_message_refused/button-1": ("anxin-hub-140403001", "unack_active"),
                    "policies_unchecked/": ("anxin-hub-14", "unack_active"),
                    handed: ("anxin-hub-140403001", "unack_cleared"),
                }
            )
            plans = await world.rows(
                "select e.policy, e.plan->'steps'->0->>'responder' as told from escalation e join alarm a on a.id = e.alarm"
                " where a.definition = 'urgent_message_refused' and e.state = 'running'"
            )
            assert plans == [{"policy": None, "told": "guard"}]


def test_each_hand_over_is_an_alarm_of_its_own_up_to_a_bound_and_its_words_do_not_change_by_themselves() -> None:
    one = Unverified("14", UUID(int=1 << 100), "police-x", ("花园", "Garden"))
    many = [one, one._replace(authority="fire-x"), *(one._replace(alarm=UUID(int=n << 90)) for n in range(2 * MOST))]
    found = unverified(many)
    assert len(found) == MOST
    assert len({alarm.instance for alarm in found}) == MOST
    assert unverified(many) == found
    assert overdue({}) == []
    assert [alarm.division for alarm in overdue({"1404": "14", "14": None})] == ["14"]


async def test_a_folder_of_profiles_without_these_alarms_ends_nothing(fresh_database: str) -> None:
    task = asyncio.ensure_future(own_alarms.run(fresh_database, profiles={}))
    done, _ = await asyncio.wait({task}, timeout=0.2)
    assert not done  # it waits, loudly; it does not end the hub
    task.cancel()
    await asyncio.wait({task})
