"""One place: an institution, one of its zones, and what is found there; institutions by group and by operator."""

from dashboards.asof import (
    AGE_THEN,
    COMPLETE_THEN,
    COUNTED,
    FRESH_THEN,
    HELD,
    KNOWN,
    MET,
    MOMENT,
    ORDERS_THEN,
    RANKS,
    UPTO,
    VERDICT_THEN,
    standing_then,
)
from dashboards.choices import (
    AS_OF,
    BASIS,
    GROUP,
    IN_DIVISION,
    KNOWN_AT,
    ONE,
    TIME,
    TO_DIVISION,
    TO_INSTITUTION_THEN,
    TO_ZONE_THEN,
    ZONE,
    now,
    variables,
)
from dashboards.panels import (
    BASES,
    FULL,
    FUNCTIONS,
    LINKS,
    NONE_WANTED,
    UNKNOWN,
    VERDICTS,
    Json,
    Words,
    board,
    column,
    share,
    stat,
    table,
)

SHOWN_VERDICTS = {**VERDICTS, "unsigned": (Words("符合（区域图未签认）", "Compliant, plan not signed"), UNKNOWN)}
CONTRIBUTIONS = {
    "proven": (Words("计入", "Counts"), "green"),
    "unknown": (Words("未知", "Unknown"), UNKNOWN),
    "none": (Words("不计入", "Does not count"), "red"),
}
CITED = {
    "document": column(Words("文件", "Document")),
    "number": column(Words("编号", "Number"), width=150),
    "clause": column(Words("条款", "Clause"), width=90),
}
NAMED = {
    "division": column(Words("区划", "Division"), width=110, link=TO_DIVISION),
    "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN),
    "institution": column(Words("标识", "Identifier"), width=150),
}
_SINCE = column(Words("自", "Since"), unit=TIME, width=170)


def findings(
    height: int, more: str, where: str, wanted: str = "verdict in ('non_compliant', 'unknown', 'unsigned', 'waived')"
) -> Json:
    """What was found, the worst first."""
    return table(
        Words("判定与依据（截至所选时间）", "Findings and what they cite, as of the chosen time"),
        f"""select verdict, title_@lang as title, coalesce(institution, subject) as institution, division, sentence_@lang as sentence, document, number, clause, since, age,
                   case verdict when 'unknown' then 0.0 else 100.0 end as complete
            from (select {VERDICT_THEN} as verdict, {AGE_THEN} as age, h.title_zh, h.title_en, h.institution, h.subject, h.division, h.sentence_zh,
                         h.sentence_en, h.document, h.number, h.clause, h.since
                  from dash.history h where {where} {more} and {HELD}) v
            where {wanted}
            order by array_position({RANKS}, verdict), since desc, subject limit 500""",
        height=height,
        columns={
            "verdict": column(Words("判定", "Verdict"), words=SHOWN_VERDICTS, width=150),
            **NAMED,
            "sentence": column(Words("说明", "Finding")),
            **CITED,
            "since": _SINCE,
        },
    )  # fmt: skip


