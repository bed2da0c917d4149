"""Words for what rules ask for and for why a thing counts or does not: Chinese and English. No times in them; those stand in the evidence."""

from functools import lru_cache

from hub.core.coverage.attestations import AttestationKind
from hub.core.coverage.requirements import (
    DAY,
    AlwaysArmed,
    AtLeast,
    Attested,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    ShareCovered,
    TimeBound,
    When,
)
from hub.model import SECOND, Micros

CAPABILITIES: dict[str, tuple[str, str]] = {
    "video.live": ("视频监控", "live video"),
    "video.record": ("录像", "video recording"),
    "alarm.manual": ("一键报警", "panic button"),
    "access.control": ("智能门禁", "access control"),
    "fire.smoke": ("感烟探测", "smoke detection"),
    "fire.heat": ("感温探测", "heat detection"),
    "fire.panel": ("火灾报警控制器", "fire panel"),
    "fire.manual_call": ("手动火灾报警", "manual call point"),
    "gas.detect": ("燃气探测", "gas detection"),
    "power.backup": ("后备电源", "standby power"),
}

REASONS: dict[str, tuple[str, str]] = {
    "offline": ("离线", "offline"),
    "link_unknown": ("通信状态未知", "link unknown"),
    "unproven": ("功能未经验证", "function unproven"),
    "failed": ("故障", "failed"),
    "registered": ("未调试", "not commissioned"),
    "commissioned": ("未投用", "not in service"),
    "out_of_service": ("停用", "out of service"),
    "quarantined": ("隔离中", "quarantined"),
    "retired": ("已退役", "retired"),
    "forbidden": ("设于禁设区域", "in a forbidden zone"),
    "view_unmasked": ("视野进入禁设区域且未设隐私遮挡", "looks into a forbidden zone without a privacy mask"),
    "mask_unattested": (
        "视野进入禁设区域，隐私遮挡未经确认",
        "looks into a forbidden zone, and nobody attested its privacy mask",
    ),
    "unplaced": ("未登记安装位", "no position recorded"),
    "ok": ("正常", "ok"),
    "heard_late": (
        "当时未收到，边缘网关补传的记录证实在线",
        "not heard then; what its edge kept shows that it was there",
    ),
    "degraded": ("性能下降", "degraded"),
    "stale": ("证据过期", "evidence too old"),
    "view_unattested": ("视野未经确认", "view not attested"),
    "view_stale": ("视野确认已过期", "view attested too long ago"),
    "no_views": ("未申报视野", "declares no views"),
    "way_unknown": ("所经线路未登记", "what it depends on is not recorded"),
    "no_area": ("面积未登记", "area not recorded"),
    "no_capacity": ("核定人数未登记", "capacity not recorded"),
    "no_floor": ("楼层未登记", "floor not recorded"),
    "no_entrance": ("出入口不在区域平面内", "the entrance is not on the zone plan"),
    "no_value": ("无有效读数", "no good value"),
    "too_low": ("低于下限", "below the minimum"),
    "too_high": ("高于上限", "above the maximum"),
    "no_index": ("未读到录像索引", "no recording index was read"),
    "too_short": ("保存天数不足", "kept for too few days"),
    "too_long": ("超过保存上限", "kept for too long"),
    "days_unproven": ("保存天数未证实", "days kept are not proven"),
    "stopped": ("已停止录像", "recording has stopped"),
    "newest_unknown": ("最新录像时间未知", "not known whether it still records"),
    "gaps": ("录像有缺失或坏帧", "footage is missing, black or frozen"),
    "recorded": ("已录", "recorded"),
    "so_far": ("投用以来均已录", "recorded ever since it is in service"),
    "legal_hold": ("依法留存", "legal hold"),
    "never_proven": ("从未验证", "never proven"),
    "overdue": ("逾期", "overdue"),
    "may_be_off": ("可能被撤防、定时关闭或屏蔽", "may be off by mode, schedule or hiding"),
    "never_stated": ("从无记录", "never recorded"),
    "future": ("日期在将来", "dated in the future"),
    "expired": ("已失效", "expired"),
    "not_seconded": ("缺第二人签字", "no second signature"),
    "no_number": ("缺编号", "no number"),
    "stated": ("有记录", "recorded"),
    "too_few": ("次数不足", "too few"),
    "not_told": ("是否属于此情形未说明", "nobody stated whether it is so"),
    "no_such_device": ("没有这类在用设备", "no such device in service"),
    "no_calendar": ("开放日历未知", "opening days not known"),
    "never_measured": ("从无测得", "never measured"),
    "not_arrived": ("未到达", "never arrived"),
    "too_slow": ("超时", "too slow"),
    "in_time": ("按时", "in time"),
    "clock": ("时钟不可信", "clock not to be believed"),
}

FACTS: dict[str, tuple[str, str]] = {
    "area": ("面积", "area"),
    "capacity": ("核定人数", "capacity"),
    "floor": ("楼层", "floor"),
    "entrance": ("出入口", "entrance"),
    "open": ("开放日", "opening day"),
    "fire": ("火警", "fire"),
    "panic": ("一键报警", "panic"),
    "intrusion": ("入侵", "intrusion"),
    "access": ("门禁", "access"),
} | {kind.value: (kind.zh, kind.en) for kind in AttestationKind}


