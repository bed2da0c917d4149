-- Waivers: granted, ended, listed, and those that the judge takes into account.

-- name: standing
-- what holds now or begins later, at these institutions; null: everywhere
select w.id::text as id, i.id::text as subject, w.rule, w.since, coalesce(least(w.ended_at, w.expires_at), w.expires_at) as until
from waiver w join institution i on i.key = w.institution
where w.expires_at > %(at)s and w.ended_at is null
  and (%(subjects)s::text[] is null or i.id::text = any (%(subjects)s))

-- name: list
select w.id, i.id::text as institution, i.title_zh as institution_zh, i.title_en as institution_en, i.division, w.rule, w.force, w.basis,
       w.title_zh, w.title_en, w.ground, w.document, w.approver, w.granted_at, w.since, w.expires_at, w.ended_at, w.ended_by,
       case when w.ended_at is not null then 'ended' when w.expires_at <= %(now)s then 'expired'
            when w.since > %(now)s then 'ahead' else 'holds' end as state
from institutions_in_scope(%(scope)s::jsonb) i
join waiver w on w.institution = i.key
where (%(id)s::uuid is null or w.id = %(id)s)
  and (%(institution)s::text is null or i.id = %(institution)s)
  and (%(division)s::text is null or i.key in (select p.key from institution_counted p where starts_with(p.division, %(division)s)))
  and (%(open)s::boolean is null or (w.ended_at is null and w.expires_at > %(now)s) = %(open)s)
  and (%(after_at)s::timestamptz is null or (w.granted_at, w.id) < (%(after_at)s, %(after)s::uuid))
order by w.granted_at desc, w.id desc
limit %(limit)s

-- name: place
-- locked, so that two people do not grant the same waiver beside each other
select i.key, i.division from institution i
where i.key in (select s.key from institutions_in_scope(%(scope)s::jsonb) s) and i.id = %(institution)s and i.retired_at is null and i.partition >= 0
for update

-- name: overlapping
select count(*) as n from waiver
where institution = %(institution)s and rule = %(rule)s and ended_at is null and expires_at > %(since)s and since < %(expires_at)s

-- name: grant
insert into waiver (institution, rule, force, basis, title_zh, title_en, ground, document, approver, granted_at, since, expires_at)
values (%(institution)s, %(rule)s, %(force)s, %(basis)s, %(title_zh)s, %(title_en)s, %(ground)s, %(document)s, %(approver)s, %(now)s, %(since)s, %(expires_at)s)
returning id

-- name: end
update waiver set ended_at = %(now)s, ended_by = %(actor)s where id = %(id)s and ended_at is null and expires_at > %(now)s returning institution

-- name: is_person
select exists (select from token where id = %(token)s and kind = 'person') as is_person

-- name: say
insert into change (kind, institution, payload)
select 'waiver', w.institution, jsonb_build_object('id', w.id, 'rule', w.rule, 'since', w.since, 'expires_at', w.expires_at, 'ended_at', w.ended_at)
from waiver w where w.id = %(id)s
