-- name: claim
-- Attempts whose provider is to be asked now. The next question is put off first: after as long again as the attempt is old, at least 20 s.
-- Who dies while asking costs one question.
with picked as (
    select notification, n
    from attempt
    where ask_at <= hub_clock()
    order by ask_at
    limit %(limit)s
    for update skip locked
), asked as (
    update attempt a
    set ask_at = hub_clock() + least(greatest(hub_clock() - a.at, interval '20 seconds'), interval '10 minutes')
    from picked p
    where a.notification = p.notification and a.n = p.n
    returning a.*
)
select a.notification, a.n, a.at, a.provider_id, o.alarm, o.institution, o.responder, o.channel, h.kind, h.settings,
       hub_clock() - a.at > %(give_up)s as is_last
from asked a
join notification o on o.id = a.notification
join responder_channel h on h.responder = o.responder and h.id = o.channel

-- name: named
-- What a provider calls so, taken not long ago.
select a.notification, a.n, a.at, a.provider_id, o.alarm, o.institution, o.responder, o.channel, h.kind, h.settings, false as is_last
from attempt a
join notification o on o.id = a.notification
join responder_channel h on h.responder = o.responder and h.id = o.channel
where a.provider_id = %(provider_id)s and a.provider_id <> '' and a.at > hub_clock() - interval '2 days' and h.kind = %(kind)s
order by a.at desc
limit 1

-- name: lock_step
-- the step before its notifications, as everybody locks them
select s.step
from notification m
join escalation_step s on s.alarm = m.alarm and s.round = m.round and s.step = m.step and s.repetition = m.repetition
where m.id = %(notification)s and m.kind = 'page'
for update of s

-- name: note
-- What is known stays, but for more of the same (a key that was pressed). The notification is locked first, as by the deliverer.
with locked as (
    select id from notification where id = %(notification)s for update
)
update attempt a
set receipt = %(receipt)s, receipt_at = coalesce(case when a.receipt <> 'unknown' then a.receipt_at end, hub_clock()),
    receipt_detail = %(detail)s, ask_at = null
from locked
where a.notification = locked.id and a.n = %(n)s
  and (a.receipt is null or (a.receipt = 'unknown' and %(receipt)s <> 'unknown')
       or (%(is_more)s and a.receipt = %(receipt)s and a.receipt_detail <> %(detail)s))
returning a.n

-- name: unreached
-- A step all of whose pages were given up or did not arrive has reached nobody.
update escalation_step s
set unreached_at = hub_clock()
from notification m
where m.id = %(notification)s and m.kind = 'page' and s.alarm = m.alarm and s.round = m.round and s.step = m.step
  and s.repetition = m.repetition and s.unreached_at is null
  and not exists (
    select from notification o
    where o.alarm = m.alarm and o.round = m.round and o.step = m.step and o.repetition = m.repetition and o.kind = 'page'
      and o.state <> 'failed'
      and (select t.receipt from attempt t where t.notification = o.id order by t.n desc limit 1) is distinct from 'not_arrived')
returning s.round, s.step
