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
BASIS = choice(
    "basis",
    Words("依据", "Basis"),
    """select case '@lang' when 'zh' then zh else en end as __text, value as __value
       from (values ('义务', 'Obligation', 'obligation'), ('目标', 'Target', 'target'), ('建议', 'Recommendation', 'recommendation'))
            as b(zh, en, value)""",
)
AS_OF = entry("as_of", Words("截至（空为现在）", "As of (empty: now)"))
KNOWN_AT = entry("known_at", Words("按当时所知（空为今天所知）", "As known at (empty: today)"))

MOMENT = "(select dash.moment('${as_of}'))"
"""The instant that the board looks at; as a query of its own it is asked once and not for every row."""
KNOWN = "(select dash.known('${known_at}'))"
DAY = "(dash.moment('${as_of}') at time zone 'Asia/Shanghai')::date"
IN_DIVISION = "('${division}' = 'all' or starts_with(division, '${division}'))"
HERE = f"{IN_DIVISION} and ('${{institution}}' = 'all' or institution = '${{institution}}')"
HELD = (
    f"true_from <= {MOMENT} and (true_to is null or true_to > {MOMENT})"
    f" and known_from <= {KNOWN} and (known_to is null or known_to > {KNOWN})"
)
"""What was true then, as it was known then (columns of dash.history)."""
_DOUBTED = (
    "'${known_at}' <> '' and exists (select from dash.history n where n.subject = h.subject and n.rule = h.rule and n.reason = 'stale'"
    f" and n.known_to is null and n.true_from <= {MOMENT} and (n.true_to is null or n.true_to > {MOMENT}))"
)
"""Nobody looked at that time, as is known by now: what was held to be green then was shown as unknown then, too."""
VERDICT_THEN = (
    f"case when verdict in ('compliant', 'unsigned') and (checked_at is null or checked_at < {MOMENT} - interval '3 minutes' or ({_DOUBTED}))"
    " then 'unknown' else verdict end"
)
"""The verdict then (of dash.history as h). Where nobody has judged since, it is unknown; the ledger holds none compliant longer than three minutes unrenewed."""
AGE_THEN = f"case when checked_at < {MOMENT} then extract(epoch from {MOMENT} - checked_at)::float8 when checked_at is not null then 180.0 end"
"""How old a verdict was then: exact where nobody has judged since, else the three minutes that it can have been at most."""
FRESH = "checked_at > now() - interval '3 minutes'"
STANDING = (
    "extract(epoch from now() - min(checked_at))::float8 as age,"
    f" 100.0 * count(*) filter (where {FRESH}) / nullif(count(*), 0) as complete"
)
"""Of subjects: since when the stalest was judged, and which share was judged within three minutes."""
STANDS = f"(select {STANDING.replace('(where ', '(where connected and ')} from dash.subject where {IN_DIVISION})"
"""The same over the register: who is not connected is not known, however lately that was said."""
HERE_STANDS = f"(select {STANDING} from dash.place where {HERE})"
TIME = "dateTimeAsLocal"

_TIMES = "${__url_time_range}&${as_of:queryparam}&${known_at:queryparam}"
TO_DIVISION = "/d/anxin-coverage@suffix?var-division=${__data.fields.division}&" + _TIMES
TO_INSTITUTION = (
    "/d/anxin-institution@suffix?var-division=all&var-institution=${__data.fields.institution}&${__url_time_range}"
)
TO_ZONE = "/d/anxin-zone@suffix?var-division=all&var-institution=${__data.fields.institution}&var-zone=${__data.fields.zone}&${__url_time_range}"


def variables(*more: Json) -> list[Json]:
    """The division first, then the board's own."""
    return [DIVISION, *more]
