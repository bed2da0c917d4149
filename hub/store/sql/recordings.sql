-- The proof of recordings: days of China rolled up from readings, and the state that follows. `recorders`, `cameras`: names of profiles.

-- name: lock
select pg_try_advisory_lock(%(key)s) as held

-- name: institutions
select key, id::text as id, division, type from institution where retired_at is null and key > %(after)s order by key limit %(limit)s

-- name: devices
-- In service, and since when for the first time: of this unit, or of one that stood at the same position before it (a swap makes nothing young).
select d.key, d.id::text as id, d.institution, d.recorded_by::text as recorded_by,
       d.profile = any (%(cameras)s) as is_camera, d.profile = any (%(recorders)s) as is_recorder,
       coalesce((select min(b.at) from device x join service_begin b on b.device = x.key
                 where x.position = d.position and x.kind = d.kind), b.at, s.admin_since) as installed_at
from device d
join device_state s on s.device = d.key
left join service_begin b on b.device = d.key
where d.institution = any (%(institutions)s) and d.retired_at is null and s.admin_state = 'in_service'
  and d.profile = any (%(cameras)s || %(recorders)s)

-- name: roll_figures
-- What each recorder last said of itself on that day; later than the last roll of the day it may be another. When its newest picture was taken is what it
-- said last within 24 hours, and not known where that was a bad value: what it said before that holds no more.
insert into recording_day as t (device, day, days, gap_seconds, read_at, newest_at)
select s.device, %(day)s, max(greatest(0, r.value)) filter (where s.point = 'days'),
       max(greatest(0, r.value)) filter (where s.point = 'gap_seconds'), max(r.at) filter (where s.point = 'days'),
       max(r.at - make_interval(secs => least(greatest(0, r.value), 1e9))) filter (where s.point = 'newest_age' and r.quality < 200 and r.value is not null)
from series s
cross join lateral (
    select value, at, quality from reading
    where series_id = s.key and at >= %(end)s::timestamptz - interval '1 day' and at < %(end)s
      and (s.point = 'newest_age' or (at >= %(begin)s and quality < 200 and value is not null))
    order by at desc limit 1
) r
where s.device = any (%(devices)s) and s.point in ('days', 'gap_seconds', 'newest_age') and s.instance = ''
group by s.device
on conflict (device, day) do update set days = excluded.days, gap_seconds = excluded.gap_seconds, read_at = excluded.read_at,
    newest_at = excluded.newest_at
where (t.days, t.gap_seconds, t.read_at, t.newest_at) is distinct from (excluded.days, excluded.gap_seconds, excluded.read_at, excluded.newest_at)

-- name: roll_bad
-- Seconds of the day without a usable picture: black or frozen more than 99 of 100, or no stream. A value holds until the next one.
insert into recording_day as t (device, day, bad_seconds)
select device, %(day)s, sum(extract(epoch from upper(span) - lower(span)))
from (
    select device, unnest(range_agg(tstzrange(greatest(at, %(begin)s), until))) as span
    from (
        select s.device, s.point, r.value, r.at, coalesce(lead(r.at) over (partition by s.key order by r.at), %(end)s) as until
        from series s
        cross join lateral (
            (select value, at from reading
             where series_id = s.key and at < %(begin)s and at >= %(begin)s - interval '2 days' and quality < 200 and value is not null
             order by at desc limit 1)
            union all
            select value, at from reading
            where series_id = s.key and at >= %(begin)s and at < %(end)s and quality < 200 and value is not null
        ) r
        where s.device = any (%(devices)s) and s.point in ('black', 'frozen', 'flowing') and s.instance = ''
    ) held
    where until > %(begin)s and (case point when 'flowing' then value = 0 else value > 0.99 end)
    group by device
) bad
group by device
on conflict (device, day) do update set bad_seconds = excluded.bad_seconds where t.bad_seconds is distinct from excluded.bad_seconds

-- name: figures
select device, read_at, newest_at, days, gap_seconds from recording_day
where device = any (%(devices)s) and day > %(day)s - 15 and day <= %(day)s and (days is not null or gap_seconds is not null)
order by device, day

-- name: bad
select device, sum(bad_seconds) as seconds from recording_day
where device = any (%(devices)s) and day > %(day)s - 90 and day <= %(day)s and bad_seconds > 0
group by device

