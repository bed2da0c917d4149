-- The ledger of findings, and what the API reads of it. One judge writes at a time (`lock`).

-- name: lock
select pg_advisory_xact_lock(%(key)s)

-- name: institutions
select id::text from institution where retired_at is null and partition >= 0 order by id

-- name: entries
-- on the register, but not connected
select r.filing_number
from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
where r.removed_at is null and i.key is null
order by r.filing_number

-- the ledger -------------------------------------------------------------------------------------------------------

-- name: held
select key, subject, rule, basis, verdict,
       jsonb_build_object('pack', pack, 'pack_version', pack_version, 'basis', basis, 'citation', citation, 'reason', reason,
                          'sentence_zh', sentence_zh, 'sentence_en', sentence_en, 'evidence', evidence) as stated
from finding
where until is null and subject = any (%(subjects)s)

-- name: unrenewed
-- compliant findings that end with the last check of their subject, because nobody renewed them for too long
update finding f set until = greatest(f.since, c.checked_at), closed_at = clock_timestamp()
from coverage_check c
where f.subject = any (%(subjects)s) and f.until is null and f.verdict = 'compliant'
  and c.subject = f.subject and c.checked_at < %(fresh_since)s
returning f.key

-- name: doubt
insert into finding (subject, institution, filing_number, rule, verdict, pack, pack_version, basis, citation, reason,
                     sentence_zh, sentence_en, evidence, since)
select subject, institution, filing_number, rule, 'unknown', pack, pack_version, basis, citation, 'stale', %(zh)s, %(en)s, evidence, until
from finding where key = any (%(keys)s)

-- name: close
update finding set until = greatest(since, %(at)s), closed_at = clock_timestamp() where key = any (%(keys)s)

-- name: open
-- never before the period that has just ended, though the clock may have gone back
insert into finding (subject, institution, filing_number, rule, verdict, pack, pack_version, basis, citation, reason,
                     sentence_zh, sentence_en, evidence, since)
select x.subject, i.key, case when i.key is null then substr(x.subject, 10) end, x.rule, x.verdict, x.pack, x.pack_version, x.basis,
       x.citation, x.reason, x.sentence_zh, x.sentence_en, x.evidence,
       greatest(%(at)s, (select max(f.until) from finding f where f.subject = x.subject and f.rule = x.rule))
from jsonb_to_recordset(%(rows)s) as x(subject text, rule text, verdict text, pack text, pack_version text, basis text, citation jsonb,
    reason text, sentence_zh text, sentence_en text, evidence jsonb)
left join institution i on i.id::text = x.subject

-- name: restate
update finding f set pack = x.pack, pack_version = x.pack_version, basis = x.basis, citation = x.citation, reason = x.reason,
    sentence_zh = x.sentence_zh, sentence_en = x.sentence_en, evidence = x.evidence
from jsonb_to_recordset(%(rows)s) as x(key bigint, pack text, pack_version text, basis text, citation jsonb, reason text,
    sentence_zh text, sentence_en text, evidence jsonb)
where f.key = x.key

-- name: checked
insert into coverage_check (subject, checked_at)
select unnest(%(subjects)s::text[]), %(at)s order by 1
on conflict (subject) do update set checked_at = greatest(coverage_check.checked_at, excluded.checked_at)

-- name: gone
-- subjects that are judged no more: retired, connected meanwhile, off the register
select distinct f.subject
from finding f
left join institution i on i.key = f.institution and i.retired_at is null
left join register_entry r on r.filing_number = f.filing_number and r.removed_at is null
left join institution c on c.key = r.institution and c.retired_at is null
where f.until is null and i.key is null and (r.filing_number is null or c.key is not null)
order by f.subject

-- name: forget_checks
delete from coverage_check where subject = any (%(subjects)s)

-- name: say
insert into change (kind, institution, payload)
select 'coverage', i.key, x.payload
from jsonb_to_recordset(%(rows)s) as x(subject text, payload jsonb)
left join institution i on i.id::text = x.subject

-- what the API reads -----------------------------------------------------------------------------------------------

-- name: overview
-- The register within the scope, and institutions that are not on it; their findings with every verdict that nobody renewed as unknown.
with place as (
    select r.filing_number, i.key, i.id::text as institution, coalesce(i.id::text, 'register:' || r.filing_number) as subject,
           coalesce(i.division, r.division) as division, coalesce(i.type, r.type) as type,
           coalesce(i.title_zh, r.title_zh) as title_zh, coalesce(i.title_en, r.title_en) as title_en
    from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
    where r.removed_at is null
      and ((%(scope)s::jsonb ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                      where starts_with(coalesce(i.division, r.division), p.prefix))
           or i.key in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
    union all
    select null, i.key, i.id::text, i.id::text, i.division, i.type, i.title_zh, i.title_en
    from institutions_in_scope(%(scope)s::jsonb) i
    where i.retired_at is null and i.partition >= 0 and not exists (select from register_entry r where r.institution = i.key and r.removed_at is null)
), judged as (
    select p.*, c.checked_at,
           coalesce((select jsonb_agg(jsonb_build_array(t.basis, t.verdict, t.n))
                     from (select f.basis,
                                  case when f.verdict = 'compliant' and (c.checked_at is null or c.checked_at < %(fresh_since)s)
                                       then 'unknown' else f.verdict end as verdict,
                                  count(*) as n
                           from finding f where f.subject = p.subject and f.until is null group by 1, 2) t), '[]') as counts
    from place p left join coverage_check c on c.subject = p.subject
    where %(division)s::text is null or starts_with(p.division, %(division)s)
)
select subject, filing_number, institution, division, type, title_zh, title_en, checked_at, counts
from judged order by subject

-- name: subject
-- one subject within the scope, retired or not: its past is still there
select subject, filing_number, institution, division, type, title_zh, title_en, checked_at
from (
    select i.id::text as subject, r.filing_number, i.id::text as institution, i.division, i.type, i.title_zh, i.title_en, c.checked_at
    from institutions_in_scope(%(scope)s::jsonb) i
    left join register_entry r on r.institution = i.key and r.removed_at is null
    left join coverage_check c on c.subject = i.id::text
    where i.id::text = %(subject)s and i.partition >= 0
    union all
    select 'register:' || r.filing_number, r.filing_number, i.id::text, r.division, r.type, r.title_zh, r.title_en, c.checked_at
    from register_entry r
    left join institution i on i.key = r.institution and i.retired_at is null
    left join coverage_check c on c.subject = 'register:' || r.filing_number
    where 'register:' || r.filing_number = %(subject)s
      and ((%(scope)s::jsonb ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                      where starts_with(r.division, p.prefix))
           or i.key in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
) found

-- name: findings
select rule, pack, pack_version, basis, citation, verdict, reason, sentence_zh, sentence_en, evidence, since, until, recorded_at
from finding
where subject = %(subject)s
  and ((%(at)s::timestamptz is null and until is null)
       or (since <= %(at)s::timestamptz and (until is null or until > %(at)s::timestamptz)))
order by array_position(array['obligation', 'target', 'recommendation'], basis), rule
