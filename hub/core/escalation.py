"""Who is told, when: policies, their choice, the steps of a round. Pure: times are given, nothing is stored or sent.

- A policy covers an alarm by place (institution, group, division, or everywhere), type of institution, signal class and priority. The most
  specific one wins, in this order: an institution's own; a group's; the longest division's; everywhere. Then one that names types of
  institution, fewer before more; then fewer signal classes; then fewer priorities; then the smallest id. So the order is total.
- A step tells a responder or whoever is on duty by a rota when it is due; by one channel that it names, or by `kinds` kinds of channel at once
  in the responder's own order of preference.
- A round is the policy's steps with their repetitions, at offsets from the round's start. When the last of them is done the next round is
  written: it starts `round_every` after the start of the one before, or now if that has passed (a hub that was down sends what is due
  once and does not make up for whole rounds), until someone acknowledges or `max_rounds` are through. A vital alarm's rounds never end: then the
  manned room of the last step is told until somebody acts.
- Which alarms are paged at all says `hub.core.alarms.is_paged`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID, uuid5

from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SECOND, Micros, Priority, SignalClass

_NAMESPACE = UUID("5d1c3c0e-8f55-5b7e-9a3e-616e78696e00")
_SHORTEST_ROUND: Micros = SECOND
_LONGEST: Micros = 30 * 86_400 * SECOND
_LAST_RESORT_EVERY: Micros = 300 * SECOND
_MOST_STEPS = 100
_MOST_REPETITIONS = 1000
MOST_KINDS = 5


@dataclass(frozen=True, slots=True)
class Step:
    """Tell `responder`, or who is on duty in `rota`, `delay` after the round's start, and `repeat_times` more times every `repeat_every`.

    Exactly one of responder and rota is set. Without `channel` it goes out by `kinds` kinds of channel at once.
    """

    n: int
    responder: str = ""
    channel: str = ""
    delay: Micros = 0
    repeat_every: Micros = 0
    repeat_times: int = 0
    rota: str = ""
    kinds: int = 1

    @property
    def last_offset(self) -> Micros:
        """When its last repetition is due, from the round's start."""
        return self.delay + self.repeat_every * self.repeat_times


