-- A look with where its institution lies and when it was there: boards join nothing to looks, whose number the planner cannot know (the division is an
-- expression, as in 0051).
create or replace view dash.look with (security_barrier) as
select i.id::text as institution, l.what, l.since, l.seen_at, l.body, i.division || ''::text as division, i.title_zh, i.title_en, i.created_at, i.retired_at
from institution_look l
join institution i on i.key = l.institution
where i.partition >= 0 and (l.institution in (select dash.institutions())) is true;
