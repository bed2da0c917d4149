"""Coverage for regulators: from the province down to the zone, on the map, by the four modules, clause by clause."""

from dashboards.choices import (
    AGE_THEN,
    AS_OF,
    BASIS,
    DAY,
    HELD,
    IN_DIVISION,
    KNOWN_AT,
    MOMENT,
    ONE,
    STANDS,
    TIME,
    TO_DIVISION,
    TO_INSTITUTION,
    TO_ZONE,
    VERDICT_THEN,
    ZONE,
    variables,
)
from dashboards.panels import (
    BASES,
    FULL,
    FUNCTIONS,
    LINKS,
    MODULES,
    NEUTRAL,
    NO_TILES,
    NONE_WANTED,
    UNKNOWN,
    VERDICTS,
    Json,
    Words,
    board,
    choice,
    column,
    geomap,
    stat,
    table,
    timeseries,
)

SHOWN_VERDICTS = {**VERDICTS, "unsigned": (Words("符合（区域图未签认）", "Compliant, plan not signed"), UNKNOWN)}
_ORDER = (
    "array_position(array['non_compliant', 'unknown', 'unsigned', 'waived', 'compliant', 'not_applicable'], verdict)"
)
_CITED = {
    "document": column(Words("文件", "Document")),
    "number": column(Words("编号", "Number"), width=150),
    "clause": column(Words("条款", "Clause"), width=90),
}
_SINCE = column(Words("自", "Since"), unit=TIME, width=170)
_NAMED = {
    "division": column(Words("区划", "Division"), width=110, link=TO_DIVISION),
    "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
    "institution": column(Words("标识", "Identifier"), width=150),
}
_AT = "case when '${division}' = 'all' then c.topmost else c.division = '${division}' end"
"""The divisions whose totals make the whole: the chosen one, or the topmost of the scope."""
_ROLL_RATE = "100.0 * sum(compliant) / nullif(sum(compliant + non_compliant + unknown + waived), 0)"
_ROLL_AGE = f"extract(epoch from {MOMENT} - least({MOMENT}, min(oldest_check)))::float8"
_ROLL_COMPLETE = "100.0 * sum(connected - stale) / nullif(sum(register), 0)"
_UNKNOWN_RATE = "100.0 * sum(unknown) / nullif(sum(compliant + non_compliant + unknown + waived), 0)"


def _day(figure: str, title: Words, *, unit: str = "short", width: int = 4, steps: list[Json] | None = None) -> Json:
    return stat(
        title,
        f"""select ({figure})::float8 as value, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete
            from dash.day c where day = {DAY} and {_AT}""",
        width=width,
        unit=unit,
        steps=steps or list(NEUTRAL),
    )


def _rates(module: str = "", width: int = 8) -> list[Json]:
    return [
        stat(
            Words(f"{words.zh}：机构全符合率", f"{words.en}: institutions in full"),
            f"""select {_ROLL_RATE} as value, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete
                from dash.rollup c where basis = '{basis}' and module = '{module}' and day = {DAY} and {_AT}""",
            width=width,
            unit="percent",
            steps=list(FULL),
        )
        for basis, (words, _) in BASES.items()
    ]


