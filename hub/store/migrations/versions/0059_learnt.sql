-- What a watch has learnt of a subject outlives it: whoever takes over judges anew only what is different (docs/decisions/0413).
alter table coverage_check
    add column steady bytea,
    add column judge bytea,
    add column turns_at timestamptz,
    add column entry int;
comment on column coverage_check.steady is 'of the facts that were judged last';
comment on column coverage_check.judge is 'names the packs and the program by which they were judged';
comment on column coverage_check.turns_at is 'when a time limit passes, null where none does';
comment on column coverage_check.entry is 'the newest of the chain at that time (0: none): what somebody wrote since who learnt nothing is not overlooked';
