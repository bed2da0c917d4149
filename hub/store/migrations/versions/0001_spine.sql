-- The spine: places, devices, readings, states, alarms, quarantine and the change feed.
-- Keys (int, bigint) never leave the store; identifiers are chosen in manifests.

create extension if not exists timescaledb;

create domain identifier as text check (value ~ '^[a-z0-9][a-z0-9-]{0,39}$');

create table hub_setting (
    name text primary key,
    value jsonb not null
);
insert into hub_setting values ('partitions', '8');

-- places ---------------------------------------------------------------------------------------------------------

create table division (
    code text primary key check (code ~ '^[0-9]{2,12}$'),
    parent text references division,
    title_zh text not null,
    title_en text not null,
    version int not null default 1
);

create table institution (
    key int generated always as identity primary key,
    id identifier not null unique,
    division text not null references division,
    type text not null,
    title_zh text not null,
    title_en text not null,
    capacity int check (capacity > 0),
    latitude float8 check (latitude between -90 and 90),
    longitude float8 check (longitude between -180 and 180),
    operator text,
    calendar jsonb,
    partition int not null,
    version int not null default 1,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
create index institution_division on institution (division text_pattern_ops);

create table institution_external_id (
    scheme text not null,
    value text not null,
    institution int not null references institution,
    primary key (scheme, value)
);

-- the regulator's list: the denominator of every rate
create table register_entry (
    filing_number text primary key,
    division text not null references division,
    type text not null,
    title_zh text not null,
    title_en text not null,
    capacity int,
    institution int unique references institution,
    version int not null default 1,
    removed_at timestamptz
);

create table institution_group (
    id identifier primary key,
    title_zh text not null,
    title_en text not null,
    version int not null default 1
);

create table group_member (
    group_id identifier not null references institution_group,
    institution int not null references institution,
    primary key (group_id, institution)
);

create table zone (
    key int generated always as identity primary key,
    institution int not null references institution,
    id identifier not null,
    purpose text not null,
    title_zh text not null,
    title_en text not null,
    area_m2 float8 check (area_m2 > 0),
    floor int,
    version int not null default 1,
    retired_at timestamptz,
    unique (institution, id)
);

create table position (
    key int generated always as identity primary key,
    institution int not null references institution,
    id identifier not null,
    zone int not null references zone,
    title_zh text not null,
    title_en text not null,
    version int not null default 1,
    retired_at timestamptz,
    unique (institution, id)
);

-- devices --------------------------------------------------------------------------------------------------------

create table endpoint (
    key int generated always as identity primary key,
    institution int not null references institution,
    id identifier not null,
    driver text not null,
    edge int not null,
    settings jsonb not null,
    version int not null default 1,
    retired_at timestamptz,
    unique (institution, id)
);

-- an edge is a device too (kind edge): it beats, goes offline and is shown like any other
create table device (
    key int generated always as identity primary key,
    id identifier not null unique,
    institution int not null references institution,
    position int references position,
    endpoint int references endpoint,
    profile text not null,
    kind text not null,
    lane text not null check (lane in ('urgent', 'bulk')),
    settings jsonb not null default '{}',
    version int not null default 1,
    created_at timestamptz not null default now(),
    retired_at timestamptz
);
alter table endpoint add foreign key (edge) references device;
create index device_institution on device (institution);
create unique index device_position on device (position) where retired_at is null;

-- who may speak to the broker: an edge, or a device that speaks our own protocol
create table client (
    name identifier primary key,
    device int not null unique references device,
    password_hash text,
    issued_at timestamptz,
    revoked_at timestamptz
);

create table device_state (
    device int primary key references device,
    admin_state text not null default 'registered'
        check (admin_state in ('registered', 'commissioned', 'in_service', 'out_of_service', 'retired', 'quarantined')),
    admin_since timestamptz not null default now(),
    link_state text not null default 'unknown' check (link_state in ('online', 'offline', 'unknown')),
    link_since timestamptz not null default now(),
    link_cause text not null default 'never_seen',
    last_heard_at timestamptz,
    function_state text not null default 'unproven' check (function_state in ('ok', 'degraded', 'failed', 'unproven')),
    function_since timestamptz not null default now(),
    function_reason text not null default '',
    proven_at timestamptz
) with (fillfactor = 70);

-- telemetry ------------------------------------------------------------------------------------------------------

create table series (
    key int generated always as identity primary key,
    device int not null references device,
    point text not null,
    instance text not null default '',
    unique (device, point, instance)
);

create table reading (
    series_id int not null,
    at timestamptz not null,
    received_at timestamptz not null,
    value float8,
    quality smallint not null
);
select create_hypertable('reading', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false);
create unique index reading_series_at on reading (series_id, at desc);

create table point_state (
    series int primary key references series,
    at timestamptz not null,
    received_at timestamptz not null,
    value float8,
    text text,
    quality smallint not null,
    changed_at timestamptz not null,
    stored_at timestamptz not null
) with (fillfactor = 70);

create table stream (
    stream text primary key,
    client identifier not null,
    lane text not null,
    upto bigint not null,
    newest_at timestamptz,
    updated_at timestamptz not null default now()
) with (fillfactor = 50);

-- conservation, per stream and hour of receipt: produced = stored + suppressed + events + beats + duplicates + quarantined
create table stream_tally (
    stream text not null,
    hour timestamptz not null,
    produced bigint not null,
    stored bigint not null,
    suppressed bigint not null,
    events bigint not null,
    beats bigint not null,
    duplicates bigint not null,
    quarantined bigint not null,
    primary key (stream, hour)
);

create table event (
    stream text not null,
    seq bigint not null,
    n int not null,
    device int not null references device,
    point text not null,
    instance text not null default '',
    at timestamptz not null,
    received_at timestamptz not null,
    value float8,
    text text,
    quality smallint not null,
    primary key (stream, seq, n)
);
create index event_device_at on event (device, at desc);

create table quarantine (
    key bigint generated always as identity primary key,
    received_at timestamptz not null default now(),
    at timestamptz,
    client text,
    source text not null,
    stream text,
    seq bigint,
    n int,
    code text not null,
    reason text not null,
    payload bytea not null check (length(payload) <= 4096),
    unique (stream, seq, n)
);
create index quarantine_received on quarantine (received_at desc, key desc);

-- alarms ---------------------------------------------------------------------------------------------------------

-- what a definition last saw, so that a delay does not start again after a restart
create table alarm_condition (
    device int not null references device,
    definition text not null,
    instance text not null default '',
    holds boolean not null,
    since timestamptz not null,
    judged_at timestamptz not null,
    primary key (device, definition, instance)
) with (fillfactor = 70);

create table alarm (
    id uuid primary key,
    device int not null references device,
    institution int not null references institution,
    definition text not null,
    instance text not null default '',
    signal_class text not null,
    priority text not null,
    state text not null
        check (state in ('normal', 'unack_active', 'ack_active', 'unack_cleared', 'latched_unack', 'latched_ack')),
    latching boolean not null,
    raised_at timestamptz not null,
    received_at timestamptz not null,
    cleared_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by text,
    ended_at timestamptz,
    occurrences int not null default 1,
    late boolean not null default false,
    version int not null default 1,
    check ((state = 'normal') = (ended_at is not null))
) with (fillfactor = 70);
-- at most one active alarm per device, definition and instance: by an index, not by good intentions
create unique index alarm_active on alarm (device, definition, instance) where ended_at is null;
create index alarm_recent on alarm (raised_at desc, id desc);
create index alarm_device on alarm (device, raised_at desc, id desc);

create table alarm_transition (
    alarm uuid not null references alarm,
    n int not null,
    event text not null,
    from_state text not null,
    to_state text not null,
    at timestamptz not null,
    recorded_at timestamptz not null default now(),
    actor text not null default '',
    note text not null default '',
    primary key (alarm, n)
);

-- the change feed: what SSE, the console and coverage follow ------------------------------------------------------
-- Readers take rows whose transaction is older than every running one, ordered by (txid, seq): nothing is overtaken.

create table change (
    seq bigint generated always as identity,
    txid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    kind text not null,
    institution int references institution,
    payload jsonb not null,
    primary key (txid, seq)
);

create function announce() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_change', '');
    return null;
end $$;
create trigger change_announced after insert on change for each statement execute function announce();