-- name: put
-- A row is said anew when it matters, or after six hours: what rules are judged by is kept for ever, and must not move with every hour.
with said as (
insert into recording_state as t (device, institution, recorder, days, possible, gap_seconds, bad_seconds, read_at, installed_at, floor_days, outlook,
    counted_days, needed_days, a_day, short_at, full_at, days_then, updated_at, newest_at)
select d.key, d.institution, r.key, x.days, x.possible, x.gap_seconds, x.bad_seconds, x.read_at, x.installed_at, x.floor_days, x.outlook,
       x.counted_days, x.needed_days, x.a_day, x.short_at, x.full_at, x.days_then, %(at)s, x.newest_at
from jsonb_to_recordset(%(rows)s) as x(device text, recorder text, days float8, possible float8, gap_seconds float8, bad_seconds float8,
    read_at timestamptz, newest_at timestamptz, installed_at timestamptz, floor_days float8, outlook text, counted_days float8, needed_days float8, a_day float8,
    short_at timestamptz, full_at timestamptz, days_then float8)
join device d on d.id = x.device
left join device r on r.id = x.recorder
on conflict (device) do update set
    institution = excluded.institution, recorder = excluded.recorder, days = excluded.days, possible = excluded.possible,
    gap_seconds = excluded.gap_seconds, bad_seconds = excluded.bad_seconds, read_at = excluded.read_at, installed_at = excluded.installed_at,
    floor_days = excluded.floor_days, outlook = excluded.outlook, counted_days = excluded.counted_days, needed_days = excluded.needed_days,
    a_day = excluded.a_day, short_at = excluded.short_at, full_at = excluded.full_at, days_then = excluded.days_then,
    updated_at = excluded.updated_at, newest_at = excluded.newest_at
where (t.recorder, t.outlook, t.floor_days, t.installed_at, t.days is null, t.possible is null, t.newest_at is null)
      is distinct from (excluded.recorder, excluded.outlook, excluded.floor_days, excluded.installed_at, excluded.days is null, excluded.possible is null,
                        excluded.newest_at is null)
   or abs(t.days - excluded.days) >= 0.5 or abs(t.possible - excluded.possible) >= 0.5
   or abs(t.gap_seconds - excluded.gap_seconds) >= 600 or abs(t.bad_seconds - excluded.bad_seconds) >= 600
   or excluded.read_at >= t.read_at + interval '6 hours' or t.read_at < t.installed_at or (t.read_at is null) <> (excluded.read_at is null)
returning institution
)
insert into change (kind, institution, payload)
select distinct 'registry', i.key, jsonb_build_object('institution', i.id, 'recordings', true) from said join institution i on i.key = said.institution

-- name: forget
-- what is no longer in service, or no longer recorded by itself
with gone as (
    delete from recording_state s where s.institution = any (%(institutions)s) and not s.device = any (%(kept)s) returning institution
)
insert into change (kind, institution, payload)
select distinct 'registry', i.key, jsonb_build_object('institution', i.id, 'recordings', true) from gone join institution i on i.key = gone.institution

-- name: facts
select s.institution, d.id::text as device, r.id::text as recorder, s.days, s.possible, s.gap_seconds, s.bad_seconds, s.read_at, s.newest_at,
       s.installed_at
from recording_state s join device d on d.key = s.device left join device r on r.key = s.recorder
where s.institution = any (%(keys)s)
order by s.institution, d.id

-- name: listed
select d.id::text as device, d.kind, i.id as institution, r.id::text as recorder, z.title_zh as zone_zh, z.title_en as zone_en,
       s.days, s.possible, s.gap_seconds, s.bad_seconds, s.read_at, s.newest_at, s.installed_at, s.floor_days, s.outlook, s.counted_days,
       s.needed_days, s.a_day, s.short_at, s.full_at, s.days_then, s.updated_at
from institutions_in_scope(%(scope)s::jsonb) i
join recording_state s on s.institution = i.key
join device d on d.key = s.device
left join device r on r.key = s.recorder
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(outlook)s::text is null or s.outlook = %(outlook)s)
  and (%(after)s::text is null or d.id > %(after)s)
order by d.id
limit %(limit)s
