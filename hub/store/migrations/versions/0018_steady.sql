-- Due times survive a clock that is set (docs/decisions/0230-a-clock-that-is-set.md): what waits is moved by the same step.

-- THE clock of escalation and outbox. A function, so that a test can set it forward and back; it is inlined.
create function hub_clock() returns timestamptz volatile language sql as $$ select clock_timestamp() $$;

-- the steps that were noticed; `total` is their sum up to this one
create table clock_step (
    n bigint generated always as identity primary key,
    at timestamptz not null default hub_clock(),
    amount interval not null,
    total interval not null,
    moved int not null,
    host text not null
);

-- the newest pair of readings of a host (its boot): what a process that begins anew compares its first reading with.
-- Transactions below `horizon` had ended when it was read.
create table clock_watch (
    host text primary key,
    wall timestamptz not null,
    uptime interval not null,
    total interval not null,
    horizon xid8 not null
);

-- by which reading of the clock `due_at` was reckoned, and in which transaction: so a row written in the instant of a step is put on its side
alter table escalation_step
    add column written_at timestamptz,
    add column written xid8;
alter table escalation_step alter column written set default pg_current_xact_id();

alter table notification
    alter column created_at set default hub_clock(),
    alter column next_attempt_at set default hub_clock();
