-- The ledger of findings (docs/decisions/0355): one judge writes at a time (`lock`), rows are added and ended, nothing is changed.

-- name: lock
select pg_advisory_xact_lock(%(key)s)

-- name: standing
-- what is held of subjects: the facts judged last, and what each rule says of them
select s.subject, j.steady, j.packs,
       (select array_agg(f.rule order by f.rule) from finding f where f.subject = s.subject and f.known_to is null and f.true_to is null) as rules,
       (select array_agg(f.essence order by f.rule) from finding f where f.subject = s.subject and f.known_to is null and f.true_to is null) as essences
from unnest(%(subjects)s::text[]) as s(subject)
left join judgement j on j.subject = s.subject and j.known_to is null and j.true_to is null

-- name: stale
select subject from coverage_checked where subject = any (%(subjects)s) and checked_at < %(fresh_since)s

-- name: heads
select s.subject, e.n, e.hash, e.known_from, greatest(e.known_from, (select max(d.taken_at) from coverage_digest d)) as dated,
       i.key as institution, c.checked_at
from unnest(%(subjects)s::text[]) as s(subject)
left join coverage_checked c on c.subject = s.subject
left join lateral (select n, hash, known_from from ledger_entry e where e.subject = s.subject order by n desc limit 1) e on true
left join institution i on i.id::text = s.subject

-- name: open_spans
select j.key, j.subject, j.facts, j.packs, j.true_from, j.true_to, b.body
from judgement j join facts b on b.hash = j.facts
where j.subject = any (%(subjects)s) and j.known_to is null and j.true_to is null

-- name: past_spans
-- of each subject those that ended after its time, the newest first and not without bound
select p.key, p.subject, p.facts, p.packs, p.true_from, p.true_to, b.body
from unnest(%(subjects)s::text[], %(since)s::timestamptz[]) as s(subject, since)
cross join lateral (
    select * from judgement j
    where j.subject = s.subject and j.known_to is null and j.true_to >= s.since
    order by j.true_from desc limit %(most)s
) p
join facts b on b.hash = p.facts

-- name: rows
select f.key, f.subject, f.hash, f.rule, f.basis, f.module, f.verdict, f.reason, f.plan_not_signed, f.statement, f.essence, f.facts, f.packs,
       f.judged_at, f.true_from, f.true_to, f.verdict_since
from unnest(%(subjects)s::text[], %(since)s::timestamptz[]) as s(subject, since)
join finding f on f.subject = s.subject and f.known_to is null and (f.true_to is null or f.true_to >= s.since)

-- name: statements
select hash, pack, pack_version, citation, sentence_zh, sentence_en, evidence from statement where hash = any (%(hashes)s)

-- name: known_hashes
select hash from facts where hash = any (%(hashes)s)
union all select hash from statement where hash = any (%(hashes)s)
union all select hash from judged_packs where hash = any (%(hashes)s)

-- name: packs
select body from judged_packs where hash = %(hash)s

-- name: end_findings
update finding f set known_to = x.at, ended_by = x.n
from unnest(%(keys)s::bigint[], %(entries)s::bigint[], %(at)s::timestamptz[]) as x(key, n, at) where f.key = x.key

-- name: end_judgements
update judgement j set known_to = x.at, ended_by = x.n
from unnest(%(keys)s::bigint[], %(entries)s::bigint[], %(at)s::timestamptz[]) as x(key, n, at) where j.key = x.key

-- name: copy_facts
copy facts (hash, body) from stdin

-- name: copy_packs
copy judged_packs (hash, body) from stdin

-- name: copy_statements
copy statement (hash, pack, pack_version, citation, sentence_zh, sentence_en, evidence) from stdin

-- name: copy_entries
copy ledger_entry (subject, n, known_from, previous, hash) from stdin

-- name: copy_judgements
copy judgement (subject, entry, facts, packs, steady, true_from, true_to, known_from) from stdin

-- name: copy_findings
copy finding (subject, institution, filing_number, entry, rule, basis, module, verdict, reason, plan_not_signed, statement, essence, facts, packs,
              judged_at, true_from, true_to, verdict_since, known_from, hash) from stdin

-- name: gone
-- subjects that are judged no more: retired, connected meanwhile, off the register
select c.subject
from coverage_check c
left join institution i on i.id::text = c.subject and i.retired_at is null and i.partition >= 0
left join register_entry r on 'register:' || r.filing_number = c.subject and r.removed_at is null
left join institution k on k.key = r.institution and k.retired_at is null
where i.key is null and (r.filing_number is null or k.key is not null)
order by c.subject

-- name: forget_checks
delete from coverage_check where subject = any (%(subjects)s)

-- name: say
insert into change (kind, institution, payload)
select 'coverage', i.key, x.payload
from jsonb_to_recordset(%(rows)s) as x(subject text, payload jsonb)
left join institution i on i.id::text = x.subject

-- name: checked
insert into coverage_check (subject, checked_at)
select unnest(%(subjects)s::text[]), %(at)s order by 1
on conflict (subject) do update set checked_at = greatest(coverage_check.checked_at, excluded.checked_at), waits_since = null

-- name: learnt
-- what may be remembered of subjects, with the newest entry of their chain
update coverage_check c
set steady = x.steady, judge = %(judge)s, turns_at = x.turns_at,
    entry = coalesce((select max(e.n) from ledger_entry e where e.subject = c.subject), 0)
from unnest(%(subjects)s::text[], %(steadies)s::bytea[], %(turns)s::timestamptz[]) as x(subject, steady, turns_at)
where c.subject = x.subject

-- name: remembered
select c.subject, c.steady, c.turns_at
from coverage_check c
where c.judge = %(judge)s and c.entry = coalesce((select max(e.n) from ledger_entry e where e.subject = c.subject), 0)

-- name: unlearn
-- of these nothing is remembered beyond this process: they are judged again whatever their facts are
update coverage_check set steady = null, judge = null, turns_at = null, entry = null where subject = any (%(subjects)s)

-- name: doubt
-- what changed then has waited for too long: no watch vouches for these subjects beyond that, until they are judged
update coverage_check c set waits_since = least(c.waits_since, x.since)
from unnest(%(subjects)s::text[], %(since)s::timestamptz[]) as x(subject, since) where c.subject = x.subject

-- name: set_back
-- The clock was set back: what was vouched for in a time that is not yet holds until now, and not for as long as the clock was set back.
with later as (update coverage_watch set at = %(at)s where at > %(at)s)
update coverage_check set checked_at = %(at)s where checked_at > %(at)s

-- name: take_over
-- what another watch renewed last is written down before it is forgotten
with over as (delete from coverage_watch where at < %(fresh_since)s returning since, at)
update coverage_check c set checked_at = greatest(c.checked_at, (select max(o.at) from over o where o.since <= c.checked_at))
where exists (select from over o where o.since <= c.checked_at and o.at > c.checked_at)

-- name: renew
insert into coverage_watch (id, since, at) values (%(id)s, %(since)s, %(at)s)
on conflict (id) do update set since = excluded.since, at = greatest(coverage_watch.at, excluded.at)
