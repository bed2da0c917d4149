-- The register: lists that are taken in, and what it says now and said on any past day.

-- name: acting
select set_config('anxin.import', %(import)s, true)

-- name: titles
select code, title_zh, title_en from division

-- name: current
select filing_number, division, type, title_zh, title_en, capacity, credit_code
from register_entry
where removed_at is null and (starts_with(division, %(division)s) or filing_number = any (%(numbers)s))

-- name: note_import
insert into register_import (id, division, file_name, sha256, rows, skipped, added, changed, withdrawn, imported_by)
values (%(id)s, %(division)s, %(file_name)s, %(sha256)s, %(rows)s, %(skipped)s, %(added)s, %(changed)s, %(withdrawn)s, %(actor)s)

-- name: put
-- An entry that comes back is that of the institution that was connected under it, where nobody else has taken either meanwhile.
insert into register_entry as t (filing_number, division, type, title_zh, title_en, capacity, credit_code)
select filing_number, division, type, title_zh, title_en, capacity, credit_code
from jsonb_to_recordset(%(rows)s)
    as x(filing_number text, division text, type text, title_zh text, title_en text, capacity int, credit_code text)
on conflict (filing_number) do update set
    division = excluded.division, type = excluded.type, title_zh = excluded.title_zh, title_en = excluded.title_en,
    capacity = excluded.capacity, credit_code = excluded.credit_code, version = t.version + 1, removed_at = null,
    institution = case when t.removed_at is null then t.institution else (
        select i.key from register_version v join institution i on i.key = v.institution and i.retired_at is null
        where v.filing_number = t.filing_number and v.until = (select max(l.until) from register_version l where l.filing_number = t.filing_number)
          and not exists (select from register_entry o where o.institution = i.key)) end

-- name: withdraw
update register_entry set removed_at = now(), institution = null, version = version + 1
where filing_number = any (%(numbers)s) and removed_at is null

-- name: say
insert into change (kind, payload) values ('registry', %(payload)s)

-- name: imports
select m.id, m.division, m.file_name, encode(m.sha256, 'hex') as sha256, m.rows, m.skipped, m.added, m.changed, m.withdrawn,
       m.imported_by, m.imported_at
from register_import m
where ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix) where starts_with(m.division, p.prefix)))
  and (%(after_at)s::timestamptz is null or (m.imported_at, m.id) < (%(after_at)s, %(after)s::uuid))
order by m.imported_at desc, m.id desc
limit %(limit)s

-- name: versions
select v.filing_number, v.since, v.until, v.division, v.type, v.title_zh, v.title_en, v.capacity, v.credit_code, i.id::text as institution,
       v.actor, v.import
from register_version v
left join institution i on i.key = v.institution
where v.filing_number = %(filing_number)s
  and ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix) where starts_with(v.division, p.prefix))
       or v.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
order by v.since desc
limit %(limit)s

-- name: as_of
select r.filing_number, r.division, r.type, r.title_zh, r.title_en, r.capacity, r.credit_code, i.id as institution
from register_as_of(%(at)s) r
left join institution i on i.key = r.institution
where ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix) where starts_with(r.division, p.prefix))
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
  and (%(division)s::text is null or starts_with(r.division, %(division)s))
  and (%(connected)s::boolean is null or (r.institution is not null) = %(connected)s)
  and (%(after)s::text is null or r.filing_number > %(after)s)
order by r.filing_number
limit %(limit)s
