-- Who may read schema `dash` (migrations 0006 and 0041): database roles, one for each scope.

-- name: known
select (select true from pg_roles where rolname = %(role)s) is true as is_role,
       (select true from dash_reader where role = %(role)s) is true as is_reader

-- name: note
insert into dash_reader (role, scope) values (%(role)s, %(scope)s) on conflict (role) do update set scope = excluded.scope

-- name: belongs
update dash_reader set organisation = %(organisation)s where role = %(role)s

-- name: sessions
select pid, backend_start from pg_stat_activity where usename = %(role)s

-- name: end
select pg_terminate_backend(pid) from pg_stat_activity where pid = %(pid)s and backend_start = %(backend_start)s

-- name: forget
delete from dash_reader where role = %(role)s

-- name: all
select role::text as role, scope, organisation, created_at from dash_reader order by role

-- name: unknown_divisions
-- names of divisions that a scope holds and the hub does not: an error of typing would be a role that sees nothing
select p.prefix from unnest(%(divisions)s::text[]) as p(prefix)
where not exists (select from division d where starts_with(d.code, p.prefix)) order by 1

-- name: walls
-- What stands around every reader, made anew at each grant, so that an upgrade closes what it brought:
--   `anxin_boards` owns the views and nothing else; the policies of migration 0041 hold for it, as it owns no table
--   `anxin_reader` is what the readers have in common: the views that hub.store.readers names
--   what PUBLIC may do by itself in this database is taken from it, where it could hurt the hub: temporary tables, connecting, our own
--   functions, TimescaleDB's that change something, advisory locks (the hub's leases are such), large objects, transaction numbers
--   (the change feed waits for the oldest transaction that has one), notifications
do $walls$
declare
    one record;
    me text := session_user;
    i_am_super boolean := (select rolsuper from pg_roles where rolname = session_user);
begin
    for one in select unnest(array['anxin_boards', 'anxin_reader']) as role loop
        begin
            execute format('create role %I nologin', one.role);
        exception when duplicate_object or unique_violation then null;  -- of the server, not of the database: another hub's grant made it
        end;
    end loop;
    if not i_am_super then
        execute format('grant anxin_boards to %I with inherit true, set true', me);
    end if;

    execute format('revoke connect, temporary on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to %I', current_database(), me);
    execute format('grant connect on database %I to anxin_reader', current_database());
    revoke create on schema public from public;

    grant usage, create on schema dash to anxin_boards;
    for one in
        select c.oid::regclass as view from pg_class c
        where c.relnamespace = 'dash'::regnamespace and c.relkind = 'v' and c.relowner <> 'anxin_boards'::regrole
    loop
        execute format('alter view %s owner to anxin_boards', one.view);
    end loop;
    revoke create on schema dash from anxin_boards;
    for one in
        select distinct t.oid::regclass as source
        from pg_class v
        join pg_rewrite w on w.ev_class = v.oid
        join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
        join pg_class t on t.oid = d.refobjid
        where v.relnamespace = 'dash'::regnamespace and v.relkind = 'v' and t.relnamespace = 'public'::regnamespace
          and t.relowner <> 'anxin_boards'::regrole and not has_table_privilege('anxin_boards', t.oid, 'select')
    loop
        execute format('grant select on %s to anxin_boards', one.source);
    end loop;

    for one in
        select p.oid::regprocedure as routine
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        where has_function_privilege('public', p.oid, 'execute')
          and ((n.nspname in ('public', 'dash')
                and not exists (select from pg_depend d
                                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
               or (p.provolatile = 'v' and p.prorettype <> 'trigger'::regtype
                   and exists (select from pg_depend d join pg_extension e on e.oid = d.refobjid and d.refclassid = 'pg_extension'::regclass
                               where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e' and e.extname = 'timescaledb'))
               or (n.nspname = 'pg_catalog'
                   and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_' or p.proname in
                        ('loread', 'lowrite', 'pg_notify', 'pg_current_xact_id', 'txid_current', 'pg_export_snapshot',
                         'pg_logical_emit_message'))))
    loop
        if not i_am_super then
            execute format('grant execute on routine %s to %I', one.routine, me);
        end if;
        execute format('revoke execute on routine %s from public', one.routine);
    end loop;

    revoke all on all tables in schema dash from public, anxin_reader;
    grant usage on schema dash to anxin_reader;
end
$walls$

-- name: holes
-- what must be closed for a reader and is not: where the hub's own user may not revoke it
select p.oid::regprocedure::text as routine
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace and has_function_privilege(%(role)s::name, p.oid, 'execute')
  and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_'
       or p.proname in ('pg_current_xact_id', 'txid_current', 'pg_logical_emit_message', 'pg_read_file', 'pg_ls_dir'))
order by 1 limit 3

-- name: overdue
-- Sessions of readers that do not let go: a reader may set its own limits as it likes, so that they are held from here.
select pg_terminate_backend(a.pid) as ended, a.usename::text as role
from pg_stat_activity a
where a.datname = current_database() and a.usename in (select r.role from dash_reader r)
  and a.xact_start < now() - make_interval(secs => %(seconds)s)
