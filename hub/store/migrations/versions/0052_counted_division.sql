-- One figure has one value: what stands on the register is counted in the register's division, by whoever counts (decision 0401). What the
-- institution says of itself is shown beside it where it differs.

-- An entry belongs to a scope by its own division, or where its institution is named there, by itself or by a group. That an institution says of
-- itself to stand in a division of the scope puts it into no figure of it.
create or replace function coverage_places(at timestamptz, known_at timestamptz, within text, scope jsonb)
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
           or i.key in (select s.key from institutions_in_scope(scope || '{"divisions": []}') s));
end $$;

-- where an institution is counted now; what is on no register stands where it says
create view institution_counted as
select i.key, coalesce(e.division, i.division) as division
from institution i left join register_entry e on e.institution = i.key and e.removed_at is null;

-- what boards read: the same division (dash.history and dash.work_order have it since 0048), as expressions (0051)
create or replace view dash.subject with (security_barrier) as
select s.*, s.institution is not null as connected, c.checked_at
from (
    select coalesce(i.id::text, 'register:' || e.filing_number) as subject, e.filing_number, i.id::text as institution,
           e.division || ''::text as division, coalesce(i.type, e.type) as type,
           coalesce(i.title_zh, e.title_zh) as title_zh, coalesce(i.title_en, e.title_en) as title_en
    from register_entry e left join institution i on i.key = e.institution and i.retired_at is null
    where e.removed_at is null and (e.filing_number in (select dash.entries())) is true
    union all
    select i.id::text, null, i.id::text, i.division || ''::text, i.type, i.title_zh, i.title_en
    from institution i
    where i.retired_at is null and i.partition >= 0 and (i.key in (select dash.institutions())) is true
      and not exists (select from register_entry e where e.institution = i.key and e.removed_at is null)
) s
left join coverage_checked c on c.subject = s.subject;

create or replace view dash.waiver with (security_barrier) as
select w.id, i.id::text as institution, coalesce(e.division, i.division) as division, i.title_zh, i.title_en, w.rule, w.force, w.basis,
       w.title_zh as rule_zh, w.title_en as rule_en, w.ground, w.document, w.granted_at, w.since, w.expires_at, w.ended_at, c.checked_at
from waiver w
join institution i on i.key = w.institution
left join register_entry e on e.institution = i.key and e.removed_at is null
left join coverage_checked c on c.subject = i.id::text
where (w.institution in (select dash.institutions())) is true;

-- Under which name a division was known, so that a ledger prints the same after it was renamed. The first name stands for all that lies before it.
create table division_name (
    code text not null references division,
    since timestamptz not null,
    title_zh text not null,
    title_en text not null,
    primary key (code, since)
);
insert into division_name select code, '-infinity', title_zh, title_en from division;

create function keep_division_name() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and (old.title_zh, old.title_en) is not distinct from (new.title_zh, new.title_en) then
        return null;
    end if;
    insert into division_name
    select new.code, case when tg_op = 'INSERT' then '-infinity' else clock_timestamp() end, new.title_zh, new.title_en
    on conflict (code, since) do update set title_zh = excluded.title_zh, title_en = excluded.title_en;
    return null;
end $$;
create trigger division_name_kept after insert or update of title_zh, title_en on division
    for each row execute function keep_division_name();

create function divisions_named(known_at timestamptz)
returns table (code text, parent text, title_zh text, title_en text)
language sql stable as $$
    select distinct on (d.code) d.code, d.parent, n.title_zh, n.title_en
    from division d join division_name n on n.code = d.code and n.since <= known_at
    order by d.code, n.since desc
$$;
