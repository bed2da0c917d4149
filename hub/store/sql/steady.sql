-- name: read
select hub_clock(), coalesce((select total from clock_step order by n desc limit 1), '0'), pg_snapshot_xmin(pg_current_snapshot())::text

-- name: remembered
select wall, uptime, total, horizon::text from clock_watch where host = %(host)s

-- name: remember
insert into clock_watch (host, wall, uptime, total, horizon)
values (%(host)s, %(wall)s, %(uptime)s, %(total)s, %(horizon)s::text::xid8)
on conflict (host) do update set wall = excluded.wall, uptime = excluded.uptime, total = excluded.total, horizon = excluded.horizon

-- name: forget
delete from clock_watch where host <> %(host)s and wall < %(wall)s - interval '30 days'

-- name: hold
-- Waits for everybody who is writing due times, and keeps others from it until the step is taken in.
lock table ownership, escalation, escalation_step, notification in exclusive mode

-- name: move_steps
-- What was reckoned by the clock as it was before. A claim of it is given up: whoever holds one finds it moved.
with moved as (
    update escalation_step
    set due_at = due_at + %(step)s, written_at = written_at + %(step)s, lease_until = null, lease_holder = null
    where state = 'due'
      and (written is null or written < %(horizon)s::text::xid8
           or case when %(step)s > interval '0' then written_at < %(edge)s else written_at > %(edge)s end)
    returning alarm, round
), rounds as (
    update escalation e
    set round_started_at = e.round_started_at + %(step)s
    from (select distinct alarm, round from moved) m
    where e.alarm = m.alarm and e.round = m.round and e.state = 'running'
)
select count(*) from moved

-- name: move_ownerships
update ownership
set remind_at = remind_at + %(step)s, lapse_at = lapse_at + %(step)s, written_at = written_at + %(step)s
where state = 'open'
  and (written < %(horizon)s::text::xid8
       or case when %(step)s > interval '0' then written_at < %(edge)s else written_at > %(edge)s end)

-- name: move_notifications
-- A page that waits for its next try is tried at once: sooner than meant is harmless, an hour later is not.
update notification
set next_attempt_at = %(wall)s,
    lease_until = case when lease_until is null then null else %(wall)s::timestamptz + interval '30 s' end
where state = 'pending'

-- name: note_step
insert into clock_step (amount, total, moved, host) values (%(step)s, %(total)s, %(moved)s, %(host)s)
