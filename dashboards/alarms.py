"""Alarms for emergency staff and whoever must answer for them: what waits, how soon people were reached, one device's readings."""

from dashboards.choices import DEVICE, HERE, INSTITUTION, TIME, TO_INSTITUTION, now, variables
from dashboards.panels import NONE_WANTED, Json, Words, board, column, stat, table, timeseries

CLASSES = {
    "fire": (Words("火警", "Fire"), "red"),
    "panic": (Words("一键报警", "Panic"), "red"),
    "intrusion": (Words("入侵", "Intrusion"), "orange"),
    "access": (Words("门禁", "Access"), "text"),
    "supervisory": (Words("监管", "Supervisory"), "text"),
    "fault": (Words("故障", "Fault"), "text"),
    "communication": (Words("通信", "Communication"), "text"),
    "clock": (Words("时钟", "Clock"), "text"),
    "compliance": (Words("合规", "Compliance"), "text"),
}
PRIORITIES = {
    "critical": (Words("紧急", "Critical"), "red"),
    "high": (Words("高", "High"), "orange"),
    "medium": (Words("中", "Medium"), "text"),
    "low": (Words("低", "Low"), "text"),
    "journal": (Words("仅记录", "Journal"), "text"),
}
STATES = {
    "unack_active": (Words("未接警", "Not acknowledged"), "red"),
    "latched_unack": (Words("未接警（锁存）", "Not acknowledged, latched"), "red"),
    "unack_cleared": (Words("已恢复，未接警", "Cleared, not acknowledged"), "orange"),
    "ack_active": (Words("已接警", "Acknowledged"), "text"),
    "latched_ack": (Words("已接警（锁存）", "Acknowledged, latched"), "text"),
    "normal": (Words("已结束", "Ended"), "text"),
}
HEARD = (
    "extract(epoch from now() - min(last_heard_at) filter (where link_state = 'online'))::float8 as age,"
    " trunc(100.0 * count(*) filter (where link_state = 'online') / nullif(count(*), 0), 2) as complete"
)
"""Of devices in service: how long the quietest of those that are online has been silent, and which share is online."""
LISTENED = f"(select {HEARD} from dash.device_state where admin_state = 'in_service' and {HERE})"
_WAITING = "state in ('unack_active', 'latched_unack', 'unack_cleared')"


def _stats() -> list[Json]:
    open_ = f"from dash.alarm where ended_at is null and {HERE}"
    figures = (
        (now(Words("待接警", "Not acknowledged")), f"select count(*) {open_} and {_WAITING}", "short"),
        (
            now(Words("最久未接警", "Waiting longest")),
            f"select extract(epoch from now() - min(raised_at))::float8 {open_} and {_WAITING}",
            "s",
        ),
    )
    waiting = [
        stat(title, f"select ({figure}) as value, l.* from {LISTENED} l", width=6, unit=unit, steps=NONE_WANTED)
        for title, figure, unit in figures
    ]
    down = [
        stat(
            title,
            f"select count(*) filter (where link_state = '{state}') as value, {HEARD} from dash.device_state where admin_state = 'in_service' and {HERE}",
            width=6,
            steps=NONE_WANTED,
        )
        for title, state in (
            (now(Words("离线设备", "Devices offline")), "offline"),
            (now(Words("状态未知的设备", "Devices unknown")), "unknown"),
        )
    ]
    return [*waiting, *down]


def _open() -> Json:
    return table(
        now(Words("未结束的告警", "Open alarms")),
        f"""select a.raised_at, a.signal_class, a.priority, a.institution_@lang as title, a.institution, a.device, a.definition, a.state, a.occurrences,
                   extract(epoch from now() - d.last_heard_at)::float8 as age, case d.link_state when 'online' then 100.0 else 0.0 end as complete
            from (select * from dash.alarm where ended_at is null and {HERE}
                  order by {_WAITING} desc, array_position(array['critical', 'high', 'medium', 'low', 'journal'], priority), raised_at desc limit 500) a
            left join dash.device_state d on d.device = a.device
            order by {_WAITING} desc, array_position(array['critical', 'high', 'medium', 'low', 'journal'], a.priority), a.raised_at desc""",
        height=10,
        columns={
            "raised_at": column(Words("产生", "Raised"), unit=TIME, width=170),
            "signal_class": column(Words("类别", "Class"), words=CLASSES, width=120),
            "priority": column(Words("优先级", "Priority"), words=PRIORITIES, width=100),
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
            "institution": column(Words("标识", "Identifier"), hidden=True),
            "device": column(Words("设备", "Device")),
            "definition": column(Words("告警", "Alarm")),
            "state": column(Words("状态", "State"), words=STATES, width=170),
            "occurrences": column(Words("触发次数", "Occurrences"), width=110),
        },
    )


