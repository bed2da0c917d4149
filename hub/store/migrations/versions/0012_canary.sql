-- The canary's own rows (decision 0252): an institution and a device for each partition, made by the auditor, with negative keys. So one
-- comparison tells them everywhere, and what they cause is a canary by construction: the alarm's mark and whom it may reach are held here.

alter table institution add constraint institution_canary check ((key < 0) = (type = 'canary'));
alter table device add constraint device_canary check ((key < 0) = (kind = 'canary') and (key < 0) = (institution < 0));

create function mark_canary() returns trigger language plpgsql as $$
begin
    new.exercise := 'canary';
    return new;
end $$;
create trigger alarm_canary before insert on alarm for each row when (new.institution < 0) execute function mark_canary();
alter table alarm add constraint alarm_canary check (institution > 0 or exercise is not distinct from 'canary');

-- a canary reaches the sink and nobody else, and the sink hears of nothing else
alter table notification add constraint notification_canary check ((institution < 0) = (responder = 'canary'));

-- nobody follows it: not the event stream, not the console, not coverage
create function no_change() returns trigger language plpgsql as $$
begin
    return null;
end $$;
create trigger change_canary before insert on change for each row when (new.institution < 0) execute function no_change();

-- nobody sees it: the division that it stands in is in no list, and no scope holds it
create or replace function institutions_in_scope(scope jsonb) returns setof institution
language sql stable parallel safe as $$
    select i.* from institution i
    where i.key > 0
      and ((scope ->> 'everything')::boolean
       or (scope -> 'institutions' <> '[]'
           and i.id::text = any (array(select jsonb_array_elements_text(scope -> 'institutions'))))
       or (scope -> 'divisions' <> '[]'
           and i.division ^@ any (array(select jsonb_array_elements_text(scope -> 'divisions'))))
       or (scope -> 'groups' <> '[]'
           and i.key = any (array(select m.institution from group_member m
                                  where m.group_id::text in (select jsonb_array_elements_text(scope -> 'groups'))))))
$$;
create or replace function divisions_in_scope(scope jsonb) returns setof division
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
    select * from upward where code <> '00'
$$;

-- what the canary leaves is deleted after a day (hub.store.canary)
create index alarm_canary_ended on alarm (ended_at) where institution < 0;
