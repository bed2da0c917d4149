-- The reads of the API. Every statement takes the caller's scope as jsonb and goes through the functions of migration 0004.

-- name: divisions
select d.code, d.parent, d.title_zh, d.title_en
from divisions_in_scope(%(scope)s::jsonb) d
where (%(parent)s::text is null or d.parent = %(parent)s)
  and (%(after)s::text is null or d.code > %(after)s)
order by d.code
limit %(limit)s

-- name: register
select r.filing_number, r.division, r.type, r.title_zh, r.title_en, r.capacity, r.credit_code, i.id as institution
from register_entry r
left join institution i on i.key = r.institution
where r.removed_at is null
  and ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                  where starts_with(r.division, p.prefix))
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
  and (%(division)s::text is null or starts_with(r.division, %(division)s))
  and (%(connected)s::boolean is null or (r.institution is not null) = %(connected)s)
  and (%(after)s::text is null or r.filing_number > %(after)s)
order by r.filing_number
limit %(limit)s

-- name: institutions
select i.id, i.division, i.type, i.title_zh, i.title_en, i.capacity, i.latitude, i.longitude, i.operator, i.uplink, i.calendar,
       i.contacts, i.video,
       i.created_at, i.retired_at,
       r.filing_number, r.filing_number is not null as registered,
       coalesce((select jsonb_object_agg(e.scheme, e.value) from institution_external_id e where e.institution = i.key), '{}')
           as external_ids,
       coalesce((select jsonb_agg(m.group_id order by m.group_id) from group_member m where m.institution = i.key), '[]')
           as groups
from institutions_in_scope(%(scope)s::jsonb) i
left join register_entry r on r.institution = i.key and r.removed_at is null
where (%(id)s::text is null or i.id = %(id)s)
  and i.partition >= 0
  and (%(id)s::text is not null or i.retired_at is null or %(retired)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(type)s::text is null or i.type = %(type)s)
  and (%(group)s::text is null
       or i.key in (select m.institution from group_member m where m.group_id = %(group)s::text))
  and (%(after)s::text is null or i.id > %(after)s)
order by i.id
limit %(limit)s

-- name: zones
select i.id as institution, z.id, z.purpose, z.title_zh, z.title_en, z.area_m2, z.floor, z.entrances, z.ages, z.retired_at
from institutions_in_scope(%(scope)s::jsonb) i
join zone z on z.institution = i.key
where (%(institution)s::text is null or i.id = %(institution)s)
  and (%(purpose)s::text is null or z.purpose = %(purpose)s)
  and (z.retired_at is null or %(retired)s)
  and (%(after_institution)s::text is null or (i.id, z.id) > (%(after_institution)s::text, %(after)s::text))
order by i.id, z.id
limit %(limit)s

-- name: positions
select i.id as institution, p.id, z.id as zone, p.title_zh, p.title_en, p.plan_x, p.plan_y, p.retired_at, d.id as device
from institutions_in_scope(%(scope)s::jsonb) i
join position p on p.institution = i.key
join zone z on z.key = p.zone
left join device d on d.position = p.key and d.retired_at is null
where (%(institution)s::text is null or i.id = %(institution)s)
  and (%(zone)s::text is null or z.id = %(zone)s)
  and (p.retired_at is null or %(retired)s)
  and (%(after_institution)s::text is null or (i.id, p.id) > (%(after_institution)s::text, %(after)s::text))
order by i.id, p.id
limit %(limit)s

-- name: devices
select d.key, d.id, i.id as institution, i.division, p.id as position, z.id as zone, e.id as endpoint, d.profile, d.kind, d.lane,
       d.created_at, d.retired_at, s.admin_state, s.admin_since, s.link_state, s.link_since, s.link_cause, s.last_heard_at,
       s.function_state, s.function_since, s.function_reason, s.proven_at, s.proven as shown, d.switch, d.powered_by
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join device_state s on s.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
left join endpoint e on e.key = d.endpoint
where (%(id)s::text is null or d.id = %(id)s)
  and (%(id)s::text is not null or d.retired_at is null or %(retired)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(kind)s::text is null or d.kind = %(kind)s)
  and (%(profile)s::text is null or d.profile = %(profile)s)
  and (%(admin_state)s::text is null or s.admin_state = %(admin_state)s)
  and (%(link_state)s::text is null or s.link_state = %(link_state)s)
  and (%(function_state)s::text is null or s.function_state = %(function_state)s)
  and (%(after)s::text is null or d.id > %(after)s)
