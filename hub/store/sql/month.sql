-- What a monthly ledger is drawn up from, all as it was at `at` as far as it was known at `known_at`.

-- name: settled
-- one view of everything, for all statements of a ledger
set transaction isolation level repeatable read

-- name: patiently
set local statement_timeout = '60s'

-- name: place
-- under the name that was known
select d.code, d.title_zh, d.title_en from divisions_named(%(known_at)s) d where d.code = %(division)s

-- name: below
select d.code, d.title_zh, d.title_en from divisions_named(%(known_at)s) d where d.parent = %(division)s order by d.code

-- name: entries
with entry as materialized (select * from coverage_places(%(at)s, %(known_at)s, %(division)s, null)),
standing as (
    select s.subject, jsonb_object_agg(s.basis || '/' || s.module, to_jsonb(array[s.worst::bigint] || s.findings)) as figures
    from coverage_standing(%(at)s, %(known_at)s, %(division)s, null, %(at)s) s group by s.subject
), ordered as (
    select institution, count(*) filter (where state <> 'draft') as open, count(*) filter (where state = 'raised') as raised
    from order_states(%(at)s, %(known_at)s) group by institution
), waived as (
    select institution, count(*) as n from waivers_at(%(at)s, %(known_at)s) group by institution
)
select r.filing_number, r.title_zh, r.title_en, r.division, r.type, r.capacity, i.id::text as institution, coalesce(s.figures, '{}') as figures,
       coalesce(o.open, 0) as open_orders, coalesce(o.raised, 0) as raised_orders, coalesce(w.n, 0) as waivers
from entry e
join register_as_of(%(at)s, %(known_at)s) r on r.filing_number = e.filing_number
left join institution i on i.key = e.institution
left join standing s on s.subject = e.subject
left join ordered o on o.institution = e.institution
left join waived w on w.institution = e.institution
order by r.filing_number

-- name: orders
-- open at the end, or ended since the month began; never a draft
select o.id::text as id, e.filing_number, r.title_zh, r.title_en, o.rule, o.citation ->> 'title_zh' as rule_zh, o.citation ->> 'title_en' as rule_en,
       concat_ws(' ', nullif(o.citation ->> 'document', ''), nullif(o.citation ->> 'number', ''), nullif(o.citation ->> 'clause', '')) as clause,
       s.state, g.at as issued_at, g.at + make_interval(days => o.days_to_remedy) as due_at,
       case when s.state in ('closed', 'withdrawn') then s.at end as ended_at, coalesce(s.raised_to, '') as raised_to
from coverage_places(%(at)s, %(known_at)s, %(division)s, null) e
join register_as_of(%(at)s, %(known_at)s) r on r.filing_number = e.filing_number
join work_order o on o.institution = e.institution and o.drafted_at <= %(until)s
join lateral (select s.state, s.at, s.raised_to from work_order_step s where s.work_order = o.id and s.at <= %(until)s order by s.n desc limit 1) s on true
join lateral (select g.at from work_order_step g
              where g.work_order = o.id and g.at <= %(until)s and g.event in ('issue', 'reopen') order by g.n desc limit 1) g on true
where s.state not in ('closed', 'withdrawn') or s.at >= %(begins)s
order by o.id

-- name: waivers
select w.id::text as id, e.filing_number, r.title_zh, r.title_en, w.rule, w.title_zh as rule_zh, w.title_en as rule_en, w.ground, w.document, w.approver,
       w.since, case when w.ended_at <= %(until)s then least(w.ended_at, w.expires_at) else w.expires_at end as until
from coverage_places(%(at)s, %(known_at)s, %(division)s, null) e
join register_as_of(%(at)s, %(known_at)s) r on r.filing_number = e.filing_number
join waiver w on w.institution = e.institution
where w.granted_at <= %(known_at)s and w.since < %(at)s and w.expires_at > %(begins)s
  and (w.ended_at is null or w.ended_at > %(known_at)s or w.ended_at > %(begins)s)
order by w.id

-- name: turned
-- the findings that are known otherwise at `seen_at` than at `known_at`, of the moment `at`. `doubted`: green that is known by now not to have been
-- looked at then, or that stands on a plan that nobody signed: it counts as unknown, as in coverage_verdicts.
with entry as materialized (select * from coverage_places(%(at)s, %(seen_at)s, %(division)s, null)),
before as (
    select f.* from entry e
    join finding f on f.subject = e.subject and f.true_from <= %(at)s and (f.true_to is null or f.true_to > %(at)s)
                  and f.known_from <= %(known_at)s and (f.known_to is null or f.known_to > %(known_at)s)
), after as (
    select f.* from entry e
    join finding f on f.subject = e.subject and f.true_from <= %(at)s and (f.true_to is null or f.true_to > %(at)s)
                  and f.known_from <= %(seen_at)s and (f.known_to is null or f.known_to > %(seen_at)s)
), other as (
    select coalesce(b.subject, a.subject) as subject, coalesce(b.rule, a.rule) as rule, coalesce(a.basis, b.basis) as basis,
           coalesce(a.module, b.module) as module, b.verdict as was, b.plan_not_signed as was_unsigned, b.statement as was_statement,
           a.verdict as now, a.plan_not_signed as now_unsigned, a.statement as now_statement, coalesce(a.known_from, b.known_to) as known_from
    from before b full join after a on a.subject = b.subject and a.rule = b.rule
    where (b.verdict, b.reason, b.statement, b.plan_not_signed) is distinct from (a.verdict, a.reason, a.statement, a.plan_not_signed)
)
select e.filing_number, o.rule, o.basis, o.module, o.known_from as known_at, coalesce(t.citation, s.citation) as citation,
       case when o.was = 'compliant' and (o.was_unsigned or x.doubted) then 'unknown' else o.was end as was, s.sentence_zh as was_zh, s.sentence_en as was_en,
       case when o.now = 'compliant' and (o.now_unsigned or x.doubted) then 'unknown' else o.now end as now, t.sentence_zh as now_zh, t.sentence_en as now_en
from other o
join entry e on e.subject = o.subject
left join statement s on s.hash = o.was_statement
left join statement t on t.hash = o.now_statement
left join finding k on k.subject = o.subject and k.rule = o.rule and k.known_to is null and k.true_from <= %(at)s and (k.true_to is null or k.true_to > %(at)s)
cross join lateral (select k.key is null or k.reason = 'stale' or (k.true_to is null and (e.checked_at is null or e.checked_at < %(at)s)) as doubted) x
order by e.filing_number, array_position(array['obligation', 'target', 'recommendation'], o.basis), o.rule
limit %(most)s

-- name: flows
-- what happened to orders until the end of a month or until it was known, of the institutions that stood on the register then
select p.place, s.event, count(*)::int as n
from coverage_places(%(at)s, %(known_at)s, %(division)s, null) e
join work_order o on o.institution = e.institution
join work_order_step s on s.work_order = o.id
join unnest(%(places)s::text[]) as p(place) on starts_with(e.division, p.place)
where s.at >= %(begins)s and s.at < %(at)s and s.event in ('issue', 'reopen', 'raise', 'close', 'withdraw')
group by 1, 2
