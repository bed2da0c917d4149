-- Which division something lies in, as an expression of which the planner keeps no statistics. As a plain column its estimates told any reader, by
-- `explain`, how many institutions another county has.
do $$
declare
    one record;
begin
    for one in
        select c.relname, pg_get_viewdef(c.oid) as query
        from pg_class c
        where c.relnamespace = 'dash'::regnamespace and c.relkind = 'v' and pg_get_viewdef(c.oid) ~ '\n +[a-z]\.division,'
    loop
        -- a column of its own stands on a line of its own in what pg_get_viewdef gives
        execute format('create or replace view dash.%I with (security_barrier) as %s', one.relname,
                       regexp_replace(one.query, '(\n +)([a-z])\.division,', '\1(\2.division || ''''::text) as division,', 'g'));
    end loop;
end $$;
