-- name: patience
select set_config('lock_timeout', %s, true)

-- name: latest
select d.id, s.point, s.instance, s.key, p.at, p.value, p.text, p.quality, p.changed_at, p.stored_at
from point_state p join series s on s.key = p.series join device d on d.key = s.device
join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is null
  and (%(devices)s::text[] is null or d.id = any (%(devices)s::text[]))

-- name: watches
select d.id, c.definition, c.instance, c.holds, c.since, c.judged_at
from alarm_condition c join device d on d.key = c.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is null
  and (%(devices)s::text[] is null or d.id = any (%(devices)s::text[]))

-- name: live
select d.id, s.last_heard_at, s.link_state, s.link_cause, s.link_since, s.function_state, s.function_reason, s.function_since,
       s.proven_at is not null
from device_state s join device d on d.key = s.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is null
  and (%(devices)s::text[] is null or d.id = any (%(devices)s::text[]))

-- name: streams
select m.stream, m.client, m.lane, m.upto, m.newest_at, m.counted, m.given, m.beat_at, m.drop_from, m.drop_items
from stream m join client c on c.name = m.client join device d on d.key = c.device
join institution i on i.key = d.institution
where i.partition = %(partition)s and m.lane = %(lane)s

-- name: known_clocks
select d.id, c.ahead, c.said_at, c.read_at, c.reader, c.wrong, c.since
from device_clock c join device d on d.key = c.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and d.retired_at is null

-- name: miss_tests
-- A window at the police centre waits for nobody: what cannot end in it any more is not begun.
-- One that somebody is changing is for the next look: nothing else of the lane waits for it.
update device_test set state = 'expired', finished_at = now(),
    detail = 'the window at the police centre is over: book another one'
where id in (select t.id from device_test t where t.finished_at is null and t.state = 'requested' and t.not_after < now() + t.within
             for update skip locked)

-- name: tests
select t.id, d.id, t.state, coalesce(t.opened_at, now()), coalesce(t.opened_at, now()) + t.within
from device_test t join device d on d.key = t.device join institution i on i.key = d.institution
where i.partition = %(partition)s and d.lane = %(lane)s and t.finished_at is null

-- name: series
insert into series (device, point, instance)
select * from unnest(%s::int[], %s::text[], %s::text[]) order by 1, 2, 3
on conflict (device, point, instance) do update set point = excluded.point
returning key, device, point, instance

-- name: move_streams
-- times as microseconds: whole numbers are written and read in a tenth of the time
insert into stream (stream, client, lane, upto, newest_at, counted, given, beat_at, drop_from, drop_items)
select t.stream, t.client, t.lane, t.upto, timestamptz 'epoch' + t.newest * interval '1 microsecond', t.counted, t.given,
       timestamptz 'epoch' + t.beat * interval '1 microsecond', timestamptz 'epoch' + t.dropped * interval '1 microsecond', t.items
from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[]) as t(stream, client, lane, upto, newest, counted, given, beat, dropped, items)
order by 1
on conflict (stream) do update set upto = excluded.upto, newest_at = excluded.newest_at, counted = excluded.counted,
    given = excluded.given, beat_at = excluded.beat_at, drop_from = excluded.drop_from, drop_items = excluded.drop_items,
    updated_at = now()
where stream.client = excluded.client and stream.upto < excluded.upto

-- name: streams_named
select stream, client, lane, upto, newest_at, counted, given, beat_at, drop_from, drop_items from stream where stream = any (%s::text[])

-- name: tally
insert into stream_tally
    (stream, hour, produced, stored, suppressed, events, beats, duplicates, quarantined, dropped, missing, surplus)