@dataclass(frozen=True, slots=True)
class Plan:
    """What an escalation freezes of its policy when a run of rounds starts. `max_rounds` None: until acknowledged."""

    round_every: Micros
    max_rounds: int | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is told about which alarms, where. At most one of `division`, `group` and `institution` is set; none means everywhere.

    Without `institution_types` it is for all types.
    """

    id: str
    signal_classes: frozenset[SignalClass]
    priorities: frozenset[Priority]
    round_every: Micros
    steps: tuple[Step, ...]
    max_rounds: int | None = None
    division: str | None = None
    institution: str | None = None
    title_zh: str = ""
    title_en: str = ""
    version: int = 1
    group: str | None = None
    institution_types: frozenset[str] = frozenset()
    remind_after: Micros | None = None
    """after an acknowledgement, until its owner is asked whether they are still on it; None: as `hub.core.ownership` has it"""
    lapse_after: Micros | None = None
    """and until the acknowledgement lapses when nothing follows; at most a day"""

    @property
    def plan(self) -> Plan:
        """The part that runs."""
        return Plan(self.round_every, self.max_rounds, self.steps)


CANARY = Plan(round_every=86_400 * SECOND, max_rounds=None, steps=(Step(1, "canary", "sink"),))
"""the plan of every canary, whatever policies say: its sink; the auditor answers it long before another round"""


class Due(NamedTuple):
    """One row of a round: repetition 0 is the step itself; `offset` counts from the round's start.

    As planned it may name a rota, or a responder without a channel; what is sent names responder and channel.
    """

    round: int
    step: int
    repetition: int
    responder: str
    channel: str
    offset: Micros
    rota: str = ""
    kinds: int = 1


def check_policy(policy: Policy) -> None:
    """Raises BadInput that names policy and key where the policy contradicts itself."""

    def refuse(key: str, reason: str) -> BadInput:
        return BadInput(reason, f"policy {policy.id}: {key}", code="policy")

    if sum(place is not None for place in (policy.division, policy.group, policy.institution)) > 1:
        raise refuse("division", "a policy is for a division, for a group or for an institution, not for both")
    if policy.institution is not None and policy.institution_types:
        raise refuse("institution_types", "an institution has its type: name none")
    if not policy.signal_classes:
        raise refuse("signal_classes", "name at least one signal class")
    if not policy.priorities or Priority.JOURNAL in policy.priorities:
        raise refuse("priorities", "name at least one priority; journal is recorded and never paged")
    if not 0 < len(policy.steps) <= _MOST_STEPS:
        raise refuse("steps", f"a policy has 1 to {_MOST_STEPS} steps")
    if [step.n for step in policy.steps] != list(range(1, len(policy.steps) + 1)):
        raise refuse("steps", "steps are numbered 1, 2, 3 … in order")
    if policy.lapse_after is not None and not SECOND <= policy.lapse_after <= 86_400 * SECOND:
        raise refuse("lapse_after", "at least 1s, at most 24h")
    if policy.remind_after is not None:
        if policy.remind_after < SECOND:
            raise refuse("remind_after", "at least 1s")
        if policy.lapse_after is None:
            raise refuse("remind_after", "say when the acknowledgement lapses, too (lapse_after)")
        if policy.remind_after >= policy.lapse_after:
            raise refuse("remind_after", "shorter than lapse_after: who is not asked cannot answer")
    for step in policy.steps:
        _check_step(step, f"policy {policy.id}: steps.{step.n}")
    if policy.max_rounds is not None and policy.max_rounds < 1:
        raise refuse("max_rounds", "at least one round, or none given: until acknowledged")
    last = max(step.last_offset for step in policy.steps)
    if not max(_SHORTEST_ROUND, last) <= policy.round_every <= _LONGEST:
        raise refuse("round_every", "at least 1s, not shorter than the last step's last repetition, at most 30d")


def _check_step(step: Step, where: str) -> None:
    if (step.responder == "") == (step.rota == ""):
        raise BadInput("name a responder or a rota, one of them", where, code="policy")
    if step.channel != "" and (step.rota != "" or step.kinds != 1):
        raise BadInput(
            "channel: names one way of one responder; leave it out for a rota or for several kinds", where, "policy"
        )
    if not 1 <= step.kinds <= MOST_KINDS:
        raise BadInput(f"kinds: from 1 to {MOST_KINDS}", where, code="policy")
    if not 0 <= step.delay <= _LONGEST:
        raise BadInput("delay: from 0 to 30d", where, code="policy")
    if not 0 <= step.repeat_times <= _MOST_REPETITIONS:
        raise BadInput(f"repeat_times: from 0 to {_MOST_REPETITIONS}", where, code="policy")
    if step.repeat_times > 0 and not SECOND <= step.repeat_every <= _LONGEST:
        raise BadInput("repeat_every: from 1s to 30d where a step is repeated", where, code="policy")


def _rank(policy: Policy) -> tuple[object, ...]:
    """Smallest first. The same order stands in SQL as the function `policy_for`; a test holds them together."""
    return (
        policy.institution is None,
        policy.group is None,
        -len(policy.division or ""),
        not policy.institution_types,
        len(policy.institution_types),
        len(policy.signal_classes),
        len(policy.priorities),
        policy.id,
    )


def is_for(policy: Policy, institution: str, division: str, institution_type: str, groups: Collection[str]) -> bool:
    """Whether the institution lies where the policy is for."""
    if policy.institution_types and institution_type not in policy.institution_types:
        return False
    if policy.institution is not None:
        return policy.institution == institution
    if policy.group is not None:
        return policy.group in groups
    return policy.division is None or division.startswith(policy.division)


def covers(
    policies: Iterable[Policy],
    institution: str,
    division: str,
    signal_class: SignalClass,
    priority: Priority,
    institution_type: str = "",
    groups: Collection[str] = (),
) -> Policy | None:
    """The policy that is used for such an alarm of `institution` (in `division` and `groups`), None where nobody would be told."""
    if priority is Priority.JOURNAL:
        return None
    fitting = (
        policy
        for policy in policies
        if policy.steps
        and signal_class in policy.signal_classes
        and priority in policy.priorities
        and is_for(policy, institution, division, institution_type, groups)
    )
    return min(fitting, key=_rank, default=None)


class Uncovered(NamedTuple):
    """A device whose fire or panic alarm would reach nobody."""

    device: str
    signal_class: SignalClass


def uncovered(
    policies: Iterable[Policy],
    institution: str,
    division: str,
    alarms: Iterable[tuple[str, SignalClass, Priority]],
    institution_type: str = "",
    groups: Collection[str] = (),
) -> tuple[Uncovered, ...]:
    """Of the (device, class, priority) that an institution's profiles can raise: the fire and panic ones that no policy covers."""
    policies = tuple(policies)
    missing = {
        Uncovered(device, signal_class)
        for device, signal_class, priority in alarms
        if signal_class in LIFE_SAFETY
        and covers(policies, institution, division, signal_class, priority, institution_type, groups) is None
    }
    return tuple(sorted(missing))


