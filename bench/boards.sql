-- A province, plainly invented: bench.institutions says how many institutions, bench.days of how many days there are totals.
set session_replication_role = replica;  -- no trigger: these rows are not anybody's change

insert into division select * from (
    select '14' as code, null as parent, '某省' as zh, 'A province' as en
    union all select '14' || lpad(c::text, 2, '0'), '14', '市' || c, 'City ' || c from generate_series(1, 11) c
    union all select '14' || lpad(c::text, 2, '0') || lpad(k::text, 2, '0'), '14' || lpad(c::text, 2, '0'), '县' || k, 'County ' || k
        from generate_series(1, 11) c, generate_series(1, 10) k
    union all select '14' || lpad(c::text, 2, '0') || lpad(k::text, 2, '0') || lpad(t::text, 3, '0'),
                     '14' || lpad(c::text, 2, '0') || lpad(k::text, 2, '0'), '镇' || t, 'Town ' || t
        from generate_series(1, 11) c, generate_series(1, 10) k, generate_series(1, 5) t
) d on conflict do nothing;

create temporary table town as select code, row_number() over (order by code) - 1 as n from division where length(code) = 9;
insert into institution (id, division, type, title_zh, title_en, partition, latitude, longitude, capacity)
select 'i-' || lpad(s.n::text, 5, '0'), t.code, 'community_point', '托' || s.n, 'Point ' || s.n, s.n % 8, 36 + (s.n * 37 % 701) / 200.0, 112 + (s.n * 91 % 887) / 300.0, 40
from generate_series(1, current_setting('bench.institutions')::int) s(n) join town t on t.n = s.n % 550;
insert into register_entry (filing_number, division, type, title_zh, title_en, institution)
select 'F-' || i.id, i.division, i.type, i.title_zh, i.title_en, i.key from institution i where i.key > 0;
insert into register_entry (filing_number, division, type, title_zh, title_en)
select 'U-' || s.n, t.code, 'home_based', '未接入' || s.n, 'Not yet ' || s.n from generate_series(1, 500) s(n) join town t on t.n = s.n % 550;
insert into register_version (filing_number, since, division, type, title_zh, title_en, institution)
select filing_number, now() - interval '370 days', division, type, title_zh, title_en, institution from register_entry;
update institution set created_at = now() - interval '370 days', operator = '运营者 ' || key % 900 where key > 0;
insert into institution_group select 'g-' || n, '组' || n, 'Group ' || n from generate_series(1, 300) n;
insert into group_member select 'g-' || (1 + key % 300), key from institution where key > 0 and key % 2 = 0;
insert into zone (institution, id, purpose, title_zh, title_en, area_m2, floor)
select i.key, 'z-' || z, 'activity_room', '区域' || z, 'Zone ' || z, 30, 1 from institution i, generate_series(1, 8) z where i.key > 0;
insert into position (institution, id, zone, title_zh, title_en)
select z.institution, z.id || '-p-' || p, z.key, '位', 'P' from zone z, generate_series(1, 7) p;
insert into device (id, institution, position, profile, kind, lane)
select 'd-' || p.key, p.institution, p.key, 'p', (array['camera', 'smoke_detector', 'panic_button', 'access_controller', 'gas_detector', 'heat_detector', 'recorder'])[1 + p.key % 7], 'bulk'
from position p;
insert into device_state (device, admin_state, link_state, link_cause, function_state, last_heard_at, proven_at)
select d.key, 'in_service', case when d.key % 50 = 0 then 'offline' when d.key % 61 = 0 then 'unknown' else 'online' end,
       case when d.key % 50 = 0 then 'device' when d.key % 61 = 0 then 'never_seen' else '' end,
       case when d.key % 97 = 0 then 'failed' when d.key % 13 = 0 then 'unproven' else 'ok' end, now() - (d.key % 60) * interval '1 second', now()
from device d where d.key > 0;
insert into lane_watch select p, 'bulk', now(), now() + interval '50 min' from generate_series(0, 7) p on conflict do nothing;
insert into recording_state (device, institution, days, read_at, installed_at, floor_days, outlook, counted_days, needed_days, full_at, updated_at)
select d.key, d.institution, 88, now() - interval '1 hour', now() - interval '300 days', 90, (array['holds', 'short', 'unknown', 'growing'])[1 + d.key % 4],
       88, 90, now(), now()
from device d where d.kind = 'camera';

-- 60 rules of three kinds in four modules; 100 statements a rule
insert into statement
select sha256(convert_to(r || '/' || s, 'UTF8')), 'national', '1',
       jsonb_build_object('document', '某标准', 'number', 'GB 1', 'clause', r::text, 'clause_id', 'X-' || r, 'force', 'NORM', 'title_zh', '要求' || r, 'title_en', 'Requirement ' || r),
       '说明 ' || r || ' ' || s, 'Sentence ' || r || ' ' || s, '[]'
from generate_series(1, 60) r, generate_series(1, 100) s;
insert into finding (subject, institution, rule, basis, module, verdict, reason, statement, true_from, true_to, verdict_since, known_from)
select i.id, i.key, 'rule-' || r, (array['obligation', 'obligation', 'target', 'recommendation'])[1 + r % 4], (array['video', 'panic', 'access', 'fire'])[1 + r % 4],
       case when (i.key + r + c) % 23 = 0 then 'non_compliant' when (i.key + r + c) % 41 = 0 then 'unknown' else 'compliant' end, 'judged',
       sha256(convert_to(r || '/' || (1 + i.key % 100), 'UTF8')), x.since, x.until, x.since, x.since
