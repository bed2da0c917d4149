-- What the auditor looks for beside the canary's way.

-- name: deaf
-- A lane notes that it listens every few seconds; partitions without an institution are nobody's.
select w.partition, w.lane
from lane_watch w
where (w.heard_at between now() - %(after)s::interval and now() + interval '1 hour') is not true
  and exists (select from institution i where i.partition = w.partition)
order by 1, 2
