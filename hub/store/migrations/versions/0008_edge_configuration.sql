-- Configuration of edges: the hub's signing key, each edge's seal, and the version that is wanted of it.

create table signing_key (
    only_one boolean primary key default true check (only_one),
    private bytea not null check (length(private) = 32),
    made_at timestamptz not null default now()
);
comment on table signing_key is 'Ed25519; whoever has it configures every edge';

-- opens the configuration at the edge; made with each bundle, null before the first
alter table client add column seal bytea check (length(seal) = 32);

create table edge_configuration (
    device int primary key references device,
    version bigint not null default 0,
    digest text not null default '',
    basis text not null default '',
    envelope bytea,
    problem text not null default '',
    wanted_at timestamptz not null default now()
);
comment on column edge_configuration.basis is 'of what it was last computed; another one means: look again';
comment on column edge_configuration.envelope is 'what is published; null while the edge has no seal';
