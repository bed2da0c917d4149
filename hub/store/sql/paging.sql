-- name: due_steps
select s.round, s.step, s.repetition, coalesce(s.responder::text, ''), coalesce(s.channel::text, ''), coalesce(s.rota::text, ''), s.kinds,
       s.due_at
from escalation_step s
where s.alarm = %(alarm)s and s.state = 'due' and s.due_at <= %(now)s and stood_in(s.written, %(stood)s::text::pg_snapshot)
order by s.due_at, s.step, s.repetition

-- name: ways
-- The live channels of responders, in order of preference.
select c.responder::text, c.id::text, c.kind
from responder_channel c join responder r on r.id = c.responder and r.retired_at is null
where c.responder::text = any (%(responders)s) and c.retired_at is null
order by c.responder, c.rank, c.id

-- name: notify
insert into notification
    (id, kind, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, next_attempt_at, wide, root_cause, state,
     last_error, ended_at)
values
    (%(id)s, %(kind)s, %(alarm)s, %(institution)s, %(round)s, %(step)s, %(repetition)s, %(responder)s, %(channel)s, %(urgency)s, %(due_at)s,
     coalesce(%(next_attempt_at)s::timestamptz, hub_clock()), %(wide)s, %(root_cause)s,
     case when %(error)s::text is null then 'pending' else 'failed' end,
     coalesce(%(error)s, ''),
     case when %(error)s::text is null then null else hub_clock() end)
on conflict do nothing

-- name: finish_step
update escalation_step
set state = 'done', ended_at = hub_clock(), lease_until = null, fault = %(fault)s
where alarm = %(alarm)s and round = %(round)s and step = %(step)s and repetition = %(repetition)s and state = 'due'

-- name: recent
-- The root cause of an alarm as it is known now, and what went, or waits to go, by one way to a person lately, fire and panic apart; newest first.
select r.root_cause, x.at, x.same_group
from (select root_cause(%(alarm)s) as root_cause) r
left join lateral (
    select case when n.kind = 'digest' and n.state = 'pending' then n.next_attempt_at else least(n.created_at, %(now)s) end as at,
           not n.wide and n.institution = %(institution)s and n.root_cause = r.root_cause
               and gravity(a.priority) <= gravity(%(priority)s) as same_group
    from notification n
    join alarm a on a.id = n.alarm
    where n.responder = %(responder)s and n.channel = %(channel)s and n.urgency > 0 and n.created_at > %(since)s
      and n.kind in ('page', 'digest') and n.state <> 'cancelled' and n.exercise is null
    order by n.created_at desc
    limit %(most)s
) x on true

-- name: open_digest
-- One that is being sent at this moment is not waited for.
select n.id
from notification n
join alarm a on a.id = n.alarm
where n.kind = 'digest' and n.state = 'pending' and n.responder = %(responder)s and n.channel = %(channel)s
  and n.attempts = 0 and n.lease_until is null
  and n.wide = %(wide)s
  and (n.wide or (n.institution = %(institution)s and n.root_cause = %(root_cause)s and gravity(a.priority) <= gravity(%(priority)s)))
order by n.next_attempt_at
limit 1
for update of n skip locked

-- name: list_in_digest
insert into digest_alarm (notification, alarm, round, step, repetition)
values (%(notification)s, %(alarm)s, %(round)s, %(step)s, %(repetition)s)
on conflict do nothing

-- name: told_of
select alarm from digest_alarm where notification = %(notification)s
union
select alarm from notification where id = %(notification)s
order by alarm

-- name: say
insert into change (kind, institution, payload)
select %(kind)s, g.* from unnest(%(institution)s::int[], %(payload)s::jsonb[]) g
