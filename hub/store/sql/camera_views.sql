-- What cameras see. A view is declared for a position by a manifest; it is attested for the device that stood there.

-- name: forget
-- what a manifest no longer declares
delete from camera_view v
using jsonb_to_recordset(%(rows)s) as x(institution text, id text, sees jsonb), institution i, position p, zone z
where i.id = x.institution and p.institution = i.key and p.id = x.id and v.position = p.key and z.key = v.zone
  and not exists (select from jsonb_array_elements(x.sees) s where s ->> 'zone' = z.id)

-- name: declare
-- another share or mask was attested by nobody
insert into camera_view as t (position, zone, share, masked)
select p.key, z.key, (s ->> 'share')::float8, (s ->> 'masked')::boolean
from jsonb_to_recordset(%(rows)s) as x(institution text, id text, sees jsonb)
join institution i on i.id = x.institution
join position p on p.institution = i.key and p.id = x.id
cross join lateral jsonb_array_elements(x.sees) as s
join zone z on z.institution = i.key and z.id = s ->> 'zone'
on conflict (position, zone) do update set
    share = excluded.share, masked = excluded.masked, attested_at = null, attested_by = null, device = null
where (t.share, t.masked) is distinct from (excluded.share, excluded.masked)

-- name: doubt
-- the position is another place now
update camera_view v set attested_at = null, attested_by = null, device = null
from jsonb_to_recordset(%(rows)s) as x(institution text, id text)
join institution i on i.id = x.institution
join position p on p.institution = i.key and p.id = x.id
where v.position = p.key and v.attested_at is not null

-- name: list
select i.id as institution, p.id as position, p.title_zh as position_zh, p.title_en as position_en, d.id as device, d.kind,
       z.id as zone, z.purpose, z.title_zh as zone_zh, z.title_en as zone_en, v.share, v.masked,
       case when v.device is not null and v.device = d.key then v.attested_at end as attested_at,
       case when v.device is not null and v.device = d.key then v.attested_by end as attested_by,
       v.device is not null and v.device is distinct from d.key as swapped
from institutions_in_scope(%(scope)s::jsonb) i
join position p on p.institution = i.key and p.retired_at is null
join camera_view v on v.position = p.key
join zone z on z.key = v.zone and z.retired_at is null
left join device d on d.position = p.key and d.retired_at is null
where i.retired_at is null
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(device)s::text is null or d.id = %(device)s)
  and (%(after_institution)s::text is null or (i.id, p.id, z.id) > (%(after_institution)s::text, %(after_position)s::text, %(after)s::text))
order by i.id, p.id, z.id
limit %(limit)s

-- name: lock
-- the views of the position where a device stands
select z.id::text as zone, v.share, v.masked
from camera_view v
join device d on d.position = v.position and d.retired_at is null
join position p on p.key = v.position and p.retired_at is null
join zone z on z.key = v.zone and z.retired_at is null
where d.key = %(device)s
order by z.id
for update of v

-- name: attest
update camera_view v set attested_at = %(at)s, attested_by = %(actor)s, device = d.key
from device d, zone z
where d.key = %(device)s and d.retired_at is null and v.position = d.position and z.key = v.zone and z.retired_at is null

-- name: say
insert into change (kind, institution, payload) values ('registry', %(institution)s, %(payload)s)
