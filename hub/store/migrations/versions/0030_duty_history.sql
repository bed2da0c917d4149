-- A change of who is on duty counts from the moment at which it is saved: every edition of a rota, of a year's calendar and of a policy stays,
-- so that the past can be answered as it was known then. Nothing here is ever changed or deleted.

-- who saves; set by whoever applies a manifest, for the rest of its transaction
create function saved_by() returns text language sql stable as $$ select coalesce(nullif(current_setting('anxin.actor', true), ''), 'anxin') $$;

create table rota_edition (
    rota identifier not null references rota,
    n int not null check (n > 0),
    counts_from timestamptz not null,
    saved_at timestamptz not null default hub_clock(),
    saved_by text not null default saved_by(),
    primary key (rota, n)
);
comment on column rota_edition.counts_from is 'the first edition counts from ever: nothing was known before it that it could rewrite';
update rota set version = 2 where retired_at is not null and version = 1;
-- until now nothing was kept of who changed it: what stands is the first that is known
insert into rota_edition (rota, n, counts_from, saved_by) select id, version, '-infinity', '' from rota where retired_at is null;
insert into rota_edition (rota, n, counts_from, saved_by)
select id, version - 1, '-infinity', '' from rota where retired_at is not null;
insert into rota_edition (rota, n, counts_from, saved_by)
select id, version, retired_at, '' from rota where retired_at is not null;

alter table rota_turn drop constraint rota_turn_rota_shift_fkey;
alter table rota_turn add column edition int not null default 1;
alter table rota_shift add column edition int not null default 1;
update rota_shift s set edition = case when r.retired_at is null then r.version else r.version - 1 end from rota r where r.id = s.rota;
update rota_turn t set edition = case when r.retired_at is null then r.version else r.version - 1 end from rota r where r.id = t.rota;
alter table rota_turn drop constraint rota_turn_pkey, drop constraint rota_turn_rota_shift_responder_key;
alter table rota_shift drop constraint rota_shift_pkey, drop constraint rota_shift_rota_id_key;
alter table rota_shift
    add primary key (rota, edition, n),
    add unique (rota, edition, id),
    add foreign key (rota, edition) references rota_edition (rota, n);
alter table rota_turn
    add primary key (rota, edition, shift, n),
    add unique (rota, edition, shift, responder),
    add foreign key (rota, edition, shift) references rota_shift (rota, edition, n);

-- the shifts that stand now
create view rota_shift_now as
select s.* from rota_shift s join rota r on r.id = s.rota and r.retired_at is null and s.edition = r.version;
create view rota_turn_now as
select t.* from rota_turn t join rota r on r.id = t.rota and r.retired_at is null and t.edition = r.version;

create table calendar_edition (
    year int not null references calendar_year,
    n int not null check (n > 0),
    counts_from timestamptz not null,
    notice text not null,
    days jsonb not null,
    saved_by text not null,
    primary key (year, n)
);
insert into calendar_edition select year, version, imported_at, notice, days, imported_by from calendar_year;
create function keep_calendar_edition() returns trigger language plpgsql as $$
begin
    insert into calendar_edition values (new.year, new.version, new.imported_at, new.notice, new.days, new.imported_by)
    on conflict do nothing;
    return null;
end $$;
create trigger calendar_year_kept after insert or update of days, notice on calendar_year
    for each row execute function keep_calendar_edition();

create table policy_edition (
    policy identifier not null references policy,
    n int not null,
    saved_at timestamptz not null default hub_clock(),
    saved_by text not null default saved_by(),
    primary key (policy, n)
);
create function keep_policy_edition() returns trigger language plpgsql as $$
begin
    insert into policy_edition (policy, n) values (new.id, new.version) on conflict do nothing;
    return null;
end $$;
create trigger policy_created after insert on policy for each row execute function keep_policy_edition();
create trigger policy_changed after update on policy
    for each row when (old.version <> new.version) execute function keep_policy_edition();

-- By which policy, and which version of it, an alarm was escalated from which round on, once that has changed: the escalation's own row knows
-- the newest alone. Nothing is written while it stays as it began.
create table escalation_course (
    alarm uuid not null references escalation on delete cascade,
    n int not null check (n > 0),
    at timestamptz not null,
    round int not null,
    policy text not null,
    version int,
    primary key (alarm, n)
);
create function keep_course() returns trigger language plpgsql as $$
declare last int := (select max(n) from escalation_course where alarm = new.alarm);
begin
    if last is null and old.policy is not null then
        insert into escalation_course values (old.alarm, 1, old.started_at, old.first_round, old.policy, old.policy_version);
        last := 1;
    end if;
    if new.policy is not null then
        insert into escalation_course
        values (new.alarm, coalesce(last, 0) + 1, hub_clock(), new.round, new.policy, new.policy_version) on conflict do nothing;
    end if;
    return null;
end $$;
create trigger escalation_replanned after update of policy, policy_version on escalation
    for each row when ((old.policy, old.policy_version) is distinct from (new.policy, new.policy_version)) execute function keep_course();

-- 交接班: the watch that the one who hands over had; null where the rota did not have them on duty
alter table duty_handover
    add column shift identifier,
    add column watch_starts_at timestamptz,
    add column watch_ends_at timestamptz,
    add column edition int,
    add check ((shift is null) = (watch_starts_at is null) and (shift is null) = (watch_ends_at is null)),
    add foreign key (rota, edition) references rota_edition (rota, n);

create trigger rota_edition_append_only before update or delete or truncate on rota_edition for each statement execute function refuse_change();
create trigger rota_shift_append_only before update or delete or truncate on rota_shift for each statement execute function refuse_change();
create trigger rota_turn_append_only before update or delete or truncate on rota_turn for each statement execute function refuse_change();
create trigger calendar_edition_append_only before update or delete or truncate on calendar_edition for each statement execute function refuse_change();
create trigger policy_edition_append_only before update or delete or truncate on policy_edition for each statement execute function refuse_change();
