-- A proof may be injected at the device itself, by its own test; and every proof says why at no lower level.

alter table proof drop constraint proof_level_check;
alter table proof add check (level in ('device', 'driver', 'edge', 'hub'));
alter table proof add column not_lower text not null default ''
    check (not_lower in ('', 'lowest', 'asked', 'no_edge', 'no_test_point', 'dials_police'));
comment on column proof.not_lower is 'why it was injected no lower; empty: before this was kept';
