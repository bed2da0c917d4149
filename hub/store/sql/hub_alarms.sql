-- Alarms of the hub about its own duty: where they stand, what they say.

-- name: homes
-- the division whose policy it is; null for one that is for everywhere or for a group
select p.id::text as policy, coalesce(p.division, i.division) as division
from policy p left join institution i on i.key = p.institution
where p.retired_at is null

-- name: divisions
select code, parent from division

-- name: standing
select a.id, a.definition, a.instance, a.state, i.division, h.zh, h.en, h.plan
from alarm a
join device d on d.key = a.device and d.profile = %(profile)s
join institution i on i.key = a.institution
left join hub_alarm h on h.alarm = a.id
where a.ended_at is null and a.definition = %(definition)s
order by a.id

-- name: put_institution
insert into institution (id, division, type, title_zh, title_en, partition)
select %(id)s, d.code, %(type)s, d.title_zh || '（本平台）', d.title_en || ' (the hub itself)', -1 from division d where d.code = %(division)s
on conflict (id) do update set title_zh = excluded.title_zh
returning key

-- name: put_device
insert into device (id, institution, profile, kind, lane, settings)
values (%(id)s, %(institution)s, %(profile)s, 'hub', 'bulk', '{}')
on conflict (id) do update set profile = excluded.profile
returning key

-- name: put_state
insert into device_state (device, admin_state, link_state, link_cause, link_since, function_state)
values (%(device)s, 'in_service', 'online', '', %(now)s, 'ok')
on conflict (device) do nothing

-- name: put_words
insert into hub_alarm (alarm, zh, en, plan) values (%(alarm)s, %(zh)s, %(en)s, %(plan)s)
on conflict (alarm) do update set zh = excluded.zh, en = excluded.en, plan = excluded.plan

-- name: announce
insert into change (kind, institution, payload) values ('alarm', %(institution)s, %(payload)s)

-- name: unverified
select i.division, h.alarm, h.authority::text as authority, i.title_zh, i.title_en
from handover h join alarm a on a.id = h.alarm join institution i on i.key = a.institution
where h.received_at is null and h.begun_at <= hub_clock() - %(after)s and h.begun_at > hub_clock() - interval '1 day'
order by h.begun_at
limit %(limit)s

-- name: refused
-- Whole messages of the urgent lane that could not be read, of clients before devices that raise fire or panic.
select i.division, q.client, q.code, i.title_zh, i.title_en
from (
    select l.client, min(l.code) as code
    from (
        select client, code, n, stream, source from quarantine
        where received_at > now() - %(within)s
        order by received_at desc
        limit %(rows)s
    ) l
    where l.client is not null and (l.n is null or l.n = -1 or l.code = 'mqtt-size')
      and (l.stream like '%%-urgent' or l.source like '%%/up/urgent')
    group by l.client
) q
join device d on d.id = q.client and d.retired_at is null
join institution i on i.key = d.institution
where exists (
    select from device u left join endpoint n on n.key = u.endpoint left join device e on e.key = n.edge
    where u.lane = 'urgent' and u.retired_at is null and u.institution = d.institution and coalesce(e.id, u.id) = q.client
)
order by q.client
limit %(limit)s
