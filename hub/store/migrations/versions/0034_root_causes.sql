-- Storms are grouped per institution and root cause (docs/decisions/0233-storms-become-few-messages.md).

alter table notification
    add column root_cause text not null default '',
    -- nobody can delay or merge a fire or a panic, whatever is written above
    add constraint notification_never_merged check (kind <> 'digest' or urgency > 0) not valid;

create function gravity(priority text) returns int immutable language sql as $$
    select array_position(array['critical', 'high', 'medium', 'low'], priority)
$$;

-- What an alarm that tells of a silence comes from, by what is known now (link_verdict), or what a root alarm is of. Empty: nothing that it
-- shares with others is known.
create function root_cause(asked uuid) returns text stable language sql as $$
    select coalesce((
        select case coalesce(own.cause, v.cause)
                   when 'line' then 'line ' || coalesce(own.endpoint, d.endpoint)
                   when 'edge' then 'edge ' || coalesce(n.edge, d.key)
                   when 'device' then '' when 'undetermined' then '' when 'never_seen' then ''
                   when 'unplaced' then '' when 'profile_missing' then ''
                   else coalesce(own.cause, v.cause) end
        from alarm a
        join device d on d.key = a.device
        left join endpoint n on n.key = d.endpoint
        left join blindness own on own.alarm = a.id
        left join link_verdict v on v.device = d.key
        where a.id = asked and a.signal_class = 'communication'
        limit 1), '')
$$;
