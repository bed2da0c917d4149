-- Why things are not seen: what is known of clients, lines and lanes, what was concluded of them, and the alarms of areas.

-- name: weighed
-- of the devices given those that are not heard, with the weighed cause
select v.device, v.cause, v.evidence, v.root_alarm from link_verdict v where v.device = any (%(devices)s)

-- what the lanes write of themselves ---------------------------------------------------------------------------------

-- name: listened
select listened_at from lane_watch where partition = %(partition)s and lane = %(lane)s

-- name: watch
insert into lane_watch (partition, lane, listened_at) values (%(partition)s, %(lane)s, %(at)s)
on conflict (partition, lane) do update set listened_at = greatest(lane_watch.listened_at, excluded.listened_at)

-- name: open_gap
insert into blindness (subject, partition, lane, cause, evidence, since)
values ('lane', %(partition)s, %(lane)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (partition, lane) where until is null and subject = 'lane'
do update set cause = excluded.cause, evidence = excluded.evidence, since = least(blindness.since, excluded.since)

-- name: close_gap
update blindness set until = greatest(since, %(until)s), cause = %(cause)s, evidence = %(evidence)s
where subject = 'lane' and partition = %(partition)s and lane = %(lane)s and until is null

-- name: sessions
update client c set session_ended_at = n.at
from (select * from unnest(%(clients)s::text[], %(at)s::timestamptz[]) as t(client, at) order by 1) n
where c.name = n.client

-- what the watcher looks at ------------------------------------------------------------------------------------------

-- name: lead
-- one watcher at a time, for the life of its connection
select pg_try_advisory_lock(%(class)s, 0)

-- name: stirred
-- whether anything moved since the last look, by the partial index of what is silent
select count(*), max(link_since) from device_state where link_cause in ('device', 'edge', 'uplink')

-- name: divisions
select code, parent from division

-- name: clients
select d.id::text as id, d.profile, i.id::text as institution, i.division, i.uplink, i.partition, s.link_state, s.link_cause,
       s.link_since, c.session_ended_at, (select max(m.updated_at) from stream m where m.client = c.name) as last
from client c
join device d on d.key = c.device
join institution i on i.key = d.institution
join device_state s on s.device = d.key
where c.revoked_at is null and d.retired_at is null and i.retired_at is null and s.last_heard_at is not null
  and s.admin_state in ('registered', 'commissioned', 'in_service')

-- name: mains
-- what watches the mains at these institutions, and what it said last
select d.id::text as device, i.id::text as institution, c.holds, c.since, c.judged_at
from unnest(%(profiles)s::text[], %(definitions)s::text[]) as t(profile, definition)
join alarm_condition c on c.definition = t.definition
join device d on d.key = c.device and d.profile = t.profile
join institution i on i.key = d.institution
where d.retired_at is null and i.id::text = any (%(institutions)s)

-- name: gaps
select partition, since, coalesce(until, %(now)s) as until
from blindness
where subject = 'lane' and lane = 'urgent' and coalesce(until, %(now)s) - since > %(longer)s
  and (until is null or until > %(now)s - interval '30 days')

-- name: open_clients
select b.key, d.id::text as client, b.area, b.cause, b.evidence
from blindness b join device d on d.key = b.device
where b.subject = 'client' and b.until is null

-- name: open_areas
select b.key, b.alarm, b.division, b.carrier, b.access, b.since, b.latest,
       (select array_agg(distinct i.id::text) from blindness m join device d on d.key = m.device join institution i on i.key = d.institution
        where m.area = b.key) as members,
       (select max(m.until) from blindness m where m.area = b.key) as last_return
from blindness b
where b.subject = 'area' and b.until is null

-- name: lines
-- all devices of every endpoint at which one is silent by itself, and the row that stands for it
select n.key, n.id::text as endpoint, d.key as device_key, d.id::text as id, d.profile, s.link_state, s.link_cause, s.last_heard_at,
       b.key as row, b.devices
from endpoint n
join device d on d.endpoint = n.key and d.retired_at is null
join device_state s on s.device = d.key and s.last_heard_at is not null and s.admin_state <> 'out_of_service'
left join blindness b on b.endpoint = n.key and b.subject = 'line' and b.until is null
where n.key in (select d.endpoint from device_state s join device d on d.key = s.device
                where s.link_cause = 'device' and s.link_state = 'offline' and d.endpoint is not null and d.retired_at is null
                union all
                select b.endpoint from blindness b where b.subject = 'line' and b.until is null)
order by n.key, d.key

-- name: returned
-- silences of undetermined cause that ended a minute ago or more: did the program start anew meanwhile?
select b.key, b.cause, b.evidence, p.received_at > b.since as restarted
from blindness b
join series s on s.device = b.device and s.point = 'boots'
join point_state p on p.series = s.key
where b.subject = 'client' and b.cause = 'undetermined' and b.area is null and b.since > %(now)s - interval '30 days'
  and b.until > %(now)s - interval '10 minutes' and b.until < %(now)s - interval '1 minute'

-- what the watcher writes --------------------------------------------------------------------------------------------

-- name: put_institution
insert into institution (id, division, type, title_zh, title_en, partition)
select %(id)s, d.code, 'path', d.title_zh || '（联网通路）', d.title_en || ' (shared paths)', -1 from division d where d.code = %(division)s
on conflict (id) do update set title_zh = excluded.title_zh
returning key

-- name: put_path
insert into device (id, institution, profile, kind, lane, settings)
values (%(id)s, %(institution)s, 'anxin-path', 'path', 'bulk', %(settings)s)
on conflict (id) do update set settings = excluded.settings
returning key

-- name: put_path_state
insert into device_state (device, admin_state, link_state, link_cause, link_since, function_state)
values (%(device)s, 'in_service', 'offline', 'edge', %(now)s, 'ok')
on conflict (device) do update set link_state = 'offline', link_cause = 'edge', link_since = %(now)s

-- name: path_back
update device_state set link_state = 'online', link_cause = '', link_since = %(now)s where device = %(device)s

-- name: top
select code from division where parent is null order by code limit 1

-- name: put_area
insert into blindness (subject, device, division, carrier, access, cause, evidence, since, latest)
values ('area', %(device)s, %(division)s, %(carrier)s, %(access)s, %(cause)s, %(evidence)s, %(since)s, %(latest)s)
returning key

-- name: give_alarm
update blindness set alarm = %(alarm)s where key = %(key)s

-- name: end_areas
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null returning key, device, alarm

-- name: put_clients
insert into blindness (subject, device, area, cause, evidence, since)
select 'client', d.key, x.area, x.cause, x.evidence, x.since
from jsonb_to_recordset(%(rows)s) as x(client text, area bigint, cause text, evidence jsonb, since timestamptz)
join device d on d.id = x.client
on conflict (device) where until is null and subject = 'client'
do update set area = coalesce(excluded.area, blindness.area), cause = excluded.cause, evidence = excluded.evidence

-- name: grow_areas
update blindness a set latest = greatest(a.latest, g.latest)
from (select m.area, max(m.since) as latest from blindness m where m.area = any (%(keys)s) and m.until is null group by m.area) g
where a.key = g.area

-- name: end_clients
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null

-- name: reweigh
update blindness set cause = %(cause)s, evidence = %(evidence)s where key = %(key)s

-- name: put_line
insert into blindness (subject, endpoint, devices, cause, evidence, since)
values ('line', %(endpoint)s, %(devices)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (endpoint) where until is null and subject = 'line'
do update set devices = excluded.devices, evidence = excluded.evidence

-- name: end_lines
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null

-- name: forget
delete from blindness where until < %(now)s - %(older)s and area is null and subject <> 'area' and key in (
    select key from blindness where until < %(now)s - %(older)s and subject <> 'area' order by key limit 10000)

-- name: say
-- to every institution that a conclusion is about
insert into change (kind, institution, payload)
select 'blindness', i.key, x.payload
from jsonb_to_recordset(%(rows)s) as x(institution text, payload jsonb) join institution i on i.id = x.institution

-- children -----------------------------------------------------------------------------------------------------------

-- name: children
-- active alarms of silent clients of an area that say nothing but that, and are not suppressed yet; not while nobody would be told of the root
select a.id
from blindness m
join blindness r on r.key = m.area and r.until is null and r.alarm is not null
join alarm a on a.device = m.device and a.ended_at is null and a.suppressed_by is null
join device d on d.key = a.device
join unnest(%(profiles)s::text[], %(definitions)s::text[]) as t(profile, definition) on t.profile = d.profile and t.definition = a.definition
where m.area = %(area)s and m.until is null and a.state in ('unack_active', 'ack_active')
  and a.signal_class not in ('fire', 'panic') and a.exercise is null
  and exists (select from escalation e where e.alarm = r.alarm and e.state <> 'uncovered')
order by a.id
limit %(limit)s

-- name: over
-- alarms that ended while a root suppressed them: nobody was told, nobody has to answer
select a.id from alarm a
where a.ended_at is null and a.suppressed_by = %(root)s and a.state = 'unack_cleared'
order by a.id limit %(limit)s

-- name: suppressed
-- what a root still hides
select a.id, a.state from alarm a where a.ended_at is null and a.suppressed_by = %(root)s order by a.id limit %(limit)s

-- name: orphaned
-- roots that have ended and still hide something: the process was killed between the two
select distinct a.suppressed_by as root
from alarm a
where a.ended_at is null and a.suppressed_by is not null
  and exists (select from blindness b where b.alarm = a.suppressed_by)
  and not exists (select from blindness b where b.alarm = a.suppressed_by and b.until is null)

-- name: standing_root
select id from alarm where device = %(device)s and definition = %(definition)s and ended_at is null

-- name: path_owner
select i.key, i.id::text as id from device d join institution i on i.key = d.institution where d.key = %(device)s

-- name: alarm_state
select state from alarm where id = %(alarm)s

-- name: announce
insert into change (kind, institution, payload) values (%(kind)s, %(institution)s, %(payload)s)
