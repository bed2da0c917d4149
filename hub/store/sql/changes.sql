-- name: horizon
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as txid

-- name: after
-- only below the oldest running transaction: what commits later has a later place, so nothing is overtaken
select c.txid::text::bigint as txid, c.seq, c.at, c.kind, c.payload,
       i.id::text as institution, i.division,
       coalesce((select array_agg(m.group_id::text order by m.group_id) from group_member m where m.institution = i.key), '{}')
           as groups
from change c left join institution i on i.key = c.institution
where (c.txid, c.seq) > (%(txid)s::text::xid8, %(seq)s::bigint)
  and c.txid < pg_snapshot_xmin(pg_current_snapshot())
order by c.txid, c.seq
limit %(limit)s

-- name: stirred
-- Of the next `limit` changes what makes somebody be judged again, by institution. `takes`: among them one that may take a green away; a device that
-- is heard, and of which nothing is known to be wrong, is none. `since`: the first of them. And how far this reads: `read` is the transaction below
-- which every change has been read, `began` the one below which every transaction has begun.
with next as materialized (
    select c.txid, c.seq, c.at, c.kind, c.institution, c.payload
    from change c
    where (c.txid, c.seq) > (%(txid)s::text::xid8, %(seq)s::bigint) and c.txid < pg_snapshot_xmin(pg_current_snapshot())
    order by c.txid, c.seq
    limit %(limit)s
), last as (
    select txid, seq from next order by txid desc, seq desc limit 1
), stirred as (
    select n.institution, min(n.at) as since, bool_or(n.kind = 'registry') as registered,
           bool_or(not (n.kind = 'device_state' and not n.payload ? 'admin_state'
                        and n.payload ->> 'link_state' = 'online' and n.payload ->> 'function_state' in ('ok', 'unproven'))) as takes
    from next n
    where n.kind = any (%(kinds)s)
    group by n.institution
)
select (select count(*) from next) as n, (select txid::text::bigint from last) as txid, (select seq from last) as seq,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint as settled, pg_snapshot_xmax(pg_current_snapshot())::text::bigint as began,
       exists (select from change where txid >= pg_snapshot_xmin(pg_current_snapshot())) as withheld,
       s.since is not null as is_stirred, i.id::text as institution, s.since, s.registered, s.takes
from (values (1)) one left join stirred s on true left join institution i on i.key = s.institution

-- name: withheld
select exists (select from change where txid >= pg_snapshot_xmin(pg_current_snapshot())) as some

-- name: is_forgotten
-- what was trimmed lies before the place that trimming left behind; a place that is yet to come is of another database
select (%(txid)s::text::xid8, %(seq)s::bigint)
         < (select (value ->> 0)::xid8, (value ->> 1)::bigint from hub_setting where name = 'changes_forgotten')
       is true
       or %(txid)s::text::xid8 > pg_snapshot_xmin(pg_current_snapshot()) as forgotten

-- name: trim
-- the oldest `limit` rows from before a time, and the place up to which something was forgotten
with gone as (
    delete from change
    where (txid, seq) in (select txid, seq from change where at < %(before)s order by txid, seq limit %(limit)s)
    returning txid, seq
), last as (
    select txid, seq from gone order by txid desc, seq desc limit 1
), noted as (
    insert into hub_setting (name, value)
    select 'changes_forgotten', jsonb_build_array(txid::text, seq) from last
    on conflict (name) do update set value = excluded.value
    where ((excluded.value ->> 0)::xid8, (excluded.value ->> 1)::bigint)
        > ((hub_setting.value ->> 0)::xid8, (hub_setting.value ->> 1)::bigint)
)
select count(*) as gone from gone
