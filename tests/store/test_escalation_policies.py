"""Policies and responders as stored; the choice in SQL is the choice of the core."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from psycopg import AsyncCursor

from hub.core.escalation import Policy, Step, covers
from hub.core.exercises import SINK
from hub.errors import BadInput, Conflict, NotFound
from hub.model import SECOND, Priority, SignalClass
from hub.store.escalation import begin
from hub.store.policies import (
    Channel,
    Responder,
    load_policies,
    load_responders,
    put_policy,
    put_responder,
    retire_policy,
    retire_responder,
)
from tests.paging import POLICY, SECRET, World, webhook

GUARD = Responder(
    "guard", "值班", "Guard", (Channel("hook", **webhook("http://127.0.0.1:9/a")), Channel("mail", "smtp", {}))
)


@pytest.fixture
async def world(fresh_database: str) -> AsyncIterator[World]:
    async with World.open(fresh_database) as world:
        yield world


async def own_responders(cur: AsyncCursor[Any]) -> tuple[Responder, ...]:
    """Without the sink of proofs, which every database has."""
    return tuple(responder for responder in await load_responders(cur) if responder.id != SINK)


async def test_what_was_put_is_what_is_loaded(world: World) -> None:
    await world.policy(POLICY)
    own = replace(POLICY, id="own", division=None, institution="star", max_rounds=3, steps=POLICY.steps[:1])
    await world.policy(own)
    async with world.conn.cursor() as cur:
        assert await load_policies(cur) == (POLICY, own)
        responders = await own_responders(cur)
    assert [(r.id, [c.id for c in r.channels]) for r in responders] == [("guard", ["hook"]), ("head", ["mail"])]
    assert responders[0].channels[0].settings["secret"] == SECRET


async def test_a_change_counts_the_version_and_replaces_the_steps(world: World) -> None:
    await world.policy(POLICY)
    await world.policy(replace(POLICY, steps=POLICY.steps[:1]))
    async with world.conn.cursor() as cur:
        assert await load_policies(cur) == (replace(POLICY, steps=POLICY.steps[:1], version=2),)


async def test_a_retired_policy_covers_nothing_and_can_come_back(world: World) -> None:
    await world.policy(POLICY)
    async with world.conn.cursor() as cur:
        await retire_policy(cur, "city")
        assert await load_policies(cur) == ()
        alarm = await world.alarm()
        assert (await world.escalation(alarm))["state"] == "uncovered"
        with pytest.raises(NotFound, match="no policy 'city'"):
            await retire_policy(cur, "city")
        await put_policy(cur, POLICY)
        assert [policy.version for policy in await load_policies(cur)] == [3]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (replace(POLICY, division=None, institution="nowhere"), "no institution 'nowhere'"),
        (replace(POLICY, division="99"), "no division '99'"),
        (replace(POLICY, steps=(Step(1, "ghost", "hook"),)), "steps.1: there is no channel ghost/hook"),
        (replace(POLICY, steps=(Step(1, "guard", "pigeon"),)), "steps.1: there is no channel guard/pigeon"),
    ],
)
async def test_a_policy_that_names_what_is_not_there_is_refused(world: World, policy: Policy, says: str) -> None:
    async with world.conn.cursor() as cur:
        await put_responder(cur, GUARD)
        with pytest.raises(NotFound, match=says):
            async with world.conn.transaction():
                await put_policy(cur, policy)
        with pytest.raises(BadInput, match="policy city: round_every"):
            await put_policy(cur, replace(POLICY, round_every=SECOND // 2))
        assert await load_policies(cur) == ()


async def test_a_channel_that_a_policy_uses_cannot_go(world: World) -> None:
    only_hook = replace(POLICY, steps=(Step(1, "guard", "hook"),))
    async with world.conn.cursor() as cur:
        await put_responder(cur, GUARD)
        await put_policy(cur, only_hook)
        for change in (put_responder(cur, replace(GUARD, channels=GUARD.channels[1:])), retire_responder(cur, "guard")):
            with pytest.raises(Conflict, match="guard/hook is used by policy 'city'"):
                async with world.conn.transaction():
                    await change
        await put_responder(cur, replace(GUARD, channels=GUARD.channels[:1]))
        await retire_policy(cur, "city")
        await retire_responder(cur, "guard")
        assert await own_responders(cur) == ()
        with pytest.raises(NotFound, match="no channel guard/hook"):
            async with world.conn.transaction():
                await put_policy(cur, only_hook)
        with pytest.raises(NotFound, match="no responder 'ghost'"):
            await retire_responder(cur, "ghost")


def test_secrets_are_not_in_what_a_responder_looks_like() -> None:
    assert SECRET not in repr(GUARD)
    assert "127.0.0.1" not in repr(GUARD)


async def test_the_database_chooses_what_the_core_chooses(world: World) -> None:
    chance = random.Random(7)
    places = [
        (None, None),
        ("14", None),
        ("1404", None),
        ("140403", None),
        ("140403001", None),
        (None, "star"),
        (None, "moon"),
    ]
    await world.institution("moon", "1404")
    await world.conn.execute("update institution set type = 'home' where id = 'moon'")
    await world.device("button-2", "moon")
    groups: dict[str, tuple[str, ...]] = {"star": ("chain", "pilot"), "moon": ("pilot",)}
    for group in ("chain", "other", "pilot"):
        await world.conn.execute("insert into institution_group values (%s, '组', 'Group')", (group,))
    for name, member_of in groups.items():
        for group in member_of:
            await world.conn.execute(
                "insert into group_member select %s, key from institution where id = %s", (group, name)
            )
    types = {"star": "centre", "moon": "home"}
    for trial in range(12):
        async with world.conn.cursor() as cur:
            for policy in await load_policies(cur):
                await retire_policy(cur, policy.id)
        for n in range(chance.randint(0, 8)):
            division, institution = chance.choice(places)
            nowhere = division is None and institution is None
            of_group = chance.choice(["chain", "other", "pilot", None, None]) if nowhere else None
            of_types = frozenset(chance.sample(["centre", "home", "ward"], chance.choice([0, 0, 1, 2])))
            classes = frozenset(chance.sample(list(SignalClass), chance.randint(1, 9)))
            priorities = frozenset(
                chance.sample([p for p in Priority if p is not Priority.JOURNAL], chance.randint(1, 4))
            )
            made = replace(POLICY, id=f"p{trial}-{n}", division=division, institution=institution)
            made = replace(made, group=of_group, institution_types=frozenset() if institution else of_types)
            await world.policy(replace(made, signal_classes=classes, priorities=priorities))
        async with world.conn.cursor() as cur:
            policies = await load_policies(cur)
        for device, institution, division in (("button-1", "star", "140403001"), ("button-2", "moon", "1404")):
            for signal_class in SignalClass:
                priority = chance.choice(list(Priority))
                alarm = await world.alarm(device, signal_class, priority, begun=False)
                async with world.conn.transaction(), world.conn.cursor() as cur:
                    await begin(cur, [alarm])
                place = (types[institution], groups[institution])
                expected = covers(policies, institution, division, signal_class, priority, *place)
                found = await world.rows("select policy from escalation where alarm = %s", alarm)
                if priority is Priority.JOURNAL:
                    assert found == []
                else:
                    assert found == [{"policy": None if expected is None else expected.id}]
