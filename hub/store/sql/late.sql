-- What came late of silences that have ended (hub.core.coverage.late). Set-wise: `n` is the place of a silence in the caller's list.

-- name: spans_before
-- of each subject the newest spans that began before its time
select p.key, p.subject, p.facts, p.packs, p.true_from, p.true_to, b.body
from unnest(%(subjects)s::text[], %(before)s::timestamptz[]) as s(subject, before)
cross join lateral (
    select * from judgement j
    where j.subject = s.subject and j.known_to is null and j.true_from < s.before
    order by j.true_from desc limit %(most)s
) p
join facts b on b.hash = p.facts

-- name: places
-- only behind an edge: who speaks to the hub by itself has no witness
select x.n, d.key, d.profile, e.key as edge, e.id::text as client, d.lane, s.last_heard_at
from unnest(%(ns)s::int[], %(devices)s::text[]) as x(n, device)
join device d on d.id::text = x.device and d.retired_at is null
join device_state s on s.device = d.key
join endpoint p on p.key = d.endpoint
join device e on e.key = p.edge

-- name: lanes
-- until when everything of a lane has arrived, and since when what is missing is being dropped
select x.client, x.lane, m.beat_at, case when m.drop_items > 0 then coalesce(m.drop_from, 'epoch') end as dropping_since
from unnest(%(clients)s::text[], %(lanes)s::text[]) as x(client, lane)
cross join lateral (
    select * from stream m where m.client = x.client and m.lane = x.lane order by m.updated_at desc limit 1
) m

-- name: missing
-- `whole`: of all devices of the lane; around such a gap a device's own silence is not noted, up to its offline_after, and not at all in what
-- arrived after something was dropped (hub.core.device_state)
select x.n, g.since, g.until, g.whole, g.cause
from unnest(%(ns)s::int[], %(keys)s::int[], %(clients)s::text[], %(lanes)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
     as x(n, key, client, lane, since, until)
cross join lateral (
    select g.since, g.until, false as whole, g.cause from gap g where g.device = x.key and g.until > x.since and g.since < x.until
    union all
    select g.since, g.until, true, g.cause from gap g
    where g.device is null and g.client = x.client and g.lane = x.lane and g.until > x.since and g.since < x.until
    limit %(most)s
) g

-- name: edges
-- whether the edge's machine began anew in a period, and how far its clock was off at most: as said last before it, and in it
-- (null where it did not say before how often its machine had begun: then nobody would see that it began anew)
select x.edge, x.since, x.until, b.began_anew, case when m.value is not null then greatest(abs(c.value), w.most) end as skew
from unnest(%(edges)s::int[], %(since)s::timestamptz[], %(until)s::timestamptz[]) as x(edge, since, until)
left join lateral (
    -- said once, at its start: of an edge that runs for longer than readings are kept, the latest value is all there is
    select coalesce((select r.value from reading r where r.series_id = s.key and r.at <= x.since order by r.at desc limit 1),
                    (select p.value from point_state p where p.series = s.key and p.at <= x.since)) as value
    from series s
    where s.device = x.edge and s.point = 'machine_boots' and s.instance = ''
) m on true
left join lateral (
    select min(r.at) as began_anew
    from series s
    join reading r on r.series_id = s.key and r.at > x.since and r.at < x.until
    where s.device = x.edge and s.point = 'machine_boots' and s.instance = '' and r.value is distinct from m.value
) b on true
left join lateral (
    select r.value
    from series s
    join reading r on r.series_id = s.key and r.at <= x.since
    where s.device = x.edge and s.point = 'clock_skew' and s.instance = ''
    order by r.at desc limit 1
) c on true
left join lateral (
    select case when c.value is null then null else max(abs(r.value)) end as most
    from series s
    join reading r on r.series_id = s.key and r.at > x.since and r.at < x.until
    where s.device = x.edge and s.point = 'clock_skew' and s.instance = ''
) w on true

-- name: said
select x.n, x.point, s.instance, r.at, r.value, r.quality
from unnest(%(ns)s::int[], %(keys)s::int[], %(points)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
     as x(n, key, point, since, until)
join series s on s.device = x.key and s.point = x.point
cross join lateral (
    select coalesce(r.edge_at, r.at) as at, r.value, r.quality
    from reading r where r.series_id = s.key and r.at >= x.since and r.at < x.until order by r.at limit %(most)s
) r
