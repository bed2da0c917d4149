-- What the fire-risk score looks at, set-wise for some subjects. `scope` as everywhere in the read side.

-- name: places
-- institutions within the scope, and entries of the register that are not connected
select i.id::text as subject, i.key, i.id::text as institution, p.division, i.type, i.title_zh, i.title_en, i.partition, i.calendar::text as calendar
from institutions_in_scope(%(scope)s::jsonb) i
join institution_counted p on p.key = i.key
where i.retired_at is null and i.partition >= 0
  and (%(division)s::text is null or starts_with(p.division, %(division)s))
  and (%(subject)s::text is null or i.id::text = %(subject)s)
union all
select 'register:' || r.filing_number, null, null, r.division, r.type, r.title_zh, r.title_en, null, null
from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
where r.removed_at is null and i.key is null
  and ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix) where starts_with(r.division, p.prefix)))
  and (%(division)s::text is null or starts_with(r.division, %(division)s))
  and (%(subject)s::text is null or 'register:' || r.filing_number = %(subject)s)
order by 1

-- name: zones
select z.institution, z.id::text as id, z.purpose, z.title_zh, z.title_en
from zone z
where z.institution = any (%(keys)s) and z.retired_at is null

-- name: devices
-- of the profiles that detect, guard a door or measure
select d.institution, d.id::text as id, d.kind, d.lane, d.profile, z.id::text as zone,
       s.admin_state, s.admin_since, s.link_state, s.link_since, s.function_state, s.function_since, s.last_heard_at, s.proven_at, s.proven
from device d
join device_state s on s.device = d.key
left join position p on p.key = d.position and p.retired_at is null
left join zone z on z.key = p.zone and z.retired_at is null
where d.institution = any (%(keys)s) and d.retired_at is null and d.profile = any (%(profiles)s)

-- name: alarms
-- real ones that have not ended, hidden or not: what is hidden burns too
select d.institution, d.id::text as device, d.profile, a.definition, a.signal_class, a.raised_at
from alarm a
join device d on d.key = a.device
where a.ended_at is null and a.exercise is null and a.institution = any (%(keys)s)
  and a.signal_class in ('fire', 'access', 'intrusion', 'supervisory', 'fault') and d.retired_at is null

-- name: measured
select d.institution, d.id::text as device, d.kind, d.profile, r.point, t.value, t.at, t.quality
from device d
join series r on r.device = d.key
join point_state t on t.series = r.key
where d.institution = any (%(keys)s) and d.retired_at is null and d.profile = any (%(measuring)s) and r.point = any (%(points)s)

-- name: checked
-- the last one of each kind that stands: neither corrected nor withdrawn; a drill of the hub counts when every press that was named came
select k.institution, kind, greatest(a.at, case when kind = 'drill' then r.at end) as at
from unnest(%(keys)s::int[]) as k(institution)
cross join unnest(%(kinds)s::text[]) as kind
left join lateral (
    select max(a.at) as at from attestation a
    where a.institution = k.institution and a.kind = kind and a.at <= %(at)s and (a.expires_at is null or a.expires_at > %(at)s)
      and not a.void and not exists (select from attestation c where c.supersedes = a.id)
) a on true
left join lateral (
    select max(done.at) as at from (
        select max(p.pressed_at) as at
        from drill_press p join drill d on d.id = p.drill
        where p.institution = k.institution and d.cancelled_at is null and d.ends_at <= %(at)s
        group by d.id having bool_and(p.pressed_at is not null)
    ) done
) r on kind = 'drill'
where greatest(a.at, case when kind = 'drill' then r.at end) is not null

-- name: snapshot
-- what the statements that follow see at least
select pg_current_snapshot()::text as snapshot

-- name: kept
-- the last score of each. One of a snapshot that is yet to come is of another database: nobody knows what has changed since.
select f.subject, f.seen_at, f.score, f.certain, f.level, f.level_zh, f.level_en, f.hard, f.factors, f.weights, f.listened, i.partition,
       case when pg_snapshot_xmax(f.snapshot) <= pg_snapshot_xmax(pg_current_snapshot()) then f.snapshot::text end as snapshot
from unnest(%(subjects)s::text[]) as s(subject)
cross join lateral (select * from fire_risk r where r.subject = s.subject order by r.since desc limit 1) f
left join institution i on i.key = f.institution

-- name: changed
-- whose facts changed from a transaction on, and in which
select i.id::text as subject, array_agg(distinct c.txid::text::bigint) as transactions
from change c join institution i on i.key = c.institution
where c.txid >= %(since)s::text::xid8 and c.kind = any (%(kinds)s)
group by i.id

-- name: gas_above
select distinct i.id::text as subject
from device d
join series r on r.device = d.key and r.point = any (%(points)s)
join point_state t on t.series = r.key and t.value >= %(limit)s
join institution i on i.key = d.institution
where d.profile = any (%(profiles)s) and d.retired_at is null

-- name: lock
select pg_try_advisory_lock(%(key)s) as held

-- name: keep
-- A score that says the same is seen again; another, or one after a time in which nobody looked, begins a row of its own.
with said as (
    select * from jsonb_to_recordset(%(rows)s) as x(subject text, score int, certain int, level text, level_zh text, level_en text, hard boolean,
                                                    factors jsonb, listened boolean)
), last as (
    select s.subject, r.since, r.seen_at > %(at)s::timestamptz - %(gap)s::interval
           and (r.score, r.certain, r.level, r.hard, r.factors, r.weights) is not distinct from (s.score, s.certain, s.level, s.hard, s.factors, %(weights)s::text)
           as same
    from said s
    cross join lateral (select * from fire_risk f where f.subject = s.subject order by f.since desc limit 1) r
), seen as (
    update fire_risk f set seen_at = %(at)s, snapshot = %(snapshot)s::text::pg_snapshot, listened = s.listened
    from last l join said s on s.subject = l.subject
    where l.same and f.subject = l.subject and f.since = l.since and f.seen_at <= %(at)s
)
insert into fire_risk (subject, institution, filing_number, since, seen_at, score, certain, level, level_zh, level_en, hard, factors, weights,
                       snapshot, listened)
select s.subject, i.key, e.filing_number, %(at)s, %(at)s, s.score, s.certain, s.level, s.level_zh, s.level_en, s.hard, s.factors, %(weights)s,
       %(snapshot)s::text::pg_snapshot, s.listened
from said s
left join last l on l.subject = s.subject
left join institution i on i.id::text = s.subject
left join register_entry e on s.subject = 'register:' || e.filing_number
where l.same is not true and (i.key is null) <> (e.filing_number is null) and (l.since is null or l.since < %(at)s)
on conflict do nothing

-- name: forget
delete from fire_risk
where ctid = any (array(select ctid from fire_risk where since < %(before)s and seen_at < %(before)s limit %(limit)s))
