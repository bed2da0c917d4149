-- Grafana's figures by hour get their completeness: the share of the hour in which the device is not known to have been missing
-- (gaps of it and of its edge's lane, its silence now). What the API adds, from the rows of the series itself, is not in it.

create or replace view dash.reading_hour with (security_barrier) as
select g.device, g.institution, g.point, g.instance, g.hour, g.n, g.mean, g.minimum, g.maximum, c.completeness
from (
    select d.key, d.created_at, d.lane, d.endpoint, d.id::text as device, i.id::text as institution, s.point, s.instance,
           time_bucket('1 hour', r.at) as hour, count(*) as n,
           avg(r.value) filter (where r.quality < 200) as mean,
           min(r.value) filter (where r.quality < 200) as minimum,
           max(r.value) filter (where r.quality < 200) as maximum
    from device d
    join institution i on i.key = d.institution
    join series s on s.device = d.key
    join reading r on r.series_id = s.key
    where d.institution in (select dash.institutions())
    group by d.key, i.id, s.point, s.instance, 9
) g
left join endpoint n on n.key = g.endpoint
left join device e on e.key = n.edge
cross join lateral (
    select greatest(g.hour, g.created_at, (select (h.value #>> '{}')::timestamptz from hub_setting h where h.name = 'gaps_since'))
               as since,
           least(g.hour + interval '1 hour', now()) as until, coalesce(e.id::text, g.device) as client
) p
cross join lateral (
    select case when p.until > p.since then 1 - coalesce((
        select sum(extract(epoch from upper(u.span) - lower(u.span)))
        from (
            select unnest(range_agg(tstzrange(greatest(m.since, p.since), least(m.until, p.until)))) as span
            from (
                select x.since, x.until from gap x where x.device = g.key and x.until > p.since and x.since < p.until
                union all
                select x.since, x.until from gap x
                where x.device is null and x.client = p.client and x.lane = g.lane and x.until > p.since and x.since < p.until
                union all
                select coalesce(x.drop_from, x.updated_at), now() from stream x
                where x.client = p.client and x.lane = g.lane and x.drop_items > 0
                  and x.updated_at = (select max(l.updated_at) from stream l where l.client = p.client and l.lane = g.lane)
                union all
                select max(x.beat_at), now() from stream x where x.client = p.client and x.lane = g.lane
                having max(x.beat_at) < now() - interval '60 s'
                union all
                select x.last_heard_at, now() from device_state x where x.device = g.key and x.link_state <> 'online'
            ) m
            where m.until > p.since and m.since < p.until
        ) u), 0)::float8 / extract(epoch from p.until - p.since)::float8 end as completeness
) c;
