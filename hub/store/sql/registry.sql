-- name: partitions
select value::int from hub_setting where name = 'partitions'

-- name: devices
select d.key, d.id, i.id, i.key, d.profile, d.lane, s.admin_state,
       coalesce(e.id, d.id), d.kind = 'edge',
       concat_ws(' · ', i.title_zh, z.title_zh, p.title_zh), concat_ws(' · ', i.title_en, z.title_en, p.title_en),
       d.version, s.proven_at is not null
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join endpoint n on n.key = d.endpoint
left join device e on e.key = n.edge
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.partition = any(%s)

-- name: clients
select c.name, i.id, i.partition, d.id, c.revoked_at is not null or d.retired_at is not null
from client c
join device d on d.key = c.device
join institution i on i.key = d.institution
where i.partition = any(%s)

-- name: accounts
select c.name, c.password_hash from client c join device d on d.key = c.device
where c.password_hash is not null and c.revoked_at is null and d.retired_at is null
order by c.name
