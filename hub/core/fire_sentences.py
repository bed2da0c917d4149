"""What people read of a fire-risk score: the words of each reason, and a sentence per factor with its points, counts and ages."""

from hub.core.fire_facts import Weights
from hub.core.fire_risk import Points, Risk, Seen
from hub.model import SECOND, Micros

NAMED = 3
"""things that a sentence names; the evidence has more"""

_REASONS = {
    "fire_alarm": ("火警未结束", "fire alarm not ended"),
    "gas_alarm": ("燃气报警未结束", "gas alarm not ended"),
    "gas_above_limit": ("燃气浓度超限", "gas above its limit"),
    "no_detector": ("没有任何探测器", "there is no detector at all"),
    "no_detector_here": ("没有探测器", "no detector"),
    "panel_only": (
        "仅有火灾报警主机，不知该处有无探测器",
        "only a fire panel: whether it has a detector there is unknown",
    ),
    "no_zone_plan": ("没有区域平面，无从得知", "there is no zone plan: unknown"),
    "not_connected": ("未接入，无从得知", "not connected: unknown"),
    "exit_not_free": ("出口被顶开、强开或堵塞", "exit propped, forced or blocked"),
    "nobody_tells_of_it": ("出口没有门磁或门禁，状态未知", "no door contact there: unknown"),
    "door_silent": ("门禁不可用，出口状态未知", "its door tells nothing: unknown"),
    "no_exit_known": ("没有登记出口，无从得知", "no exit is declared: unknown"),
    "gas_warning": ("燃气浓度预警", "gas warning"),
    "no_gas_detector_here": ("厨房没有燃气探测器，是否用气未知", "kitchen without a gas detector: unknown"),
    "not_measured": ("没有测量，无从得知", "nobody measures it: unknown"),
    "hot": ("温度超限", "too hot"),
    "electrical": ("电气火灾隐患报警", "electrical fire warning"),
    "live_after_closing": ("闭园后仍带电", "live after closing"),
    "value_too_old": ("读数过时或质量差，未知", "reading stale or bad: unknown"),
    "overdue": ("逾期未做", "overdue"),
    "never_recorded": ("没有记录，未知", "never recorded: unknown"),
    "test_overdue": ("功能测试逾期", "function test overdue"),
    "nothing_tested": ("没有探测器可测，无从得知", "nothing there to test: unknown"),
    "never_tested": ("从未测试，未知", "never tested: unknown"),
    "failed": ("故障", "failed"),
    "offline": ("离线，未知", "offline: unknown"),
    "link_unknown": ("无人收听，未知", "not heard: unknown"),
    "unproven": ("未经功能测试证明，未知", "unproven: unknown"),
    "out_of_service": ("停用", "out of service"),
    "registered": ("仅登记，未投用", "registered only"),
    "commissioned": ("已调试，未投用", "commissioned, not in service"),
    "retired": ("已退役", "retired"),
    "quarantined": ("隔离待审", "quarantined"),
}
_MINUTE, _HOUR, _DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND


def reason(word: str) -> tuple[str, str]:
    """Chinese and English of a reason; the word itself where it is none of ours."""
    return _REASONS.get(word, (word, word))


def age(since: Micros | None, at: Micros) -> tuple[str, str]:
    """How long ago, in whole units; empty where nobody knows."""
    if since is None:
        return "", ""
    passed = max(0, at - since)
    for unit, zh, en in ((_DAY, "天", "d"), (_HOUR, "小时", "h"), (_MINUTE, "分钟", "min")):
        if passed >= unit:
            return f"{passed // unit}{zh}", f"{passed // unit} {en}"
    return "不到1分钟", "under 1 min"


def of_factor(points: Points, weights: Weights, at: Micros) -> tuple[str, str]:
    """One sentence on what a factor adds and why."""
    weight = weights.factors[points.factor]
    if not points.evidence:
        return f"{weight.title_zh}：未见异常。", f"{weight.title_en}: nothing found."
    named = [_thing(one, at) for one in points.evidence[:NAMED]]
    more = points.bad + points.unknown - len(named)
    zh = "；".join(one[0] for one in named) + (f"；另有{more}项" if more else "")
    en = "; ".join(one[1] for one in named) + (f"; and {more} more" if more else "")
    return (
        f"{weight.title_zh}：计{points.points}分（{points.bad}项不良，{points.unknown}项未知）：{zh}。",
        f"{weight.title_en}: {points.points} points ({points.bad} bad, {points.unknown} unknown): {en}.",
    )


def of_risk(risk: Risk, weights: Weights) -> tuple[str, str]:
    """The whole in one sentence. It says that these are internal parameters, and what of the score is unknown."""
    unknown = risk.score - risk.certain
    return (
        f"火灾风险{risk.score}分（{risk.level.title_zh}），其中{unknown}分因情况未知而计。{weights.label_zh}。",
        f"Fire risk {risk.score} ({risk.level.title_en}), {unknown} of it because things are unknown. {weights.label_en}.",
    )


def _thing(seen: Seen, at: Micros) -> tuple[str, str]:
    zh, en = reason(seen.reason)
    old_zh, old_en = age(seen.since, at)
    name = seen.thing.partition(":")[2]
    before = f"{name} " if name else ""
    return before + zh + (f"（{old_zh}）" if old_zh else ""), before + en + (f" ({old_en})" if old_en else "")
