-- Orders 整改 and waivers 豁免 (hub/core/orders.py, hub/core/coverage/waivers.py), and the daily roll-up by division and group.

create table work_order (
    id uuid primary key default gen_random_uuid(),
    institution int not null references institution,
    rule text not null,
    basis text not null check (basis in ('obligation', 'target')),
    module text not null,
    citation jsonb not null,
    sentence_zh text not null,
    sentence_en text not null,
    violation_since timestamptz not null,
    days_to_remedy int not null check (days_to_remedy > 0),
    state text not null default 'draft'
        check (state in ('draft', 'issued', 'answered', 'reopened', 'raised', 'closed', 'withdrawn')),
    drafted_at timestamptz not null,
    issued_at timestamptz,
    issued_by text,
    owner text references division,
    due_at timestamptz,
    climbs_at timestamptz,
    raised_to text references division,
    answered_at timestamptz,
    ended_at timestamptz,
    watched_from timestamptz,
    version int not null default 1,
    check (state in ('draft', 'withdrawn') or (issued_at is not null and issued_by is not null and owner is not null)),
    check ((ended_at is not null) = (state in ('closed', 'withdrawn'))),
    check (state <> 'raised' or raised_to is not null)
);
-- one order at a time of a rule at an institution
create unique index work_order_open on work_order (institution, rule) where state not in ('closed', 'withdrawn');
create index work_order_place on work_order (institution, rule, drafted_at desc);
create index work_order_list on work_order (drafted_at desc, id);

-- what happened to it and who did it; only ever added to
create table work_order_step (
    work_order uuid not null references work_order,
    n int not null,
    at timestamptz not null,
    event text not null check (event in ('draft', 'issue', 'answer', 'withdraw', 'lapse', 'close', 'reopen', 'raise')),
    state text not null,
    actor text not null,
    note text not null default '' check (length(note) <= 2000),
    attachment text not null default '' check (length(attachment) <= 500),
    raised_to text references division,
    primary key (work_order, n)
);
create trigger work_order_step_append_only before update or delete or truncate on work_order_step
    for each statement execute function refuse_change();

-- A waiver ends at its expiry, or before it when a person ends it. Never of a law or a mandatory national standard: neither as it says of itself,
-- nor as any finding of the rule
-- at that institution has ever said.
create table waiver (
    id uuid primary key default gen_random_uuid(),
    institution int not null references institution,
    rule text not null,
    force text not null constraint waiver_never_of_law check (force not in ('LAW', 'GB!')),
    basis text not null check (basis in ('obligation', 'target')),
    title_zh text not null,
    title_en text not null,
    ground text not null check (length(ground) between 1 and 2000 and ground ~ '\S'),
    document text not null default '' check (length(document) <= 200),
    approver text not null check (approver <> ''),
    granted_at timestamptz not null,
    since timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    ended_by text,
    check (expires_at > since and expires_at <= since + interval '366 days'),
    check ((ended_at is null) = (ended_by is null))
);
create index waiver_place on waiver (institution, rule, expires_at desc);
create index waiver_standing on waiver (expires_at) where ended_at is null;

create function refuse_waiver_of_law() returns trigger language plpgsql as $$
begin
    if exists (select from institution i join finding f on f.subject = i.id::text
               where i.key = new.institution and f.rule = new.rule and f.citation ->> 'force' in ('LAW', 'GB!')) then
        raise exception 'a rule of law or of a mandatory national standard cannot be waived'
            using errcode = 'check_violation', constraint = 'waiver_never_of_law';
    end if;
    return new;
end $$;
create trigger waiver_never_of_law before insert or update on waiver for each row execute function refuse_waiver_of_law();

-- a waiver is ended once, and otherwise as it was granted
create function refuse_waiver_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.ended_at is not null
       or (to_jsonb(new) - array['ended_at', 'ended_by']) is distinct from (to_jsonb(old) - array['ended_at', 'ended_by']) then
        raise exception 'a waiver is ended, never changed' using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger waiver_only_ended before update or delete on waiver for each row execute function refuse_waiver_change();

-- The roll-up of a day of a division or a group, as it was last taken on that day (+08:00). `figures` is
-- {"<basis>/<module>": [institutions: compliant, non_compliant, unknown, waived, not_applicable, findings: the same five]}, module '' is all of them.
create table coverage_day (
    day date not null,
    kind text not null check (kind in ('division', 'group')),
    place text not null,
    register int not null,
    connected int not null,
    oldest_check timestamptz,
    stale int not null,
    open_orders int not null,
    raised_orders int not null,
    waivers int not null,
    taken_at timestamptz not null,
    figures jsonb not null,
    primary key (kind, place, day)
);
create index coverage_day_of on coverage_day (day, kind);
