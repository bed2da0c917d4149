"""Devices and the hub itself: whether what everything else stands on is there."""

from collections.abc import Sequence

from dashboards.alarms import HEARD
from dashboards.asof import CHOSEN, SEEN_OF, either, looked, unseen
from dashboards.choices import (
    AS_OF,
    HERE,
    IN_DIVISION,
    INSTITUTION,
    KNOWN_AT,
    TIME,
    TO_INSTITUTION,
    TO_INSTITUTION_THEN,
    now,
    variables,
)
from dashboards.panels import CAUSES, FUNCTIONS, LINKS, NEUTRAL, NONE_WANTED, Json, Words, board, column, stat, table

_NAMED = {
    "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION),
    "institution": column(Words("标识", "Identifier"), hidden=True),
}


_COUNTS = ("in_service", "online", "offline", "unknown", "failed", "unproven")
"""in the order in which looks keep them (hub/store/sql/looks.sql)"""
_THEN = f"""(
    select l.institution, l.age, k.key as kind, {", ".join(f"(k.value ->> {n})::bigint as {name}" for n, name in enumerate(_COUNTS))}
    from {looked("devices")} l cross join lateral jsonb_each(l.body -> 'kinds') k)"""
_STOOD = f"max(age) as age, 100.0 * sum(online) / nullif(sum(in_service), 0) * count(distinct institution) / {SEEN_OF} as complete"
"""Of a past: how long before it somebody looked, and which share was online, of those that somebody looked at."""


def devices() -> Json:
    """Devices by their three axes, and each that is not online or not well: now, or as the hub looked at them then."""
    in_service = f"admin_state = 'in_service' and {HERE}"
    figures = [
        stat(
            title,
            either(
                f"select count(*) filter (where {condition}) as value, {HEARD} from dash.device_state where {in_service}",
                f"select sum({then}) as value, {_STOOD} from {_THEN} t",
            ),
            width=4,
            steps=NONE_WANTED if wanted_none else NEUTRAL,
        )
        for title, condition, then, wanted_none in (
            (Words("在用", "In service"), "true", "in_service", False),
            (Words("在线", "Online"), "link_state = 'online'", "online", False),
            (Words("离线", "Offline"), "link_state = 'offline'", "offline", True),
            (Words("未知", "Unknown"), "link_state = 'unknown'", "unknown", True),
            (Words("故障", "Failed"), "function_state = 'failed'", "failed", True),
            (Words("功能未证实", "Unproven"), "function_state = 'unproven'", "unproven", True),
        )
    ]
    by_kind = table(
        Words("按种类", "By kind"),
        f"""select * from (
                select kind, count(*)::bigint as devices, count(*) filter (where link_state = 'online')::bigint as online,
                       count(*) filter (where link_state = 'offline')::bigint as offline, count(*) filter (where link_state = 'unknown')::bigint as unknown,
                       count(*) filter (where function_state = 'failed')::bigint as failed, count(*) filter (where function_state = 'unproven')::bigint as unproven, {HEARD}
                from dash.device_state where not {CHOSEN} and {in_service} group by kind
                union all
                select kind, sum(in_service)::bigint, sum(online)::bigint, sum(offline)::bigint, sum(unknown)::bigint, sum(failed)::bigint, sum(unproven)::bigint, max(age), 100.0 * sum(online) / nullif(sum(in_service), 0)
                from {_THEN} t where {CHOSEN} group by kind) k
            order by devices - online desc, kind""",
        height=9,
        columns={
            "kind": column(Words("种类", "Kind")),
            "devices": column(Words("在用", "In service"), width=100),
            "online": column(Words("在线", "Online"), width=100),
            "offline": column(Words("离线", "Offline"), width=100, steps=NONE_WANTED),
            "unknown": column(Words("未知", "Unknown"), width=100),
            "failed": column(Words("故障", "Failed"), width=100, steps=NONE_WANTED),
            "unproven": column(Words("未证实", "Unproven"), width=100),
        },
    )
    down = table(
        Words("不在线或有故障的设备（过去每机构至多40台）", "Devices not online, or faulty (of a past forty an institution)"),
        # the zone is joined to the few that are shown, not to every device
        f"""select * from (
                select d.link_state, d.link_since, d.link_cause, d.function_state, d.title_@lang as title, d.institution, d.zone_@lang as zone,
                       d.device, d.kind, d.last_heard_at, extract(epoch from now() - d.last_heard_at)::float8 as age,
                       case d.link_state when 'online' then 100.0 else 0.0 end as complete
                from (select device from dash.device_state where not {CHOSEN} and {in_service} and (link_state <> 'online' or function_state in ('failed', 'degraded'))
                      order by array_position(array['offline', 'unknown', 'online'], link_state), link_since, device limit 500) s
                cross join lateral (select * from dash.device_state x where x.device = s.device offset 0) d
                union all
                select d.value ->> 3, (d.value ->> 4)::timestamptz, d.value ->> 5, d.value ->> 6, l.title_@lang, l.institution, d.value ->> 2,
                       d.value ->> 0, d.value ->> 1, (d.value ->> 7)::timestamptz, l.age, case d.value ->> 3 when 'online' then 100.0 else 0.0 end
                from {looked("devices")} l cross join lateral jsonb_array_elements(l.body -> 'down') d where {CHOSEN}
                union all
                select 'unknown', null, null, null, p.title_@lang, p.institution, null, case '@lang' when 'zh' then '当时无记录' else 'nobody looked then' end, null, null, null, 0.0
                from {unseen("devices")} p where {CHOSEN}) d
            order by array_position(array['offline', 'unknown', 'online'], d.link_state), d.link_since, d.device limit 500""",
        height=14,
        columns={
            "link_state": column(Words("连接", "Link"), words=LINKS, width=100),
            "link_since": column(Words("自", "Since"), unit=TIME, width=170),
            "link_cause": column(Words("原因（初判）", "Cause at first sight"), words=CAUSES, width=150),
            "function_state": column(Words("功能", "Function"), words=FUNCTIONS, width=100),
            **_NAMED,
            "title": column(Words("托育机构", "Institution"), link=TO_INSTITUTION_THEN),
            "zone": column(Words("区域", "Zone"), width=140),
            "device": column(Words("设备", "Device")),
            "kind": column(Words("种类", "Kind"), width=140),
            "last_heard_at": column(Words("最后通信", "Last heard"), unit=TIME, width=170),
        },
    )  # fmt: skip
    return board(
        "anxin-devices",
        Words("设备健康", "Device health"),
        [figures, [by_kind], [down]],
        variables=variables(INSTITUTION, AS_OF, KNOWN_AT),
        refresh="30s",
    )


