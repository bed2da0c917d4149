"""Responders, their channels, and escalation policies as registered. Writers run in the caller's transaction.

Whether an institution stays covered is for the caller to judge (`hub.core.escalation.uncovered` over `load_policies`), before it commits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, LiteralString

from psycopg import AsyncCursor
from psycopg.rows import TupleRow

from hub.core.escalation import Policy, Step, check_policy
from hub.errors import Conflict, NotFound
from hub.model import Priority, SignalClass
from hub.store.intervals import to_interval, to_span
from hub.store.queries import queries
from hub.store.rows import readable
from hub.store.sealing import Place, opened, refuse_known, sealed

_SQL = queries("policies")

Cursor = AsyncCursor[TupleRow]


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to reach a responder. `settings` are those of `hub.notify` for the kind; they hold secrets and are never shown."""

    id: str
    kind: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Responder:
    """Somebody, or a post, that is told."""

    id: str
    title_zh: str
    title_en: str
    channels: tuple[Channel, ...]
    """in order of preference"""
    version: int = 1
    manned: bool = False
    """a room with somebody in it at every hour"""


async def load_responders(cur: Cursor) -> tuple[Responder, ...]:
    """All responders that are not retired, by id, with the secrets of their channels."""
    await cur.execute(_SQL["responders"])
    rows = await cur.fetchall()
    responders = []
    for (name, zh, en, version, manned), group in groupby(rows, key=lambda row: row[:5]):
        places = ((row, Place("responder", name, row[5], row[6])) for row in group if row[5] is not None)
        channels = tuple(Channel(row[5], row[6], opened(row[7], place)) for row, place in places)
        responders.append(Responder(name, zh, en, channels, version, manned))
    return tuple(responders)


async def put_responder(cur: Cursor, responder: Responder) -> None:
    """Create or change a responder with exactly these channels; raises Conflict where a policy uses a channel that goes."""
    titles = {"title_zh": responder.title_zh, "title_en": responder.title_en}
    await cur.execute(_SQL["put_responder"], {"id": responder.id, "manned": responder.manned, **titles})
    whose = Place("responder", responder.id, "", "")
    await refuse_known(cur.connection, whose, (channel.settings for channel in responder.channels))
    for rank, channel in enumerate(responder.channels):
        place = Place("responder", responder.id, channel.id, channel.kind)
        given = {"responder": responder.id, "id": channel.id, "kind": channel.kind, "rank": rank}
        await cur.execute(_SQL["put_channel"], given | {"settings": sealed(channel.settings, place)})
    await _retire_channels(cur, responder.id, [channel.id for channel in responder.channels])


async def retire_responder(cur: Cursor, responder: str) -> None:
    """Retire a responder and its channels; raises NotFound, and Conflict while a policy or a rota uses it."""
    await cur.execute(_SQL["lock_responder"], {"id": responder})
    if await cur.fetchone() is None:
        raise NotFound(f"there is no responder {responder!r}")
    await _retire_channels(cur, responder, [])
    await cur.execute(_SQL["responder_users"], {"responder": responder})
    user = await cur.fetchone()
    if user is not None:
        raise Conflict(f"responder {responder!r} is used by {user[0]}: change that first")
    await cur.execute(_SQL["retire_responder"], {"id": responder})


async def _retire_channels(cur: Cursor, responder: str, kept: list[str]) -> None:
    await cur.execute(_SQL["retire_channels"], {"responder": responder, "kept": kept})
    await cur.execute(_SQL["channel_users"], {"responder": responder, "kept": kept})
    used = await cur.fetchall()
    if used:
        channel, policy = used[0]
        raise Conflict(f"channel {responder}/{channel} is used by policy {policy!r}: change the policy first")


async def load_policies(cur: Cursor) -> tuple[Policy, ...]:
    """All policies that are not retired, by id."""
    await cur.execute(_SQL["policies"])
    rows = await cur.fetchall()
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
    return tuple(readable("policy", groups, _policy, lambda group: group[0][0]))


