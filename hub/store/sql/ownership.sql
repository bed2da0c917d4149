-- name: unowned
-- Acknowledged, and nobody has written down yet until when that stands.
select a.id, a.institution, a.acknowledged_by, a.acknowledged_at, a.signal_class,
       (extract(epoch from p.remind_after) * 1000000)::bigint, (extract(epoch from p.lapse_after) * 1000000)::bigint,
       coalesce((select max(t.n) from alarm_transition t where t.alarm = a.id and t.event = 'acknowledge'), a.version)
from alarm a
left join escalation e on e.alarm = a.id
left join policy p on p.id = e.policy
left join ownership o on o.alarm = a.id
where a.state in ('ack_active', 'latched_ack') and a.ended_at is null and a.acknowledged_at is not null
  and (a.signal_class in ('fire', 'panic') or p.lapse_after is not null)
  and (a.exercise is null or a.exercise = 'drill')
  and (o.alarm is null or (o.state <> 'open' and a.version > o.seen and exists (
    select from alarm_transition t where t.alarm = a.id and t.n > o.seen and t.event = 'acknowledge')))
order by a.acknowledged_at, a.id
limit %(limit)s

-- name: own
insert into ownership as o
    (alarm, institution, owner, acknowledged_at, state, seen, remind_after, lapse_after, remind_at, lapse_at, reminders, written_at)
select g.*, 'open', s.*, %(now)s::timestamptz + s.remind_after, %(now)s::timestamptz + s.lapse_after, 0, %(now)s
from (select %(alarm)s::uuid, %(institution)s::int, %(owner)s::text, %(acknowledged_at)s::timestamptz) g,
     (select %(seen)s::int, %(remind_after)s::interval, %(lapse_after)s::interval) s (seen, remind_after, lapse_after)
on conflict (alarm) do update set
    owner = excluded.owner, acknowledged_at = excluded.acknowledged_at, state = 'open', seen = excluded.seen,
    remind_after = excluded.remind_after, lapse_after = excluded.lapse_after, remind_at = excluded.remind_at,
    lapse_at = excluded.lapse_at, reminders = 0, written_at = excluded.written_at, written = excluded.written

-- name: write
-- Ends before, or begins after, whoever moves what waits.
lock table ownership in row exclusive mode

-- name: followed
-- What happened to owned alarms since it was looked the last time.
select o.alarm, a.state in ('ack_active', 'latched_ack') as owned, a.acknowledged_by, max(t.n),
       array_agg(t.event order by t.n), array_agg(t.actor order by t.n)
from ownership o
join alarm a on a.id = o.alarm
join alarm_transition t on t.alarm = o.alarm and t.n > o.seen
where o.state = 'open' and (%(alarm)s::uuid is null or o.alarm = %(alarm)s)
group by o.alarm, a.state, a.acknowledged_by
order by o.alarm

-- name: settle
update ownership set state = 'settled', seen = greatest(seen, %(seen)s) where alarm = %(alarm)s and state = 'open'

-- name: renew
update ownership
set owner = %(owner)s, seen = %(seen)s, remind_at = %(now)s::timestamptz + remind_after, lapse_at = %(now)s::timestamptz + lapse_after,
    written_at = %(now)s, written = pg_current_xact_id()
where alarm = %(alarm)s and state = 'open'

-- name: look
update ownership set seen = %(seen)s where alarm = %(alarm)s and state = 'open'

-- name: due
select alarm, lapse_at <= %(now)s
from ownership
where state = 'open' and (lapse_at <= %(now)s or remind_at <= %(now)s)
order by lapse_at, alarm
limit %(limit)s

-- name: lock_alarm
select 1 from alarm where id = %(alarm)s for update

-- name: lock
-- an open ownership whose time has come, with what a message about it needs
select o.institution, o.owner, o.lapse_at <= %(now)s, o.reminders, e.round, e.plan, e.urgency, a.priority, a.exercise,
       a.state in ('ack_active', 'latched_ack')
from ownership o
join alarm a on a.id = o.alarm
left join escalation e on e.alarm = o.alarm
where o.alarm = %(alarm)s and o.state = 'open' and (o.lapse_at <= %(now)s or o.remind_at <= %(now)s)
for update of o

-- name: reminded
update ownership set remind_at = null, reminders = reminders + 1 where alarm = %(alarm)s

-- name: lapsed
update ownership o set state = 'lapsed', seen = a.version from alarm a where a.id = o.alarm and o.alarm = %(alarm)s
