-- Who is on duty: rotas with their shifts, swaps and handover notes, the calendar of days off; policies by group and type of institution,
-- steps that name a rota. hub/core/rota.py says who is on duty; nothing here decides it.

alter table responder add column manned boolean not null default false;
comment on column responder.manned is 'a room with somebody in it at every hour: a policy for fire or panic may end there';
alter table responder_channel add column rank int not null default 0;
comment on column responder_channel.rank is 'order of preference, smallest first';

-- the duty post 值班岗 is its rota
create table rota (
    id identifier primary key,
    title_zh text not null,
    title_en text not null,
    division text references division,
    institution int references institution,
    version int not null default 1,
    retired_at timestamptz,
    check (division is null or institution is null)
);

-- minutes after midnight of Asia/Shanghai; ends at or before starts: on the next day
create table rota_shift (
    rota identifier not null references rota,
    n int not null check (n >= 0),
    id identifier not null,
    starts smallint not null check (starts between 0 and 1439),
    ends smallint not null check (ends between 0 and 1439),
    since date not null,
    until date check (until >= since),
    turn_days int not null check (turn_days between 1 and 366),
    crew int not null check (crew > 0),
    weekdays smallint[] not null check (cardinality(weekdays) > 0 and weekdays <@ array[0, 1, 2, 3, 4, 5, 6]::smallint[]),
    day_kinds text[] not null check (cardinality(day_kinds) > 0 and day_kinds <@ array['workday', 'weekend', 'holiday']),
    primary key (rota, n),
    unique (rota, id)
);

create table rota_turn (
    rota identifier not null,
    shift int not null,
    n int not null check (n >= 0),
    responder identifier not null references responder,
    primary key (rota, shift, n),
    unique (rota, shift, responder),
    foreign key (rota, shift) references rota_shift on delete cascade
);
create index rota_turn_responder on rota_turn (responder);

-- a swap is never changed or deleted: it is cancelled, and both stay known
create table rota_override (
    key bigint generated always as identity primary key,
    id uuid not null unique default gen_random_uuid(),
    rota identifier not null references rota,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    absent identifier references responder,
    present identifier references responder,
    reason text not null,
    made_at timestamptz not null default now(),
    made_by text not null,
    cancelled_at timestamptz,
    cancelled_by text,
    check (ends_at > starts_at),
    check (absent is not null or present is not null),
    check (absent <> present),
    check ((cancelled_at is null) = (cancelled_by is null))
);
create index rota_override_rota on rota_override (rota, ends_at);

-- 交接班: who handed over to whom, and which alarms stood open at that instant; only ever added to
create table duty_handover (
    key bigint generated always as identity primary key,
    id uuid not null unique default gen_random_uuid(),
    rota identifier not null references rota,
    at timestamptz not null default now(),
    giver identifier not null references responder,
    taker identifier not null references responder,
    note text not null,
    alarms jsonb not null check (jsonb_typeof(alarms) = 'array'),
    alarm_count int not null check (alarm_count >= 0),
    written_by text not null,
    check (giver <> taker)
);
create index duty_handover_rota on duty_handover (rota, key desc);
create trigger duty_handover_append_only before update or delete or truncate on duty_handover
    for each statement execute function refuse_change();
create trigger duty_handover_append_only_always before update or delete on duty_handover
    for each row execute function refuse_change();

-- days off and made-up working days by a published notice, a year at a time; a year without a row goes by plain weekdays
create table calendar_year (
    year int primary key check (year between 1990 and 2200),
    notice text not null check (notice <> ''),
    days jsonb not null check (jsonb_typeof(days) = 'object'),
    version int not null default 1,
    imported_at timestamptz not null default now(),
    imported_by text not null
);

-- policies -----------------------------------------------------------------------------------------------------------

alter table policy
    add column group_id identifier references institution_group,
    add column institution_types text[] not null default '{}',
    add check (num_nonnulls(division, institution, group_id) <= 1),
    add check (institution is null or institution_types = '{}');

alter table policy_step
    alter column responder drop not null,
    alter column channel drop not null,
    add column rota identifier references rota,
    add column kinds smallint not null default 1 check (kinds between 1 and 5),
    add foreign key (responder) references responder,
    add check (num_nonnulls(responder, rota) = 1),
    add check (rota is null or channel is null),
    add check (kinds = 1 or channel is null);
create index policy_step_rota on policy_step (rota) where rota is not null;

-- a step for a rota names nobody until it is due
alter table escalation_step
    alter column responder drop not null,
    alter column channel drop not null,
    add column rota identifier,
    add column kinds smallint not null default 1,
    add check (num_nonnulls(responder, rota) = 1);

-- THE choice of a policy, none or one. hub/core/escalation.py (`covers`) says the same and a test holds them together:
-- institution before group before the longest division before everywhere; then who names types of institution, fewer first; then fewer
-- signal classes; then fewer priorities; then the smallest id.
create function policy_for(institution_key int, alarm_class text, alarm_priority text) returns setof policy
language sql stable as $$
    select p.*
    from institution i
    join policy p on p.retired_at is null
      and alarm_class = any (p.signal_classes)
      and alarm_priority = any (p.priorities)
      and (p.institution is null or p.institution = i.key)
      and (p.group_id is null or exists (select from group_member m where m.group_id = p.group_id and m.institution = i.key))
      and (p.division is null or starts_with(i.division, p.division))
      and (p.institution_types = '{}' or i.type = any (p.institution_types))
      and exists (select from policy_step s where s.policy = p.id)
    where i.key = institution_key and alarm_priority <> 'journal'
    order by p.institution is not null desc, p.group_id is not null desc, length(p.division) desc nulls last,
             p.institution_types <> '{}' desc, cardinality(p.institution_types), cardinality(p.signal_classes),
             cardinality(p.priorities), p.id::text collate "C"
    limit 1
$$;

-- what the nightly check found, and that it looked: kept, so that neither a restart nor a dead loop makes it green
create table policy_check (
    only_one boolean primary key default true check (only_one),
    checked_at timestamptz,
    horizon_until timestamptz,
    errors int not null default 0,
    warnings int not null default 0,
    problem text not null default ''
);
insert into policy_check default values;

create table policy_finding (
    key bigint generated always as identity primary key,
    policy text not null,
    code text not null,
    severity text not null check (severity in ('error', 'warning')),
    message_zh text not null,
    message_en text not null,
    since timestamptz,
    until timestamptz,
    found_at timestamptz not null default now()
);
