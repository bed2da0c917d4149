-- What a device hangs on, and which of its capabilities its tests have shown.

-- by name: a device of the institution, or a plain switch or circuit that nothing is read of
alter table device add column switch identifier, add column powered_by identifier;

-- capability → when a function test showed it last, in microseconds since 1970; null where the test passed before tests said what they show
alter table device_state add column proven jsonb,
    add constraint device_state_proven check (proven is null or proven_at is not null);

-- the capabilities that a proof shows when it passes; null where it was asked for before proofs said it
alter table proof add column shows text[];
