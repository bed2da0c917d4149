"""Fire risk: the hub's own score, with what it is made of, now or at any moment since the hub keeps it. Internal parameters, no standard's."""

from dashboards.asof import KNOWN, MOMENT, SUBJECTS_THEN, UPTO
from dashboards.choices import AS_OF, IN_DIVISION, INSTITUTION, KNOWN_AT, TO_DIVISION, TO_INSTITUTION_THEN, variables
from dashboards.panels import NONE_WANTED, UNKNOWN, Json, Words, board, column, stat, table, timeseries

STEPS: list[Json] = [{"color": "text", "value": None}, {"color": "orange", "value": 50}, {"color": "red", "value": 75}]
"""A low score is no promise: it is never green."""
SEEN = f"least(seen_at, {KNOWN}) >= {MOMENT} - interval '30 minutes'"
"""Somebody looked (hub.runtime.fire_watch, GAP): else the score is unknown."""
_CHOSEN = "('${institution}' = 'all' or subject = '${institution}')"
RISKS = f"""(
    select s.subject, s.division, s.title_zh, s.title_en, f.hard and f.seen as hard, case when f.seen then f.score end as score,
           case when f.seen then f.certain end as certain, f.level_zh, f.level_en, f.factors, f.seen,
           case when f.seen_at < {MOMENT} then extract(epoch from {MOMENT} - f.seen_at)::float8 when f.seen_at is not null then 1800.0 end as age,
           case when f.seen then 100.0 - (f.score - f.certain) else 0.0 end as complete
    from {SUBJECTS_THEN} s
    left join (
        select r.*, {SEEN} as seen from dash.fire_risk r
        join (select subject, max(since) as since from dash.fire_risk where since <= {UPTO} and {_CHOSEN} group by subject) l
            on l.subject = r.subject and l.since = r.since) f on f.subject = s.subject
    where {IN_DIVISION.replace("(division,", "(s.division,")} and {_CHOSEN.replace("subject", "s.subject")})"""
"""One row a subject. Complete is what does not rest on what nobody knows: of a hundred points, those that are certain either way."""
_FOOT = "max(age) as age, avg(complete) as complete"
_OPEN = f"""(select count(distinct institution) from dash.alarm where signal_class = 'fire' and raised_at <= {MOMENT} and received_at <= {KNOWN}
             and (ended_at is null or ended_at > {UPTO}) and {IN_DIVISION} and ('${{institution}}' = 'all' or institution = '${{institution}}'))"""


def fire() -> Json:
    """Who is in danger, the unknown first; what makes it up; and how one institution came to be so."""
    figures = [
        stat(Words("有未结束火警的机构", "Institutions with an open fire alarm"), f"select {_OPEN} as value, {_FOOT} from {RISKS} r", width=6, steps=NONE_WANTED),
        stat(Words("得分未知的机构", "Institutions whose score is unknown"), f"select count(*) filter (where score is null) as value, {_FOOT} from {RISKS} r", width=6, steps=NONE_WANTED),
        stat(Words("75 分及以上", "75 points and more"), f"select count(*) filter (where score >= 75) as value, {_FOOT} from {RISKS} r", width=6, steps=NONE_WANTED),
        stat(Words("得分中位数", "Median score"), f"select percentile_disc(0.5) within group (order by score) as value, {_FOOT} from {RISKS} r", width=6, steps=STEPS),
    ]  # fmt: skip
    listed = table(
        Words("机构（火警与未知在前）", "Institutions, fire alarms and the unknown first"),
        f"""select case when r.hard then 'yes' when r.hard is null then 'unknown' else '' end as hard, r.score, r.certain, r.level_@lang as level, r.title_@lang as title, r.subject as institution, r.division,
                   (select string_agg((f.value ->> case '@lang' when 'zh' then 4 else 5 end) || ' ' || (f.value ->> 0), ', ' order by (f.value ->> 0)::int desc)
                    from jsonb_each(r.factors) f where r.seen) as made, r.age, r.complete
            from {RISKS} r order by (r.hard is true) desc, r.score desc nulls first, r.subject limit 500""",
        height=14,
        columns={
            "hard": column(Words("火警或燃气", "Fire or gas"), words={"yes": (Words("是", "Yes"), "red"), "unknown": (Words("未知", "Unknown"), UNKNOWN), "": (Words("—", "—"), "text")}, width=90),
            "score": column(Words("得分", "Score"), width=80, steps=STEPS),
            "certain": column(Words("其中确知", "Of it certain"), width=90),
            "level": column(Words("等级", "Level"), width=80),
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN),
            "institution": column(Words("标识", "Identifier"), width=150),
            "division": column(Words("区划", "Division"), width=110, link=TO_DIVISION),
            "made": column(Words("由来（分）", "Made of (points)")),
        },
    )  # fmt: skip
    by_factor = table(
        Words("各因素", "By factor"),
        f"""select max(f.value ->> case '@lang' when 'zh' then 4 else 5 end) as factor, count(*) as institutions, sum((f.value ->> 2)::int) as bad,
                   sum((f.value ->> 3)::int) as unknown, avg((f.value ->> 0)::int)::float8 as points, max(r.age) as age,
                   trunc(100.0 * sum((f.value ->> 1)::int) / nullif(sum((f.value ->> 0)::int), 0), 2) as complete
            from {RISKS} r cross join lateral jsonb_each(r.factors) f where r.seen group by f.key order by sum((f.value ->> 0)::int) desc""",
        height=9,
        columns={
            "factor": column(Words("因素", "Factor")),
            "institutions": column(Words("机构", "Institutions"), width=110),
            "bad": column(Words("不良", "Bad"), width=100, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=100),
            "points": column(Words("平均分", "Points on average"), width=130),
        },
    )
    course = timeseries(
        Words("所选机构的得分", "Score of the chosen institution"),
        f"""select m.at as "time", m.metric, m.value
            from (select * from dash.fire_risk where subject = '${{institution}}' and since <= {UPTO} and $__timeFilter(since) order by since limit 2000) f,
                 lateral (values (since, case '@lang' when 'zh' then '得分' else 'score' end, score),
                                 (least(seen_at, {MOMENT}), case '@lang' when 'zh' then '得分' else 'score' end, score),
                                 (since, case '@lang' when 'zh' then '其中确知' else 'certain' end, certain)) as m(at, metric, value)
            order by 1, 2""",
        f"select {_FOOT} from {RISKS} r where '${{institution}}' <> 'all'",
        width=24,
    )
    return board(
        "anxin-fire",
        Words("火灾风险（内部参数，非标准要求）", "Fire risk (internal parameters, no standard's)"),
        [figures, [listed], [by_factor], [course]],
        variables=variables(INSTITUTION, AS_OF, KNOWN_AT),
        since="now-30d",
    )
