-- name: responders
-- Without the hub's own: where canaries and proofs end is nobody, and no policy may name it.
select r.id, r.title_zh, r.title_en, r.version, r.manned, c.id, c.kind, c.settings
from responder r
left join responder_channel c on c.responder = r.id and c.retired_at is null
where r.retired_at is null and r.id not in ('canary', 'proof-sink')
order by r.id, c.rank, c.id

-- name: lock_responder
select version, retired_at is null from responder where id = %(id)s for update

-- name: put_responder
insert into responder as r (id, title_zh, title_en, manned)
values (%(id)s, %(title_zh)s, %(title_en)s, %(manned)s)
on conflict (id) do update set
    title_zh = excluded.title_zh, title_en = excluded.title_en, manned = excluded.manned, version = r.version + 1, retired_at = null

-- name: put_channel
insert into responder_channel (responder, id, kind, settings, rank)
values (%(responder)s, %(id)s, %(kind)s, %(settings)s, %(rank)s)
on conflict (responder, id) do update set
    kind = excluded.kind, settings = excluded.settings, rank = excluded.rank, retired_at = null

-- name: channel_users
-- Live policies that would lose a channel.
select distinct s.channel, p.id
from policy_step s
join policy p on p.id = s.policy and p.retired_at is null
where s.responder = %(responder)s and s.channel is not null and not s.channel = any (%(kept)s)
order by 1, 2

-- name: responder_users
-- What would lose the responder: live policies, and rotas in which it takes turns or stands in.
select 'policy ' || p.id from policy_step s join policy p on p.id = s.policy and p.retired_at is null where s.responder = %(responder)s
union
select 'rota ' || t.rota from rota_turn_now t where t.responder = %(responder)s
union
select 'rota ' || r.id from rota_override o join rota r on r.id = o.rota and r.retired_at is null
where o.present = %(responder)s and o.cancelled_at is null and o.ends_at > clock_timestamp()
order by 1

-- name: retire_channels
update responder_channel
set retired_at = clock_timestamp()
where responder = %(responder)s and retired_at is null and not id = any (%(kept)s)

-- name: retire_responder
update responder set retired_at = clock_timestamp(), version = version + 1 where id = %(id)s and retired_at is null

-- name: policies
select p.id, p.title_zh, p.title_en, p.division, i.id, p.signal_classes, p.priorities, p.round_every, p.max_rounds, p.version,
       p.group_id::text, p.institution_types, p.remind_after, p.lapse_after,
       s.n, coalesce(s.responder::text, ''), coalesce(s.channel::text, ''), s.delay, s.repeat_every, s.repeat_times,
       coalesce(s.rota::text, ''), s.kinds
from policy p
left join institution i on i.key = p.institution
left join policy_step s on s.policy = p.id
where p.retired_at is null
order by p.id, s.n

-- name: institution_key
select key from institution where id = %(institution)s and retired_at is null

-- name: has_division
select 1 from division where code = %(division)s

-- name: live_channel
select 1
from responder_channel c
join responder r on r.id = c.responder and r.retired_at is null
where c.responder = %(responder)s and c.id = %(channel)s and c.retired_at is null
for share of c, r

-- name: live_responder
select 1 from responder where id = %(responder)s and retired_at is null for share

-- name: live_rota
select 1 from rota where id = %(rota)s and retired_at is null for share

-- name: has_group
select 1 from institution_group where id = %(group)s

-- name: put_policy
insert into policy as p
    (id, title_zh, title_en, division, institution, group_id, institution_types, signal_classes, priorities, round_every, max_rounds,
     remind_after, lapse_after)
values
    (%(id)s, %(title_zh)s, %(title_en)s, %(division)s, %(institution)s, %(group)s, %(institution_types)s, %(signal_classes)s,
     %(priorities)s, %(round_every)s, %(max_rounds)s, %(remind_after)s, %(lapse_after)s)
on conflict (id) do update set
    title_zh = excluded.title_zh, title_en = excluded.title_en, division = excluded.division, institution = excluded.institution,
    group_id = excluded.group_id, institution_types = excluded.institution_types, signal_classes = excluded.signal_classes, priorities = excluded.priorities, round_every = excluded.round_every,
    max_rounds = excluded.max_rounds, remind_after = excluded.remind_after, lapse_after = excluded.lapse_after, version = p.version + 1, retired_at = null
returning p.version

-- name: drop_steps
delete from policy_step where policy = %(policy)s

-- name: put_step
insert into policy_step (policy, n, responder, channel, delay, repeat_every, repeat_times, rota, kinds)
values (%(policy)s, %(n)s, nullif(%(responder)s, ''), nullif(%(channel)s, ''), %(delay)s, %(repeat_every)s, %(repeat_times)s,
        nullif(%(rota)s, ''), %(kinds)s)

-- name: retire_policy
update policy set retired_at = clock_timestamp(), version = version + 1 where id = %(id)s and retired_at is null
