-- What a kept fire-risk score rests on, so that the list (hub/core/fire_kept.py) knows when it is not to be believed any more: `snapshot` is what its
-- facts saw of the database at least; `listened`: somebody heard the institution's devices. A row without them is not believed.
alter table fire_risk add column snapshot pg_snapshot, add column listened boolean;