def institution() -> Json:
    """One institution as of any time, as it was known at any time: figures, findings by clause, zones, devices."""
    here = "institution = '${institution}'"
    counts = [
        stat(
            Words(f"{words.zh}：条款符合率", f"{words.en}: clauses met"),
            f"""select {share("count(*) filter (where verdict = 'compliant')", "count(*) filter (where verdict <> 'not_applicable')")} as value,
                       max(age) as age, trunc(100.0 * count(*) filter (where verdict not in ('unknown', 'unsigned', 'not_applicable')) / nullif(count(*) filter (where verdict <> 'not_applicable'), 0), 2) as complete
                from (select {VERDICT_THEN} as verdict, {AGE_THEN} as age from dash.history h where {here} and basis = '{basis}' and {HELD}) v""",
            width=8,
            unit="percent",
            steps=list(FULL),
        )
        for basis, (words, _) in BASES.items()
    ]
    zones = table(
        now(Words("区域与设备", "Zones and devices")),
        f"""select z.title_@lang as title, z.zone, z.institution, z.purpose, z.floor, z.area_m2, count(d.device) as devices,
                   count(d.device) filter (where d.link_state = 'online') as online, extract(epoch from now() - min(d.last_heard_at))::float8 as age,
                   trunc(100.0 * count(d.device) filter (where d.link_state = 'online') / nullif(count(d.device), 0), 2) as complete
            from dash.zone z left join dash.device_state d on d.institution = z.institution and d.zone = z.zone and d.admin_state = 'in_service'
            where z.{here} group by z.title_@lang, z.zone, z.institution, z.purpose, z.floor, z.area_m2 order by z.floor, z.zone""",
        height=9,
        columns={
            "title": column(Words("区域", "Zone"), link=TO_ZONE_THEN),
            "zone": column(Words("标识", "Identifier"), width=140),
            "institution": column(Words("托育机构", "Institution"), hidden=True),
            "purpose": column(Words("用途", "Purpose"), width=140),
            "floor": column(Words("楼层", "Floor"), width=80),
            "area_m2": column(Words("面积 m²", "Area m²"), width=100),
            "devices": column(Words("设备", "Devices"), width=90),
            "online": column(Words("在线", "Online"), width=90),
        },
    )  # fmt: skip
    rows = [counts, [findings(16, "", here, "true")], [zones]]
    return board("anxin-institution", Words("托育机构", "Institution"), rows, variables=variables(ONE, AS_OF, KNOWN_AT))


_OF_ZONE = f"""(
    select h.subject, h.rule, h.reason, h.checked_at, h.rule_zh, h.rule_en, h.document, h.number, h.clause, h.since, p.part,
           case when h.reason = 'stale' then 'unknown' when p.part ->> 'verdict' = 'compliant' and h.plan_not_signed then 'unsigned'
                else p.part ->> 'verdict' end as verdict
    from dash.history h cross join lateral jsonb_array_elements(h.evidence) as p(part)
    where institution = '${{institution}}' and p.part ->> 'zone' = '${{zone}}' and {HELD})"""
"""The parts of findings that speak of this zone. What nobody looked at is unknown, though its evidence is that of the time before."""


