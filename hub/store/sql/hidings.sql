-- name: due
-- Hidings whose time is over, by the database's clock; what somebody is changing at this moment is left for the next look.
select a.*, d.id as device_id, z.id::text as zone_id, statement_timestamp() as now
from alarm a
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where a.ended_at is null
  and (a.shelved_until <= statement_timestamp() or a.held_until <= statement_timestamp())
order by a.id
limit %(limit)s
for update of a skip locked

-- name: windows_of
select w.id::text, i.id::text, w.since, w.until, z.id::text, d.id::text, w.institution
from maintenance_window w
join institution i on i.key = w.institution
left join zone z on z.key = w.zone
left join device d on d.key = w.device
where w.institution = any (%s::int[]) and w.until > statement_timestamp() and w.since <= statement_timestamp()

-- name: held_by
select a.*, d.id as device_id, z.id::text as zone_id, statement_timestamp() as now
from alarm a
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where a.maintenance = %s and a.ended_at is null
order by a.id
for update of a

-- name: ask
insert into shelving_asked (alarm, asked_by, asked_at, until, reason) values (%s, %s, %s, %s, %s)
on conflict (alarm) do update set
    asked_by = excluded.asked_by, asked_at = excluded.asked_at, until = excluded.until, reason = excluded.reason

-- name: asked
select asked_by, asked_at, until, reason from shelving_asked where alarm = %s

-- name: answered
delete from shelving_asked where alarm = %s returning asked_by, asked_at, until, reason
