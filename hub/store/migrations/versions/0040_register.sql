-- The register with its past, the zone plan and its sign-off, re-typing, what cameras see, and what people state.

-- the register -----------------------------------------------------------------------------------------------------

alter table register_entry add column credit_code text check (credit_code ~ '^[0-9A-HJ-NP-RT-UW-Y]{18}$');
comment on column register_entry.credit_code is '统一社会信用代码 (GB 32100-2015)';

-- a filing list that was taken in: the whole list of one division
create table register_import (
    id uuid primary key,
    division text not null references division,
    file_name text not null,
    sha256 bytea not null check (length(sha256) = 32),
    rows int not null check (rows >= 0),
    skipped int not null check (skipped >= 0),
    added int not null check (added >= 0),
    changed int not null check (changed >= 0),
    withdrawn int not null check (withdrawn >= 0),
    imported_by text not null check (imported_by <> ''),
    imported_at timestamptz not null default now()
);
create index register_import_recent on register_import (imported_at desc, id desc);

-- what the register said, and from when to when: whoever changed it
create table register_version (
    filing_number text not null references register_entry,
    since timestamptz not null,
    until timestamptz,
    division text not null,
    type text not null,
    title_zh text not null,
    title_en text not null,
    capacity int,
    credit_code text,
    institution int references institution,
    actor text not null default '',
    import uuid references register_import,
    primary key (filing_number, since),
    check (until > since)
);
create unique index register_version_now on register_version (filing_number) where until is null;
create index register_version_past on register_version (since, until);

-- Runs at the end of the transaction: what was moved to and fro within it is no change.
create function remember_register() returns trigger language plpgsql as $$
declare
    entry register_entry;
    last register_version;
    begins timestamptz := now();
begin
    select * into strict entry from register_entry where filing_number = new.filing_number;
    select * into last from register_version where filing_number = entry.filing_number and until is null;
    if found then
        if entry.removed_at is null and (entry.division, entry.type, entry.title_zh, entry.title_en, entry.capacity, entry.credit_code, entry.institution)
            is not distinct from (last.division, last.type, last.title_zh, last.title_en, last.capacity, last.credit_code, last.institution)
        then
            return null;
        end if;
        begins := greatest(begins, last.since + interval '1 microsecond');
        update register_version set until = begins where filing_number = entry.filing_number and since = last.since;
    else
        -- never before what ended, though the clock may have gone back
        select greatest(begins, max(until)) into begins from register_version where filing_number = entry.filing_number;
    end if;
    if entry.removed_at is null then
        insert into register_version (filing_number, since, division, type, title_zh, title_en, capacity, credit_code, institution,
                                      actor, import)
        values (entry.filing_number, begins, entry.division, entry.type, entry.title_zh, entry.title_en, entry.capacity,
                entry.credit_code, entry.institution, coalesce(current_setting('anxin.actor', true), ''),
                nullif(current_setting('anxin.import', true), '')::uuid);
    end if;
    return null;
end $$;
create constraint trigger register_remembered after insert or update on register_entry
    deferrable initially deferred for each row execute function remember_register();

insert into register_version (filing_number, since, division, type, title_zh, title_en, capacity, institution)
select filing_number, now(), division, type, title_zh, title_en, capacity, institution from register_entry where removed_at is null;

-- The register as it was at a time. It says what was on the list, and that is known from the moment it was written: so of both times the
-- earlier one decides. `institution` is the key of the one that was connected under the entry.
create function register_as_of(at timestamptz, known_at timestamptz default 'infinity')
returns table (filing_number text, division text, type text, title_zh text, title_en text, capacity int, credit_code text, institution int)
stable language sql as $$
    select v.filing_number, v.division, v.type, v.title_zh, v.title_en, v.capacity, v.credit_code, v.institution
    from register_version v
    where v.since <= least(at, known_at) and (v.until is null or v.until > least(at, known_at))
$$;

-- the zone plan ----------------------------------------------------------------------------------------------------

alter table zone
    add column entrances text[] not null default '{}',
    add column ages text[] not null default '{}';
comment on column zone.entrances is 'ids of zones of the same institution through which one comes into this one';

-- when the plan of an institution was changed last: zones with purpose, area, floor, entrances, children; pictures of floors
create table zone_plan (
    institution int primary key references institution,
    version int not null default 1,
    changed_at timestamptz not null default clock_timestamp(),
    txid xid8 not null default pg_current_xact_id()
) with (fillfactor = 70);
comment on column zone_plan.txid is 'the transaction that changed it last: it counts once, however many zones it touched';

create function touch_zone_plan() returns trigger language plpgsql as $$
begin
    insert into zone_plan as t (institution) values (coalesce(new.institution, old.institution))
    on conflict (institution) do update set version = t.version + 1, changed_at = clock_timestamp(), txid = pg_current_xact_id()
    where t.txid <> pg_current_xact_id();
    return null;
end $$;
create trigger zone_made after insert or delete on zone for each row execute function touch_zone_plan();
create trigger zone_changed after update on zone for each row
    when ((old.purpose, old.area_m2, old.floor, old.entrances, old.ages, old.retired_at is null)
          is distinct from (new.purpose, new.area_m2, new.floor, new.entrances, new.ages, new.retired_at is null))
    execute function touch_zone_plan();
