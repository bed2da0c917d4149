-- name: put_authority
insert into authority as a (id, kind, title_zh, title_en, division, phone, automatic_classes, automatic_after)
values (%(id)s, %(kind)s, %(title_zh)s, %(title_en)s, %(division)s, %(phone)s, %(automatic_classes)s, %(automatic_after)s)
on conflict (id) do update set
    kind = excluded.kind, title_zh = excluded.title_zh, title_en = excluded.title_en, division = excluded.division, phone = excluded.phone,
    automatic_classes = excluded.automatic_classes, automatic_after = excluded.automatic_after, version = a.version + 1, retired_at = null
returning version

-- name: put_channel
insert into authority_channel (authority, id, kind, settings)
values (%(authority)s, %(id)s, %(kind)s, %(settings)s)
on conflict (authority, id) do update set kind = excluded.kind, settings = excluded.settings, retired_at = null

-- name: retire_channels
update authority_channel set retired_at = hub_clock()
where authority = %(authority)s and retired_at is null and not id = any (%(kept)s)

-- name: retire_authority
update authority set retired_at = hub_clock(), version = version + 1, automatic_classes = '{}', automatic_after = null
where id = %(id)s and retired_at is null
returning id

-- name: authorities
-- Those of a division that the scope touches, or that stands above it.
select a.id, a.kind, a.title_zh, a.title_en, a.division, a.phone, a.automatic_classes, extract(epoch from a.automatic_after) as automatic_after,
       a.version,
       coalesce((select jsonb_agg(jsonb_build_object('id', c.id, 'kind', c.kind) order by c.id)
                 from authority_channel c where c.authority = a.id and c.retired_at is null), '[]') as channels
from authority a
where a.retired_at is null
  and (%(id)s::text is null or a.id = %(id)s)
  and (%(institution)s::text is null
       or exists (select from institution i where i.id = %(institution)s and starts_with(i.division, a.division)))
  and ((%(scope)s::jsonb ->> 'everything')::boolean
       or exists (select from institutions_in_scope(%(scope)s::jsonb) i where starts_with(i.division, a.division)))
order by a.id

-- name: lock_alarm
select a.institution, a.state, i.division, a.exercise, i.id as institution_id
from alarm a join institution i on i.key = a.institution
where a.id = %(alarm)s
for update of a

-- name: authority_for
select division from authority where id = %(authority)s and retired_at is null for share

-- name: begin
insert into handover (id, alarm, authority, institution, automatic, begun_by, note)
values (%(id)s, %(alarm)s, %(authority)s, %(institution)s, %(automatic)s, %(actor)s, %(note)s)
on conflict (alarm, authority) do nothing
returning id

-- name: add_messages
insert into handover_message (handover, authority, channel)
select %(id)s, authority, id from authority_channel where authority = %(authority)s and retired_at is null

-- name: record_transition
with moved as (update alarm set version = version + 1 where id = %(alarm)s returning id, version, state)
insert into alarm_transition (alarm, n, event, from_state, to_state, at, actor, note)
select id, version, %(event)s, state, state, coalesce(%(at)s, hub_clock()), %(actor)s, %(note)s from moved

-- name: say
insert into change (kind, institution, payload) values ('handover', %(institution)s, %(payload)s)

-- name: lock_handover
select h.institution, h.received_at, h.arrived_at, h.begun_at
from handover h where h.alarm = %(alarm)s and h.authority = %(authority)s
for update

-- name: received
update handover
set received_at = coalesce(%(at)s, hub_clock()), received_by = %(by)s, reference = %(reference)s,
    received_recorded_at = hub_clock(), received_recorded_by = %(actor)s
where alarm = %(alarm)s and authority = %(authority)s

-- name: arrived
update handover
set arrived_at = coalesce(%(at)s, hub_clock()), arrived_recorded_at = hub_clock(), arrived_recorded_by = %(actor)s
where alarm = %(alarm)s and authority = %(authority)s

-- name: of_alarm
select h.id, h.authority, t.kind, t.title_zh, t.title_en, t.phone, h.automatic, h.begun_at, h.begun_by, h.note, h.received_at, h.received_by,
       h.reference, h.received_recorded_at, h.received_recorded_by, h.arrived_at, h.arrived_recorded_at, h.arrived_recorded_by,
       coalesce((select jsonb_agg(jsonb_build_object(
                            'channel', m.channel, 'state', m.state, 'last_error', m.last_error,
                            'attempts', coalesce((select jsonb_agg(jsonb_build_object(
                                             'n', x.n, 'at', x.at, 'outcome', x.outcome, 'code', x.code) order by x.n)
                                         from handover_attempt x where x.handover = m.handover and x.channel = m.channel), '[]')
                        ) order by m.channel)
                 from handover_message m where m.handover = h.id), '[]') as messages
