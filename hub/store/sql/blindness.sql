-- Why things are not seen: what is known of clients, lines and lanes, what was concluded of them, and the alarms of areas.

-- name: weighed
-- of the devices given those that are not heard, with the weighed cause
select v.device, v.cause, v.evidence, v.root_alarm from link_verdict v where v.device = any (%(devices)s)

-- name: silences
-- when a device was not seen, newest first, and why: its client, its line, or the hub itself; with what was said at the time where that was amended
with seen as (
    select d.key, d.endpoint, coalesce(n.edge, d.key) as client, i.partition, d.lane
    from device d join institution i on i.key = d.institution left join endpoint n on n.key = d.endpoint
    where d.key = %(device)s
)
select b.key, b.subject, coalesce(area.cause, b.cause) as cause, coalesce(area.evidence, '[]') || b.evidence as evidence, b.since, b.until,
       coalesce(area.alarm, b.alarm) as root_alarm, b.said_cause, b.said_evidence, b.amended_at
from (
    (select b.* from seen s join blindness b on b.subject = 'client' and b.device = s.client
     where %(before)s::bigint is null or b.key < %(before)s order by b.key desc limit %(limit)s)
    union all
    (select b.* from seen s join blindness b on b.subject = 'line' and b.endpoint = s.endpoint and s.key = any (b.devices)
     where %(before)s::bigint is null or b.key < %(before)s order by b.key desc limit %(limit)s)
    union all
    (select b.* from seen s join blindness b on b.subject = 'part' and b.edge = s.client and s.key = any (b.devices)
     where %(before)s::bigint is null or b.key < %(before)s order by b.key desc limit %(limit)s)
    union all
    (select b.* from seen s join blindness b on b.subject = 'lane' and b.partition = s.partition and b.lane = s.lane
     where %(before)s::bigint is null or b.key < %(before)s order by b.key desc limit %(limit)s)
) b
left join blindness area on area.key = b.area
order by b.key desc
limit %(limit)s

-- name: clocks
-- what is known of the clocks of these devices
select device, ahead as ahead_s, said_at, read_at, reader, wrong, since from device_clock where device = any (%(devices)s)

-- what the lanes write of themselves ---------------------------------------------------------------------------------

-- name: listened
select listened_at from lane_watch where partition = %(partition)s and lane = %(lane)s

-- name: watch
insert into lane_watch (partition, lane, listened_at, heard_at) values (%(partition)s, %(lane)s, %(at)s, clock_timestamp() - %(quiet)s::interval)
on conflict (partition, lane)
do update set listened_at = greatest(lane_watch.listened_at, excluded.listened_at), heard_at = excluded.heard_at

