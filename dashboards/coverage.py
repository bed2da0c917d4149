"""Coverage for regulators: from the province down to the zone, on the map, by the four modules, clause by clause."""

from dashboards.asof import (
    AGE_THEN,
    CHOSEN,
    COUNTED,
    DAY,
    FRESH_THEN,
    HELD,
    MET,
    MOMENT,
    ORDERS_THEN,
    PLACES_THEN,
    STANDING_THEN,
    STANDS_THEN,
    SUBJECTS_THEN,
    VERDICT_THEN,
    WAIVED_THEN,
    either,
    standing_then,
)
from dashboards.choices import AS_OF, BASIS, IN_DIVISION, KNOWN_AT, TO_DIVISION, TO_INSTITUTION_THEN, variables
from dashboards.panels import (
    BASES,
    FULL,
    MODULES,
    NEUTRAL,
    NO_TILES,
    NONE_WANTED,
    UNKNOWN,
    Json,
    Words,
    board,
    choice,
    column,
    geomap,
    lack,
    share,
    stat,
    table,
    timeseries,
)
from dashboards.places import CITED, NAMED, findings

_AT = "case when '${division}' = 'all' then c.topmost else c.division = '${division}' end"
"""The divisions whose totals make the whole: the chosen one, or the topmost of the scope."""
_LAST = f"(select max(day) from dash.day where day between {DAY} - 1 and {DAY})"
"""The latest totals: just after midnight those of yesterday, until today's are taken."""
_TAKEN = "min(taken_at) > now() - interval '15 minutes'"
"""The hub takes its totals every four minutes (hub.runtime.order_clock): older ones are no figures of now."""
_ROLL_RATE = share("sum(compliant)", "sum(compliant + non_compliant + unknown + waived)")
_ROLL_AGE = f"extract(epoch from {MOMENT} - least({MOMENT}, min(oldest_check)))::float8"
_ROLL_COMPLETE = share("sum(connected - stale)", "sum(register)")
_UNKNOWN_RATE = lack("sum(unknown)", "sum(compliant + non_compliant + unknown + waived)")
_STANDING = STANDING_THEN.replace("(where ", "(where connected and ")


def _day(
    figure: str, then: str, title: Words, *, unit: str = "short", width: int = 4, steps: list[Json] | None = None
) -> Json:
    """A total of now by the latest count, or the same of a past by the ledger: `then` gives it over SUBJECTS_THEN as s."""
    now = f"select case when {_TAKEN} then ({figure})::float8 end as value, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete from dash.day c where day = {_LAST} and {_AT}"
    past = f"select case when count(*) > 0 then ({then})::float8 end, {_STANDING} from {SUBJECTS_THEN} s where listed and {IN_DIVISION}"
    return stat(title, either(now, past), width=width, unit=unit, steps=steps or list(NEUTRAL))


def _rates(module: str = "", width: int = 8) -> list[Json]:
    which = "basis = '{}'" + (f" and module = '{module}'" if module else "")
    met = share(f"count(*) filter (where worst = {MET})", f"count(*) filter (where worst <= {COUNTED})")
    return [
        stat(
            Words(f"{words.zh}：机构全符合率", f"{words.en}: institutions in full"),
            either(
                f"""select case when {_TAKEN} then {_ROLL_RATE} end as value, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete
                    from dash.rollup c where basis = '{basis}' and module = '{module}' and day = {_LAST} and {_AT}""",
                f"select {met}, {_STANDING} from {standing_then(which.format(basis))} t where listed",
            ),
            width=width,
            unit="percent",
            steps=list(FULL),
        )
        for basis, (words, _) in BASES.items()
    ]


