-- name: lock
select a.id, d.id, a.definition, a.instance, a.signal_class, a.priority, a.latching, a.state, a.raised_at, a.received_at,
       a.cleared_at, a.acknowledged_at, a.acknowledged_by, a.ended_at, a.occurrences, a.late, a.version,
       a.exercise, a.exercise_id, a.institution
from alarm a join device d on d.key = a.device where a.id = %s for update of a

-- name: move
update alarm set state = %(state)s, cleared_at = %(cleared_at)s, acknowledged_at = %(acknowledged_at)s,
    acknowledged_by = %(acknowledged_by)s, ended_at = %(ended_at)s, occurrences = %(occurrences)s, version = %(version)s
where id = %(id)s

-- name: transition
insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor, note)
values (%s, %s, %s, %s, %s, %s, %s, %s)

-- name: change
insert into change (kind, institution, payload) values ('alarm', %s, %s)

-- name: sounding_retired
select a.id from alarm a join device d on d.key = a.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is not null and a.state in ('unack_active', 'ack_active')
order by a.id
