-- The roll-up by division and group: figures over the register, now or as they were known, and what Grafana reads of them.
-- The division of an entry is the register's. A compliant finding that nobody renewed until the moment asked for is unknown, and so is one that stands
-- on a zone plan that nobody signed.

create or replace function refuse_waiver_of_law() returns trigger language plpgsql as $$
begin
    if exists (select from institution i
               join finding f on f.subject = i.id::text and f.rule = new.rule
               join statement s on s.hash = f.statement
               where i.key = new.institution and s.citation ->> 'force' in ('LAW', 'GB!')) then
        raise exception 'a rule of law or of a mandatory national standard cannot be waived'
            using errcode = 'check_violation', constraint = 'waiver_never_of_law';
    end if;
    return new;
end $$;

-- The entries that are counted. `at` null: now. `within`: below this division; `scope` null: no cut. An institution that is retired counts as not
-- connected.
create function coverage_places(at timestamptz, known_at timestamptz, within text, scope jsonb)
returns table (subject text, filing_number text, institution int, division text, checked_at timestamptz)
language plpgsql stable rows 5000 as $$
begin
    return query
    select coalesce(i.id::text, 'register:' || e.filing_number), e.filing_number, i.key, e.division, c.checked_at
    from (select r.filing_number, r.division, r.institution from register_entry r where coverage_places.at is null and r.removed_at is null
          union all
          select r.filing_number, r.division, r.institution
          from register_as_of(coverage_places.at, coverage_places.known_at) r where coverage_places.at is not null) e
    left join institution i on i.key = e.institution and (i.retired_at is null or i.retired_at > coverage_places.at)
    left join coverage_checked c on c.subject = coalesce(i.id::text, 'register:' || e.filing_number)
    where (within is null or starts_with(e.division, within))
      and (scope is null or (scope ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(scope -> 'divisions') as p(prefix) where starts_with(e.division, p.prefix))
           or i.key in (select s.key from institutions_in_scope(scope) s));
end $$;

-- How many findings of each verdict a subject has, by basis and module. `fresh_since`: what is green must have been renewed since; for the past it is
-- `at` itself. A green row of the past that is known by now to have been doubted then, because nobody looked, was no green then either.
create function coverage_verdicts(at timestamptz, known_at timestamptz, within text, scope jsonb, fresh_since timestamptz)
returns table (subject text, basis text, module text, verdict text, n bigint)
language plpgsql stable rows 50000 as $$
begin
    if at is null then
        return query
        select p.subject, f.basis, f.module,
               case when f.verdict = 'compliant' and (f.plan_not_signed or p.checked_at is null or p.checked_at < fresh_since) then 'unknown' else f.verdict end,
               count(*)
        from coverage_places(null, null, within, scope) p
        join finding f on f.subject = p.subject and f.known_to is null and f.true_to is null
        group by 1, 2, 3, 4;
    else
        return query
        select p.subject, f.basis, f.module,
               case when f.verdict = 'compliant' and (f.plan_not_signed or now_known.reason = 'stale' or now_known.key is null
                     or (now_known.true_to is null and (p.checked_at is null or p.checked_at < coverage_verdicts.at))) then 'unknown' else f.verdict end,
               count(*)
        from coverage_places(coverage_verdicts.at, coverage_verdicts.known_at, within, scope) p
        join finding f on f.subject = p.subject and f.true_from <= coverage_verdicts.at and (f.true_to is null or f.true_to > coverage_verdicts.at)
                      and f.known_from <= coverage_verdicts.known_at and (f.known_to is null or f.known_to > coverage_verdicts.known_at)
        left join finding now_known on now_known.subject = f.subject and now_known.rule = f.rule and now_known.known_to is null
                      and now_known.true_from <= coverage_verdicts.at and (now_known.true_to is null or now_known.true_to > coverage_verdicts.at)
        group by 1, 2, 3, 4;
    end if;
end $$;

