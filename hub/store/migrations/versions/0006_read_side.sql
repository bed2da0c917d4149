-- The read side: readings by hour and day, and schema `dash` for Grafana, whose viewers may send any SQL that their role may run.

-- Hours are hours of UTC, days are days of China made of whole hours. Bad values (quality 200 and above) count, but give no figure.
create view reading_hour as
select r.series_id, time_bucket('1 hour', r.at) as hour, count(*) as n,
       count(r.value) filter (where r.quality < 200) as n_value,
       sum(r.value) filter (where r.quality < 200) as total,
       min(r.value) filter (where r.quality < 200) as minimum,
       max(r.value) filter (where r.quality < 200) as maximum
from reading r
group by 1, 2;

create view reading_day as
select h.series_id, time_bucket('1 day', h.hour, "offset" => interval '-8 hours') as day, sum(h.n)::bigint as n,
       sum(h.n_value)::bigint as n_value, sum(h.total) as total, min(h.minimum) as minimum, max(h.maximum) as maximum
from reading_hour h
group by 1, 2;

-- what housekeeping looks for
create index stream_tally_hour on stream_tally using brin (hour);

-- who reads ----------------------------------------------------------------------------------------------------------
-- One database role for each scope. The roles may read the views of schema `dash` and nothing else: no table is granted, so there is
-- nothing to go around. What a role sees is decided by the name it logged in with (session_user): no setting, no `set role` and no
-- function of its own changes that. `pg_temp` stands last, so that no temporary table takes the place of ours.

create schema dash;

create table dash_reader (
    role name primary key,
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    created_at timestamptz not null default now()
);

create function dash.institutions() returns setof int
language sql stable security definer set search_path = public, pg_temp as $$
    select i.key from institutions_in_scope((select r.scope from dash_reader r where r.role = session_user)) i
$$;

create function dash.divisions() returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
    select d.code from divisions_in_scope((select r.scope from dash_reader r where r.role = session_user)) d
$$;

-- entries of the register: by their division, or with the institution that they became
create function dash.entries() returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
    select e.filing_number
    from register_entry e, dash_reader r
    where r.role = session_user
      and ((r.scope ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(r.scope -> 'divisions') as p(prefix)
                      where starts_with(e.division, p.prefix))
           or e.institution in (select i.key from institutions_in_scope(r.scope) i))
$$;
revoke execute on function dash.institutions(), dash.divisions(), dash.entries() from public;

-- what they read -----------------------------------------------------------------------------------------------------

create view dash.division with (security_barrier) as
select d.code, d.parent, d.title_zh, d.title_en
from division d
where d.code in (select dash.divisions());

-- The register, with institutions that are not on it: whose coverage is shown. What is not connected has no institution.
create view dash.subject with (security_barrier) as
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
    where i.retired_at is null and i.key in (select dash.institutions())
      and not exists (select from register_entry e where e.institution = i.key and e.removed_at is null)
) s
left join coverage_check c on c.subject = s.subject;

-- The findings that hold now. A compliant one that nobody renewed for three minutes is unknown: never green on silence.
create view dash.finding with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.title_zh, s.title_en, s.connected, f.basis, f.rule,
       f.pack, f.citation ->> 'document' as document, f.citation ->> 'number' as number, f.citation ->> 'clause' as clause,
       case when f.verdict = 'compliant' and (s.checked_at is null or s.checked_at < now() - interval '3 minutes')
            then 'unknown' else f.verdict end as verdict,
       f.sentence_zh, f.sentence_en, f.since
from dash.subject s
join finding f on f.subject = s.subject and f.until is null;

-- One row for each subject and basis: obligation, target and recommendation are never added up.
create view dash.coverage with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.type, s.title_zh, s.title_en, s.connected, b.basis,
       count(*) filter (where f.verdict = 'compliant') as compliant,
       count(*) filter (where f.verdict = 'non_compliant') as non_compliant,
       count(*) filter (where f.verdict = 'unknown') as unknown,
       count(*) filter (where f.verdict = 'waived') as waived,
       count(*) filter (where f.verdict = 'not_applicable') as not_applicable
from dash.subject s
cross join (values ('obligation'), ('target'), ('recommendation')) as b(basis)
left join dash.finding f on f.subject = s.subject and f.basis = b.basis
group by s.subject, s.institution, s.filing_number, s.division, s.type, s.title_zh, s.title_en, s.connected, b.basis;

create view dash.device with (security_barrier) as
select d.id::text as device, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       z.title_zh as zone_zh, z.title_en as zone_en, z.purpose, d.kind, d.profile, d.lane, s.admin_state, s.link_state, s.link_since,
       s.link_cause, s.function_state, s.function_since, s.last_heard_at
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and d.institution in (select dash.institutions());

create view dash.alarm with (security_barrier) as
select a.id, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       d.id::text as device, d.kind, a.definition, a.instance, a.signal_class, a.priority, a.state, a.raised_at, a.received_at,
       a.cleared_at, a.acknowledged_at, a.ended_at, a.occurrences, a.late
from alarm a
join institution i on i.key = a.institution
join device d on d.key = a.device
where a.institution in (select dash.institutions());

-- Written out, not over `reading_hour`: so a filter by device reaches the index (series_id, at) instead of all series of the hour.
create view dash.reading_hour with (security_barrier) as
select d.id::text as device, i.id::text as institution, s.point, s.instance, time_bucket('1 hour', r.at) as hour, count(*) as n,
       avg(r.value) filter (where r.quality < 200) as mean,
       min(r.value) filter (where r.quality < 200) as minimum,
       max(r.value) filter (where r.quality < 200) as maximum
from device d
join institution i on i.key = d.institution
join series s on s.device = d.key
join reading r on r.series_id = s.key
where d.institution in (select dash.institutions())
group by d.id, i.id, s.point, s.instance, 5;
