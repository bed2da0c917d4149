-- The ledger of findings: each row says what was true from when to when, and from when to when the hub held it so (docs/decisions/0355, 0356).
-- Rows are added and ended, never changed: late facts end the rows that they contradict and add others.

alter table finding rename to finding_before;
drop index finding_current;
drop index finding_history;

-- what was judged: canonical JSON, deflated, under its SHA-256. Written once, shared by everything that rests on it.
create table facts (
    hash bytea primary key check (length(hash) = 32),
    body bytea not null
);
create table judged_packs (
    hash bytea primary key check (length(hash) = 32),
    body bytea not null
);
-- what a finding says: sentences, citation and evidence
create table statement (
    hash bytea primary key check (length(hash) = 32),
    pack text not null,
    pack_version text not null,
    citation jsonb not null,
    sentence_zh text not null,
    sentence_en text not null,
    evidence jsonb not null
);

-- One link of a subject's chain: everything that was recorded of it in one transaction. The hash covers the entry, its rows, and the hash before.
create table ledger_entry (
    subject text not null,
    n bigint not null check (n > 0),
    known_from timestamptz not null,
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    primary key (subject, n)
);
create index ledger_entry_known on ledger_entry (known_from);

-- which facts held from when to when, as known from when to when
create table judgement (
    key bigint generated always as identity primary key,
    subject text not null,
    entry bigint not null,
    facts bytea not null references facts,
    packs bytea not null references judged_packs,
    steady bytea not null,
    true_from timestamptz not null,
    true_to timestamptz,
    known_from timestamptz not null,
    known_to timestamptz,
    ended_by bigint,
    check (true_to is null or true_to > true_from),
    check (known_to is null or known_to >= known_from),
    check ((known_to is null) = (ended_by is null)),
    foreign key (subject, entry) references ledger_entry (subject, n)
);
create unique index judgement_current on judgement (subject) where known_to is null and true_to is null;
create index judgement_past on judgement (subject, true_from desc) where known_to is null;
create index judgement_entry on judgement (subject, entry);

-- Entry 0 stands for what was written before there was a chain: those rows have no hash and no facts.
create table finding (
    key bigint generated always as identity primary key,
    subject text not null,
    institution int references institution,
    filing_number text references register_entry,
    entry bigint not null default 0,
    rule text not null,
    basis text not null check (basis in ('obligation', 'target', 'recommendation')),
    module text not null default 'other',
    verdict text not null check (verdict in ('compliant', 'non_compliant', 'unknown', 'not_applicable', 'waived')),
    reason text not null,
    plan_not_signed boolean not null default false,
    statement bytea not null references statement,
    essence bytea,
    facts bytea references facts,
    packs bytea references judged_packs,
    judged_at timestamptz,
    true_from timestamptz not null,
    true_to timestamptz,
    verdict_since timestamptz not null,
    known_from timestamptz not null default now(),
    known_to timestamptz,
    ended_by bigint,
    hash bytea,
    check (true_to is null or true_to > true_from),
    check (verdict_since <= true_from),
    check (known_to is null or known_to >= known_from),
    check (known_to is not null or ended_by is null),
    check ((facts is null) = (packs is null) and (facts is null) = (judged_at is null)),
    check ((entry = 0) = (hash is null)),
    check ((institution is null) <> (filing_number is null))
);
-- at most one verdict of a rule for a subject at a time, as far as is known
create unique index finding_current on finding (subject, rule) where known_to is null and true_to is null;
create index finding_past on finding (subject, rule, true_from desc) where known_to is null;
create index finding_subject on finding (subject, known_from);
create index finding_entry on finding (subject, entry);
create index finding_ended on finding (subject, ended_by) where ended_by is not null;

insert into statement
select distinct on (hash) hash, pack, pack_version, citation, sentence_zh, sentence_en, evidence
from (select sha256(convert_to(jsonb_build_array(pack, pack_version, citation, sentence_zh, sentence_en, evidence)::text, 'UTF8')) as hash,
             pack, pack_version, citation, sentence_zh, sentence_en, evidence
      from finding_before) s;

