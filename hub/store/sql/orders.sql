-- Orders: lists for people, what a person or the hub does to one, and what the hub must look at.

-- name: list
select o.id, i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en, i.division, i.retired_at is not null as retired,
       o.rule, o.basis, o.module, o.citation, o.sentence_zh, o.sentence_en, o.violation_since, o.days_to_remedy, o.state, o.drafted_at,
       o.issued_at, o.issued_by, o.owner, o.due_at, o.climbs_at, o.raised_to, o.answered_at, o.ended_at, o.watched_from, o.version,
       f.verdict, f.since as verdict_since, f.sentence_zh as now_zh, f.sentence_en as now_en, c.checked_at
from institutions_in_scope(%(scope)s::jsonb) i
join work_order o on o.institution = i.key
left join finding_now f on f.subject = i.id::text and f.rule = o.rule
left join coverage_checked c on c.subject = i.id::text
where (%(id)s::uuid is null or o.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or i.key in (select p.key from institution_counted p where starts_with(p.division, %(division)s)))
  and (%(raised_to)s::text is null or (o.state = 'raised' and starts_with(o.owner, %(raised_to)s) and starts_with(%(raised_to)s, o.raised_to)
            and (o.owner <> %(raised_to)s or o.raised_to = %(raised_to)s)))
  and (%(states)s::text[] is null or o.state = any (%(states)s))
  and (%(after_at)s::timestamptz is null or (o.drafted_at, o.id) < (%(after_at)s, %(after)s::uuid))
order by o.drafted_at desc, o.id desc
limit %(limit)s

-- name: counts
-- how many there are of each state
select o.state, count(*) as n
from institutions_in_scope(%(scope)s::jsonb) i join work_order o on o.institution = i.key
where (%(institution)s::text is null or i.id = %(institution)s) and (%(division)s::text is null or i.key in (select p.key from institution_counted p where starts_with(p.division, %(division)s)))
group by o.state

-- name: steps
select n, at, event, state, actor, note, attachment, raised_to from work_order_step where work_order = %(id)s order by n

-- name: lock
select o.id, i.division, o.state, o.days_to_remedy, o.drafted_at, o.issued_at, o.owner, o.due_at, o.climbs_at, o.raised_to, o.answered_at,
       o.ended_at, o.watched_from
from institutions_in_scope(%(scope)s::jsonb) s
join work_order o on o.institution = s.key
join institution i on i.key = o.institution
where o.id = %(id)s
for update of o

-- name: put
update work_order
set state = %(state)s, issued_at = %(issued_at)s, issued_by = coalesce(%(issued_by)s, issued_by), owner = %(owner)s, due_at = %(due_at)s,
    climbs_at = %(climbs_at)s, raised_to = %(raised_to)s, answered_at = %(answered_at)s, ended_at = %(ended_at)s,
    watched_from = %(watched_from)s, version = version + 1
where id = %(id)s

-- name: add_step
insert into work_order_step (work_order, n, at, event, state, actor, note, attachment, raised_to)
select %(id)s, coalesce(max(n), 0) + 1, %(at)s, %(event)s, %(state)s, %(actor)s, %(note)s, %(attachment)s, %(raised_to)s
from work_order_step where work_order = %(id)s

-- name: answers
select count(*) as n from work_order_step where work_order = %(id)s and event = 'answer'

-- name: say
insert into change (kind, institution, payload)
select 'order', o.institution, jsonb_build_object('id', o.id, 'rule', o.rule, 'event', %(event)s::text, 'state', o.state, 'due_at', o.due_at,
                                                  'raised_to', o.raised_to)
from work_order o where o.id = %(id)s

-- name: divisions
select code, parent from division

-- what the hub does by itself ---------------------------------------------------------------------------------------

-- name: only_one
select pg_advisory_xact_lock(%(key)s)

