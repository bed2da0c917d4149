-- name: divide
insert into division (code, parent, title_zh, title_en) values ('00', null, '心跳验证', 'Canary') on conflict do nothing

-- name: institution
insert into institution (key, id, division, type, title_zh, title_en, partition, retired_at) overriding system value
values (%(key)s, %(id)s, '00', 'canary', '心跳验证', 'Canary', %(partition)s, now()) on conflict do nothing

-- name: device
insert into device (key, id, institution, profile, kind, lane) overriding system value
values (%(key)s, %(id)s, %(key)s, %(profile)s, 'canary', 'urgent') on conflict do nothing

-- name: state
insert into device_state (device, admin_state) values (%(key)s, 'in_service') on conflict do nothing

-- name: client
insert into client (name, device) values (%(id)s, %(key)s) on conflict do nothing

-- name: responder
insert into responder (id, title_zh, title_en) values ('canary', '心跳验证', 'Canary') on conflict do nothing

-- name: sink
-- Where the auditor listens now; retired rows are taken up again, so that nothing but this decides where a canary goes.
insert into responder_channel (responder, id, kind, settings) values ('canary', 'sink', 'webhook', %(settings)s)
on conflict (responder, id) do update set kind = excluded.kind, settings = excluded.settings, retired_at = null

-- name: upto
select upto from stream where stream = %(stream)s

-- name: open
-- Canaries that did not come back, or that nobody waited for.
select a.id, a.state from alarm a where a.institution = %(key)s and a.ended_at is null order by a.id

-- name: gone
-- What is older than a day, a bounded number at a time, in the order of the references.
with gone as (
    select id from alarm where institution < 0 and ended_at < now() - %(keep)s order by ended_at limit %(limit)s
), a as (
    delete from attempt t using notification n where n.id = t.notification and n.alarm in (select id from gone)
)
select id from gone

-- name: gone_notifications
delete from notification where alarm = any (%(ids)s)

-- name: gone_steps
delete from escalation_step where alarm = any (%(ids)s)

-- name: gone_escalations
delete from escalation where alarm = any (%(ids)s)

-- name: gone_transitions
delete from alarm_transition where alarm = any (%(ids)s)

-- name: gone_alarms
delete from alarm where id = any (%(ids)s)

-- name: gone_events
delete from event e where ctid in (
    select e.ctid from event e where e.device < 0 and e.received_at < now() - %(keep)s limit %(limit)s)