_STAGES = {
    "detector": ("探测器", "detector"),
    "press": ("按键", "press"),
    "site": ("现场平台", "site"),
    "centre": ("中心", "centre"),
    "hub": ("平台", "hub"),
    "people": ("人员", "people"),
    "police": ("公安", "police"),
    "acknowledged": ("接警", "acknowledgement"),
}
_LINKS = {
    "link": ("线路", "link"),
    "switch": ("交换机", "switch"),
    "power": ("供电", "power feed"),
    "recorder": ("录像机", "recorder"),
    "edge": ("边缘网关", "edge"),
    "uplink": ("上行链路", "uplink"),
}
_POINTS = {"recording_days": ("录像保存天数", "days of recording"), "area_m2": ("面积", "area"), "floor": ("楼层", "floor"), "capacity": ("核定人数", "capacity")}  # fmt: skip


def part(kind: str) -> tuple[str, str]:
    """A kind of thing that devices are behind, or a device, in words."""
    return _LINKS.get(kind, ("设备", "device"))


def _named(names: frozenset[str], words: dict[str, tuple[str, str]], zh: str, en: str) -> tuple[str, str]:
    known = [words.get(name, (name, name)) for name in sorted(names)]
    return zh.join(one[0] for one in known), en.join(one[1] for one in known)


@lru_cache(maxsize=1024)
def capabilities(names: frozenset[str]) -> tuple[str, str]:
    """Any of these capabilities, in words."""
    return _named(names, CAPABILITIES, "或", " or ")


def period(length: Micros) -> tuple[str, str]:
    """A length of time in its largest whole unit."""
    for unit, zh, en in ((DAY, "天", "days"), (3600 * SECOND, "小时", "hours"), (60 * SECOND, "分钟", "minutes")):
        if length >= unit and length % unit == 0:
            n = length // unit
            return f"{n} {zh}", f"{n} {en if n != 1 else en[:-1]}"
    return f"{length / SECOND:g} 秒", f"{length / SECOND:g} s"


@lru_cache(maxsize=4096)
def asked_for(requirement: Requirement) -> tuple[str, str]:
    """What a requirement asks for, as a phrase."""
    match requirement:
        case AtLeast() | NoneIn():
            return capabilities(requirement.capabilities)
        case ShareCovered():
            zh, en = capabilities(requirement.capabilities)
            return (
                f"{zh}覆盖面积不少于 {_percent(requirement.share)}",
                f"{en} over at least {_percent(requirement.share)} of each zone",
            )
        case Bounds():
            return _bounds(requirement)
        case Proven():
            zh, en = capabilities(requirement.capabilities)
            in_zh, in_en = period(requirement.within)
            return f"{zh}在 {in_zh}内经过功能验证", f"{en} proven within {in_en}"
        case Attested():
            return _attested(requirement)
        case Documents():
            zh, en = _named(requirement.kinds, FACTS, "、", ", ")
            return f"文件齐备（{zh}）", f"documents ({en})"
        case AlwaysArmed():
            zh, en = _named(requirement.classes, FACTS, "、", ", ")
            return f"{zh}信号全天设防", f"{en} signals always armed"
        case TimeBound():
            return _time_bound(requirement)
        case Independent():
            zh, en = capabilities(requirement.capabilities)
            of_zh, of_en = _LINKS[requirement.of]
            return (
                f"{zh}不少于 {requirement.n} 处且{of_zh}互相独立",
                f"at least {requirement.n} with {en}, no two behind the same {of_en}",
            )


def circumstance(when: When) -> tuple[str, str]:
    """In which circumstance a rule asks anything."""
    if when.capabilities:
        zh, en = capabilities(when.capabilities)
        return f"设有{zh}设备", f"there is a device with {en}"
    zh, en = FACTS[when.stated]
    least = "" if when.minimum == 1 else f"（≥ {when.minimum:g}）"
    return f"已说明：{zh}{least}", f"stated: {en}" + (f", at least {when.minimum:g}" if least else "")


def _percent(share: float) -> str:
    """Not rounded up to what it is not."""
    return f"{round(share * 100, 6):g}%"


def _bounds(asked: Bounds) -> tuple[str, str]:
    zh, en = _POINTS.get(asked.of, (f"测点 {asked.point}", f"point {asked.point}"))
    limits_zh = [f"不低于 {asked.minimum:g}"] if asked.minimum is not None else []
    limits_en = [f"at least {asked.minimum:g}"] if asked.minimum is not None else []
    if asked.maximum is not None:
        limits_zh.append(f"不高于 {asked.maximum:g}")
        limits_en.append(f"at most {asked.maximum:g}")
    return f"{zh}{'且'.join(limits_zh)}", f"{en} {' and '.join(limits_en)}"


def _attested(asked: Attested) -> tuple[str, str]:
    zh, en = FACTS.get(asked.kind, (asked.kind, asked.kind))
    if asked.each_open_day:
        return f"每个开放日{zh}不少于 {asked.n} 次", f"{en}: at least {asked.n} on each opening day"
    if asked.within is None:
        return f"{zh}记录", f"{en} on record"
    in_zh, in_en = period(asked.within)
    return f"{in_zh}内{zh}不少于 {asked.n} 次", f"{en}: at least {asked.n} within {in_en}"


def _time_bound(asked: TimeBound) -> tuple[str, str]:
    from_zh, from_en = _STAGES.get(asked.start, (asked.start, asked.start))
    to_zh, to_en = _STAGES.get(asked.end, (asked.end, asked.end))
    in_zh, in_en = period(asked.within)
    share_zh, share_en = (
        ("", "")
        if asked.quantile is None
        else (f"（{_percent(asked.quantile)}）", f" ({_percent(asked.quantile)} of the times)")
    )
    return f"{from_zh}至{to_zh}不超过 {in_zh}{share_zh}", f"{from_en} to {to_en} within {in_en}{share_en}"
