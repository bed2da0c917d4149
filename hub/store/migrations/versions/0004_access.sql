-- Access: tokens of named persons and services, the rule of scope, the audit log.

-- a secret is 256 random bits, so that one round of SHA-256 is enough at rest
create table token (
    id text primary key check (id ~ '^[a-z0-9]{12}$'),
    name text not null check (length(name) between 1 and 100),
    kind text not null check (kind in ('person', 'service')),
    role text not null check (role in ('admin', 'installer', 'operator', 'regulator', 'platform')),
    scope jsonb not null check (jsonb_typeof(scope) = 'object'),
    secret_sha256 bytea not null check (length(secret_sha256) = 32),
    created_at timestamptz not null default now(),
    created_by text not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    revoked_by text,
    last_used_at timestamptz
);

-- A scope is {"everything": bool, "divisions": [prefix …], "institutions": [id …], "groups": [id …]}: their union.
-- The same rule stands in hub/core/rights.py (Scope.covers); tests hold them together. A set-returning SQL function of one
-- statement is inlined into the query that calls it, so that the planner sees through it: with a given scope it drops the branches
-- that are empty and takes the arrays for short (measured: an institution's own token among 100,000 devices 6 ms instead of 70).
create function institutions_in_scope(scope jsonb) returns setof institution
language sql stable parallel safe as $$
    select i.* from institution i
    where (scope ->> 'everything')::boolean
       or (scope -> 'institutions' <> '[]'
           and i.id::text = any (array(select jsonb_array_elements_text(scope -> 'institutions'))))
       or (scope -> 'divisions' <> '[]'
           and i.division ^@ any (array(select jsonb_array_elements_text(scope -> 'divisions'))))
       or (scope -> 'groups' <> '[]'
           and i.key = any (array(select m.institution from group_member m
                                  where m.group_id::text in (select jsonb_array_elements_text(scope -> 'groups')))))
$$;

-- Divisions that one may see: those below the scope, and the way up from them and from every institution within it.
create function divisions_in_scope(scope jsonb) returns setof division
language sql stable parallel safe as $$
    with recursive below as (
        select d.* from division d
        where (scope ->> 'everything')::boolean
           or exists (select from jsonb_array_elements_text(scope -> 'divisions') as p(prefix)
                      where starts_with(d.code, p.prefix))
           or d.code in (select i.division from institutions_in_scope(scope) i)
    ), upward as (
        select * from below
        union
        select d.* from division d join upward u on d.code = u.parent
    )
    select * from upward
$$;

-- True where everything in `inner_scope` lies within `outer_scope`: who may hand on what.
create function scope_within(inner_scope jsonb, outer_scope jsonb) returns boolean
language sql stable parallel safe as $$
    select (outer_scope ->> 'everything')::boolean
        or (not (inner_scope ->> 'everything')::boolean
            and not exists (
                select from jsonb_array_elements_text(inner_scope -> 'divisions') as i(prefix)
                where not exists (select from jsonb_array_elements_text(outer_scope -> 'divisions') as o(prefix)
                                  where starts_with(i.prefix, o.prefix)))
            and not exists (
                select from jsonb_array_elements_text(inner_scope -> 'institutions') as i(id)
                where i.id not in (select s.id::text from institutions_in_scope(outer_scope) s))
            and (inner_scope -> 'groups') <@ (outer_scope -> 'groups'))
$$;

-- The audit log is only ever added to; the database itself refuses the rest, from whomever it comes.
create table audit (
    key bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null check (actor <> ''),
    action text not null check (action ~ '^[a-z][a-z0-9_.-]{0,59}$'),
    target text not null,
    detail jsonb not null
);
create index audit_target on audit (target, key desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% on %: this table is append-only', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function refuse_change();
create trigger audit_append_only_always before update or delete on audit
    for each row execute function refuse_change();

-- the lists of the API are paged by these
create index quarantine_client on quarantine (client, received_at desc);
create index alarm_institution on alarm (institution, raised_at desc);
