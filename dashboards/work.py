"""What people must do and have done: orders and waivers, drills and attestations; and how long recordings are kept."""

from dashboards.asof import (
    AGE_THEN,
    CHOSEN,
    COMPLETE_THEN,
    HERE_STANDS_THEN,
    MOMENT,
    ORDERS_THEN,
    SEEN_OF,
    UPTO,
    WAIVED_THEN,
    either,
    looked,
    unseen,
)
from dashboards.choices import (
    AS_OF,
    HERE,
    INSTITUTION,
    KNOWN_AT,
    TIME,
    TO_INSTITUTION,
    TO_INSTITUTION_THEN,
    now,
    variables,
)
from dashboards.panels import (
    BASES,
    MODULES,
    NONE_WANTED,
    UNKNOWN,
    Json,
    Words,
    board,
    column,
    share,
    stat,
    table,
    timeseries,
)

ORDERS = {
    "draft": (Words("待签发", "Draft"), "text"),
    "issued": (Words("已签发", "Issued"), "orange"),
    "answered": (Words("已答复", "Answered"), "blue"),
    "reopened": (Words("复发", "Reopened"), "red"),
    "raised": (Words("已上报", "Raised"), "red"),
    "closed": (Words("已办结", "Closed"), "text"),
    "withdrawn": (Words("已撤回", "Withdrawn"), "text"),
}
OUTLOOKS = {
    "holds": (Words("足够", "Holds"), "green"),
    "growing": (Words("尚在累积", "Growing"), "blue"),
    "shrinking": (Words("正在缩短", "Shrinking"), "orange"),
    "short": (Words("不足", "Short"), "red"),
    "unknown": (Words("未知", "Unknown"), UNKNOWN),
}
_INSTITUTION = {
    "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
    "institution": column(Words("标识", "Identifier"), hidden=True),
}
_THEN = {**_INSTITUTION, "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN)}
_CHECKED = f"{AGE_THEN} as age, {COMPLETE_THEN} as complete"
_MODULES = dict(MODULES)


def orders() -> Json:
    """Orders 整改 by state and deadline, and waivers 豁免 with their ground and end."""

    def count(condition: str) -> str:
        return f"select (select count(*) from {ORDERS_THEN} w where {condition} and {HERE}) as value, s.* from {HERE_STANDS_THEN} s"

    open_ = "state_then not in ('draft', 'closed', 'withdrawn')"
    figures = [
        stat(Words("待签发", "Drafts"), count("state_then = 'draft'"), width=4),
        stat(Words("未办结", "Open"), count(open_), width=4),
        stat(Words("已逾期", "Overdue"), count(f"{open_} and due_then < {MOMENT}"), width=4, steps=NONE_WANTED),
        stat(
            Words("已上报上级", "Raised to the level above"), count("state_then = 'raised'"), width=4, steps=NONE_WANTED
        ),
        stat(Words("复发", "Reopened"), count("state_then = 'reopened'"), width=4, steps=NONE_WANTED),
        stat(
            Words("有效豁免", "Waivers in force"),
            f"select (select count(*) from dash.waiver where {WAIVED_THEN} and {HERE}) as value, s.* from {HERE_STANDS_THEN} s",
            width=4,
        ),
    ]
    listed = table(
        Words("整改", "Orders"),
        f"""select state_then as state, due_then as due_at, title_@lang as title, institution, module, basis, sentence_@lang as sentence, document, number,
                   clause, violation_since, case state_then when 'raised' then raised_then end as raised_to, {_CHECKED}
            from {ORDERS_THEN} w where state_then not in ('closed', 'withdrawn') and {HERE}
            order by array_position(array['raised', 'reopened', 'issued', 'answered', 'draft'], state_then), due_then limit 500""",
        height=12,
        columns={
            "state": column(Words("状态", "State"), words=ORDERS, width=110),
            "due_at": column(Words("期限", "Due"), unit=TIME, width=170),
            **_THEN,
            "module": column(Words("模块", "Module"), words=_MODULES, width=120),
            "basis": column(Words("依据", "Basis"), words=BASES, width=100),
            "sentence": column(Words("问题", "What is wrong")),
            "document": column(Words("文件", "Document"), width=150),
            "number": column(Words("编号", "Number"), width=120),
            "clause": column(Words("条款", "Clause"), width=80),
            "violation_since": column(Words("违反自", "Violated since"), unit=TIME, width=170),
            "raised_to": column(Words("上报至", "Raised to"), width=90),
        },
    )
    waivers = table(
        Words("豁免", "Waivers"),
        f"""select expires_at, title_@lang as title, institution, rule_@lang as requirement, basis, force, ground, document, since, {_CHECKED}
            from dash.waiver where {WAIVED_THEN} and {HERE} order by expires_at limit 500""",
        height=9,
        columns={
            "expires_at": column(Words("到期", "Expires"), unit=TIME, width=170),
            **_THEN,
            "requirement": column(Words("要求", "Requirement")),
            "basis": column(Words("依据", "Basis"), words=BASES, width=100),
            "force": column(Words("效力", "Force"), width=80),
            "ground": column(Words("理由", "Ground")),
            "document": column(Words("批文", "Document"), width=150),
            "since": column(Words("自", "Since"), unit=TIME, width=170),
        },
    )
    flow = timeseries(
        Words("每周签发与办结", "Issued and closed by week"),
        f"""select $__timeGroupAlias(at, '7d'), case event when 'issue' then case '@lang' when 'zh' then '签发' else 'issued' end
                       else case '@lang' when 'zh' then '办结' else 'closed' end end as metric, count(*) as orders
            from dash.order_step where event in ('issue', 'close') and at <= {UPTO} and $__timeFilter(at) and {HERE} group by 1, 2 order by 1, 2""",
        f"select * from {HERE_STANDS_THEN} s",
        width=24,
        bars=True,
    )
    return board("anxin-orders", Words("整改与豁免", "Orders and waivers"), [figures, [listed], [waivers], [flow]], variables=variables(INSTITUTION, AS_OF, KNOWN_AT), since="now-180d")  # fmt: skip


def drills() -> Json:
    """Drills and who came, proofs of the way to people, and what people attested, with what is out of date."""
    expected = f"from dash.drill where cancelled_at is null and until < now() and $__timeFilter(at) and {HERE}"
    passed = share("count(*) filter (where state = 'passed')", "count(*) filter (where state in ('passed', 'failed'))")
    proofs = f"from dash.proof where finished_at is not null and $__timeFilter(finished_at) and {HERE}"
    newest = (
        f"(select extract(epoch from now() - max(recorded_at))::float8 as age from dash.attestation where {HERE}) n"
    )
    figures = [
        stat(
            Words("演练应按已按", "Drill presses that came"),
            f"select {share('count(pressed_at)', 'count(*)')} as value, extract(epoch from now() - max(until))::float8 as age, trunc(100.0 * count(acknowledged_at) / nullif(count(*), 0), 2) as complete {expected}",
            width=6,
            unit="percent",
        ),
        stat(
            Words("通路验证通过率", "Proofs passed"),
            f"select {passed} as value, extract(epoch from now() - max(finished_at))::float8 as age, trunc(100.0 * count(*) filter (where state in ('passed', 'failed')) / nullif(count(*), 0), 2) as complete {proofs}",
            width=6,
            unit="percent",
        ),
        stat(
            Words("人工记录（所选时段）", "Attestations in the period"),
            f"select count(*) as value, extract(epoch from now() - max(recorded_at))::float8 as age, least(100.0, 100.0 * count(distinct institution) / nullif((select count(*) from dash.place where {HERE}), 0)) as complete from dash.attestation where $__timeFilter(at) and {HERE}",
            width=6,
        ),
        stat(
            now(Words("已过有效期的记录", "Attestations out of date")),
            f"select (select count(*) from (select distinct on (institution, kind, zone_zh, device) expires_at from dash.attestation where expires_at is not null and {HERE} order by institution, kind, zone_zh, device, at desc) a where expires_at < now()) as value, n.age, 100.0 as complete from {newest}",
            width=6,
            steps=NONE_WANTED,
        ),
    ]  # fmt: skip
    presses = table(
        Words("演练：应按、已按、接警、到场、解除", "Drills: expected, pressed, taken, arrived, all clear"),
        f"""select at, drill_@lang as drill, title_@lang as title, institution, zone_@lang as zone, signal_class, pressed_at,
                   extract(epoch from acknowledged_at - pressed_at)::float8 as taken, extract(epoch from arrived_at - pressed_at)::float8 as arrived,
                   extract(epoch from all_clear_at - pressed_at)::float8 as all_clear, extract(epoch from now() - until)::float8 as age,
                   25.0 * num_nonnulls(pressed_at, acknowledged_at, arrived_at, all_clear_at) as complete
            from dash.drill where cancelled_at is null and $__timeFilter(at) and {HERE} order by at desc limit 500""",
        height=10,
        columns={
            "at": column(Words("计划时间", "Planned"), unit=TIME, width=170),
            "drill": column(Words("演练", "Drill")),
            **_INSTITUTION,
            "zone": column(Words("区域", "Zone"), width=140),
            "signal_class": column(Words("类别", "Class"), width=90),
            "pressed_at": column(Words("按下", "Pressed"), unit=TIME, width=170),
            "taken": column(Words("接警用时", "Taken within"), unit="s", width=110),
            "arrived": column(Words("到场用时", "Arrived within"), unit="s", width=110),
            "all_clear": column(Words("解除用时", "All clear within"), unit="s", width=110),
        },
    )
    stated = table(
        Words("人工记录", "Attestations"),
        f"""select at, kind, title_@lang as title, institution, zone_@lang as zone, device, number, value, seconded_at, expires_at,
                   extract(epoch from now() - at)::float8 as age, case when expires_at < now() then 0.0 when seconded_at is null then 50.0 else 100.0 end as complete
            from dash.attestation where $__timeFilter(at) and {HERE} order by at desc limit 500""",
        height=12,
        columns={
            "at": column(Words("时间", "At"), unit=TIME, width=170),
            "kind": column(Words("种类", "Kind"), width=170),
            **_INSTITUTION,
            "zone": column(Words("区域", "Zone"), width=140),
            "device": column(Words("设备", "Device"), width=140),
            "number": column(Words("编号", "Number"), width=140),
            "value": column(Words("数值", "Value"), width=90),
            "seconded_at": column(Words("第二人签认", "Second signature"), unit=TIME, width=170),
            "expires_at": column(Words("有效至", "Valid until"), unit=TIME, width=170),
        },
    )
    return board("anxin-drills", Words("演练与人工记录", "Drills and attestations"), [figures, [presses], [stated]], variables=variables(INSTITUTION), since="now-90d")  # fmt: skip


_RECORDED = f"""(
    select l.institution, l.title_zh, l.title_en, l.age, r.value ->> 0 as device, r.value ->> 1 as zone, r.value ->> 2 as recorder, r.value ->> 3 as outlook,
           (r.value ->> 4)::float8 as counted_days, (r.value ->> 5)::float8 as needed_days, (r.value ->> 6)::float8 as days,
           (r.value ->> 7)::float8 as gap_seconds, (r.value ->> 8)::float8 as bad_seconds, (r.value ->> 9)::timestamptz as short_at,
           (l.body -> 'read' ->> (r.value ->> 0))::timestamptz as read_at
    from {looked("recordings")} l left join lateral jsonb_array_elements(l.body -> 'cameras') r on true)"""
"""Of a past, a row each camera; an institution without any has one of nothing."""


def recordings() -> Json:
    """How far back recordings reach, by the recorders' own index, and where they will fall short: now, or as it was held then."""
    standing = "extract(epoch from now() - min(read_at))::float8 as age, trunc(100.0 * count(*) filter (where outlook <> 'unknown') / nullif(count(*), 0), 2) as complete"
    stood = (
        f"extract(epoch from {MOMENT} - min(read_at))::float8 as age, 100.0 * count(*) filter (where outlook <> 'unknown') / nullif(count(device), 0)"
        f" * count(distinct institution) / {SEEN_OF} as complete"
    )

    def figure(value: str) -> str:
        """Of now, or of then: a share or a count; where nobody looked at all there is none."""
        then = value.replace("now()", MOMENT).replace("nullif(count(*), 0)", "nullif(count(device), 0)")
        return either(
            f"select {value} as value, {standing} from dash.recording where {HERE}",
            f"select case when count(*) > 0 then {then} end as value, {stood} from {_RECORDED} c",
        )

    def count(condition: str) -> str:
        return figure(f"count(*) filter (where {condition})")

    enough = figure("100.0 * count(*) filter (where outlook in ('holds', 'growing')) / nullif(count(*), 0)")
    figures = [
        stat(Words("留存够天数的摄像机", "Cameras that keep enough"), enough, width=6, unit="percent"),
        stat(Words("不足", "Short"), count("outlook = 'short'"), width=6, steps=NONE_WANTED),
        stat(
            Words("预计 30 天内不足", "Short within 30 days"),
            count("short_at between now() and now() + interval '30 days'"),
            width=6,
            steps=NONE_WANTED,
        ),
        stat(Words("未知", "Unknown"), count("outlook = 'unknown'"), width=6, steps=NONE_WANTED),
    ]
    listed = table(
        Words("录像留存", "Recording retention"),
        f"""select * from (
                select outlook, title_@lang as title, institution, zone_@lang as zone, device, recorder, counted_days, needed_days, days, gap_seconds, bad_seconds, short_at,
                       read_at, extract(epoch from now() - read_at)::float8 as age, case outlook when 'unknown' then 0.0 else 100.0 end as complete
                from dash.recording where not {CHOSEN} and {HERE}
                union all
                select outlook, title_@lang, institution, zone, device, recorder, counted_days, needed_days, days, gap_seconds, bad_seconds, short_at,
                       read_at, extract(epoch from {MOMENT} - read_at)::float8, case outlook when 'unknown' then 0.0 else 100.0 end
                from {_RECORDED} c where {CHOSEN} and device is not null
                union all
                select 'unknown', title_@lang, institution, null, null, null, null, null, null, null, null, null, null, null, 0.0
                from {unseen("recordings")} p where {CHOSEN}) r
            order by array_position(array['short', 'shrinking', 'unknown', 'growing', 'holds'], outlook), short_at, counted_days, device limit 1000""",
        height=18,
        columns={
            "outlook": column(Words("结论", "Outlook"), words=OUTLOOKS, width=100),
            **_INSTITUTION,
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN),
            "zone": column(Words("区域", "Zone"), width=140),
            "device": column(Words("摄像机", "Camera")),
            "recorder": column(Words("录像机", "Recorder"), width=130),
            "counted_days": column(Words("计入天数", "Days that count"), width=110),
            "needed_days": column(Words("应有天数", "Days needed"), width=100),
            "days": column(Words("索引天数", "Days in the index"), width=110),
            "gap_seconds": column(Words("缺口", "Gaps"), unit="s", width=100),
            "bad_seconds": column(Words("黑屏或静止", "Black or frozen"), unit="s", width=110),
            "short_at": column(Words("预计不足于", "Falls short on"), unit=TIME, width=170),
            "read_at": column(Words("最近读取", "Read"), unit=TIME, width=170),
        },
    )
    return board(
        "anxin-recordings",
        Words("录像留存", "Recording retention"),
        [figures, [listed]],
        variables=variables(INSTITUTION, AS_OF, KNOWN_AT),
    )
