-- What the judge looks at. Set-wise: no statement for a single institution.

-- name: listened
-- Lanes of which a word came lately: where nobody listens, no link state can be believed. A word of a far future is of a clock that was set back.
select partition, lane from lane_watch
where heard_at between clock_timestamp() - interval '30 seconds' and clock_timestamp() + interval '1 hour'

-- name: entry_places
select filing_number, division, type, capacity
from register_entry where filing_number = any (%(filing_numbers)s) and removed_at is null

-- name: places
-- `signed_at` only where the newest signature is one under the plan as it is now. What stands on the register is judged as what the register says that
-- it is, and where: nobody re-types itself out of a duty (decision 0447).
select i.key, i.id::text as id, coalesce(r.division, i.division) as division, coalesce(r.type, i.type) as type, i.partition, coalesce(r.capacity, i.capacity) as capacity, r.filing_number,
       i.calendar::text as calendar, coalesce(p.version, 0) as plan_version, p.changed_at as plan_changed_at, s.signed_at
from institution i
left join register_entry r on r.institution = i.key and r.removed_at is null
left join zone_plan p on p.institution = i.key
left join lateral (
    select n.version, n.signed_at from zone_plan_signature n where n.institution = i.key order by n.version desc, n.signed_at desc limit 1
) s on s.version = p.version
where i.id::text = any (%(ids)s) and i.retired_at is null
order by i.id

-- name: kind_of
-- the least that must be known of a subject whose other rows cannot be read
select coalesce(r.division, i.division) as division, coalesce(r.type, i.type) as type, true as connected
from institution i left join register_entry r on r.institution = i.key and r.removed_at is null
where i.id::text = %(subject)s and i.retired_at is null
union all
select r.division, r.type, false from register_entry r where 'register:' || r.filing_number = %(subject)s and r.removed_at is null

-- name: zones
select z.institution, z.id::text as id, z.purpose, z.title_zh, z.title_en, z.floor, z.area_m2, z.entrances, z.ages
from zone z
where z.institution = any (%(keys)s) and z.retired_at is null
order by z.institution, z.id

-- name: devices
select d.key, d.institution, d.id::text as id, d.kind, d.lane, d.profile, z.id::text as zone,
       s.admin_state, s.admin_since, s.link_state, s.link_since, s.function_state, s.function_since, s.last_heard_at, s.proven_at, s.proven,
       n.id::text as endpoint, e.id::text as edge, d.recorded_by::text as recorded_by, d.switch::text as switch, d.powered_by::text as powered_by
from device d
join device_state s on s.device = d.key
left join position p on p.key = d.position and p.retired_at is null
left join zone z on z.key = p.zone and z.retired_at is null
left join endpoint n on n.key = d.endpoint
left join device e on e.key = n.edge
where d.institution = any (%(keys)s) and d.retired_at is null
order by d.institution, d.id

-- name: views
-- attested only for the device that stands there now
select d.id::text as device, z.id::text as zone, v.share, v.masked, case when v.device = d.key then v.attested_at end as attested_at
from device d
join position p on p.key = d.position and p.retired_at is null
join camera_view v on v.position = p.key
join zone z on z.key = v.zone and z.retired_at is null
where d.institution = any (%(keys)s) and d.retired_at is null
order by d.id, z.id

-- name: proofs
-- the device's own test answered through the whole path: a proof that began lower than the hub's own software. `capability` is null in a proof
-- that was made before proofs said what they show.
select d.id::text as device, c.capability, max(p.finished_at) as at
from device d
join proof p on p.device = d.key and p.state = 'passed' and p.level = 'device'
join device_state s on s.device = d.key
cross join lateral unnest(coalesce(p.shows, array[null::text])) as c(capability)
where d.institution = any (%(keys)s) and d.retired_at is null and s.proven_at is not null and p.finished_at >= s.proven_at
group by d.id, c.capability

-- name: values
select d.id::text as device, r.point, t.value, t.at
from device d
join series r on r.device = d.key and r.point = any (%(points)s) and r.instance = ''
join point_state t on t.series = r.key
where d.institution = any (%(keys)s) and d.retired_at is null and t.quality < 100 and t.value is not null
order by d.id, r.point