def alarms() -> Json:
    """What waits for a person now, what was raised, one device's readings by hour."""
    footing = f"select * from {LISTENED} l"
    raised = timeseries(
        Words("告警次数", "Alarms raised"),
        f"""select $__timeGroupAlias(raised_at, '1h'), signal_class as metric, count(*) as alarms
            from dash.alarm where $__timeFilter(raised_at) and {HERE} group by 1, 2 order by 1""",
        footing,
        width=12,
        bars=True,
    )
    of_device = """select extract(epoch from now() - least(now(), max(hour) + interval '1 hour'))::float8 as age, 100 * min(completeness) as complete
                   from dash.reading_hour where device = '${device}' and $__timeFilter(hour)"""
    readings = timeseries(
        Words("测点每小时均值：${device}", "Readings by hour: ${device}"),
        """select hour as "time", point || case instance when '' then '' else '/' || instance end as metric, mean
           from dash.reading_hour where device = '${device}' and $__timeFilter(hour) order by 1""",
        of_device,
        width=12,
    )
    full = timeseries(
        Words("读数完整率：${device}", "Completeness by hour: ${device}"),
        """select hour as "time", case '@lang' when 'zh' then '完整率' else 'complete' end as metric, 100 * min(completeness) as "%"
           from dash.reading_hour where device = '${device}' and $__timeFilter(hour) group by hour order by 1""",
        of_device,
        width=24,
        unit="percent",
    )
    rows = [_stats(), [_open()], [raised, readings], [full]]
    return board("anxin-alarms", Words("告警", "Alarms"), rows, variables=variables(INSTITUTION, DEVICE), refresh="30s")


_REACHED = (
    "extract(epoch from {until} - received_at)",
    "signal_class in ('fire', 'panic') and $__timeFilter(raised_at) and " + HERE,
)


def responses() -> Json:
    """How soon people were reached: from the hub's receipt to the first delivery, and to somebody who took it."""
    figure, where = _REACHED
    # who was never reached takes longer than any: the quantile counts it, so that the unreached make no figure better
    stats = [
        stat(
            Words(f"火警与一键报警 {share} % {zh}用时", f"Fire and panic: {share} % {en} within"),
            f"""select nullif(percentile_disc({share / 100}) within group (order by coalesce({figure.format(until=until)}, 'infinity'::float8)), 'infinity')::float8 as value,
                       min(l.age) as age, trunc(100.0 * count({until}) / nullif(count(*), 0), 2) as complete
                from dash.response, {LISTENED} l where {where}""",
            width=6,
            unit="s",
        )
        for zh, en, until in (("送达", "delivered", "told_at"), ("接警", "acknowledged", "acknowledged_at"))
        for share in (50, 95)
    ]
    over_time = timeseries(
        Words("每日 95 % 用时（秒，从中心收到起）", "95 % within, by day (s, from the hub's receipt)"),
        f"""select $__timeGroupAlias(raised_at, '1d'), m.metric,
                   nullif(percentile_disc(0.95) within group (order by coalesce(m.seconds, 'infinity'::float8)), 'infinity')::float8 as seconds
            from dash.response, lateral (values
                (case '@lang' when 'zh' then '送达' else 'delivered' end, {figure.format(until="told_at")}::float8),
                (case '@lang' when 'zh' then '接警' else 'acknowledged' end, {figure.format(until="acknowledged_at")}::float8)) as m(metric, seconds)
            where {where} group by 1, 2 order by 1, 2""",
        f"select min(l.age) as age, trunc(100.0 * count(acknowledged_at) / nullif(count(*), 0), 2) as complete from dash.response, {LISTENED} l where {where}",
        width=24,
        unit="s",
    )
    slowest = table(
        Words("最慢的（从未接警的在前）", "Slowest, never acknowledged first"),
        f"""select raised_at, signal_class, institution_@lang as title, institution, state, late,
                   {figure.format(until="told_at")}::float8 as told, {figure.format(until="acknowledged_at")}::float8 as taken,
                   extract(epoch from now() - received_at)::float8 as age,
                   100.0 * (case when told_at is null then 0 else 0.5 end + case when acknowledged_at is null then 0 else 0.5 end) as complete
            from dash.response where {where}
            order by acknowledged_at is not null, {figure.format(until="acknowledged_at")} desc limit 200""",
        height=12,
        columns={
            "raised_at": column(Words("产生", "Raised"), unit=TIME, width=170),
            "signal_class": column(Words("类别", "Class"), words=CLASSES, width=120),
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
            "institution": column(Words("标识", "Identifier"), hidden=True),
            "state": column(Words("状态", "State"), words=STATES, width=170),
            "late": column(Words("迟到", "Late"), width=80),
            "told": column(Words("送达", "Delivered"), unit="s", width=110),
            "taken": column(Words("接警", "Acknowledged"), unit="s", width=110),
        },
    )
    return board(
        "anxin-responses",
        Words("接警用时", "Response times"),
        [stats, [over_time], [slowest]],
        variables=variables(INSTITUTION),
        since="now-30d",
    )