select * from unnest(%s::text[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) order by 1
on conflict (stream, hour) do update set
    produced = stream_tally.produced + excluded.produced, stored = stream_tally.stored + excluded.stored,
    suppressed = stream_tally.suppressed + excluded.suppressed, events = stream_tally.events + excluded.events,
    beats = stream_tally.beats + excluded.beats, duplicates = stream_tally.duplicates + excluded.duplicates,
    quarantined = stream_tally.quarantined + excluded.quarantined, dropped = stream_tally.dropped + excluded.dropped,
    missing = stream_tally.missing + excluded.missing, surplus = stream_tally.surplus + excluded.surplus

-- name: gaps
insert into gap (client, lane, device, since, until, cause, items)
select * from unnest(%s::text[], %s::text[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bigint[])

-- name: copy_readings
copy reading (series_id, at, received_at, value, quality, edge_at) from stdin (format binary)

-- name: stage
create temporary table if not exists incoming
    (n int, series_id int, at timestamptz, received_at timestamptz, value float8, quality smallint, edge_at timestamptz)
    on commit delete rows

-- name: copy_stage
copy incoming (n, series_id, at, received_at, value, quality, edge_at) from stdin (format binary)

-- name: drop_same
delete from incoming i using reading r
where r.series_id = i.series_id and r.at = i.at and r.value is not distinct from i.value and r.quality = i.quality
returning i.n

-- name: store_staged
with kept as (
    insert into reading (series_id, at, received_at, value, quality, edge_at)
    select distinct on (series_id, at) series_id, at, received_at, value, quality, edge_at from incoming
    order by series_id, at, n
    on conflict (series_id, at) do nothing
    returning series_id, at, value, quality
)
delete from incoming i using kept k
where k.series_id = i.series_id and k.at = i.at and k.value is not distinct from i.value and k.quality = i.quality
returning i.n, i.series_id, i.at

-- name: put_off
update incoming set at = at + interval '1 microsecond'

-- name: jump
-- A device whose clock stands still fills the microseconds after an instant: go behind the last one within a second.
update incoming i set at = n.at
from (
    select w.n, (select max(r.at) from reading r where r.series_id = w.series_id and r.at >= w.at and r.at < w.at + interval '1 second')
                + row_number() over (partition by w.series_id order by w.n) * interval '1 microsecond' as at
    from incoming w
) n
where i.n = n.n and n.at is not null

-- name: events
insert into event (stream, seq, n, device, point, instance, at, received_at, value, text, quality, edge_at)
select * from unnest(%s::text[], %s::bigint[], %s::int[], %s::int[], %s::text[], %s::text[], %s::timestamptz[],
                     %s::timestamptz[], %s::float8[], %s::text[], %s::smallint[], %s::timestamptz[])
on conflict do nothing

-- name: quarantine
insert into quarantine (at, client, source, stream, seq, n, code, reason, payload)
select * from unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::int[], %s::text[], %s::text[],
                     %s::bytea[])
on conflict do nothing

-- name: point_states
insert into point_state (series, at, received_at, value, text, quality, changed_at, stored_at)
select t.series, timestamptz 'epoch' + t.at * interval '1 microsecond', %s, t.value, t.text, t.quality,
       timestamptz 'epoch' + t.changed * interval '1 microsecond', timestamptz 'epoch' + t.stored * interval '1 microsecond'
from unnest(%s::int[], %s::bigint[], %s::float8[], %s::text[], %s::smallint[], %s::bigint[], %s::bigint[])
    as t(series, at, value, text, quality, changed, stored)
order by 1
on conflict (series) do update set at = excluded.at, received_at = excluded.received_at, value = excluded.value,
    text = excluded.text, quality = excluded.quality, changed_at = excluded.changed_at, stored_at = excluded.stored_at
where point_state.at <= excluded.at

-- name: points_again
-- the value that stands was read again
update point_state p set at = n.at, received_at = %s
from (select t.series, timestamptz 'epoch' + t.at * interval '1 microsecond' as at
      from unnest(%s::int[], %s::bigint[]) as t(series, at) order by 1) n
where p.series = n.series and p.at <= n.at

-- name: conditions
insert into alarm_condition (device, definition, instance, holds, since, judged_at)
select * from unnest(%s::int[], %s::text[], %s::text[], %s::bool[], %s::timestamptz[], %s::timestamptz[]) order by 1, 2, 3
on conflict (device, definition, instance) do update set
    holds = excluded.holds, since = excluded.since, judged_at = excluded.judged_at

-- name: clocks
insert into device_clock (device, ahead, said_at, read_at, since, reader, wrong)
select * from unnest(%s::int[], %s::float8[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bool[])
on conflict (device) do update set ahead = excluded.ahead, said_at = excluded.said_at, read_at = excluded.read_at,
    since = excluded.since, reader = excluded.reader, wrong = excluded.wrong

-- name: device_states
update device_state s set last_heard_at = coalesce(n.heard, s.last_heard_at), link_state = n.link, link_cause = n.cause,
    link_since = n.link_since, function_state = n.function, function_reason = n.reason, function_since = n.function_since
from (select * from unnest(%s::int[], %s::timestamptz[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[],
                           %s::timestamptz[])
        as t(device, heard, link, cause, link_since, function, reason, function_since) order by 1) n
where s.device = n.device

-- name: heard
update device_state s set last_heard_at = n.heard
from (select t.device, timestamptz 'epoch' + t.heard * interval '1 microsecond' as heard
      from unnest(%s::int[], %s::bigint[]) as t(device, heard) order by 1) n
where s.device = n.device

-- name: lock_device_states
select 1 from device_state where device = any(%s) order by device for update

-- name: open_tests
update device_test t set state = 'open', opened_at = %(now)s from unnest(%(ids)s::uuid[]) n(id)
where t.id = n.id and t.state = 'requested'

-- name: pass_tests
update device_test t set state = 'passed', finished_at = now() from unnest(%s::uuid[]) n(id)
where t.id = n.id and t.finished_at is null

-- name: commission
-- What was taken out of service by a person stays out, proven all the same. `shown`: the capabilities that the test has shown.
update device_state s set proven_at = now(),
    proven = coalesce(s.proven, '{}') || coalesce(
        (select jsonb_object_agg(c.name, (extract(epoch from now()) * 1000000)::bigint) from jsonb_array_elements_text(n.shown) as c(name)), '{}'),
    admin_state = case when admin_state in ('registered', 'commissioned') then 'in_service' else admin_state end,
    admin_since = case when admin_state in ('registered', 'commissioned') then now() else admin_since end
from (select * from unnest(%s::int[], %s::jsonb[]) as t(device, shown) order by 1) n
where s.device = n.device and admin_state <> 'retired'

-- name: expire_tests
update device_test t set state = 'expired', finished_at = now(), detail = n.detail
from unnest(%s::uuid[], %s::text[]) n(id, detail) where t.id = n.id and t.finished_at is null

-- name: changes
insert into change (kind, institution, payload) select * from unnest(%s::text[], %s::int[], %s::jsonb[])
