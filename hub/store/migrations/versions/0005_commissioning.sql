-- Function tests: asked for by the API, opened and judged by the ingest that owns the device.

create table device_test (
    id uuid primary key,
    device int not null references device,
    requested_by text not null,
    requested_at timestamptz not null default now(),
    within interval not null check (within > interval '0'),
    state text not null default 'requested' check (state in ('requested', 'open', 'passed', 'expired')),
    opened_at timestamptz,
    finished_at timestamptz,
    detail text not null default ''
);
-- one running test per device: by an index
create unique index device_test_running on device_test (device) where finished_at is null;

create function announce_test() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_test', '');
    return null;
end $$;
create trigger device_test_announced after insert on device_test for each statement execute function announce_test();
