"""Escalations in the database: begun, stopped and driven inside transactions that others may own.

`begin` and `stop` run on the cursor of the transaction that changes the alarm, after it has changed and thereby locked the
alarm's row. Everybody locks in the same order: alarm, escalation, step, notification. So an acknowledge and a step that race come one after
the other: either the step finds the alarm acknowledged, or the acknowledge finds the step's notification and cancels it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from psycopg import AsyncCursor
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from hub.core import escalation as core
from hub.core.escalation import Due, Plan, Step
from hub.core.exercises import plan_of_proof
from hub.errors import Conflict
from hub.model import SECOND, Exercise, Micros, Priority, SignalClass, to_datetime, to_micros
from hub.store import paging
from hub.store.intervals import to_interval, to_span
from hub.store.paging import Fault, Subject, page
from hub.store.queries import queries
from hub.store.steady import READ, Moment, moment, moment_of
from hub.store.together import Answer, Asked, together

_log = structlog.get_logger(__name__)
_SQL = queries("escalation")
_CANCELS = ("cancel_steps", "cancel_notifications")
_ORDINARY = 8
"""of other alarms than fire and panic at most so many are taken at once"""

Cursor = AsyncCursor[TupleRow]
_Said = tuple[int, UUID, dict[str, Any]]
"""institution's key, alarm, what the change feed is told"""


class Timer(NamedTuple):
    """One row of a round with its due time, as written."""

    alarm: UUID
    urgency: int
    row: Due
    due_at: datetime


class Fired(NamedTuple):
    """What one firing did: pages written, and how the escalation goes on (`running`, `last_resort` once when its rounds are through,
    `exhausted`, `stopped`, `gone`)."""

    alarm: UUID
    pages: int
    unreachable: tuple[tuple[str, str], ...]
    """(responder or rota, channel) that could not be told"""
    state: str
    folded: int = 0
    """lines that wait in a digest"""
    faults: tuple[Fault, ...] = ()
    """steps that reached nobody as planned"""


class Unattended(NamedTuple):
    """A real critical, fire or panic alarm that nobody owns and nothing drives on."""

    alarm: UUID
    institution: int
    signal_class: SignalClass
    priority: Priority
    reason: str
    due_at: datetime | None
    """of a step that is overdue"""


class _Running(NamedTuple):
    """A running escalation as locked; `plan` as stored, `started_at` of its present round."""

    alarm: UUID
    institution: int
    urgency: int
    plan: dict[str, Any]
    first_round: int
    round: int
    started_at: datetime
    policy: str | None
    version: int | None
    begun: bool
    """whether a step of the present round was done"""
    now: Micros = 0
    vital: bool = True


async def begin(cur: Cursor, alarm_ids: Sequence[UUID]) -> None:
    """Start escalating these alarms: choose each one's policy, as it stands now, and write round one.

    Called in the transaction that raised or re-raised them. An alarm that is not to be paged (journal, acknowledged) and one whose escalation
    is running are left alone; one that was stopped or exhausted starts again. What no policy covers is kept as `uncovered`, announced and logged.
    """
    if not alarm_ids:
        return
    await cur.execute(_SQL["choose"], {"alarms": list(alarm_ids)})
    chosen = await cur.fetchall()
    plans: dict[str | None, Plan] = {None: core.CANARY}
    plans.update(await _plans(cur, {policy for *_, policy, _ in chosen if policy is not None}))
    canaries = [(*row[:3], None, None) for row in chosen if row[1] < 0]  # whatever policies say
    fixed = await _fixed(cur, chosen, plans)
    covered = [row for row in chosen if row[3] is not None and row[1] > 0 and row[0] not in fixed] + canaries
    covered += [(*row[:3], None, None) for row in chosen if row[0] in fixed]
    given = _about(covered) | {
        "policy": [policy for *_, policy, _ in covered],
        "version": [version for *_, version in covered],
        "plan": [Jsonb(plan_to(fixed.get(row[0]) or plans[row[3]])) for row in covered],
    }
    by_alarm = {row[0]: row for row in (*chosen, *covered)}
    timers: list[Timer] = []
    said: list[_Said] = []
    read_at = 0
    for alarm, number, started_at, read in await _rows(cur, "start", given):
        read_at = to_micros(read)
        _, institution, signal_class, policy, _ = by_alarm[alarm]
        plan = fixed.get(alarm) or plans[policy]
        timers += _timers(alarm, core.urgency(SignalClass(signal_class)), plan, number, to_micros(started_at))
        said.append((institution, alarm, {"state": "running", "policy": policy, "round": number}))
    uncovered = [row for row in chosen if row[3] is None and row[1] > 0 and row[0] not in fixed]
    for (alarm,) in await _rows(cur, "uncovered", _about(uncovered)):
        _log.error("alarm_uncovered", alarm=str(alarm), reason="no policy covers it: nobody is told")
        said.append((by_alarm[alarm][1], alarm, {"state": "uncovered"}))
    await _add(cur, timers, read_at, steady=False)
    await _say(cur, *said)