from institution i, generate_series(1, 60) r, generate_series(0, 5) c,
     lateral (select now() - (365 - c * 61) * interval '1 day' as since, case when c < 5 then now() - (365 - (c + 1) * 61) * interval '1 day' end as until) x
where i.key > 0 and ((i.key + r) % 2 = 0 or c = 5);
insert into finding (subject, filing_number, rule, basis, module, verdict, reason, statement, true_from, verdict_since)
select 'register:' || e.filing_number, e.filing_number, 'rule-' || r, (array['obligation', 'obligation', 'target', 'recommendation'])[1 + r % 4],
       (array['video', 'panic', 'access', 'fire'])[1 + r % 4], 'unknown', 'not_connected', sha256(convert_to(r || '/1', 'UTF8')), now() - interval '300 days', now() - interval '300 days'
from register_entry e, generate_series(1, 60) r where e.institution is null;
insert into coverage_check select distinct subject, now() from finding;

create temporary table held as
select d.code, count(*)::int as register, count(e.institution)::int as connected
from division d join register_entry e on starts_with(e.division, d.code) where d.code <> '00' group by d.code;
insert into coverage_day
select (now() at time zone 'Asia/Shanghai')::date - n, 'division', h.code, h.register, h.connected, now(), 0, h.register / 4, h.register / 40, h.register / 50, now() + interval '1 day',
       (select jsonb_object_agg(b.name || '/' || m.name, jsonb_build_array(x.good, h.connected - x.good, h.register - h.connected, 0, 0, x.good * 9, h.connected - x.good, (h.register - h.connected) * 9, 0, 5))
        from unnest(array['obligation', 'target', 'recommendation']) with ordinality b(name, k), unnest(array['', 'video', 'panic', 'access', 'fire', 'retention', 'privacy', 'other']) with ordinality m(name, k),
             lateral (select floor(h.connected * (0.9 - n / 900.0 - b.k * 0.07 + m.k * 0.01 - (hashtext(h.code) & 7) / 60.0))::int as good) x)
from held h, generate_series(0, current_setting('bench.days')::int - 1) n;

insert into fire_risk (subject, institution, since, seen_at, score, certain, level, level_zh, level_en, hard, factors, weights)
select i.id, i.key, now() - n * interval '9 days', now() - (n - 1) * interval '9 days', (i.key * 7 + n * 13) % 101, (i.key * 7 + n * 13) % 101 / 2, 'low', '低', 'low',
       false, '{"rooms": [6, 3, 1, 1, "房间", "Rooms"], "exits": [8, 8, 1, 0, "出口", "Exits"]}', 'bench'
from institution i, generate_series(1, 40) n where i.key > 0;
-- looks of two days about the past day that is asked for, four a day; the boards look back one
insert into institution_look (institution, what, since, seen_at, body)
select i.key, b.what, x.since, x.since + interval '6 hours', b.body
from institution i
cross join generate_series(0, 7) n
cross join lateral (select now() - interval '151 days' + n * interval '6 hours' as since) x
cross join lateral (
    select 'devices' as what,
           jsonb_build_object('kinds', (select jsonb_object_agg(kind, '[8, 7, 1, 0, 0, 1]'::jsonb) from unnest(array['camera', 'smoke_detector', 'panic_button',
                                            'access_controller', 'gas_detector', 'heat_detector', 'recorder']) kind),
                              'down', (select jsonb_agg(jsonb_build_array('d-' || d, 'camera', 'z-1', 'offline', x.since, 'device', 'ok', x.since))
                                       from generate_series(1, 4) d), 'left_out', n) as body
    union all
    select 'recordings', jsonb_build_object('cameras', (select jsonb_agg(jsonb_build_array('d-' || d, 'z-1', null, 'holds', 88 + n, 90, 88, 0, 0, null)) from generate_series(1, 8) d),
                                            'read', (select jsonb_object_agg('d-' || d, x.since) from generate_series(1, 8) d))
) b
where i.key > 0;
insert into alarm (id, device, institution, definition, signal_class, priority, state, latching, raised_at, received_at, acknowledged_at, ended_at)
select gen_random_uuid(), d.key, d.institution, 'a' || n, (array['panic', 'fault', 'communication', 'fire', 'access'])[1 + (d.key + n) % 5],
       (array['critical', 'medium', 'low', 'critical', 'medium'])[1 + (d.key + n) % 5], 'normal', false, x.at, x.at, x.at + interval '40 s', x.at + interval '1 hour'
from device d, generate_series(1, 12) n, lateral (select now() - ((d.key * 7 + n * 31) % 365) * interval '1 day' as at) x
where d.key > 0 and d.key % 14 = 0;
insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, state, drafted_at, issued_at, issued_by, owner, due_at)
select i.key, 'rule-' || n, 'obligation', 'fire', '{}', '整改', 'Order', now() - interval '20 days', 7, 'issued', now() - interval '20 days', now() - interval '19 days',
       'bench', left(i.division, 6), now() - interval '12 days'
from institution i, generate_series(1, 3) n where i.key > 0;
insert into work_order_step (work_order, n, at, event, state, actor)
select id, 1, drafted_at, 'draft', 'draft', 'bench' from work_order union all select id, 2, issued_at, 'issue', 'issued', 'bench' from work_order;
insert into attestation (id, institution, kind, at, recorded_by)
select gen_random_uuid(), i.key, 'patrol', now() - n * interval '1 day', 'bench' from institution i, generate_series(1, 60) n where i.key > 0;
reset session_replication_role;
analyze;