def overview() -> Json:
    """One division: the register, three rates that are never mixed, its parts below it, its institutions with the unconnected first."""
    register = [
        _day("sum(register)", Words("名册", "On the register")),
        _day("sum(connected)", Words("已接入", "Connected")),
        _day("100.0 * sum(connected) / nullif(sum(register), 0)", Words("接入率（项目14：85 %）", "Connected (project 14: 85 %)"), unit="percent",
             steps=[{"color": "orange", "value": None}, {"color": "green", "value": 85}]),
        _day("sum(stale)", Words("判定过时", "Not judged lately"), steps=list(NONE_WANTED)),
        _day("sum(open_orders)", Words("未办结整改", "Open orders")),
        _day("sum(waivers)", Words("豁免", "Waivers")),
    ]  # fmt: skip
    below = table(
        Words("下级区划", "Divisions below"),
        f"""select d.division, d.title_@lang as title, max(y.register) as register, max(y.connected) as connected,
                   {", ".join(f"100.0 * sum(c.compliant) filter (where c.basis = '{b}') / nullif(sum(c.compliant + c.non_compliant + c.unknown + c.waived) filter (where c.basis = '{b}'), 0) as {b}" for b in BASES)},
                   100.0 * sum(c.unknown) / nullif(sum(c.compliant + c.non_compliant + c.unknown + c.waived), 0) as unknown,
                   max(y.open_orders) as open_orders,
                   extract(epoch from {MOMENT} - least({MOMENT}, min(y.oldest_check)))::float8 as age,
                   100.0 * max(y.connected - y.stale) / nullif(max(y.register), 0) as complete
            from dash.part d
            left join dash.day y on y.division = d.division and y.day = {DAY}
            left join dash.rollup c on c.division = d.division and c.day = {DAY} and c.module = ''
            where case when '${{division}}' = 'all' then d.topmost else d.parent = '${{division}}' end
            group by d.division, d.title_@lang order by d.division""",
        height=8,
        columns={
            "division": column(Words("代码", "Code"), width=110, link=TO_DIVISION),
            "title": column(Words("区划", "Division"), link=TO_DIVISION),
            "register": column(Words("名册", "Register"), width=90),
            "connected": column(Words("已接入", "Connected"), width=100),
            **{basis: column(words, unit="percent", width=120, steps=FULL) for basis, (words, _) in BASES.items()},
            "unknown": column(Words("未知率", "Unknown"), unit="percent", width=100),
            "open_orders": column(Words("未办结整改", "Open orders"), width=110),
        },
    )  # fmt: skip
    trend = timeseries(
        Words("趋势：义务的机构全符合率与未知率", "Trend: obligations in full, and unknown"),
        f"""select day::timestamp at time zone 'Asia/Shanghai' as "time", m.metric, m.value
            from (select day, {_ROLL_RATE} as rate, {_UNKNOWN_RATE} as unknown from dash.rollup c
                  where basis = 'obligation' and module = '' and day <= {DAY} and {_AT}
                    and $__timeFilter(day::timestamp at time zone 'Asia/Shanghai') group by day) d,
                 lateral (values (case '@lang' when 'zh' then '符合' else 'compliant' end, d.rate),
                                 (case '@lang' when 'zh' then '未知' else 'unknown' end, d.unknown)) as m(metric, value)
            order by 1, 2""",
        f"select {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete from dash.day c where day = {DAY} and {_AT}",
        width=24,
        unit="percent",
    )
    rows = [register, _rates(), [below], [trend], [_institutions(12)]]
    return board(
        "anxin-coverage", Words("覆盖总览", "Coverage"), rows, variables=variables(AS_OF, KNOWN_AT), since="now-90d"
    )


def _institutions(height: int) -> Json:
    return table(
        Words("机构（未接入在前）", "Institutions, not connected first"),
        f"""select case when s.connected then 'yes' else 'no' end as connected, s.title_@lang as title, coalesce(s.institution, s.subject) as institution,
                   s.division, f.non_compliant, f.unknown, f.waived, f.compliant,
                   {AGE_THEN} as age, 100.0 * (1 - f.unknown::float8 / nullif(f.applicable, 0)) as complete
            from dash.subject s
            left join (
                select v.subject, count(*) filter (where v.verdict = 'non_compliant') as non_compliant,
                       count(*) filter (where v.verdict in ('unknown', 'unsigned')) as unknown, count(*) filter (where v.verdict = 'waived') as waived,
                       count(*) filter (where v.verdict = 'compliant') as compliant, count(*) filter (where v.verdict <> 'not_applicable') as applicable
                from (select h.subject, {VERDICT_THEN} as verdict from dash.history h
                      where basis = 'obligation' and {IN_DIVISION} and {HELD}) v group by v.subject) f on f.subject = s.subject
            where {IN_DIVISION}
            order by s.connected, f.non_compliant desc, f.unknown desc, s.subject limit 500""",
        height=height,
        columns={
            "connected": column(Words("接入", "Connected"), words={"no": (Words("未接入", "No"), UNKNOWN), "yes": (Words("已接入", "Yes"), "text")}, width=100),
            **_NAMED,
            "non_compliant": column(Words("不符合", "Non-compliant"), width=110, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=90),
            "waived": column(Words("豁免", "Waived"), width=90),
            "compliant": column(Words("符合", "Compliant"), width=90),
        },
    )  # fmt: skip


