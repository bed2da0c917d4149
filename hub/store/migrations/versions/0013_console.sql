-- The console: who is called and where a position lies on its floor's plan, sessions of people, and the key of signed links.

alter table institution
    add column contacts jsonb not null default '[]' check (jsonb_typeof(contacts) = 'array'),
    add column video text;
comment on column institution.contacts is '[{title_zh, title_en, phone}] in the order in which they are called';
comment on column institution.video is 'URL template of the video system: a camera is shown there, never through the hub';

alter table position
    add column plan_x float8 check (plan_x between 0 and 1),
    add column plan_y float8 check (plan_y between 0 and 1),
    add check ((plan_x is null) = (plan_y is null));
comment on column position.plan_x is 'share of the width of the plan of its zone''s floor, from the left; plan_y of its height, from the top';

-- a picture of one floor, as it was checked (hub/core/pictures.py): no format that could hold a script
create table floor_plan (
    institution int not null references institution,
    floor int not null check (floor between -10 and 200),
    media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/webp')),
    width int not null check (width between 1 and 10000),
    height int not null check (height between 1 and 10000),
    sha256 bytea not null check (length(sha256) = 32),
    image bytea not null check (length(image) between 1 and 1500000),
    updated_at timestamptz not null default now(),
    updated_by text not null,
    primary key (institution, floor)
);

-- A person's login. `id` is the SHA-256 of what the browser holds, so that a copy of this table lets nobody in.
create table web_session (
    id bytea primary key check (length(id) = 32),
    token text not null references token,
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz
);
create index web_session_expires on web_session (expires_at);

-- 256 bits from the server's own generator of strong random values; whoever has it can make links for every alarm
create table link_key (
    only_one boolean primary key default true check (only_one),
    key bytea not null check (length(key) = 32),
    made_at timestamptz not null default now()
);
insert into link_key (key) values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
