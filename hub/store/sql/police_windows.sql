-- name: book
insert into police_window (id, device, institution, reference, agreed_by, starts_at, ends_at, booked_by)
values (%(id)s, %(device)s, %(institution)s, %(reference)s, %(agreed_by)s, %(starts_at)s, %(ends_at)s, %(actor)s)

-- name: list
select w.id, d.id as device, i.id as institution, w.reference, w.agreed_by, w.starts_at, w.ends_at, w.booked_by, w.booked_at,
       w.cancelled_by, w.cancelled_at, w.receipt_number, w.receipt_text, w.receipt_by, w.receipt_at
from police_window w join device d on d.key = w.device join institutions_in_scope(%(scope)s) i on i.key = w.institution
where (%(id)s::uuid is null or w.id = %(id)s)
  and (%(device)s::text is null or d.id = %(device)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(after_at)s::timestamptz is null or (w.starts_at, w.id) < (%(after_at)s, %(after)s))
order by w.starts_at desc, w.id desc
limit %(limit)s

-- name: lock
select receipt_at, cancelled_at, ends_at from police_window where id = %(id)s for update

-- name: receive
update police_window set receipt_number = %(number)s, receipt_text = %(text)s, receipt_by = %(actor)s, receipt_at = %(now)s where id = %(id)s

-- name: say
-- coverage counts the receipt as a test
insert into change (kind, institution, payload)
select 'registry', w.institution, jsonb_build_object('institution', i.id, 'police_window', w.id)
from police_window w join institution i on i.key = w.institution where w.id = %(id)s

-- name: cancel
update police_window set cancelled_by = %(actor)s, cancelled_at = %(now)s where id = %(id)s

-- name: dials
select coalesce(d.dials_police, %(by_profile)s) as dials,
       (select max(w.ends_at) from police_window w where w.device = d.key and w.cancelled_at is null
        and w.starts_at <= %(since)s and w.ends_at >= %(until)s) as booked_until
from device d where d.id = %(device)s and d.retired_at is null
for share of d
