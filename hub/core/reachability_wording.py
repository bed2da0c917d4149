"""How the check of reach words what it finds: policies and spans of time, in both languages. Pure."""

from collections.abc import Mapping
from datetime import date

from hub.core.escalation import Policy
from hub.core.rota import EAST, local_day
from hub.model import SECOND, Micros, SignalClass

CLASSES_ZH: Mapping[SignalClass, str] = {
    SignalClass.FIRE: "火警",
    SignalClass.PANIC: "一键报警",
    SignalClass.INTRUSION: "入侵",
    SignalClass.ACCESS: "门禁",
    SignalClass.SUPERVISORY: "监管",
    SignalClass.FAULT: "故障",
    SignalClass.COMMUNICATION: "通信",
    SignalClass.CLOCK: "时钟",
    SignalClass.COMPLIANCE: "合规",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def what(policy: Policy) -> tuple[str, str]:
    """What a policy is for, in words: `长治…火警（策略 x）`, `fire in division 1404 (policy x)`."""
    classes = sorted(policy.signal_classes, key=list(SignalClass).index)
    zh, en = "、".join(CLASSES_ZH[name] for name in classes), " and ".join(name.value for name in classes)
    place_zh, place_en = "全部机构", "everywhere"
    if policy.institution is not None:
        place_zh, place_en = f"机构 {policy.institution}", f"at institution {policy.institution}"
    elif policy.group is not None:
        place_zh, place_en = f"机构组 {policy.group}", f"in group {policy.group}"
    elif policy.division is not None:
        place_zh, place_en = f"区划 {policy.division}", f"in division {policy.division}"
    if policy.institution_types:
        kinds = ", ".join(sorted(policy.institution_types))
        place_zh, place_en = f"{place_zh}（类型 {kinds}）", f"{place_en} (types {kinds})"
    return f"{place_zh}的{zh}（策略 {policy.id}）", f"{en} {place_en} (policy {policy.id})"


def _clock(at: Micros) -> tuple[date, str]:
    seconds = ((at + EAST) // SECOND) % 86_400
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return local_day(at), text if seconds % 60 == 0 else f"{text}:{seconds % 60:02}"


def span_en(since: Micros, until: Micros) -> str:
    """`Oct 1 03:10–07:00` in China's time, with the year where it is not one and the same day's."""
    (day, begin), (last, end) = _clock(since), _clock(until)
    first = f"{_MONTHS[day.month - 1]} {day.day} {begin}"
    if day == last:
        return f"{first}–{end}"
    return f"{day.year} {first} – {last.year} {_MONTHS[last.month - 1]} {last.day} {end}"


def span_zh(since: Micros, until: Micros) -> str:
    """`10月1日 03:10–07:00`."""
    (day, begin), (last, end) = _clock(since), _clock(until)
    first = f"{day.month}月{day.day}日 {begin}"
    return f"{first}–{end}" if day == last else f"{day.year}年{first} – {last.year}年{last.month}月{last.day}日 {end}"
