-- Which entries of the register a role sees, with its scope looked up once: as it stood, the institutions of the scope were looked for anew for every
-- entry, and the boards of a county took minutes in a province of 5,000 institutions.
create or replace function dash.entries() returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
    with mine as materialized (
        select (r.scope ->> 'everything')::boolean as everything, array(select jsonb_array_elements_text(r.scope -> 'divisions')) as divisions,
               array(select i.key from institutions_in_scope(r.scope) i) as institutions
        from dash_reader r where r.role = session_user
    )
    select e.filing_number
    from register_entry e, mine m
    where m.everything or e.division ^@ any (m.divisions) or e.institution = any (m.institutions)
$$;
