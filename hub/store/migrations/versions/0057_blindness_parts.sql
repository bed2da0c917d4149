-- Switches and power feeds that fail: what hangs on them is declared (0053), and so they can be named as a cause.

--   part:   devices behind one edge that hang on a declared switch or power feed and fell silent together (edge, part, devices)
alter table blindness
    add column edge int references device,
    add column part text,
    drop constraint blindness_subject_check,
    drop constraint blindness_cause_check,
    add constraint blindness_subject_check check (subject in ('client', 'line', 'part', 'lane', 'area')),
    add constraint blindness_cause_check check (cause in
        ('line', 'switch', 'power_feed', 'edge', 'site_power', 'uplink', 'carrier', 'district', 'broker', 'hub', 'database', 'undetermined')),
    add constraint blindness_part check (case when subject = 'part' then edge is not null and part is not null and devices is not null
                                              else edge is null and part is null end);
create unique index blindness_standing_part on blindness (edge, part) where until is null and subject = 'part';
create index blindness_of_part on blindness (edge, key desc) where subject = 'part';
create index endpoint_edge on endpoint (edge);

create or replace view link_verdict as
select s.device,
       case when s.link_state = 'online' then ''
            when s.link_cause = 'device' then coalesce(part.cause, line.cause, 'device')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(own.cause, area.cause, client.cause, 'undetermined')
            else s.link_cause end as cause,
       case when s.link_state = 'online' then '[]'
            when s.link_cause = 'device' then coalesce(part.evidence, line.evidence, '[]')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(own.evidence, coalesce(area.evidence, '[]') || coalesce(client.evidence, '[]'))
            when s.link_cause in ('hub', 'broker', 'database') then coalesce(lane.evidence, '[]')
            else '[]' end as evidence,
       coalesce(own.alarm, area.alarm, part.alarm, line.alarm) as root_alarm
from device_state s
join device d on d.key = s.device
left join endpoint n on n.key = d.endpoint
left join device_state es on es.device = coalesce(n.edge, d.key)
left join blindness own on own.device = d.key and own.subject = 'area' and own.until is null
left join blindness client on client.device = coalesce(n.edge, d.key) and client.subject = 'client' and client.until is null
    and s.link_cause in ('edge', 'uplink')
left join blindness area on area.key = client.area and area.until is null
left join blindness line on line.endpoint = d.endpoint and line.subject = 'line' and line.until is null
    and s.link_cause = 'device' and d.key = any (line.devices)
left join institution i on i.key = d.institution and s.link_cause in ('hub', 'broker', 'database')
left join lateral (
    select b.evidence from blindness b
    where b.subject = 'lane' and b.partition = i.partition and b.lane = d.lane
    order by b.key desc limit 1
) lane on true
left join lateral (
    select b.cause, b.evidence, b.alarm from blindness b
    where b.subject = 'part' and b.until is null and b.edge = n.edge and s.link_cause = 'device' and d.key = any (b.devices)
    order by b.key limit 1
) part on true;

-- As before (0032); and so waits the alarm of a device that names the same switch or feed as others behind its edge, and that of the switch or feed
-- itself, unless one of these was heard long after it fell silent.
create or replace function holds_back(asked uuid[]) returns table (alarm uuid, held interval) stable language sql as $$
    with raised as materialized (
        select a.id, a.device, d.endpoint, n.edge, max(t.recorded_at) as at
        from alarm a
        join device d on d.key = a.device
        left join endpoint n on n.key = d.endpoint
        join alarm_transition t on t.alarm = a.id and t.event = 'raise'
        where a.id = any (asked) and a.signal_class = 'communication' and a.exercise is null
        group by a.id, a.device, d.endpoint, n.edge
    ), lines as materialized (
        select e.endpoint, count(*) as devices, max(s.last_heard_at) as newest, (
            select max(m.beat_at) from endpoint n join client c on c.device = n.edge join stream m on m.client = c.name
            where n.key = e.endpoint) as beat
        from (select distinct endpoint from raised where endpoint is not null) e
        join device o on o.endpoint = e.endpoint and o.retired_at is null
        join device_state s on s.device = o.key
        group by e.endpoint
    ), named as materialized (
        select r.id, r.edge, x.kind, x.name
        from raised r
        join device d on d.key = r.device
        cross join lateral (values ('switch', d.switch::text), ('power', d.powered_by::text), ('switch', d.id::text), ('power', d.id::text)) x(kind, name)
        where r.edge is not null and x.name is not null
    ), parts as materialized (
        select e.edge, x.kind, x.name, max(s.last_heard_at) as newest, (
            select max(m.beat_at) from client c join stream m on m.client = c.name where c.device = e.edge) as beat
        from (select distinct edge from raised where edge is not null) e
        join endpoint n on n.edge = e.edge
        join device o on o.endpoint = n.key and o.retired_at is null and (o.switch is not null or o.powered_by is not null)
        join device_state s on s.device = o.key
        cross join lateral (values ('switch', o.switch::text), ('power', o.powered_by::text)) x(kind, name)
        where x.name is not null
        group by e.edge, x.kind, x.name
        having count(*) > 1
    )
    select q.id, case
        when r.id is null then interval '0'
        when exists (select from client c where c.device = r.device)
            or (l.devices > 1 and not coalesce(l.newest > s.last_heard_at + (l.beat - s.last_heard_at) * 0.67, false))
            or exists (
                select from named x join parts p on (p.edge, p.kind, p.name) = (x.edge, x.kind, x.name)
                where x.id = q.id and not coalesce(p.newest > s.last_heard_at + (p.beat - s.last_heard_at) * 0.67, false))
            then greatest(interval '0', r.at + interval '25 s' - now())
        else interval '0' end
    from unnest(asked) q(id)
    left join raised r on r.id = q.id
    left join device_state s on s.device = r.device
    left join lines l on l.endpoint = r.endpoint
$$;
