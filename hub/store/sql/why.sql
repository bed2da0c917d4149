-- name: alarm
select a.signal_class, a.priority, a.exercise, a.raised_at, a.received_at, a.late, a.stale, a.definition, a.instance, a.device as device_key,
       d.profile, a.suppressed_by,
       (select concat_ws(' · ', ri.title_zh, r.definition) from alarm r join institution ri on ri.key = r.institution
        where r.id = a.suppressed_by) as root,
       e.state as escalation, e.started_at as begun_at, e.ended_at, coalesce(e.policy, '') as policy, coalesce(e.reason, '') as reason
from alarm a
join device d on d.key = a.device
left join escalation e on e.alarm = a.id
where a.id = %(id)s

-- name: history
select event, to_state, at, actor, note from alarm_transition where alarm = %(id)s order by n

-- name: steps
select round, step, coalesce(rota, responder, '') as target, due_at, ended_at, coalesce(fault, '') as fault
from escalation_step where alarm = %(id)s and state <> 'cancelled'
order by due_at, round, step, repetition limit %(limit)s

-- name: attempts
-- of its own messages, and of messages that stand for many
select n.responder, n.channel, n.kind, t.at, t.outcome, t.detail, t.receipt
from notification n join attempt t on t.notification = n.id
where n.alarm = %(id)s or n.id in (select g.notification from digest_alarm g where g.alarm = %(id)s)
order by t.at, n.id, t.n limit %(limit)s

-- name: waiting
select responder, channel, created_at, ended_at, state, last_error as reason
from notification where alarm = %(id)s and state <> 'sent'
order by created_at, id limit %(limit)s

-- name: seen
select at, value, text from (
    (select r.at, r.value, null::text as text from reading r
     where r.series_id = (select key from series where device = %(device)s and point = %(point)s and instance = %(instance)s)
       and r.at <= %(at)s and r.at > %(at)s - interval '2 days' order by r.at desc limit 1)
    union all
    (select e.at, e.value, e.text from event e
     where e.device = %(device)s and e.point = %(point)s and e.instance = %(instance)s and e.at <= %(at)s order by e.at desc limit 1)
) both_kinds order by at desc limit 1
