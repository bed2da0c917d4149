-- name: history
-- Of real alarms that stood between `since` and `until` in the caller's scope and went to this post first (all posts: no name), each one's rows.
select i.id::text as institution, d.id::text as device, a.definition, a.instance, a.id as alarm, a.priority, t.event,
       t.from_state in ('unack_active', 'ack_active') as was_active, t.at
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
join device d on d.key = a.device
join alarm_transition t on t.alarm = a.id
left join escalation e on e.alarm = a.id
where a.exercise is null and a.priority <> 'journal'
  and a.raised_at < %(until)s and (a.ended_at is null or a.ended_at >= %(since)s) and t.at < %(until)s
  and (%(post)s::text is null
       or coalesce(nullif(e.plan -> 'steps' -> 0 ->> 'rota', ''), e.plan -> 'steps' -> 0 ->> 'responder') = %(post)s::text)
order by a.id, t.n
limit %(limit)s

-- name: posts
-- Who was told first of the alarms that were raised in this time: a rota or a responder, with how many.
select coalesce(nullif(e.plan -> 'steps' -> 0 ->> 'rota', ''), e.plan -> 'steps' -> 0 ->> 'responder') as post, count(*) as alarms
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
join escalation e on e.alarm = a.id
where a.exercise is null and a.priority <> 'journal' and a.raised_at >= %(since)s and a.raised_at < %(until)s
  and e.plan -> 'steps' -> 0 is not null  -- who is kept without a plan was told of nothing
group by 1
order by 2 desc, 1
limit %(limit)s
