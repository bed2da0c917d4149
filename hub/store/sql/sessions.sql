-- Logins of people at the console, and what a signed link names.

-- name: begin
insert into web_session (id, token, expires_at) values (%(id)s, %(token)s, %(expires_at)s)

-- name: find
select token, expires_at from web_session where id = %(id)s and ended_at is null and expires_at > %(now)s

-- name: end
update web_session set ended_at = now() where id = %(id)s and ended_at is null returning token

-- name: forget
-- what is over for a day, and of this token's all but the newest hundred
delete from web_session
where expires_at < %(now)s::timestamptz - interval '1 day'
   or id in (select s.id from web_session s where s.token = %(token)s order by s.created_at desc offset 100)

-- name: link_key
select key from link_key

-- name: linked
select n.id, n.alarm, n.responder, r.title_zh, r.title_en, r.retired_at is not null as retired,
       (select count(distinct m.alarm)::int from digest_alarm m where m.notification = n.id and m.alarm <> n.alarm) as others
from notification n join responder r on r.id = n.responder
where n.id = coalesce((select s.notification from sent_as s where s.id = %(id)s), %(id)s)
