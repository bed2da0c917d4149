-- Who was told, and when: the newest fortnight in which a proof of the institution reached its responders as well.

alter table proof_round add column told bigint not null default 0;
alter table proof_round alter column told drop default;
