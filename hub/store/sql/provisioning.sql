-- What a manifest is compared with, and how its changes are written. Rows come as one JSON array a kind, so that a manifest of a thousand
-- institutions costs a few statements. Every statement runs inside one transaction under the advisory lock `lock`.

-- name: lock
select pg_advisory_xact_lock(%(key)s)

-- name: acting
-- whose name stands in the history of whatever is saved in this transaction
select set_config('anxin.actor', %(actor)s, true)

-- name: partitions
select value::int from hub_setting where name = 'partitions'

-- what there is ----------------------------------------------------------------------------------------------------

-- name: divisions
with recursive upward as (
    select d.* from division d where d.code = any (%(divisions)s)
    union
    select d.* from division d join upward u on d.code = u.parent
)
select code, parent, title_zh, title_en from upward

-- name: institutions
select i.id::text as id, i.division, i.type, i.title_zh, i.title_en, i.capacity, i.latitude, i.longitude, i.operator, i.uplink, i.calendar,
       i.contacts, i.video, coalesce((select jsonb_object_agg(e.scheme, e.value) from institution_external_id e where e.institution = i.key), '{}') as external_ids,
       r.filing_number
from institution i
left join register_entry r on r.institution = i.key and r.removed_at is null
where i.retired_at is null
  and (i.id::text = any (%(institutions)s)
       or r.filing_number = any (%(filing_numbers)s)
       or i.key in (select p.institution from policy p where p.retired_at is null)
       or i.key in (select r.institution from rota r where r.retired_at is null))

-- name: retired_institutions
select id::text as id, division from institution where id::text = any (%(listed)s) and retired_at is not null

-- name: memberships
select i.id::text as institution, array_agg(m.group_id::text) as groups
from group_member m join institution i on i.key = m.institution
where i.id::text = any (%(institutions)s) or i.key in (select p.institution from policy p where p.retired_at is null)
   or i.key in (select r.institution from rota r where r.retired_at is null)
group by i.id

-- name: register_entries
select r.filing_number, r.division, r.type, r.title_zh, r.title_en, r.capacity, r.credit_code
from register_entry r
where r.removed_at is null and r.filing_number = any (%(filing_numbers)s)

-- name: groups
select g.id::text as id, g.title_zh, g.title_en,
       coalesce(array_agg(i.id::text order by i.id::text collate "C") filter (where i.id is not null), '{}') as institutions
from institution_group g
left join group_member m on m.group_id = g.id
left join institution i on i.key = m.institution
where g.id::text = any (%(groups)s)
group by g.id

-- name: zones
select i.id::text as institution, z.id::text as id, z.purpose, z.title_zh, z.title_en, z.area_m2, z.floor, z.entrances, z.ages
from zone z join institution i on i.key = z.institution
where z.retired_at is null and i.id::text = any (%(listed)s)

-- name: positions
select i.id::text as institution, p.id::text as id, z.id::text as zone, p.title_zh, p.title_en, p.plan_x, p.plan_y,
       coalesce((select jsonb_agg(jsonb_build_object('zone', s.id::text, 'share', v.share, 'masked', v.masked) order by s.id::text collate "C")
                 from camera_view v join zone s on s.key = v.zone and s.retired_at is null where v.position = p.key), '[]') as sees
from position p join institution i on i.key = p.institution join zone z on z.key = p.zone
where p.retired_at is null and i.id::text = any (%(listed)s)

-- name: endpoints
select i.id::text as institution, n.id::text as id, n.driver, e.id::text as edge, n.settings
from endpoint n join institution i on i.key = n.institution join device e on e.key = n.edge
where n.retired_at is null and i.id::text = any (%(listed)s)

-- name: devices
select i.id::text as institution, d.id::text as id, d.profile, p.id::text as position, n.id::text as endpoint, d.settings, d.kind, d.lane,
       d.dials_police, d.recorded_by::text as recorded_by, d.switch::text as switch, d.powered_by::text as powered_by
from device d
join institution i on i.key = d.institution
left join position p on p.key = d.position
left join endpoint n on n.key = d.endpoint
where d.retired_at is null and i.id::text = any (%(listed)s)

