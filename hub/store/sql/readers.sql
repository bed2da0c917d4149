-- Who may read schema `dash` (migration 0006): database roles, one for each scope.

-- name: known
select (select true from pg_roles where rolname = %(role)s) is true as is_role,
       (select true from dash_reader where role = %(role)s) is true as is_reader

-- name: note
insert into dash_reader (role, scope) values (%(role)s, %(scope)s) on conflict (role) do update set scope = excluded.scope

-- name: forget
delete from dash_reader where role = %(role)s

-- name: all
select role::text as role, scope, created_at from dash_reader order by role
