-- Whoever keeps a snapshot of the registry is told of every change to it by the database itself: nobody who writes can forget it, so
-- nobody has to read all of it again every few seconds. Equal notices of one transaction are one.

create function announce_registry() returns trigger language plpgsql as $$
begin
    perform pg_notify('anxin_registry', '');
    return null;
end $$;
create trigger institution_announced after insert or update or delete on institution
    for each statement execute function announce_registry();
create trigger zone_announced after insert or update or delete on zone
    for each statement execute function announce_registry();
create trigger position_announced after insert or update or delete on position
    for each statement execute function announce_registry();
create trigger endpoint_announced after insert or update or delete on endpoint
    for each statement execute function announce_registry();
create trigger device_announced after insert or update or delete on device
    for each statement execute function announce_registry();
create trigger client_announced after insert or update or delete on client
    for each statement execute function announce_registry();
create trigger calendar_year_announced after insert or update or delete on calendar_year
    for each statement execute function announce_registry();
-- lanes write the other columns of this table all the time
create trigger device_state_announced after update of admin_state, proven_at on device_state
    for each statement execute function announce_registry();
