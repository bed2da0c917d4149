-- name: target
-- The device at the position, or the device itself, if it can raise fire or panic.
select d.key, d.id, d.profile, d.institution, d.position, d.endpoint is not null as behind_an_edge, d.dials_police,
       s.admin_state, i.id as institution_id
from device d
join device_state s on s.device = d.key
join institutions_in_scope(%(scope)s) i on i.key = d.institution
left join position p on p.key = d.position
where d.retired_at is null and d.key > 0
  and (d.id = %(device)s or (i.id = %(institution)s and p.id = %(position)s and p.retired_at is null))

-- name: request
insert into proof (id, device, position, institution, definition, point, instance, level, not_lower, tell, shows, slot, requested_by,
                   expires_at)
values (%(id)s, %(device)s, %(position)s, %(institution)s, %(definition)s, %(point)s, %(instance)s, %(level)s, %(not_lower)s, %(tell)s,
        %(shows)s, %(slot)s, %(actor)s, clock_timestamp() + %(within)s)
on conflict do nothing
returning id

-- name: list
select p.id, d.id as device, i.id as institution, i.division, o.id as position, p.definition, p.point, p.instance, p.level, p.not_lower, p.tell,
       p.slot is not null as scheduled, p.requested_by, p.requested_at, p.expires_at, p.sent_at, p.device_at, p.edge_at, p.spooled_at,
       p.hub_at, p.committed_at, p.alarm, p.notified_at, p.handed_over_at, p.received_at, p.state, p.reason, p.finished_at
from proof p
join device d on d.key = p.device
join institutions_in_scope(%(scope)s) i on i.key = p.institution
left join position o on o.key = p.position
where (%(id)s::uuid is null or p.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(device)s::text is null or d.id = %(device)s)
  and (%(position)s::text is null or o.id = %(position)s)
  and (%(after_at)s::timestamptz is null or (p.requested_at, p.id) < (%(after_at)s, %(after)s))
order by p.requested_at desc, p.id desc
limit %(limit)s

-- name: positions
-- Every position whose device can raise fire or panic, with when it was last proven; `days`: only those not proven for so long.
select i.id as institution, o.id as position, o.title_zh, o.title_en, z.id as zone, d.id as device, d.kind, s.admin_state,
       l.finished_at as last_proven_at, l.id as last_proof, l.level as last_level,
       f.id as newest_proof, f.state as newest_state, f.reason as newest_reason, f.requested_at as newest_at
from position o
join institutions_in_scope(%(scope)s) i on i.key = o.institution
join zone z on z.key = o.zone
join device d on d.position = o.key and d.retired_at is null
join device_state s on s.device = d.key
left join lateral (select p.id, p.finished_at, p.level from proof p
                   where p.position = o.key and p.device = d.key and p.state = 'passed' order by p.finished_at desc limit 1) l on true
left join lateral (select p.id, p.state, p.reason, p.requested_at from proof p
                   where p.position = o.key and p.device = d.key order by p.requested_at desc limit 1) f on true
where d.lane = 'urgent' and d.kind <> 'edge' and o.retired_at is null and i.retired_at is null
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(position)s::text is null or o.id = %(position)s)
  and (%(days)s::int is null or l.finished_at is null or l.finished_at < now() - make_interval(days => %(days)s))
  and (%(after)s::text is null or (i.id::text, o.id::text) > (%(after_institution)s::text, %(after)s::text))
order by i.id::text, o.id::text
limit %(limit)s

-- name: to_send
-- Open ones, which their lane knows by now, in the order in which they were asked for.
select p.id, d.id as device, d.profile, p.definition, p.point, p.instance, p.level, p.expires_at, i.partition,
       coalesce(e.id, d.id) as client, (select upto from stream m where m.stream = %(prefix)s || substr(encode(sha256(coalesce(e.id, d.id)::text::bytea), 'hex'), 1, 12) || '-urgent') as upto
from proof p
join device d on d.key = p.device
join institution i on i.key = p.institution
left join endpoint n on n.key = d.endpoint
left join device e on e.key = n.edge
where p.state = 'open' and i.partition = any (%(partitions)s) and p.expires_at > clock_timestamp()
order by p.requested_at, p.id
limit %(limit)s

