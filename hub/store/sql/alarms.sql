-- name: lock
select a.*, d.id as device_id from alarm a join device d on d.key = a.device where a.id = %s for update of a

-- name: lock_many
-- in the order in which everybody locks several; each is read as it stands once it is locked
select a.*, d.id as device_id from alarm a join device d on d.key = a.device where a.id = any (%s::uuid[]) order by a.id for update of a

-- name: standing
select a.*, d.id as device_id
from alarm a join device d on d.key = a.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and a.ended_at is null

-- name: standing_urgent
-- of all partitions at once, and from the alarms to their devices: who joins the other way reads every device of the hub twice a second
select i.partition, a.*, d.id as device_id
from (select * from alarm where ended_at is null offset 0) a
cross join lateral (select id, lane, institution from device where key = a.device limit 1) d
join institution i on i.key = d.institution
where d.lane = 'urgent'

-- name: lock_all
select 1 from alarm where id = any (%s::uuid[]) order by id for update

-- name: put_moved
update alarm a set state = n.state, cleared_at = n.cleared_at, acknowledged_at = n.acknowledged_at, acknowledged_by = n.acknowledged_by,
    ended_at = n.ended_at, occurrences = n.occurrences, version = n.version, shelved_until = n.shelved_until, shelved_by = n.shelved_by,
    shelve_reason = n.shelve_reason, shelved_with = n.shelved_with, suppressed_by = n.suppressed_by, suppress_reason = n.suppress_reason,
    maintenance = n.maintenance, held_until = n.held_until, out_of_service = n.out_of_service, stale = n.stale,
    disposition = n.disposition, disposition_by = n.disposition_by, disposition_at = n.disposition_at, closed_at = n.closed_at,
    closed_by = n.closed_by
from unnest(%(base)s::int[], %(id)s::uuid[], %(state)s::text[], %(cleared_at)s::timestamptz[], %(acknowledged_at)s::timestamptz[],
            %(acknowledged_by)s::text[], %(ended_at)s::timestamptz[], %(occurrences)s::int[], %(version)s::int[],
            %(shelved_until)s::timestamptz[], %(shelved_by)s::text[], %(shelve_reason)s::text[], %(shelved_with)s::text[],
            %(suppressed_by)s::uuid[], %(suppress_reason)s::text[], %(maintenance)s::text[], %(held_until)s::timestamptz[],
            %(out_of_service)s::bool[], %(stale)s::bool[], %(disposition)s::text[], %(disposition_by)s::text[],
            %(disposition_at)s::timestamptz[], %(closed_at)s::timestamptz[], %(closed_by)s::text[])
    n(base, id, state, cleared_at, acknowledged_at, acknowledged_by, ended_at, occurrences, version, shelved_until, shelved_by,
      shelve_reason, shelved_with, suppressed_by, suppress_reason, maintenance, held_until, out_of_service, stale, disposition,
      disposition_by, disposition_at, closed_at, closed_by)
where a.id = n.id and a.version = n.base

-- name: put_new
insert into alarm (id, device, institution, definition, instance, signal_class, priority, latching, raised_at, received_at, late, state,
                   cleared_at, acknowledged_at, acknowledged_by, ended_at, occurrences, version, shelved_until, shelved_by, shelve_reason,
                   shelved_with, suppressed_by, suppress_reason, maintenance, held_until, out_of_service, stale,
                   exercise, exercise_id)
select * from unnest(
    %(id)s::uuid[], %(device)s::int[], %(institution)s::int[], %(definition)s::text[], %(instance)s::text[], %(signal_class)s::text[],
    %(priority)s::text[], %(latching)s::bool[], %(raised_at)s::timestamptz[], %(received_at)s::timestamptz[], %(late)s::bool[],
    %(state)s::text[], %(cleared_at)s::timestamptz[], %(acknowledged_at)s::timestamptz[], %(acknowledged_by)s::text[],
    %(ended_at)s::timestamptz[], %(occurrences)s::int[], %(version)s::int[], %(shelved_until)s::timestamptz[], %(shelved_by)s::text[],
    %(shelve_reason)s::text[], %(shelved_with)s::text[], %(suppressed_by)s::uuid[], %(suppress_reason)s::text[], %(maintenance)s::text[],
    %(held_until)s::timestamptz[], %(out_of_service)s::bool[], %(stale)s::bool[], %(exercise)s::text[], %(exercise_id)s::uuid[])
on conflict (id) do nothing
returning id

-- name: transitions
insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor, note)
select * from unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[])

-- name: changes
insert into change (kind, institution, payload) select 'alarm', g.* from unnest(%s::int[], %s::jsonb[]) g

-- name: still_shelved
select a.*, d.id as device_id
from alarm a join device d on d.key = a.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and a.ended_at is not null
  and a.shelved_until > statement_timestamp() and a.signal_class not in ('fire', 'panic')
order by a.ended_at

-- name: sounding_retired
select a.id from alarm a join device d on d.key = a.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is not null and a.state in ('unack_active', 'ack_active')
order by a.id
