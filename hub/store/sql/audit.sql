-- name: record
insert into audit (actor, action, target, detail) values (%(actor)s, %(action)s, %(target)s, %(detail)s)

-- name: entries
select key, at, actor, action, target, detail
from audit
where (%(target)s::text is null or target = %(target)s)
  and (%(actor)s::text is null or actor = %(actor)s)
  and (%(before)s::bigint is null or key < %(before)s)
order by key desc
limit %(limit)s
