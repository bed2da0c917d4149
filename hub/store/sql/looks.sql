-- What devices and recordings of each institution looked like, kept for boards (table institution_look). Statements for some institutions (keys) at a time.

-- name: institutions
select key from institution where retired_at is null and partition >= 0 order by key

-- name: devices
-- Devices in service by kind: [in service, online, offline, unknown, failed, unproven]; and those not online or faulty, the first forty, as a board lists
-- them. A device is online only where its lane is listened to, as in dash.device_state.
with device_then as materialized (
    select d.institution, d.id::text as device, d.kind, z.id::text as zone, s.link_since, s.link_cause, s.function_state, s.last_heard_at,
           case when s.link_state = 'online' and (w.heard_at between now() - interval '30 seconds' and now() + interval '1 hour') is not true
                then 'unknown' else s.link_state end as link_state
    from device d
    join institution i on i.key = d.institution
    join device_state s on s.device = d.key
    left join lane_watch w on w.partition = i.partition and w.lane = d.lane
    left join position p on p.key = d.position
    left join zone z on z.key = p.zone
    where d.institution = any (%(keys)s) and d.retired_at is null and s.admin_state = 'in_service'
), counted as (
    select institution, jsonb_object_agg(kind, counts) as kinds
    from (select institution, kind,
                 jsonb_build_array(count(*), count(*) filter (where link_state = 'online'), count(*) filter (where link_state = 'offline'),
                                   count(*) filter (where link_state = 'unknown'), count(*) filter (where function_state = 'failed'),
                                   count(*) filter (where function_state = 'unproven')) as counts
          from device_then group by 1, 2) k
    group by institution
), down as (
    select institution, max(n) as n,
           jsonb_agg(jsonb_build_array(device, kind, zone, link_state, link_since, link_cause, function_state,
                                       case when link_state <> 'online' then last_heard_at end) order by place) filter (where place <= 40) as listed
    from (select t.*, count(*) over (partition by institution) as n,
                 row_number() over (partition by institution
                                    order by array_position(array['offline', 'unknown', 'online'], link_state), link_since, device) as place
          from device_then t where link_state <> 'online' or function_state in ('failed', 'degraded')) x
    group by institution
)
select k.key as institution,
       jsonb_build_object('kinds', coalesce(c.kinds, '{}'), 'down', coalesce(d.listed, '[]'), 'left_out', greatest(coalesce(d.n, 0) - 40, 0)) as body
from unnest(%(keys)s::int[]) as k(key)
left join counted c on c.institution = k.key
left join down d on d.institution = k.key

-- name: recordings
-- Of each camera, and of each recorder of which no camera is known, what dash.recording says of it; and when each was read: that alone is no other look.
select k.key as institution, jsonb_build_object('cameras', coalesce(r.cameras, '[]'), 'read', coalesce(r.read, '{}')) as body
from unnest(%(keys)s::int[]) as k(key)
left join (
    select r.institution,
           jsonb_agg(jsonb_build_array(d.id, z.id, e.id, r.outlook, round(r.counted_days::numeric, 1), r.needed_days, round(r.days::numeric, 1),
                                       round(r.gap_seconds::numeric, -2), round(r.bad_seconds::numeric, -2), date_trunc('day', r.short_at, 'Asia/Shanghai'))
                     order by d.id) as cameras,
           jsonb_object_agg(d.id, r.read_at) filter (where r.read_at is not null) as read
    from recording_state r
    join device d on d.key = r.device and d.retired_at is null
    left join device e on e.key = r.recorder
    left join position p on p.key = d.position
    left join zone z on z.key = p.zone
    where r.institution = any (%(keys)s)
    group by r.institution
) r on r.institution = k.key

-- name: lock
select pg_try_advisory_lock(%(key)s) as held

-- name: keep
-- What looks the same is seen again; what is other, was not looked at for a time, or is a day old begins a row of its own.
with said as (
    select * from jsonb_to_recordset(%(rows)s) as x(institution int, body jsonb)
), last as (
    select s.institution, r.since, r.seen_at > %(at)s::timestamptz - %(gap)s::interval and r.since > %(at)s::timestamptz - %(longest)s::interval
           and r.body - 'read' = s.body - 'read' as same
    from said s
    cross join lateral (select * from institution_look l where l.institution = s.institution and l.what = %(what)s order by l.since desc limit 1) r
), seen as (
    update institution_look l set seen_at = greatest(l.seen_at, %(at)s) from last t
    where t.same and l.what = %(what)s and l.institution = t.institution and l.since = t.since
)
insert into institution_look (institution, what, since, seen_at, body)
select s.institution, %(what)s, %(at)s, %(at)s, s.body
from said s left join last t on t.institution = s.institution
where t.same is not true and (t.since is null or t.since < %(at)s)
on conflict do nothing

-- name: forget
delete from institution_look
where ctid = any (array(select ctid from institution_look where what = %(what)s and since < %(before)s order by since limit %(limit)s))
