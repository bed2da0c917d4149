-- Conservation: what a client declares against what came, and the periods that are known to be missing.

alter table stream
    add column counted bigint,
    add column given bigint,
    add column beat_at timestamptz,
    add column drop_from timestamptz,
    add column drop_items bigint not null default 0,
    add column began_at timestamptz not null default now();
comment on column stream.counted is 'items accounted for; null after a message that declared nothing';

-- per stream and hour of receipt:
-- produced + surplus = stored + suppressed + events + beats + duplicates + quarantined + dropped + missing
alter table stream_tally
    add column dropped bigint not null default 0,
    add column missing bigint not null default 0,
    add column surplus bigint not null default 0;

create index stream_client on stream (client, lane);

-- A period whose readings are missing and will not come: of one device, or (device null) of all that a client's lane carries.
create table gap (
    key bigint generated always as identity primary key,
    client identifier not null,
    lane text not null check (lane in ('urgent', 'bulk')),
    device int references device,
    since timestamptz not null,
    until timestamptz not null check (until >= since),
    cause text not null check (cause in ('dropped', 'edge', 'device')),
    items bigint,
    noted_at timestamptz not null default now()
);
create index gap_device on gap (device, until) where device is not null;
create index gap_client on gap (client, lane, until) where device is null;
create index gap_noted on gap using brin (noted_at);

-- before this moment nobody noted gaps: there completeness is not known
insert into hub_setting values ('gaps_since', to_jsonb(now()));
