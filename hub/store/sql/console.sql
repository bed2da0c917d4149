-- What the console shows. Every statement takes the caller's scope, as the read side of the API does.

-- name: alarms
-- What is wanted (nobody owns it and nothing hides it) first, fire and panic before the rest, then by priority, then the oldest. Exercises of the machine (proof, canary) are
-- not among real alarms; drills are, marked.
select a.id, a.version, d.id as device, d.kind, d.profile, i.id as institution, i.title_zh as institution_zh,
       i.title_en as institution_en, i.contacts, i.video, z.id as zone, z.title_zh as zone_zh, z.title_en as zone_en, z.floor,
       p.id as position, p.title_zh as position_zh, p.title_en as position_en, p.plan_x, p.plan_y,
       a.definition, a.instance, a.signal_class, a.priority, a.state, a.latching, a.raised_at, a.received_at, a.cleared_at,
       a.acknowledged_at, a.acknowledged_by, a.ended_at, a.occurrences, a.late, a.exercise,
       coalesce(a.shelved_until > now(), false) as shelved, a.shelved_until, a.shelved_by, a.shelved_with, a.shelve_reason,
       a.suppressed_by, a.suppress_reason, a.maintenance, coalesce(a.held_until > now(), false) as held, a.held_until,
       a.out_of_service, a.stale, a.disposition, a.disposition_by, a.disposition_at, a.closed_at, a.closed_by,
       w.unowned, w.hidden, w.unowned and not w.hidden as wanted, is_paged(a) as paged,
       e.state as escalation, count(*) over () as total,
       count(*) filter (where w.unowned and not w.hidden) over () as total_unowned
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
left join escalation e on e.alarm = a.id
cross join lateral (
    select a.state in ('unack_active', 'unack_cleared', 'latched_unack') and a.priority <> 'journal' as unowned,
           coalesce(a.shelved_until > now(), false) or a.suppressed_by is not null or coalesce(a.held_until > now(), false)
               or a.out_of_service or (a.stale and a.signal_class not in ('fire', 'panic')) as hidden
) w
where (%(id)s::uuid is null or a.id = %(id)s)
  and (%(id)s::uuid is not null or a.exercise is null or a.exercise not in ('proof', 'canary'))
  and (%(id)s::uuid is not null or (a.ended_at is null) = %(active)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(device)s::text is null or d.id = %(device)s)
order by (w.unowned and not w.hidden) desc, w.unowned desc,
         a.signal_class in ('fire', 'panic') desc,
         array_position(array['critical', 'high', 'medium', 'low', 'journal'], a.priority),
         case when %(active)s then a.raised_at end, a.raised_at desc, a.id
limit %(limit)s

-- name: history
select a.id, a.version, d.id as device, d.kind, d.profile, i.id as institution, i.title_zh as institution_zh,
       i.title_en as institution_en, z.title_zh as zone_zh, z.title_en as zone_en, p.title_zh as position_zh,
       p.title_en as position_en, a.definition, a.instance, a.signal_class, a.priority, a.state, a.raised_at, a.cleared_at,
       a.acknowledged_at, a.acknowledged_by, a.ended_at, a.occurrences, a.late, a.exercise
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
join device d on d.key = a.device
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where (%(institution)s::text is null or i.id = %(institution)s)
  and (a.exercise is null or a.exercise not in ('proof', 'canary'))
  and (%(at)s::timestamptz is null or (a.raised_at, a.id) < (%(at)s, %(id)s::uuid))
order by a.raised_at desc, a.id desc
limit %(limit)s

-- name: institutions
with page as (
    select i.key, i.id, i.title_zh, i.title_en, i.type, i.division, v.title_zh as division_zh, v.title_en as division_en
    from institutions_in_scope(%(scope)s::jsonb) i
    left join division v on v.code = i.division
    where i.retired_at is null and i.partition >= 0
      and (%(search)s::text = '' or i.id like '%%' || %(search)s::text || '%%' or i.title_zh ilike '%%' || %(search)s::text || '%%'
           or i.title_en ilike '%%' || %(search)s::text || '%%')
      and (%(after)s::text is null or i.id > %(after)s)
    order by i.id
    limit %(limit)s
)
select p.*, a.unowned, a.active, s.devices, s.offline, s.failed
from page p
cross join lateral (
    select count(*) filter (where a.state in ('unack_active', 'unack_cleared', 'latched_unack')) as unowned, count(*) as active
    from alarm a
    where a.institution = p.key and a.ended_at is null and (a.exercise is null or a.exercise not in ('proof', 'canary'))
      and a.priority <> 'journal'
) a
cross join lateral (
    select count(*) as devices, count(*) filter (where s.link_state <> 'online') as offline,
           count(*) filter (where s.function_state in ('failed', 'degraded')) as failed
    from device d join device_state s on s.device = d.key
    where d.institution = p.key and d.retired_at is null
) s
order by p.id

