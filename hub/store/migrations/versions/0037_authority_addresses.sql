-- Drills and proofs go to responders. So an address or a number at which an authority is told is no responder's, whoever writes which of the
-- two first. (Two ways to write one address are not seen through: this is against a copy of a line, not against somebody who wants it.)

create function told_at(settings jsonb) returns text language sql immutable as $$
    select coalesce(
        nullif(lower(rtrim(split_part(split_part(settings ->> 'url', '?', 1), '#', 1), '/')), ''),
        nullif(regexp_replace(regexp_replace(settings ->> 'number', '\D', '', 'g'), '^(00)?86', ''), ''))
$$;

create function refuse_authority_as_responder() returns trigger language plpgsql as $$
begin
    if new.retired_at is null and (
        exists (select from authority_channel k where k.retired_at is null and told_at(k.settings) = told_at(new.settings))
        or exists (select from authority t where t.retired_at is null and t.phone <> '' and new.settings ? 'number'
                   and told_at(jsonb_build_object('number', t.phone)) = told_at(new.settings)))
    then
        raise exception 'an authority is told there' using errcode = 'check_violation', constraint = 'authority_is_no_responder';
    end if;
    return new;
end $$;
create trigger responder_channel_no_authority before insert or update of settings, retired_at on responder_channel
    for each row execute function refuse_authority_as_responder();

create function refuse_responder_as_authority() returns trigger language plpgsql as $$
begin
    if new.retired_at is null and exists (
        select from responder_channel c where c.retired_at is null
          and told_at(c.settings) = case tg_table_name
              when 'authority' then told_at(jsonb_build_object('number', to_jsonb(new) ->> 'phone'))
              else told_at(to_jsonb(new) -> 'settings') end)
    then
        raise exception 'a responder is told there' using errcode = 'check_violation', constraint = 'authority_is_no_responder';
    end if;
    return new;
end $$;
create trigger authority_channel_no_responder before insert or update of settings, retired_at on authority_channel
    for each row execute function refuse_responder_as_authority();
create trigger authority_no_responder before insert or update of phone, retired_at on authority
    for each row execute function refuse_responder_as_authority();
