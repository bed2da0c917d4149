-- name: claim
-- Urgent first, then the oldest; of each channel at most what it still has room for, so that one that hangs cannot take every place.
-- Only the head of each channel's queue is looked at, by one index: a long queue costs no more than a short one.
-- `sending` of an attempt that nobody can finish any more becomes `interrupted`. An attempt is numbered behind all that are noted, whoever
-- noted them: one number that is taken would stop the pages of everybody.
with recursive lined_up as (
    (select responder, channel from notification where state = 'pending' order by responder, channel limit 1)
    union all
    select n.responder, n.channel
    from lined_up l
    cross join lateral (
        select responder, channel from notification
        where state = 'pending' and (responder, channel) > (l.responder, l.channel)
        order by responder, channel
        limit 1
    ) n
), waiting as (
    select n.id
    from lined_up l
    left join unnest(%(busy_responders)s::text[], %(busy_channels)s::text[], %(busy)s::int[]) as b (responder, channel, taken)
        on b.responder = l.responder and b.channel = l.channel
    cross join lateral (
        select n.id
        from notification n
        where n.state = 'pending' and n.responder = l.responder and n.channel = l.channel
          and n.urgency <= %(least)s and n.next_attempt_at <= hub_clock()
          and (n.lease_until is null or n.lease_until <= hub_clock() or n.lease_until > hub_clock() + 2 * %(lease)s::interval
               or n.lease_holder not in (select live_sessions()))
          and n.id <> all (%(under_way)s)
        order by n.urgency, n.next_attempt_at
        limit greatest(%(per_channel)s - coalesce(b.taken, 0), 0)
    ) n
), picked as (
    select n.id
    from notification n
    join waiting w on w.id = n.id
    where n.state = 'pending'
      and (n.lease_until is null or n.lease_until <= hub_clock() or n.lease_until > hub_clock() + 2 * %(lease)s::interval
               or n.lease_holder not in (select live_sessions()))
    order by n.urgency, n.next_attempt_at
    limit %(limit)s
    for update of n skip locked
), claimed as (
    update notification n
    set attempts = 1 + greatest(n.attempts, (select max(a.n) from attempt a where a.notification = n.id)),
        lease_until = hub_clock() + %(lease)s, lease_holder = own_session()
    from picked p
    where n.id = p.id
    returning n.*
), interrupted as (
    update attempt a
    set outcome = 'interrupted', detail = 'the sender was gone before it could note what happened'
    from claimed c
    where a.notification = c.id and a.outcome = 'sending'
), tried as (
    insert into attempt (notification, n) select id, attempts from claimed
)
select c.id, c.attempts as n, c.urgency, c.responder, c.channel, c.round, c.step, c.repetition, c.created_at, c.exercise,
       a.id as alarm, a.definition, a.instance, a.signal_class, a.priority, a.state, a.raised_at, a.occurrences, a.late,
       d.id as device, d.profile, i.id as institution, i.division,
       i.title_zh as institution_zh, i.title_en as institution_en,
       z.title_zh as zone_zh, z.title_en as zone_en, p.title_zh as position_zh, p.title_en as position_en,
       r.title_zh as responder_zh, r.title_en as responder_en,
       case when r.retired_at is null and h.retired_at is null then h.kind end as kind, h.settings,
       c.kind as purpose, coalesce(a.acknowledged_by, '') as owner, coalesce(l.listed, '[]') as listed, coalesce(l.count, 1) as listed_count,
       w.zh as said_zh, w.en as said_en
from claimed c
-- a digest speaks of what it lists and somebody still must hear of, the gravest first; only the first are named
left join lateral (
    select (array_agg(x.id order by x.rank, x.raised_at, x.id))[1] as head, count(*)::int as count,
           jsonb_agg(jsonb_build_object(
               'alarm', x.id, 'definition', x.definition, 'profile', x.profile, 'priority', x.priority, 'device', x.device,
               'institution', jsonb_build_array(x.institution_zh, x.institution_en),
               'place', case when x.place_zh is not null then jsonb_build_array(x.place_zh, x.place_en) end
           ) order by x.rank, x.raised_at, x.id) filter (where x.n <= 10) as listed
    from (
        select a.id, a.definition, a.priority, a.raised_at, d.id as device, d.profile, i.title_zh as institution_zh, i.title_en as institution_en,
               p.title_zh as place_zh, p.title_en as place_en, k.rank, row_number() over (order by k.rank, a.raised_at, a.id) as n
        from (select distinct alarm from digest_alarm where notification = c.id) m
        join alarm a on a.id = m.alarm
        join device d on d.key = a.device
        join institution i on i.key = a.institution
        left join position p on p.key = d.position
        cross join lateral (select array_position(array['critical', 'high', 'medium', 'low'], a.priority) as rank) k
        where is_paged(a)
    ) x
) l on c.kind = 'digest'
join alarm a on a.id = coalesce(l.head, c.alarm)
join device d on d.key = a.device
join institution i on i.key = a.institution
left join position p on p.key = d.position
left join zone z on z.key = p.zone
left join hub_alarm w on w.alarm = a.id
join responder r on r.id = c.responder
join responder_channel h on h.responder = c.responder and h.id = c.channel
order by c.urgency, c.next_attempt_at

-- name: note
update attempt
set outcome = %(outcome)s, code = %(code)s, detail = %(detail)s, duration = %(duration)s, provider_id = %(provider_id)s,
    ask_at = case when %(provider_id)s <> '' then hub_clock() + interval '20 seconds' end
where notification = %(id)s and n = %(n)s

-- name: delivered
-- Whatever was decided meanwhile (cancelled, tried again): it has arrived. One statement, so that a storm of receipts costs one round trip and one
-- commit each. The notification is locked before its attempt, as in `claim`.
with locked as (
    select id, state <> 'sent' as is_new from notification where id = %(id)s for update
), sent as (
    update notification n
    set state = 'sent', ended_at = hub_clock(), lease_until = null, lease_holder = null, last_error = ''
    from locked
    where n.id = locked.id and locked.is_new
    returning n.id, n.institution, n.alarm, n.responder, n.channel
), noted as (
    update attempt t
    set outcome = %(outcome)s, code = %(code)s, detail = %(detail)s, duration = %(duration)s, provider_id = %(provider_id)s,
        ask_at = case when %(provider_id)s <> '' then hub_clock() + interval '20 seconds' end
    from locked
    where t.notification = locked.id and t.n = %(n)s
), said as (
    insert into change (kind, institution, payload)
    select 'notification', institution, jsonb_build_object(
        'notification', id, 'alarm', alarm, 'state', 'sent', 'responder', responder, 'channel', channel)
    from sent
)
select exists (select from sent)

-- name: retry
update notification
set next_attempt_at = hub_clock() + %(after)s, lease_until = null, lease_holder = null, last_error = %(detail)s
where id = %(id)s and attempts = %(n)s and state = 'pending' and hub_clock() + %(after)s <= created_at + clock_moved + %(give_up)s
returning id

-- name: failed
update notification
set state = 'failed', ended_at = hub_clock(), lease_until = null, lease_holder = null, last_error = %(detail)s
where id = %(id)s and attempts = %(n)s and state = 'pending'
returning institution, alarm, responder, channel