-- name: owners
select d.id::text as id, i.id::text as institution
from device d join institution i on i.key = d.institution
where d.id::text = any (%(ids)s)

-- name: external
select e.scheme, e.value, i.id::text as institution
from institution_external_id e
join institution i on i.key = e.institution
join unnest(%(schemes)s::text[], %(values)s::text[]) as asked(scheme, value) using (scheme, value)

-- name: now
select now() as at

-- name: guarded
select i.id::text as institution, i.division, array_agg(distinct d.profile order by d.profile) as profiles, i.type,
       coalesce((select array_agg(m.group_id::text order by m.group_id::text) from group_member m where m.institution = i.key), '{}') as groups
from device d join institution i on i.key = d.institution
where d.retired_at is null and d.lane = 'urgent' and i.key > 0 and not i.id::text = any (%(listed)s)
group by i.key, i.id, i.division, i.type

-- what changes -----------------------------------------------------------------------------------------------------

-- name: put_division
insert into division as t (code, parent, title_zh, title_en)
select id, parent, title_zh, title_en
from jsonb_to_recordset(%(rows)s) as x(id text, parent text, title_zh text, title_en text)
on conflict (code) do update set
    parent = excluded.parent, title_zh = excluded.title_zh, title_en = excluded.title_en, version = t.version + 1

-- name: put_institution
insert into institution as t
    (id, division, type, title_zh, title_en, capacity, latitude, longitude, operator, uplink, calendar, contacts, video,
     partition)
select id, division, type, title_zh, title_en, capacity, latitude, longitude, operator, nullif(uplink, 'null'::jsonb), nullif(calendar, 'null'::jsonb),
       contacts, video, partition
from jsonb_to_recordset(%(rows)s) as x(id text, division text, type text, title_zh text, title_en text, capacity int,
    latitude float8, longitude float8, operator text, uplink jsonb, calendar jsonb, contacts jsonb, video text, partition int)
on conflict (id) do update set
    division = excluded.division, type = excluded.type, title_zh = excluded.title_zh, title_en = excluded.title_en,
    capacity = excluded.capacity, latitude = excluded.latitude, longitude = excluded.longitude, operator = excluded.operator,
    uplink = excluded.uplink, calendar = excluded.calendar, contacts = excluded.contacts, video = excluded.video, version = t.version + 1, retired_at = null

-- name: forget_external_ids
delete from institution_external_id e
using institution i
where i.key = e.institution and i.id::text = any (%(ids)s)

-- name: put_external_ids
insert into institution_external_id (scheme, value, institution)
select e.key, e.value, i.key
from jsonb_to_recordset(%(rows)s) as x(id text, external_ids jsonb)
join institution i on i.id = x.id
cross join lateral jsonb_each_text(x.external_ids) as e

-- name: put_register_entry
insert into register_entry as t (filing_number, division, type, title_zh, title_en, capacity, credit_code)
select id, division, type, title_zh, title_en, capacity, credit_code
from jsonb_to_recordset(%(rows)s) as x(id text, division text, type text, title_zh text, title_en text, capacity int, credit_code text)
on conflict (filing_number) do update set
    division = excluded.division, type = excluded.type, title_zh = excluded.title_zh, title_en = excluded.title_en,
    capacity = excluded.capacity, credit_code = excluded.credit_code, version = t.version + 1, removed_at = null

-- name: unfile
update register_entry r set institution = null, version = r.version + 1
from institution i
where i.key = r.institution and i.id::text = any (%(ids)s)

-- name: file
update register_entry r set institution = i.key, version = r.version + 1
from jsonb_to_recordset(%(rows)s) as x(id text, filing_number text)
join institution i on i.id = x.id
where r.filing_number = x.filing_number

-- name: put_group
insert into institution_group as t (id, title_zh, title_en)
select id, title_zh, title_en from jsonb_to_recordset(%(rows)s) as x(id text, title_zh text, title_en text)
on conflict (id) do update set title_zh = excluded.title_zh, title_en = excluded.title_en, version = t.version + 1

-- name: forget_members
delete from group_member where group_id::text = any (%(ids)s)

