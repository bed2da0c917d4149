-- name: partitions
select value::int from hub_setting where name = 'partitions'

-- name: devices
select d.key, d.id, i.id, i.key, d.profile, d.lane, s.admin_state,
       coalesce(e.id, d.id), d.kind = 'edge',
       concat_ws(' · ', i.title_zh, z.title_zh, p.title_zh), concat_ws(' · ', i.title_en, z.title_en, p.title_en),
       d.version, s.proven_at is not null, coalesce(c.version, 0), coalesce(c.wanted_at, to_timestamp(0)), z.id::text
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join edge_configuration c on c.device = d.key
left join endpoint n on n.key = d.endpoint
left join device e on e.key = n.edge
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.partition = %(partition)s
  and (%(institutions)s::text[] is null or i.id = any (%(institutions)s::text[]))

-- name: prints
-- Of each institution a fingerprint of all that `devices` says of it.
select d.institution::text, bit_xor(hashtextextended(d::text, 0)) from ({devices}) as d (key, id, institution) group by 1

-- name: clients
select c.name, i.id, i.partition, d.id, c.revoked_at is not null or d.retired_at is not null
from client c
join device d on d.key = c.device
join institution i on i.key = d.institution
where i.partition = any(%s)

-- name: mark_unreadable
with told as (
    update device_state s set link_state = 'unknown', link_cause = 'profile_missing', link_since = now(),
        function_state = 'unproven', function_reason = 'the profile is not installed', function_since = now()
    from (select device from device_state where device = any (%s::int[]) and link_cause <> 'profile_missing'
          order by device for update) n
    where s.device = n.device
    returning s.device
)
insert into change (kind, institution, payload)
select 'device_state', d.institution,
       jsonb_build_object('device', d.id, 'link_state', 'unknown', 'link_cause', 'profile_missing', 'function_state', 'unproven',
                          'function_reason', 'the profile is not installed')
from told t join device d on d.key = t.device order by d.key

-- name: accounts
select c.name, c.password_hash from client c join device d on d.key = c.device
where c.password_hash is not null and c.revoked_at is null and d.retired_at is null
order by c.name
