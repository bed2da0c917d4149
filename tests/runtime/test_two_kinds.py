"""Fire and panic go out by two kinds of channel at once, within FIR-49's 15 seconds, through the real escalator, outbox and deliverer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from hub.core.escalation import Step
from hub.model import SignalClass
from hub.store.policies import Channel, Responder, put_policy, put_responder
from hub.testing import eventually
from tests.delivering import delivering, escalating
from tests.mailboxes import mailbox
from tests.notify.test_telephony import NUMBER, SETTINGS, TAKEN
from tests.paging import POLICY, World, receiver, smtp, webhook

LIMIT = 15.0
"""FIR-49: GB/T 45839 5.10.4, to people within 15 s by at least two kinds of channel"""


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def reachable_by(world: World, *channels: tuple[str, dict[str, Any]]) -> None:
    """A guard with these channels in order of preference, told by two kinds at once."""
    made = tuple(Channel(name, given["kind"], given["settings"]) for name, given in channels)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await put_responder(cur, Responder("guard", "门卫", "Guard", made))
        await put_policy(cur, replace(POLICY, steps=(Step(1, "guard", kinds=2),)))


def sms(port: int) -> dict[str, Any]:
    settings = {"number": NUMBER, "template": "SMS_1", **SETTINGS["sms_aliyun"], "endpoint": f"127.0.0.1:{port}"}
    return {"kind": "sms_aliyun", "settings": settings}


@pytest.mark.parametrize("signal_class", [SignalClass.FIRE, SignalClass.PANIC])
async def test_a_fire_or_panic_reaches_two_media_within_fifteen_seconds(
    world: World, signal_class: SignalClass
) -> None:
    async with receiver(TAKEN["sms_aliyun"]) as provider, mailbox() as post, receiver() as platform:
        text = sms(provider.port)
        # the second text message is the same medium: the mail is the other kind
        await reachable_by(
            world, ("sms", text), ("sms2", text), ("mail", smtp(post.port)), ("hook", webhook(platform.url))
        )
        async with escalating(world), delivering(world):
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await world.alarm(signal_class=signal_class)
            await eventually(lambda: len(provider.requests) == 1 and len(post.mails) == 1, LIMIT)
            took = loop.time() - begun
        assert took <= LIMIT
    assert platform.requests == []
    rows = await world.rows("select channel, step, round from notification order by channel")
    assert [tuple(row.values()) for row in rows] == [("mail", 1, 1), ("sms", 1, 1)]


async def test_one_kind_that_hangs_does_not_hold_up_the_other(world: World) -> None:
    async with receiver("hang") as provider, mailbox() as post:
        await reachable_by(world, ("sms", sms(provider.port)), ("mail", smtp(post.port)))
        async with escalating(world), delivering(world):
            await world.alarm()
            await eventually(lambda: len(post.mails) == 1 and len(provider.requests) == 1, LIMIT)
            assert not provider.hanging.is_set()
            provider.hanging.set()
