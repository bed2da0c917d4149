-- name: choose
-- Of the alarms given: those that are to be paged, locked against an acknowledge, each with the policy that covers it now.
select a.id, a.institution, a.signal_class, p.id, p.version
from alarm a
join institution i on i.key = a.institution
left join lateral policy_for(i.key, a.signal_class, a.priority) p on true
where a.id = any (%(alarms)s) and is_paged(a)
order by a.id
for share of a

-- name: fixed
-- Of the alarms given those of proofs, with whom each is for and the channels of the sink, and those of the hub that have a plan of their own.
select a.id, p.tell, array(select c.id::text from responder_channel c
                           where c.responder = 'proof-sink' and c.retired_at is null order by c.id), null::jsonb
from alarm a join proof p on p.id = a.exercise_id
where a.id = any (%(alarms)s) and a.exercise = 'proof'
union all
select h.alarm, '', '{}', h.plan from hub_alarm h where h.alarm = any (%(alarms)s) and h.plan is not null

-- name: plans
select p.id, p.round_every, p.max_rounds, s.n, coalesce(s.responder::text, ''), coalesce(s.channel::text, ''), s.delay, s.repeat_every,
       s.repeat_times, coalesce(s.rota::text, ''), s.kinds
from policy p
join policy_step s on s.policy = p.id
where p.id = any (%(policies)s)
order by p.id, s.n

-- name: start
-- A running escalation is left alone; an ended one goes on with the next round number. The clock is read once.
with held as materialized (
    select h.alarm, h.held from holds_back(%(alarm)s::uuid[]) h
), started as (
    insert into escalation as e
        (alarm, institution, urgency, policy, policy_version, plan, state, started_at, first_round, round, round_started_at)
    select g.*, 'running', c.at + h.held, 1, 1, c.at + h.held
    from unnest(%(alarm)s::uuid[], %(institution)s::int[], %(urgency)s::smallint[], %(policy)s::text[], %(version)s::int[], %(plan)s::jsonb[])
        g(alarm, institution, urgency, policy, version, plan)
    cross join (select hub_clock() as at) c
    join held h on h.alarm = g.alarm
    on conflict (alarm) do update set
        policy = excluded.policy, policy_version = excluded.policy_version, plan = excluded.plan, state = 'running', reason = '', actor = '',
        started_at = excluded.started_at, ended_at = null, first_round = e.round + 1, round = e.round + 1,
        round_started_at = excluded.round_started_at
    where e.state <> 'running'
    returning e.alarm, e.round, e.round_started_at
)
select s.alarm, s.round, s.round_started_at, s.round_started_at - h.held from started s join held h on h.alarm = s.alarm

-- name: uncovered
insert into escalation as e (alarm, institution, urgency, state, reason, started_at, ended_at)
select g.*, 'uncovered', 'no policy covers it', hub_clock(), hub_clock()
from unnest(%(alarm)s::uuid[], %(institution)s::int[], %(urgency)s::smallint[]) g
on conflict (alarm) do update set
    policy = null, policy_version = null, plan = null, state = 'uncovered', reason = excluded.reason, actor = '',
    started_at = excluded.started_at, ended_at = excluded.ended_at
where e.state not in ('running', 'uncovered')
returning e.alarm

-- name: add_steps
insert into escalation_step (alarm, round, step, repetition, responder, channel, due_at, urgency, rota, kinds, written_at, steady)
select alarm, round, step, repetition, nullif(responder, ''), nullif(channel, ''), due_at, urgency, nullif(rota, ''), kinds, %(written_at)s,
       %(steady)s
from unnest(
    %(alarm)s::uuid[], %(round)s::int[], %(step)s::int[], %(repetition)s::int[],
    %(responder)s::text[], %(channel)s::text[], %(due_at)s::timestamptz[], %(urgency)s::smallint[],
    %(rota)s::text[], %(kinds)s::smallint[])
    as g(alarm, round, step, repetition, responder, channel, due_at, urgency, rota, kinds)
on conflict do nothing

-- name: stop
update escalation e
set state = 'stopped', reason = g.reason, actor = g.actor, ended_at = hub_clock()
from unnest(%(alarm)s::uuid[], %(reason)s::text[], %(actor)s::text[]) g(alarm, reason, actor)
where e.alarm = g.alarm and e.state <> 'stopped'
returning e.alarm, e.institution

-- name: cancel_steps
update escalation_step
set state = 'cancelled', ended_at = hub_clock(), lease_until = null
where alarm = any (%(alarm)s::uuid[]) and state = 'due'
returning alarm

-- name: cancel_notifications
update notification
set state = 'cancelled', ended_at = hub_clock()
where alarm = any (%(alarm)s::uuid[]) and state = 'pending' and kind <> 'digest'
returning alarm

-- name: cancel_digests
-- A digest goes on for the sake of any other alarm that it lists.
update notification n
set state = 'cancelled', ended_at = hub_clock()
where n.kind = 'digest' and n.state = 'pending'
  and n.id in (select m.notification from digest_alarm m where m.alarm = any (%(alarm)s::uuid[]))
  and not exists (
    select from digest_alarm m join alarm a on a.id = m.alarm
    where m.notification = n.id and m.alarm <> all (%(alarm)s::uuid[]) and is_paged(a))
