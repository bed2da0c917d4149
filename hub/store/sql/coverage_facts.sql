-- What the judge looks at. Set-wise: no statement for a single institution.

-- name: listened
-- partitions whose lease somebody holds (hub/store/leases.py): where nobody listens, no link state can be believed
select l.objid::bigint::int
from pg_locks l
where l.locktype = 'advisory' and l.granted and l.objsubid = 2 and l.classid = %(lease_class)s::bigint::oid
  and l.database = (select oid from pg_database where datname = current_database())

-- name: entry_places
select filing_number, division, type from register_entry where filing_number = any (%(filing_numbers)s) and removed_at is null

-- name: places
select i.key, i.id::text as id, i.division, i.type, i.partition
from institution i
where i.id::text = any (%(ids)s) and i.retired_at is null
order by i.id

-- name: zones
select z.institution, z.id::text as id, z.purpose, z.title_zh, z.title_en
from zone z
where z.institution = any (%(keys)s) and z.retired_at is null

-- name: devices
select d.institution, d.id::text as id, d.kind, d.profile, z.id::text as zone,
       s.admin_state, s.admin_since, s.link_state, s.link_since, s.function_state, s.function_since, s.last_heard_at
from device d
join device_state s on s.device = d.key
left join position p on p.key = d.position and p.retired_at is null
left join zone z on z.key = p.zone and z.retired_at is null
where d.institution = any (%(keys)s) and d.retired_at is null