-- name: hidden
-- alarms that somebody or something keeps from people now, by the class of what is hidden; and until when, where that ends by itself
select d.institution, d.id::text as device, a.signal_class, a.shelved_until as until
from alarm a
join device d on d.key = a.device
where a.shelved_until > now() and a.institution = any (%(keys)s) and d.retired_at is null
union
select d.institution, d.id::text, a.signal_class, a.held_until
from device d
join alarm a on a.device = d.key and a.ended_at is null
where d.institution = any (%(keys)s) and d.retired_at is null and (a.suppressed_by is not null or a.held_until > now())

-- name: attestations
-- What stands: neither corrected nor withdrawn. Of each kind the newest, of what is stated daily that of two months: older ones are asked for by no rule.
select k.institution, a.id::text as id, a.kind, a.at, a.expires_at, z.id::text as zone, d.id::text as device, a.number, a.value,
       s.attestation is not null as seconded
from unnest(%(keys)s::int[]) as k(institution)
cross join lateral (
    -- the kinds that were ever stated there, one look into the index each: of a hundred kinds an institution has some
    with recursive stated as (
        (select a.kind from attestation a where a.institution = k.institution order by a.kind limit 1)
        union all
        select (select a.kind from attestation a where a.institution = k.institution and a.kind > stated.kind order by a.kind limit 1)
        from stated where stated.kind is not null
    )
    select kind as asked from stated where kind = any (%(kinds)s::text[])
) w
cross join lateral (
    select * from attestation a
    where a.institution = k.institution and a.kind = w.asked and (w.asked <> all (%(daily)s::text[]) or a.at > now() - interval '62 days')
      and not a.void and not exists (select from attestation c where c.supersedes = a.id)
    order by a.at desc limit 600
) a
left join zone z on z.key = a.zone
left join device d on d.key = a.device
left join attestation_second s on s.attestation = a.id
order by k.institution, a.at, a.id

-- name: drills
-- over, not called off, and every press that was named came
select p.institution, r.id::text as id, max(p.pressed_at) as at
from drill_press p
join drill r on r.id = p.drill
where p.institution = any (%(keys)s) and r.cancelled_at is null and r.ends_at <= now() and r.ends_at > now() - interval '800 days'
  and not exists (select from attestation a where a.drill = r.id and a.institution = p.institution and not a.void
                  and not exists (select from attestation c where c.supersedes = a.id))
group by p.institution, r.id
having bool_and(p.pressed_at is not null)
order by p.institution, r.id

-- name: drills_ahead
-- when the next one is over, and counts
select p.institution, min(r.ends_at) as at
from drill_press p
join drill r on r.id = p.drill
where p.institution = any (%(keys)s) and r.cancelled_at is null and r.ends_at > now()
group by p.institution

-- name: police_tests
select w.institution, w.id::text as id, d.id::text as device, w.receipt_at as at, coalesce(w.receipt_number, '') as number
from police_window w
join device d on d.key = w.device
where w.institution = any (%(keys)s) and w.receipt_at is not null and d.retired_at is null
  and not exists (select from attestation a where a.police_window = w.id and not a.void
                  and not exists (select from attestation c where c.supersedes = a.id))
order by w.institution, w.id

-- name: alarms
-- fire and panic, real ones and drills: raised, taken in, the first delivery that a channel took, acknowledged
select d.institution, d.id::text as device, a.signal_class, a.raised_at, a.received_at, t.told_at, a.acknowledged_at
from device d
cross join lateral (
    select * from alarm a
    where a.device = d.key and a.raised_at > now() - interval '31 days' and a.signal_class in ('fire', 'panic')
      and (a.exercise is null or a.exercise = 'drill')
    order by a.raised_at desc limit 500
) a
left join lateral (
    select min(o.at + coalesce(o.duration, interval '0')) as told_at
    from notification n join attempt o on o.notification = n.id
    where n.alarm = a.id and o.outcome = 'delivered'
) t on true
where d.institution = any (%(keys)s) and d.retired_at is null and d.lane = 'urgent'
order by d.id, a.raised_at

-- name: now
select now()
