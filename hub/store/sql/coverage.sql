-- Who is judged, and what the API reads of the ledger.

-- name: institutions
-- those first that were judged before: something of them may be shown green
select i.id::text
from institution i left join coverage_check c on c.subject = i.id::text
where i.retired_at is null and i.partition >= 0
order by c.subject is null, i.id

-- name: of_partitions
select id::text from institution where retired_at is null and partition = any (%(partitions)s) order by id

-- name: registered_since
-- whose entries of the register have been others since a time, and the entries themselves where they are not connected
select distinct coalesce(i.id::text, 'register:' || v.filing_number)
from register_version v
join register_entry r on r.filing_number = v.filing_number
left join institution i on i.key in (r.institution, v.institution) and i.retired_at is null
where v.since >= %(at)s or v.until >= %(at)s
order by 1

-- name: calendars
-- changes with every edition of a holiday calendar
select coalesce(sum(version), 0)::bigint + count(*) from calendar_year

-- name: measured_since
-- where points that rules ask for have other values since a look, or came late
select distinct i.id::text
from series s
join point_state t on t.series = s.key
join device d on d.key = s.device and d.retired_at is null
join institution i on i.key = d.institution
where s.point = any (%(points)s) and s.instance = '' and t.received_at > %(since)s
  and (t.changed_at > %(since)s or t.at < %(since)s)
order by 1

-- name: entries
-- on the register, but not connected
select r.filing_number
from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
where r.removed_at is null and i.key is null
order by r.filing_number

-- what the API reads -----------------------------------------------------------------------------------------------

-- name: overview
-- The register within the scope, and institutions that are not on it or stand on it elsewhere (not `counted`); their findings with every green that
-- nobody renewed, or that stands on a zone plan that nobody signed, as unknown. What is counted is what the roll-up counts.
with counted as materialized (
    select p.filing_number from coverage_places(null, null, %(division)s, %(scope)s::jsonb) p
), mine as materialized (
    select i.* from institutions_in_scope(%(scope)s::jsonb) i
    where i.retired_at is null and i.partition >= 0 and (%(division)s::text is null or starts_with(i.division, %(division)s))
), place as (
    select r.filing_number, i.key, i.id::text as institution, coalesce(i.id::text, 'register:' || r.filing_number) as subject,
           r.division, coalesce(i.type, r.type) as type, coalesce(i.title_zh, r.title_zh) as title_zh, coalesce(i.title_en, r.title_en) as title_en,
           i.division as own_division, r.type as register_type, r.filing_number in (select c.filing_number from counted c) as counted
    from register_entry r left join institution i on i.key = r.institution and i.retired_at is null
    where r.removed_at is null
      and (r.filing_number in (select c.filing_number from counted c) or i.key in (select m.key from mine m))
    union all
    select null, m.key, m.id::text, m.id::text, m.division, m.type, m.title_zh, m.title_en, m.division, null, false
    from mine m
    where not exists (select from register_entry r where r.institution = m.key and r.removed_at is null)
), judged as (
    select p.*, c.checked_at,
           coalesce((select jsonb_agg(jsonb_build_array(t.basis, t.verdict, t.n))
                     from (select f.basis,
                                  case when f.verdict = 'compliant'
                                            and (f.plan_not_signed or c.checked_at is null or c.checked_at < %(fresh_since)s)
                                       then 'unknown' else f.verdict end as verdict,
                                  count(*) as n
                           from finding f where f.subject = p.subject and f.known_to is null and f.true_to is null group by 1, 2) t), '[]') as counts
    from place p left join coverage_checked c on c.subject = p.subject
)
select subject, filing_number, institution, division, type, title_zh, title_en, checked_at, counts, own_division, register_type, counted,
       j.key is not null and not exists (select from device d join device_state s on s.device = d.key
                                         where d.institution = j.key and s.last_heard_at is not null) as never_heard
from judged j order by subject

-- name: subject
-- one subject within the scope, retired or not: its past is still there
select subject, filing_number, institution, division, type, title_zh, title_en, checked_at, own_division, register_type
from (
    select i.id::text as subject, r.filing_number, i.id::text as institution, coalesce(r.division, i.division) as division, i.type,
           i.title_zh, i.title_en, c.checked_at, i.division as own_division, r.type as register_type
    from institutions_in_scope(%(scope)s::jsonb) i
    left join register_entry r on r.institution = i.key and r.removed_at is null
    left join coverage_checked c on c.subject = i.id::text
    where i.id::text = %(subject)s and i.partition >= 0
    union all
    select 'register:' || r.filing_number, r.filing_number, i.id::text, r.division, r.type, r.title_zh, r.title_en, c.checked_at,
           null, null
    from register_entry r
    left join institution i on i.key = r.institution and i.retired_at is null
    left join coverage_checked c on c.subject = 'register:' || r.filing_number
    where 'register:' || r.filing_number = %(subject)s
      and ((%(scope)s::jsonb ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                      where starts_with(r.division, p.prefix))
           or i.key in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
) found

-- name: findings
-- what holds now, or held at a time, as it is known or was known then. `doubted`: at that time nobody had judged for three minutes, and so what
-- stood as compliant was shown as unknown; it is what the ledger recorded as soon as somebody judged again
select f.rule, f.pack, f.pack_version, f.basis, f.module, f.citation, f.verdict, f.reason, f.plan_not_signed, f.sentence_zh, f.sentence_en, f.evidence,
       f.since, f.true_to as until, f.true_from, f.recorded_at,
       f.verdict = 'compliant' and f.true_to is null and exists (
           select from finding d
           where d.subject = f.subject and d.rule = f.rule and d.reason = 'stale' and d.known_from > %(known_at)s::timestamptz
             and d.true_from < %(at)s::timestamptz - interval '180 s' and (d.true_to is null or d.true_to > %(at)s::timestamptz)) as doubted
from finding_as_of(coalesce(%(at)s::timestamptz, 'infinity'), coalesce(%(known_at)s::timestamptz, 'infinity')) f
where f.subject = %(subject)s
order by array_position(array['obligation', 'target', 'recommendation'], f.basis), f.rule

-- name: digests
select day, taken_at, subjects, root, previous, hash, signature, key_id from coverage_digest order by day desc limit %(limit)s