-- The verdict of a subject per basis and module ('': all of them): the worst of its findings, 1 non_compliant, 2 unknown, 3 waived, 4 compliant,
-- 5 not_applicable; with how many findings it has of each. What was never judged is unknown in all that is judged anywhere.
create function coverage_standing(at timestamptz, known_at timestamptz, within text, scope jsonb, fresh_since timestamptz)
returns table (subject text, basis text, module text, worst int, findings bigint[])
language sql stable rows 50000 as $$
    with judged as materialized (
        select v.*, array_position(array['non_compliant', 'unknown', 'waived', 'compliant', 'not_applicable'], v.verdict) as rank
        from coverage_verdicts(at, known_at, within, scope, fresh_since) v
    ), combined as (
        select distinct basis, module from judged union
        select b, '' from unnest(array['obligation', 'target', 'recommendation']) b
    )
    select subject, basis, coalesce(module, ''), min(rank),
           array[coalesce(sum(n) filter (where rank = 4), 0), coalesce(sum(n) filter (where rank = 1), 0), coalesce(sum(n) filter (where rank = 2), 0),
                 coalesce(sum(n) filter (where rank = 3), 0), coalesce(sum(n) filter (where rank = 5), 0)]::bigint[]
    from judged
    group by grouping sets ((subject, basis, module), (subject, basis))
    union all
    select p.subject, c.basis, c.module, 2, array[0, 0, 0, 0, 0]::bigint[]
    from coverage_places(at, known_at, within, scope) p cross join combined c
    where not exists (select from judged j where j.subject = p.subject)
$$;

-- Every division (whose code has at most `deepest` digits) above an entry, and every group of its institution.
create function coverage_homes(at timestamptz, known_at timestamptz, within text, scope jsonb, deepest int)
returns table (kind text, place text, subject text, institution int, checked_at timestamptz)
language sql stable rows 20000 as $$
    with entry as materialized (select * from coverage_places(at, known_at, within, scope))
    select 'division', d.code, e.subject, e.institution, e.checked_at
    from entry e join division d on d.code in (left(e.division, 2), left(e.division, 4), left(e.division, 6), left(e.division, 9), e.division)
    where length(d.code) <= deepest and (within is null or starts_with(d.code, within))
    union all
    select 'group', m.group_id::text, e.subject, e.institution, e.checked_at
    from entry e join group_member m on m.institution = e.institution
    where within is null
$$;

-- where an order stood: now (`at` null), or at a time as far as it was known
create function order_states(at timestamptz, known_at timestamptz)
returns table (id uuid, institution int, state text)
language sql stable as $$
    select o.id, o.institution, o.state from work_order o where $1 is null and o.state not in ('closed', 'withdrawn')
    union all
    select o.id, o.institution, s.state
    from work_order o
    join lateral (select s.state from work_order_step s where s.work_order = o.id and s.at <= least($1, $2) order by s.n desc limit 1) s on true
    where $1 is not null and o.drafted_at <= $1 and (o.ended_at is null or o.ended_at > least($1, $2))
      and s.state not in ('closed', 'withdrawn')
$$;

-- waivers in force
create function waivers_at(at timestamptz, known_at timestamptz)
returns table (id uuid, institution int, rule text)
language sql stable as $$
    select w.id, w.institution, w.rule from waiver w
    where w.since <= coalesce($1, now()) and w.expires_at > coalesce($1, now())
      and ($1 is null or w.granted_at <= $2)
      and (w.ended_at is null or w.ended_at > least(coalesce($1, now()), coalesce($2, 'infinity')))
$$;

-- The roll-up: figures of every place with entries in it, one row a place. `figures` is as in table coverage_day.
create function coverage_rollup(at timestamptz, known_at timestamptz, within text, scope jsonb, fresh_since timestamptz, deepest int)
returns table (kind text, place text, register bigint, connected bigint, oldest_check timestamptz, stale bigint, open_orders bigint,
               raised_orders bigint, waivers bigint, figures jsonb)
language sql stable as $$
    with home as materialized (select * from coverage_homes(at, known_at, within, scope, deepest)),
    standing as materialized (select * from coverage_standing(at, known_at, within, scope, fresh_since)),
    ordered as (select institution, count(*) filter (where state <> 'draft') as open, count(*) filter (where state = 'raised') as raised
                from order_states(at, known_at) group by institution),
    waived as (select institution, count(*) as n from waivers_at(at, known_at) group by institution),
    counted as (
        select h.kind, h.place, s.basis, s.module,
               array[count(*) filter (where s.worst = 4), count(*) filter (where s.worst = 1), count(*) filter (where s.worst = 2),
                     count(*) filter (where s.worst = 3), count(*) filter (where s.worst = 5),
                     sum(s.findings[1]), sum(s.findings[2]), sum(s.findings[3]), sum(s.findings[4]), sum(s.findings[5])] as n
        from home h join standing s on s.subject = h.subject
        group by h.kind, h.place, s.basis, s.module
    ), figured as (
        select c.kind, c.place, jsonb_object_agg(c.basis || '/' || c.module, to_jsonb(c.n)) as figures from counted c group by c.kind, c.place
    ), placed as (
        select h.kind, h.place, count(*) as register, count(h.institution) as connected, min(h.checked_at) as oldest_check,
               count(*) filter (where h.checked_at is null or h.checked_at < coalesce($5, $1)) as stale,
               coalesce(sum(o.open), 0)::bigint as open_orders, coalesce(sum(o.raised), 0)::bigint as raised_orders,
               coalesce(sum(w.n), 0)::bigint as waivers
        from home h
        left join ordered o on o.institution = h.institution
        left join waived w on w.institution = h.institution
        group by h.kind, h.place
    )
    select p.*, f.figures from placed p join figured f using (kind, place)