def places(tiles: str = NO_TILES) -> Json:
    """Institutions on a map (WGS-84), coloured by the share of obligations that they meet; grey where that is not known."""
    shown = geomap(
        Words("地图：义务符合率", "Map: obligations met"),
        f"""select p.latitude, p.longitude, p.title_@lang as title, p.institution, p.division,
                   case when p.checked_at is null or p.checked_at < now() - interval '3 minutes' then -1.0
                        else coalesce(100.0 * f.compliant / nullif(f.applicable, 0), -1.0) end as rate,
                   extract(epoch from now() - p.checked_at)::float8 as age,
                   100.0 * (1 - f.unknown::float8 / nullif(f.applicable, 0)) as complete
            from dash.place p
            left join (select institution, count(*) filter (where verdict = 'compliant') as compliant,
                              count(*) filter (where verdict in ('unknown', 'unsigned')) as unknown,
                              count(*) filter (where verdict <> 'not_applicable') as applicable
                       from dash.verdict where basis = '${{basis}}' and {IN_DIVISION} group by institution) f on f.institution = p.institution
            where p.latitude is not null and p.longitude is not null and ('${{division}}' = 'all' or starts_with(p.division, '${{division}}'))
            order by p.institution limit 5000""",
        height=18,
        tiles=tiles,
        columns={
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
            "rate": column(Words("符合率", "Rate"), unit="percent"),
        },
    )
    unplaced = stat(
        Words("没有坐标，不在图上", "Without a place, not on the map"),
        f"select (select count(*) from dash.place where (latitude is null or longitude is null) and {IN_DIVISION}) as value, s.* from {STANDS} s",
        width=12,
    )
    unconnected = stat(
        Words("未接入，不在图上", "Not connected, not on the map"),
        f"select (select count(*) from dash.subject where not connected and {IN_DIVISION}) as value, s.* from {STANDS} s",
        width=12,
    )
    return board("anxin-map", Words("地图", "Map"), [[unplaced, unconnected], [shown]], variables=variables(BASIS))


def modules() -> Json:
    """The four modules 四大模块, each with obligation, target and recommendation apart, and their trend."""
    four = ("video", "panic", "access", "fire")
    rows: list[list[Json]] = []
    for module in four:
        words = MODULES[module][0]
        figures = [
            {**one, "title": Words(f"{words.zh} · {one['title'].zh}", f"{words.en} · {one['title'].en}")}
            for one in _rates(module)
        ]
        rows.append(figures)
    trend = timeseries(
        Words("四大模块：目标的机构全符合率", "Four modules: institutions that meet the target in full"),
        f"""select day::timestamp at time zone 'Asia/Shanghai' as "time", module as metric, {_ROLL_RATE} as rate from dash.rollup c
            where basis = 'target' and module in ('video', 'panic', 'access', 'fire') and day <= {DAY} and {_AT}
              and $__timeFilter(day::timestamp at time zone 'Asia/Shanghai') group by day, module order by 1, 2""",
        f"select {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete from dash.day c where day = {DAY} and {_AT}",
        width=24,
        unit="percent",
    )
    names = {module: (words, colour) for module, (words, colour) in MODULES.items()}
    by_module = table(
        Words("各模块判定数", "Findings by module"),
        f"""select module, basis, sum(findings_compliant) as compliant, sum(findings_non_compliant) as non_compliant,
                   sum(findings_unknown) as unknown, sum(findings_waived) as waived, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete
            from dash.rollup c where module <> '' and day = {DAY} and {_AT} group by module, basis order by module, basis""",
        height=9,
        columns={
            "module": column(Words("模块", "Module"), words=names),
            "basis": column(Words("依据", "Basis"), words=BASES, width=150),
            "compliant": column(Words("符合", "Compliant"), width=120),
            "non_compliant": column(Words("不符合", "Non-compliant"), width=120, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=120),
            "waived": column(Words("豁免", "Waived"), width=120),
        },
    )
    return board(
        "anxin-modules",
        Words("四大模块", "Four modules"),
        [*rows, [trend], [by_module]],
        variables=variables(AS_OF),
        since="now-90d",
    )


