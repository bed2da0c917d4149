-- name: request
insert into device_test (id, device, requested_by, within, not_after)
select %s, key, %s, %s, %s from device where id = %s and retired_at is null
on conflict (device) where finished_at is null do nothing returning id

-- name: get
select t.id, d.id, t.state, t.requested_by, t.requested_at, t.opened_at, t.finished_at, t.detail,
       extract(epoch from t.within)::float8, i.key
from device_test t join device d on d.key = t.device join institution i on i.key = d.institution where t.id = %s
