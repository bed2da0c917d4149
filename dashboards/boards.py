"""The boards: coverage for regulators, devices and alarms for emergency staff."""

from dashboards.panels import (
    CAUSES,
    FULL,
    LINKS,
    NONE_WANTED,
    VERDICTS,
    Json,
    board,
    choice,
    column,
    stat,
    table,
    timeseries,
)

BASES = {
    "obligation": "义务 Obligation",
    "target": "目标 Target",
    "recommendation": "建议 Recommendation",
}
"""Three figures that are never mixed."""

DIVISION = choice(
    "division",
    "区划 Division",
    """select '全部 All' as __text, 'all' as __value
       union all (select code || ' ' || title_zh, code from dash.division order by code)""",
)
INSTITUTION = choice(
    "institution",
    "托育机构 Institution",
    """select '全部 All' as __text, 'all' as __value
       union all (select title_zh || ' ' || institution, institution from dash.subject
                  where connected and ('${division}' = 'all' or starts_with(division, '${division}')) order by 2)""",
)
DEVICE = choice(
    "device",
    "设备 Device",
    """select device as __text, device as __value from dash.device
       where ('${division}' = 'all' or starts_with(division, '${division}'))
         and ('${institution}' = 'all' or institution = '${institution}') order by 1 limit 2000""",
)
_IN_DIVISION = "('${division}' = 'all' or starts_with(division, '${division}'))"
_HERE = f"{_IN_DIVISION} and ('${{institution}}' = 'all' or institution = '${{institution}}')"
_RATE = "100.0 * sum(compliant) / nullif(sum(compliant + non_compliant + unknown + waived), 0)"

_TIME = column("自 Since", unit="dateTimeAsLocal", width=180)
_CITED = {
    "document": column("文件 Document"),
    "number": column("编号 Number", width=150),
    "clause": column("条款 Clause", width=90),
}


def _register() -> list[Json]:
    counts = (
        ("名册 On the register", "filing_number is not null"),
        ("已接入 Connected", "connected"),
        ("未接入 Not connected", "not connected"),
    )
    return [
        stat(
            title,
            f"select count(*) from dash.subject where {condition} and {_IN_DIVISION}",
            width=8,
        )
        for title, condition in counts
    ]


def _rates() -> list[Json]:
    return [
        stat(
            f"{title}: 符合率 rate",
            f"select {_RATE} from dash.coverage where basis = '{basis}' and {_IN_DIVISION}",
            width=8,
            unit="percent",
            steps=FULL,
        )
        for basis, title in BASES.items()
    ]


def _rate_columns() -> str:
    return ", ".join(f"{_RATE_OF.format(basis=basis)} as {basis}" for basis in BASES)


_RATE_OF = (
    "100.0 * sum(compliant) filter (where basis = '{basis}')"
    " / nullif(sum(compliant + non_compliant + unknown + waived) filter (where basis = '{basis}'), 0)"
)


def coverage() -> Json:
    """Coverage: the register, three figures that are never mixed, what is not connected first, every finding with its clause."""
    rates = {basis: column(title, unit="percent", width=170) for basis, title in BASES.items()}
    by_division = table(
        "按区划 By division",
        f"""select c.division, d.title_zh, count(distinct subject) as subjects,
                   count(distinct subject) filter (where not connected) as unconnected, {_rate_columns()}
            from dash.coverage c left join dash.division d on d.code = c.division
            where ('${{division}}' = 'all' or starts_with(c.division, '${{division}}'))
            group by c.division, d.title_zh order by c.division""",
        height=8,
        columns={
            "division": column("区划代码 Code", width=130),
            "title_zh": column("区划 Division"),
            "subjects": column("机构数 Institutions", width=150),
            "unconnected": column("未接入 Not connected", width=170),
            **rates,
        },
    )
    by_subject = table(
        "按机构，未接入在前 By institution, not connected first",
        f"""select case when connected then 'yes' else 'no' end as connected, title_zh, subject, type, division, {_rate_columns()},
                   sum(non_compliant) as non_compliant, sum(unknown) as unknown
            from dash.coverage where {_IN_DIVISION}
            group by connected, title_zh, subject, type, division
            order by dash.coverage.connected, sum(non_compliant) desc, sum(unknown) desc, subject""",
        height=10,
        columns={
            "connected": column("接入 Connected", words={"no": ("未接入 No", "red"), "yes": ("已接入 Yes", "text")}, width=150),
            "title_zh": column("托育机构 Institution"),
            "subject": column("标识 Identifier"),
            "type": column("类型 Type", width=150),
            "division": column("区划 Division", width=120),
            **rates,
            "non_compliant": column("不符合 Non-compliant", width=120),
            "unknown": column("未知 Unknown", width=120),
        },
    )  # fmt: skip
    findings = table(
        "判定 Findings",
        f"""select verdict, basis, title_zh, subject, sentence_zh, document, number, clause, since from dash.finding
            where verdict in ('non_compliant', 'unknown', 'waived') and {_IN_DIVISION}
            order by dash.finding.connected, verdict = 'unknown', basis, since desc, subject limit 1000""",
        height=14,
        columns={
            "verdict": column("判定 Verdict", words=VERDICTS, width=180),
            "basis": column("依据 Basis", words={key: (text, "text") for key, text in BASES.items()}, width=170),
            "title_zh": column("托育机构 Institution"),
            "subject": column("标识 Identifier"),
            "sentence_zh": column("说明 Finding"),
            **_CITED,
            "since": _TIME,
        },
    )
    rows = [_register(), _rates(), [by_division], [by_subject], [findings]]
    return board("anxin-coverage", "覆盖 Coverage", rows, variables=[DIVISION], since="now-24h")


