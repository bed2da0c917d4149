-- name: place
-- Keys of the place, if it lies within the scope.
select (select code from division where code = %(division)s) as division,
       i.key as institution,
       (select g.id::text from institution_group g where g.id = %(group)s) as group_id,
       z.key as zone,
       scope_within(%(inner)s, %(scope)s) as within
from (select 1) one
left join institution i on i.id = %(institution)s and i.retired_at is null
left join zone z on z.institution = i.key and z.id = %(zone)s and z.retired_at is null

-- name: positions
-- The positions that presses name, with what is there now, and whether they lie in the place of the drill.
select a.n, i.key as institution, p.key as position, d.key as device, d.id as device_id, d.profile, d.lane,
       coalesce(d.dials_police, d.profile = any (%(dialling)s::text[]), false) as dials_police,
       (%(division)s::text is null or starts_with(i.division, %(division)s))
           and (%(in_institution)s::int is null or i.key = %(in_institution)s)
           and (%(zone)s::int is null or p.zone = %(zone)s)
           and (%(group)s::text is null or exists (select from group_member m where m.group_id::text = %(group)s and m.institution = i.key))
           as inside,
       exists (select from police_window w where w.device = d.key and w.cancelled_at is null
               and w.starts_at <= a.since and w.ends_at >= a.until) as booked
from unnest(%(n)s::int[], %(institutions)s::text[], %(positions)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
    as a(n, institution, position, since, until)
left join institutions_in_scope(%(scope)s) i on i.id::text = a.institution and i.retired_at is null
left join position p on p.institution = i.key and p.id::text = a.position and p.retired_at is null
left join device d on d.position = p.key and d.retired_at is null
order by a.n

-- name: put
insert into drill (id, title_zh, title_en, division, institution, group_id, zone, starts_at, ends_at, declared_by, declared_at)
values (%(id)s, %(zh)s, %(en)s, %(division)s, %(institution)s, %(group)s, %(zone)s, %(starts_at)s, %(ends_at)s, %(actor)s, %(now)s)

-- name: put_presses
insert into drill_press (drill, n, institution, position, signal_class, at, since, until)
select %s, * from unnest(%s::int[], %s::int[], %s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])

-- name: list
-- Drills that have a press within the scope, newest first.
select r.id, r.title_zh, r.title_en, r.division, i.id as institution, r.group_id as "group", z.id as zone, r.starts_at, r.ends_at,
       r.declared_by, r.declared_at, r.cancelled_by, r.cancelled_at,
       (select count(*) from drill_press p where p.drill = r.id) as presses,
       (select count(*) from drill_press p where p.drill = r.id and p.alarm is not null) as pressed
from drill r
left join zone z on z.key = r.zone
left join institution i on i.key = coalesce(r.institution, z.institution)
where exists (select from drill_press p join institutions_in_scope(%(scope)s) s on s.key = p.institution
              where p.drill = r.id and (%(of)s::text is null or s.id = %(of)s))
  and (%(id)s::uuid is null or r.id = %(id)s)
  and (%(after_at)s::timestamptz is null or (r.starts_at, r.id) < (%(after_at)s, %(after)s))
order by r.starts_at desc, r.id desc
limit %(limit)s

-- name: lock
select r.ends_at, r.cancelled_at,
       not exists (select from drill_press p where p.drill = r.id
                   and p.institution not in (select key from institutions_in_scope(%(scope)s))) as whole
from drill r where r.id = %(id)s
for update of r

-- name: cancel
update drill set cancelled_by = %(actor)s, cancelled_at = %(now)s where id = %(id)s

-- name: say
insert into change (kind, institution, payload)
select 'drill', p.institution, %(payload)s from (select distinct institution from drill_press where drill = %(id)s) p

-- name: say_one
insert into change (kind, institution, payload) values ('drill', %(institution)s, %(payload)s)

-- name: taking_part
select i.key from drill_press p join institutions_in_scope(%(scope)s) i on i.key = p.institution
where p.drill = %(id)s and i.id = %(institution)s limit 1

-- name: put_mark
insert into drill_mark (drill, institution, kind, at, actor, note) values (%(id)s, %(institution)s, %(kind)s, %(at)s, %(actor)s, %(note)s)

-- name: presses
-- Each declared press with what came of it: the first message that arrived, and who took it first.
select p.drill, i.id as institution, p.n, o.id as position, o.title_zh, o.title_en, p.signal_class, p.at, p.since, p.until, p.pressed_at,
       p.alarm, f.at as first_notice_at, f.responder as first_responder, f.messages, k.at as acknowledged_at, k.actor as acknowledged_by
from drill_press p
join institutions_in_scope(%(scope)s) i on i.key = p.institution
join position o on o.key = p.position
left join lateral (
    select min(t.at + coalesce(t.duration, '0')) filter (where t.outcome = 'delivered') as at,
           (array_agg(n.responder::text order by t.at + coalesce(t.duration, '0')) filter (where t.outcome = 'delivered'))[1] as responder,
           count(distinct n.id) filter (where n.state = 'sent') as messages
    from notification n join attempt t on t.notification = n.id where n.alarm = p.alarm
) f on true
left join lateral (
    select t.at, t.actor from alarm_transition t where t.alarm = p.alarm and t.event = 'acknowledge' order by t.n limit 1
) k on true
where p.drill = any (%(drills)s::uuid[]) and (%(institution)s::text is null or i.id = %(institution)s)
order by i.id::text, p.at, p.n

-- name: marks
select m.drill, i.id as institution, m.kind, m.at, m.actor, m.note, m.recorded_at
from drill_mark m join institutions_in_scope(%(scope)s) i on i.key = m.institution
where m.drill = any (%(drills)s::uuid[]) and (%(institution)s::text is null or i.id = %(institution)s)
order by m.key

-- name: real
-- Whatever else came from these institutions meanwhile was real; so was what came within a quarter of an hour after the end, when people may
-- still have taken it for the drill: one that ran over, or was cancelled.
select i.id as institution, a.id, d.id as device, a.definition, a.signal_class, a.raised_at, a.acknowledged_at, a.acknowledged_by
from drill r
join lateral (select distinct institution from drill_press where drill = r.id) w on true
join institutions_in_scope(%(scope)s) i on i.key = w.institution
join alarm a on a.institution = i.key and a.exercise is null and a.raised_at >= least(r.starts_at, (select min(p.since) from drill_press p where p.drill = r.id))
    and a.raised_at <= greatest(r.ends_at, (select max(p.until) from drill_press p where p.drill = r.id)) + interval '15 minutes'
    and a.signal_class in ('fire', 'panic')
join device d on d.key = a.device
where r.id = %(id)s
order by a.raised_at, a.id
limit 500

-- name: titles
select i.id, i.title_zh, i.title_en from institutions_in_scope(%(scope)s) i where i.id::text = any (%(institutions)s::text[])

-- name: earlier
-- The drills of an institution before this one that were held there, newest first.
select r.id, r.title_zh, r.title_en, r.starts_at
from drill r
where r.cancelled_at is null and r.starts_at < %(before)s and r.id <> %(id)s
  and exists (select from drill_press p join institutions_in_scope(%(scope)s) i on i.key = p.institution
              where p.drill = r.id and i.id = %(institution)s and p.alarm is not null)
order by r.starts_at desc
limit %(limit)s