async def _fixed(cur: Cursor, chosen: Sequence[TupleRow], plans: Mapping[str | None, Plan]) -> dict[UUID, Plan]:
    """The plans of those that go by one of their own. Alarms of proofs that are covered like a real one: into the sink, and to the policy's
    people where it says so. Alarms of the hub about itself that no policy can be trusted with: hub.core.policy_alarms.
    """
    policies = {row[0]: row[3] for row in chosen}
    await cur.execute(_SQL["fixed"], {"alarms": list(policies)})
    found = {}
    for alarm, tell, channels, plan in await cur.fetchall():
        if plan is not None:
            found[alarm] = plan_from(plan)
        elif policies[alarm] is not None:
            found[alarm] = plan_of_proof(plans[policies[alarm]] if tell == "responders" else None, channels)
    return found


def _about(chosen: Sequence[TupleRow]) -> dict[str, list[Any]]:
    return {
        "alarm": [row[0] for row in chosen],
        "institution": [row[1] for row in chosen],
        "urgency": [core.urgency(SignalClass(row[2])) for row in chosen],
    }


async def _rows(cur: Cursor, name: str, given: dict[str, list[Any]]) -> list[TupleRow]:
    if not given["alarm"]:
        return []
    await cur.execute(_SQL[name], given)
    return await cur.fetchall()


class Stop(NamedTuple):
    """An escalation that is over, and why; `actor` is empty where the machine says so."""

    alarm: UUID
    reason: str
    actor: str = ""


async def stop(cur: Cursor, alarm_id: UUID, reason: str, actor: str) -> int:
    """Cancel everything of this alarm that has not been sent; returns how many steps and notifications that were.

    Called in the transaction that acknowledges or ends the alarm, after its row was changed. Stopping twice changes nothing.
    """
    return await stop_all(cur, [Stop(alarm_id, reason, actor)])


async def stop_all(cur: Cursor, stops: Sequence[Stop]) -> int:
    """The same for any number of alarms, in as many statements as for one."""
    if not stops:
        return 0
    given = {name: [getattr(one, name) for one in stops] for name in Stop._fields}
    stopped = await _rows(cur, "stop", given)
    alarms = {"alarm": [alarm for alarm, _ in stopped]}
    cancelled: Counter[UUID] = Counter()
    for name in _CANCELS:
        cancelled.update(alarm for (alarm,) in await _rows(cur, name, alarms))
    await _rows(cur, "cancel_digests", alarms)
    by_alarm = {one.alarm: one for one in stops}
    said: list[_Said] = []
    for alarm, institution in stopped:
        why = by_alarm[alarm]
        about = {"state": "stopped", "reason": why.reason, "actor": why.actor, "cancelled": cancelled[alarm]}
        said.append((institution, alarm, about))
    await _say(cur, *said)
    return cancelled.total()