def urgency(signal_class: SignalClass) -> int:
    """Order in every queue, smallest first: fire and panic are 0, everything else 1."""
    return 0 if signal_class in LIFE_SAFETY else 1


def round_of(plan: Plan, number: int) -> tuple[Due, ...]:
    """All rows of round `number`, in the order in which they are due."""
    rows = [
        Due(
            number,
            step.n,
            repetition,
            step.responder,
            step.channel,
            step.delay + repetition * step.repeat_every,
            step.rota,
            step.kinds,
        )
        for step in plan.steps
        for repetition in range(step.repeat_times + 1)
    ]
    return tuple(sorted(rows, key=lambda row: (row.offset, row.step, row.repetition)))


def next_round(
    plan: Plan, first_round: int, current: int, started_at: Micros, now: Micros
) -> tuple[int, Micros] | None:
    """Number and start of the round after `current` (which started at `started_at`), None when all rounds are through.

    `first_round` is the number with which this run of the escalation began: `max_rounds` counts from there.
    """
    if plan.max_rounds is not None and current - first_round + 1 >= plan.max_rounds:
        return None
    return current + 1, max(started_at + plan.round_every, now)


def last_resort(plan: Plan) -> Plan:
    """What goes on when all rounds of a critical alarm are through: the last step, the manned room, again and again until somebody acts."""
    room = max(plan.steps, key=lambda step: step.n)
    alone = replace(room, delay=0, repeat_every=0, repeat_times=0)
    return Plan(min(plan.round_every, _LAST_RESORT_EVERY), None, (alone,))


def is_vital(signal_class: SignalClass, priority: Priority) -> bool:
    """Whether its escalation never ends but by a person: critical ones, and fire and panic whatever their priority."""
    return priority is Priority.CRITICAL or signal_class in LIFE_SAFETY


def idempotency_key(alarm: UUID, row: Due) -> UUID:
    """The notification's id, the same for every path and every retry: a UUIDv5 of what makes it unique."""
    name = f"{alarm}/{row.round}/{row.step}/{row.repetition}/{row.responder}/{row.channel}"
    return uuid5(_NAMESPACE, name)


def retry_after(attempt: int, chance: float, urgent: bool, asked: Micros | None = None) -> Micros:
    """How long to wait after failed attempt number `attempt` (from 1): exponential from 1 s, capped at 30 s for fire and panic
    and at 10 min otherwise, full jitter by `chance` (0 to 1), never under 100 ms. Not before what the receiver `asked` for, but for the same caps:
    nobody may ask a fire to wait for long.
    """
    longest = 30 * SECOND if urgent else 600 * SECOND
    ceiling = min(longest, SECOND << min(attempt - 1, 20))
    return max(SECOND // 10, int(ceiling * chance), min(longest, asked or 0))
