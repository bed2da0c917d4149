-- name: premises
-- `key` last: of two words at the same instant the later one holds
select i.id::text, i.calendar::text, a.mode, a.since, a.until, a.before
from institution i
left join lateral (
    select mode, since, until, before from arming where institution = i.key order by since desc, key desc limit 1
) a on true
where i.partition = any (%s::int[]) and i.retired_at is null and (i.calendar is not null or a.mode is not null)

-- name: windows
select w.id::text, i.id::text, w.since, w.until, z.id::text, d.id::text
from maintenance_window w
join institution i on i.key = w.institution
left join zone z on z.key = w.zone
left join device d on d.key = w.device
where i.partition = any (%s::int[]) and w.until > statement_timestamp()
order by w.until desc, w.id

-- name: one
select i.key, i.calendar::text as calendar, a.mode, a.since, a.until, a.before, a.actor, d.id::text as device, a.reason
from institution i
left join lateral (select * from arming where institution = i.key order by since desc, key desc limit 1) a on true
left join device d on d.key = a.device
where i.id = %(institution)s and i.key in (select key from institutions_in_scope(%(scope)s::jsonb))

-- name: lock
select 1 from institution where key = %s for update

-- name: say
insert into arming (institution, mode, since, until, before, actor, reason)
values (%(institution)s, %(mode)s, %(since)s, %(until)s, %(before)s, %(actor)s, %(reason)s)

-- name: put
insert into arming (institution, mode, since, before, device)
select * from unnest(%s::int[], %s::text[], %s::timestamptz[], %s::text[], %s::int[])

-- name: history
select a.mode, a.since, a.until, a.actor, d.id::text as device, a.reason, a.said_at
from arming a
left join device d on d.key = a.device
where a.institution = %(institution)s
order by a.since desc, a.key desc
limit %(limit)s

-- name: change
insert into change (kind, institution, payload) values ('armed', %s, %s)
