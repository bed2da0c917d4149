-- The roll-up as the API reads it, and the snapshot of a day.

-- name: rollup
-- a division and what is directly below it, or some groups, within the scope; null as `at`: now
select r.*
from coverage_rollup(%(at)s, %(known_at)s, %(within)s, %(scope)s::jsonb, %(fresh_since)s, %(deepest)s) r
where r.kind = %(kind)s and (%(places)s::text[] is null or r.place = any (%(places)s))
order by r.place

-- name: below
-- the codes of a division (null: of what has none above it) and of those directly below
select code, parent, title_zh, title_en from divisions_in_scope(%(scope)s::jsonb) d
where d.code is not distinct from %(division)s or d.parent is not distinct from %(division)s
order by code

-- name: groups
select g.id::text as id, g.title_zh, g.title_en from institution_group g
where (%(id)s::text is null or g.id::text = %(id)s)
  and exists (select from group_member m join institutions_in_scope(%(scope)s::jsonb) i on i.key = m.institution where m.group_id = g.id)
order by g.id

-- name: take
insert into coverage_day (day, kind, place, register, connected, oldest_check, stale, open_orders, raised_orders, waivers, taken_at, figures)
select %(day)s, r.kind, r.place, r.register, r.connected, r.oldest_check, r.stale, r.open_orders, r.raised_orders, r.waivers, %(now)s, r.figures
from coverage_rollup(null, null, null, null, %(fresh_since)s, 12) r
on conflict (kind, place, day) do update
set register = excluded.register, connected = excluded.connected, oldest_check = excluded.oldest_check, stale = excluded.stale,
    open_orders = excluded.open_orders, raised_orders = excluded.raised_orders, waivers = excluded.waivers, taken_at = excluded.taken_at,
    figures = excluded.figures
where coverage_day.taken_at <= excluded.taken_at

-- name: gone
-- a place that has no entries any more since this day's first snapshot
delete from coverage_day where day = %(day)s and taken_at < %(now)s

-- name: snapshots
select day, place, register, connected, oldest_check, stale, open_orders, raised_orders, waivers, taken_at, figures
from coverage_day
where kind = %(kind)s and place = any (%(places)s) and day between %(first)s and %(last)s
order by day, place