-- name: put_members
insert into group_member (group_id, institution)
select x.id, i.key
from jsonb_to_recordset(%(rows)s) as x(id text, institutions jsonb)
cross join lateral jsonb_array_elements_text(x.institutions) as m(id)
join institution i on i.id = m.id

-- name: put_zone
insert into zone as t (institution, id, purpose, title_zh, title_en, area_m2, floor, entrances, ages)
select i.key, x.id, purpose, x.title_zh, x.title_en, area_m2, floor, entrances, ages
from jsonb_to_recordset(%(rows)s)
    as x(institution text, id text, purpose text, title_zh text, title_en text, area_m2 float8, floor int, entrances text[], ages text[])
join institution i on i.id = x.institution
on conflict (institution, id) do update set
    purpose = excluded.purpose, title_zh = excluded.title_zh, title_en = excluded.title_en, area_m2 = excluded.area_m2,
    floor = excluded.floor, entrances = excluded.entrances, ages = excluded.ages, version = t.version + 1, retired_at = null

-- name: put_position
insert into position as t (institution, id, zone, title_zh, title_en, plan_x, plan_y)
select i.key, x.id, z.key, x.title_zh, x.title_en, x.plan_x, x.plan_y
from jsonb_to_recordset(%(rows)s)
         as x(institution text, id text, zone text, title_zh text, title_en text, plan_x float8, plan_y float8)
join institution i on i.id = x.institution
join zone z on z.institution = i.key and z.id = x.zone
on conflict (institution, id) do update set
    zone = excluded.zone, title_zh = excluded.title_zh, title_en = excluded.title_en, plan_x = excluded.plan_x,
    plan_y = excluded.plan_y, version = t.version + 1, retired_at = null

-- name: put_endpoint
insert into endpoint as t (institution, id, driver, edge, settings)
select i.key, x.id, driver, e.key, x.settings
from jsonb_to_recordset(%(rows)s) as x(institution text, id text, driver text, edge text, settings jsonb)
join institution i on i.id = x.institution
join device e on e.id = x.edge and e.institution = i.key
on conflict (institution, id) do update set
    driver = excluded.driver, edge = excluded.edge, settings = excluded.settings, version = t.version + 1, retired_at = null

-- name: make_room
-- Two devices may change places: nobody holds a position while the new ones are written.
update device set position = null where id::text = any (%(ids)s)

-- name: put_device
insert into device as t (id, institution, position, endpoint, profile, kind, lane, settings, dials_police, recorded_by, switch, powered_by)
select x.id, i.key, p.key, n.key, x.profile, x.kind, x.lane, x.settings, x.dials_police, x.recorded_by, x.switch, x.powered_by
from jsonb_to_recordset(%(rows)s) as x(institution text, id text, position text, endpoint text, profile text, kind text, lane text,
                                       settings jsonb, dials_police boolean, recorded_by text, switch text, powered_by text)
join institution i on i.id = x.institution
left join position p on p.institution = i.key and p.id = x.position
left join endpoint n on n.institution = i.key and n.id = x.endpoint
on conflict (id) do update set
    position = excluded.position, endpoint = excluded.endpoint, profile = excluded.profile, kind = excluded.kind, lane = excluded.lane,
    settings = excluded.settings, dials_police = excluded.dials_police, recorded_by = excluded.recorded_by,
    switch = excluded.switch, powered_by = excluded.powered_by, version = t.version + 1, retired_at = null

-- name: begin_state
-- A new device is registered; an edge is in service at once: nothing at the institution can be tested without it. One that was retired begins again.
insert into device_state as t (device, admin_state)
select d.key, case when d.kind = 'edge' then 'in_service' else 'registered' end
from device d where d.id::text = any (%(ids)s)
on conflict (device) do update set
    admin_state = excluded.admin_state, admin_since = now(), link_state = 'unknown', link_since = now(), link_cause = 'never_seen',
    last_heard_at = null, function_state = 'unproven', function_since = now(), function_reason = '', proven_at = null, proven = null

