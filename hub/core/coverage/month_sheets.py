"""The monthly ledger as tables of words and numbers, for whatever they are written into: Chinese first, English second. Pure.

Text that a spreadsheet would take for a formula is made harmless here, once, for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta, timezone
from typing import Any, NamedTuple

from hub.core.coverage.month import COLUMNS, Entry, Line, Month, digest, summary
from hub.core.coverage.month_changes import Change, Changes, What
from hub.core.coverage.month_changes import digest as changes_digest
from hub.core.coverage.purposes import InstitutionType
from hub.core.coverage.rollup import CONNECTED_TARGET, Tally, shown, shown_lack
from hub.core.coverage.rules import Basis, Verdict
from hub.model import Micros, to_datetime

BEIJING = timezone(timedelta(hours=8))
Cell = str | int | float | None
"""a number is a count or, where it is a float, a rate from 0 to 1 as it is shown (hub.core.coverage.rollup); None is an empty cell"""

FIGURES: dict[tuple[Basis, str], tuple[str, str]] = {
    (Basis.OBLIGATION, ""): ("法定义务", "Obligations"),
    (Basis.TARGET, ""): ("全覆盖目标", "Full coverage"),
    (Basis.TARGET, "video"): ("视频", "Video"),
    (Basis.TARGET, "panic"): ("一键报警", "Panic"),
    (Basis.TARGET, "access"): ("门禁", "Access"),
    (Basis.TARGET, "fire"): ("消防", "Fire"),
    (Basis.RECOMMENDATION, ""): ("建议", "Advised"),
}
VERDICTS = {
    Verdict.COMPLIANT: ("达标", "compliant"),
    Verdict.NON_COMPLIANT: ("不达标", "non-compliant"),
    Verdict.UNKNOWN: ("未知", "unknown"),
    Verdict.WAIVED: ("已豁免", "waived"),
    Verdict.NOT_APPLICABLE: ("不适用", "n/a"),
}
_STATES = {
    "issued": ("已下达", "issued"),
    "answered": ("已答复", "answered"),
    "reopened": ("重新打开", "reopened"),
    "raised": ("已上报", "raised"),
    "closed": ("已办结", "closed"),
    "withdrawn": ("已撤销", "withdrawn"),
}


class Sheet(NamedTuple):
    """A table with its name. `widths` in characters, as wide as Latin ones."""

    name: tuple[str, str]
    headings: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    widths: Sequence[int]


def sheets(month: Month) -> tuple[Sheet, ...]:
    """Summary, entries, orders, waivers, notes."""
    return (_summary(month), _entries(month), _orders(month), _waivers(month), _notes(month))


def changes_sheet(changes: Changes, most: int | None = None) -> Sheet:
    """What has become known since: one line each, below a line that says of which time, and names the list by its digest. At most `most` rows in all: what
    is left out then is said.
    """
    headings = [
        *(("类别", "What"), ("区划或备案号", "Division or filing number"), ("名称", "Name"), ("项目", "Item")),
        *(("台账所载", "As in the ledger"), ("现在所知", "As known since"), ("知悉时间", "Known at"), ("原因", "Why")),
    ]
    count = len(changes.lines)
    shown = changes.lines if most is None else changes.lines[: max(0, most - 1)]
    more = "" if changes.is_whole else " 判定变更未全部列出。 Not all findings are listed."
    if len(shown) < count:
        more += f" 此处列出前{len(shown)}项，其余见XLSX。 The first {len(shown)} are here, the others in the XLSX."
    said: list[Cell] = [
        "说明 Note",
        None,
        None,
        f"{count}项变更 {count} changes" if count else "没有变更 nothing has changed",
        moment(changes.known_at),
        moment(changes.seen_at),
        None,
        "正文按台账知悉时点不变；此处列出此后才知道的。 The ledger itself stays as it was known; here is what became known since."
        f"{more} SHA-256 {changes_digest(changes)}",
    ]
    return Sheet(
        ("此后变更", "Changes since"),
        headings,
        [said, *(_change_row(one) for one in shown)],
        (10, 16, 26, 32, 24, 24, 17, 50),
    )


_WHAT = {
    What.FIGURE: "数字 figure",
    What.ENTRY: "机构 entry",
    What.FINDING: "判定 finding",
    What.ORDER: "整改 order",
    What.WAIVER: "豁免 waiver",
}
_ITEMS = {
    "entry": ("名册条目", "entry"),
    "register": ("名册", "register"),
    "connected": ("已接入", "connected"),
    "title_zh": ("名称", "name"),
    "title_en": ("英文名称", "English name"),
    "division": ("区划", "division"),
    "type": ("类型", "type"),
    "capacity": ("托位", "places"),
    "institution": ("接入机构", "institution"),
    "waivers": ("豁免", "waivers"),
    "open_orders": ("未结整改", "open orders"),
    "raised_orders": ("已上报", "raised orders"),
    **{f"{basis.value}/{module}": words for (basis, module), words in FIGURES.items()},
}


def _change_row(one: Change) -> list[Cell]:
    zh, en = (one.item_zh, one.item_en) if one.item_zh or one.item_en else _ITEMS.get(one.item, (one.item, ""))
    named = f"{one.item[:8]} {_both(zh, en)}" if one.what in (What.ORDER, What.WAIVER) else _both(zh, en)
    return [
        _WHAT[one.what],
        guarded(one.place),
        _both(one.title_zh, one.title_en),
        named,
        _value(one.what, one.before),
        _value(one.what, one.after),
        moment(one.known_at),
        _both(one.why_zh, one.why_en),
    ]


def _value(what: What, value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, Mapping):
        rate = "—" if value["rate"] is None else f"{shown(value['rate']):.2%}"
        institutions, findings = (
            " ".join(f"{VERDICTS[one][0]}{held[one.value]}" for one in _COUNTED) for held in (value, value["findings"])
        )
        return f"{rate}（机构 {institutions}；判定 {findings}）"
    if isinstance(value, bool):
        return "有 yes" if value else "无 no"
    if value in set(Verdict):
        return " ".join(VERDICTS[Verdict(value)])
    if what is What.ORDER:
        return _both(*_STATES.get(str(value), (str(value), "")))
    return guarded(str(value))


_COUNTED = (Verdict.COMPLIANT, Verdict.NON_COMPLIANT, Verdict.UNKNOWN, Verdict.WAIVED)


def title(month: Month) -> tuple[str, str]:
    """What the ledger is called."""
    place = month.division
    zh = f"{place.title_zh} {month.month} 托育机构安全覆盖月度台账"
    provisional = ("", "") if month.is_over else ("（本月未结束）", " (month not over)")
    return zh + provisional[0], f"{place.title_en} {month.month}: monthly ledger of coverage{provisional[1]}"


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula, and without characters that a document cannot hold."""
    clean = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)
    return f"'{clean}" if clean.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") else clean


