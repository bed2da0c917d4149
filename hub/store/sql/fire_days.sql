-- Fire-risk scores by day (+08:00), from the periods that are kept of them (table fire_risk). A day on which nobody looked is missing.

-- name: of_one
-- the last score that was seen on a day, and the highest
with period as (
    select r.* from institutions_in_scope(%(scope)s::jsonb) i join fire_risk r on r.subject = i.id::text where i.id::text = %(institution)s
)
select d.day::date as day, (array_agg(p.score order by p.since desc))[1] as score, (array_agg(p.certain order by p.since desc))[1] as certain,
       max(p.score) as highest, bool_or(p.hard) as hard, (array_agg(p.level order by p.since desc))[1] as level,
       (array_agg(p.weights order by p.since desc))[1] as weights,
       least(max(p.seen_at), (d.day + interval '1 day') at time zone interval '8 hours') as taken_at
from generate_series(%(first)s::date::timestamp, %(last)s::date::timestamp, interval '1 day') d(day)
join period p on p.since < (d.day + interval '1 day') at time zone interval '8 hours' and p.seen_at >= d.day at time zone interval '8 hours'
group by d.day
order by d.day

-- name: of_many
-- each day over the institutions of the scope that were looked at on it; the division is the one where they are counted today
with period as materialized (
    select r.subject, r.since, r.seen_at, r.score, r.hard, r.level
    from institutions_in_scope(%(scope)s::jsonb) i
    join institution_counted c on c.key = i.key
    join fire_risk r on r.subject = i.id::text and r.seen_at >= %(first)s::date::timestamp at time zone interval '8 hours'
    where i.partition >= 0 and (%(division)s::text is null or starts_with(c.division, %(division)s))
), by_subject as (
    select d.day, p.subject, (array_agg(p.score order by p.since desc))[1] as score, max(p.score) as highest, bool_or(p.hard) as hard,
           (array_agg(p.level order by p.since desc))[1] as level,
           least(max(p.seen_at), (d.day + interval '1 day') at time zone interval '8 hours') as taken_at
    from period p
    cross join lateral generate_series(greatest(%(first)s::date, (p.since at time zone interval '8 hours')::date)::timestamp,
                                       least(%(last)s::date, (p.seen_at at time zone interval '8 hours')::date)::timestamp, interval '1 day') d(day)
    group by d.day, p.subject
), by_level as (
    select day, level, count(*) as n, sum(score) as scores, max(highest) as worst, count(*) filter (where hard) as hards, min(taken_at) as oldest
    from by_subject group by day, level
)
select day::date as day, sum(n)::int as institutions, sum(scores)::float8 / sum(n)::float8 as mean, max(worst) as worst, sum(hards)::int as hard,
       jsonb_object_agg(level, n) as levels, min(oldest) as taken_at
from by_level
group by day
order by day