returning n.alarm

-- name: claim
-- One statement, committed by itself: the lease is on the row, and whoever dies holding it loses it by time alone. What is due is said by
-- the caller's reading of the clock, which was checked: `hub_clock()` here might have been set since. Nor is anything taken that was written
-- since that reading. A lease that reaches further than any is given was given by a clock that was set back.
update escalation_step s
set lease_until = hub_clock() + %(lease)s, lease_holder = own_session()
from (
    select alarm, round, step, repetition
    from escalation_step
    where state = 'due' and urgency = %(urgency)s and due_at <= %(now)s
      and (lease_until is null or lease_until <= %(now)s or lease_until > hub_clock() + 2 * %(lease)s::interval
           or lease_holder not in (select live_sessions()))
      and stood_in(written, %(stood)s::text::pg_snapshot)
    order by due_at
    limit %(limit)s
    for update skip locked
) c
where s.alarm = c.alarm and s.round = c.round and s.step = c.step and s.repetition = c.repetition
returning s.alarm, s.due_at

-- name: postpone
update escalation_step s
set lease_until = hub_clock() + %(lease)s
from (
    select alarm, round, step, repetition
    from escalation_step
    where alarm = %(alarm)s and state = 'due' and lease_holder = own_session()
    for update skip locked
) c
where s.alarm = c.alarm and s.round = c.round and s.step = c.step and s.repetition = c.repetition

-- name: lock_alarm
-- Waits for an acknowledge that is under way: it wins, or it finds what is written here and cancels it.
select is_paged(a), a.state, a.signal_class, a.priority, a.exercise from alarm a where a.id = %(alarm)s for share

-- name: lock_escalation
select institution, urgency, plan, first_round, round, round_started_at, policy::text, policy_version,
       exists (select from escalation_step s where s.alarm = escalation.alarm and s.round = escalation.round and s.state = 'done')
from escalation
where alarm = %(alarm)s and state = 'running'
for update

-- name: drop_due
-- They are written anew with other due times.
delete from escalation_step where alarm = %(alarm)s and state = 'due'

-- name: open_steps
select count(*) from escalation_step where alarm = %(alarm)s and state = 'due'

-- name: move_round
update escalation
set round = %(round)s, round_started_at = %(started_at)s
where alarm = %(alarm)s

-- name: replan
-- another policy covers the alarm by now: its rounds are counted anew
update escalation
set policy = %(policy)s, policy_version = %(version)s, plan = %(plan)s, first_round = %(round)s, round = %(round)s,
    round_started_at = %(started_at)s
where alarm = %(alarm)s

-- name: resort
-- all rounds are through: the last step alone goes on
update escalation
set plan = %(plan)s, round = %(round)s, round_started_at = %(started_at)s,
    reason = 'all rounds are through and nobody acknowledged: the last step goes on until somebody does'
where alarm = %(alarm)s

-- name: exhaust
update escalation
set state = 'exhausted', reason = 'all rounds are through and nobody acknowledged', ended_at = hub_clock()
where alarm = %(alarm)s

-- name: orphans
-- Alarms that somebody should be told about and that nothing drives: without a row, or stopped and come back, or covered only since
-- a policy was added. What somebody is changing at this moment is left for the next sweep.
select a.id
from alarm a
join institution i on i.key = a.institution
left join escalation e on e.alarm = a.id
where a.ended_at is null
  and is_paged(a)
  and (e.alarm is null or e.state = 'stopped'
    or (e.state = 'exhausted' and (a.priority = 'critical' or a.signal_class in ('fire', 'panic'))
        and (a.exercise is null or a.exercise = 'drill'))
    or (e.state = 'uncovered' and exists (
    select from policy_for(i.key, a.signal_class, a.priority))))
order by a.id
limit %(limit)s
for share of a skip locked

-- name: stuck
-- A running escalation always has a step that is due some time: what has none is taken up as if its round were through.
select e.alarm
from escalation e
where e.state = 'running'
  and not exists (select from escalation_step s where s.alarm = e.alarm and s.state = 'due')
limit %(limit)s

-- name: unattended
-- What must never be: somebody's life may depend on it, nobody owns it, and no step with a due time stands ahead of it.
select a.id, a.institution, a.signal_class, a.priority,
       case
           when e.alarm is null then 'it has no escalation'
           when e.state <> 'running' then 'its escalation is ' || e.state
           when s.due_at is null then 'its escalation has no next step'
           else 'its next step is overdue'
       end as reason,
       s.due_at
from alarm a
left join escalation e on e.alarm = a.id
left join lateral (
    select min(s.due_at) as due_at from escalation_step s where s.alarm = a.id and s.state = 'due'
) s on true
where a.ended_at is null
  and (a.priority = 'critical' or a.signal_class in ('fire', 'panic'))
  and a.exercise is null
  and is_paged(a)
  and (e.alarm is null or e.state <> 'running' or s.due_at is null or s.due_at <= hub_clock() - %(grace)s)
order by a.raised_at, a.id
limit %(limit)s
