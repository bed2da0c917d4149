-- What devices and recordings of each institution looked like (hub/runtime/look_watch.py), so that their boards follow a chosen past: one row for as long
-- as it looks the same, a day at most. Between `seen_at` and the next row nobody looked: what it was then is unknown. Kept 400 days.
create table institution_look (
    institution int not null references institution,
    what text not null check (what in ('devices', 'recordings')),
    since timestamptz not null,
    seen_at timestamptz not null,
    body jsonb not null,
    primary key (institution, what, since),
    check (seen_at >= since)
) with (fillfactor = 70);
comment on column institution_look.body is 'as hub/store/sql/looks.sql makes it';
create index institution_look_since on institution_look (what, since);

alter table institution_look enable row level security;
create policy scope on institution_look for select using (institution in (select dash.institutions()));

create view dash.look with (security_barrier) as
select i.id::text as institution, l.what, l.since, l.seen_at, l.body
from institution_look l
join institution i on i.key = l.institution
where i.partition >= 0 and (l.institution in (select dash.institutions())) is true;
