-- Exercises (VOCABULARY.md): what is no real alarm is marked on the alarm itself, and the mark goes with it to whatever is made of it.
-- Null is real. The escalation and the notification take the mark from the alarm by trigger: no path of code can forget or invent it.

alter table alarm
    add column exercise text check (exercise in ('drill', 'proof', 'canary', 'function_test')),
    add column exercise_id uuid,
    add constraint alarm_exercise_named check (exercise is not null or exercise_id is null);
alter table escalation
    add column exercise text check (exercise in ('drill', 'proof', 'canary', 'function_test')),
    add column exercise_id uuid,
    add constraint escalation_exercise_named check (exercise is not null or exercise_id is null);
alter table notification
    add column exercise text check (exercise in ('drill', 'proof', 'canary', 'function_test')),
    add column exercise_id uuid,
    add constraint notification_exercise_named check (exercise is not null or exercise_id is null);

create function take_exercise() returns trigger language plpgsql as $$
begin
    select a.exercise, a.exercise_id into new.exercise, new.exercise_id from alarm a where a.id = new.alarm;
    return new;
end $$;
create trigger escalation_exercise before insert on escalation for each row execute function take_exercise();
create trigger notification_exercise before insert on notification for each row execute function take_exercise();

-- A mark is only ever taken away (the press was real after all): a real alarm never becomes an exercise.
-- What was sent keeps the mark that it was sent with.
create function lose_exercise() returns trigger language plpgsql as $$
begin
    if new.exercise is not null then
        raise exception 'alarm % is real or of another exercise: it does not become one', new.id using errcode = 'check_violation';
    end if;
    update escalation set exercise = null, exercise_id = null where alarm = new.id;
    update notification set exercise = null, exercise_id = null where alarm = new.id and state = 'pending';
    return null;
end $$;
create trigger alarm_exercise_lost after update of exercise, exercise_id on alarm
    for each row when ((old.exercise, old.exercise_id) is distinct from (new.exercise, new.exercise_id)) execute function lose_exercise();

-- which kinds of channel there are is known to hub.notify, which reads their settings
alter table responder_channel drop constraint responder_channel_kind_check;
alter table responder_channel add check (kind ~ '^[a-z][a-z0-9_]{0,39}$');
