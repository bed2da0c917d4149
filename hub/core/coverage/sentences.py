"""Findings and warnings as sentences for people, Chinese and English. Stable: no times in them, those stand in the evidence."""

from collections.abc import Sequence

from hub.core.coverage.findings import Part
from hub.core.coverage.purposes import purpose_title
from hub.core.coverage.rules import AtLeast, Basis, NoneIn, Rule, Verdict

CAPABILITIES: dict[str, tuple[str, str]] = {
    "video.live": ("视频监控", "live video"),
    "video.record": ("录像", "video recording"),
    "alarm.manual": ("一键报警", "panic button"),
    "access.control": ("智能门禁", "access control"),
    "fire.smoke": ("感烟探测", "smoke detection"),
    "fire.panel": ("火灾报警控制器", "fire panel"),
    "fire.manual_call": ("手动火灾报警", "manual call point"),
    "gas.detect": ("燃气探测", "gas detection"),
    "power.backup": ("后备电源", "standby power"),
}

_REASONS: dict[str, tuple[str, str]] = {
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
    "unplaced": ("未登记安装位", "no position recorded"),
    "ok": ("正常", "ok"),
    "degraded": ("性能下降", "degraded"),
}

STALE = ("超过三分钟未重新判定，无法证实。", "Not judged again for three minutes; cannot be proven.")
"""what stands in place of a compliant finding that nobody renewed"""

_MOST_NAMED = 5
"""places named in a sentence; the evidence has them all"""


def of(rule: Rule, verdict: Verdict, reason: str, parts: Sequence[Part]) -> tuple[str, str]:
    """The finding as one Chinese and one English sentence."""
    if reason in _WITHOUT_PARTS:
        return _WITHOUT_PARTS[reason]
    bad = [part for part in parts if part.verdict is verdict and verdict is not Verdict.COMPLIANT]
    if reason == "unplaced":
        zh, en = _listed(bad)
        return (
            f"有摄像设备未登记安装位，无法判定：{zh}。",
            f"Devices without a recorded position, cannot be judged: {en}.",
        )
    if isinstance(rule.requirement, NoneIn):
        return _of_none_in(verdict, parts, bad)
    return _of_at_least(rule, rule.requirement, verdict, parts, bad)


_WITHOUT_PARTS = {
    "not_connected": ("该机构尚未接入，无法判定。", "The institution is not connected; nothing can be judged."),
    "no_zone_plan": ("尚无区域平面，无法判定。", "There is no zone plan yet; nothing can be judged."),
    "no_such_zone": ("区域平面中没有这类区域。", "The zone plan has no such zone."),
}


def _of_none_in(verdict: Verdict, parts: Sequence[Part], bad: Sequence[Part]) -> tuple[str, str]:
    if verdict is Verdict.COMPLIANT:
        return (
            f"{len(parts)} 个禁设区域内未登记此类设备。",
            f"No such device is registered in a forbidden zone (there are {len(parts)}).",
        )
    zh, en = _listed(bad)
    return f"禁设区域内有设备：{zh}。", f"Devices in forbidden zones: {en}."


def _of_at_least(
    rule: Rule, asked: AtLeast, verdict: Verdict, parts: Sequence[Part], bad: Sequence[Part]
) -> tuple[str, str]:
    names = sorted(asked.capabilities)
    what_zh = "或".join(CAPABILITIES.get(name, (name, name))[0] for name in names)
    what_en = " or ".join(CAPABILITIES.get(name, (name, name))[1] for name in names)
    if asked.per == "institution":
        return _of_institution(rule, verdict, parts[0], what_zh, what_en)
    total = len(parts)
    if verdict is Verdict.COMPLIANT:
        zones_en = "The only such zone has" if total == 1 else f"All {total} zones have"
        return f"{total} 个区域{'均' if total > 1 else ''}有已证实的{what_zh}。", f"{zones_en} proven {what_en}."
    zh, en = _listed(bad)
    if verdict is Verdict.UNKNOWN:
        return (
            f"{total} 个区域中有 {len(bad)} 个的{what_zh}无法证实：{zh}。",
            f"{what_en.capitalize()} cannot be proven in {len(bad)} of {total} zones: {en}.",
        )
    below_zh, below_en = _below(rule)
    return (
        f"{below_zh}{total} 个区域中有 {len(bad)} 个缺少{what_zh}：{zh}。",
        f"{below_en}{len(bad)} of {total} zones lack {what_en}: {en}.",
    )


def _of_institution(rule: Rule, verdict: Verdict, part: Part, what_zh: str, what_en: str) -> tuple[str, str]:
    detail_zh, detail_en = _devices(part)
    if verdict is Verdict.COMPLIANT:
        return (
            f"已证实 {part.proven} 处{what_zh}，要求至少 {part.needed} 处。",
            f"{part.proven} proven with {what_en}, at least {part.needed} needed.",
        )
    if verdict is Verdict.UNKNOWN:
        return (
            f"{what_zh}无法证实，要求至少 {part.needed} 处：{detail_zh}。",
            f"{what_en.capitalize()} cannot be proven, at least {part.needed} needed: {detail_en}.",
        )
    below_zh, below_en = _below(rule)
    return (
        f"{below_zh}缺少{what_zh}，要求至少 {part.needed} 处：{detail_zh}。",
        f"{below_en}{what_en} is missing, at least {part.needed} needed: {detail_en}.",
    )


def _below(rule: Rule) -> tuple[str, str]:
    """REC, ANA, INT and ENG never make an institution non-compliant in words, only below the recommendation."""
    return ("低于建议：", "Below the recommendation: ") if rule.basis is Basis.RECOMMENDATION else ("", "")


def _listed(parts: Sequence[Part]) -> tuple[str, str]:
    named_zh, named_en = [], []
    for part in parts[:_MOST_NAMED]:
        zh, en = _devices(part)
        named_zh.append(f"{part.zone.title_zh}（{zh}）" if part.zone is not None else zh)
        named_en.append(f"{part.zone.title_en} ({en})" if part.zone is not None else en)
    more = len(parts) - _MOST_NAMED
    if more > 0:
        named_zh.append(f"另 {more} 处")
        named_en.append(f"{more} more")
    return "、".join(named_zh), ", ".join(named_en)


def _devices(part: Part) -> tuple[str, str]:
    rows = [row for row in part.devices if row.contribution != "proven"][:_MOST_NAMED]
    if not rows:
        return ("无设备", "no device") if not part.devices else ("数量不足", "too few")
    zh = "、".join(f"{row.device} {_REASONS.get(row.reason, (row.reason, ''))[0]}" for row in rows)
    en = ", ".join(f"{row.device} {_REASONS.get(row.reason, ('', row.reason))[1]}" for row in rows)
    return zh, en


def of_placement(rule: Rule, purpose: str) -> tuple[str, str]:
    """The warning of a plan, naming document and clause."""
    zh, en = purpose_title(purpose)
    cited = f"{rule.document} {rule.number} {rule.clause}".strip()
    return (
        f"{zh}属于禁设区域：{rule.title_zh}（{cited}）。",
        f"A {en} is a forbidden zone: {rule.title_en} ({cited}).",
    )
