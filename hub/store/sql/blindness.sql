-- Why things are not seen: what is known of clients, lines and lanes, what was concluded of them, and the alarms of areas.

-- name: weighed
-- of the devices given those that are not heard, with the weighed cause
select v.device, v.cause, v.evidence, v.root_alarm from link_verdict v where v.device = any (%(devices)s)

-- what the lanes write of themselves ---------------------------------------------------------------------------------

-- name: listened
select listened_at from lane_watch where partition = %(partition)s and lane = %(lane)s

-- name: watch
insert into lane_watch (partition, lane, listened_at) values (%(partition)s, %(lane)s, %(at)s)
on conflict (partition, lane) do update set listened_at = greatest(lane_watch.listened_at, excluded.listened_at)

-- name: open_gap
insert into blindness (subject, partition, lane, cause, evidence, since)
values ('lane', %(partition)s, %(lane)s, %(cause)s, %(evidence)s, %(since)s)
on conflict (partition, lane) where until is null and subject = 'lane'
do update set cause = excluded.cause, evidence = excluded.evidence, since = least(blindness.since, excluded.since)

-- name: close_gap
update blindness set until = greatest(since, %(until)s), cause = %(cause)s, evidence = %(evidence)s
where subject = 'lane' and partition = %(partition)s and lane = %(lane)s and until is null

-- name: sessions
update client c set session_ended_at = n.at
from (select * from unnest(%(clients)s::text[], %(at)s::timestamptz[]) as t(client, at) order by 1) n
where c.name = n.client