create trigger floor_plan_made after insert or delete on floor_plan for each row execute function touch_zone_plan();
create trigger floor_plan_changed after update on floor_plan for each row when (old.sha256 <> new.sha256) execute function touch_zone_plan();

insert into zone_plan (institution)
select institution from zone union select institution from floor_plan;

-- The regulator's signature under a plan as it was; `digest` is that of `plan` (hub.core.coverage.zone_plan).
create table zone_plan_signature (
    id uuid primary key,
    institution int not null references institution,
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    plan jsonb not null,
    version int not null,
    note text not null default '',
    signed_by text not null check (signed_by <> ''),
    signed_at timestamptz not null default clock_timestamp()
);
create index zone_plan_signature_newest on zone_plan_signature (institution, version desc, signed_at desc);

-- an institution whose type or division was changed: other rules hold it then, and the level above sees that
create table retyping (
    key bigint generated always as identity primary key,
    institution int not null references institution,
    at timestamptz not null default now(),
    actor text not null default '',
    type_before text not null,
    type_after text not null,
    division_before text not null,
    division_after text not null
);
create index retyping_recent on retyping (at desc, key desc);

create function note_retyping() returns trigger language plpgsql as $$
begin
    insert into retyping (institution, actor, type_before, type_after, division_before, division_after)
    values (new.key, coalesce(current_setting('anxin.actor', true), ''), old.type, new.type, old.division, new.division);
    insert into change (kind, institution, payload)
    values ('retyping', new.key, jsonb_build_object('institution', new.id, 'type_before', old.type, 'type_after', new.type,
            'division_before', old.division, 'division_after', new.division));
    return null;
end $$;
create trigger institution_retyped after update on institution for each row
    when ((old.type, old.division) is distinct from (new.type, new.division)) execute function note_retyping();

-- what cameras see -------------------------------------------------------------------------------------------------

-- Declared by a manifest for a position; attested by a person for the device that stood there (`device`): after a swap it is attested no more.
create table camera_view (
    position int not null references position,
    zone int not null references zone,
    share float8 not null check (share > 0 and share <= 1),
    masked boolean not null,
    attested_at timestamptz,
    attested_by text,
    device int references device,
    primary key (position, zone),
    check (num_nonnulls(attested_at, attested_by, device) in (0, 3))
);
create index camera_view_zone on camera_view (zone);

-- what people state ------------------------------------------------------------------------------------------------

-- Never changed: a correction is another one that supersedes it (`void`: it never was). Names of people stand here and in no fact.
create table attestation (
    id uuid primary key,
    institution int not null references institution,
    kind text not null check (kind ~ '^[a-z][a-z_]{0,39}$'),
    at timestamptz not null,
    expires_at timestamptz check (expires_at > at),
    zone int references zone,
    device int references device,
    number text not null default '',
    value float8,
    done_by text not null default '',
    note text not null default '',
    drill uuid references drill,
    police_window uuid references police_window,
    supersedes uuid unique references attestation,
    void boolean not null default false,
    recorded_by text not null check (recorded_by <> ''),
    recorded_at timestamptz not null default now(),
    check (not void or supersedes is not null)
);
create index attestation_listed on attestation (institution, at desc, id desc);
create index attestation_recent on attestation (at desc, id desc);
create index attestation_kind on attestation (institution, kind, at desc);
create index attestation_drill on attestation (drill) where drill is not null;
create index attestation_window on attestation (police_window) where police_window is not null;

-- the second signature, by another person
create table attestation_second (
    attestation uuid primary key references attestation,
    signed_by text not null check (signed_by <> ''),
    signed_at timestamptz not null default now()
);

create table attestation_attachment (
    attestation uuid not null references attestation,
    n int not null check (n between 1 and 10),
    name text not null,
    sha256 bytea not null check (length(sha256) = 32),
    media_type text not null default '',
    content bytea check (length(content) between 1 and 1500000),
    link text,
    primary key (attestation, n),
    check (num_nonnulls(content, link) = 1)
);

create function refuse_to_change() returns trigger language plpgsql as $$
begin
    raise exception '% is never changed', tg_table_name using errcode = 'check_violation', constraint = tg_table_name || '_is_kept';
end $$;
create trigger attestation_kept before update or delete on attestation for each row execute function refuse_to_change();
create trigger attestation_second_kept before update or delete on attestation_second for each row execute function refuse_to_change();
create trigger attestation_attachment_kept before update or delete on attestation_attachment
    for each row execute function refuse_to_change();
create trigger zone_plan_signature_kept before update or delete on zone_plan_signature
    for each row execute function refuse_to_change();
create trigger retyping_kept before update or delete on retyping for each row execute function refuse_to_change();
create trigger register_import_kept before update or delete on register_import for each row execute function refuse_to_change();

create function second_is_another() returns trigger language plpgsql as $$
begin
    if exists (select from attestation a where a.id = new.attestation and a.recorded_by = new.signed_by) then
        raise exception 'the second person is another one' using errcode = 'check_violation', constraint = 'attestation_second_is_another';
    end if;
    return new;
end $$;
create trigger attestation_second_is_another before insert on attestation_second for each row execute function second_is_another();
