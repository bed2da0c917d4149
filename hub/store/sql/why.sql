-- name: alarm
select a.signal_class, a.priority, a.exercise, a.raised_at, a.received_at, a.late, a.stale, a.definition, a.instance, a.device as device_key,
       d.profile, a.suppressed_by,
       (select concat_ws(' · ', ri.title_zh, r.definition) from alarm r join institution ri on ri.key = r.institution
        where r.id = a.suppressed_by) as root,
       e.state as escalation, e.started_at as begun_at, e.ended_at, coalesce(e.policy, '') as policy,
       e.policy_version as version, coalesce(e.reason, '') as reason
from alarm a
join device d on d.key = a.device
left join escalation e on e.alarm = a.id
where a.id = %(id)s

-- name: history
select event, to_state, at, actor, note from alarm_transition where alarm = %(id)s order by n

-- name: steps
select round, step, coalesce(rota, responder, '') as target, due_at, ended_at, coalesce(fault, '') as fault,
       rota is not null as rota
from escalation_step where alarm = %(id)s and state <> 'cancelled'
order by due_at, round, step, repetition limit %(limit)s

-- name: attempts
-- of its own messages, and of messages that stand for many
select n.responder, n.channel, n.kind, t.at, t.outcome, t.detail, t.receipt, t.receipt_at, t.receipt_detail
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

-- name: course
select at, round, policy, version from escalation_course where alarm = %(id)s order by n limit %(limit)s

-- name: edits
-- What was changed while it was under way, of the policies and rotas by which it went.
with e as (select alarm, policy, started_at, coalesce(ended_at, 'infinity') as ended_at from escalation where alarm = %(id)s),
     policies as (select policy::text as name from e union select policy from escalation_course where alarm = %(id)s),
     rotas as (select distinct rota::text as name from escalation_step where alarm = %(id)s and rota is not null)
select at, thing, name, actor, version from (
    select d.saved_at as at, 'policy' as thing, d.policy::text as name, d.saved_by as actor, d.n as version
    from e join policy_edition d on d.saved_at between e.started_at and e.ended_at join policies p on p.name = d.policy
    union all
    select d.saved_at, 'rota', d.rota::text, d.saved_by, d.n
    from e join rota_edition d on d.saved_at between e.started_at and e.ended_at join rotas r on r.name = d.rota
    union all
    select o.made_at, 'swap', o.rota::text, o.made_by, 0
    from e join rota_override o on o.made_at between e.started_at and e.ended_at join rotas r on r.name = o.rota
) edits order by at limit %(limit)s
