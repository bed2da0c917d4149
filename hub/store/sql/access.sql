-- name: create
insert into token (id, name, kind, role, scope, secret_sha256, created_by, expires_at)
values (%(id)s, %(name)s, %(kind)s, %(role)s, %(scope)s, %(secret_sha256)s, %(created_by)s, %(expires_at)s)

-- name: by_id
select id, name, role, scope, secret_sha256, expires_at, revoked_at from token where id = %(id)s

-- name: bearers
-- Who may act on alarms, by a token or by a login that holds now: those that were used last.
(
    select 'token' as kind, t.secret_sha256 as digest, t.id, t.name, t.role, t.scope, t.expires_at as until
    from token t
    where t.role = any (%(roles)s) and t.revoked_at is null and (t.expires_at is null or t.expires_at > %(now)s)
    order by t.last_used_at desc nulls last, t.id
    limit %(limit)s
)
union all
(
    select 'login', s.id, t.id, t.name, t.role, t.scope, least(s.expires_at, t.expires_at)
    from web_session s join token t on t.id = s.token
    where t.role = any (%(roles)s) and t.revoked_at is null and (t.expires_at is null or t.expires_at > %(now)s)
      and s.ended_at is null and s.expires_at > %(now)s
    order by s.created_at desc, s.id
    limit %(limit)s
)
order by kind, id, digest

-- name: touch
update token set last_used_at = %(now)s
where id = %(id)s and (last_used_at is null or last_used_at <= %(now)s - interval '1 minute')

-- name: unknown_in_scope
select 'institution' as noun, s.id
from jsonb_array_elements_text(%(scope)s::jsonb -> 'institutions') as s(id)
where s.id not in (select i.id::text from institutions_in_scope(%(within)s::jsonb) i)
union all
select 'group', s.id
from jsonb_array_elements_text(%(scope)s::jsonb -> 'groups') as s(id)
where s.id not in (select g.id::text from institution_group g)
   or not ((%(within)s::jsonb ->> 'everything')::boolean or (%(within)s::jsonb -> 'groups') ? s.id)
order by 1, 2
limit 1

-- name: scope_within
select scope_within(%(scope)s::jsonb, %(within)s::jsonb) as within

-- name: list
select id, name, kind, role, scope, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at
from token
where scope_within(scope, %(within)s::jsonb)
  and (%(at)s::timestamptz is null or (created_at, id) < (%(at)s, %(id)s::text))
order by created_at desc, id desc
limit %(limit)s

-- name: revoke
with before as (
    select id, revoked_at from token
    where id = %(id)s and scope_within(scope, %(within)s::jsonb)
    for update
), done as (
    update token t set revoked_at = coalesce(t.revoked_at, now()), revoked_by = coalesce(t.revoked_by, %(actor)s)
    from before b where t.id = b.id
)
select id, revoked_at is null as revoked_now from before