def clauses() -> Json:
    """Clause by clause: how each rule stands, with what it cites; below, who does not meet the chosen one."""
    rule = choice(
        "rule",
        Words("规则", "Rule"),
        f"""select * from (select case '@lang' when 'zh' then '全部' else 'All' end as __text, 'all' as __value
            union all select distinct rule, rule from dash.verdict where basis = '${{basis}}' and {IN_DIVISION}) x
            order by __value <> 'all', __value""",
    )
    by_clause = table(
        Words("按条款", "By clause"),
        f"""select c.rule, t.title_@lang as title, t.document, t.number, t.clause, t.force, c.compliant, c.non_compliant, c.unknown, c.waived,
                   100.0 * c.compliant / nullif(c.compliant + c.non_compliant + c.unknown + c.waived, 0) as rate, c.age,
                   100.0 * (1 - c.unknown::float8 / nullif(c.compliant + c.non_compliant + c.unknown + c.waived, 0)) as complete
            from (select rule, count(*) filter (where verdict = 'compliant') as compliant,
                         count(*) filter (where verdict = 'non_compliant') as non_compliant,
                         count(*) filter (where verdict in ('unknown', 'unsigned')) as unknown,
                         count(*) filter (where verdict = 'waived') as waived, max(statement::text)::bytea as statement,
                         extract(epoch from now() - min(checked_at))::float8 as age
                  from dash.verdict where basis = '${{basis}}' and {IN_DIVISION} group by rule) c
            join dash.statement t on t.statement = c.statement
            order by c.non_compliant desc, c.unknown desc, c.rule""",
        height=14,
        columns={
            "rule": column(Words("规则", "Rule"), width=190, link="/d/anxin-clauses@suffix?${division:queryparam}&${basis:queryparam}&var-rule=${__data.fields.rule}&${__url_time_range}"),
            "title": column(Words("要求", "Requirement")),
            **_CITED,
            "force": column(Words("效力", "Force"), width=80),
            "compliant": column(Words("符合", "Compliant"), width=90),
            "non_compliant": column(Words("不符合", "Non-compliant"), width=90, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=80),
            "waived": column(Words("豁免", "Waived"), width=80),
            "rate": column(Words("符合率", "Rate"), unit="percent", width=90, steps=FULL),
        },
    )  # fmt: skip
    return board("anxin-clauses", Words("逐条对照", "Clause by clause"), [[by_clause], [_findings(14, "and basis = '${basis}' and ('${rule}' = 'all' or rule = '${rule}')", IN_DIVISION)]], variables=variables(BASIS, rule, AS_OF, KNOWN_AT))  # fmt: skip


def _findings(
    height: int, more: str, where: str, wanted: str = "verdict in ('non_compliant', 'unknown', 'unsigned', 'waived')"
) -> Json:
    return table(
        Words("判定与依据（截至所选时间）", "Findings and what they cite, as of the chosen time"),
        f"""select verdict, title_@lang as title, coalesce(institution, subject) as institution, division, sentence_@lang as sentence, document, number, clause, since, age,
                   case verdict when 'unknown' then 0.0 else 100.0 end as complete
            from (select {VERDICT_THEN} as verdict, {AGE_THEN} as age, h.title_zh, h.title_en, h.institution, h.subject, h.division, h.sentence_zh,
                         h.sentence_en, h.document, h.number, h.clause, h.since
                  from dash.history h where {where} {more} and {HELD}) v
            where {wanted}
            order by {_ORDER}, since desc, subject limit 500""",
        height=height,
        columns={
            "verdict": column(Words("判定", "Verdict"), words=SHOWN_VERDICTS, width=150),
            **_NAMED,
            "sentence": column(Words("说明", "Finding")),
            **_CITED,
            "since": _SINCE,
        },
    )  # fmt: skip