order by d.id
limit %(limit)s

-- name: device_status
select d.key, d.id, i.id as institution, i.division, d.kind, s.admin_state, s.admin_since, s.link_state, s.link_since,
       s.link_cause, s.function_state, s.function_since, s.function_reason, s.last_heard_at
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join device_state s on s.device = d.key
where d.retired_at is null
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(kind)s::text is null or d.kind = %(kind)s)
  and (%(link_state)s::text is null or s.link_state = %(link_state)s)
  and (%(after)s::text is null or d.id > %(after)s)
order by d.id
limit %(limit)s

-- name: device_key
select d.key, d.profile, d.institution, d.retired_at, i.id as institution_id
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
where d.id = %(id)s

-- name: points
select r.point, r.instance, t.at, t.received_at, t.value, t.text, t.quality, t.changed_at
from series r
join point_state t on t.series = r.key
where r.device = %(device)s
  and (%(after_point)s::text is null or (r.point, r.instance) > (%(after_point)s::text, %(after)s::text))
order by r.point, r.instance
limit %(limit)s

-- name: readings_down
select r.at, r.edge_at, r.received_at, r.value, r.quality
from reading r
where r.series_id = (select s.key from series s
                     where s.device = %(device)s and s.point = %(point)s and s.instance = %(instance)s)
  and r.at >= %(since)s and r.at < %(until)s
  and (%(after)s::timestamptz is null or r.at < %(after)s)
order by r.at desc
limit %(limit)s

-- name: readings_up
select r.at, r.edge_at, r.received_at, r.value, r.quality
from reading r
where r.series_id = (select s.key from series s
                     where s.device = %(device)s and s.point = %(point)s and s.instance = %(instance)s)
  and r.at >= %(since)s and r.at < %(until)s
  and (%(after)s::timestamptz is null or r.at > %(after)s)
order by r.at
limit %(limit)s

-- name: events
select e.stream, e.seq, e.n, e.point, e.instance, e.at, e.edge_at, e.received_at, e.value, e.text, e.quality
from event e
where e.device = %(device)s
  and (%(point)s::text is null or e.point = %(point)s)
  and (%(since)s::timestamptz is null or e.at >= %(since)s)
  and (%(until)s::timestamptz is null or e.at < %(until)s)
  and (%(at)s::timestamptz is null
       or (e.at, e.stream, e.seq, e.n) < (%(at)s, %(stream)s::text, %(seq)s::bigint, %(n)s::int))
order by e.at desc, e.stream desc, e.seq desc, e.n desc
limit %(limit)s

-- name: alarms
select a.id, d.id as device, i.id as institution, i.division, z.id as zone, p.id as position, d.kind, d.profile,
       a.definition, a.instance, a.signal_class, a.priority, a.state, a.latching, a.raised_at, a.received_at, a.cleared_at,
       a.acknowledged_at, a.acknowledged_by, a.ended_at, a.occurrences, a.late, a.exercise, a.exercise_id,
       a.shelved_until, a.shelved_by, a.shelved_with, a.shelve_reason, a.suppressed_by, a.suppress_reason, a.maintenance, a.held_until,
       a.disposition, a.disposition_by, a.disposition_at, a.closed_at, a.closed_by, is_paged(a) as paged,
       array_remove(array[
           case when a.shelved_until > statement_timestamp() then 'shelved' end,
           case when a.suppressed_by is not null then 'suppressed' end,
           case when a.held_until > statement_timestamp() then case when a.maintenance is null then 'late' else 'maintenance' end end,
           case when a.out_of_service then 'out_of_service' end,
           case when a.stale and a.signal_class not in ('fire', 'panic') then 'stale' end], null) as hidden
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where (%(id)s::uuid is null or a.id = %(id)s)
  and (%(active)s::boolean is null or (a.ended_at is null) = %(active)s)
  and (%(state)s::text is null or a.state = %(state)s)
  and (%(signal_class)s::text is null or a.signal_class = %(signal_class)s)
  and (%(priority)s::text is null or a.priority = %(priority)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s))
  and (%(device)s::text is null or d.id = %(device)s)
  and (a.exercise is null or %(exercises)s::text = 'all' or (%(exercises)s::text = 'drills' and a.exercise = 'drill'))
  and (%(suppressed_by)s::uuid is null or a.suppressed_by = %(suppressed_by)s)
  and (%(maintenance)s::text is null or a.maintenance = %(maintenance)s)
  and (%(since)s::timestamptz is null or a.raised_at >= %(since)s)
  and (%(until)s::timestamptz is null or a.raised_at < %(until)s)
  and (%(after_at)s::timestamptz is null or (a.raised_at, a.id) < (%(after_at)s, %(after)s::uuid))