def zone() -> Json:
    """One zone: what was found in it and on which devices, its devices now, and what was raised there."""
    here = "institution = '${institution}' and zone = '${zone}'"
    standing = f"(select extract(epoch from now() - min(last_heard_at))::float8 as age, trunc(100.0 * count(*) filter (where link_state = 'online') / nullif(count(*), 0), 2) as complete from dash.device_state where {here} and admin_state = 'in_service')"
    judged = f"(select max({AGE_THEN}) as age, trunc(100.0 * count(*) filter (where {FRESH_THEN}) / nullif(count(*), 0), 2) as complete from dash.institution where institution = '${{institution}}')"
    parts = f"(select {VERDICT_THEN} as verdict, {AGE_THEN} as age from {_OF_ZONE} h)"
    open_ = f"raised_at <= {MOMENT} and received_at <= {KNOWN} and (ended_at is null or ended_at > {UPTO})"

    def count(condition: str) -> str:
        return f"""select count(*) filter (where {condition}) as value, max(age) as age,
            trunc(100.0 * count(*) filter (where verdict not in ('unknown', 'unsigned', 'not_applicable')) / nullif(count(*) filter (where verdict <> 'not_applicable'), 0), 2) as complete
            from {parts} v"""

    figures = [
        stat(Words("不符合的条款", "Clauses not met"), count("verdict = 'non_compliant'"), width=5, steps=NONE_WANTED),
        stat(Words("未知的条款", "Clauses unknown"), count("verdict in ('unknown', 'unsigned')"), width=5, steps=NONE_WANTED),
        stat(Words("未结束的告警", "Open alarms"), f"select (select count(*) from dash.alarm where {here} and {open_}) as value, s.* from {judged} s", width=4, steps=NONE_WANTED),
        stat(now(Words("在用设备", "Devices in service")), f"select (select count(*) from dash.device_state where {here} and admin_state = 'in_service') as value, s.* from {standing} s", width=5),
        stat(now(Words("不在线", "Not online")), f"select (select count(*) from dash.device_state where {here} and admin_state = 'in_service' and link_state <> 'online') as value, s.* from {standing} s", width=5, steps=NONE_WANTED),
    ]  # fmt: skip
    by_rule = table(
        Words("本区域的判定", "Found in this zone"),
        f"""select verdict, rule_@lang as title, document, number, clause, (part ->> 'needed')::float8 as needed, (part ->> 'proven')::float8 as proven, since, age,
                   case verdict when 'unknown' then 0.0 else 100.0 end as complete
            from (select {VERDICT_THEN} as verdict, {AGE_THEN} as age, rule_zh, rule_en, document, number, clause, part, since from {_OF_ZONE} h) v
            order by array_position({RANKS}, verdict), title limit 500""",
        height=10,
        columns={
            "verdict": column(Words("判定", "Verdict"), words=SHOWN_VERDICTS, width=150),
            "title": column(Words("要求", "Requirement")),
            **CITED,
            "needed": column(Words("应有", "Needed"), width=80),
            "proven": column(Words("已证实", "Proven"), width=80),
            "since": _SINCE,
        },
    )
    evidence = table(
        Words("判定所依据的设备", "Devices that this stands on"),
        f"""select distinct d.device ->> 'device' as device,
                   case when h.reason = 'stale' or ({FRESH_THEN}) is not true then 'unknown' else d.device ->> 'contribution' end as contribution, d.device ->> 'reason' as reason,
                   (d.device ->> 'since')::timestamptz as since, {AGE_THEN} as age, {COMPLETE_THEN} as complete
            from {_OF_ZONE} h cross join lateral jsonb_array_elements(h.part -> 'devices') as d(device)
            order by 1, 2, 3 limit 500""",
        height=10,
        columns={
            "device": column(Words("设备", "Device")),
            "contribution": column(Words("当时", "Then"), words=CONTRIBUTIONS, width=110),
            "reason": column(Words("原因", "Reason"), width=200),
            "since": _SINCE,
        },
    )
    devices = table(
        now(Words("设备", "Devices")),
        f"""select device, kind, admin_state, link_state, function_state, proven_at, last_heard_at,
                   extract(epoch from now() - last_heard_at)::float8 as age, case link_state when 'online' then 100.0 else 0.0 end as complete
            from dash.device_state where {here} order by device""",
        height=10,
        columns={
            "device": column(Words("设备", "Device")),
            "kind": column(Words("种类", "Kind"), width=150),
            "admin_state": column(Words("管理状态", "Admin state"), width=120),
            "link_state": column(Words("连接", "Link"), words=LINKS, width=110),
            "function_state": column(Words("功能", "Function"), words=FUNCTIONS, width=110),
            "proven_at": column(Words("最近证实", "Proven"), unit=TIME, width=170),
            "last_heard_at": column(Words("最后通信", "Last heard"), unit=TIME, width=170),
        },
    )
    return board(
        "anxin-zone",
        Words("区域", "Zone"),
        [figures, [by_rule], [evidence], [devices]],
        variables=variables(ONE, ZONE, AS_OF, KNOWN_AT),
    )


