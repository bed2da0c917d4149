-- The fire-risk score as it was (hub/core/fire_risk.py, hub/runtime/fire_watch.py): one row for as long as it says the same. Between `seen_at` and the
-- next row nobody looked: what it was then is unknown. Kept 400 days; what follows from the facts alone can be read from them again.
create table fire_risk (
    subject text not null,
    institution int references institution,
    filing_number text references register_entry,
    since timestamptz not null,
    seen_at timestamptz not null,
    score int not null check (score between 0 and 100),
    certain int not null check (certain between 0 and score),
    level text not null,
    level_zh text not null,
    level_en text not null,
    hard boolean not null,
    factors jsonb not null,
    weights text not null,
    primary key (subject, since),
    check (seen_at >= since),
    check ((institution is null) <> (filing_number is null))
) with (fillfactor = 70);
comment on column fire_risk.factors is '{"<factor>": [points, certain, bad, unknown, title_zh, title_en]}, those that add something';
create index fire_risk_since on fire_risk (since);

alter table fire_risk enable row level security;
create policy scope on fire_risk for select
    using (institution in (select dash.institutions()) or filing_number in (select dash.entries()));

create view dash.fire_risk with (security_barrier) as
select r.subject, r.since, r.seen_at, r.score, r.certain, r.level, r.level_zh, r.level_en, r.hard, r.factors
from fire_risk r
where (r.institution in (select dash.institutions())) is true or (r.filing_number in (select dash.entries())) is true;
