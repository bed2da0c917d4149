"""Findings and warnings as sentences for people, Chinese and English. Stable: no times in them, those stand in the evidence."""

from collections.abc import Sequence
from functools import lru_cache

from hub.core.coverage.facts import Contribution
from hub.core.coverage.findings import FactEvidence, Part
from hub.core.coverage.purposes import purpose_title
from hub.core.coverage.rules import AtLeast, Basis, NoneIn, Rule, Verdict
from hub.core.coverage.wording import CAPABILITIES, FACTS, REASONS, capabilities

STALE = ("超过三分钟未重新判定，无法证实。", "Not judged again for three minutes; cannot be proven.")
"""what stands in place of a compliant finding that nobody renewed"""

LATE = (
    "其中有设备当时与中心失联，据事后补传的记录判定。",
    " Some devices were not heard then; what their edge kept came later.",
)
"""after a compliant finding that rests on what came late"""

_PROVEN = Contribution.PROVEN
_MOST_NAMED = 5
"""places named in a sentence; the evidence has them all"""


def of(rule: Rule, words: tuple[str, str], verdict: Verdict, reason: str, parts: Sequence[Part]) -> tuple[str, str]:
    """The finding as one Chinese and one English sentence. `words`: what the rule asks for (`hub.core.coverage.wording.asked_for`)."""
    if not parts:
        return _WITHOUT_PARTS[reason]
    zh, en = _of_parts(rule, words, verdict, reason, parts)
    if verdict is Verdict.COMPLIANT:
        for part in parts:
            for row in part.devices:
                if row.reason == "heard_late":
                    return zh + LATE[0], en + LATE[1]
    return zh, en


def _of_parts(
    rule: Rule, words: tuple[str, str], verdict: Verdict, reason: str, parts: Sequence[Part]
) -> tuple[str, str]:
    if reason == "not_so":
        return _not_so(parts[0])
    asked = rule.requirement
    if verdict is Verdict.COMPLIANT and not isinstance(asked, NoneIn | AtLeast):
        return f"{words[0]}：已证实。", f"{words[1]}: proven."
    bad = [part for part in parts if part.verdict is verdict] if verdict is not Verdict.COMPLIANT else []
    if reason == "unplaced":
        zh, en = _listed(bad)
        return (
            f"有摄像设备未登记安装位，无法判定：{zh}。",
            f"Devices without a recorded position, cannot be judged: {en}.",
        )
    if isinstance(asked, NoneIn):
        return _of_none_in(verdict, parts, bad)
    if isinstance(asked, AtLeast):
        return _of_at_least(rule, asked, verdict, parts, bad)
    return _of_record(rule, words, verdict, parts, bad)


_WITHOUT_PARTS = {
    "not_connected": ("该机构尚未接入，无法判定。", "The institution is not connected; nothing can be judged."),
    "unreadable": (
        "中心所存的该机构数据无法读懂，无法判定；运行日志 coverage.unreadable 写明原因。",
        "What the hub keeps of this institution cannot be read; nothing can be judged. Its log says why (coverage.unreadable).",
    ),
    "no_zone_plan": ("尚无区域平面，无法判定。", "There is no zone plan yet; nothing can be judged."),
    "no_such_zone": ("区域平面中没有这类区域。", "The zone plan has no such zone."),
    "no_such_device": ("没有这类在用设备。", "There is no such device in service."),
    "prohibited": (
        "该规则所指区域均属禁设区域，禁止优先于覆盖。",
        "All zones of this rule are forbidden ones; the prohibition wins.",
    ),
}


def _not_so(part: Part) -> tuple[str, str]:
    """The circumstance in which the rule asks does not hold."""
    kind = part.facts[0].kind
    if kind in CAPABILITIES:
        zh, en = CAPABILITIES[kind]
        return f"没有{zh}设备，本条不适用。", f"There is no device with {en}; the rule does not apply."
    zh, en = FACTS.get(kind, (kind, kind))
    return f"已说明不属于此情形（{zh}），本条不适用。", f"Stated not to be so ({en}); the rule does not apply."


def _of_none_in(verdict: Verdict, parts: Sequence[Part], bad: Sequence[Part]) -> tuple[str, str]:
    if verdict is Verdict.COMPLIANT:
        return (
            f"{len(parts)} 个禁设区域内未登记此类设备。",
            f"No such device is registered in a forbidden zone (there are {len(parts)}).",
        )
    zh, en = _listed(bad)
    if verdict is Verdict.UNKNOWN:
        return f"无法证实禁设区域未被摄入：{zh}。", f"Cannot be proven that nothing looks into forbidden zones: {en}."
    return f"禁设区域内有设备：{zh}。", f"Devices in forbidden zones: {en}."


def _of_at_least(
    rule: Rule, asked: AtLeast, verdict: Verdict, parts: Sequence[Part], bad: Sequence[Part]
) -> tuple[str, str]:
    what_zh, what_en = capabilities(asked.capabilities)
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
    below_zh, below_en = _below(rule.basis)
    return (
        f"{below_zh}{total} 个区域中有 {len(bad)} 个缺少{what_zh}：{zh}。",
        f"{below_en}{len(bad)} of {total} zones lack {what_en}: {en}.",
    )


