-- Drills, proofs, and windows at the police centre (VOCABULARY.md, exercises).

create table drill (
    id uuid primary key,
    title_zh text not null,
    title_en text not null,
    division text references division,
    institution int references institution,
    group_id identifier references institution_group,
    zone int references zone,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    declared_by text not null check (declared_by <> ''),
    declared_at timestamptz not null,
    cancelled_by text,
    cancelled_at timestamptz,
    check (num_nonnulls(division, institution, group_id, zone) = 1),
    check (ends_at > starts_at and ends_at - starts_at <= interval '12 hours'),
    check ((cancelled_at is null) = (cancelled_by is null))
);
create index drill_ends on drill (ends_at);

-- One press that is expected: at a position, of a class, between two instants. Used up by one press; whatever else comes is real.
create table drill_press (
    drill uuid not null references drill,
    n int not null check (n >= 0),
    institution int not null references institution,
    position int not null references position,
    signal_class text not null check (signal_class in ('fire', 'panic')),
    at timestamptz not null,
    since timestamptz not null,
    until timestamptz not null,
    alarm uuid references alarm,
    pressed_at timestamptz,
    primary key (drill, n),
    check (since <= until),
    check ((alarm is null) = (pressed_at is null))
);
create index drill_press_open on drill_press (until) where alarm is null;
create index drill_press_alarm on drill_press (alarm) where alarm is not null;
create index drill_press_institution on drill_press (institution);

-- what persons record: somebody arrived, the all-clear. A later row of the same kind corrects the one before
create table drill_mark (
    key bigint generated always as identity primary key,
    drill uuid not null references drill,
    institution int not null references institution,
    kind text not null check (kind in ('arrival', 'all_clear')),
    at timestamptz not null,
    actor text not null check (actor <> ''),
    note text not null default '',
    recorded_at timestamptz not null default now()
);
create index drill_mark_drill on drill_mark (drill, institution);

-- One proof of one position's way to people: each hop with its time. Edge and device times are by the edge's clock.
create table proof (
    id uuid primary key,
    device int not null references device,
    position int references position,
    institution int not null references institution,
    definition text not null,
    point text not null,
    instance text not null default '',
    level text not null check (level in ('driver', 'edge', 'hub')),
    tell text not null default 'sink' check (tell in ('sink', 'responders')),
    slot bigint,
    requested_by text not null check (requested_by <> ''),
    requested_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    sent_at timestamptz,
    device_at timestamptz,
    edge_at timestamptz,
    spooled_at timestamptz,
    hub_at timestamptz,
    committed_at timestamptz,
    alarm uuid references alarm,
    notified_at timestamptz,
    handed_over_at timestamptz,
    received_at timestamptz,
    state text not null default 'requested'
        check (state in ('requested', 'open', 'sent', 'raised', 'passed', 'failed', 'preempted')),
    reason text not null default '',
    finished_at timestamptz,
    check ((finished_at is not null) = (state in ('passed', 'failed', 'preempted'))),
    check (expires_at > requested_at)
);
-- one at a time at a device: by an index
create unique index proof_open on proof (device) where finished_at is null;
create index proof_position on proof (position, requested_at desc);
create index proof_passed on proof (position, finished_at desc) where state = 'passed';
create index proof_requested on proof (requested_at desc, id);
create index proof_device on proof (device, requested_at desc);

-- how far the scheduler is: the newest fortnight of each institution whose proofs were asked for
create table proof_round (
    institution int primary key references institution,
    slot bigint not null,
    asked_at timestamptz not null default now()
);

-- where proofs end; further channels may be added to it by a manifest, and proofs then go through them as well
insert into responder (id, title_zh, title_en) values ('proof-sink', '通路验证接收端', 'Proof sink') on conflict do nothing;
insert into responder_channel (responder, id, kind, settings) values ('proof-sink', 'sink', 'sink', '{}') on conflict do nothing;

-- a lane opens drills and proofs like function tests, and hears when they end
create trigger drill_announced after insert or update on drill for each row execute function announce_test();
create trigger drill_press_announced after insert on drill_press for each statement execute function announce_test();
create trigger proof_announced after insert on proof for each row execute function announce_test();
create trigger proof_ended after update on proof
    for each row when (old.finished_at is distinct from new.finished_at) execute function announce_test();

create function announce_proof() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_proof', '');
    return null;
end $$;
create trigger proof_asked after insert on proof for each row execute function announce_proof();
create trigger proof_moved after update on proof
    for each row when (old.state is distinct from new.state) execute function announce_proof();

-- A window that was booked at the police centre for a button that dials it itself, and what they confirmed afterwards.
create table police_window (
    id uuid primary key,
    device int not null references device,
    institution int not null references institution,
    reference text not null check (reference <> ''),
    agreed_by text not null check (agreed_by <> ''),
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    booked_by text not null check (booked_by <> ''),
    booked_at timestamptz not null default now(),
    cancelled_by text,
    cancelled_at timestamptz,
    receipt_number text,
    receipt_text text,
    receipt_by text,
    receipt_at timestamptz,
    check (ends_at > starts_at and ends_at - starts_at <= interval '24 hours'),
    check ((cancelled_at is null) = (cancelled_by is null)),
    check ((receipt_at is null) = (receipt_by is null)),
    check ((receipt_at is null) = (receipt_text is null))
);
create index police_window_device on police_window (device, ends_at);

-- whether this unit dials the police centre by its own line; null: as its profile says
alter table device add column dials_police boolean;
