-- An alarm of the hub about itself says more than its definition: what was found, and whom to tell where no policy can be trusted with it.

create table hub_alarm (
    alarm uuid primary key references alarm on delete cascade,
    zh text not null check (length(zh) <= 2000),
    en text not null check (length(en) <= 2000),
    -- as in escalation.plan; null: by the policy that covers it, as ever
    plan jsonb
);

-- what was found before there were such alarms is told of at the next look
update policy_check set basis = '';
