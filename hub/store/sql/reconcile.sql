-- Bringing into the database what was paged while it did not answer.

-- name: alarm
-- By its identity; else the one that stands for the same press: what came first was not seen by who paged.
select a.id, a.institution, a.exercise
from alarm a join device d on d.key = a.device
where a.id = %(id)s
   or (d.id = %(device)s and a.definition = %(definition)s and a.instance = %(instance)s and a.ended_at is null
       and not exists (select from alarm b where b.id = %(id)s))
for update of a

-- name: pressed_again
select max(at) from alarm_transition where alarm = %(alarm)s and event = 'raise' and at > %(at)s

-- name: page
insert into notification
    (id, alarm, institution, round, step, repetition, responder, channel, urgency, due_at, created_at, state, attempts,
     next_attempt_at, last_error, ended_at)
select %(id)s, %(alarm)s, %(institution)s, %(round)s, %(step)s, %(repetition)s, %(responder)s, %(channel)s, 0, %(due_at)s,
       %(due_at)s, %(state)s, %(attempts)s, clock_timestamp(), %(last_error)s, %(ended_at)s
where exists (select from escalation e where e.alarm = %(alarm)s)
on conflict do nothing
returning id

-- name: same
-- The page as it stands here already; by another key where its alarm is.
select id, state <> 'sent' as is_open from notification
where alarm = %(alarm)s and round = %(round)s and step = %(step)s and repetition = %(repetition)s
  and responder = %(responder)s and channel = %(channel)s
for update

-- name: arrived
-- The escalator was quicker: it has arrived all the same, and when it was due is what the standby says.
update notification
set state = 'sent', due_at = %(due_at)s, ended_at = %(ended_at)s, lease_until = null, lease_holder = null, last_error = ''
where id = %(id)s

-- name: sent_as
insert into sent_as (id, notification) values (%(key)s, %(id)s) on conflict do nothing

-- name: fill_in
-- The deliverer came after the standby and has noted that the page had gone out already: when, and what was answered, is said here.
update attempt
set at = %(at)s, code = %(code)s, duration = %(duration)s
where notification = %(id)s and detail = %(beside)s and outcome = %(outcome)s
returning n

-- name: attempt
-- Beside those of the deliverer, under a number of its own; once, however often it is handed over.
insert into attempt (notification, n, at, outcome, code, detail, duration)
select %(id)s, 1 + coalesce(max(a.n), 0), %(at)s, %(outcome)s, %(code)s, %(detail)s, %(duration)s
from attempt a
where a.notification = %(id)s
having not coalesce(bool_or(a.at = %(at)s and a.outcome = %(outcome)s), false)