def moment(at: Micros | None) -> str | None:
    """A time in Beijing to the minute."""
    return None if at is None else to_datetime(at).astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")


def _summary(month: Month) -> Sheet:
    headings = [
        ("行政区划", "Division"),
        ("名称", "Name"),
        ("名册", "Register"),
        ("已接入", "Connected"),
        ("接入率", "Rate"),
    ]
    for figure in COLUMNS:
        zh, en = FIGURES[figure]
        headings += [(f"{zh}率", en)]
    headings += [("未知率", "Unknown"), ("豁免", "Waivers"), ("未结整改", "Open orders"), ("已上报", "Raised")]
    rows = [_summary_row(line) for line in summary(month)]
    return Sheet(("汇总", "Summary"), headings, rows, (12, 22, *([9] * (len(headings) - 2))))


def _summary_row(line: Line) -> list[Cell]:
    whole = line.figures[0]
    return [
        line.place.code,
        _both(line.place.title_zh, line.place.title_en),
        line.register,
        line.connected,
        shown(line.connected_rate),
        *(shown(figure.institutions.rate) for figure in line.figures),
        shown_lack(whole.unknown_rate),
        line.waivers,
        line.open_orders,
        line.raised_orders,
    ]


def _entries(month: Month) -> Sheet:
    headings = [
        ("备案号", "Filing number"),
        ("机构", "Institution"),
        ("区划", "Division"),
        ("类型", "Type"),
        ("托位", "Places"),
        ("接入", "Connected"),
        *(FIGURES[figure] for figure in COLUMNS),
        ("不达标项", "Violations"),
        ("未知项", "Unknown"),
        ("豁免", "Waivers"),
        ("未结整改", "Open orders"),
    ]
    return Sheet(
        ("名册明细", "Entries"),
        headings,
        [_entry_row(entry) for entry in month.entries],
        (16, 30, 11, 14, 7, 14, *([9] * (len(headings) - 6))),
    )


