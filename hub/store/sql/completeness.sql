-- What is known to be missing. Callers have looked the device up in their scope before.

-- name: known
select (select (value #>> '{}')::timestamptz from hub_setting where name = 'gaps_since') as noted_since,
       d.created_at as device_since, d.retired_at as device_until,
       s.last_heard_at is not null or exists (select from series r join point_state p on p.series = r.key where r.device = d.key)
           as heard
from device d join device_state s on s.device = d.key
where d.key = %(device)s

-- name: spans
-- Gaps of the device and of its client's lane; what a full spool is dropping now; what has not arrived; the silence of now.
with own as (
    select d.key, d.lane, coalesce(e.id, d.id) as client, s.link_state, s.last_heard_at
    from device d
    join device_state s on s.device = d.key
    left join endpoint n on n.key = d.endpoint
    left join device e on e.key = n.edge
    where d.key = %(device)s
)
select g.since, g.until, g.cause from gap g, own
where g.device = own.key and g.until > %(since)s and g.since < %(until)s
union all
select g.since, g.until, g.cause from gap g, own
where g.device is null and g.client = own.client and g.lane = own.lane and g.until > %(since)s and g.since < %(until)s
union all
select coalesce(m.drop_from, m.updated_at), %(now)s, 'dropped' from stream m, own
where m.client = own.client and m.lane = own.lane and m.drop_items > 0
  and m.updated_at = (select max(l.updated_at) from stream l where l.client = own.client and l.lane = own.lane)
union all
select max(m.beat_at), %(now)s, 'not_arrived' from stream m, own
where m.client = own.client and m.lane = own.lane
having max(m.beat_at) < %(now)s - %(lag)s::interval
union all
select own.last_heard_at, %(now)s, 'silent' from own
where own.link_state <> 'online' and own.last_heard_at is not null
limit %(most)s

-- name: holes
-- A polled series has a row at least every `reassert`: a longer way to the next one is a time without samples. A bad row of the device
-- holds until the next row. The row before the period counts, and the time since the last one.
with rows as (
    select r.at, r.quality, lead(r.at, 1, %(now)s) over (order by r.at) as next
    from reading r, (select s.key from series s
                     where s.device = %(device)s and s.point = %(point)s and s.instance = %(instance)s) s
    where r.series_id = s.key and r.at < %(until)s
      and r.at >= coalesce((select max(b.at) from reading b where b.series_id = s.key and b.at <= %(since)s), %(since)s)
)
select at as since, next as until, 'unread' as cause from rows where quality = 204
union all
select at + %(reassert)s::interval + %(every)s::interval, next, 'series' from rows
where %(every)s::interval is not null
  and next - at > %(reassert)s::interval + 2 * %(every)s::interval + case when next = %(now)s then %(lag)s::interval else interval '5 s' end
limit %(most)s

-- name: figures
-- by hour or day: h is one of the views `reading_hour` and `reading_day`
select h.hour as since, h.n, h.n_value, h.total / nullif(h.n_value, 0) as mean, h.minimum, h.maximum
from reading_hour h
where h.series_id = (select s.key from series s
                     where s.device = %(device)s and s.point = %(point)s and s.instance = %(instance)s)
  and h.hour >= %(since)s and h.hour < %(until)s and (%(after)s::timestamptz is null or h.hour > %(after)s)
order by 1
limit %(limit)s

-- name: figures_by_day
select h.day as since, h.n, h.n_value, h.total / nullif(h.n_value, 0) as mean, h.minimum, h.maximum
from reading_day h
where h.series_id = (select s.key from series s
                     where s.device = %(device)s and s.point = %(point)s and s.instance = %(instance)s)
  and h.day >= %(since)s and h.day < %(until)s and (%(after)s::timestamptz is null or h.day > %(after)s)
order by 1
limit %(limit)s

-- name: streams
select * from (
select m.stream, m.client, i.id as institution, m.lane, m.upto, m.newest_at as newest, m.beat_at as watermark, m.began_at,
       m.updated_at, m.counted, m.given, greatest(m.given - m.counted, 0) as waiting, m.drop_from, m.drop_items,
       m.updated_at < max(m.updated_at) over (partition by m.client, m.lane) as superseded
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join client c on c.device = d.key
join stream m on m.client = c.name
where (%(client)s::text is null or m.client = %(client)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
) s
where %(after)s::text is null or s.stream > %(after)s
order by s.stream
limit %(limit)s

-- name: conservation
select t.stream, m.client, i.id as institution, m.lane, t.hour, t.produced, t.stored, t.suppressed, t.events, t.beats, t.duplicates,
       t.quarantined, t.dropped, t.missing, t.surplus
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join client c on c.device = d.key
join stream m on m.client = c.name
join stream_tally t on t.stream = m.stream
where (%(client)s::text is null or m.client = %(client)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (not %(unbalanced)s or t.missing > 0 or t.surplus > 0)
  and t.hour >= %(since)s and t.hour < %(until)s
  and (%(after_hour)s::timestamptz is null or (t.hour, t.stream) < (%(after_hour)s, %(after)s::text))
order by t.hour desc, t.stream desc
limit %(limit)s

-- name: gaps
-- `n` tells rows of one instant and client apart without a database key
select g.client, i.id as institution, g.lane, v.id as device, g.since, g.until, g.cause, g.items, g.noted_at
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join client c on c.device = d.key
join gap g on g.client = c.name
left join device v on v.key = g.device
where (%(client)s::text is null or g.client = %(client)s)
  and (%(device)s::text is null or v.id = %(device)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(cause)s::text is null or g.cause = %(cause)s)
  and g.until > %(since)s and g.since < %(until)s
  and (%(before)s::timestamptz is null or g.since <= %(before)s)
order by g.since desc, g.key desc
offset %(skip)s
limit %(limit)s
