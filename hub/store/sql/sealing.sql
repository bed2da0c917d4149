-- name: all_responder
select responder::text, id::text from responder_channel order by 1, 2

-- name: all_authority
select authority::text, id::text from authority_channel order by 1, 2

-- name: lock_responder
select kind, settings from responder_channel where responder = %(owner)s and id = %(channel)s for update

-- name: lock_authority
select kind, settings from authority_channel where authority = %(owner)s and id = %(channel)s for update

-- name: write_responder
update responder_channel set settings = %(settings)s where responder = %(owner)s and id = %(channel)s

-- name: write_authority
update authority_channel set settings = %(settings)s where authority = %(owner)s and id = %(channel)s

-- name: live_responder
-- Where responders are told: channels that are not retired.
select responder::text, id::text, kind, settings, '' from responder_channel where retired_at is null

-- name: live_authority
-- Where authorities are told: channels that are not retired, and telephones.
select authority::text, id::text, kind, settings, '' from authority_channel where retired_at is null
union all
select id::text, '', '', null, phone from authority where retired_at is null and phone <> ''
