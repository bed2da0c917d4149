-- What providers say later counts: a step all of whose pages were given up or did not arrive has reached nobody, known since then.
alter table escalation_step add column unreached_at timestamptz;
comment on column escalation_step.unreached_at is 'when it was known that no page of it had arrived';

-- what a provider calls back about is found by its own name
create index attempt_provider on attempt (provider_id) where provider_id <> '';