$$;

-- what boards read -------------------------------------------------------------------------------------------------

create view coverage_by_division as
select c.day, c.place as division, split_part(f.key, '/', 1) as basis, split_part(f.key, '/', 2) as module,
       n[1] as institutions_compliant, n[2] as institutions_non_compliant, n[3] as institutions_unknown, n[4] as institutions_waived,
       n[5] as institutions_not_applicable, n[6] as findings_compliant, n[7] as findings_non_compliant, n[8] as findings_unknown,
       n[9] as findings_waived, n[10] as findings_not_applicable,
       n[1]::float8 / nullif(n[1] + n[2] + n[3] + n[4], 0) as rate, n[6]::float8 / nullif(n[6] + n[7] + n[8] + n[9], 0) as finding_rate,
       n[3]::float8 / nullif(n[1] + n[2] + n[3] + n[4], 0) as unknown_rate, c.taken_at
from coverage_day c
cross join jsonb_each(c.figures) f
cross join lateral (select array(select jsonb_array_elements_text(f.value)::bigint) as n) x
where c.kind = 'division';

create view coverage_by_group as
select c.day, c.place as group_id, split_part(f.key, '/', 1) as basis, split_part(f.key, '/', 2) as module,
       n[1] as institutions_compliant, n[2] as institutions_non_compliant, n[3] as institutions_unknown, n[4] as institutions_waived,
       n[5] as institutions_not_applicable, n[6] as findings_compliant, n[7] as findings_non_compliant, n[8] as findings_unknown,
       n[9] as findings_waived, n[10] as findings_not_applicable,
       n[1]::float8 / nullif(n[1] + n[2] + n[3] + n[4], 0) as rate, n[6]::float8 / nullif(n[6] + n[7] + n[8] + n[9], 0) as finding_rate,
       n[3]::float8 / nullif(n[1] + n[2] + n[3] + n[4], 0) as unknown_rate, c.taken_at
from coverage_day c
cross join jsonb_each(c.figures) f
cross join lateral (select array(select jsonb_array_elements_text(f.value)::bigint) as n) x
where c.kind = 'group';

create view coverage_division_day as
select day, place as division, register, connected, connected::float8 / nullif(register, 0) as connected_rate, oldest_check, stale, open_orders,
       raised_orders, waivers, taken_at
from coverage_day where kind = 'division';

create view coverage_group_day as
select day, place as group_id, register, connected, connected::float8 / nullif(register, 0) as connected_rate, oldest_check, stale, open_orders,
       raised_orders, waivers, taken_at
from coverage_day where kind = 'group';

create view work_order_now as
select o.id, i.id::text as institution, i.division, i.title_zh, i.title_en, o.rule, o.module, o.basis, o.citation ->> 'title_zh' as rule_zh,
       o.citation ->> 'title_en' as rule_en, o.state, o.drafted_at, o.issued_at, o.issued_by, o.owner, o.due_at, o.raised_to, o.answered_at, o.ended_at,
       o.state in ('issued', 'answered', 'reopened', 'raised') as open,
       o.state in ('issued', 'answered', 'reopened', 'raised') and o.due_at <= now() as overdue
from work_order o join institution i on i.key = o.institution;

create view waiver_now as
select w.id, i.id::text as institution, i.division, i.title_zh, i.title_en, w.rule, w.basis, w.force, w.title_zh as rule_zh, w.title_en as rule_en,
       w.ground, w.document, w.approver, w.granted_at, w.since, w.expires_at, w.ended_at,
       case when w.ended_at is not null then 'ended' when w.expires_at <= now() then 'expired' when w.since > now() then 'ahead' else 'holds' end as state
from waiver w join institution i on i.key = w.institution;
