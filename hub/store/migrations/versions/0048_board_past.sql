-- What boards show of a chosen past (dashboards/asof.py): places and entries of the register as they came and went, orders by their steps; and
-- groups of institutions with their members. Every view is cut by the role's scope, and the tables under it once more, as in 0041 and 0044.

alter table register_version enable row level security;
create policy scope on register_version for select using (filing_number in (select dash.entries()));
alter table work_order_step enable row level security;
create policy scope on work_order_step for select using (work_order in (select w.id from work_order w));
alter table group_member enable row level security;
create policy scope on group_member for select using (institution in (select dash.institutions()));
alter table institution_group enable row level security;
create policy scope on institution_group for select using (id in (select m.group_id from group_member m));

-- institutions, those that are gone among them
create view dash.institution with (security_barrier) as
select i.id::text as institution, coalesce(e.division, i.division) as division, i.type, i.operator, i.title_zh, i.title_en, i.latitude,
       i.longitude, i.capacity, i.created_at, i.retired_at, c.checked_at
from institution i
left join register_entry e on e.institution = i.key and e.removed_at is null
left join coverage_checked c on c.subject = i.id::text
where i.partition >= 0 and (i.key in (select dash.institutions())) is true;

-- the register as it was from `since` until before `until`
create view dash.entry with (security_barrier) as
select v.filing_number, i.id::text as institution, v.division, v.type, v.title_zh, v.title_en, v.since, v.until, c.checked_at
from register_version v
left join institution i on i.key = v.institution
left join coverage_checked c on c.subject = 'register:' || v.filing_number
where (v.filing_number in (select dash.entries())) is true;

-- whether anything had been judged, without what
create view dash.judged with (security_barrier) as
select f.subject, f.true_from, f.true_to, f.known_from, f.known_to
from finding f
where (f.institution in (select dash.institutions())) is true or (f.filing_number in (select dash.entries())) is true;

-- what happened to an order; who did it is not shown
create view dash.order_step with (security_barrier) as
select s.work_order as id, s.n, s.at, s.event, s.state, s.raised_to, i.id::text as institution, coalesce(e.division, i.division) as division
from work_order_step s
join work_order w on w.id = s.work_order
join institution i on i.key = w.institution
left join register_entry e on e.institution = i.key and e.removed_at is null
where (w.institution in (select dash.institutions())) is true;

-- groups that have a member within the scope, and those members
create view dash.member with (security_barrier) as
select m.group_id::text as group_id, i.id::text as institution
from group_member m
join institution i on i.key = m.institution
where i.partition >= 0 and (m.institution in (select dash.institutions())) is true;

create view dash.institution_group with (security_barrier) as
select g.id::text as group_id, g.title_zh, g.title_en
from institution_group g
where (g.id in (select m.group_id from group_member m where (m.institution in (select dash.institutions())) is true)) is true;

-- A device is online only where its lane is listened to: what nobody hears is unknown, whatever was heard last.
create or replace view dash.device_state with (security_barrier) as
select d.id::text as device, i.id::text as institution, i.division, d.kind, d.lane, s.admin_state,
       case when s.link_state = 'online' and (w.listened_at > now() - interval '1 minute') is not true then 'unknown' else s.link_state end as link_state,
       s.function_state, s.last_heard_at, s.proven_at, z.id::text as zone, z.title_zh as zone_zh, z.title_en as zone_en,
       i.title_zh, i.title_en, s.link_since, s.link_cause
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join lane_watch w on w.partition = i.partition and w.lane = d.lane
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and i.partition >= 0 and (d.institution in (select dash.institutions())) is true;

-- appended: the zone in which the device hangs
create or replace view dash.alarm with (security_barrier) as
select a.id, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       d.id::text as device, d.kind, a.definition, a.instance, a.signal_class, a.priority, a.state, a.raised_at, a.received_at,
       a.cleared_at, a.acknowledged_at, a.ended_at, a.occurrences, a.late, z.id::text as zone
from alarm a
join institution i on i.key = a.institution
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where a.exercise is null and a.institution in (select dash.institutions());

-- appended: what it says beyond the citation, what it stands on, and whether the plan was signed
create or replace view dash.history with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.title_zh, s.title_en, s.institution is not null as connected, f.rule, f.basis,
       f.module, case when f.verdict = 'compliant' and f.plan_not_signed then 'unsigned' else f.verdict end as verdict, f.reason,
       t.pack, t.citation ->> 'document' as document, t.citation ->> 'number' as number, t.citation ->> 'clause' as clause,
       t.sentence_zh, t.sentence_en, f.verdict_since as since, f.judged_at, f.true_from, f.true_to, f.known_from, f.known_to, c.checked_at,
       t.hash as statement, t.citation ->> 'title_zh' as rule_zh, t.citation ->> 'title_en' as rule_en, t.citation ->> 'force' as force,
       t.evidence, f.plan_not_signed
from (
    select i.id::text as subject, i.id::text as institution, null as filing_number, coalesce(e.division, i.division) as division,
           i.title_zh, i.title_en
    from institution i left join register_entry e on e.institution = i.key and e.removed_at is null
    where i.partition >= 0 and (i.key in (select dash.institutions())) is true
    union all
    select 'register:' || e.filing_number, null, e.filing_number, e.division, e.title_zh, e.title_en
    from register_entry e where (e.filing_number in (select dash.entries())) is true
) s
join finding f on f.subject = s.subject
left join statement t on t.hash = f.statement
left join coverage_checked c on c.subject = s.subject;

-- appended: how long there is to remedy, from the day of issue or of reopening
create or replace view dash.work_order with (security_barrier) as
select w.id, i.id::text as institution, coalesce(e.division, i.division) as division, i.title_zh, i.title_en, w.rule, w.basis, w.module,
       w.citation ->> 'document' as document, w.citation ->> 'number' as number, w.citation ->> 'clause' as clause, w.sentence_zh,
       w.sentence_en, w.state, w.violation_since, w.drafted_at, w.issued_at, w.due_at, w.answered_at, w.ended_at, w.owner, w.raised_to, c.checked_at,
       w.days_to_remedy
from work_order w
join institution i on i.key = w.institution
left join register_entry e on e.institution = i.key and e.removed_at is null
left join coverage_checked c on c.subject = i.id::text
where (w.institution in (select dash.institutions())) is true;
