-- What people state. Rows are only ever added; `scope` as everywhere in the read side.

-- name: place
-- the institution with the zone and the device that are named, each within it
select i.key, z.key as zone, d.key as device
from institutions_in_scope(%(scope)s::jsonb) i
left join zone z on z.institution = i.key and z.id = %(zone)s and z.retired_at is null
left join device d on d.institution = i.key and d.id = %(device)s and d.retired_at is null
where i.id = %(institution)s and i.retired_at is null and i.partition >= 0

-- name: drill
-- over, not called off, and held at this institution
select r.id from drill r
where r.id = %(drill)s and r.cancelled_at is null and r.ends_at <= %(now)s
  and exists (select from drill_press p where p.drill = r.id and p.institution = %(key)s)

-- name: window
select w.id from police_window w
where w.id = %(window)s and w.institution = %(key)s and w.receipt_at is not null and (%(device)s::int is null or w.device = %(device)s)

-- name: put
insert into attestation (id, institution, kind, at, expires_at, zone, device, number, value, done_by, note, drill, police_window,
                         supersedes, void, recorded_by, recorded_at)
values (%(id)s, %(key)s, %(kind)s, %(at)s, %(expires_at)s, %(zone)s, %(device)s, %(number)s, %(value)s, %(done_by)s, %(note)s,
        %(drill)s, %(window)s, %(supersedes)s, %(void)s, %(actor)s, %(now)s)
on conflict (id) do nothing
returning id

-- name: attach
insert into attestation_attachment (attestation, n, name, sha256, media_type, content, link)
values (%(attestation)s, %(n)s, %(name)s, %(sha256)s, %(media_type)s, %(content)s, %(link)s)

-- name: sign
insert into attestation_second (attestation, signed_by, signed_at) values (%(id)s, %(actor)s, %(now)s)

-- name: say
insert into change (kind, institution, payload) values ('registry', %(key)s, %(payload)s)

-- name: list
-- `state`: stands, unsigned (a second person has still to sign), corrected, void
select a.id, i.key, i.id::text as institution, i.title_zh, i.title_en, a.kind, a.at, a.expires_at, z.id::text as zone, z.title_zh as zone_zh,
       z.title_en as zone_en, d.id::text as device, a.number, a.value, a.done_by, a.note, a.drill, a.police_window, a.supersedes,
       a.recorded_by, a.recorded_at, s.signed_by as second, s.signed_at as second_at, c.id as superseded_by,
       case when a.void then 'void' when c.id is not null then 'corrected'
            when a.kind = any (%(two)s) and s.attestation is null then 'unsigned' else 'stands' end as state,
       coalesce((select jsonb_agg(jsonb_build_object('n', t.n, 'name', t.name, 'sha256', encode(t.sha256, 'hex'), 'media_type', t.media_type,
                                                     'bytes', length(t.content), 'link', t.link) order by t.n)
                 from attestation_attachment t where t.attestation = a.id), '[]') as attachments
from institutions_in_scope(%(scope)s::jsonb) i
join attestation a on a.institution = i.key
left join zone z on z.key = a.zone
left join device d on d.key = a.device
left join attestation_second s on s.attestation = a.id
left join attestation c on c.supersedes = a.id
where i.partition >= 0
  and (%(id)s::uuid is null or a.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(kind)s::text is null or a.kind = %(kind)s)
  and (%(standing)s::boolean is null or (c.id is null and not a.void) = %(standing)s)
  and (%(unsigned)s::boolean is null
       or (a.kind = any (%(two)s) and s.attestation is null and c.id is null and not a.void) = %(unsigned)s)
  and (%(after_at)s::timestamptz is null or (a.at, a.id) < (%(after_at)s, %(after)s::uuid))
order by a.at desc, a.id desc
limit %(limit)s

-- name: lock
select a.id from attestation a where a.id = %(id)s for update

-- name: attachment
select t.name, t.media_type, t.content, encode(t.sha256, 'hex') as sha256
from attestation_attachment t where t.attestation = %(id)s and t.n = %(n)s and t.content is not null
