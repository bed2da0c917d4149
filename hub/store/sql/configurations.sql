-- name: put_key
insert into signing_key (private) values (%(private)s) on conflict do nothing

-- name: key
select private from signing_key

-- name: edges
-- Edges of these partitions with a fingerprint of all that their configuration is made from, and of what it was made last.
-- An edge that speaks of a version above the one that is wanted knew this hub before it was put back from a backup: make another.
-- So did one that refuses the number that it runs: it has another content under it, which counts as one more.
select e.id::text as id, coalesce(c.basis, '') as basis,
       md5(concat_ws('|', e.version, e.profile, md5(l.seal::text), coalesce(o.told > c.version, false), string_agg(concat_ws(':', n.id, n.version, d.id, d.version, p.version,
           (s.admin_state = 'out_of_service')::int), ',' order by n.id, d.id))) as fingerprint
from client l
join device e on e.key = l.device
join institution i on i.key = e.institution
left join edge_configuration c on c.device = e.key
left join lateral (select max(t.value) + (count(*) > 1 and min(t.value) = max(t.value) and max(t.value) > 0)::int as told from point_state t join series q on q.key = t.series
                   where q.device = e.key and q.point in ('config_version', 'config_refused') and t.value <= c.version + 1000000) o on true
left join endpoint n on n.edge = e.key and n.retired_at is null
left join device d on d.endpoint = n.key and d.retired_at is null
left join device_state s on s.device = d.key
left join position p on p.key = d.position
where e.kind = 'edge' and l.revoked_at is null and e.retired_at is null and i.partition = any (%(partitions)s)
group by e.key, l.seal, c.basis, c.version, o.told
order by e.id

-- name: current
select c.version, c.digest, c.envelope, l.seal, d.key as device,
       coalesce((select max(t.value) + (count(*) > 1 and min(t.value) = max(t.value) and max(t.value) > 0)::int from point_state t join series s on s.key = t.series
                 where s.device = d.key and s.point in ('config_version', 'config_refused')
                   and t.value <= coalesce(c.version, 0) + 1000000), 0)::bigint as told
from client l
join device d on d.key = l.device
left join edge_configuration c on c.device = d.key
where l.name = %(name)s

-- name: put
insert into edge_configuration as t (device, version, digest, envelope, basis, problem)
values (%(device)s, %(version)s, %(digest)s, %(envelope)s, %(basis)s, '')
on conflict (device) do update set
    wanted_at = case when t.version = excluded.version then t.wanted_at else now() end,
    version = excluded.version, digest = excluded.digest, envelope = excluded.envelope, basis = excluded.basis, problem = ''

-- name: put_problem
insert into edge_configuration as t (device, problem, basis) values (%(device)s, %(problem)s, %(basis)s)
on conflict (device) do update set problem = excluded.problem, basis = excluded.basis

-- name: set_seal
update client set seal = %(seal)s where name = %(name)s

-- name: published
-- What the broker has to hold; of an edge that is no more nothing, which an empty message says. Who never had one is sent nothing at all.
select e.id::text as id, i.partition, case when l.revoked_at is null and e.retired_at is null then c.envelope end as envelope
from edge_configuration c
join device e on e.key = c.device
join client l on l.device = e.key
join institution i on i.key = e.institution
where i.partition = any (%(partitions)s) and c.envelope is not null

-- name: align
-- A profile that gained or lost its fire and panic definitions moves its devices to the other lane.
update device d set lane = x.lane, version = d.version + 1
from jsonb_to_recordset(%(profiles)s) as x(profile text, lane text), institution i
where d.profile = x.profile and d.lane <> x.lane and d.retired_at is null and i.key = d.institution and i.partition = any (%(partitions)s)

-- name: announce
select pg_notify('anxin_registry', '')

-- name: list
select d.id::text as id, i.id::text as institution, coalesce(c.version, 0) as wanted, c.wanted_at, coalesce(c.problem, '') as problem,
       runs.value::bigint as running, runs.changed_at as running_since, coalesce(refused.value, 0)::bigint as refused,
       case when refused.value > 0 then reason.text end as refused_reason, l.issued_at, s.link_state
from institutions_in_scope(%(scope)s::jsonb) i
join device d on d.institution = i.key
join device_state s on s.device = d.key
join client l on l.device = d.key
left join edge_configuration c on c.device = d.key
left join lateral (select t.value, t.changed_at from point_state t join series p on p.key = t.series
                   where p.device = d.key and p.point = 'config_version' and p.instance = '' and t.quality < 200) runs on true
left join lateral (select t.value from point_state t join series p on p.key = t.series
                   where p.device = d.key and p.point = 'config_refused' and p.instance = '' and t.quality < 200) refused on true
left join lateral (select t.text from point_state t join series p on p.key = t.series
                   where p.device = d.key and p.point = 'config_reason' and p.instance = '' and t.quality < 200) reason on true
where d.kind = 'edge' and d.retired_at is null
  and (%(id)s::text is null or d.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(after)s::text is null or d.id > %(after)s)
order by d.id
limit %(limit)s

-- name: way_to_edge
select i.id::text as institution, i.partition, l.name::text as client, clock_timestamp() as now
from device e
join client l on l.device = e.key
join institution i on i.key = e.institution
where e.id = %(edge)s and e.kind = 'edge' and e.retired_at is null and l.revoked_at is null
