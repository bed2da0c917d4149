-- What the fire-risk score looks at, set-wise for some subjects. `scope` as everywhere in the read side.

-- name: places
-- institutions within the scope, and entries of the register that are not connected
select i.id::text as subject, i.key, i.id::text as institution, i.division, i.type, i.title_zh, i.title_en, i.partition, i.calendar::text as calendar
from institutions_in_scope(%(scope)s::jsonb) i
where i.retired_at is null and i.partition >= 0
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(subject)s::text is null or i.id::text = %(subject)s)
union all
select 'register:' || r.filing_number, null, null, r.division, r.type, r.title_zh, r.title_en, null, null
from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
where r.removed_at is null and i.key is null
  and ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix) where starts_with(r.division, p.prefix)))
  and (%(division)s::text is null or starts_with(r.division, %(division)s))
  and (%(subject)s::text is null or 'register:' || r.filing_number = %(subject)s)
order by 1

-- name: zones
select z.institution, z.id::text as id, z.purpose, z.title_zh, z.title_en
from zone z
where z.institution = any (%(keys)s) and z.retired_at is null

-- name: devices
-- of the profiles that detect, guard a door or measure
select d.institution, d.id::text as id, d.kind, d.profile, z.id::text as zone,
       s.admin_state, s.admin_since, s.link_state, s.link_since, s.function_state, s.function_since, s.last_heard_at, s.proven_at
from device d
join device_state s on s.device = d.key
left join position p on p.key = d.position and p.retired_at is null
left join zone z on z.key = p.zone and z.retired_at is null
where d.institution = any (%(keys)s) and d.retired_at is null and d.profile = any (%(profiles)s)

-- name: alarms
-- real ones that have not ended, hidden or not: what is hidden burns too
select d.institution, d.id::text as device, d.profile, a.definition, a.signal_class, a.raised_at
from alarm a
join device d on d.key = a.device
where a.ended_at is null and a.exercise is null and a.institution = any (%(keys)s)
  and a.signal_class in ('fire', 'access', 'intrusion', 'supervisory', 'fault') and d.retired_at is null

-- name: measured
select d.institution, d.id::text as device, d.kind, d.profile, r.point, t.value, t.at, t.quality
from device d
join series r on r.device = d.key
join point_state t on t.series = r.key
where d.institution = any (%(keys)s) and d.retired_at is null and d.profile = any (%(measuring)s) and r.point = any (%(points)s)

-- name: checked
-- the last one of each kind that stands: neither corrected nor withdrawn; a drill of the hub counts when every press that was named came
select k.institution, kind, greatest(a.at, case when kind = 'drill' then r.at end) as at
from unnest(%(keys)s::int[]) as k(institution)
cross join unnest(%(kinds)s::text[]) as kind
left join lateral (
    select max(a.at) as at from attestation a
    where a.institution = k.institution and a.kind = kind and a.at <= %(at)s and (a.expires_at is null or a.expires_at > %(at)s)
      and not a.void and not exists (select from attestation c where c.supersedes = a.id)
) a on true
left join lateral (
    select max(done.at) as at from (
        select max(p.pressed_at) as at
        from drill_press p join drill d on d.id = p.drill
        where p.institution = k.institution and d.cancelled_at is null and d.ends_at <= %(at)s
        group by d.id having bool_and(p.pressed_at is not null)
    ) done
) r on kind = 'drill'
where greatest(a.at, case when kind = 'drill' then r.at end) is not null
