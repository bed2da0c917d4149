-- name: read
select hub_clock(), coalesce((select total from clock_step order by n desc limit 1), '0'), pg_current_snapshot()::text

-- name: remembered
-- A snapshot that lies ahead is of another database, from which this one was restored.
select wall, uptime, total, snapshot::text from clock_watch
where host = %(host)s and pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())

-- name: newest
-- Of whatever machine and boot: the furthest that the clock has come, by the clock as it is now.
select wall - total + %(total)s::interval, snapshot::text from clock_watch
where pg_snapshot_xmax(snapshot) <= pg_snapshot_xmax(pg_current_snapshot())
order by wall - total desc
limit 1

-- name: remember
insert into clock_watch (host, wall, uptime, total, snapshot)
values (%(host)s, %(wall)s, %(uptime)s, %(total)s, %(snapshot)s::text::pg_snapshot)
on conflict (host) do update set wall = excluded.wall, uptime = excluded.uptime, total = excluded.total, snapshot = excluded.snapshot

-- name: forget
delete from clock_watch where host <> %(host)s and wall < %(wall)s - interval '30 days'

-- name: strays
-- Whether anything that came since the reading `seen`, and stood when `now` was read, was written by a clock that neither of them knows.
-- Both bounds are a reading's with its tolerance; what was under way at the first may have been written a little before it.
select exists (
    select from escalation_step
    where state = 'due' and not steady
      and written >= pg_snapshot_xmin(%(seen)s::text::pg_snapshot)
      and not pg_visible_in_snapshot(written, %(seen)s::text::pg_snapshot)
      and pg_visible_in_snapshot(written, %(now)s::text::pg_snapshot)
      and (written_at > %(latest)s
           or written_at < case when written < pg_snapshot_xmax(%(seen)s::text::pg_snapshot)
                                then %(earliest)s - %(grace)s else %(earliest)s end))

-- name: hold
-- Waits for everybody who is writing due times, and keeps others from it until the step is taken in.
lock table ownership, escalation, escalation_step, notification in exclusive mode

-- name: unseen
-- What came since the reading `seen`, by the reading that it was written by; with it whether it was under way then.
select distinct written_at, written < pg_snapshot_xmax(%(seen)s::text::pg_snapshot)
from escalation_step
where state = 'due' and not steady and not stood_in(written, %(seen)s::text::pg_snapshot)

-- name: move_steps
-- What is not named was reckoned by the clock as it was before. A claim of what is moved is given up: whoever holds one finds it moved. What is
-- named was compared, whether or not it is moved.
with moved as (
    update escalation_step s
    set due_at = s.due_at + m.by, written_at = s.written_at + m.by, steady = true, lease_until = null, lease_holder = null
    from (
        select o.alarm, o.round, o.step, o.repetition, coalesce(u.by, %(step)s) as by, u.by is not null as named
        from escalation_step o
        left join unnest(%(written_at)s::timestamptz[], %(under_way)s::boolean[], %(by)s::interval[]) as u (written_at, under_way, by)
            on not o.steady and not stood_in(o.written, %(seen)s::text::pg_snapshot)
           and u.written_at = o.written_at and u.under_way = (o.written < pg_snapshot_xmax(%(seen)s::text::pg_snapshot))
        where o.state = 'due'
    ) m
    where s.alarm = m.alarm and s.round = m.round and s.step = m.step and s.repetition = m.repetition
      and (m.named or m.by <> interval '0')
    returning s.alarm, s.round, m.by
), rounds as (
    update escalation e
    set round_started_at = e.round_started_at + m.by, started_at = e.started_at + m.by
    from (select distinct on (alarm, round) alarm, round, by from moved where by <> interval '0' order by alarm, round) m
    where e.alarm = m.alarm and e.round = m.round and e.state = 'running'
)
select count(*) from moved where by <> interval '0'

-- name: move_ownerships
-- All were reckoned by a reading that was compared, and none since.
update ownership
set remind_at = remind_at + %(step)s, lapse_at = lapse_at + %(step)s, written_at = written_at + %(step)s
where state = 'open'

-- name: move_notifications
-- A page that waits for its next try is tried at once: sooner than meant is harmless, an hour later is not. Nor is it given up sooner.
update notification
set next_attempt_at = %(wall)s, clock_moved = clock_moved + %(step)s,
    lease_until = case when lease_until is null then null else %(wall)s::timestamptz + interval '30 s' end
where state = 'pending'

-- name: move_uncovered
-- Nobody is told of these; an authority's standing order counts from their begin.
update escalation set started_at = least(started_at + %(step)s, %(wall)s)
where state = 'uncovered' and not started_at between %(new)s and %(wall)s

-- name: move_handovers
update handover_message set next_attempt_at = %(wall)s where state = 'pending'

-- name: wake_handovers
update handover_message set next_attempt_at = %(wall)s
where state = 'pending' and next_attempt_at > %(wall)s + %(urgent)s

-- name: wake
-- No try is put off so long (hub.core.escalation.retry_after, hub.core.storms): it was reckoned by a clock that was set back since.
update notification
set next_attempt_at = %(wall)s
where state = 'pending' and next_attempt_at > %(wall)s + case when urgency = 0 then %(urgent)s else %(longest)s end

-- name: note_step
insert into clock_step (amount, total, moved, host) values (%(step)s, %(total)s, %(moved)s, %(host)s)