-- name: open_gap
insert into blindness (subject, partition, lane, cause, evidence, since)
values ('lane', %(partition)s, %(lane)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (partition, lane) where until is null and subject = 'lane'
do update set cause = excluded.cause, evidence = excluded.evidence, since = least(blindness.since, excluded.since)

-- name: close_gap
update blindness set until = greatest(since, %(until)s), cause = %(cause)s, evidence = %(evidence)s
where subject = 'lane' and partition = %(partition)s and lane = %(lane)s and until is null

-- name: sessions
-- Gives back those whose row somebody else holds: of them it is written next time.
with free as materialized (
    select c.name from client c where c.name = any (%(clients)s::text[]) order by c.name for update skip locked
), put as (
    update client c set session_ended_at = n.at
    from unnest(%(clients)s::text[], %(at)s::timestamptz[]) as n(client, at)
    where c.name = n.client and c.name in (select name from free)
)
select c.name from client c where c.name = any (%(clients)s::text[]) and c.name not in (select name from free)

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
-- all devices of every endpoint at which one is silent by itself or for which a row stands; `beat_at`: the newest beat of its edge, by its clock
select n.key, n.id::text as endpoint, d.key as device_key, d.id::text as id, d.profile, s.admin_state, s.link_state, s.link_cause, s.link_since,
       s.last_heard_at, n.edge,
       (select max(m.beat_at) from stream m join client c on c.name = m.client where c.device = n.edge) as beat_at
from endpoint n
join device d on d.endpoint = n.key and d.retired_at is null
join device_state s on s.device = d.key and s.last_heard_at is not null and s.admin_state <> 'out_of_service'
where n.key in (select d.endpoint from device_state s join device d on d.key = s.device
                where s.link_cause = 'device' and s.link_state = 'offline' and d.endpoint is not null and d.retired_at is null
                union all
                select b.endpoint from blindness b where b.subject = 'line' and b.until is null)
order by n.key, d.key

-- name: open_lines
select b.key, b.endpoint, b.devices, b.alarm from blindness b where b.subject = 'line' and b.until is null

-- name: parts
-- All devices of every institution in which two that hang on a switch or a feed are silent by themselves, one of them not for long, or for which a row
-- stands; and what each hangs on. What has been dead for long is not read again and again.
select d.institution, d.key as device_key, d.id::text as id, d.kind, d.profile, d.switch::text as switch, d.powered_by::text as powered_by,
       n.id::text as endpoint, n.edge, s.admin_state, s.link_state, s.link_cause, s.link_since, s.last_heard_at,
       (select max(m.beat_at) from stream m join client c on c.name = m.client where c.device = n.edge) as beat_at
from device d
left join endpoint n on n.key = d.endpoint
join device_state s on s.device = d.key
where d.retired_at is null and d.institution in (
    select d.institution from device_state s join device d on d.key = s.device
    where s.link_cause = 'device' and s.link_state = 'offline' and d.retired_at is null and (d.switch is not null or d.powered_by is not null)
    group by d.institution having count(*) > 1 and max(s.link_since) > %(now)s - interval '1 hour'
    union all
    select d.institution from blindness b join device d on d.key = b.edge where b.subject = 'part' and b.until is null)
order by d.institution, d.key

-- name: open_parts
select b.key, b.edge, b.part, b.devices, b.alarm from blindness b where b.subject = 'part' and b.until is null

-- name: put_part
insert into blindness (subject, edge, part, devices, cause, evidence, since)
values ('part', %(edge)s, %(part)s, %(devices)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (edge, part) where until is null and subject = 'part'
do update set devices = excluded.devices, evidence = excluded.evidence
returning key

-- name: end_parts
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null returning key, edge, part, cause, alarm

-- name: edge_place
-- the edge at which the alarm of a switch or feed stands
select d.key as device, d.id::text as name, d.profile, i.key as institution_key, i.id::text as institution
from device d join institution i on i.key = d.institution
where d.key = %(edge)s

-- name: line_place
-- the edge before an endpoint, at which the alarm of the line stands
select n.id::text as endpoint, d.key as device, d.id::text as name, d.profile, i.key as institution_key, i.id::text as institution
from endpoint n join device d on d.key = n.edge join institution i on i.key = d.institution
where n.key = %(endpoint)s

-- name: returned
-- silences of clients that ended a minute ago or more, and were not looked at since: what is known of them now. A program counts its starts and
-- those of its machine, and says both in its bulk lane: not before that has caught up with the urgent one. After a day nothing more is known.
select b.key, b.cause, b.evidence, b.since, b.until, d.institution, d.id::text as client, i.id::text as place, boots.value > b.boots as restarted,
       machine.value > b.machine_boots as rebooted, ended.text as last_end
from blindness b
join device d on d.key = b.device
join institution i on i.key = d.institution
left join series sb on sb.device = b.device and sb.point = 'boots'
left join point_state boots on boots.series = sb.key
left join series sm on sm.device = b.device and sm.point = 'machine_boots'
left join point_state machine on machine.series = sm.key
left join series se on se.device = b.device and se.point = 'last_end'
left join point_state ended on ended.series = se.key
cross join lateral (
    select max(m.beat_at) filter (where m.lane = 'bulk') >= max(m.beat_at) filter (where m.lane = 'urgent') - interval '1 minute' as all_came
    from stream m join client c on c.name = m.client where c.device = b.device
) lanes
where b.subject = 'client' and not b.settled and b.area is null and b.until < %(now)s - interval '1 minute'
  and (lanes.all_came is distinct from false or b.until < %(now)s - interval '1 day')
order by b.key limit 200

-- name: mains_between
-- what says of these institutions that the mains failed, from a day before the silence to its end: alarms, whose times are the devices' own
select x.key, d.id::text as device, a.raised_at
from unnest(%(keys)s::bigint[], %(institutions)s::int[], %(since)s::timestamptz[], %(until)s::timestamptz[]) as x(key, institution, since, until)
join device d on d.institution = x.institution
join unnest(%(profiles)s::text[], %(definitions)s::text[]) as t(profile, definition) on t.profile = d.profile
join alarm a on a.device = d.key and a.definition = t.definition and a.exercise is null
where a.raised_at between x.since - interval '1 day' and x.until and (a.cleared_at is null or a.cleared_at > x.since - interval '15 s')
order by a.raised_at

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
insert into blindness (subject, device, area, cause, evidence, since, boots, machine_boots)
select 'client', d.key, x.area, x.cause, x.evidence, x.since, said.boots, said.machine_boots
from jsonb_to_recordset(%(rows)s) as x(client text, area bigint, cause text, evidence jsonb, since timestamptz)
join device d on d.id = x.client
cross join lateral (
    select max(p.value) filter (where s.point = 'boots') as boots, max(p.value) filter (where s.point = 'machine_boots') as machine_boots
    from series s join point_state p on p.series = s.key
    where s.device = d.key and s.point in ('boots', 'machine_boots')
) said
on conflict (device) where until is null and subject = 'client'
do update set area = coalesce(excluded.area, blindness.area), cause = excluded.cause, evidence = excluded.evidence

-- name: grow_areas
update blindness a set latest = greatest(a.latest, g.latest)
from (select m.area, max(m.since) as latest from blindness m where m.area = any (%(keys)s) and m.until is null group by m.area) g
where a.key = g.area

-- name: end_clients
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null

-- name: amend
-- what is known now, beside what was said at the time
update blindness set said_cause = coalesce(said_cause, cause), said_evidence = coalesce(said_evidence, evidence), amended_at = %(now)s,
    cause = %(cause)s, evidence = %(evidence)s, settled = true
where key = %(key)s

-- name: settle
update blindness set settled = true where key = any (%(keys)s)

-- name: put_line
insert into blindness (subject, endpoint, devices, cause, evidence, since)
values ('line', %(endpoint)s, %(devices)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (endpoint) where until is null and subject = 'line'
do update set devices = excluded.devices, evidence = excluded.evidence
returning key

-- name: end_lines
update blindness set until = greatest(since, %(now)s) where key = any (%(keys)s) and until is null returning key, endpoint, alarm

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
-- active alarms that say nothing but that a client of an area, or a device of a line or a part, is silent, and are not suppressed yet, with the root
-- that explains them; none that is worse than the root, and none while nobody would be told of the root. A line that stood before the part that
-- explains it was known is a child of that.
with explained as materialized (
    select r.key, r.alarm as root, m.device, null::uuid as line
    from blindness r
    join lateral (
        select m.device from blindness m where m.area = r.key and m.until is null
        union all
        select unnest(r.devices)
    ) m on true
    where r.until is null and r.alarm is not null and r.subject in ('area', 'line', 'part') and (%(row)s::bigint is null or r.key = %(row)s)
    union all
    select r.key, r.alarm, a.device, l.alarm
    from blindness r
    join blindness l on l.subject = 'line' and l.until is null and l.devices <@ r.devices
    join alarm a on a.id = l.alarm
    where r.until is null and r.alarm is not null and r.subject = 'part' and (%(row)s::bigint is null or r.key = %(row)s)
)
select distinct on (a.id) a.id, m.root
from explained m
join alarm root on root.id = m.root
cross join lateral ( -- one look into the index for each device, whatever the planner knows of a table that has just filled up
    select a.* from alarm a
    where a.device = m.device and a.ended_at is null and a.suppressed_by is null and a.state in ('unack_active', 'ack_active')
      and a.signal_class not in ('fire', 'panic') and a.exercise is null
    offset 0
) a
join device d on d.key = a.device
left join unnest(%(profiles)s::text[], %(definitions)s::text[]) as t(profile, definition) on t.profile = d.profile and t.definition = a.definition
where (a.id = m.line or (m.line is null and t.profile is not null))
  and a.id <> m.root
  and (a.priority <> 'critical' or root.priority = 'critical')
  and exists (select from escalation e where e.alarm = m.root and e.state <> 'uncovered')
order by a.id
limit %(limit)s

-- name: hold
-- What is to be hidden, and is not yet, is not paged meanwhile: all of it at once, in the transaction that begins the root. Reckoned anew, by a
-- reading of the clock that nobody has compared (hub/store/steady.py).
update escalation_step s
set due_at = hub_clock() + %(longer)s, written_at = hub_clock(), written = pg_current_xact_id(), steady = false
where s.alarm = any (%(alarms)s::uuid[]) and s.state = 'due' and s.due_at < hub_clock() + %(longer)s

-- name: over
-- alarms that ended while a root that stands suppressed them: nobody was told, nobody has to answer
select a.id from blindness b join alarm a on a.suppressed_by = b.alarm and a.ended_at is null
where b.until is null and b.alarm is not null and a.state = 'unack_cleared'
order by a.id limit %(limit)s

-- name: orphaned
-- what hides under roots that have ended
select a.id
from alarm a
where a.ended_at is null and a.suppressed_by is not null
  and exists (select from blindness b where b.alarm = a.suppressed_by)
  and not exists (select from blindness b where b.alarm = a.suppressed_by and b.until is null)
order by a.id limit %(limit)s

-- name: standing_root
select id from alarm where device = %(device)s and definition = %(definition)s and instance = %(instance)s and ended_at is null

-- name: path_owner
select i.key, i.id::text as id from device d join institution i on i.key = d.institution where d.key = %(device)s

-- name: alarm_state
select state from alarm where id = %(alarm)s

-- name: announce
insert into change (kind, institution, payload) values (%(kind)s, %(institution)s, %(payload)s)
