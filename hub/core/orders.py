"""Orders 整改: what becomes of one, as a total table, and what the hub does about one by itself. Pure.

The hub drafts an order from a violation that has stood for a while; only a person issues it. The institution's answer is kept and decides nothing:
an order is closed by the facts, once the rule was proven to hold for `Terms.holds` since the last violation. Time in which nobody could know
counts for nothing and starts nothing anew. It is reopened where the violation comes back soon, and rises to the division above at its deadline,
and again each `Terms.climb`, unless the facts hold right then: silence is no remedy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import NamedTuple

from hub.core.coverage.rules import Verdict
from hub.core.rights import Scope
from hub.errors import Conflict
from hub.model import SECOND, Micros

DAY: Micros = 86_400 * SECOND


class State(StrEnum):
    """Where an order stands."""

    DRAFT = "draft"
    ISSUED = "issued"
    ANSWERED = "answered"
    REOPENED = "reopened"
    RAISED = "raised"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


class Event(StrEnum):
    """What happens to one: the first three are a person's, the rest the hub's."""

    ISSUE = "issue"
    ANSWER = "answer"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"
    """a draft whose violation ended, or any whose rule was waived"""
    CLOSE = "close"
    """the facts held for long enough"""
    REOPEN = "reopen"
    """the violation is back"""
    RAISE = "raise"
    """the deadline has passed"""


OPEN = frozenset({State.ISSUED, State.ANSWERED, State.REOPENED, State.RAISED})
"""what an institution has to act upon"""
_S, _E = State, Event
_MOVES = {
    (_S.DRAFT, _E.ISSUE): _S.ISSUED,
    (_S.DRAFT, _E.WITHDRAW): _S.WITHDRAWN,
    (_S.DRAFT, _E.LAPSE): _S.WITHDRAWN,
    (_S.CLOSED, _E.REOPEN): _S.REOPENED,
    **{(state, _E.ANSWER): _S.RAISED if state is _S.RAISED else _S.ANSWERED for state in OPEN},
    **{(state, _E.WITHDRAW): _S.WITHDRAWN for state in OPEN},
    **{(state, _E.LAPSE): _S.WITHDRAWN for state in OPEN},
    **{(state, _E.CLOSE): _S.CLOSED for state in OPEN},
    **{(state, _E.RAISE): _S.RAISED for state in OPEN},
}
TABLE: Mapping[tuple[State, Event], State | None] = {pair: _MOVES.get(pair) for pair in product(State, Event)}
"""Total: None is a refusal."""


class Terms(NamedTuple):
    """How long things take."""

    stands: Micros = DAY
    """a violation is drafted from, and reopens, once it has stood so long"""
    holds: Micros = 7 * DAY
    """so long the rule must be proven to hold before an order is closed"""
    relapse: Micros = 30 * DAY
    """a violation that begins so soon after an order was closed or withdrawn belongs to it"""
    climb: Micros = 7 * DAY
    """after the deadline it rises by one more division so often"""


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `owner` is the division it was issued for, `raised_to` the highest one that was told; both empty before."""

    state: State
    days_to_remedy: int
    drafted_at: Micros
    issued_at: Micros | None = None
    owner: str = ""
    due_at: Micros | None = None
    climbs_at: Micros | None = None
    """when it rises next; None before it is issued and where nobody is above"""
    raised_to: str = ""
    answered_at: Micros | None = None
    ended_at: Micros | None = None
    """closed or withdrawn"""
    watched_from: Micros | None = None
    """from when on the facts count: when it was issued, or reopened"""


class Period(NamedTuple):
    """One verdict of the rule from `since` until before `until`; None: it still holds."""

    verdict: Verdict
    since: Micros
    until: Micros | None


class Facts(NamedTuple):
    """What the hub knows of the rule at the institution: the periods since the order is watched, the oldest first, and when it was last judged."""

    periods: tuple[Period, ...]
    checked_at: Micros


def step(order: Order, event: Event, at: Micros, *, owner: str = "", above: str | None = None) -> Order:
    """The order after `event`; raises Conflict where the table refuses it. Issuing names the `owner`; raising the division `above`, if any."""
    state = TABLE[order.state, event]
    if state is None:
        raise Conflict(f"an order that is {order.state.value} takes no {event.value}")
    match event:
        case Event.ISSUE | Event.REOPEN:
            due = at + order.days_to_remedy * DAY
            owner = owner or order.owner
            changed = replace(order, issued_at=at if event is Event.ISSUE else order.issued_at, owner=owner, due_at=due)
            return replace(changed, state=state, climbs_at=due, raised_to="", ended_at=None, watched_from=at)
        case Event.ANSWER:
            return replace(order, state=state, answered_at=at)
        case Event.RAISE:
            return replace(order, state=state, raised_to=above or order.raised_to or order.owner)
        case _:
            return replace(order, state=state, climbs_at=None, ended_at=at)


def held(facts: Facts, since: Micros, at: Micros) -> Micros:
    """For how long the rule was proven to hold since its last violation, within `since` and `at`: only what was judged counts."""
    end = min(at, facts.checked_at)
    total = 0
    for period in facts.periods:
        until = end if period.until is None else min(period.until, end)
        if period.verdict is Verdict.NON_COMPLIANT and until >= since:
            total = 0
        elif period.verdict is Verdict.COMPLIANT:
            total += max(0, until - max(period.since, since))
    return total


