-- What Grafana's boards stand on (dashboards/, hub.store.readers.VIEWS): places, verdicts now and at any time, roll-ups, orders, responses,
-- drills, attestations, recordings, the hub itself. Every view is cut by the role's scope, and the tables under it once more (0041).

alter table finding enable row level security;
create policy scope on finding for select
    using (institution in (select dash.institutions()) or filing_number in (select dash.entries()));
alter table attestation enable row level security;
create policy scope on attestation for select using (institution in (select dash.institutions()));
alter table recording_state enable row level security;
create policy scope on recording_state for select using (institution in (select dash.institutions()));

-- a drill may be of a division: it is seen by its presses
alter table drill enable row level security;
create policy scope on drill for select using (id in (select p.drill from drill_press p));

-- `verdict` and `history` take their place: they tell of plans that nobody signed
drop view dash.coverage;
drop view dash.finding;

create function dash.everything() returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
    select coalesce((select (r.scope ->> 'everything')::boolean from dash_reader r where r.role = session_user), false)
$$;

-- Divisions that lie wholly within the scope: a total of any other one would tell of institutions outside it.
create function dash.territory() returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
    select d.code from division d, dash_reader r
    where r.role = session_user and d.code <> '00'
      and ((r.scope ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(r.scope -> 'divisions') as p(prefix) where starts_with(d.code, p.prefix)))
$$;

alter table coverage_day enable row level security;
create policy scope on coverage_day for select
    using ((kind = 'division' and place in (select dash.territory())) or (select dash.everything()));