-- a period that had ended was first known as open; one without any length held at no time and is left behind
with said as (
    select f.*, sha256(convert_to(jsonb_build_array(pack, pack_version, citation, sentence_zh, sentence_en, evidence)::text, 'UTF8')) as hash
    from finding_before f
    where until is null or until > since
)
insert into finding (subject, institution, filing_number, rule, basis, verdict, reason, statement, true_from, true_to, verdict_since, known_from,
                     known_to)
select subject, institution, filing_number, rule, basis, verdict, reason, hash, since, null::timestamptz, since, recorded_at,
       case when until is not null then greatest(closed_at, recorded_at) end
from said
union all
select subject, institution, filing_number, rule, basis, verdict, reason, hash, since, until, since, greatest(closed_at, recorded_at), null
from said where until is not null;

-- Rows are added, and ended once; nothing else, whoever asks. ALWAYS: also where a session calls itself a replica.
create function keep_ledger() returns trigger language plpgsql as $$
declare
    before jsonb; after jsonb;
begin
    if tg_op = 'UPDATE' then
        before := to_jsonb(old) - 'known_to' - 'ended_by';
        after := to_jsonb(new) - 'known_to' - 'ended_by';
        if before = after and to_jsonb(old) ->> 'known_to' is null and to_jsonb(new) ->> 'known_to' is not null then
            return new;
        end if;
    end if;
    raise exception 'the ledger is never rewritten: % of % refused', lower(tg_op), tg_table_name using errcode = 'insufficient_privilege';
end $$;
create function keep_whole() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is never rewritten: % of % refused', lower(tg_op), tg_table_name using errcode = 'insufficient_privilege';
end $$;

create trigger finding_kept before update or delete on finding for each row execute function keep_ledger();
create trigger judgement_kept before update or delete on judgement for each row execute function keep_ledger();
create trigger ledger_entry_kept before update or delete on ledger_entry for each row execute function keep_whole();
create trigger facts_kept before update or delete on facts for each row execute function keep_whole();
create trigger judged_packs_kept before update or delete on judged_packs for each row execute function keep_whole();
create trigger statement_kept before update or delete on statement for each row execute function keep_whole();
create trigger finding_whole before truncate on finding execute function keep_whole();
create trigger judgement_whole before truncate on judgement execute function keep_whole();
create trigger ledger_entry_whole before truncate on ledger_entry execute function keep_whole();
create trigger facts_whole before truncate on facts execute function keep_whole();
create trigger judged_packs_whole before truncate on judged_packs execute function keep_whole();
create trigger statement_whole before truncate on statement execute function keep_whole();
alter table finding enable always trigger finding_kept;
alter table finding enable always trigger finding_whole;
alter table judgement enable always trigger judgement_kept;
alter table judgement enable always trigger judgement_whole;
alter table ledger_entry enable always trigger ledger_entry_kept;
alter table ledger_entry enable always trigger ledger_entry_whole;
alter table facts enable always trigger facts_kept;
alter table facts enable always trigger facts_whole;
alter table judged_packs enable always trigger judged_packs_kept;
alter table judged_packs enable always trigger judged_packs_whole;
alter table statement enable always trigger statement_kept;
alter table statement enable always trigger statement_whole;

-- Who follows the change feed without a break, since when, and until when it had nothing left to judge: what it judged once stands until then.
create table coverage_watch (
    id text primary key,
    since timestamptz not null,
    at timestamptz not null
) with (fillfactor = 50);

-- until when a subject's findings are known to hold
create view coverage_checked as
select c.subject, greatest(c.checked_at, (select max(w.at) from coverage_watch w where w.since <= c.checked_at)) as checked_at
from coverage_check c;

-- The last link of every chain at the end of a day, as one figure; each digest covers the one before.
create table coverage_digest (
    day date primary key,
    taken_at timestamptz not null,
    subjects int not null,
    root bytea not null check (length(root) = 32),
    previous bytea not null check (length(previous) = 32),
    hash bytea not null check (length(hash) = 32),
    signature text not null default '',
    key_id text not null default ''
);
create trigger coverage_digest_kept before update or delete on coverage_digest for each row execute function keep_whole();
create trigger coverage_digest_whole before truncate on coverage_digest execute function keep_whole();
alter table coverage_digest enable always trigger coverage_digest_kept;
alter table coverage_digest enable always trigger coverage_digest_whole;

