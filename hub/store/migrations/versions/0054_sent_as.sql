-- A page of the standby whose alarm is known here by an earlier press that the standby had not heard: the same step has another key here.
-- Its link names the key under which it was sent.
create table sent_as (
    id uuid primary key,
    notification uuid not null references notification
);
