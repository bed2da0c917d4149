"""What boards share: variables, the conditions that they make, what a figure stands on, and the links between boards.

Ages are seconds since the oldest thing that a figure stands on; completeness is the share, in per cent, of what should be known that is.
"""

from dashboards.panels import Json, Words, choice, entry

ALL = Words("全部", "All")
DIVISION = choice(
    "division",
    Words("区划", "Division"),
    """select * from (
         select case '@lang' when 'zh' then '全部' else 'All' end as __text, 'all' as __value
         union all select code || ' ' || title_@lang, code from dash.division) x order by __value <> 'all', __value""",
)
INSTITUTION = choice(
    "institution",
    Words("托育机构", "Institution"),
    """select * from (
         select case '@lang' when 'zh' then '全部' else 'All' end as __text, 'all' as __value
         union all (select title_@lang || ' ' || institution, institution from dash.place
                    where '${division}' = 'all' or starts_with(division, '${division}') order by 1 limit 5000)) x
       order by __value <> 'all', __text""",
)
ONE = choice(
    "institution",
    Words("托育机构", "Institution"),
    """select title_@lang || ' ' || institution as __text, institution as __value from dash.place
       where '${division}' = 'all' or starts_with(division, '${division}') order by 1 limit 5000""",
)
ZONE = choice(
    "zone",
    Words("区域", "Zone"),
    """select title_@lang || ' ' || zone as __text, zone as __value from dash.zone where institution = '${institution}' order by 1""",
)
DEVICE = choice(
    "device",
    Words("设备", "Device"),
    """select device as __text, device as __value from dash.device_state
       where ('${division}' = 'all' or starts_with(division, '${division}'))
         and ('${institution}' = 'all' or institution = '${institution}') order by 1 limit 2000""",
)
GROUP = choice(
    "group",
    Words("机构组", "Group"),
    """select * from (
         select case '@lang' when 'zh' then '全部' else 'All' end as __text, 'all' as __value
         union all select title_@lang || ' ' || group_id, group_id from dash.institution_group) x order by __value <> 'all', __text""",
)
BASIS = choice(
    "basis",
    Words("依据", "Basis"),
    """select case '@lang' when 'zh' then zh else en end as __text, value as __value
       from (values ('义务', 'Obligation', 'obligation'), ('目标', 'Target', 'target'), ('建议', 'Recommendation', 'recommendation'))
            as b(zh, en, value)""",
)
AS_OF = entry("as_of", Words("截至（空为现在）", "As of (empty: now)"))
KNOWN_AT = entry("known_at", Words("按当时所知（空为今天所知）", "As known at (empty: today)"))

IN_DIVISION = "('${division}' = 'all' or starts_with(division, '${division}'))"
HERE = f"{IN_DIVISION} and ('${{institution}}' = 'all' or institution = '${{institution}}')"
FRESH = "checked_at > now() - interval '3 minutes'"
STANDING = (
    "extract(epoch from now() - min(checked_at))::float8 as age,"
    f" trunc(100.0 * count(*) filter (where {FRESH}) / nullif(count(*), 0), 2) as complete"
)
"""Of subjects: since when the stalest was judged, and which share was judged within three minutes."""
STANDS = f"(select {STANDING.replace('(where ', '(where connected and ')} from dash.subject where {IN_DIVISION})"
"""The same over the register: who is not connected is not known, however lately that was said."""
HERE_STANDS = f"(select {STANDING} from dash.place where {HERE})"
TIME = "dateTimeAsLocal"

TO_DIVISION = "/d/anxin-coverage@suffix?var-division=${__data.fields.division}&${__url_time_range}&${as_of:queryparam}&${known_at:queryparam}"
TO_INSTITUTION = (
    "/d/anxin-institution@suffix?var-division=all&var-institution=${__data.fields.institution}&${__url_time_range}"
)
_PAST = "&${as_of:queryparam}&${known_at:queryparam}"
TO_INSTITUTION_THEN = TO_INSTITUTION + _PAST
"""From a board of which the past can be chosen: the past goes along."""
TO_ZONE_THEN = (
    "/d/anxin-zone@suffix?var-division=all&var-institution=${__data.fields.institution}&var-zone=${__data.fields.zone}&${__url_time_range}"
    + _PAST
)


def now(title: Words) -> Words:
    """Beside a figure that has no past: it is of now, whatever time is chosen."""
    return Words(f"{title.zh}（现在）", f"{title.en} (now)")


def variables(*more: Json) -> list[Json]:
    """The division first, then the board's own."""
    return [DIVISION, *more]
