-- name: kept
select m.division from register_import m
where exists (select from unnest(%(divisions)s::text[]) as d(code) where starts_with(d.code, m.division))
order by m.division limit 1