def groups() -> Json:
    """Institutions that belong together across divisions, and those of one operator: over the members that lie within the scope."""
    members = (
        "institution in (select m.institution from dash.member m where '${group}' = 'all' or m.group_id = '${group}')"
    )
    of_members = standing_then(f"basis = '${{basis}}' and {members}")
    met = share(f"count(*) filter (where t.worst = {MET})", f"count(*) filter (where t.worst <= {COUNTED})")
    figured = f"""count(*) as institutions, {met} as rate, count(*) filter (where t.worst = 1) as non_compliant,
                   count(*) filter (where t.worst in (2, 3)) as unknown, max({AGE_THEN}) as age,
                   trunc(100.0 * count(*) filter (where {FRESH_THEN}) / nullif(count(*), 0), 2) as complete"""
    whole = f"(select {figured} from {of_members} t where t.listed and t.{members.replace('institution in', 'subject in', 1)})"
    shown = {
        "institutions": column(Words("机构", "Institutions"), width=100),
        "rate": column(Words("全符合率", "In full"), unit="percent", width=120, steps=FULL),
        "non_compliant": column(Words("不符合", "Non-compliant"), width=120, steps=NONE_WANTED),
        "unknown": column(Words("未知", "Unknown"), width=100),
        "open_orders": column(Words("未办结整改", "Open orders"), width=120),
    }
    figures = [
        stat(Words("成员机构数", "Members"), f"select institutions as value, age, complete from {whole} w", width=6),
        stat(Words("全符合率", "Institutions in full"), f"select rate as value, age, complete from {whole} w", width=6, unit="percent", steps=FULL),
        stat(Words("不符合的机构", "Institutions that do not comply"), f"select non_compliant as value, age, complete from {whole} w", width=6, steps=NONE_WANTED),
        stat(Words("未知的机构", "Institutions unknown"), f"select unknown as value, age, complete from {whole} w", width=6, steps=NONE_WANTED),
    ]  # fmt: skip
    ordered = f"(select institution, count(*) as n from {ORDERS_THEN} w where {IN_DIVISION} and state_then not in ('draft', 'closed', 'withdrawn') group by institution)"
    by_group = table(
        Words("机构组（成员按现在）", "Groups (members as of now)"),
        f"""select g.group_id, g.title_@lang as title, {figured.replace(", max(", ", coalesce(sum(o.n), 0) as open_orders, max(", 1)}
            from dash.institution_group g join dash.member m on m.group_id = g.group_id join {of_members} t on t.listed and t.subject = m.institution
            left join {ordered} o on o.institution = m.institution
            group by g.group_id, g.title_@lang order by rate nulls first, g.group_id limit 500""",
        height=10,
        columns={
            "group_id": column(Words("标识", "Identifier"), width=150, link="/d/anxin-groups@suffix?${division:queryparam}&${basis:queryparam}&var-group=${__data.fields.group_id}&${__url_time_range}&${as_of:queryparam}&${known_at:queryparam}"),
            "title": column(Words("机构组", "Group")),
            **shown,
        },
    )  # fmt: skip
    by_operator = table(
        Words("运营者（按现在）", "Operators (as of now)"),
        f"""select i.operator, {figured.replace(", max(", ", coalesce(sum(o.n), 0) as open_orders, max(", 1)}
            from {standing_then("basis = '${basis}'")} t join (select institution, operator from dash.institution where operator is not null) i on t.listed and i.institution = t.subject
            left join {ordered} o on o.institution = i.institution
            group by i.operator order by rate nulls first, i.operator limit 500""",
        height=10,
        columns={"operator": column(Words("运营者", "Operator")), **shown},
    )
    listed = table(
        Words("成员机构", "Member institutions"),
        f"""select t.title_@lang as title, t.subject as institution, t.division, t.non_compliant, t.unknown, t.waived, t.compliant, {AGE_THEN} as age,
                   100.0 * (1 - t.unknown::float8 / nullif(t.compliant + t.non_compliant + t.unknown + t.waived, 0)) as complete
            from {of_members} t where t.listed and t.{members.replace("institution in", "subject in", 1)}
            order by t.non_compliant desc nulls last, t.unknown desc nulls last, t.subject limit 500""",
        height=12,
        columns={
            **NAMED,
            "non_compliant": column(Words("不符合", "Non-compliant"), width=110, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=90),
            "waived": column(Words("豁免", "Waived"), width=90),
            "compliant": column(Words("符合", "Compliant"), width=90),
        },
    )
    return board(
        "anxin-groups",
        Words("机构组与运营者", "Groups and operators"),
        [figures, [by_group], [by_operator], [listed]],
        variables=variables(GROUP, BASIS, AS_OF, KNOWN_AT),
    )
