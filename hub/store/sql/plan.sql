-- What the standby keeps of the database, to page without it.

-- name: places
select d.key, d.id, i.id, i.key, i.division, i.type, i.partition, d.profile, s.admin_state, coalesce(e.id, d.id),
       c.name is null or c.revoked_at is not null,
       i.title_zh, i.title_en, z.title_zh, z.title_en, p.title_zh, p.title_en,
       array(select m.group_id::text from group_member m where m.institution = i.key order by 1)
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join endpoint n on n.key = d.endpoint
left join device e on e.key = n.edge
left join client c on c.name = coalesce(e.id, d.id)
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and d.lane = 'urgent' and d.key > 0

-- name: running
select e.alarm, e.policy, e.policy_version, e.plan, e.first_round, e.round, e.round_started_at,
       array(select array[s.step, s.repetition] from escalation_step s
             where s.alarm = e.alarm and s.round = e.round and s.state = 'done') as done,
       array(select array[n.step, n.repetition] from notification n
             where n.alarm = e.alarm and n.round = e.round and n.state = 'pending') as pending
from escalation e
where e.alarm = any (%(alarms)s) and e.state = 'running' and e.policy is not null

-- name: rounds
-- Ended escalations count their rounds on.
select e.alarm, e.round from escalation e where e.alarm = any (%(alarms)s) and e.state <> 'running'

-- name: tests
select t.id, d.id, coalesce(t.opened_at, now()), coalesce(t.opened_at, now()) + t.within
from device_test t join device d on d.key = t.device
where t.finished_at is null and d.lane = 'urgent'

-- name: clock
select hub_clock()