-- name: devices
select d.key, d.id, d.kind, d.profile, d.lane, z.id as zone, z.title_zh as zone_zh, z.title_en as zone_en, z.floor, z.purpose,
       p.id as position, p.title_zh as position_zh, p.title_en as position_en, p.plan_x, p.plan_y,
       s.admin_state, s.admin_since, s.link_state, s.link_since, s.link_cause, s.function_state, s.function_since,
       s.function_reason, s.last_heard_at, s.proven_at,
       (select count(*) from alarm a where a.device = d.key and a.ended_at is null and a.priority <> 'journal'
           and (a.exercise is null or a.exercise not in ('proof', 'canary'))) as alarms
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join device_state s on s.device = d.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where i.id = %(institution)s and d.retired_at is null
order by z.floor nulls last, z.id nulls last, p.id nulls last, d.id
limit %(limit)s

-- name: curves
-- the newest readings of each series in a span, oldest first; a series without any is there with its latest value
select d.id as device, d.profile, r.point, r.instance, t.value, t.text, t.quality, t.at, g.curve
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join series r on r.device = d.key
join point_state t on t.series = r.key
left join lateral (
    select jsonb_agg(jsonb_build_array(extract(epoch from w.at), w.value) order by w.at) as curve
    from (
        select g.at, g.value from reading g
        where g.series_id = r.key and g.at >= %(since)s and g.at < %(until)s and g.value is not null and g.quality < 200
          and g.value > '-infinity' and g.value < 'infinity'
        order by g.at desc
        limit %(points)s
    ) w
) g on true
where i.id = %(institution)s and d.retired_at is null
order by d.id, r.point, r.instance
limit %(limit)s

-- name: rotas
select r.id::text as id, r.title_zh, r.title_en, r.division, i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en
from rota r
left join institution i on i.key = r.institution
where r.retired_at is null
  and ((r.institution is null and r.division is null)
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s)
       or r.division in (select v.code from divisions_in_scope(%(scope)s::jsonb) v))
order by r.id
limit 500

-- name: responder_titles
select id::text as id, title_zh, title_en from responder where id::text = any (%(ids)s)

-- name: handovers
select h.rota::text as rota, h.at, h.giver::text as giver, h.taker::text as taker, h.note, h.alarm_count, h.written_by
from unnest(%(rotas)s::text[]) as r(id)
cross join lateral (select * from duty_handover h where h.rota = r.id order by h.key desc limit 5) h
order by h.at desc, h.key desc
limit 100

-- name: children
-- what this alarm explains, within the caller's scope
select a.id, d.id::text as device, d.kind, i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en, a.state, a.raised_at,
       count(*) over () as total
from alarm a
join institutions_in_scope(%(scope)s::jsonb) i on i.key = a.institution
join device d on d.key = a.device
where a.suppressed_by = %(root)s and a.ended_at is null
order by i.id, d.id
limit %(limit)s

-- name: place_of
-- where a device is, in words
select i.title_zh as institution_zh, i.title_en as institution_en, z.title_zh as zone_zh, z.title_en as zone_en, z.floor,
       p.title_zh as position_zh, p.title_en as position_en
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.id = %(device)s

-- name: clock_of
-- What tells of a device's clock: alarms about it at the device itself or at its edge, and its newest value whose time had to be taken from the hub's own clock.
with own as (
    select d.key, d.id, n.edge from institutions_in_scope(%(scope)s::jsonb) i
    join device d on d.institution = i.key
    left join endpoint n on n.key = d.endpoint
    where d.id = %(device)s
)
select (select jsonb_agg(jsonb_build_object('id', a.id, 'device', e.id, 'raised_at', a.raised_at) order by a.raised_at)
        from alarm a join device e on e.key = a.device
        where a.device in (o.key, o.edge) and a.ended_at is null and a.signal_class = 'clock' and a.exercise is null) as alarms,
       t.at as corrected_at, t.point, c.ahead, c.said_at, coalesce(c.wrong, false) as wrong