def _of_institution(rule: Rule, verdict: Verdict, part: Part, what_zh: str, what_en: str) -> tuple[str, str]:
    detail_zh, detail_en = _detail(part)
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
    below_zh, below_en = _below(rule.basis)
    return (
        f"{below_zh}缺少{what_zh}，要求至少 {part.needed} 处：{detail_zh}。",
        f"{below_en}{what_en} is missing, at least {part.needed} needed: {detail_en}.",
    )


def _below(basis: Basis) -> tuple[str, str]:
    """REC, ANA, INT and ENG never make an institution non-compliant in words, only below the recommendation."""
    return ("低于建议：", "Below the recommendation: ") if basis is Basis.RECOMMENDATION else ("", "")


def _listed(parts: Sequence[Part]) -> tuple[str, str]:
    named_zh, named_en = [], []
    for part in parts[:_MOST_NAMED]:
        zh, en = _detail(part)
        place_zh, place_en = _place(part)
        named_zh.append(f"{place_zh}（{zh}）" if place_zh else zh)
        named_en.append(f"{place_en} ({en})" if place_en else en)
    more = len(parts) - _MOST_NAMED
    if more > 0:
        named_zh.append(f"另 {more} 处")
        named_en.append(f"{more} more")
    return "、".join(named_zh), ", ".join(named_en)


def _place(part: Part) -> tuple[str, str]:
    if part.zone is not None:
        return part.zone.title_zh, part.zone.title_en
    return (f"{part.place} 层", f"floor {part.place}") if part.place and not part.facts else (part.place, part.place)


def _detail(part: Part) -> tuple[str, str]:
    """Why it is so: the devices and facts that do not prove it, the deciding ones first."""
    if not part.devices and len(part.facts) == 1 and part.facts[0].contribution is not _PROVEN:
        return _fact(part.facts[0].kind, part.facts[0].reason)
    said: list[tuple[Contribution, str, str, str]] = [
        (row.contribution, row.reason, row.device, row.device)
        for row in part.devices
        if row.contribution is not _PROVEN
    ]
    for one in part.facts:
        if one.contribution is not _PROVEN:
            zh, en = FACTS.get(one.kind, (one.kind, one.kind))
            said.append((one.contribution, one.reason, zh, en))
    if not said:
        return ("无设备", "no device") if not part.devices and not part.facts else ("数量不足", "too few")
    if part.verdict is Verdict.NON_COMPLIANT:
        said.sort(key=_unknown)
    named_zh: dict[str, None] = {}
    named_en: dict[str, None] = {}
    for _, reason, zh, en in said:
        why_zh, why_en = REASONS.get(reason, (reason, reason))
        named_zh[f"{zh} {why_zh}"] = None
        named_en[f"{en} {why_en}"] = None
        if len(named_zh) == _MOST_NAMED:
            break
    return "、".join(named_zh), ", ".join(named_en)


@lru_cache(maxsize=4_096)
def _fact(kind: str, reason: str) -> tuple[str, str]:
    zh, en = FACTS.get(kind, (kind, kind))
    why_zh, why_en = REASONS.get(reason, (reason, reason))
    return f"{zh} {why_zh}", f"{en} {why_en}"


def _unknown(said: tuple[Contribution, str, str, str]) -> bool:
    """What breaks the rule comes before what is only not known."""
    return said[0] is not Contribution.NONE


def of_placement(rule: Rule, purpose: str) -> tuple[str, str]:
    """The warning of a plan, naming document and clause."""
    zh, en = purpose_title(purpose)
    cited = f"{rule.document} {rule.number} {rule.clause}".strip()
    return (
        f"{zh}属于禁设区域：{rule.title_zh}（{cited}）。",
        f"A {en} is a forbidden zone: {rule.title_en} ({cited}).",
    )


def _of_record(
    rule: Rule, words: tuple[str, str], verdict: Verdict, parts: Sequence[Part], bad: Sequence[Part]
) -> tuple[str, str]:
    """Every kind of requirement that is not about how many devices there are."""
    if len(parts) == 1 and parts[0].zone is None and len(parts[0].facts) == 1:
        only = parts[0].facts[0]
        if only.reason == "never_stated":
            return _unsaid(words, verdict, rule.basis, only)
    return _said(words, rule.basis, verdict, *_listed(bad))


@lru_cache(maxsize=1_024)
def _unsaid(words: tuple[str, str], verdict: Verdict, basis: Basis, only: FactEvidence) -> tuple[str, str]:
    """What nobody ever stated is said in the same words of every institution."""
    return _said(words, basis, verdict, *_fact(only.kind, only.reason))


def _said(words: tuple[str, str], basis: Basis, verdict: Verdict, zh: str, en: str) -> tuple[str, str]:
    what_zh, what_en = words
    if verdict is Verdict.UNKNOWN:
        return f"{what_zh}无法证实：{zh}。", f"Cannot be proven: {what_en}: {en}."
    below_zh, below_en = _below(basis)
    return f"{below_zh}{what_zh}，不符合：{zh}。", f"{below_en}{what_en[:1].upper()}{what_en[1:]}, not met: {en}."
