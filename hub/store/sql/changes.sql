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

-- name: withheld
select exists (select from change where txid >= pg_snapshot_xmin(pg_current_snapshot())) as some

-- name: oldest
select c.txid::text::bigint as txid, c.seq from change c order by c.txid, c.seq limit 1

-- name: trim
-- the newest row stays, so that a reader can tell what is gone from what never was
delete from change
where at < %(before)s and (txid, seq) < (select txid, seq from change order by txid desc, seq desc limit 1)
