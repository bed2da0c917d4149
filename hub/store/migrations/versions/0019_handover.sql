-- Authorities and what was handed to them. A handover of an exercise cannot be stored: its alarm must be real, by a foreign key, and an alarm
-- that was handed over can become nothing else. What an asynchronous provider says later stands in `receipt`.

alter table alarm add column is_real boolean not null generated always as (exercise is null) stored;
alter table alarm add constraint alarm_real unique (id, is_real);

create table authority (
    id identifier primary key,
    kind text not null check (kind in ('police', 'fire', 'superior')),
    title_zh text not null,
    title_en text not null,
    -- the institutions that it is responsible for
    division text not null references division,
    -- what the operator dials; empty where it is told by a channel alone
    phone text not null default '' check (phone ~ '^[0-9+#*, -]{0,40}$'),
    -- its standing order: alarms of these classes that nobody has answered for so long are handed over without a button
    automatic_classes text[] not null default '{}' check (automatic_classes <@ array['fire', 'panic']),
    automatic_after interval check (automatic_after >= interval '0'),
    version int not null default 1,
    retired_at timestamptz,
    check ((automatic_after is null) = (cardinality(automatic_classes) = 0))
);

-- settings hold addresses and secrets: no view, feed or error may show them
create table authority_channel (
    authority identifier not null references authority,
    id identifier not null,
    kind text not null check (kind ~ '^[a-z][a-z0-9_]{0,39}$'),
    settings jsonb not null,
    retired_at timestamptz,
    primary key (authority, id)
);

create table handover (
    id uuid primary key,
    alarm uuid not null,
    is_real boolean not null default true check (is_real),
    authority identifier not null references authority,
    institution int not null references institution,
    automatic boolean not null,
    begun_at timestamptz not null default hub_clock(),
    begun_by text not null,
    note text not null default '',
    received_at timestamptz,
    received_by text,
    reference text not null default '',
    received_recorded_at timestamptz,
    received_recorded_by text,
    arrived_at timestamptz,
    arrived_recorded_at timestamptz,
    arrived_recorded_by text,
    unique (alarm, authority),
    foreign key (alarm, is_real) references alarm (id, is_real),
    check ((received_at is null) = (received_by is null) and (received_at is null) = (received_recorded_by is null)),
    check ((arrived_at is null) = (arrived_recorded_by is null))
);
create index handover_unverified on handover (begun_at) where received_at is null;

-- one row for each channel of the authority: its outbox
create table handover_message (
    handover uuid not null references handover,
    authority identifier not null,
    channel identifier not null,
    state text not null default 'pending' check (state in ('pending', 'sent', 'failed')),
    attempts int not null default 0,
    next_attempt_at timestamptz not null default hub_clock(),
    lease_until timestamptz,
    lease_holder text,
    last_error text not null default '',
    created_at timestamptz not null default hub_clock(),
    ended_at timestamptz,
    primary key (handover, channel),
    foreign key (authority, channel) references authority_channel (authority, id),
    check ((state = 'pending') = (ended_at is null))
) with (fillfactor = 70);
create index handover_message_pending on handover_message (next_attempt_at) where state = 'pending';

create table handover_attempt (
    handover uuid not null,
    channel identifier not null,
    n int not null,
    at timestamptz not null default hub_clock(),
    outcome text not null default 'sending' check (outcome in ('sending', 'delivered', 'failed', 'refused', 'interrupted')),
    code int,
    detail text not null default '',
    primary key (handover, channel, n),
    foreign key (handover, channel) references handover_message
);

create function announce_handover() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_handover', '');
    return null;
end $$;
create trigger handover_announced after insert on handover_message for each statement execute function announce_handover();

-- what the provider calls a message that it took, and what it says of it later: an SMS delivered, a call answered
alter table attempt add column provider_id text not null default '' check (length(provider_id) <= 100);
alter table attempt add column receipt text check (receipt in ('arrived', 'not_arrived', 'unknown'));
alter table attempt add column receipt_at timestamptz;
alter table attempt add column receipt_detail text not null default '';
alter table attempt add column ask_at timestamptz;
create index attempt_to_ask on attempt (ask_at) where ask_at is not null;