from own o
left join device_clock c on c.device = o.key
left join lateral (
    select t.received_at as at, r.point from series r join point_state t on t.series = r.key
    where r.device = o.key and t.quality = %(corrected)s order by t.received_at desc limit 1
) t on true

-- name: institution_titles
select i.id::text as id, i.title_zh, i.title_en from institutions_in_scope(%(scope)s::jsonb) i where i.id::text = any (%(ids)s)

-- name: post_titles
-- rotas and responders share one space of names only by habit: a rota goes before a responder of the same id
select distinct on (id) id, title_zh, title_en
from (select id::text as id, title_zh, title_en, 0 as n from rota where id::text = any (%(ids)s)
      union all select id::text, title_zh, title_en, 1 from responder where id::text = any (%(ids)s)) named
order by id, n

-- name: function_tests
-- The newest function tests, each with the window at the police centre in which it was made.
select t.id, d.id::text as device, d.kind, i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en, t.state,
       t.requested_by, t.requested_at, t.finished_at, t.detail, w.id as "window", w.reference, w.receipt_number, w.receipt_at
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join device_test t on t.device = d.key
left join lateral (
    select w.* from police_window w
    where w.device = d.key and w.cancelled_at is null and w.starts_at <= t.requested_at and w.ends_at >= t.requested_at
    order by w.receipt_at nulls last, w.ends_at desc limit 1
) w on true
where d.key > 0 and (%(device)s::text is null or d.id = %(device)s)
order by t.requested_at desc, t.id
limit %(limit)s

-- name: dialling
-- devices that dial the police centre by a line of their own: what windows are booked for
select d.id::text as id, i.title_zh as institution_zh, i.title_en as institution_en, p.title_zh as position_zh, p.title_en as position_en
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
left join position p on p.key = d.position
where d.retired_at is null and coalesce(d.dials_police, d.profile = any (%(profiles)s::text[]))
  and (%(device)s::text is null or d.id = %(device)s)
order by i.id, d.id
limit %(limit)s

-- name: drillable
-- Where a press can be declared: positions of a place whose device can raise fire or panic.
select i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en, z.id::text as zone, z.title_zh as zone_zh,
       z.title_en as zone_en, p.id::text as position, p.title_zh, p.title_en, d.id::text as device, d.kind, d.profile, s.admin_state, s.link_state
from institutions_in_scope(%(scope)s::jsonb) i
join position p on p.institution = i.key and p.retired_at is null
join zone z on z.key = p.zone
join device d on d.position = p.key and d.retired_at is null and d.lane = 'urgent' and d.kind <> 'edge'
join device_state s on s.device = d.key
where i.retired_at is null
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(zone)s::text is null or z.id = %(zone)s)
  and (%(division)s::text is null or starts_with(i.division, %(division)s::text))
  and (%(group)s::text is null or exists (select from group_member m where m.group_id::text = %(group)s and m.institution = i.key))
order by i.id, z.id, p.id
limit %(limit)s

-- name: waiting
-- What a page that is not the board has to know of it: which alarms want somebody now, the urgent ones first.
select a.id, a.signal_class in ('fire', 'panic') as urgent, count(*) over () as total
from institutions_in_scope(%(scope)s::jsonb) i
join alarm a on a.institution = i.key
where a.ended_at is null and a.state in ('unack_active', 'unack_cleared', 'latched_unack') and a.priority <> 'journal'
  and (a.exercise is null or a.exercise not in ('proof', 'canary'))
  and not (coalesce(a.shelved_until > now(), false) or a.suppressed_by is not null or coalesce(a.held_until > now(), false)
           or a.out_of_service or (a.stale and a.signal_class not in ('fire', 'panic')))
order by urgent desc, a.raised_at desc
limit %(limit)s

-- name: deaf
-- Whether an urgent lane of any partition was not listened to for so long, by whichever process it is: what came meanwhile is on no page.
select (select value::int from hub_setting where name = 'partitions')
       > (select count(*) from lane_watch
          where lane = 'urgent' and heard_at between clock_timestamp() - %(silence)s and clock_timestamp() + interval '1 hour') as deaf
