-- What Grafana draws and counts are real alarms: drills, proofs and canaries are no figures of anybody's alarms.

create or replace view dash.alarm with (security_barrier) as
select a.id, i.id::text as institution, i.division, i.title_zh as institution_zh, i.title_en as institution_en,
       d.id::text as device, d.kind, a.definition, a.instance, a.signal_class, a.priority, a.state, a.raised_at, a.received_at,
       a.cleared_at, a.acknowledged_at, a.ended_at, a.occurrences, a.late
from alarm a
join institution i on i.key = a.institution
join device d on d.key = a.device
where a.exercise is null and a.institution in (select dash.institutions());
