-- name: presses
-- Declared presses of a lane that are not used up, at the device that is at their position now.
select p.drill, p.n, d.id, p.signal_class, p.since, p.until
from drill_press p
join drill r on r.id = p.drill
join device d on d.position = p.position and d.retired_at is null
join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and p.alarm is null and r.cancelled_at is null
  and p.until > now() - %(still_taken)s

-- name: drills
-- When drills are over of which there may be alarms: at their end, or when their last press may have come, or when they were cancelled.
select r.id, coalesce(r.cancelled_at, greatest(r.ends_at, (select max(p.until) from drill_press p where p.drill = r.id)))
from drill r
where r.ends_at > now() - interval '1 day'

-- name: open_proofs
-- From now on this lane knows them: only then are they injected.
update proof p set state = 'open'
from device d join institution i on i.key = d.institution
where d.key = p.device and i.partition = %(partition)s and d.lane = %(lane)s and p.state = 'requested'

-- name: probes
-- Open ones, and those that ended a moment ago: the edge's word of their hops travels behind the alarm.
select p.id, d.id, p.definition, p.instance, p.finished_at is null
from proof p join device d on d.key = p.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and p.requested_at > now() - interval '1 hour'
  and (p.finished_at is null or p.finished_at > now() - interval '2 minutes')

-- name: use_presses
-- Each once, and only while its drill stands: whoever comes too late judges again.
update drill_press p set alarm = n.alarm, pressed_at = n.at
from (select * from unnest(%s::uuid[], %s::int[], %s::uuid[], %s::timestamptz[]) as t(drill, n, alarm, at)) n
join drill r on r.id = n.drill and r.cancelled_at is null
where p.drill = n.drill and p.n = n.n and p.alarm is null

-- name: lock_drills
-- A cancellation waits for the press, or the press finds it cancelled.
select 1 from drill where id = any (%s::uuid[]) order by id for share

-- name: put_probed
update proof p set
    state = case when n.ended = '' then 'raised' else n.ended end,
    alarm = coalesce(n.alarm, p.alarm), edge_at = coalesce(p.edge_at, case when p.level <> 'hub' then n.at end),
    hub_at = coalesce(p.hub_at, n.received), committed_at = coalesce(p.committed_at, clock_timestamp()),
    reason = n.reason, finished_at = case when n.ended = '' then null else clock_timestamp() end
from unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[])
    as n(id, alarm, at, received, ended, reason)
where p.id = n.id and p.finished_at is null

-- name: put_hops
update proof p set device_at = coalesce(n.device, p.device_at), spooled_at = coalesce(n.spooled, p.spooled_at)
from (select id, max(at) filter (where hop = 'device') as device, max(at) filter (where hop = 'spooled') as spooled
      from unnest(%s::uuid[], %s::text[], %s::timestamptz[]) as h(id, hop, at) group by id) n
where p.id = n.id
