-- A province to judge, plainly invented: bench.institutions says how many institutions; 24 zones and 56 devices of shipped profiles each, all in service
-- and well, views attested, plans signed, papers there.
set session_replication_role = replica;  -- no trigger: these rows are not anybody's change

insert into division values ('14', null, '某省', 'A province') on conflict do nothing;
insert into division select '14' || lpad(n::text, 2, '0'), '14', '市' || n, 'City ' || n from generate_series(1, 11) n on conflict do nothing;
insert into institution (id, division, type, title_zh, title_en, partition, capacity, calendar)
select 'place-' || n, '14' || lpad((1 + n % 11)::text, 2, '0'), (array['community_point', 'employer', 'home_based'])[1 + n % 3], '托' || n, 'Point ' || n, n % 8, 40,
       '{"weekly": {"mon": ["07:30-18:00"], "tue": ["07:30-18:00"], "wed": ["07:30-18:00"], "thu": ["07:30-18:00"], "fri": ["07:30-18:00"]}}'
from generate_series(1, current_setting('bench.institutions')::int) n;
insert into register_entry (filing_number, division, type, title_zh, title_en, capacity, institution)
select 'F-' || id, division, type, title_zh, title_en, 40, key from institution where id like 'place-%';
insert into zone (institution, id, purpose, title_zh, title_en, area_m2, floor)
select i.key, 'z-' || z.n, z.purpose, '区域' || z.n, 'Zone ' || z.n, 30 + z.n, 1 + z.n % 3
from institution i, unnest(array['activity_room', 'activity_room', 'activity_room', 'activity_room', 'nap_room', 'nap_room', 'nap_room', 'infant_room', 'feeding_area',
    'indoor_play', 'outdoor_play', 'reception', 'entrance', 'gate', 'corridor', 'stairs', 'lobby', 'office', 'kitchen', 'toilet', 'toilet', 'duty_room', 'storage',
    'nursing_room']) with ordinality z(purpose, n)
where i.id like 'place-%';
insert into zone_plan (institution) select key from institution where id like 'place-%';
insert into zone_plan_signature (id, institution, digest, plan, version, signed_by)
select gen_random_uuid(), institution, repeat('0', 64), '{}', version, 'bench' from zone_plan;
create temporary table kinds as
select k.profile, k.kind, k.lane, row_number() over () as n from (values
    ('hikvision-onvif', 'camera', 'bulk', 17), ('gb45839-smoke', 'smoke_detector', 'urgent', 22), ('adam-6050-button', 'panic_button', 'urgent', 3),
    ('ascii-line-door', 'access_controller', 'bulk', 3), ('gb26875-transmitter', 'fire_panel', 'urgent', 2), ('hikvision-recorder', 'recorder', 'bulk', 1),
    ('gb45839-gas', 'gas_detector', 'urgent', 2), ('apc-powernet-ups', 'ups', 'bulk', 1), ('shelly-plus-ht', 'environment_sensor', 'bulk', 4),
    ('acrel-asj10l', 'breaker', 'bulk', 1)) k(profile, kind, lane, many), generate_series(1, k.many);
insert into position (institution, id, zone, title_zh, title_en)
select i.key, 'p-' || k.n, z.key, '位', 'P' from institution i join kinds k on true join zone z on z.institution = i.key and z.id = 'z-' || case when k.kind = 'camera'
    then 1 + k.n % 17 else 1 + k.n % 24 end
where i.id like 'place-%';
insert into device (id, institution, position, profile, kind, lane)
select i.id || '-' || k.n, i.key, p.key, k.profile, k.kind, k.lane
from institution i join kinds k on true join position p on p.institution = i.key and p.id = 'p-' || k.n;
insert into device_state (device, admin_state, admin_since, link_state, link_since, function_state, function_since, last_heard_at, proven_at)
select key, 'in_service', now() - interval '90 days', 'online', now() - interval '1 day', 'ok', now() - interval '90 days', now(), now() - interval '9 days'
from device where id like 'place-%';
insert into camera_view (position, zone, share, masked, attested_at, attested_by, device)
select p.key, p.zone, 1, false, now() - interval '90 days', 'bench', d.key from device d join position p on p.key = d.position where d.kind = 'camera' and d.id like 'place-%';
insert into recording_state (device, institution, days, gap_seconds, bad_seconds, possible, read_at, installed_at, floor_days, outlook, counted_days, needed_days, full_at, updated_at)
select key, institution, 95, 0, 0, 95, now() - interval '1 hour', now() - interval '300 days', 90, 'holds', 90, 90, now(), now() from device where kind = 'camera' and id like 'place-%';
insert into attestation (id, institution, kind, at, number, recorded_by)
select gen_random_uuid(), i.key, k.kind, now() - k.ago, 'N-1', 'bench'
from institution i, (select 'patrol' as kind, n * interval '12 hours' as ago from generate_series(1, 16) n
                     union all select kind, interval '40 days' from unnest(current_setting('bench.kinds')::text[]) kind) k
where i.id like 'place-%';
reset session_replication_role;
analyze;
