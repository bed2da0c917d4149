-- What may go, in small batches, each a transaction of its own. Alarms, notifications, attempts, findings and the audit log stay.

-- name: lock
select pg_try_advisory_lock(%(key)s) as held

-- name: oldest_chunk
select range_end from timescaledb_information.chunks
where hypertable_schema = current_schema() and hypertable_name = 'reading' and range_end <= now() - %(keep)s::interval
order by range_end
limit 1

-- name: drop_chunk
select count(*) as gone from drop_chunks('reading', older_than => %(until)s::timestamptz)

-- name: quarantine_old
with gone as (
    delete from quarantine
    where key in (select key from quarantine where received_at < now() - %(keep)s::interval
                  order by received_at, key limit %(limit)s)
    returning 1
)
select count(*) as gone from gone

-- name: quarantine_beyond
-- what lies behind the newest `rows`
with gone as (
    delete from quarantine
    where key in (select key from quarantine order by received_at desc, key desc offset %(rows)s limit %(limit)s)
    returning 1
)
select count(*) as gone from gone

-- name: gaps
with gone as (
    delete from gap
    where ctid = any (array(select ctid from gap where noted_at < now() - %(keep)s::interval limit %(limit)s))
    returning 1
)
select count(*) as gone from gone

-- name: tallies
with gone as (
    delete from stream_tally
    where ctid = any (array(select ctid from stream_tally where hour < now() - %(keep)s::interval limit %(limit)s))
    returning 1
)
select count(*) as gone from gone
