"""The loop that hands alarms to authorities, over real connections: by an order or a button, until they took it, and never an exercise."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from hub.model import SECOND, Exercise, SignalClass
from hub.notify.authority import handover_id
from hub.runtime import handovers
from hub.store.escalation import begin as begin_escalation
from hub.store.handovers import Authority, Order, begin, put_authority
from hub.store.pool import connect
from hub.testing import eventually
from tests.delivering import ONE, PROFILES, task
from tests.paging import SECRET, World, receiver


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        await world.policy(ONE)
        yield world


def handing(world: World) -> Any:
    return task("handovers", handovers.run(world.url, profiles=PROFILES, allow_loopback=True, poll=0.05))


async def authority(world: World, url: str, name: str = "police-x", order: Order | None = None) -> None:
    channels = {"desk": ("webhook", {"url": url, "secret": SECRET})}
    conn = await connect(world.url, "test")
    async with conn:
        await put_authority(conn, Authority(name, "police", "公安", "Police", "1404", "110", order, channels))


async def button(world: World, alarm: UUID, name: str = "police-x") -> None:
    conn = await connect(world.url, "test")
    async with conn:
        await begin(conn, handover_id(alarm, name), alarm, name, "operator", "")


async def camera(world: World, name: str) -> None:
    """A camera in the button's zone."""
    await world.conn.execute(
        "with p as (insert into position (institution, id, zone, title_zh, title_en)"
        " select institution, %(n)s, key, '墙角', 'Corner' from zone where id = 'button-1' returning key, institution),"
        " d as (insert into device (id, institution, position, profile, kind, lane)"
        " select %(n)s, institution, key, 'some-camera', 'camera', 'bulk' from p returning key)"
        " insert into device_state (device) select key from d",
        {"n": name},
    )


async def states(world: World) -> list[tuple[str, int]]:
    rows = await world.rows("select state, attempts from handover_message order by handover")
    return [(row["state"], row["attempts"]) for row in rows]


async def marked(world: World, kind: str, signal_class: SignalClass = SignalClass.PANIC) -> UUID:
    """A running escalation of an exercise, as drills are: paged like a real one."""
    alarm = await world.alarm(signal_class=signal_class, begun=False)
    other = uuid4()
    await world.conn.execute(
        "insert into alarm (id, device, institution, definition, instance, signal_class, priority, state, latching, raised_at,"
        " received_at, exercise) select %s, device, institution, definition, 'drill' || instance, signal_class, priority, state, latching,"
        " now(), now(), %s from alarm where id = %s",
        (other, kind, alarm),
    )
    await world.conn.execute("delete from alarm where id = %s", (alarm,))
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await begin_escalation(cur, [other])
    return other


async def test_a_button_hands_over_at_once_with_place_contacts_and_the_same_key_until_it_is_taken(world: World) -> None:
    await camera(world, "cam-1")
    await world.conn.execute(
        "update institution set latitude = 36.19, longitude = 113.11, video = 'https://video.example/{institution}/{device}',"
        """ contacts = '[{"title_zh": "值班园长", "title_en": "Head on duty", "phone": "0355-1234567"}]'"""
    )
    async with receiver("500", "200") as hook, handing(world):
        await authority(world, hook.url)
        alarm = await world.alarm()
        await button(world, alarm)
        await eventually(lambda: len(hook.requests) == 2)

        async def sent() -> bool:
            return await states(world) == [("sent", 2)]

        await eventually(sent)
    assert hook.ids == [str(handover_id(alarm, "police-x"))] * 2
    document: Any = Webhook(SECRET).verify(hook.requests[1].body, hook.requests[1].headers)
    data = document["data"]
    assert data["title"] == {"zh": "紧急按钮被按下", "en": "Panic button pressed"}
    assert data["place"] == {"zh": "午睡室 · 门边", "en": "Nap room · By the door"}
    assert data["position"] == {"latitude": 36.19, "longitude": 113.11}
    assert data["contacts"] == [{"zh": "值班园长", "en": "Head on duty", "phone": "0355-1234567"}]
    (seen,) = data["cameras"]
    assert seen == {
        "zh": "午睡室 · 墙角",
        "en": "Nap room · Corner",
        "device": "cam-1",
        "link": "https://video.example/star/cam-1",
    }
    attempts = await world.rows("select n, outcome, code from handover_attempt order by n")
    assert [tuple(row.values()) for row in attempts] == [(1, "failed", 500), (2, "delivered", 200)]


async def test_an_order_hands_over_what_nobody_answered_and_nothing_else(world: World) -> None:
    order = Order(frozenset({SignalClass.PANIC}), 60 * SECOND)
    async with receiver() as hook:
        await authority(world, hook.url, order=order)
        fire = await world.alarm(signal_class=SignalClass.FIRE)
        answered = await world.alarm()
        await world.acknowledge(answered)
        waiting = await world.alarm()
        async with handing(world):
            await world.conn.execute(
                "update escalation set started_at = started_at - interval '59 seconds' where alarm = any (%s)",
                ([fire, answered, waiting],),
            )
            later = await world.alarm()  # raised now: its minute has only begun
            await world.conn.execute(
                "update escalation set started_at = started_at - interval '2 s' where alarm <> %s", (later,)
            )
            await eventually(lambda: len(hook.requests) == 1)
    rows = await world.rows("select alarm, automatic, begun_by from handover")
    assert [tuple(row.values()) for row in rows] == [(waiting, True, "standing-order")]


