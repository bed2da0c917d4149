-- Escalation: who is told, by which channel, when; the durable timers; the outbox with its attempts.
-- Every due time is by the database's clock.

create table responder (
    id identifier primary key,
    title_zh text not null,
    title_en text not null,
    version int not null default 1,
    retired_at timestamptz
);

-- settings hold addresses and secrets: no view, feed or error may show them
create table responder_channel (
    responder identifier not null references responder,
    id identifier not null,
    kind text not null check (kind in ('webhook', 'smtp')),
    settings jsonb not null,
    retired_at timestamptz,
    primary key (responder, id)
);

create table policy (
    id identifier primary key,
    title_zh text not null,
    title_en text not null,
    division text references division,
    institution int references institution,
    signal_classes text[] not null check (cardinality(signal_classes) > 0),
    priorities text[] not null check (cardinality(priorities) > 0 and not 'journal' = any(priorities)),
    round_every interval not null check (round_every > interval '0'),
    max_rounds int check (max_rounds > 0),
    version int not null default 1,
    retired_at timestamptz,
    check (division is null or institution is null)
);
create index policy_institution on policy (institution) where retired_at is null;

create table policy_step (
    policy identifier not null references policy,
    n int not null check (n > 0),
    responder identifier not null,
    channel identifier not null,
    delay interval not null check (delay >= interval '0'),
    repeat_every interval not null default '0' check (repeat_every >= interval '0'),
    repeat_times int not null default 0 check (repeat_times between 0 and 1000),
    primary key (policy, n),
    foreign key (responder, channel) references responder_channel,
    check (repeat_times = 0 or repeat_every > interval '0')
);
create index policy_step_channel on policy_step (responder, channel);

-- which alarms are paged at all; hub/core/escalation.py says the same and a test holds them together.
-- A fire or panic whose condition is gone goes on until a person answers; another alarm that cleared by itself does not.
create function is_paged(state text, signal_class text, priority text) returns boolean immutable language sql as $$
    select priority <> 'journal'
       and (state in ('unack_active', 'latched_unack')
            or (state = 'unack_cleared' and signal_class in ('fire', 'panic')))
$$;

-- one row per alarm; `plan` is the policy as it was when the escalation started. Rounds are numbered on and on:
-- an alarm that comes back after it was stopped starts with the next number, so that every key stays unique.
create table escalation (
    alarm uuid primary key references alarm,
    institution int not null references institution,
    urgency smallint not null,
    policy identifier references policy,
    policy_version int,
    plan jsonb,
    state text not null check (state in ('running', 'stopped', 'exhausted', 'uncovered')),
    reason text not null default '',
    actor text not null default '',
    started_at timestamptz not null,
    ended_at timestamptz,
    first_round int not null default 0,
    round int not null default 0,
    round_started_at timestamptz,
    check ((state = 'running') = (ended_at is null)),
    check (state <> 'running' or (plan is not null and round_started_at is not null))
) with (fillfactor = 70);
create index escalation_running on escalation (alarm) where state = 'running';
create index escalation_uncovered on escalation (alarm) where state = 'uncovered';

-- A lease ends by time, or at once when the session that holds it is gone: after a kill nobody waits for a dead process.
create function live_sessions() returns setof text stable language sql as $$
    select pid || '/' || extract(epoch from backend_start) from pg_stat_activity where backend_start is not null
$$;
create function own_session() returns text stable language sql as $$
    select pid || '/' || extract(epoch from backend_start) from pg_stat_activity where pid = pg_backend_pid()
$$;

create table escalation_step (
    alarm uuid not null references escalation,
    round int not null,
    step int not null,
    repetition int not null,
    responder identifier not null,
    channel identifier not null,
    due_at timestamptz not null,
    urgency smallint not null,
    state text not null default 'due' check (state in ('due', 'done', 'cancelled')),
    lease_until timestamptz,
    lease_holder text,
    ended_at timestamptz,
    primary key (alarm, round, step, repetition)
) with (fillfactor = 70);
create index escalation_step_due on escalation_step (urgency, due_at) where state = 'due';
create index escalation_step_open on escalation_step (alarm) where state = 'due';

-- the outbox: `id` is the idempotency key on the wire, a UUIDv5 of the unique columns
create table notification (
    id uuid primary key,
    kind text not null default 'page' check (kind in ('page')),
    alarm uuid not null references escalation,
    institution int not null references institution,
    round int not null,
    step int not null,
    repetition int not null,
    responder identifier not null,
    channel identifier not null,
    urgency smallint not null,
    due_at timestamptz not null,
    created_at timestamptz not null default clock_timestamp(),
    state text not null default 'pending' check (state in ('pending', 'sent', 'failed', 'cancelled')),
    attempts int not null default 0,
    next_attempt_at timestamptz not null default clock_timestamp(),
    lease_until timestamptz,
    lease_holder text,
    last_error text not null default '',
    ended_at timestamptz,
    unique (alarm, round, step, repetition, responder, channel),
    check ((state = 'pending') = (ended_at is null))
) with (fillfactor = 70);
create index notification_pending on notification (responder, channel, urgency, next_attempt_at) where state = 'pending';
create index notification_alarm on notification (alarm);

-- one try on one channel; `sending` whose lease ran out becomes `interrupted`: it may have arrived
create table attempt (
    notification uuid not null references notification,
    n int not null,
    at timestamptz not null default clock_timestamp(),
    outcome text not null default 'sending'
        check (outcome in ('sending', 'delivered', 'failed', 'refused', 'interrupted')),
    code int,
    detail text not null default '',
    duration interval,
    primary key (notification, n)
);

create function announce_escalation() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_escalation', '');
    return null;
end $$;
create trigger escalation_step_announced after insert on escalation_step
    for each statement execute function announce_escalation();

create function announce_outbox() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_outbox', '');
    return null;
end $$;
create trigger notification_announced after insert on notification
    for each statement execute function announce_outbox();