def hub() -> Json:
    """The hub itself (for roles that see everything), and the edges of the scope."""
    parts: Sequence[tuple[Words, str, str, str, Sequence[Json]]] = (
        (Words("最久未监听的通道", "Lane that listened longest ago"), "lane", "max(value)", "s", [{"color": "text", "value": None}, {"color": "red", "value": 30}]),
        (Words("待发通知", "Pages waiting to be sent"), "outbox", "max(value)", "short", [{"color": "text", "value": None}, {"color": "red", "value": 100}]),
        (Words("无策略可用的告警", "Alarms that no policy covers"), "uncovered", "max(value)", "short", NONE_WANTED),
        (Words("24 小时隔离的消息", "Refused messages of 24 h"), "quarantine", "max(value)", "short", NONE_WANTED),
        (Words("策略检查的错误", "Errors of the policies' check"), "policies", "max(value)", "short", NONE_WANTED),
        (Words("最近一次心跳验证", "Latest canary"), "canary", "max(value)", "s", [{"color": "text", "value": None}, {"color": "red", "value": 120}]),
    )  # fmt: skip
    figures = [
        stat(
            now(title),
            f"select {figure} as value, extract(epoch from now() - min(at))::float8 as age, case when count(*) = 0 then null else 100.0 end as complete from dash.hub where part = '{part}'",
            width=4,
            unit=unit,
            steps=steps,
        )
        for title, part, figure, unit, steps in parts
    ]
    lanes = table(
        now(Words("通道：最近监听", "Lanes: listened last")),
        """select name, value as seconds, at, value as age, case when value < 30 then 100.0 else 0.0 end as complete
           from dash.hub where part = 'lane' order by value desc, name""",
        height=9,
        width=8,
        columns={
            "name": column(Words("通道与分区", "Lane and partition")),
            "seconds": column(Words("距今", "Ago"), unit="s", width=90),
            "at": column(Words("时间", "At"), unit=TIME, width=170),
        },
    )
    edges = table(
        now(Words("边缘网关与直连设备：最近消息", "Edges and devices of their own: latest message")),
        f"""select client, lane, title_@lang as title, institution, newest_at, beat_at, drop_items, extract(epoch from now() - updated_at)::float8 as age,
                   case when updated_at > now() - interval '2 minutes' then 100.0 else 0.0 end as complete
            from dash.stream where {IN_DIVISION} order by updated_at limit 500""",
        height=9,
        width=16,
        columns={
            "client": column(Words("客户端", "Client")),
            "lane": column(Words("通道", "Lane"), width=80),
            **_NAMED,
            "newest_at": column(Words("最新读数", "Newest reading"), unit=TIME, width=170),
            "beat_at": column(Words("最近心跳", "Latest beat"), unit=TIME, width=170),
            "drop_items": column(Words("声明丢弃", "Declared dropped"), width=110, steps=NONE_WANTED),
        },
    )
    return board(
        "anxin-hub",
        Words("平台自身", "The hub itself"),
        [figures, [lanes, edges]],
        variables=variables(),
        refresh="30s",
    )