from handover h join authority t on t.id = h.authority
where h.alarm = %(alarm)s
order by h.begun_at, h.authority

-- name: document
-- All that an authority is told; of a real alarm alone.
select h.id, a.exercise, h.alarm, h.authority, a.definition, a.signal_class, a.priority, a.raised_at, a.late, d.profile,
       i.id as institution, i.title_zh as institution_zh, i.title_en as institution_en, i.division, i.latitude, i.longitude,
       i.contacts, z.title_zh as zone_zh, z.title_en as zone_en, z.floor, p.title_zh as position_zh, p.title_en as position_en,
       h.begun_at, h.begun_by, h.note
from handover h
join alarm a on a.id = h.alarm and a.is_real
join device d on d.key = a.device
join institution i on i.key = h.institution
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where h.id = %(handover)s

-- name: automatic
-- Real fire and panic alarms that nobody has answered for as long as an authority's standing order says, by a reading of the clock that was
-- compared (hub/store/steady.py); what was begun since waits for the next one.
select a.id, t.id
from authority t
join alarm a on a.is_real and a.ended_at is null and a.signal_class = any (t.automatic_classes) and a.signal_class in ('fire', 'panic')
join institution i on i.key = a.institution and starts_with(i.division, t.division)
join escalation e on e.alarm = a.id
where t.retired_at is null and t.automatic_after is not null
  and is_paged(a)
  and e.started_at + t.automatic_after <= %(now)s
  and not exists (select from escalation_step s where s.alarm = a.id and s.state = 'due' and not stood_in(s.written, %(stood)s::text::pg_snapshot))
  and not exists (select from handover h where h.alarm = a.id and h.authority = t.id)
order by a.id, t.id
limit %(limit)s

-- name: claim
with picked as (
    select handover, channel
    from handover_message
    where state = 'pending' and next_attempt_at <= hub_clock()
      and (lease_until is null or lease_until <= hub_clock() or lease_holder not in (select live_sessions()))
    order by next_attempt_at
    limit %(limit)s
    for update skip locked
), claimed as (
    update handover_message m
    set attempts = m.attempts + 1, lease_until = hub_clock() + %(lease)s, lease_holder = own_session()
    from picked p
    where m.handover = p.handover and m.channel = p.channel
    returning m.*
), interrupted as (
    update handover_attempt x
    set outcome = 'interrupted', detail = 'the sender was gone before it could note what happened'
    from claimed c
    where x.handover = c.handover and x.channel = c.channel and x.outcome = 'sending'
), tried as (
    insert into handover_attempt (handover, channel, n) select handover, channel, attempts from claimed
)
select c.handover, c.authority, c.channel, c.attempts as n, h.alarm,
       case when k.retired_at is null and t.retired_at is null then k.kind end as kind, k.settings
from claimed c
join handover h on h.id = c.handover
join authority t on t.id = c.authority
join authority_channel k on k.authority = c.authority and k.id = c.channel

-- name: note
update handover_attempt
set outcome = %(outcome)s, code = %(code)s, detail = %(detail)s
where handover = %(handover)s and channel = %(channel)s and n = %(n)s

-- name: settle
-- Only the newest attempt may fail a message, any may deliver it.
update handover_message m
set state = case when %(outcome)s = 'delivered' then 'sent'
                 when %(after)s::interval is null or hub_clock() + %(after)s > m.created_at + %(give_up)s then 'failed' else 'pending' end,
    ended_at = case when %(outcome)s = 'delivered' or %(after)s::interval is null
                         or hub_clock() + %(after)s > m.created_at + %(give_up)s then hub_clock() end,
    next_attempt_at = hub_clock() + coalesce(%(after)s::interval, interval '0'),
    lease_until = null, lease_holder = null, last_error = case when %(outcome)s = 'delivered' then '' else %(detail)s end
from handover h
where h.id = m.handover and m.handover = %(handover)s and m.channel = %(channel)s
  and ((m.attempts = %(n)s and m.state = 'pending') or (%(outcome)s = 'delivered' and m.state <> 'sent'))
returning m.state, h.institution, h.alarm, h.authority

-- name: unverified
-- Handed over, and nobody has written down yet that it was received: newest told of once in a while by the loop.
select h.alarm, h.authority, extract(epoch from hub_clock() - h.begun_at) as seconds
from handover h
where h.received_at is null and h.begun_at <= hub_clock() - %(after)s and h.begun_at > hub_clock() - interval '1 day'
order by h.begun_at
limit 100
