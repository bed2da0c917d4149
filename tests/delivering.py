"""What the tests of the deliverer share: a profile, policies, the loop under test, and what became of the pages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from hub.core.escalation import Step
from hub.profiles import Profile, parse_profile
from hub.runtime import deliverer, escalator
from hub.store.escalation import fire
from tests.paging import POLICY, World, flat

PROFILE = parse_profile(
    {
        "profile": "some-button",
        "kind": "panic_button",
        "vendor": "nobody",
        "model": "test",
        "title": {"zh": "按钮", "en": "Button"},
        "source": "made for this test",
        "driver": "mqtt",
        "liveness": {"beat": "2s", "offline_after": "6s"},
        "points": {"press": {"title": {"zh": "按下", "en": "Press"}, "type": "bool"}},
        "alarms": {
            "pressed": {
                "title": {"zh": "紧急按钮被按下", "en": "Panic button pressed"},
                "class": "panic",
                "priority": "critical",
                "point": "press",
                "condition": {"equals": True},
                "latching": True,
                "response": {"zh": "立即到场", "en": "Go there at once"},
            }
        },
        "test": {"seen": ["press"]},
    },
    "test",
)
PROFILES: dict[str, Profile] = {"some-button": PROFILE}
ONE = replace(POLICY, steps=(Step(1, "guard", "hook"),))
TWO = replace(POLICY, steps=(Step(1, "guard", "hook"), Step(2, "head", "hook")))


@asynccontextmanager
async def task(name: str, loop: Any) -> AsyncIterator[asyncio.Task[None]]:
    running = asyncio.create_task(loop, name=name)
    try:
        yield running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def delivering(world: World, **more: Any) -> Any:
    given = {"profiles": PROFILES, "public_url": "https://hub.example/", "allow_loopback": True, **more}
    run = deliverer.run(world.url, **given)
    return task("deliverer", run)


def escalating(world: World) -> Any:
    return task("escalator", escalator.run(world.url))


async def page(world: World, **more: Any) -> UUID:
    """An alarm whose first steps are in the outbox."""
    alarm = await world.alarm(**more)
    async with world.conn.transaction(), world.conn.cursor() as cur:
        await fire(cur, alarm)
    return alarm


def states(world: World, alarm: UUID, *expected: str) -> Callable[[], object]:
    async def look() -> bool:
        return tuple(row[3] for row in await world.pages(alarm)) == expected

    return look


async def attempts(world: World) -> list[tuple[Any, ...]]:
    return flat(
        await world.rows("select n, outcome, code from attempt order by notification, n"), "n", "outcome", "code"
    )


async def hurry(world: World) -> None:
    await world.conn.execute("update notification set next_attempt_at = now() where state = 'pending'")
