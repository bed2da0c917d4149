-- Areas: until when their sites fell silent, and how long an alarm waits for one to be found.

-- the last message of the site of an area that fell silent last
alter table blindness add column latest timestamptz check ((subject = 'area') = (latest is not null));

-- An alarm that a silent client alone makes waits so long, from its last raise, before it is paged: what is wrong may be the path that
-- many share. Everything else waits for nothing.
drop function hold_back(text, int);
create function hold_back(asked uuid) returns interval stable language sql as $$
    select coalesce((
        select greatest(interval '0', max(t.recorded_at) + interval '25 s' - now())
        from alarm a
        join client c on c.device = a.device
        join alarm_transition t on t.alarm = a.id and t.event = 'raise'
        where a.id = asked and a.signal_class = 'communication' and a.exercise is null), interval '0')
$$;

create or replace view link_verdict as
select s.device,
       case when s.link_state = 'online' then ''
            when s.link_cause = 'device' then coalesce(line.cause, 'device')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(own.cause, area.cause, client.cause, 'undetermined')
            else s.link_cause end as cause,
       case when s.link_state = 'online' then '[]'
            when s.link_cause = 'device' then coalesce(line.evidence, '[]')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(own.evidence, coalesce(area.evidence, '[]') || coalesce(client.evidence, '[]'))
            when s.link_cause in ('hub', 'broker', 'database') then coalesce(lane.evidence, '[]')
            else '[]' end as evidence,
       coalesce(own.alarm, area.alarm) as root_alarm
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
) lane on true;
