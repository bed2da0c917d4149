"""The deliverer as a loop, against real receivers: sent once, tried again, given up visibly, nobody held up by another."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from hub.core.escalation import Step
from hub.core.links import opened
from hub.model import SECOND, Priority, SignalClass
from hub.runtime.deliverer import Limits
from hub.store.escalation import fire
from hub.testing import eventually
from tests.delivering import ONE, TWO, attempts, delivering, escalating, hurry, page, states
from tests.mailboxes import mailbox
from tests.paging import POLICY, SECRET, World, receiver, smtp, webhook

ORDINARY = (Priority.LOW, Priority.MEDIUM, Priority.HIGH, Priority.CRITICAL)
"""one alarm of each in this order is no storm: what is graver waits for nothing"""


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def test_a_page_reaches_the_webhook_and_the_receipt_is_kept(world: World) -> None:
    async with receiver("202") as hook, delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        await eventually(states(world, alarm, "sent"))
    (row,) = await world.rows("select * from notification")
    assert hook.ids == [str(row["id"])]
    assert (row["attempts"], row["last_error"], row["lease_until"]) == (1, "", None)
    assert await attempts(world) == [(1, "delivered", 202)]
    (said,) = await world.changes("notification")
    assert (said["state"], said["alarm"], said["notification"]) == ("sent", str(alarm), str(row["id"]))
    data = Webhook(SECRET).verify(hook.requests[0].body, hook.requests[0].headers)["data"]
    assert data["title"] == {"zh": "紧急按钮被按下", "en": "Panic button pressed"}
    assert data["response"] == {"zh": "立即到场", "en": "Go there at once"}
    assert data["place"] == {"zh": "午睡室 · 门边", "en": "Nap room · By the door"}
    assert data["institution_title"] == {"zh": "机构star", "en": "Institution star"}
    assert (data["division"], data["device"], data["class"]) == ("140403001", "button-1", "panic")
    assert data["link"].startswith("https://hub.example/n/")
    (key,) = await world.rows("select key from link_key")
    named, until, mac = data["link"].split("/")[-3:]
    assert opened(bytes(key["key"]), named, until, mac, int(row["created_at"].timestamp()) + 24 * 3600 - 1) == row["id"]


async def test_a_press_climbs_from_the_webhook_to_mail_until_it_is_acknowledged(world: World) -> None:
    async with receiver() as hook, mailbox() as box, escalating(world), delivering(world):
        await world.policy(POLICY, {"guard/hook": webhook(hook.url), "head/mail": smtp(box.port)})
        alarm = await world.alarm()
        await eventually(states(world, alarm, "sent"))
        assert (len(hook.requests), box.mails) == (1, [])
        await world.pass_time(60)
        await eventually(states(world, alarm, "sent", "sent"))
        assert "紧急按钮被按下" in box.mails[0]["Subject"]
        await world.acknowledge(alarm)
        await world.pass_time(3600)
        other = await world.alarm()
        await eventually(states(world, other, "sent"))
        assert [row[:3] for row in await world.pages(alarm)] == [(1, 1, 0), (1, 2, 0)]
    assert (len(hook.requests), len(box.mails)) == (2, 1)


async def test_a_page_is_tried_again_with_the_same_key_until_it_is_taken(world: World) -> None:
    async with receiver("500", "reset", "429", "204") as hook, delivering(world):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)

        async def taken() -> object:
            await hurry(world)
            return await states(world, alarm, "sent")()  # type: ignore[misc]

        await eventually(taken)
    assert len(hook.ids) == 4
    assert len(set(hook.ids)) == 1
    assert await attempts(world) == [
        (1, "failed", 500),
        (2, "failed", None),
        (3, "failed", 429),
        (4, "delivered", 204),
    ]


async def test_a_failed_attempt_waits_longer_each_time_and_says_why(world: World) -> None:
    async with receiver("500") as hook:
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        await page(world)
        await world.conn.execute("update notification set attempts = 9")
        async with delivering(world):

            async def failed() -> object:
                return await world.rows("select 1 as one from notification where last_error <> ''")

            await eventually(failed)
    (row,) = await world.rows(
        "select state, attempts, last_error, extract(epoch from next_attempt_at - now())::float8 as left from notification"
    )
    assert (row["state"], row["attempts"], row["last_error"]) == ("pending", 10, "the receiver did not take it")
    assert -5 < row["left"] <= 30


async def test_a_receiver_that_asks_to_be_left_alone_is_but_a_press_does_not_wait_for_it_for_long(world: World) -> None:
    async with receiver("429 x\r\nretry-after: 300\r\nx-y:") as hook:
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        await page(world)
        async with delivering(world):

            async def failed() -> object:
                return await world.rows("select 1 as one from notification where last_error <> ''")

            await eventually(failed)
    (row,) = await world.rows(
        "select extract(epoch from next_attempt_at - a.at)::float8 as wait from notification n join attempt a on a.notification = n.id"
    )
    assert 30 <= row["wait"] < 60


async def test_a_webhook_that_is_gone_is_given_up_at_once_and_visibly(world: World) -> None:
    with capture_logs() as logs:
        async with receiver("410") as hook, delivering(world):
            await world.policy(ONE, {"guard/hook": webhook(hook.url)})
            alarm = await page(world)
            await eventually(states(world, alarm, "failed"))
    assert len(hook.requests) == 1
    assert await attempts(world) == [(1, "refused", 410)]
    assert [said["state"] for said in await world.changes("notification")] == ["failed"]
    (entry,) = [entry for entry in logs if entry["event"] == "notification_failed"]
    assert (entry["alarm"], entry["responder"], entry["code"]) == (str(alarm), "guard", 410)


async def test_what_cannot_be_delivered_for_long_enough_is_given_up_visibly(world: World) -> None:
    async with receiver("500") as hook, delivering(world, limits=Limits(give_up=3600 * SECOND)):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await world.alarm()
        async with world.conn.transaction(), world.conn.cursor() as cur:
            await fire(cur, alarm)
            await cur.execute("update notification set created_at = now() - interval '1 hour'")
        await eventually(states(world, alarm, "failed"))
    assert (await world.rows("select last_error from notification"))[0]["last_error"] == "the receiver did not take it"


async def test_a_receiver_that_hangs_delays_no_other_channel_even_with_many_pages(world: World) -> None:
    async with receiver(*["hang"] * 60) as hanging, receiver() as prompt, delivering(world):
        await world.policy(TWO, {"guard/hook": webhook(hanging.url), "head/hook": webhook(prompt.url)})
        alarms = [await page(world) for _ in range(30)]
        await eventually(lambda: len(prompt.requests) == 30, deadline=20)
        assert len(hanging.requests) <= Limits().per_channel
        sent = await world.rows("select count(*) as n from notification where state = 'sent'")
        assert sent[0]["n"] <= 30
    assert len(alarms) == 30


async def test_fire_and_panic_go_first(world: World) -> None:
    async with receiver() as hook:
        everything = replace(ONE, signal_classes=frozenset(SignalClass), priorities=frozenset(ORDINARY))
        await world.policy(everything, {"guard/hook": webhook(hook.url)})
        faults = [await page(world, signal_class=SignalClass.FAULT, priority=priority) for priority in ORDINARY[:3]]
        panics = [await page(world) for _ in range(2)]
        async with delivering(world, limits=Limits(slots=1, reserved=0, per_channel=1)):
            await eventually(lambda: len(hook.requests) == 5)
    order = [UUID(Webhook(SECRET).verify(r.body, r.headers)["data"]["alarm"]) for r in hook.requests]
    assert order == [*panics, *faults]


async def test_reserved_places_are_for_fire_and_panic_only(world: World) -> None:
    async with receiver(*["hang"] * 9) as hanging, receiver() as prompt:
        classes, priorities = frozenset(SignalClass), frozenset(ORDINARY)
        everything = replace(POLICY, signal_classes=classes, priorities=priorities, steps=(Step(1, "guard", "hook"),))
        own = replace(POLICY, id="own", division=None, institution="star", steps=(Step(1, "head", "hook"),))
        await world.policy(everything, {"guard/hook": webhook(hanging.url)})
        await world.policy(own, {"head/hook": webhook(prompt.url)})
        async with delivering(world, limits=Limits(slots=3, reserved=1, per_channel=9)):
            for priority in ORDINARY:
                await page(world, signal_class=SignalClass.FAULT, priority=priority)
            await eventually(lambda: len(hanging.requests) == 2)
            alarm = await page(world)
            await eventually(states(world, alarm, "sent"), deadline=20)
            assert len(hanging.requests) == 2


async def test_a_page_that_was_cancelled_is_not_sent(world: World) -> None:
    async with receiver() as hook:
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        await world.acknowledge(alarm)
        async with delivering(world):
            other = await page(world)
            await eventually(states(world, other, "sent"))
    assert len(hook.requests) == 1
    assert [row[3] for row in await world.pages(alarm)] == ["cancelled"]


async def test_a_page_that_was_under_way_when_somebody_acknowledged_is_told_as_it_was(world: World) -> None:
    async with receiver("slow", "hang") as hook, delivering(world):
        await world.policy(TWO, {"guard/hook": webhook(hook.url), "head/hook": webhook(hook.url)})
        alarm = await page(world)
        await eventually(lambda: len(hook.requests) == 2)
        await world.acknowledge(alarm)
        assert [row[3] for row in await world.pages(alarm)] == ["cancelled", "cancelled"]
        hook.hanging.set()

        async def noted() -> object:
            return sorted(outcome for _, outcome, _ in await attempts(world)) == ["delivered", "failed"]

        await eventually(noted)
        other = await page(world)
        await eventually(states(world, other, "sent", "sent"))
    # the one that arrived is sent; the one that broke stays cancelled and is not tried again
    assert sorted(row[3] for row in await world.pages(alarm)) == ["cancelled", "sent"]
    assert len(hook.requests) == 4


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "webhook", "settings": {"url": "gopher://hidden-token/", "secret": SECRET}}, "do not hold: url"),
        ({"kind": "webhook", "settings": {"url": "http://169.254.169.254/x", "secret": SECRET}}, "may not go to"),
        ({"kind": "smtp", "settings": {"host": "hidden-token"}}, "do not hold"),
    ],
)
async def test_settings_that_do_not_hold_fail_visibly_and_show_no_secret(
    world: World, settings: dict[str, Any], says: str
) -> None:
    with capture_logs() as logs:
        async with delivering(world):
            await world.policy(ONE, {"guard/hook": settings})
            alarm = await page(world)
            await eventually(states(world, alarm, "failed"))
    rows = [*await world.rows("select * from notification"), *await world.rows("select * from attempt")]
    assert says in rows[0]["last_error"]
    for text in (str(rows), str(logs), str(await world.changes("notification"))):
        assert SECRET not in text
        assert "hidden-token" not in text


async def test_no_secret_is_in_attempts_errors_or_logs_whatever_the_receiver_does(world: World) -> None:
    with capture_logs() as logs:
        async with receiver("500", "reset", "redirect", "nonsense", "410") as hook, delivering(world):
            await world.policy(ONE, {"guard/hook": webhook(hook.url)})
            alarm = await page(world)

            async def given_up() -> object:
                await hurry(world)
                return await states(world, alarm, "failed")()  # type: ignore[misc]

            await eventually(given_up)
    assert len(hook.requests) == 5
    rows = [*await world.rows("select * from notification"), *await world.rows("select * from attempt")]
    assert len(rows) == 6
    for text in (str(rows), str(logs), str(await world.changes("notification"))):
        for secret in (SECRET, "hidden-token", "answer-body"):
            assert secret not in text


async def test_a_channel_that_was_retired_meanwhile_fails_visibly(world: World) -> None:
    await world.policy(ONE)
    alarm = await page(world)
    await world.conn.execute("update responder_channel set retired_at = now()")
    async with delivering(world):
        await eventually(states(world, alarm, "failed"))
    assert (await world.rows("select last_error from notification"))[0]["last_error"].endswith("is retired")


async def test_an_alarm_of_a_definition_that_the_profile_lost_is_paged_by_its_id(world: World) -> None:
    async with receiver() as hook, delivering(world, profiles={}):
        await world.policy(ONE, {"guard/hook": webhook(hook.url)})
        alarm = await page(world)
        await eventually(states(world, alarm, "sent"))
    data = Webhook(SECRET).verify(hook.requests[0].body, hook.requests[0].headers)["data"]
    assert data["title"] == {"zh": "pressed", "en": "pressed"}
