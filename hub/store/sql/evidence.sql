-- Evidence of one subject as files, and the daily digest over all chains.

-- name: entries
select n, known_from, previous, hash from ledger_entry where subject = %(subject)s order by n limit %(most)s

-- name: findings
select key, entry, rule, basis, module, verdict, reason, plan_not_signed, statement, essence, facts, packs, judged_at, true_from, true_to,
       verdict_since, known_from, known_to, ended_by, hash
from finding where subject = %(subject)s order by entry, key limit %(most)s

-- name: judgements
select j.entry, j.facts, j.packs, j.true_from, j.true_to, j.known_from, j.known_to, j.ended_by
from judgement j where j.subject = %(subject)s order by j.entry, j.key limit %(most)s

-- name: facts
select hash, body from facts where hash = any (%(hashes)s)

-- name: packs
select hash, body from judged_packs where hash = any (%(hashes)s)

-- name: statements
select hash, pack, pack_version, citation, sentence_zh, sentence_en, evidence from statement where hash = any (%(hashes)s)

-- name: digests
-- the newest: each covers all that was recorded before it
select day, taken_at, subjects, root, previous, hash, signature, key_id
from (select * from coverage_digest where taken_at >= %(since)s order by day desc limit 400) d order by day

-- name: heads
-- the last link of every chain at a time; from subject to subject by the index, since the chains are long
with recursive s as (
    (select subject from ledger_entry order by subject limit 1)
    union all
    select (select e.subject from ledger_entry e where e.subject > s.subject order by e.subject limit 1) from s where s.subject is not null
)
select s.subject, e.n, e.hash
from s cross join lateral (
    select n, hash from ledger_entry e where e.subject = s.subject and e.known_from <= %(at)s order by n desc limit 1
) e
where s.subject is not null
order by s.subject collate "C"

-- name: last_digest
select day, hash from coverage_digest order by day desc limit 1

-- name: newest_entry
select max(known_from) as known_from from ledger_entry

-- name: take_digest
insert into coverage_digest (day, taken_at, subjects, root, previous, hash, signature, key_id)
values (%(day)s, %(taken_at)s, %(subjects)s, %(root)s, %(previous)s, %(hash)s, %(signature)s, %(key_id)s)