-- name: violations
-- what has stood for long enough, or will have within `ahead`, and has no order that is open; `among`: at these institutions only
select f.institution, f.subject, f.rule, f.basis, f.module, f.citation, f.sentence_zh, f.sentence_en, f.since, c.checked_at, o.state, o.ended_at,
       -- whatever another release wrote there: it costs no other institution its orders
       case when jsonb_typeof(f.citation -> 'days_to_remedy') = 'number'
            then least(greatest((f.citation ->> 'days_to_remedy')::numeric, 1), 3650)::int else 30 end as days_to_remedy, o.drafted_at
from finding_now f
join institution i on i.key = f.institution and i.retired_at is null and i.partition >= 0
join coverage_checked c on c.subject = f.subject
left join lateral (select w.state, w.ended_at, w.drafted_at from work_order w
                   where w.institution = f.institution and w.rule = f.rule order by w.drafted_at desc, w.id limit 1) o on true
where f.verdict = 'non_compliant' and f.basis in ('obligation', 'target')
  and (%(among)s::text[] is null or f.subject = any (%(among)s))
  and f.since <= least(%(stood)s, c.checked_at - %(stands)s) + %(ahead)s
  and (o.state is null or (o.state = 'withdrawn' and (f.since > o.ended_at or o.ended_at <= %(forgotten)s + %(ahead)s))
       or (o.state = 'closed' and f.since > o.ended_at + %(relapse)s))
order by f.since, f.institution, f.rule
limit %(limit)s

-- name: draft
insert into work_order (institution, rule, basis, module, citation, sentence_zh, sentence_en, violation_since, days_to_remedy, drafted_at)
values (%(institution)s, %(rule)s, %(basis)s, %(module)s, %(citation)s, %(sentence_zh)s, %(sentence_en)s, %(since)s, %(days_to_remedy)s, %(at)s)
on conflict do nothing
returning id

-- name: attention
-- orders about which something may have to be done now or within `ahead`, of institutions that are there; `among`: of these only. One that somebody
-- is changing is for the next look
select o.id, o.state, o.days_to_remedy, o.drafted_at, o.issued_at, o.owner, o.due_at, o.climbs_at, o.raised_to, o.answered_at, o.ended_at,
       o.watched_from, o.rule, i.id::text as subject, c.checked_at
from work_order o
join institution i on i.key = o.institution and i.retired_at is null
join coverage_checked c on c.subject = i.id::text
left join finding_now f on f.subject = i.id::text and f.rule = o.rule
where (%(among)s::text[] is null or i.id::text = any (%(among)s))
  and ((o.state = 'draft' and f.verdict is distinct from 'non_compliant' and f.verdict is distinct from 'unknown')
       or (o.state in ('issued', 'answered', 'reopened', 'raised')
           and (f.verdict = 'waived' or o.climbs_at <= %(at)s + %(ahead)s
                or (f.verdict = 'compliant' and o.watched_from <= %(watched)s + %(ahead)s)))
       or (o.state = 'closed' and f.verdict = 'non_compliant' and f.since <= o.ended_at + %(relapse)s and f.since <= %(stood)s + %(ahead)s
           and not exists (select from work_order n where n.institution = o.institution and n.rule = o.rule and n.drafted_at > o.drafted_at)))
order by o.id
for update of o skip locked

-- name: periods
select p.subject, p.rule, p.verdict, p.since, p.until
from jsonb_to_recordset(%(asked)s) as x(subject text, rule text, since timestamptz)
join lateral (select * from finding_period p where p.subject = x.subject and p.rule = x.rule and (p.until is null or p.until >= x.since)) p on true
order by p.subject, p.rule, p.since

-- name: raised
-- what was raised and is not done, the longest first
select o.id, i.id::text as institution, i.title_zh, i.title_en, o.owner, o.raised_to, o.due_at, o.rule, o.citation, o.state, o.days_to_remedy, o.drafted_at,
       count(*) over () as total
from work_order o join institution i on i.key = o.institution and i.retired_at is null
where o.state = 'raised'
order by o.due_at, o.id
limit %(limit)s