def overview() -> Json:
    """One division: the register, three rates that are never mixed, its parts below it, its institutions with the unconnected first."""
    orders = f"(select count(*) from {ORDERS_THEN} w where {IN_DIVISION} and state_then not in ('draft', 'closed', 'withdrawn'))"
    register = [
        _day("sum(register)", "count(*)", Words("名册", "On the register")),
        _day("sum(connected)", "count(*) filter (where connected)", Words("已接入", "Connected")),
        _day(share("sum(connected)", "sum(register)"), share("count(*) filter (where connected)", "count(*)"),
             Words("接入率（项目14：85 %）", "Connected (project 14: 85 %)"), unit="percent",
             steps=[{"color": "orange", "value": None}, {"color": "green", "value": 85}]),
        _day("sum(stale)", f"count(*) filter (where ({FRESH_THEN}) is not true)", Words("判定过时", "Not judged lately"), steps=list(NONE_WANTED)),
        _day("sum(open_orders)", orders, Words("未办结整改", "Open orders")),
        _day("sum(waivers)", f"(select count(*) from dash.waiver where {IN_DIVISION} and {WAIVED_THEN})", Words("豁免", "Waivers")),
    ]  # fmt: skip
    below = table(
        Words("下级区划", "Divisions below"),
        f"select * from ({_below_now()} union all {_below_then()}) b order by division",
        height=8,
        columns={
            "division": column(Words("代码", "Code"), width=110, link=TO_DIVISION),
            "title": column(Words("区划", "Division"), link=TO_DIVISION),
            "register": column(Words("名册", "Register"), width=90),
            "connected": column(Words("已接入", "Connected"), width=100),
            **{basis: column(words, unit="percent", width=120, steps=FULL) for basis, (words, _) in BASES.items()},
            "unknown": column(Words("义务未知率", "Obligations unknown"), unit="percent", width=120),
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
        f"select {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete from dash.day c where day = {_LAST} and {_AT}",
        width=24,
        unit="percent",
    )
    rows = [register, _rates(), [below], [trend], [_institutions(12)]]
    return board(
        "anxin-coverage", Words("覆盖总览", "Coverage"), rows, variables=variables(AS_OF, KNOWN_AT), since="now-90d"
    )


_PARTS = "case when '${division}' = 'all' then d.topmost else d.parent = '${division}' end"


def _below_now() -> str:
    """The divisions below, by the latest totals."""
    counted = "sum(c.compliant + c.non_compliant + c.unknown + c.waived)"
    of = {b: f"filter (where c.basis = '{b}')" for b in BASES}
    rates = ", ".join(f"{share(f'sum(c.compliant) {of[b]}', f'{counted} {of[b]}')} as {b}" for b in BASES)
    unknown = lack(f"sum(c.unknown) {of['obligation']}", f"{counted} {of['obligation']}")
    return f"""select d.division, d.title_@lang as title, max(y.register) as register, max(y.connected) as connected, {rates},
                   {unknown} as unknown,
                   max(y.open_orders) as open_orders, extract(epoch from {MOMENT} - least({MOMENT}, min(y.oldest_check)))::float8 as age,
                   {share("max(y.connected - y.stale)", "max(y.register)")} as complete
            from dash.part d
            left join dash.day y on y.division = d.division and y.day = {_LAST} and y.taken_at > now() - interval '15 minutes'
            left join dash.rollup c on c.division = d.division and c.day = {_LAST} and c.module = '' and c.taken_at > now() - interval '15 minutes'
            where not {CHOSEN} and {_PARTS}
            group by d.division, d.title_@lang"""


def _below_then() -> str:
    """The divisions below as they stood in the chosen past."""
    counted = {b: f"worst <= {COUNTED} and (basis is null or basis = '{b}')" for b in BASES}
    rates = ", ".join(
        f"{share(f'count(*) filter (where worst = {MET} and {which})', f'count(*) filter (where {which})')} as {b}"
        for b, which in counted.items()
    )
    which = counted["obligation"]
    unknown = lack(f"count(*) filter (where worst in (2, 3) and {which})", f"count(*) filter (where {which})")
    return f"""(with t as materialized (select * from {standing_then("true", by="basis")} x where listed and {CHOSEN}),
                o as materialized (select division from {ORDERS_THEN} w where {CHOSEN} and {IN_DIVISION} and state_then not in ('draft', 'closed', 'withdrawn'))
            select d.division, d.title_@lang, s.register, s.connected, s.{", s.".join(BASES)}, s.unknown,
                   (select count(*) from o where starts_with(o.division, d.division)), s.age, s.complete
            from dash.part d
            cross join lateral (
                select count(distinct subject)::int as register, (count(distinct subject) filter (where connected))::int as connected, {rates},
                       {unknown} as unknown, max({AGE_THEN}) as age,
                       {share(f"count(distinct subject) filter (where connected and {FRESH_THEN})", "count(distinct subject)")} as complete
                from t where starts_with(t.division, d.division)) s
            where {CHOSEN} and {_PARTS})"""


def _institutions(height: int) -> Json:
    return table(
        Words("机构（未接入在前）", "Institutions, not connected first"),
        f"""select case when t.connected then 'yes' else 'no' end as connected, t.title_@lang as title, t.subject as institution,
                   t.division, t.non_compliant, t.unknown, t.waived, t.compliant, {AGE_THEN.replace("checked_at", "t.checked_at")} as age,
                   100.0 * (1 - t.unknown::float8 / nullif(t.compliant + t.non_compliant + t.unknown + t.waived, 0)) as complete
            from {standing_then("basis = 'obligation'")} t
            order by t.connected, t.non_compliant desc, t.unknown desc, t.subject limit 500""",
        height=height,
        columns={
            "connected": column(Words("接入", "Connected"), words={"no": (Words("未接入", "No"), UNKNOWN), "yes": (Words("已接入", "Yes"), "text")}, width=100),
            **NAMED,
            "non_compliant": column(Words("不符合", "Non-compliant"), width=110, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=90),
            "waived": column(Words("豁免", "Waived"), width=90),
            "compliant": column(Words("符合", "Compliant"), width=90),
        },
    )  # fmt: skip


def places(tiles: str = NO_TILES) -> Json:
    """Institutions on a map (WGS-84), coloured by the share of obligations that they meet; grey where that is not known."""
    shown = geomap(
        Words("地图：所选依据的符合率", "Map: what is met of the chosen basis"),
        f"""select p.latitude, p.longitude, p.title_@lang as title, p.institution, p.division,
                   case when (p.{FRESH_THEN}) is not true then -1.0 else coalesce({share("f.compliant", "f.applicable")}, -1.0) end as rate,
                   {AGE_THEN} as age, 100.0 * (1 - f.unknown::float8 / nullif(f.applicable, 0)) as complete
            from {PLACES_THEN} p
            left join (select v.institution, count(*) filter (where v.verdict = 'compliant') as compliant,
                              count(*) filter (where v.verdict in ('unknown', 'unsigned')) as unknown,
                              count(*) filter (where v.verdict <> 'not_applicable') as applicable
                       from (select h.institution, {VERDICT_THEN} as verdict from dash.history h
                             where basis = '${{basis}}' and {IN_DIVISION} and {HELD}) v group by v.institution) f on f.institution = p.institution
            where p.latitude is not null and p.longitude is not null and {IN_DIVISION}
            order by p.institution limit 5000""",
        height=18,
        tiles=tiles,
        columns={
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN),
            "rate": column(Words("符合率", "Rate"), unit="percent"),
        },
    )
    unplaced = stat(
        Words("没有坐标，不在图上", "Without a place, not on the map"),
        f"select (select count(*) from {PLACES_THEN} p where (latitude is null or longitude is null) and {IN_DIVISION}) as value, s.* from {STANDS_THEN} s",
        width=12,
    )
    unconnected = stat(
        Words("未接入，不在图上", "Not connected, not on the map"),
        f"select (select count(*) from {SUBJECTS_THEN} n where not connected and {IN_DIVISION}) as value, s.* from {STANDS_THEN} s",
        width=12,
    )
    rows = [[unplaced, unconnected], [shown]]
    return board("anxin-map", Words("地图", "Map"), rows, variables=variables(BASIS, AS_OF, KNOWN_AT))


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
        f"select {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete from dash.day c where day = {_LAST} and {_AT}",
        width=24,
        unit="percent",
    )
    names = {module: (words, colour) for module, (words, colour) in MODULES.items()}
    by_module = table(
        Words("各模块判定数", "Findings by module"),
        f"""select * from (
                select module, basis, sum(findings_compliant) as compliant, sum(findings_non_compliant) as non_compliant,
                       sum(findings_unknown) as unknown, sum(findings_waived) as waived, {_ROLL_AGE} as age, {_ROLL_COMPLETE} as complete
                from dash.rollup c where not {CHOSEN} and module <> '' and day = {_LAST} and taken_at > now() - interval '15 minutes' and {_AT} group by module, basis
                union all
                select v.module, v.basis, count(*) filter (where v.verdict = 'compliant'), count(*) filter (where v.verdict = 'non_compliant'),
                       count(*) filter (where v.verdict in ('unknown', 'unsigned')), count(*) filter (where v.verdict = 'waived'), max(s.age), max(s.complete)
                from (select h.module, h.basis, {VERDICT_THEN} as verdict from dash.history h where {CHOSEN} and {IN_DIVISION} and {HELD}) v, {STANDS_THEN} s
                group by v.module, v.basis) m
            order by module, basis""",
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
        variables=variables(AS_OF, KNOWN_AT),
        since="now-90d",
    )


