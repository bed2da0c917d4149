"""What several devices of one edge hang on, a declared switch or power feed: all of them fell silent together while others go on. Pure.

All times are of the edge before them. The silences themselves are compared as those of a line (hub.core.blindness_lines); what is a part's fault must
besides be no line's, must not be contradicted by anything that hangs on the part and is heard, and somebody beside it must have been heard since: what
takes everything behind an edge may be the edge's own doing. One device alone says nothing of its switch.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from hub.core.blindness import SLACK, Cause, Evidence, Weighed
from hub.core.blindness_lines import OnLine, weigh_line
from hub.core.coverage.ways import Hangs, wired
from hub.model import Micros

CAUSE = {"switch": Cause.SWITCH, "power": Cause.POWER_FEED}
FEWEST_HANGING = 2


class Hanging(NamedTuple):
    """A device behind the edge. `on`: what it hangs on, from itself outward, as `switch:<name>` and `power:<name>`."""

    device: OnLine
    endpoint: str
    on: tuple[str, ...]


class FailedPart(NamedTuple):
    """A part, the devices that fell silent with it, and why it is blamed."""

    part: str
    devices: frozenset[str]
    weighed: Weighed


def live_parts(edge: Hangs, hangs: Mapping[str, Hangs], batteries: Collection[str]) -> frozenset[str]:
    """What must work since the edge is heard: all that it hangs on, but not what feeds a UPS (one of `batteries`) on its way."""
    found, behind_battery = set(), False
    for part in wired(edge, hangs):
        kind, _, name = part.partition(":")
        if kind == "switch":
            behind_battery = False
        if not behind_battery:
            found.add(part)
        behind_battery |= kind == "power" and name in batteries
    return frozenset(found)


def weigh_parts(devices: Sequence[Hanging], alive: Collection[str], now: Micros) -> list[FailedPart]:
    """The parts that failed, the one that explains most first; no device is named twice. `devices`: all behind the edge; `now` by its clock.

    `alive`: parts that are known to work, or of which nothing can be said. Of two parts that explain the same silences the one nearer to the devices is
    named, and the other beside it.
    """
    found = [one for part in sorted(_parts(devices)) if part not in alive and (one := _weigh(part, devices, now))]
    depth = {part: max(one.on.index(part) for one in devices if part in one.on) for part in _parts(devices)}
    taken: list[FailedPart] = []
    for one in sorted(found, key=lambda one: (-len(one.devices), depth[one.part], one.part)):
        named = {name for other in taken for name in other.devices}
        same = next((n for n, other in enumerate(taken) if other.devices == one.devices), None)
        if same is not None:
            taken[same] = _or(taken[same], one.part)
        elif len(one.devices - named) == len(one.devices):
            taken.append(one)
    return taken


def _parts(devices: Sequence[Hanging]) -> frozenset[str]:
    return frozenset(part for one in devices for part in one.on)


def _weigh(part: str, devices: Sequence[Hanging], now: Micros) -> FailedPart | None:
    kind, _, name = part.partition(":")
    mine = [one for one in devices if part in one.on or one.device.id == name]
    found = weigh_line(part, [one.device for one in mine], now)
    if found is None:
        return None
    names = found[0]
    silent = [one for one in mine if one.device.id in names]
    if len(names - {name}) < FEWEST_HANGING or len({one.endpoint for one in silent}) < 2:
        return None
    broken_by = min(one.device.heard + one.device.beat for one in silent) + SLACK
    witness = max((one.device for one in devices if one not in mine), key=lambda one: one.heard, default=None)
    if witness is None or witness.heard <= broken_by:
        return None
    since = min(one.device.heard for one in silent)
    facts = {"part": part, "silent": len(names), "of": len(mine), "since": since}
    evidence = (Evidence("part_silent", facts), Evidence("other_heard", {"device": witness.id}))
    return FailedPart(part, names, Weighed(CAUSE[kind], evidence))


def _or(one: FailedPart, part: str) -> FailedPart:
    """The same silences fit another part too."""
    first, *rest = one.weighed.evidence
    facts = {**first.facts, "or": [*first.facts.get("or", ()), part]}
    return one._replace(weighed=one.weighed._replace(evidence=(first._replace(facts=facts), *rest)))


def parts_of(device: str) -> tuple[str, ...]:
    """What a device is called as a part that others hang on."""
    return tuple(f"{kind}:{device}" for kind in CAUSE)


def parts_heard(devices: Sequence[Hanging], now: Micros) -> Iterator[str]:
    """The parts that a device was heard through lately, by the clock of the edge before it."""
    for one in devices:
        if not one.device.silent and now - one.device.heard < one.device.beat + SLACK:
            yield from one.on