def _policy(rows: list[TupleRow]) -> Policy:
    name, zh, en, division, institution, classes, priorities, round_every, max_rounds, version, group, types = rows[0][
        :12
    ]
    remind, lapse = (None if span is None else to_span(span) for span in rows[0][12:14])
    steps = tuple(
        Step(n, responder, channel, to_span(delay), to_span(repeat_every), times, rota, kinds)
        for n, responder, channel, delay, repeat_every, times, rota, kinds in (row[14:] for row in rows)
        if n is not None
    )
    return Policy(
        id=name,
        signal_classes=frozenset(map(SignalClass, classes)),
        priorities=frozenset(map(Priority, priorities)),
        round_every=to_span(round_every),
        steps=steps,
        max_rounds=max_rounds,
        division=division,
        institution=institution,
        title_zh=zh,
        title_en=en,
        version=version,
        group=group,
        institution_types=frozenset(types),
        remind_after=remind,
        lapse_after=lapse,
    )


async def put_policy(cur: Cursor, policy: Policy) -> None:
    """Create or change a policy (its `version` is counted here). Alarms under way end their present round by the old one.

    Raises BadInput where it contradicts itself, NotFound for an unknown institution, division, group, responder, channel or rota.
    """
    check_policy(policy)
    await _check_place(cur, policy)
    given = {
        "id": policy.id,
        "title_zh": policy.title_zh,
        "title_en": policy.title_en,
        "division": policy.division,
        "institution": await _institution_key(cur, policy),
        "group": policy.group,
        "institution_types": sorted(policy.institution_types),
        "signal_classes": sorted(policy.signal_classes),
        "priorities": sorted(policy.priorities),
        "round_every": to_interval(policy.round_every),
        "max_rounds": policy.max_rounds,
        "remind_after": None if policy.remind_after is None else to_interval(policy.remind_after),
        "lapse_after": None if policy.lapse_after is None else to_interval(policy.lapse_after),
    }
    await cur.execute(_SQL["put_policy"], given)
    await cur.execute(_SQL["drop_steps"], {"policy": policy.id})
    await _put_steps(cur, policy.id, policy.steps)


async def retire_policy(cur: Cursor, policy: str) -> None:
    """Retire a policy; raises NotFound."""
    await cur.execute(_SQL["retire_policy"], {"id": policy})
    if cur.rowcount == 0:
        raise NotFound(f"there is no policy {policy!r}")


async def _put_steps(cur: Cursor, policy: str, steps: Iterable[Step]) -> None:
    for step in steps:
        given = {"policy": policy, "n": step.n, "responder": step.responder, "channel": step.channel}
        given |= {"rota": step.rota, "kinds": step.kinds}
        query, what = _target(step)
        await cur.execute(_SQL[query], given)
        if await cur.fetchone() is None:
            raise NotFound(f"policy {policy}: steps.{step.n}: there is no {what}")
        times = {
            "delay": to_interval(step.delay),
            "repeat_every": to_interval(step.repeat_every),
            "repeat_times": step.repeat_times,
        }
        await cur.execute(_SQL["put_step"], given | times)


def _target(step: Step) -> tuple[LiteralString, str]:
    if step.rota:
        return "live_rota", f"rota {step.rota!r}"
    if step.channel:
        return "live_channel", f"channel {step.responder}/{step.channel}"
    return "live_responder", f"responder {step.responder!r}"


async def _institution_key(cur: Cursor, policy: Policy) -> int | None:
    if policy.institution is None:
        return None
    await cur.execute(_SQL["institution_key"], {"institution": policy.institution})
    row = await cur.fetchone()
    if row is None:
        raise NotFound(f"policy {policy.id}: there is no institution {policy.institution!r}")
    return int(row[0])


async def _check_place(cur: Cursor, policy: Policy) -> None:
    given = {"division": policy.division, "group": policy.group}
    if policy.division is not None:
        await cur.execute(_SQL["has_division"], given)
        if await cur.fetchone() is None:
            raise NotFound(f"policy {policy.id}: there is no division {policy.division!r}")
    if policy.group is not None:
        await cur.execute(_SQL["has_group"], given)
        if await cur.fetchone() is None:
            raise NotFound(f"policy {policy.id}: there is no group {policy.group!r}")
