-- A clock that is set and set back while nobody looks (docs/decisions/0230-a-clock-that-is-set.md): what was written in between is found by the
-- reading that it was written by. The snapshot says exactly what stood at a reading; a horizon alone lags behind every long transaction.

alter table clock_watch add column snapshot pg_snapshot;
update clock_watch set snapshot = (horizon::text || ':' || horizon::text || ':')::pg_snapshot;
alter table clock_watch
    alter column snapshot set not null,
    drop column horizon;

-- `steady`: reckoned by a reading of an escalator, which was compared, or moved since. What others wrote is compared when it is first seen.
alter table escalation_step add column steady boolean not null default false;
create index escalation_step_written on escalation_step (written) where state = 'due' and not steady;

-- by how much the clock was set while it waited: it is not given up sooner for that
alter table notification add column clock_moved interval not null default '0';

-- Whether what a transaction wrote stood when the snapshot was taken. What is numbered ahead of all transactions came with a dump of another
-- database: it stood.
create function stood_in(written xid8, seen pg_snapshot) returns boolean stable language sql as $$
    select written is null or seen is null or pg_visible_in_snapshot(written, seen)
        or written >= pg_snapshot_xmax(pg_current_snapshot())
$$;
