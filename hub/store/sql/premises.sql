-- Floor plans, and what is seen where. `scope` as everywhere in the read side.

-- name: institution_key
select i.key from institutions_in_scope(%(scope)s::jsonb) i where i.id = %(institution)s

-- name: plans
select f.floor, f.media_type, f.width, f.height, length(f.image) as bytes, encode(f.sha256, 'hex') as sha256, f.updated_at, f.updated_by
from institutions_in_scope(%(scope)s::jsonb) i
join floor_plan f on f.institution = i.key
where i.id = %(institution)s
order by f.floor

-- name: plan
select f.floor, f.media_type, f.width, f.height, encode(f.sha256, 'hex') as sha256, f.image
from institutions_in_scope(%(scope)s::jsonb) i
join floor_plan f on f.institution = i.key
where i.id = %(institution)s and f.floor = %(floor)s

-- name: put_plan
insert into floor_plan as t (institution, floor, media_type, width, height, sha256, image, updated_by)
values (%(key)s, %(floor)s, %(media_type)s, %(width)s, %(height)s, sha256(%(image)s), %(image)s, %(actor)s)
on conflict (institution, floor) do update set
    media_type = excluded.media_type, width = excluded.width, height = excluded.height, sha256 = excluded.sha256,
    image = excluded.image, updated_at = now(), updated_by = excluded.updated_by

-- name: count_plans
select count(*) as n from floor_plan where institution = %(key)s

-- name: forget_plan
delete from floor_plan where institution = %(key)s and floor = %(floor)s returning floor

-- name: say
insert into change (kind, institution, payload) values ('registry', %(key)s, %(payload)s)

-- name: cameras
-- the cameras of the alarm's zone first, then the rest of its floor
select c.id as device, i.id as institution, i.video, z.id as zone, p.id as position, p.title_zh, p.title_en, z.title_zh as zone_zh,
       z.title_en as zone_en, z.key = az.key as same_zone, s.link_state
from alarm a
join institution i on i.key = a.institution
join device d on d.key = a.device
join position ap on ap.key = d.position
join zone az on az.key = ap.zone
join device c on c.institution = a.institution and c.kind = 'camera' and c.retired_at is null
join device_state s on s.device = c.key
join position p on p.key = c.position
join zone z on z.key = p.zone
where a.id = %(alarm)s and i.video is not null and (z.key = az.key or z.floor is not distinct from az.floor)
order by z.key = az.key desc, p.id
limit 12