-- What a person typed into a board: nothing or `now` is now; a day is its end in China, or now on the day itself; else a time of China.
create function dash.moment(said text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case when trim(said) in ('', 'now') then now()
                when trim(said) ~ '^\d{4}-\d\d-\d\d$'
                    then least(now(), (trim(said)::date + 1)::timestamp at time zone 'Asia/Shanghai' - interval '1 microsecond')
                else least(now(), trim(said)::timestamp at time zone 'Asia/Shanghai') end
$$;

-- The same for what was known: nothing is all that is known today.
create function dash.known(said text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp as $$
    select case when trim(said) in ('', 'now') then 'infinity'::timestamptz
                when trim(said) ~ '^\d{4}-\d\d-\d\d$'
                    then (trim(said)::date + 1)::timestamp at time zone 'Asia/Shanghai' - interval '1 microsecond'
                else trim(said)::timestamp at time zone 'Asia/Shanghai' end
$$;
revoke execute on function dash.everything(), dash.territory(), dash.moment(text), dash.known(text) from public;

-- In these views a scope is asked as `(… in (select dash.institutions())) is true`: so it is one hashed list, and the planner guesses a half of
-- the rows. As a bare `in` it becomes a join whose size is guessed at some hundreds, and 280,000 devices are then looked up one by one.

-- places -------------------------------------------------------------------------------------------------------------

create view dash.place with (security_barrier) as
select i.id::text as institution, i.division, i.type, i.title_zh, i.title_en, i.latitude, i.longitude, i.capacity, c.checked_at
from institution i
left join coverage_checked c on c.subject = i.id::text
where i.retired_at is null and i.partition >= 0 and (i.key in (select dash.institutions())) is true;

create view dash.zone with (security_barrier) as
select i.id::text as institution, i.division, z.id::text as zone, z.purpose, z.title_zh, z.title_en, z.area_m2, z.floor
from zone z
join institution i on i.key = z.institution
where z.retired_at is null and i.retired_at is null and i.partition >= 0 and (z.institution in (select dash.institutions())) is true;

-- appended: the zone's id, its floor, and when the function was proven last
create or replace view dash.device with (security_barrier) as
select d.id::text as device, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       z.title_zh as zone_zh, z.title_en as zone_en, z.purpose, d.kind, d.profile, d.lane, s.admin_state, s.link_state, s.link_since,
       v.cause as link_cause, s.function_state, s.function_since, s.last_heard_at, z.id::text as zone, s.proven_at
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
join link_verdict v on v.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and i.partition >= 0 and (d.institution in (select dash.institutions())) is true;

-- The same without the weighed cause: whoever counts devices of a province does not need it (link_verdict joins eight tables).
create view dash.device_state with (security_barrier) as
select d.id::text as device, i.id::text as institution, i.division, d.kind, d.lane, s.admin_state, s.link_state, s.function_state,
       s.last_heard_at, s.proven_at, z.id::text as zone, z.title_zh as zone_zh, z.title_en as zone_en,
       i.title_zh, i.title_en, s.link_since, s.link_cause
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and i.partition >= 0 and (d.institution in (select dash.institutions())) is true;

create or replace view dash.subject with (security_barrier) as
select s.*, s.institution is not null as connected, c.checked_at
from (
    select coalesce(i.id::text, 'register:' || e.filing_number) as subject, e.filing_number, i.id::text as institution,
           coalesce(i.division, e.division) as division, coalesce(i.type, e.type) as type,
           coalesce(i.title_zh, e.title_zh) as title_zh, coalesce(i.title_en, e.title_en) as title_en
    from register_entry e left join institution i on i.key = e.institution and i.retired_at is null
    where e.removed_at is null and (e.filing_number in (select dash.entries())) is true
    union all
    select i.id::text, null, i.id::text, i.division, i.type, i.title_zh, i.title_en
    from institution i
    where i.retired_at is null and i.partition >= 0 and (i.key in (select dash.institutions())) is true
      and not exists (select from register_entry e where e.institution = i.key and e.removed_at is null)
) s
left join coverage_checked c on c.subject = s.subject;

-- verdicts -----------------------------------------------------------------------------------------------------------

-- What holds now, without its sentences. A compliant one that nobody renewed for three minutes is unknown; one that stands on a zone plan
-- that nobody signed is `unsigned`, which no rate counts as compliant.
create view dash.verdict with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.type, s.title_zh, s.title_en, s.connected, s.checked_at, f.rule, f.basis,
       f.module,
       case when f.verdict <> 'compliant' then f.verdict
            when s.checked_at is null or s.checked_at < now() - interval '3 minutes' then 'unknown'
            when f.plan_not_signed then 'unsigned' else f.verdict end as verdict,
       f.verdict_since as since, f.statement
from dash.subject s
join finding f on f.subject = s.subject and f.known_to is null and f.true_to is null;

-- What a rule is and what it cites, from any finding that stands on it.
create view dash.statement with (security_barrier) as
select t.hash as statement, t.pack, t.citation ->> 'document' as document, t.citation ->> 'number' as number, t.citation ->> 'clause' as clause,
       t.citation ->> 'clause_id' as clause_id, t.citation ->> 'force' as force, t.citation ->> 'title_zh' as title_zh,
       t.citation ->> 'title_en' as title_en
from statement t;

-- Every verdict with the time in which it was true and the time in which the hub held it so: `true_from <= at`, `known_from <= known_at`.
-- The places of today and those that are gone.
create view dash.history with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.title_zh, s.title_en, s.institution is not null as connected, f.rule, f.basis,
       f.module, case when f.verdict = 'compliant' and f.plan_not_signed then 'unsigned' else f.verdict end as verdict, f.reason,
       t.pack, t.citation ->> 'document' as document, t.citation ->> 'number' as number, t.citation ->> 'clause' as clause,
       t.sentence_zh, t.sentence_en, f.verdict_since as since, f.judged_at, f.true_from, f.true_to, f.known_from, f.known_to, c.checked_at
from (
    select i.id::text as subject, i.id::text as institution, null as filing_number, i.division, i.title_zh, i.title_en
    from institution i where i.partition >= 0 and (i.key in (select dash.institutions())) is true
    union all
    select 'register:' || e.filing_number, null, e.filing_number, e.division, e.title_zh, e.title_en
    from register_entry e where (e.filing_number in (select dash.entries())) is true
) s
join finding f on f.subject = s.subject
left join statement t on t.hash = f.statement
left join coverage_checked c on c.subject = s.subject;

-- The divisions that lie wholly within the scope; `topmost`: none of them holds it, so that these together are the scope, each place once.
create view dash.part with (security_barrier) as
with own as materialized (select t.code from dash.territory() t(code))
select d.code as division, d.parent, d.title_zh, d.title_en, above.code is null as topmost
from own
join division d on d.code = own.code
left join own above on above.code = d.parent;

-- Totals of a division and day, as they were last taken on it.
create view dash.day with (security_barrier) as
select c.day, p.division, p.parent, p.topmost, c.register, c.connected, c.stale, c.oldest_check, c.open_orders, c.raised_orders, c.waivers, c.taken_at
from coverage_day c
join dash.part p on p.division = c.place
where c.kind = 'division';

-- The same by basis and module; '' is all modules.
create view dash.rollup with (security_barrier) as
select c.day, p.division, p.parent, p.topmost, split_part(f.key, '/', 1) as basis, split_part(f.key, '/', 2) as module,
       (f.value ->> 0)::int as compliant, (f.value ->> 1)::int as non_compliant, (f.value ->> 2)::int as unknown,
       (f.value ->> 3)::int as waived, (f.value ->> 4)::int as not_applicable,
       (f.value ->> 5)::int as findings_compliant, (f.value ->> 6)::int as findings_non_compliant, (f.value ->> 7)::int as findings_unknown,
       (f.value ->> 8)::int as findings_waived, (f.value ->> 9)::int as findings_not_applicable,
       c.register, c.connected, c.stale, c.oldest_check, c.taken_at
from coverage_day c
join dash.part p on p.division = c.place
cross join lateral jsonb_each(c.figures) f
where c.kind = 'division';

-- orders and waivers -------------------------------------------------------------------------------------------------

create view dash.work_order with (security_barrier) as
select w.id, i.id::text as institution, i.division, i.title_zh, i.title_en, w.rule, w.basis, w.module, w.citation ->> 'document' as document,
       w.citation ->> 'number' as number, w.citation ->> 'clause' as clause, w.sentence_zh, w.sentence_en, w.state, w.violation_since,
       w.drafted_at, w.issued_at, w.due_at, w.answered_at, w.ended_at, w.owner, w.raised_to, c.checked_at
from work_order w
join institution i on i.key = w.institution
left join coverage_checked c on c.subject = i.id::text
where (w.institution in (select dash.institutions())) is true;

create view dash.waiver with (security_barrier) as
select w.id, i.id::text as institution, i.division, i.title_zh, i.title_en, w.rule, w.force, w.basis, w.title_zh as rule_zh,
       w.title_en as rule_en, w.ground, w.document, w.granted_at, w.since, w.expires_at, w.ended_at, c.checked_at
from waiver w
join institution i on i.key = w.institution
left join coverage_checked c on c.subject = i.id::text
where (w.institution in (select dash.institutions())) is true;

-- alarms and who was reached -----------------------------------------------------------------------------------------

-- Real alarms that page somebody, with the moments of the way to a person: raised, received by the hub, first delivered, acknowledged.
create view dash.response with (security_barrier) as
select a.id, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en, a.signal_class, a.priority,
       a.state, a.raised_at, a.received_at, a.acknowledged_at, a.ended_at, a.late,
       (select min(t.at + coalesce(t.duration, interval '0')) from notification n join attempt t on t.notification = n.id
        where n.alarm = a.id and t.outcome = 'delivered') as told_at
from alarm a
join institution i on i.key = a.institution
where a.exercise is null and a.priority in ('critical', 'high') and i.partition >= 0 and (a.institution in (select dash.institutions())) is true;

-- drills, proofs, attestations ---------------------------------------------------------------------------------------

-- one press that a drill expected
create view dash.drill with (security_barrier) as
select r.id as drill, r.title_zh as drill_zh, r.title_en as drill_en, i.id::text as institution, i.division, i.title_zh, i.title_en,
       z.title_zh as zone_zh, z.title_en as zone_en, p.signal_class, p.at, p.since, p.until, p.pressed_at, r.ends_at, r.cancelled_at,
       a.acknowledged_at,
       (select max(m.at) from drill_mark m where m.drill = r.id and m.institution = p.institution and m.kind = 'arrival') as arrived_at,
       (select max(m.at) from drill_mark m where m.drill = r.id and m.institution = p.institution and m.kind = 'all_clear') as all_clear_at
from drill_press p
join drill r on r.id = p.drill
join institution i on i.key = p.institution
join position o on o.key = p.position
join zone z on z.key = o.zone
left join alarm a on a.id = p.alarm
where (p.institution in (select dash.institutions())) is true;

create view dash.proof with (security_barrier) as
select f.id, i.id::text as institution, i.division, i.title_zh, i.title_en, d.id::text as device, f.level, f.tell, f.state, f.reason,
       f.requested_at, f.received_at, f.finished_at
from proof f
join institution i on i.key = f.institution
join device d on d.key = f.device
where (f.institution in (select dash.institutions())) is true;

-- what people stated; who they are is not shown
create view dash.attestation with (security_barrier) as
select a.id, i.id::text as institution, i.division, i.title_zh, i.title_en, a.kind, a.at, a.expires_at, z.title_zh as zone_zh,
       z.title_en as zone_en, d.id::text as device, a.number, a.value, s.signed_at as seconded_at, a.recorded_at
from attestation a
join institution i on i.key = a.institution
left join zone z on z.key = a.zone
left join device d on d.key = a.device
left join attestation_second s on s.attestation = a.id
where (a.institution in (select dash.institutions())) is true and not a.void
  and (a.id in (select n.supersedes from attestation n where n.supersedes is not null)) is not true;

-- recordings ---------------------------------------------------------------------------------------------------------

create view dash.recording with (security_barrier) as
select d.id::text as device, d.kind, i.id::text as institution, i.division, i.title_zh, i.title_en, z.title_zh as zone_zh,
       z.title_en as zone_en, e.id::text as recorder, r.outlook, r.days, r.possible, r.counted_days, r.needed_days, r.floor_days, r.gap_seconds,
       r.bad_seconds, r.read_at, r.installed_at, r.short_at, r.days_then, r.updated_at
from recording_state r
join device d on d.key = r.device
join institution i on i.key = r.institution
left join device e on e.key = r.recorder
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and (r.institution in (select dash.institutions())) is true;

-- the hub itself -----------------------------------------------------------------------------------------------------

-- what comes from each edge and device that speaks for itself
create view dash.stream with (security_barrier) as
select s.client::text as client, s.lane, i.id::text as institution, i.division, i.title_zh, i.title_en, s.newest_at, s.updated_at, s.beat_at,
       s.drop_items
from (select distinct on (client, lane) * from stream order by client, lane, updated_at desc) s
join client c on c.name = s.client
join device d on d.key = c.device
join institution i on i.key = d.institution
where i.partition >= 0 and (d.institution in (select dash.institutions())) is true;

-- Of the whole hub: when each lane listened last, what waits to be sent, what was refused. It belongs to the hub: canaries lie in no scope.
create view hub_state as
select 'lane' as part, w.lane || ' ' || w.partition as name, extract(epoch from now() - w.listened_at)::float8 as value, w.listened_at as at
from lane_watch w
union all
select 'outbox', '', count(*)::float8, coalesce(min(n.created_at), now()) from notification n where n.state = 'pending'
union all
select 'uncovered', '', count(*)::float8, coalesce(min(e.started_at), now()) from escalation e where e.state = 'uncovered'
union all
select 'quarantine', '', count(*)::float8, now() from quarantine q where q.received_at > now() - interval '1 day'
union all
select 'policies', '', p.errors::float8, p.checked_at from policy_check p where p.checked_at is not null
union all
select 'canary', '', extract(epoch from now() - s.at)::float8, s.at
from (select max(a.raised_at) as at from alarm a where a.institution < 0) s where s.at is not null;

-- and so for roles that see everything
create view dash.hub with (security_barrier) as
select h.part, h.name, h.value, h.at from hub_state h where (select dash.everything());
