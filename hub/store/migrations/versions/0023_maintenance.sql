-- Maintenance windows, the armed state, and the asking for a second person: what the engine needs to know of people's plans.

-- never changed but in its end and its reason; what is ended early stays known
create table maintenance_window (
    id uuid primary key default gen_random_uuid(),
    institution int not null references institution,
    zone int references zone,
    device int references device,
    since timestamptz not null,
    until timestamptz not null,
    reason text not null check (reason <> ''),
    made_by text not null,
    made_at timestamptz not null default now(),
    ended_by text,
    version int not null default 1,
    check (until >= since),
    check (zone is null or device is null)
);
create index maintenance_window_institution on maintenance_window (institution, until);

-- what was said of the armed state, newest last; only ever added to
create table arming (
    key bigint generated always as identity primary key,
    institution int not null references institution,
    mode text not null check (mode in ('auto', 'armed', 'disarmed')),
    since timestamptz not null,
    until timestamptz check (until > since),
    before text not null check (before in ('auto', 'armed', 'disarmed')),
    actor text not null default '',
    device int references device,
    reason text not null default '',
    said_at timestamptz not null default now(),
    check ((actor = '') = (device is not null))
);
create index arming_institution on arming (institution, key desc);
create trigger arming_append_only before update or delete or truncate on arming for each statement execute function refuse_change();

create function announce_premises() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_registry', '');
    return null;
end $$;
create trigger maintenance_window_announced after insert or update on maintenance_window
    for each statement execute function announce_premises();
create trigger arming_announced after insert on arming for each statement execute function announce_premises();

-- a fire or panic is shelved by two people: what the first one asked for, until a second one agrees or the time is over
create table shelving_asked (
    alarm uuid primary key references alarm,
    asked_by text not null,
    asked_at timestamptz not null,
    until timestamptz not null,
    reason text not null
);