async def claim(cur: Cursor, limit: int, lease: Micros, now: Moment | None = None) -> list[UUID]:
    """Alarms with a step that is due at `now`, urgent first, leased for `lease`; commit before acting on them.

    Where fire and panic fill the answer nothing else is in it, and of the rest it holds few: so what is urgent never waits for a storm.
    """
    now = await moment(cur) if now is None else now
    found: list[UUID] = []
    for urgency in (0, 1):
        room = limit - len(found) if urgency == 0 else min(limit - len(found), _ORDINARY)
        if room <= 0:
            break
        given: dict[str, Any] = {"urgency": urgency, "limit": room, "lease": to_interval(lease)}
        given |= {"now": to_datetime(now.at), "stood": now.stood}
        await cur.execute(_SQL["claim"], given)
        rows = await cur.fetchall()
        found += dict.fromkeys(alarm for alarm, _ in sorted(rows, key=lambda row: row[1]))
    return found


async def postpone(cur: Cursor, alarm: UUID, lease: Micros) -> None:
    """Let what this session has claimed of the alarm come up again after `lease`."""
    await cur.execute(_SQL["postpone"], {"alarm": alarm, "lease": to_interval(lease)})


async def fire(cur: Cursor, alarm: UUID, now: Moment | None = None) -> Fired:
    """Do all that is due for this alarm at `now` (as it was claimed), in the caller's transaction: write its notifications, and after a round's last step the next round,
    by the policy that covers the alarm then.

    Safe to call at any time, by any number of callers: the locks put them in a row and only what is still due is done. Raises Conflict where
    the clock was found to have been set since `now`: what was due by it may not be due any more.
    """
    about = {"alarm": alarm}
    # the clock with the escalation locked: no step of it is taken in before this ends
    locks = Asked(_SQL["lock_alarm"], about), Asked(_SQL["lock_escalation"], about)
    locked, escalated, clock, chosen = await together(cur, *locks, READ, _covering(alarm))
    found, running = locked.row, escalated.row
    if found is None or running is None:
        return Fired(alarm, 0, (), "gone")
    is_paged, state, signal_class, priority, exercise = found
    if not is_paged:
        await stop(cur, alarm, f"the alarm is {state}", "")
        return Fired(alarm, 0, (), "stopped")
    present = moment_of(clock)
    if now is not None and now.moved != present.moved:
        raise Conflict("the clock was set meanwhile")
    # a proof or a canary ends by itself; a drill is climbed as if it were real
    vital = exercise in (None, Exercise.DRILL) and core.is_vital(SignalClass(signal_class), Priority(priority))
    run = _Running(alarm, *running)._replace(now=(now or present).at, vital=vital)
    if not run.begun and await _replan(cur, run, chosen, at_once=True):
        return Fired(alarm, 0, (), "running")
    subject = Subject(
        alarm,
        run.institution,
        run.urgency,
        Priority(priority),
        exercise is None,
        plan_from(run.plan),
        run.now,
        None if now is None else now.stood,
    )
    paged = await page(cur, subject)
    for fault in paged.faults:
        what = {"state": "fault", "round": fault.round, "step": fault.step, "target": fault.target}
        await _say(cur, (run.institution, alarm, what | {"reason": fault.reason, "instead": list(fault.instead)}))
    still_open, chosen = await together(cur, Asked(_SQL["open_steps"], about), _covering(alarm))
    state = "running"
    if still_open.rows[0][0] > 0:
        if paged.unreachable:
            await _replan(cur, run, chosen, at_once=True)
    elif not await _replan(cur, run, chosen, at_once=bool(paged.unreachable)):
        state = await _advance(cur, run)
    return Fired(alarm, paged.pages, paged.unreachable, state, paged.folded, paged.faults)


