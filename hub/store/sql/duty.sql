-- Rotas, shifts, swaps, handover notes and the calendar as stored. Who is on duty is decided by hub/core/rota.py.

-- name: rotas
select r.id::text, r.title_zh, r.title_en, r.division, i.id::text, r.version
from rota r left join institution i on i.key = r.institution
where r.retired_at is null and (%(rota)s::text is null or r.id = %(rota)s)
order by r.id::text collate "C"

-- name: shifts
select s.rota::text, s.id::text, s.starts, s.ends, s.since, s.until, s.turn_days, s.crew, s.weekdays, s.day_kinds,
       array(select t.responder::text from rota_turn t
             where t.rota = s.rota and t.edition = s.edition and t.shift = s.n order by t.n)
from rota_shift_now s
where %(rota)s::text is null or s.rota = %(rota)s
order by s.rota, s.n

-- name: editions
-- Those that count at some instant from `since` to `until`, the newest last. One that was saved after now by this clock shows that the clock
-- was set back: what is known counts.
select e.rota::text, e.n, nullif(c.counts_from, '-infinity'), r.title_zh, r.title_en, r.division, i.id::text
from rota_edition e
join rota r on r.id = e.rota
left join institution i on i.key = r.institution
cross join lateral (select case when e.saved_at > hub_clock() then '-infinity' else e.counts_from end as counts_from) c
where (%(rota)s::text is null or e.rota = %(rota)s) and c.counts_from <= %(until)s
  and not exists (select from rota_edition later
                  where later.rota = e.rota and later.n > e.n and (later.counts_from <= %(since)s or later.saved_at > hub_clock()))
order by e.rota::text collate "C", e.n

-- name: shifts_of
-- of these editions
select s.rota::text, s.edition, s.id::text, s.starts, s.ends, s.since, s.until, s.turn_days, s.crew, s.weekdays, s.day_kinds,
       array(select t.responder::text from rota_turn t
             where t.rota = s.rota and t.edition = s.edition and t.shift = s.n order by t.n)
from unnest(%(rotas)s::text[], %(editions)s::int[]) as e(rota, n)
join rota_shift s on s.rota = e.rota and s.edition = e.n
order by s.rota, s.edition, s.n

-- name: overrides_then
-- Swaps, each for as long as it was known: from when it was entered until it was cancelled.
select o.rota::text, o.id::text, k.starts_at, k.ends_at, o.absent::text, o.present::text
from rota_override o
cross join lateral (
    select case when o.made_at > hub_clock() then o.starts_at else greatest(o.starts_at, o.made_at) end as starts_at,
           least(o.ends_at, case when o.cancelled_at > hub_clock() then '-infinity' else o.cancelled_at end) as ends_at) k
where (%(rota)s::text is null or o.rota = %(rota)s) and k.starts_at < k.ends_at and k.ends_at > %(since)s and k.starts_at <= %(until)s
order by o.rota, o.key

-- name: calendar_editions
-- What was known of each year, and from when on.
select e.year, case when e.counts_from > hub_clock() then null else e.counts_from end as counts_from, e.days
from calendar_edition e
where e.counts_from <= %(until)s or e.counts_from > hub_clock()
order by e.year, e.n

-- name: saved
-- who saved which edition when, newest first
select e.n, e.saved_at, e.saved_by, nullif(e.counts_from, '-infinity') as counts_from
from rota_edition e where e.rota = %(rota)s
order by e.n desc limit %(limit)s

-- name: overrides
select o.rota::text, o.id::text, o.starts_at, o.ends_at, o.absent::text, o.present::text
from rota_override o join rota r on r.id = o.rota and r.retired_at is null
where o.cancelled_at is null and (%(rota)s::text is null or o.rota = %(rota)s)
  and (%(since)s::timestamptz is null or o.ends_at > %(since)s) and (%(until)s::timestamptz is null or o.starts_at <= %(until)s)
order by o.rota, o.key

-- name: put_rota
insert into rota as r (id, title_zh, title_en, division, institution)
values (%(id)s, %(title_zh)s, %(title_en)s, %(division)s, %(institution)s)
on conflict (id) do update set
    title_zh = excluded.title_zh, title_en = excluded.title_en, division = excluded.division, institution = excluded.institution,
    version = r.version + 1, retired_at = null

-- name: put_edition
-- the first counts from ever: nothing was known before it that it could rewrite
insert into rota_edition (rota, n, counts_from)
select r.id, r.version, case when exists (select from rota_edition e where e.rota = r.id) then hub_clock() else '-infinity' end
from rota r where r.id = %(rota)s
returning n

-- name: put_shift
insert into rota_shift (rota, edition, n, id, starts, ends, since, until, turn_days, crew, weekdays, day_kinds)
values (%(rota)s, %(edition)s, %(n)s, %(id)s, %(starts)s, %(ends)s, %(since)s, %(until)s, %(turn_days)s, %(crew)s, %(weekdays)s,
        %(day_kinds)s)

-- name: put_turns
insert into rota_turn (rota, edition, shift, n, responder)
select %(rota)s, %(edition)s, %(shift)s, t.n - 1, t.responder
from unnest(%(responders)s::text[]) with ordinality as t(responder, n)

-- name: live_responders
select id::text from responder where id::text = any (%(responders)s) and retired_at is null for share

-- name: lock_rota
select r.version from rota r where r.id = %(rota)s and r.retired_at is null for update

-- name: rota_users
select distinct p.id::text from policy_step s join policy p on p.id = s.policy and p.retired_at is null
where s.rota = %(rota)s
order by 1

-- name: retire_rota
update rota set retired_at = clock_timestamp(), version = version + 1 where id = %(rota)s and retired_at is null

-- name: calendar
select year, days from calendar_year

-- name: add_override
insert into rota_override (rota, starts_at, ends_at, absent, present, reason, made_at, made_by)
values (%(rota)s, %(starts_at)s, %(ends_at)s, %(absent)s, %(present)s, %(reason)s, hub_clock(), %(actor)s)
returning id::text