def _entry_row(entry: Entry) -> list[Cell]:
    held: list[Tally] = [entry.tally(basis) for basis in (Basis.OBLIGATION, Basis.TARGET)]
    return [
        guarded(entry.filing_number),
        _both(entry.title_zh, entry.title_en),
        entry.division,
        _type(entry.type),
        entry.capacity,
        "未接入 no" if entry.institution is None else guarded(entry.institution),
        *(VERDICTS[entry.verdict(basis, module)][0] for basis, module in COLUMNS),
        sum(one.non_compliant for one in held),
        sum(one.unknown for one in held),
        entry.waivers,
        entry.open_orders,
    ]


def _orders(month: Month) -> Sheet:
    headings = [
        *(
            ("整改编号", "Order"),
            ("备案号", "Filing number"),
            ("机构", "Institution"),
            ("规则", "Rule"),
            ("依据", "Clause"),
        ),
        *(("状态", "State"), ("下达", "Issued"), ("期限", "Due"), ("办结或撤销", "Ended"), ("上报至", "Raised to")),
    ]
    rows: list[list[Cell]] = [
        [
            one.id[:8],
            guarded(one.filing_number),
            _both(one.title_zh, one.title_en),
            _both(one.rule_zh, one.rule_en),
            guarded(one.clause),
            _both(*_STATES.get(one.state, (one.state, ""))),
            moment(one.issued_at),
            moment(one.due_at),
            moment(one.ended_at),
            one.raised_to,
        ]
        for one in month.orders
    ]
    return Sheet(("整改", "Orders"), headings, rows, (10, 16, 26, 34, 26, 12, 17, 17, 17, 10))


def _waivers(month: Month) -> Sheet:
    headings = [
        *(
            ("豁免编号", "Waiver"),
            ("备案号", "Filing number"),
            ("机构", "Institution"),
            ("规则", "Rule"),
            ("理由", "Ground"),
        ),
        *(("文件", "Document"), ("批准人", "Approver"), ("起", "From"), ("止", "Until")),
    ]
    rows: list[list[Cell]] = [
        [
            one.id[:8],
            guarded(one.filing_number),
            _both(one.title_zh, one.title_en),
            _both(one.rule_zh, one.rule_en),
            guarded(one.ground),
            guarded(one.document),
            guarded(one.approver),
            moment(one.since),
            moment(one.until),
        ]
        for one in month.waivers
    ]
    return Sheet(("豁免", "Waivers"), headings, rows, (10, 16, 26, 30, 34, 18, 14, 17, 17))


def _notes(month: Month) -> Sheet:
    return Sheet(("说明", "Notes"), [("项目", "Item"), ("内容", "Content")], list(_said(month)), (22, 110))


def _said(month: Month) -> Iterator[list[Cell]]:
    yield [
        "时点 As of",
        f"{moment(month.at)} (+08:00)" + ("" if month.is_over else " 本月未结束 the month is not over"),
    ]
    yield ["知悉时点 Known at", f"{moment(month.known_at)} (+08:00)"]
    yield ["内容摘要 SHA-256", digest(month)]
    yield [
        "分母 Denominator",
        "名册；未接入的机构计为未知。率 = 达标 / (达标 + 不达标 + 未知 + 已豁免)。"
        " The register; what is not connected is unknown. A rate is compliant / (compliant + non-compliant + unknown + waived).",
    ]
    yield [
        "三类数字 Three figures",
        "法定义务、目标、建议分别计算，从不合并；全覆盖是目标一类的数字。"
        " Obligations, targets and recommendations are counted apart; full coverage is the target's figure.",
    ]
    yield [
        "接入率目标 Connected target",
        f"{CONNECTED_TARGET:.0%}（长治市普惠托育服务发展示范项目实施方案 项目14），并列显示，不作判定。 Shown beside, not judged.",
    ]
    yield [
        "核对 Reconciled",
        f"名册 {len(month.entries)} 条，每条出现一次；汇总与平台汇总逐项一致。"
        f" {len(month.entries)} entries, each once; the summary agrees with the hub's roll-up, figure by figure.",
    ]


def _both(zh: str, en: str) -> str:
    return guarded(zh if not en or en == zh else f"{zh} {en}" if zh else en)


def _type(name: str) -> str:
    return InstitutionType(name).zh if name in set(InstitutionType) else guarded(name)
