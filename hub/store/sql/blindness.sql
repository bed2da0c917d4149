-- Why things are not seen: what is known of clients, lines and lanes, what was concluded of them, and the alarms of areas.

-- name: weighed
-- of the devices given those that are not heard, with the weighed cause
select v.device, v.cause, v.evidence, v.root_alarm from link_verdict v where v.device = any (%(devices)s)
