-- Coverage: the verdict of one rule for one subject over a period. A changed verdict closes the row and opens another; nothing is recomputed.

-- The subject is an institution, or an entry of the register that is not connected. `citation` is the rule as it was then.
-- since/until say when it was true, recorded_at/closed_at when the hub knew it.
create table finding (
    key bigint generated always as identity primary key,
    subject text not null,
    institution int references institution,
    filing_number text references register_entry,
    pack text not null,
    pack_version text not null,
    rule text not null,
    basis text not null check (basis in ('obligation', 'target', 'recommendation')),
    citation jsonb not null,
    verdict text not null check (verdict in ('compliant', 'non_compliant', 'unknown', 'not_applicable', 'waived')),
    reason text not null,
    sentence_zh text not null,
    sentence_en text not null,
    evidence jsonb not null,
    since timestamptz not null,
    until timestamptz,
    recorded_at timestamptz not null default now(),
    closed_at timestamptz,
    check (until is null or until >= since),
    check ((until is null) = (closed_at is null)),
    check ((institution is null) <> (filing_number is null))
);
-- at most one verdict of a rule for a subject at a time
create unique index finding_current on finding (subject, rule) where until is null;
create index finding_history on finding (subject, since desc);

-- when a subject was last judged: a verdict that nobody renews is not shown as compliant
create table coverage_check (
    subject text primary key,
    checked_at timestamptz not null
) with (fillfactor = 50);