@pytest.mark.parametrize("unseen", [False, True], ids=["set", "there-and-back"])
async def test_no_order_calls_an_authority_early_for_a_clock_that_is_set_forward(world: World, unseen: bool) -> None:
    await world.own_clock()
    order = Order(frozenset({SignalClass.PANIC}), 1800 * SECOND)
    async with receiver() as hook:
        await authority(world, hook.url, order=order)
        waiting = await world.alarm()
        async with handing(world):
            await eventually(lambda: watched(world))
            if unseen:
                await world.set_clock(-3600)
                waiting = await world.alarm()
            await world.set_clock(3600)
            await eventually(lambda: counts_from_now(world, waiting))
            assert hook.requests == []
            await world.conn.execute("update escalation set started_at = started_at - interval '31 min'")
            await eventually(lambda: len(hook.requests) >= 1)


async def watched(world: World) -> bool:
    return bool(await world.rows("select 1 as one from clock_watch"))


async def counts_from_now(world: World, alarm: UUID) -> bool:
    waits = "select abs(extract(epoch from hub_clock() - started_at)) < 600 as short from escalation where alarm = %s"
    return bool((await world.rows(waits, alarm))[0]["short"])


async def test_a_message_to_an_authority_does_not_wait_an_hour_for_a_clock_that_is_set_back(world: World) -> None:
    await world.own_clock()
    async with receiver("500") as hook:
        await authority(world, hook.url)
        alarm = await world.alarm()
        async with handing(world):
            await eventually(lambda: watched(world))
            await button(world, alarm)
            await eventually(lambda: len(hook.requests) >= 1)
            await world.conn.execute(
                "update handover_message set next_attempt_at = hub_clock() + interval '20 s' where state = 'pending'"
            )
            await world.set_clock(-3600)
            await eventually(lambda: len(hook.requests) >= 2)


@pytest.mark.parametrize("kind", Exercise)
async def test_no_order_hands_over_an_exercise(world: World, kind: str) -> None:
    order = Order(frozenset({SignalClass.PANIC, SignalClass.FIRE}), 0)
    async with receiver() as hook:
        await authority(world, hook.url, order=order)
        await marked(world, kind)
        await marked(world, kind, SignalClass.FIRE)
        async with handing(world):
            real = await world.alarm()  # the loop works: the real one goes, the older exercises do not
            await eventually(lambda: len(hook.requests) == 1)
    assert hook.ids == [str(handover_id(real, "police-x"))]
    assert [row["alarm"] for row in await world.rows("select alarm from handover")] == [real]


async def test_a_system_that_says_it_is_gone_is_not_asked_again_and_a_retired_one_is_not_told(world: World) -> None:
    async with receiver("410") as hook, handing(world):
        await authority(world, hook.url)
        await button(world, await world.alarm())

        async def failed() -> bool:
            return await states(world) == [("failed", 1)]

        await eventually(failed)
        assert len(hook.requests) == 1
    said = await world.rows("select payload ->> 'state' as state from change where kind = 'handover' order by seq")
    assert [row["state"] for row in said] == ["begun", "failed"]


async def test_one_handover_that_cannot_be_noted_keeps_no_other_from_it_and_goes_on(world: World) -> None:
    await world.conn.execute(
        "create function poison() returns trigger language plpgsql as $$"
        " begin if new.authority = 'police-x' then raise data_exception; end if; return new; end $$;"
        "create trigger poison before update of state on handover_message for each row execute function poison()"
    )
    async with receiver() as hook:
        await authority(world, hook.url)
        await authority(world, hook.url, "police-y")
        alarm = await world.alarm()
        for name in ("police-x", "police-y"):
            await button(world, alarm, name)
        async with handing(world) as loop:

            async def noted() -> bool:
                return await world.rows("select authority::text from handover_message where state = 'sent'") == [
                    {"authority": "police-y"}
                ]

            await eventually(noted)
            await world.conn.execute("drop trigger poison on handover_message")
            await world.conn.execute("update handover_message set lease_until = now() - interval '1 s'")

            async def both() -> bool:
                return [state for state, _ in await states(world)] == ["sent", "sent"]

            await eventually(both)
            assert not loop.done()
    assert set(hook.ids) == {str(handover_id(alarm, name)) for name in ("police-x", "police-y")}


async def test_two_processes_hand_over_once(world: World) -> None:
    async with receiver() as hook, handing(world), handing(world):
        await authority(world, hook.url, order=Order(frozenset({SignalClass.PANIC}), 0))
        alarms = [await world.alarm() for _ in range(5)]
        await eventually(lambda: len(hook.requests) >= 5)
        for _ in range(20):
            await world.rows("select pg_sleep(0.01)")
    assert sorted(hook.ids) == sorted(str(handover_id(alarm, "police-x")) for alarm in alarms)