order by a.raised_at desc, a.id desc
limit %(limit)s

-- name: alarm_transitions
select n, event, from_state, to_state, at, recorded_at, actor, note
from alarm_transition
where alarm = %(id)s
order by n

-- name: alarm_escalation
select state, reason, actor, policy, started_at, ended_at, round from escalation where alarm = %(id)s

-- name: alarm_notifications
select o.id, o.kind, o.round, o.step, o.repetition, o.responder, o.channel, o.state, o.due_at, o.created_at, o.ended_at,
       coalesce((select jsonb_agg(jsonb_build_object('n', t.n, 'at', t.at, 'outcome', t.outcome, 'code', t.code,
                                                      'receipt', t.receipt, 'receipt_at', t.receipt_at,
                                                      'receipt_detail', t.receipt_detail) order by t.n)
                 from attempt t where t.notification = o.id), '[]') as attempts
from notification o
where o.alarm = %(id)s
order by o.round, o.step, o.repetition, o.responder, o.channel
limit %(limit)s

-- name: policies
select p.id, p.title_zh, p.title_en, p.division, p.group_id as "group", i.id as institution, p.institution_types, p.signal_classes,
       p.priorities, p.round_every, p.max_rounds,
       extract(epoch from p.remind_after)::float8 as remind_after, extract(epoch from p.lapse_after)::float8 as lapse_after,
       coalesce((select jsonb_agg(jsonb_build_object(
                            'n', s.n, 'responder', s.responder, 'channel', s.channel, 'kind', c.kind, 'rota', s.rota, 'kinds', s.kinds,
                            'delay', extract(epoch from s.delay), 'repeat_every', extract(epoch from s.repeat_every),
                            'repeat_times', s.repeat_times) order by s.n)
                 from policy_step s
                 left join responder_channel c on c.responder = s.responder and c.id = s.channel
                 where s.policy = p.id), '[]') as steps
from policy p
left join institution i on i.key = p.institution
where p.retired_at is null
  and ((p.institution is null and p.division is null and p.group_id is null)
       or exists (select from group_member m where m.group_id = p.group_id and m.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s))
       or p.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s)
       or p.division in (select v.code from divisions_in_scope(%(scope)s::jsonb) v))
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(after)s::text is null or p.id > %(after)s)
order by p.id
limit %(limit)s

-- name: quarantine
-- A cursor is (received_at, how many of that instant were shown): the key would tell how much others have in quarantine.
select q.received_at, q.at, q.client, q.source, q.stream, q.seq, q.code, q.reason, q.payload
from quarantine q
where ((%(scope)s::jsonb ->> 'everything')::boolean
       or q.client in (select c.name::text
                       from institutions_in_scope(%(scope)s::jsonb) i
                       join device d on d.institution = i.key
                       join client c on c.device = d.key))
  and (%(client)s::text is null or q.client = %(client)s)
  and (%(code)s::text is null or q.code = %(code)s)
  and (%(before)s::timestamptz is null or q.received_at <= %(before)s)
order by q.received_at desc, q.key desc
offset %(skip)s
limit %(limit)s

-- name: admin_state
select admin_state, admin_since from device_state where device = %(device)s for update

-- name: set_admin_state
update device_state set admin_state = %(state)s, admin_since = %(at)s where device = %(device)s

-- name: say
insert into change (kind, institution, payload) values (%(kind)s, %(institution)s, %(payload)s)
