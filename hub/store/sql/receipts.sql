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

-- name: note
update attempt
set receipt = %(receipt)s, receipt_at = hub_clock(), receipt_detail = %(detail)s, ask_at = null
where notification = %(notification)s and n = %(n)s and receipt is null
returning n