async def resume(
    cur: Cursor, alarm: UUID, policy: str, version: int, number: int, start: Micros, done: Collection[tuple[int, int]]
) -> bool:
    """Go on where somebody else, who could not ask the database, has come to: round `number`, begun at `start`, of which `done` (step,
    repetition) went out. False where it does not run by this policy, or is further already: it goes on as it stands then.
    """
    await cur.execute(_SQL["lock_escalation"], {"alarm": alarm})
    row = await cur.fetchone()
    if row is None:
        return False
    now = _Running(alarm, *row)
    if (now.policy, now.version) != (policy, version) or number < now.round:
        return False
    plan = plan_from(now.plan)
    begun_earlier = number > now.round or to_datetime(start) < now.started_at
    if begun_earlier:
        await cur.execute(_SQL["drop_due"], {"alarm": alarm})
        await cur.execute(_SQL["move_round"], {"alarm": alarm, "round": number, "started_at": to_datetime(start)})
        await _add(cur, _timers(alarm, now.urgency, plan, number, start), (await moment(cur)).at)
    for step, repetition in sorted(done):
        await paging.finish(cur, alarm, number, step, repetition)
    return True


async def sweep(cur: Cursor, limit: int = 500) -> tuple[list[UUID], list[UUID]]:
    """Take up what nothing drives: alarms without an escalation (returned first) are begun, running escalations without a
    step (returned second) are to be fired by the caller."""
    orphans, stuck = await undriven(cur, limit)
    await begin(cur, orphans)
    return orphans, stuck


async def undriven(cur: Cursor, limit: int = 500) -> tuple[list[UUID], list[UUID]]:
    """What `sweep` takes up, without taking it up."""
    await cur.execute(_SQL["orphans"], {"limit": limit})
    orphans = [row[0] for row in await cur.fetchall()]
    await cur.execute(_SQL["stuck"], {"limit": limit})
    return orphans, [row[0] for row in await cur.fetchall()]


async def unattended(cur: Cursor, grace: Micros = 10 * SECOND, limit: int = 100) -> list[Unattended]:
    """The invariant's violations, oldest first, at most `limit`: empty whenever all is well.

    Every unacknowledged critical alarm (and every fire and panic, whatever its priority) has a next step with a due time that is not longer
    past than `grace`. Hidden alarms and exercises are left out. Reads only: for an auditor with a connection of its own.
    """
    await cur.execute(_SQL["unattended"], {"grace": to_interval(grace), "limit": limit})
    return [
        Unattended(alarm, institution, SignalClass(signal_class), Priority(priority), reason, due_at)
        for alarm, institution, signal_class, priority, reason, due_at in await cur.fetchall()
    ]


def _covering(alarm: UUID) -> Asked:
    """Which policy covers the alarm now."""
    return Asked(_SQL["choose"], {"alarms": [alarm]})


async def _replan(cur: Cursor, run: _Running, covering: Answer, *, at_once: bool) -> bool:
    """Begin the next round by the policy that covers the alarm now, if that is another than the one it goes by; whether it is.

    A round that has begun goes on by its own plan, unless somebody in it is gone (`at_once`): then its rest is dropped, so that
    those are told who are there. One that was written and has not begun is dropped whole.
    """
    chosen = covering.row
    if run.policy is None or chosen is None or chosen[3] is None or chosen[3:] == (run.policy, run.version):
        return False
    plan = (await _plans(cur, [chosen[3]]))[chosen[3]]
    start = run.now if at_once else max(to_micros(run.started_at) + plan_from(run.plan).round_every, run.now)
    await cur.execute(_SQL["cancel_steps"], {"alarm": [run.alarm]})
    given = {"alarm": run.alarm, "policy": chosen[3], "version": chosen[4], "plan": Jsonb(plan_to(plan))}
    await cur.execute(_SQL["replan"], given | {"round": run.round + 1, "started_at": to_datetime(start)})
    await _add(cur, _timers(run.alarm, run.urgency, plan, run.round + 1, start), run.now)
    await _say(cur, (run.institution, run.alarm, {"state": "running", "policy": chosen[3], "round": run.round + 1}))
    return True


