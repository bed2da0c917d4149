-- Lines have root alarms too; a cause that is known better afterwards stands beside what was said at the time; clocks of devices.

-- An alarm of a line stands at the edge before it (definition line_lost, instance: the endpoint).

-- where `cause` was amended: what was said while the silence lasted, and when more was known
alter table blindness
    add column said_cause text,
    add column said_evidence jsonb check (jsonb_typeof(said_evidence) = 'array'),
    add column amended_at timestamptz,
    add constraint blindness_amended check (
        (amended_at is null) = (said_cause is null) and (amended_at is null) = (said_evidence is null));
-- what an edge said of its starts, and of those of its machine, before it fell silent; what was weighed after its return is not weighed again
alter table blindness
    add column boots float8,
    add column machine_boots float8,
    add column settled boolean not null default false;
create index blindness_unsettled on blindness (until) where subject = 'client' and not settled;
create index blindness_of_device on blindness (device, since desc) where subject = 'client';
create index blindness_of_line on blindness (endpoint, since desc) where subject = 'line';

-- An alarm that may be the child of a root waits so long, from its last raise, before it is paged: one that a silent client alone makes (what is
-- wrong may be the path that many share), and one of a device that shares its line with others, unless one of them was heard long after it
-- fell silent (then the line lives). Everything else waits for nothing. Times of one edge are compared with each other only.
create or replace function hold_back(asked uuid) returns interval stable language sql as $$
    select coalesce((
        select greatest(interval '0', max(t.recorded_at) + interval '25 s' - now())
        from alarm a
        join device d on d.key = a.device
        left join device_state s on s.device = d.key
        join alarm_transition t on t.alarm = a.id and t.event = 'raise'
        where a.id = asked and a.signal_class = 'communication' and a.exercise is null
          and (exists (select from client c where c.device = a.device)
            or (d.endpoint is not null
              and exists (select from device o where o.endpoint = d.endpoint and o.key <> d.key and o.retired_at is null)
              and not exists (
                select from device o
                join device_state os on os.device = o.key
                join endpoint n on n.key = o.endpoint
                join client c on c.device = n.edge
                join stream m on m.client = c.name
                where o.endpoint = d.endpoint and o.key <> d.key and o.retired_at is null
                  and os.last_heard_at > s.last_heard_at + (m.beat_at - s.last_heard_at) * 0.67
                  and m.beat_at > s.last_heard_at)))), interval '0')
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
       coalesce(own.alarm, area.alarm, line.alarm) as root_alarm
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

-- What a device's own clock said against the clock of the process that received it: the newest that was worth a row.
create table device_clock (
    device int primary key references device on delete cascade,
    ahead double precision not null,
    said_at timestamptz not null,
    read_at timestamptz not null,
    reader text not null check (reader in ('edge', 'hub')),
    wrong boolean not null,
    since timestamptz not null
) with (fillfactor = 70);