def clauses() -> Json:
    """Clause by clause: how each rule stands, with what it cites; below, who does not meet the chosen one."""
    of_basis = f"basis = '${{basis}}' and {IN_DIVISION} and {HELD}"
    rule = choice(
        "rule",
        Words("规则", "Rule"),
        f"""select * from (select case '@lang' when 'zh' then '全部' else 'All' end as __text, 'all' as __value
            union all select distinct rule, rule from dash.history h where {of_basis}) x
            order by __value <> 'all', __value""",
    )
    by_clause = table(
        Words("按条款", "By clause"),
        f"""select c.rule, t.title_@lang as title, t.document, t.number, t.clause, t.force, c.compliant, c.non_compliant, c.unknown, c.waived,
                   {share("c.compliant", "c.compliant + c.non_compliant + c.unknown + c.waived")} as rate, c.age,
                   100.0 * (1 - c.unknown::float8 / nullif(c.compliant + c.non_compliant + c.unknown + c.waived, 0)) as complete
            from (select v.rule, count(*) filter (where v.verdict = 'compliant') as compliant,
                         count(*) filter (where v.verdict = 'non_compliant') as non_compliant,
                         count(*) filter (where v.verdict in ('unknown', 'unsigned')) as unknown,
                         count(*) filter (where v.verdict = 'waived') as waived, max(v.statement::text)::bytea as statement, max(v.age) as age
                  from (select h.rule, h.statement, {VERDICT_THEN} as verdict, {AGE_THEN} as age from dash.history h where {of_basis}) v
                  group by v.rule) c
            join dash.statement t on t.statement = c.statement
            order by c.non_compliant desc, c.unknown desc, c.rule""",
        height=14,
        columns={
            "rule": column(Words("规则", "Rule"), width=190, link="/d/anxin-clauses@suffix?${division:queryparam}&${basis:queryparam}&var-rule=${__data.fields.rule}&${__url_time_range}&${as_of:queryparam}&${known_at:queryparam}"),
            "title": column(Words("要求", "Requirement")),
            **CITED,
            "force": column(Words("效力", "Force"), width=80),
            "compliant": column(Words("符合", "Compliant"), width=90),
            "non_compliant": column(Words("不符合", "Non-compliant"), width=90, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=80),
            "waived": column(Words("豁免", "Waived"), width=80),
            "rate": column(Words("符合率", "Rate"), unit="percent", width=90, steps=FULL),
        },
    )  # fmt: skip
    return board("anxin-clauses", Words("逐条对照", "Clause by clause"), [[by_clause], [findings(14, "and basis = '${basis}' and ('${rule}' = 'all' or rule = '${rule}')", IN_DIVISION)]], variables=variables(BASIS, rule, AS_OF, KNOWN_AT))  # fmt: skip
