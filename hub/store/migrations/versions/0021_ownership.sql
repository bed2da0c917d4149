-- Steps that reach nobody, acknowledgements that are owned, storms that become few messages (decisions 0231 to 0233).

-- why a step did not go as planned: nobody on duty, nobody reachable, and who was told instead
alter table escalation_step add column fault text not null default '';

-- after the owner's last sign: the reminder, the end of the acknowledgement; null: as hub/core/ownership.py says for the class
alter table policy
    add column remind_after interval check (remind_after >= interval '1 second'),
    add column lapse_after interval check (lapse_after between interval '1 second' and interval '24 hours');

-- one row for an alarm that somebody has acknowledged and that may lapse; `seen` is how far its history has been looked through
create table ownership (
    alarm uuid primary key references alarm,
    institution int not null references institution,
    owner text not null,
    acknowledged_at timestamptz not null,
    state text not null check (state in ('open', 'settled', 'lapsed')),
    seen int not null,
    remind_after interval not null,
    lapse_after interval not null,
    remind_at timestamptz,
    lapse_at timestamptz not null,
    reminders int not null default 0,
    written_at timestamptz not null,
    written xid8 not null default pg_current_xact_id()
) with (fillfactor = 70);
create index ownership_open on ownership (lapse_at) where state = 'open';
create index alarm_owned on alarm (id) where state in ('ack_active', 'latched_ack') and ended_at is null;

-- a page tells of one alarm, a reminder asks its owner, a digest lists many
alter table notification drop constraint notification_kind_check;
alter table notification add check (kind in ('page', 'reminder', 'digest'));
alter table notification add column wide boolean not null default false;
comment on column notification.wide is 'a digest over all institutions of one way to a person';
create index notification_recent on notification (responder, channel, created_at) where urgency > 0;
create index notification_digest on notification (responder, channel) where kind = 'digest' and state = 'pending';

-- every alarm that a digest lists, with the step by which it came there
create table digest_alarm (
    notification uuid not null references notification,
    alarm uuid not null references alarm,
    round int not null,
    step int not null,
    repetition int not null,
    added_at timestamptz not null default hub_clock(),
    primary key (notification, alarm, round, step, repetition)
);
create index digest_alarm_alarm on digest_alarm (alarm);
