-- The duty book: which rotas a principal sees, swaps and handover notes.

-- name: rotas
select r.id::text
from rota r left join institution i on i.key = r.institution
where r.retired_at is null
  and (%(rota)s::text is null or r.id = %(rota)s)
  and ((r.institution is null and r.division is null)
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s)
       or r.division in (select v.code from divisions_in_scope(%(scope)s::jsonb) v))
order by r.id::text collate "C"

-- name: clock
select hub_clock() as now

-- name: lock
-- one save at a time, of manifests too (hub.store.provisioning): what each finds without a hole must not be one together
select pg_advisory_xact_lock(%(key)s)

-- name: may
-- Whoever acts on a duty post must have all of its place within the scope.
select (%(scope)s::jsonb ->> 'everything')::boolean
       or r.institution in (select s.key from institutions_in_scope(%(scope)s::jsonb) s)
       or (r.division is not null and exists (select from jsonb_array_elements_text(%(scope)s::jsonb -> 'divisions') as p(prefix)
                                              where starts_with(r.division, p.prefix))) as may,
       r.division, r.institution
from rota r where r.id = %(rota)s and r.retired_at is null

-- name: overrides
select o.id, o.starts_at, o.ends_at, o.absent::text, o.present::text, o.reason, o.made_at, o.made_by, o.cancelled_at, o.cancelled_by
from rota_override o
where o.rota = %(rota)s and o.ends_at > %(since)s
order by o.key desc limit %(limit)s

-- name: cancel_override
update rota_override set cancelled_at = hub_clock(), cancelled_by = %(actor)s
where rota = %(rota)s and id = %(override)s and cancelled_at is null

-- name: responders_of
select id::text, title_zh, title_en, manned from responder where retired_at is null and id::text = any (%(responders)s)

-- name: open_alarms
select a.id::text as alarm, i.id::text as institution, d.id::text as device, a.definition, a.signal_class, a.priority, a.state, a.raised_at,
       count(*) over () as total
from alarm a
join rota r on r.id = %(rota)s
join institution i on i.key = a.institution
join device d on d.key = a.device
where a.ended_at is null and a.exercise is null
  and (r.institution is null or a.institution = r.institution) and (r.division is null or starts_with(i.division, r.division))
order by a.signal_class not in ('fire', 'panic'), a.raised_at desc
limit %(limit)s

-- name: write_handover
insert into duty_handover (rota, giver, taker, note, alarms, alarm_count, written_by, shift, watch_starts_at, watch_ends_at, edition)
values (%(rota)s, %(giver)s, %(taker)s, %(note)s, %(alarms)s, %(alarm_count)s, %(actor)s, %(shift)s, %(watch_starts_at)s, %(watch_ends_at)s,
        %(edition)s)
returning id, at

-- name: handovers
select h.id, h.at, h.giver::text, h.taker::text, h.note, h.alarms, h.alarm_count, h.written_by,
       h.shift::text, h.watch_starts_at, h.watch_ends_at
from duty_handover h
where h.rota = %(rota)s and (%(at)s::timestamptz is null or (h.at, h.id) < (%(at)s, %(id)s::uuid))
order by h.at desc, h.id desc limit %(limit)s

-- name: say
insert into change (kind, institution, payload) select 'duty', r.institution, %(payload)s from rota r where r.id = %(rota)s
