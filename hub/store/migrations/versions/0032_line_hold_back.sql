-- A line of thousands of devices falls silent in one transaction: how long its alarms wait is reckoned for all of them at once.

create index device_endpoint on device (endpoint) where retired_at is null;

-- How long each of these alarms waits, from its last raise, before it is paged, because it may be the child of a root: one that a silent client
-- alone makes (what is wrong may be the path that many share), and one of a device that shares its line with others, unless one of them was
-- heard long after it fell silent (then the line lives). Everything else waits for nothing. Times of one edge are compared with each other only.
create function holds_back(asked uuid[]) returns table (alarm uuid, held interval) stable language sql as $$
    with raised as materialized (
        select a.id, a.device, d.endpoint, max(t.recorded_at) as at
        from alarm a
        join device d on d.key = a.device
        join alarm_transition t on t.alarm = a.id and t.event = 'raise'
        where a.id = any (asked) and a.signal_class = 'communication' and a.exercise is null
        group by a.id, a.device, d.endpoint
    ), lines as materialized (
        select e.endpoint, count(*) as devices, max(s.last_heard_at) as newest, (
            select max(m.beat_at) from endpoint n join client c on c.device = n.edge join stream m on m.client = c.name
            where n.key = e.endpoint) as beat
        from (select distinct endpoint from raised where endpoint is not null) e
        join device o on o.endpoint = e.endpoint and o.retired_at is null
        join device_state s on s.device = o.key
        group by e.endpoint
    )
    select q.id, case
        when r.id is null then interval '0'
        when exists (select from client c where c.device = r.device)
            or (l.devices > 1 and not coalesce(l.newest > s.last_heard_at + (l.beat - s.last_heard_at) * 0.67, false))
            then greatest(interval '0', r.at + interval '25 s' - now())
        else interval '0' end
    from unnest(asked) q(id)
    left join raised r on r.id = q.id
    left join device_state s on s.device = r.device
    left join lines l on l.endpoint = r.endpoint
$$;

drop function hold_back(uuid);
