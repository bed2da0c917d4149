-- The check of all policies knows of what it was made, so that it looks again when somebody has changed something, and not only at night.

alter table policy_check add column basis text not null default '';
comment on column policy_check.basis is 'of what it was last made; another one means: look again';

-- Everything that decides who is reached, in one short text: versions are only ever counted up, overrides and members only ever added or ended.
create function duty_basis() returns text language sql stable as $$
    select md5(concat_ws('/',
        (select count(*) || '.' || sum(version) || '.' || count(retired_at) from policy),
        (select count(*) || '.' || sum(version) || '.' || count(retired_at) from responder),
        (select count(*) || '.' || sum(version) || '.' || count(retired_at) from rota),
        (select count(*) || '.' || max(key) || '.' || count(cancelled_at) from rota_override),
        (select count(*) || '.' || sum(version) from calendar_year),
        (select count(*) || '.' || sum(version) from institution_group),
        (select count(*) || '.' || sum(version) || '.' || count(retired_at) from institution where key > 0),
        (select count(*) || '.' || sum(version) || '.' || count(retired_at) from device where key > 0 and lane = 'urgent')))
$$;