async def _advance(cur: Cursor, run: _Running) -> str:
    plan = plan_from(run.plan)
    following = core.next_round(plan, run.first_round, run.round, to_micros(run.started_at), run.now)
    if following is None and run.vital:
        return await _resort(cur, run, core.last_resort(plan))
    if following is None:
        await cur.execute(_SQL["exhaust"], {"alarm": run.alarm})
        await _say(cur, (run.institution, run.alarm, {"state": "exhausted"}))
        return "exhausted"
    number, start = following
    round_ = Asked(_SQL["move_round"], {"alarm": run.alarm, "round": number, "started_at": to_datetime(start)})
    await together(cur, round_, *_rows_of(_timers(run.alarm, run.urgency, plan, number, start), run.now))
    return "running"


async def _resort(cur: Cursor, run: _Running, plan: Plan) -> str:
    start = max(to_micros(run.started_at) + plan.round_every, run.now)
    given = {"alarm": run.alarm, "plan": Jsonb(plan_to(plan)), "round": run.round + 1}
    await cur.execute(_SQL["resort"], given | {"started_at": to_datetime(start)})
    await _add(cur, _timers(run.alarm, run.urgency, plan, run.round + 1, start), run.now)
    await _say(cur, (run.institution, run.alarm, {"state": "last_resort", "round": run.round + 1}))
    return "last_resort"


def _timers(alarm: UUID, urgency: int, plan: Plan, number: int, start: Micros) -> list[Timer]:
    return [Timer(alarm, urgency, row, to_datetime(start + row.offset)) for row in core.round_of(plan, number)]


async def _add(cur: Cursor, timers: Sequence[Timer], read_at: Micros, *, steady: bool = True) -> None:
    """Write the rows of a round; `read_at` is the reading of the clock by which their due times were reckoned, `steady` whether that one was
    compared."""
    for query, given in _rows_of(timers, read_at, steady=steady):
        await cur.execute(query, given)


def _rows_of(timers: Sequence[Timer], read_at: Micros, *, steady: bool = True) -> list[Asked]:
    """What writes them: one statement, or none where there is no row."""
    if not timers:
        return []
    columns: dict[str, Any] = {
        "written_at": to_datetime(read_at),
        "steady": steady,
        "alarm": [timer.alarm for timer in timers],
        "urgency": [timer.urgency for timer in timers],
        "due_at": [timer.due_at for timer in timers],
    }
    for name in ("round", "step", "repetition", "responder", "channel", "rota", "kinds"):
        columns[name] = [getattr(timer.row, name) for timer in timers]
    return [Asked(_SQL["add_steps"], columns)]


async def _plans(cur: Cursor, policies: Iterable[str]) -> dict[str, Plan]:
    wanted = list(policies)
    if not wanted:
        return {}
    await cur.execute(_SQL["plans"], {"policies": wanted})
    plans: dict[str, Plan] = {}
    for (
        policy,
        round_every,
        max_rounds,
        n,
        responder,
        channel,
        delay,
        repeat_every,
        times,
        *target,
    ) in await cur.fetchall():
        step = Step(n, responder, channel, to_span(delay), to_span(repeat_every), times, *target)
        before = plans.get(policy, Plan(to_span(round_every), max_rounds, ()))
        plans[policy] = Plan(before.round_every, before.max_rounds, (*before.steps, step))
    return plans


def plan_to(plan: Plan) -> dict[str, Any]:
    """The plan as an escalation stores it."""
    names = ("n", "responder", "channel", "delay", "repeat_every", "repeat_times", "rota", "kinds")
    steps = [{name: getattr(step, name) for name in names} for step in plan.steps]
    return {"round_every": plan.round_every, "max_rounds": plan.max_rounds, "steps": steps}


def plan_from(document: dict[str, Any]) -> Plan:
    """The plan as an escalation has stored it."""
    steps = tuple(Step(**step) for step in document["steps"])
    return Plan(document["round_every"], document["max_rounds"], steps)


async def _say(cur: Cursor, *said: _Said) -> None:
    if said:
        payloads = [{"alarm": str(alarm), **payload} for _, alarm, payload in said]
        await paging.say(cur, "escalation", [institution for institution, _, _ in said], payloads)