-- how the ledger is read -----------------------------------------------------------------------------------------------

-- what holds now, as far as is known. A compliant one whose subject nobody judged for three minutes (coverage_checked) is not to be shown green.
create view finding_now as
select f.key, f.subject, f.institution, f.filing_number, f.rule, f.basis, f.module, f.verdict, f.reason, f.plan_not_signed, s.pack,
       s.pack_version, s.citation, s.sentence_zh, s.sentence_en, s.evidence, f.verdict_since as since, f.true_from, f.known_from as recorded_at
from finding f join statement s on s.hash = f.statement
where f.known_to is null and f.true_to is null;

-- every period of one verdict, as far as is known now; without evidence
create view finding_period as
select f.subject, f.institution, f.filing_number, f.rule, f.basis, f.module, f.verdict, f.verdict_since as since,
       case when bool_or(f.true_to is null) then null else max(f.true_to) end as until
from finding f
where f.known_to is null
group by f.subject, f.institution, f.filing_number, f.rule, f.basis, f.module, f.verdict, f.verdict_since;

-- what was true at `at`, as it was known at `known_at`
create function finding_as_of(at timestamptz, known_at timestamptz)
returns table (key bigint, subject text, institution int, filing_number text, rule text, basis text, module text, verdict text, reason text,
               plan_not_signed boolean, pack text, pack_version text, citation jsonb, sentence_zh text, sentence_en text, evidence jsonb,
               since timestamptz, true_from timestamptz, true_to timestamptz, recorded_at timestamptz, known_to timestamptz)
language sql stable as $$
    select f.key, f.subject, f.institution, f.filing_number, f.rule, f.basis, f.module, f.verdict, f.reason, f.plan_not_signed, s.pack,
           s.pack_version, s.citation, s.sentence_zh, s.sentence_en, s.evidence, f.verdict_since, f.true_from, f.true_to, f.known_from, f.known_to
    from finding f join statement s on s.hash = f.statement
    where f.true_from <= $1 and (f.true_to is null or f.true_to > $1) and f.known_from <= $2 and (f.known_to is null or f.known_to > $2)
$$;

create or replace view dash.subject with (security_barrier) as
select s.*, s.institution is not null as connected, c.checked_at
from (
    select coalesce(i.id::text, 'register:' || e.filing_number) as subject, e.filing_number, i.id::text as institution,
           coalesce(i.division, e.division) as division, coalesce(i.type, e.type) as type,
           coalesce(i.title_zh, e.title_zh) as title_zh, coalesce(i.title_en, e.title_en) as title_en
    from register_entry e left join institution i on i.key = e.institution and i.retired_at is null
    where e.removed_at is null and e.filing_number in (select dash.entries())
    union all
    select i.id::text, null, i.id::text, i.division, i.type, i.title_zh, i.title_en
    from institution i
    where i.retired_at is null and i.partition >= 0 and i.key in (select dash.institutions())
      and not exists (select from register_entry e where e.institution = i.key and e.removed_at is null)
) s
left join coverage_checked c on c.subject = s.subject;

create or replace view dash.finding with (security_barrier) as
select s.subject, s.institution, s.filing_number, s.division, s.title_zh, s.title_en, s.connected, f.basis, f.rule,
       f.pack, f.citation ->> 'document' as document, f.citation ->> 'number' as number, f.citation ->> 'clause' as clause,
       case when f.verdict = 'compliant' and (s.checked_at is null or s.checked_at < now() - interval '3 minutes')
            then 'unknown' else f.verdict end as verdict,
       f.sentence_zh, f.sentence_en, f.since
from dash.subject s
join finding_now f on f.subject = s.subject;

drop table finding_before;

-- (0038) reads the force of a rule where it is kept now
create or replace function refuse_waiver_of_law() returns trigger language plpgsql as $$
begin
    if exists (select from institution i join finding f on f.subject = i.id::text join statement s on s.hash = f.statement
               where i.key = new.institution and f.rule = new.rule and s.citation ->> 'force' in ('LAW', 'GB!')) then
        raise exception 'a rule of law or of a mandatory national standard cannot be waived'
            using errcode = 'check_violation', constraint = 'waiver_never_of_law';
    end if;
    return new;
end $$;
