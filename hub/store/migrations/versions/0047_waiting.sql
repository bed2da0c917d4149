-- What has changed and waits to be judged again for longer than is allowed is vouched for by no watch (docs/decisions/0375).

alter table coverage_check add column waits_since timestamptz;
comment on column coverage_check.waits_since is 'the oldest change that nobody has judged, where it has waited for too long';

-- until when a subject's findings are known to hold
create or replace view coverage_checked as
select c.subject,
       least(greatest(c.checked_at, (select max(w.at) from coverage_watch w where w.since <= c.checked_at)), c.waits_since) as checked_at
from coverage_check c;
