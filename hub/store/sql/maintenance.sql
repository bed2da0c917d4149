-- name: list
select w.id, i.id::text as institution, z.id::text as zone, d.id::text as device, w.since, w.until, w.reason, w.made_by, w.made_at, w.ended_by,
       w.version, (select count(*) from alarm a where a.maintenance = w.id::text and a.ended_at is null) as holds
from institutions_in_scope(%(scope)s::jsonb) i
join maintenance_window w on w.institution = i.key
left join zone z on z.key = w.zone
left join device d on d.key = w.device
where (%(id)s::uuid is null or w.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(open)s::boolean is null or (w.until > statement_timestamp() and w.until > w.since) = %(open)s)
  and (%(after_at)s::timestamptz is null or (w.since, w.id) < (%(after_at)s, %(after)s::uuid))
order by w.since desc, w.id desc
limit %(limit)s

-- name: place
select i.key as institution, z.key as zone, d.key as device,
       (select count(*) from maintenance_window w where w.institution = i.key and w.until > statement_timestamp() and w.until > w.since) as open
from institutions_in_scope(%(scope)s::jsonb) i
left join zone z on z.institution = i.key and z.id = %(zone)s and z.retired_at is null
left join device d on d.institution = i.key and d.id = %(device)s and d.retired_at is null
where i.id = %(institution)s

-- name: lock_place
select 1 from institution where key = %s for update

-- name: make
insert into maintenance_window (institution, zone, device, since, until, reason, made_by)
values (%(institution)s, %(zone)s, %(device)s, %(since)s, %(until)s, %(reason)s, %(actor)s) returning id

-- name: lock
select since, until, reason, ended_by, statement_timestamp() as now from maintenance_window where id = %(id)s for update

-- name: change
update maintenance_window set until = %(until)s, reason = %(reason)s, ended_by = %(ended_by)s, version = version + 1 where id = %(id)s

-- name: say
insert into change (kind, institution, payload)
select 'maintenance', w.institution, jsonb_build_object('id', w.id, 'since', w.since, 'until', w.until)
from maintenance_window w where w.id = %s