def standing(facts: Facts, at: Micros) -> Period | None:
    """The violation that stands now; None where there is none."""
    last = facts.periods[-1] if facts.periods else None
    open_now = last is not None and last.until is None and last.since <= at
    return last if open_now and last is not None and last.verdict is Verdict.NON_COMPLIANT else None


def decide(order: Order, facts: Facts, at: Micros, terms: Terms) -> Event | None:
    """What the hub does about the order at `at`, by itself: one event, or nothing. Asked again until there is nothing."""
    last = facts.periods[-1] if facts.periods else None
    now = last.verdict if last is not None and last.until is None else None
    if order.state is State.DRAFT:
        over = last is not None and now not in (Verdict.NON_COMPLIANT, Verdict.UNKNOWN)
        return Event.LAPSE if over else None
    if order.state in OPEN:
        return _decide_open(order, facts, now, at, terms)
    if order.state is State.CLOSED and order.ended_at is not None:
        violation = standing(facts, at)
        if violation is not None and violation.since <= order.ended_at + terms.relapse:
            stood = min(at, facts.checked_at) - violation.since
            return Event.REOPEN if stood >= terms.stands else None
    return None


def _decide_open(order: Order, facts: Facts, now: Verdict | None, at: Micros, terms: Terms) -> Event | None:
    if now is Verdict.WAIVED:
        return Event.LAPSE
    since = order.drafted_at if order.watched_from is None else order.watched_from
    if now is Verdict.COMPLIANT and held(facts, since, at) >= terms.holds:
        return Event.CLOSE
    if order.climbs_at is not None and at >= order.climbs_at and now is not Verdict.COMPLIANT:
        return Event.RAISE
    return None


def due_at(order: Order, facts: Facts, terms: Terms) -> Micros | None:
    """When time alone makes `decide` find something to do about an order that it leaves as it is now, while the facts stand and are judged without a
    gap. None: never, or it waits for a fact or a person.
    """
    last = facts.periods[-1] if facts.periods else None
    now = last if last is not None and last.until is None else None
    if order.state is State.CLOSED and order.ended_at is not None:
        back = now is not None and now.verdict is Verdict.NON_COMPLIANT and now.since <= order.ended_at + terms.relapse
        return now.since + terms.stands if now is not None and back else None
    if order.state not in OPEN:
        return None
    if now is None or now.verdict is not Verdict.COMPLIANT:
        return order.climbs_at
    since = order.drafted_at if order.watched_from is None else order.watched_from
    begins = max(since, now.since)
    return begins + terms.holds - held(Facts(facts.periods[:-1], begins), since, begins)


def climbed(order: Order, parents: Mapping[str, str | None], at: Micros, terms: Terms) -> Order:
    """The order raised by one division, and when it rises again: never again from the top."""
    above = parents.get(order.raised_to or order.owner)
    raised = step(order, Event.RAISE, at, above=above)
    further = parents.get(raised.raised_to)
    return replace(raised, climbs_at=None if further is None else at + terms.climb)


def reached(order: Order, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    """The divisions that a raised order was raised to, from the lowest; without any above, its owner's own."""
    if order.state is not State.RAISED or not order.raised_to:
        return ()
    if order.raised_to == order.owner:
        return (order.owner,)
    found: list[str] = []
    division = parents.get(order.owner)
    while division is not None and division not in found:
        found.append(division)
        if division == order.raised_to:
            break
        division = parents.get(division)
    return tuple(found)


def owner_of(scope: Scope, division: str, parents: Mapping[str, str | None]) -> str:
    """For which division a person issues an order at an institution in `division`: the nearest one that lies in their scope; else the institution's
    own (a scope over everything, a group).
    """
    for prefix in sorted(scope.divisions, key=len, reverse=True):
        if division.startswith(prefix) and prefix in parents:
            return prefix
    return division


def may_withdraw(order: Order, scope: Scope) -> bool:
    """What was raised is withdrawn only by somebody whose scope covers the division that it was raised to."""
    return order.state is not State.RAISED or scope.oversees(order.raised_to)


def draft_at(violation: Period, last: Order | None, terms: Terms) -> Micros | None:
    """From when on an order may be drafted from a violation that stands: it has stood for long enough, and the `last` order of the same rule does not
    answer for it. What comes back soon after a close reopens that order; what a person withdrew is drafted again when the violation is another one, or
    stands still after `Terms.relapse`. None: not from this one.
    """
    stood = violation.since + terms.stands
    if last is None:
        return stood
    if last.ended_at is None:
        return None
    if last.state is State.CLOSED:
        return stood if violation.since > last.ended_at + terms.relapse else None
    return stood if violation.since > last.ended_at else max(stood, last.ended_at + terms.relapse)


def may_draft(violation: Period, last: Order | None, at: Micros, checked_at: Micros, terms: Terms) -> bool:
    """Whether an order is drafted from a violation at `at`: when `draft_at` has come, and somebody looked for as long as it must have stood."""
    due = draft_at(violation, last, terms)
    return due is not None and at >= due and checked_at - violation.since >= terms.stands