def _alarm_stats() -> list[Json]:
    open_ = f"from dash.alarm where ended_at is null and {_HERE}"
    waiting = f"{open_} and state in ('unack_active', 'latched_unack', 'unack_cleared')"
    down = f"select count(*) from dash.device where admin_state = 'in_service' and {_HERE}"
    return [
        stat("待接警 Not acknowledged", f"select count(*) {waiting}", width=6, steps=NONE_WANTED),
        stat(
            "最久未接警 Waiting longest",
            f"select extract(epoch from now() - min(raised_at)) {waiting}",
            width=6,
            unit="s",
        ),
        stat("离线 Offline", f"{down} and link_state = 'offline'", width=6, steps=NONE_WANTED),
        stat("未知 Unknown", f"{down} and link_state = 'unknown'", width=6, steps=NONE_WANTED),
    ]


def _open_alarms() -> Json:
    return table(
        "未结束的告警 Open alarms",
        f"""select raised_at, signal_class, priority, institution_zh, device, definition, state, occurrences
            from dash.alarm where ended_at is null and {_HERE}
            order by state not in ('unack_active', 'latched_unack', 'unack_cleared'),
                     array_position(array['critical', 'high', 'medium', 'low', 'journal'], priority), raised_at desc limit 500""",
        height=10,
        columns={
            "raised_at": column("产生 Raised", unit="dateTimeAsLocal", width=180),
            "signal_class": column("类别 Class", width=140),
            "priority": column("优先级 Priority", width=120),
            "institution_zh": column("托育机构 Institution"),
            "device": column("设备 Device"),
            "definition": column("告警 Alarm"),
            "state": column("状态 State", width=160),
            "occurrences": column("触发次数 Occurrences", width=120),
        },
    )


def _devices_down() -> Json:
    return table(
        "不在线或有故障的设备 Devices that are not online, or faulty",
        f"""select link_state, link_since, link_cause, function_state, institution_zh, zone_zh, device, kind, last_heard_at
            from dash.device
            where admin_state = 'in_service' and (link_state <> 'online' or function_state in ('failed', 'degraded')) and {_HERE}
            order by array_position(array['offline', 'unknown', 'online'], link_state), link_since limit 1000""",
        height=10,
        columns={
            "link_state": column("连接 Link", words=LINKS, width=150),
            "link_since": _TIME,
            "link_cause": column("原因 Cause", words=CAUSES, width=190),
            "function_state": column("功能 Function", width=110),
            "institution_zh": column("托育机构 Institution"),
            "zone_zh": column("区域 Zone"),
            "device": column("设备 Device"),
            "kind": column("种类 Kind", width=150),
            "last_heard_at": column("最后通信 Last heard", unit="dateTimeAsLocal", width=180),
        },
    )


def alarms() -> Json:
    """Devices and alarms: what waits for a person, what is not online, what was raised, one device's readings by hour."""
    raised = timeseries(
        "告警次数 Alarms raised",
        f"""select $__timeGroupAlias(raised_at, '1h'), signal_class as metric, count(*) as alarms
            from dash.alarm where $__timeFilter(raised_at) and {_HERE} group by 1, 2 order by 1""",
        width=12,
        bars=True,
    )
    readings = timeseries(
        "测点每小时均值 Readings by hour: ${device}",
        """select hour as "time", point || case instance when '' then '' else '/' || instance end as metric, mean
           from dash.reading_hour where device = '${device}' and $__timeFilter(hour) order by 1""",
        width=12,
    )
    complete = timeseries(
        "读数完整率 Completeness by hour: ${device}",
        """select hour as "time", '完整率 Complete' as metric, 100 * min(completeness) as "%"
           from dash.reading_hour where device = '${device}' and $__timeFilter(hour) group by hour order by 1""",
        width=12,
    )
    rows = [_alarm_stats(), [_open_alarms()], [_devices_down()], [raised, readings], [complete]]
    variables = [DIVISION, INSTITUTION, DEVICE]
    return board("anxin-alarms", "告警与设备 Alarms and devices", rows, variables=variables, since="now-24h")


BOARDS = (coverage, alarms)
