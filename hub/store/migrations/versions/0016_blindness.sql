-- Blindness: why something is not seen. The path of an institution, what is concluded of clients, lines, lanes and areas, with evidence.

-- by which way an institution reaches the hub: {"carrier": …, "access": …}; null: nobody said
alter table institution add column uplink jsonb check (jsonb_typeof(uplink -> 'carrier') = 'string');

-- when the broker said that the newest session of a client had ended; null while one lives, or nobody said
alter table client add column session_ended_at timestamptz;

-- When each lane last listened: after a restart the hub knows since when it had been blind.
create table lane_watch (
    partition int not null,
    lane text not null check (lane in ('urgent', 'bulk')),
    listened_at timestamptz not null,
    primary key (partition, lane)
) with (fillfactor = 50);

-- One row: something was not seen from `since` until `until`, and why.
--   client: an edge, or a device that speaks for itself (device); `area` is the row that explains it
--   line:   all devices of an endpoint that fell silent together (endpoint, devices)
--   lane:   the hub itself did not listen (partition, lane)
--   area:   many institutions at once (device: the synthetic one of kind path that its alarm stands at; alarm)
create table blindness (
    key bigint generated always as identity primary key,
    subject text not null check (subject in ('client', 'line', 'lane', 'area')),
    device int references device,
    endpoint int references endpoint,
    devices int[],
    partition int,
    lane text check (lane in ('urgent', 'bulk')),
    area bigint references blindness,
    alarm uuid references alarm,
    division text references division,
    carrier text,
    access text,
    cause text not null check (cause in
        ('line', 'edge', 'site_power', 'uplink', 'carrier', 'district', 'broker', 'hub', 'database', 'undetermined')),
    evidence jsonb not null check (jsonb_typeof(evidence) = 'array'),
    since timestamptz not null,
    until timestamptz,
    noted_at timestamptz not null default now(),
    check (until is null or until >= since),
    check ((subject in ('client', 'area')) = (device is not null)),
    check ((subject = 'line') = (endpoint is not null and devices is not null)),
    check ((subject = 'lane') = (partition is not null and lane is not null)),
    check (area is null or subject = 'client')
);
create unique index blindness_client on blindness (device) where until is null and subject = 'client';
create unique index blindness_area on blindness (device) where until is null and subject = 'area';
create unique index blindness_line on blindness (endpoint) where until is null and subject = 'line';
create unique index blindness_lane on blindness (partition, lane) where until is null and subject = 'lane';
create index blindness_lane_recent on blindness (partition, lane, key desc) where subject = 'lane';
create index blindness_members on blindness (area) where area is not null;
create index blindness_since on blindness (since desc, key desc);

-- what liveness says of it, before it is weighed
alter table device_state add constraint device_state_link_cause check (link_cause in
    ('', 'device', 'edge', 'uplink', 'hub', 'broker', 'database', 'never_seen', 'unplaced', 'profile_missing')) not valid;
create index device_state_silent on device_state (link_cause) where link_cause in ('device', 'edge', 'uplink');

-- The cause of every device's link state with its evidence. A client that is not heard is `undetermined` until it was weighed.
create view link_verdict as
select s.device,
       case when s.link_state = 'online' then ''
            when s.link_cause = 'device' then coalesce(line.cause, 'device')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(area.cause, client.cause, 'undetermined')
            else s.link_cause end as cause,
       case when s.link_state = 'online' then '[]'
            when s.link_cause = 'device' then coalesce(line.evidence, '[]')
            when s.link_cause in ('edge', 'uplink') and es.link_state <> 'online'
                then coalesce(area.evidence, '[]') || coalesce(client.evidence, '[]')
            when s.link_cause in ('hub', 'broker', 'database') then coalesce(lane.evidence, '[]')
            else '[]' end as evidence,
       area.alarm as root_alarm
from device_state s
join device d on d.key = s.device
left join endpoint n on n.key = d.endpoint
left join device_state es on es.device = coalesce(n.edge, d.key)
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

-- An alarm that a silent client alone makes waits so long before it is paged: what is wrong may be the path that many share.
create function hold_back(signal_class text, alarmed int) returns interval stable language sql as $$
    select case when signal_class = 'communication' and exists (select from client c where c.device = alarmed)
                then interval '25 s' else interval '0' end
$$;

-- what Grafana reads: the weighed cause; the synthetic institutions of areas are no subjects of coverage
create or replace view dash.subject with (security_barrier) as
select s.*, s.institution is not null as connected, c.checked_at
from (
    select coalesce(i.id::text, 'register:' || e.filing_number) as subject, e.filing_number, i.id::text as institution,
           coalesce(i.division, e.division) as division, coalesce(i.type, e.type) as type,
           coalesce(i.title_zh, e.title_zh) as title_zh, coalesce(i.title_en, e.title_en) as title_en
    from register_entry e left join institution i on i.key = e.institution and i.retired_at is null
    where e.removed_at is null and e.filing_number in (select dash.entries())
    union all
    select i.id::text, null, i.id::text, i.division, i.type, i.title_zh, i.title_en
    from institution i
    where i.retired_at is null and i.partition >= 0 and i.key in (select dash.institutions())
      and not exists (select from register_entry e where e.institution = i.key and e.removed_at is null)
) s
left join coverage_check c on c.subject = s.subject;

create or replace view dash.device with (security_barrier) as
select d.id::text as device, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       z.title_zh as zone_zh, z.title_en as zone_en, z.purpose, d.kind, d.profile, d.lane, s.admin_state, s.link_state, s.link_since,
       v.cause as link_cause, s.function_state, s.function_since, s.last_heard_at
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
join link_verdict v on v.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and i.partition >= 0 and d.institution in (select dash.institutions());
