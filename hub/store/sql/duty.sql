-- Rotas, shifts, swaps, handover notes and the calendar as stored. Who is on duty is decided by hub/core/rota.py.

-- name: rotas
select r.id::text, r.title_zh, r.title_en, r.division, i.id::text, r.version
from rota r left join institution i on i.key = r.institution
where r.retired_at is null and (%(rota)s::text is null or r.id = %(rota)s)
order by r.id::text collate "C"

-- name: shifts
select s.rota::text, s.id::text, s.starts, s.ends, s.since, s.until, s.turn_days, s.crew, s.weekdays, s.day_kinds,
       array(select t.responder::text from rota_turn t where t.rota = s.rota and t.shift = s.n order by t.n)
from rota_shift s join rota r on r.id = s.rota and r.retired_at is null
where %(rota)s::text is null or s.rota = %(rota)s
order by s.rota, s.n

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

-- name: drop_shifts
delete from rota_shift where rota = %(rota)s

-- name: put_shift
insert into rota_shift (rota, n, id, starts, ends, since, until, turn_days, crew, weekdays, day_kinds)
values (%(rota)s, %(n)s, %(id)s, %(starts)s, %(ends)s, %(since)s, %(until)s, %(turn_days)s, %(crew)s, %(weekdays)s, %(day_kinds)s)

-- name: put_turns
insert into rota_turn (rota, shift, n, responder)
select %(rota)s, %(shift)s, t.n - 1, t.responder
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
insert into rota_override (rota, starts_at, ends_at, absent, present, reason, made_by)
values (%(rota)s, %(starts_at)s, %(ends_at)s, %(absent)s, %(present)s, %(reason)s, %(actor)s)
returning id::text
