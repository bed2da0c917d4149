"""Whom a step reaches and by which ways. Pure: rotas, calendar and channels are given; at which hours nobody is reached says
hub.core.reachability."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hub.core.escalation import MOST_KINDS, Plan, Step
from hub.core.media import REACHES_A_PERSON, Medium, medium
from hub.core.rota import Calendar, Rota, on_duty
from hub.model import Micros


class Way(NamedTuple):
    """A channel of a responder that is not retired: its id and its kind."""

    channel: str
    kind: str


def ways(channels: Sequence[Way], step: Step) -> tuple[Way, ...]:
    """By which of a responder's channels (in order of preference) a step goes out: the one it names, else the first of each of `step.kinds`
    media that reach a person; empty where there is none."""
    if step.channel != "":
        return tuple(way for way in channels if way.channel == step.channel)[:1]
    first: dict[Medium, Way] = {}
    for way in channels:
        if medium(way.kind) in REACHES_A_PERSON:
            first.setdefault(medium(way.kind), way)
    return tuple(first.values())[: step.kinds]


def instead(plan: Plan, n: int) -> tuple[Step, ...]:
    """Whom to tell in place of step `n` that reaches nobody: the last step, which is a manned room, by every kind of channel; then, should that
    reach nobody either, the others from the end. The first of them that reaches somebody is told."""
    others = sorted((step for step in plan.steps if step.n != n), key=lambda step: -step.n)
    return tuple(replace(step, channel="", kinds=MOST_KINDS) for step in others)


def told(
    step: Step,
    rotas: Mapping[str, Rota],
    calendar: Calendar,
    channels: Mapping[str, Sequence[Way]],
    at: Micros,
) -> tuple[tuple[str, str], ...]:
    """(responder, channel) that a step which is due at `at` goes to, in order; empty where it reaches nobody.

    `channels` are the live ones of every responder, in order of preference; who is not in it has none.
    """
    people: tuple[str, ...] = (step.responder,)
    if step.rota:
        people = on_duty(rotas[step.rota], at, calendar) if step.rota in rotas else ()
    return tuple((name, way.channel) for name in people for way in ways(channels.get(name, ()), step))
