"""What a provider says later is asked for, stored and told; what it never says is unknown, not arrived."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from hub.core.escalation import Step
from hub.runtime import receipts
from hub.testing import eventually
from tests.delivering import ONE, delivering, page, states, task
from tests.notify.test_telephony import ID, KEY, NUMBER, SETTINGS, TAKEN, detail
from tests.paging import Receiver, World, receiver, webhook


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


def sms(hook: Receiver) -> dict[str, Any]:
    settings = {"number": NUMBER, "template": "SMS_1", **SETTINGS["sms_aliyun"], "endpoint": f"127.0.0.1:{hook.port}"}
    return {"kind": "sms_aliyun", "settings": settings}


async def sent(world: World, hook: Receiver) -> None:
    await world.policy(ONE, {"guard/hook": sms(hook)})
    async with delivering(world):
        alarm = await page(world)
        await eventually(states(world, alarm, "sent"))


def asking(world: World) -> Any:
    return task("receipts", receipts.run(world.url, allow_loopback=True, poll=0.05))


async def receipt(world: World) -> tuple[Any, ...]:
    (row,) = await world.rows(
        "select provider_id, receipt, receipt_at is not null, ask_at is not null as open from attempt"
    )
    return tuple(row.values())


async def age(world: World, seconds: float) -> None:
    await world.conn.execute(
        "update attempt set at = at - make_interval(secs => %s), ask_at = ask_at - make_interval(secs => %s)",
        (seconds, seconds),
    )


@pytest.mark.parametrize(("status", "word"), [(3, "arrived"), (2, "not_arrived")])
async def test_a_text_message_is_asked_for_until_the_provider_knows(world: World, status: int, word: str) -> None:
    async with receiver(TAKEN["sms_aliyun"], detail(1), detail(status, "X")) as hook:
        await sent(world, hook)
        assert await receipt(world) == ("9006197469364984^0", None, False, True)
        async with asking(world):
            assert len(hook.requests) == 1  # it is too early to ask
            await age(world, 21)
            await eventually(lambda: len(hook.requests) == 2)
            await age(world, 60)

            async def known() -> bool:
                return await receipt(world) == ("9006197469364984^0", word, True, False)

            await eventually(known)
    said = [row["state"] for row in await world.changes("notification")]
    assert said == ["sent", word]
    (step,) = await world.rows("select unreached_at is not null as unreached from escalation_step where state = 'done'")
    assert step["unreached"] is (word == "not_arrived")
    assert [row["state"] for row in await world.changes("escalation")].count("unreached") == (word == "not_arrived")


async def test_a_step_has_reached_somebody_while_one_of_its_messages_may_have_arrived(world: World) -> None:
    async with receiver(TAKEN["sms_aliyun"], detail(2)) as hook, receiver() as other:
        both = Step(1, "guard", "hook"), Step(2, "head", "hook")
        await world.policy(replace(ONE, steps=both), {"guard/hook": sms(hook), "head/hook": webhook(other.url)})
        async with delivering(world):
            alarm = await page(world)
            await eventually(states(world, alarm, "sent", "sent"))
        # as if both had been told by one step
        await world.conn.execute("update notification set step = 1")
        async with asking(world):
            await age(world, 30)

            async def known() -> bool:
                return await world.rows("select 1 from attempt where receipt = 'not_arrived'") != []

            await eventually(known)
        assert await world.rows("select 1 from escalation_step where unreached_at is not null") == []


async def test_what_the_provider_never_says_is_unknown_after_an_hour_and_not_asked_again(world: World) -> None:
    async with receiver(TAKEN["sms_aliyun"], "500") as hook:
        await sent(world, hook)
        async with asking(world):
            await age(world, 3700)

            async def given_up() -> bool:
                return await receipt(world) == ("9006197469364984^0", "unknown", True, False)

            await eventually(given_up)


async def test_no_number_and_no_key_is_in_anything_that_is_stored_of_a_message_or_told(world: World) -> None:
    async with receiver(TAKEN["sms_aliyun"], detail(2, NUMBER)) as hook:
        await sent(world, hook)
        async with asking(world):
            await age(world, 30)

            async def known() -> bool:
                return "not_arrived" in await receipt(world)

            await eventually(known)
    for table in ("attempt", "notification", "change", "audit", "escalation", "escalation_step"):
        for row in await world.rows(f"select t::text as row from {table} t"):
            for secret in (NUMBER, ID, KEY):
                assert secret not in row["row"]


async def test_a_webhook_is_never_asked_for(world: World) -> None:
    async with receiver() as hook:
        await world.policy(
            ONE,
            {
                "guard/hook": {
                    "kind": "webhook",
                    "settings": {"url": hook.url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"},
                }
            },
        )
        async with delivering(world):
            alarm = await page(world)
            await eventually(states(world, alarm, "sent"))
    assert await receipt(world) == ("", None, False, False)