def institution() -> Json:
    """One institution as of any time, as it was known at any time: figures, findings by clause, zones, devices."""
    here = "institution = '${institution}'"
    counts = [
        stat(
            Words(f"{words.zh}：条款符合率", f"{words.en}: clauses met"),
            f"""select 100.0 * count(*) filter (where verdict = 'compliant') / nullif(count(*) filter (where verdict <> 'not_applicable'), 0) as value,
                       max(age) as age, 100.0 * count(*) filter (where verdict not in ('unknown', 'unsigned', 'not_applicable'))
                           / nullif(count(*) filter (where verdict <> 'not_applicable'), 0) as complete
                from (select {VERDICT_THEN} as verdict, {AGE_THEN} as age from dash.history h where {here} and basis = '{basis}' and {HELD}) v""",
            width=8,
            unit="percent",
            steps=list(FULL),
        )
        for basis, (words, _) in BASES.items()
    ]
    zones = table(
        Words("区域", "Zones"),
        f"""select z.title_@lang as title, z.zone, z.institution, z.purpose, z.floor, z.area_m2, count(d.device) as devices,
                   count(d.device) filter (where d.link_state = 'online') as online, extract(epoch from now() - min(d.last_heard_at))::float8 as age,
                   100.0 * count(d.device) filter (where d.link_state = 'online') / nullif(count(d.device), 0) as complete
            from dash.zone z left join dash.device_state d on d.institution = z.institution and d.zone = z.zone and d.admin_state = 'in_service'
            where z.{here} group by z.title_@lang, z.zone, z.institution, z.purpose, z.floor, z.area_m2 order by z.floor, z.zone""",
        height=9,
        columns={
            "title": column(Words("区域", "Zone"), link=TO_ZONE),
            "zone": column(Words("标识", "Identifier"), width=140),
            "institution": column(Words("托育机构", "Institution"), hidden=True),
            "purpose": column(Words("用途", "Purpose"), width=140),
            "floor": column(Words("楼层", "Floor"), width=80),
            "area_m2": column(Words("面积 m²", "Area m²"), width=100),
            "devices": column(Words("设备", "Devices"), width=90),
            "online": column(Words("在线", "Online"), width=90),
        },
    )  # fmt: skip
    rows = [counts, [_findings(16, "", here, "true")], [zones]]
    return board("anxin-institution", Words("托育机构", "Institution"), rows, variables=variables(ONE, AS_OF, KNOWN_AT))


def zone() -> Json:
    """One zone: its devices and what was raised there."""
    here = "institution = '${institution}' and zone = '${zone}'"
    standing = f"(select extract(epoch from now() - min(last_heard_at))::float8 as age, 100.0 * count(*) filter (where link_state = 'online') / nullif(count(*), 0) as complete from dash.device_state where {here} and admin_state = 'in_service')"
    figures = [
        stat(Words("在用设备", "Devices in service"), f"select (select count(*) from dash.device_state where {here} and admin_state = 'in_service') as value, s.* from {standing} s", width=8),
        stat(Words("不在线", "Not online"), f"select (select count(*) from dash.device_state where {here} and admin_state = 'in_service' and link_state <> 'online') as value, s.* from {standing} s", width=8, steps=NONE_WANTED),
        stat(Words("未结束的告警", "Open alarms"), f"select (select count(*) from dash.alarm a join dash.device_state d on d.device = a.device where d.{here.replace(' and zone', ' and d.zone')} and a.ended_at is null) as value, s.* from {standing} s", width=8, steps=NONE_WANTED),
    ]  # fmt: skip
    devices = table(
        Words("设备", "Devices"),
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
    return board("anxin-zone", Words("区域", "Zone"), [figures, [devices]], variables=variables(ONE, ZONE))
