"""Who is told, when: policies, their choice, the steps of a round. Pure: times are given, nothing is stored or sent.

- A policy covers an alarm by place (institution, division, or everywhere), signal class and priority. The most specific place wins:
  institution, then the longest division prefix, then global; between equals the smallest id.
- A round is the policy's steps with their repetitions, at offsets from the round's start. When the last of them is done the next round is
  written: it starts `round_every` after the start of the one before, or now if that has passed (a hub that was down sends what is due
  once and does not make up for whole rounds), until someone acknowledges or `max_rounds` are through.
- Journal alarms are never paged. A fire or panic that cleared by itself is paged until a person answers; another alarm is not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID, uuid5

from hub.errors import BadInput
from hub.model import LIFE_SAFETY, SECOND, Micros, Priority, SignalClass

_NAMESPACE = UUID("5d1c3c0e-8f55-5b7e-9a3e-616e78696e00")
_SHORTEST_ROUND: Micros = SECOND
_LONGEST: Micros = 30 * 86_400 * SECOND
_MOST_STEPS = 100
_MOST_REPETITIONS = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """Tell `responder` by `channel`, `delay` after the round's start, and `repeat_times` more times every `repeat_every`."""

    n: int
    responder: str
    channel: str
    delay: Micros = 0
    repeat_every: Micros = 0
    repeat_times: int = 0

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
    """Who is told about which alarms, where. At most one of `division` and `institution` is set; none means everywhere."""

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

    @property
    def plan(self) -> Plan:
        """The part that runs."""
        return Plan(self.round_every, self.max_rounds, self.steps)


CANARY = Plan(round_every=86_400 * SECOND, max_rounds=1, steps=(Step(1, "canary", "sink"),))
"""the plan of every canary, whatever policies say: its sink, once"""


class Due(NamedTuple):
    """One row of a round: repetition 0 is the step itself; `offset` counts from the round's start."""

    round: int
    step: int
    repetition: int
    responder: str
    channel: str
    offset: Micros


def check_policy(policy: Policy) -> None:
    """Raises BadInput that names policy and key where the policy contradicts itself."""

    def refuse(key: str, reason: str) -> BadInput:
        return BadInput(reason, f"policy {policy.id}: {key}", code="policy")

    if policy.division is not None and policy.institution is not None:
        raise refuse("division", "a policy is for a division or for an institution, not for both")
    if not policy.signal_classes:
        raise refuse("signal_classes", "name at least one signal class")
    if not policy.priorities or Priority.JOURNAL in policy.priorities:
        raise refuse("priorities", "name at least one priority; journal is recorded and never paged")
    if not 0 < len(policy.steps) <= _MOST_STEPS:
        raise refuse("steps", f"a policy has 1 to {_MOST_STEPS} steps")
    if [step.n for step in policy.steps] != list(range(1, len(policy.steps) + 1)):
        raise refuse("steps", "steps are numbered 1, 2, 3 … in order")
    for step in policy.steps:
        _check_step(step, f"policy {policy.id}: steps.{step.n}")
    if policy.max_rounds is not None and policy.max_rounds < 1:
        raise refuse("max_rounds", "at least one round, or none given: until acknowledged")
    last = max(step.last_offset for step in policy.steps)
    if not max(_SHORTEST_ROUND, last) <= policy.round_every <= _LONGEST:
        raise refuse("round_every", "at least 1s, not shorter than the last step's last repetition, at most 30d")


def _check_step(step: Step, where: str) -> None:
    if not 0 <= step.delay <= _LONGEST:
        raise BadInput("delay: from 0 to 30d", where, code="policy")
    if not 0 <= step.repeat_times <= _MOST_REPETITIONS:
        raise BadInput(f"repeat_times: from 0 to {_MOST_REPETITIONS}", where, code="policy")
    if step.repeat_times > 0 and not SECOND <= step.repeat_every <= _LONGEST:
        raise BadInput("repeat_every: from 1s to 30d where a step is repeated", where, code="policy")


def _specificity(policy: Policy) -> tuple[int, int]:
    if policy.institution is not None:
        return (2, 0)
    return (0, 0) if policy.division is None else (1, len(policy.division))


def _is_for(policy: Policy, institution: str, division: str) -> bool:
    if policy.institution is not None:
        return policy.institution == institution
    return policy.division is None or division.startswith(policy.division)


def covers(
    policies: Iterable[Policy], institution: str, division: str, signal_class: SignalClass, priority: Priority
) -> Policy | None:
    """The policy that is used for such an alarm of `institution` (in `division`), None where nobody would be told."""
    if priority is Priority.JOURNAL:
        return None
    fitting = [
        policy
        for policy in policies
        if policy.steps
        and signal_class in policy.signal_classes
        and priority in policy.priorities
        and _is_for(policy, institution, division)
    ]
    fitting.sort(key=lambda policy: policy.id)
    return max(fitting, key=_specificity, default=None)


class Uncovered(NamedTuple):
    """A device whose fire or panic alarm would reach nobody."""

    device: str
    signal_class: SignalClass


def uncovered(
    policies: Iterable[Policy],
    institution: str,
    division: str,
    alarms: Iterable[tuple[str, SignalClass, Priority]],
) -> tuple[Uncovered, ...]:
    """Of the (device, class, priority) that an institution's profiles can raise: the fire and panic ones that no policy covers."""
    policies = tuple(policies)
    missing = {
        Uncovered(device, signal_class)
        for device, signal_class, priority in alarms
        if signal_class in LIFE_SAFETY and covers(policies, institution, division, signal_class, priority) is None
    }
    return tuple(sorted(missing))


def is_paged(state: str, signal_class: SignalClass, priority: Priority) -> bool:
    """Whether an alarm in this state (VOCABULARY.md, state machine names) is still to be paged."""
    if priority is Priority.JOURNAL:
        return False
    return state in ("unack_active", "latched_unack") or (state == "unack_cleared" and signal_class in LIFE_SAFETY)


def urgency(signal_class: SignalClass) -> int:
    """Order in every queue, smallest first: fire and panic are 0, everything else 1."""
    return 0 if signal_class in LIFE_SAFETY else 1


def round_of(plan: Plan, number: int) -> tuple[Due, ...]:
    """All rows of round `number`, in the order in which they are due."""
    rows = [
        Due(number, step.n, repetition, step.responder, step.channel, step.delay + repetition * step.repeat_every)
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


def idempotency_key(alarm: UUID, row: Due) -> UUID:
    """The notification's id, the same for every path and every retry: a UUIDv5 of what makes it unique."""
    name = f"{alarm}/{row.round}/{row.step}/{row.repetition}/{row.responder}/{row.channel}"
    return uuid5(_NAMESPACE, name)


def retry_after(attempt: int, chance: float, urgent: bool) -> Micros:
    """How long to wait after failed attempt number `attempt` (from 1): exponential from 1 s, capped at 30 s for fire and panic
    and at 10 min otherwise, full jitter by `chance` (0 to 1), never under 100 ms."""
    longest = 30 * SECOND if urgent else 600 * SECOND
    ceiling = min(longest, SECOND << min(attempt - 1, 20))
    return max(SECOND // 10, int(ceiling * chance))
