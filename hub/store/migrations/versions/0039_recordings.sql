-- The proof of recordings: what recorders said of themselves day by day (readings go after 90 days, this stays), and what follows from it now.

-- which device tells how far back this camera's pictures reach
alter table device add column recorded_by identifier;

-- When a device came into service for the first time. It may be taken out of service and back: its pictures' age does not begin again.
create table service_begin (
    device int primary key references device,
    at timestamptz not null
);
insert into service_begin select device, admin_since from device_state where admin_state = 'in_service';

create function note_service_begin() returns trigger language plpgsql as $$
begin
    insert into service_begin values (new.device, new.admin_since) on conflict do nothing;
    return null;
end $$;
create trigger service_begun after insert or update of admin_state on device_state
    for each row when (new.admin_state = 'in_service') execute function note_service_begin();

-- one row a device and day of China: of a recorder the last figures of that day, of a camera the seconds that showed nothing
create table recording_day (
    device int not null references device,
    day date not null,
    days float8 check (days >= 0),
    gap_seconds float8 check (gap_seconds >= 0),
    read_at timestamptz,
    bad_seconds float8 check (bad_seconds >= 0),
    primary key (device, day)
);

-- What holds now, one row for each camera, and for each recorder of which no camera is known. Recomputed from the above; nothing is only here.
create table recording_state (
    device int primary key references device,
    institution int not null references institution,
    recorder int references device,
    days float8,
    possible float8,
    gap_seconds float8,
    bad_seconds float8,
    read_at timestamptz,
    installed_at timestamptz not null,
    floor_days float8 not null,
    outlook text not null check (outlook in ('holds', 'growing', 'shrinking', 'short', 'unknown')),
    counted_days float8,
    needed_days float8 not null,
    a_day float8,
    short_at timestamptz,
    full_at timestamptz not null,
    days_then float8,
    updated_at timestamptz not null
);
create index recording_state_institution on recording_state (institution);
