-- What the nightly check of all policies is made of, what it found, and that it looked.

-- name: sites
-- Institutions with the profiles of their urgent devices and one device of each.
select i.id::text, i.division, i.type,
       coalesce((select array_agg(m.group_id::text order by m.group_id::text) from group_member m where m.institution = i.key), '{}'),
       u.profile, u.device
from institution i
join (select d.institution, d.profile, min(d.id::text) as device
      from device d where d.retired_at is null and d.lane = 'urgent' and d.key > 0
      group by d.institution, d.profile) u on u.institution = i.key
where i.retired_at is null and i.key > 0
order by i.id, u.profile

-- name: now
select now()

-- name: state
select c.checked_at, c.horizon_until, c.errors, c.warnings, c.problem, c.basis = duty_basis() as is_current,
       c.checked_at is null or c.checked_at < now() - interval '26 hours' as is_overdue, now() as now
from policy_check c

-- name: lock
-- two processes that have looked write one after the other
select pg_advisory_xact_lock(%(key)s)

-- name: basis
select duty_basis()

-- name: forget
delete from policy_finding

-- name: remember
insert into policy_finding (policy, code, severity, message_zh, message_en, since, until)
select x.policy, x.code, x.severity, x.zh, x.en, x.since, x.until
from jsonb_to_recordset(%(rows)s) as x(policy text, code text, severity text, zh text, en text, since timestamptz, until timestamptz)

-- name: looked
update policy_check
set checked_at = now(), horizon_until = %(until)s, errors = %(errors)s, warnings = %(warnings)s, problem = '', basis = %(basis)s

-- name: failed
update policy_check set problem = %(problem)s

-- name: say
insert into change (kind, payload) values ('policy_check', %(payload)s)

-- name: findings
select policy, code, severity, message_zh, message_en, since, until, found_at from policy_finding
where %(policies)s::text[] is null or policy = any (%(policies)s)
order by severity, policy, code, key limit %(limit)s

-- name: put_year
insert into calendar_year as c (year, notice, days, imported_by) values (%(year)s, %(notice)s, %(days)s, %(actor)s)
on conflict (year) do update set
    notice = excluded.notice, days = excluded.days, version = c.version + 1, imported_at = now(), imported_by = excluded.imported_by
where (c.notice, c.days) <> (excluded.notice, excluded.days)

-- name: seed_year
insert into calendar_year (year, notice, days, imported_by) values (%(year)s, %(notice)s, %(days)s, %(actor)s)
on conflict (year) do nothing

-- name: years
select year, notice, days, imported_at, imported_by from calendar_year order by year