-- name: test_again
update device_state s set
    admin_state = case when s.admin_state in ('commissioned', 'in_service') then 'registered' else s.admin_state end,
    admin_since = case when s.admin_state in ('commissioned', 'in_service') then now() else s.admin_since end,
    function_state = 'unproven', function_since = now(), function_reason = 'changed by a manifest', proven_at = null, proven = null
from device d
where d.key = s.device and d.id::text = any (%(ids)s)

-- name: behind_endpoints
select d.id::text as id
from jsonb_to_recordset(%(rows)s) as x(institution text, id text)
join institution i on i.id = x.institution
join endpoint n on n.institution = i.key and n.id = x.id
join device d on d.endpoint = n.key and d.retired_at is null

-- name: put_client
-- A client that was revoked begins again without a password: it needs a new bundle.
insert into client as t (name, device)
select d.id, d.key from device d where d.id::text = any (%(ids)s)
on conflict (name) do update set password_hash = null, issued_at = null, revoked_at = null
where t.revoked_at is not null

-- name: revoke_client
update client set revoked_at = now() where name::text = any (%(ids)s) and revoked_at is null

-- name: retire_device
update device set retired_at = now(), version = version + 1 where id::text = any (%(ids)s) and retired_at is null

-- name: retire_state
update device_state s set admin_state = 'retired', admin_since = now()
from device d where d.key = s.device and d.id::text = any (%(ids)s)

-- name: end_tests
update device_test t set state = 'expired', finished_at = now(), detail = 'the device was retired'
from device d where d.key = t.device and d.id::text = any (%(ids)s) and t.finished_at is null

-- name: sounding
-- Alarms whose condition would hold for ever: nothing will be heard of their device any more.
select a.id, now() as at
from alarm a join device d on d.key = a.device
where d.id::text = any (%(ids)s) and a.state in ('unack_active', 'ack_active')
order by a.id

-- name: retire_endpoint
update endpoint t set retired_at = now(), version = t.version + 1
from jsonb_to_recordset(%(rows)s) as x(institution text, id text) join institution i on i.id = x.institution
where t.institution = i.key and t.id = x.id

-- name: retire_position
update position t set retired_at = now(), version = t.version + 1
from jsonb_to_recordset(%(rows)s) as x(institution text, id text) join institution i on i.id = x.institution
where t.institution = i.key and t.id = x.id

-- name: retire_zone
update zone t set retired_at = now(), version = t.version + 1
from jsonb_to_recordset(%(rows)s) as x(institution text, id text) join institution i on i.id = x.institution
where t.institution = i.key and t.id = x.id

-- name: retire_institution
update institution set retired_at = now(), version = version + 1 where id::text = any (%(ids)s)

-- name: retire_register_entry
update register_entry set removed_at = now(), institution = null, version = version + 1 where filing_number = any (%(ids)s)

-- name: note_change
insert into change (kind, institution, payload)
select 'registry', i.key, x.payload
from jsonb_to_recordset(%(rows)s) as x(institution text, payload jsonb)
left join institution i on i.id = x.institution

-- name: announce_clients
select pg_notify('anxin_clients', '')

-- bundles ----------------------------------------------------------------------------------------------------------

-- name: client
select d.id::text as id, i.id::text as institution, i.division, i.partition, d.profile,
       coalesce((select array_agg(m.group_id::text) from group_member m where m.institution = i.key), '{}') as groups
from client c
join device d on d.key = c.device
join institution i on i.key = d.institution
where c.name = %(name)s and c.revoked_at is null and d.retired_at is null
for update of c

-- name: behind
select n.id::text as endpoint, n.driver, n.settings as endpoint_settings, d.id::text as device, d.profile, d.lane, d.settings,
       z.id::text as zone, coalesce(s.admin_state = 'out_of_service', false) as out_of_service
from endpoint n
join device e on e.key = n.edge
left join device d on d.endpoint = n.key and d.retired_at is null
left join device_state s on s.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where e.id = %(name)s and n.retired_at is null
order by n.id::text, d.id::text

-- name: edge_settings
select settings from device where id = %(name)s

-- name: issue
update client set password_hash = %(password_hash)s, issued_at = now() where name = %(name)s
