-- When a lane was heard of, by the database's clock and without memory: who watches from outside goes by this (docs/decisions/0431).
alter table lane_watch add column heard_at timestamptz;
update lane_watch set heard_at = least(listened_at, now());
alter table lane_watch alter column heard_at set not null;
comment on column lane_watch.listened_at is 'by the clock of the lane, and never earlier than before: for its own gaps';
comment on column lane_watch.heard_at is 'up to when it listened, by the clock of the database: for everybody else';

-- A device is online only where its lane is listened to: what nobody hears is unknown, whatever was heard last.
-- The division is an expression, of which the planner keeps no statistics (revision 0051).
create or replace view dash.device_state with (security_barrier) as
select d.id::text as device, i.id::text as institution, (i.division || ''::text) as division, d.kind, d.lane, s.admin_state,
       case when s.link_state = 'online' and (w.heard_at between now() - interval '30 seconds' and now() + interval '1 hour') is not true then 'unknown'
            else s.link_state end as link_state,
       s.function_state, s.last_heard_at, s.proven_at, z.id::text as zone, z.title_zh as zone_zh, z.title_en as zone_en,
       i.title_zh, i.title_en, s.link_since, s.link_cause
from device d
join institution i on i.key = d.institution
join device_state s on s.device = d.key
left join lane_watch w on w.partition = i.partition and w.lane = d.lane
left join position p on p.key = d.position
left join zone z on z.key = p.zone
where d.retired_at is null and i.retired_at is null and i.partition >= 0 and (d.institution in (select dash.institutions())) is true;

do $$
declare
    said text := pg_get_viewdef('hub_state'::regclass);
begin
    assert said like '%w.listened_at%';
    execute 'create or replace view hub_state as ' || replace(said, 'w.listened_at', 'w.heard_at');
end $$;