-- name: sent
update proof set state = 'sent', sent_at = clock_timestamp() where id = %(id)s and state = 'open'

-- name: raised
select p.id, p.tell, p.alarm, coalesce(e.state, '') as escalation
from proof p
join institution i on i.key = p.institution
left join escalation e on e.alarm = p.alarm
where p.state = 'raised' and i.partition = any (%(partitions)s)
order by p.requested_at
limit %(limit)s

-- name: handed
select n.alarm, n.responder, n.channel, c.kind, n.state, n.created_at, min(a.at) as sent_at,
       min(a.at + a.duration) filter (where a.outcome = 'delivered') as received_at
from notification n
left join attempt a on a.notification = n.id
left join responder_channel c on c.responder = n.responder and c.id = n.channel
where n.alarm = any (%(alarms)s)
group by n.id, c.kind

-- name: finish
update proof set state = %(state)s, reason = %(reason)s, notified_at = %(notified_at)s, handed_over_at = %(handed_over_at)s,
    received_at = %(received_at)s, finished_at = clock_timestamp()
where id = %(id)s and finished_at is null
returning institution

-- name: expire
-- What did not come back in time has failed, at the hop that it did not reach.
update proof p set state = 'failed', finished_at = clock_timestamp(),
    reason = case p.state when 'requested' then 'ingest did not open it' when 'open' then 'it was not sent'
        when 'sent' then case when p.level = 'hub' then 'sent, and not heard by ingest' else 'sent to the edge, and nothing came back' end
        else 'the alarm was raised, and nobody confirmed its message' end
from institution i, device d
where i.key = p.institution and d.key = p.device and i.partition = any (%(partitions)s)
  and p.finished_at is null and p.expires_at <= clock_timestamp()
returning p.id, d.id as device, p.reason, p.institution

-- name: under_way
select count(*) from proof p join institution i on i.key = p.institution
where p.finished_at is null and p.slot is not null and i.partition = any (%(partitions)s)

-- name: rounds
-- Institutions that have anything to prove, with the newest slot done and the newest one in which the responders were told.
select i.id, i.key, r.slot, r.told
from institution i left join proof_round r on r.institution = i.key
where i.partition = any (%(partitions)s) and i.retired_at is null and i.key > 0
  and exists (select from device d join device_state s on s.device = d.key
              where d.institution = i.key and d.lane = 'urgent' and d.kind <> 'edge' and d.position is not null
                and d.retired_at is null and s.admin_state = 'in_service')

-- name: put_round
insert into proof_round (institution, slot, told) values (%(institution)s, %(slot)s, %(told)s)
on conflict (institution) do update set slot = excluded.slot, told = excluded.told, asked_at = now()

-- name: candidates
-- What a round proves: every position in service that can raise fire or panic; first what was told to people longest ago.
select d.key, d.id, d.profile, d.institution, d.position, d.endpoint is not null as behind_an_edge, d.dials_police
from device d join device_state s on s.device = d.key
where d.institution = %(institution)s and d.lane = 'urgent' and d.kind <> 'edge' and d.position is not null
  and d.retired_at is null and s.admin_state = 'in_service'
order by (select max(p.requested_at) from proof p where p.position = d.position and p.tell = 'responders') nulls first, d.id

-- name: say
insert into change (kind, institution, payload) values ('proof', %(institution)s, %(payload)s)

-- name: tests_begun
-- Function tests that a lane has opened and whose devices have not been asked yet; each once.
update device_test t set asked_at = clock_timestamp()
from (select t.id, d.id as device, d.profile, e.id as edge, i.partition, t.opened_at + t.within as until
      from device_test t
      join device d on d.key = t.device
      join institution i on i.key = d.institution
      join endpoint n on n.key = d.endpoint
      join device e on e.key = n.edge
      where t.state = 'open' and t.asked_at is null and t.finished_at is null and i.partition = any (%(partitions)s)
      order by t.opened_at, t.id limit %(limit)s for update of t skip locked) n
where t.id = n.id
returning n.id, n.device::text, n.profile::text, n.edge::text, n.partition, n.until
