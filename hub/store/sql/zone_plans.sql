-- Zone plans and the regulator's signature under them; institutions whose type or division was changed.

-- name: plans
-- `state`: none (no zone was ever declared), unsigned, changed (since it was signed), signed
select i.id, i.key, i.division, i.type, i.title_zh, i.title_en, coalesce(p.version, 0) as version, p.changed_at,
       s.version as signed_version, s.digest as signed_digest, s.signed_at, s.signed_by, s.note,
       case when p.version is null then 'none' when s.version is null then 'unsigned' when s.version = p.version then 'signed'
            else 'changed' end as state
from institutions_in_scope(%(scope)s::jsonb) i
left join zone_plan p on p.institution = i.key
left join lateral (
    select n.version, n.digest, n.signed_at, n.signed_by, n.note from zone_plan_signature n
    where n.institution = i.key order by n.version desc, n.signed_at desc limit 1
) s on true
where i.retired_at is null and i.partition >= 0
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(state)s::text is null
       or %(state)s = case when p.version is null then 'none' when s.version is null then 'unsigned' when s.version = p.version then 'signed'
                           else 'changed' end)
  and (%(after)s::text is null or i.id > %(after)s)
order by i.id
limit %(limit)s

-- name: lock
select version from zone_plan where institution = %(key)s for update

-- name: zones
select id::text as id, purpose, area_m2, floor, entrances, ages from zone where institution = %(key)s and retired_at is null

-- name: floors
select floor, encode(sha256, 'hex') as sha256 from floor_plan where institution = %(key)s

-- name: sign
insert into zone_plan_signature (id, institution, digest, plan, version, note, signed_by)
values (%(id)s, %(key)s, %(digest)s, %(plan)s, %(version)s, %(note)s, %(actor)s)

-- name: say
insert into change (kind, institution, payload) values ('registry', %(key)s, %(payload)s)

-- name: signatures
select n.id, n.digest, n.plan, n.version, n.note, n.signed_by, n.signed_at
from zone_plan_signature n join institutions_in_scope(%(scope)s::jsonb) i on i.key = n.institution
where i.id = %(institution)s
order by n.version desc, n.signed_at desc
limit %(limit)s

-- name: retypings
-- seen by whoever is over the division before or after, or over the institution
select i.id::text as institution, i.title_zh, i.title_en, r.at, r.actor, r.type_before, r.type_after, r.division_before, r.division_after
from retyping r
join institution i on i.key = r.institution
where ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                  where starts_with(r.division_before, p.prefix) or starts_with(r.division_after, p.prefix))
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(r.division_before, %(division)s) or starts_with(r.division_after, %(division)s))
  and (%(before_at)s::timestamptz is null or (r.at, i.id::text) < (%(before_at)s, %(before)s))
order by r.at desc, i.id::text desc
limit %(limit)s
