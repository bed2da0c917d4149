"""`anxinctl coverage what-if` and `coverage turns`: other rules on today's facts, single points of failure, what is missing."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError, sent_from

_LONGEST = 90.0
"""seconds: the hub takes at most a minute for a whole scope"""
_MOST = 1_000


def show_what_if(
    hub: Hub, institution: str, question: str, day: str | None, pack: Path | None, *, as_json: bool
) -> None:
    """One of `losses`, `missing`, `rules` of an institution; `day` is the day, `pack` the file whose rules are tried."""
    path = f"/institutions/{institution}/what-if/{question}"
    with hub:
        if question == "rules":
            document = _tried(hub, path, pack, at=_moment(day))
        elif day is not None or pack is not None:
            raise HubError("--at and --pack go with rules", Exit.BAD_INPUT)
        else:
            document = hub.get(path)
    if as_json:
        show.as_json(document)
    else:
        {"losses": _losses, "missing": _missing, "rules": _rules}[question](document)


def show_turns(hub: Hub, division: str | None, day: str | None, pack: Path | None, most: int, *, as_json: bool) -> None:
    """What would turn for everybody within the scope, summed by rule, then who loses most."""
    with hub:
        document = _tried(
            hub, "/coverage/what-if/rules", pack, at=_moment(day), division=division, limit=min(most, _MOST)
        )
    if as_json:
        show.as_json(document)
        return
    out = show.console()
    out.print(
        f"{_day(document)} 的规则，现有事实 By those rules on today's facts:"
        f" {document['turned']} / {document['judged']} 家有变化 would turn."
    )
    _warn(document)
    if not document["rules"]:
        return
    show.table(
        ["规则\nRule", "依据\nBasis", "变化\nTurn", "变差\nFall", "现在 → 届时\nNow → then"],
        (
            [
                f"{one['rule']}\n{one['title']['zh']}",
                _BASES[one["basis"]],
                str(one["subjects"]),
                str(one["falls"]),
                "\n".join(f"{_turn(turn)} ×{turn['subjects']}" for turn in one["counts"]),
            ]
            for one in document["rules"]
        ),
        whole=(),
    )
    out.print()
    show.table(
        ["机构\nInstitution", "义务\nOblig.", "目标\nTarget", "建议\nRecomm.", "规则\nRules"],
        (
            [
                f"{one['subject']}\n{one['title']['zh']}",
                *(str(one[key]) for key in ("obligations", "targets", "recommendations")),
                "\n".join(f"{turn['rule']}: {_turn(turn)}" for turn in one["turns"]),
            ]
            for one in document["subjects"]
        ),
    )
    if document["left_out"]:
        out.print(f"另有 {document['left_out']} 家 and {document['left_out']} more: --most")


def _tried(hub: Hub, path: str, pack: Path | None, **asked: Any) -> Any:
    if pack is None:
        return hub.get_within(_LONGEST, path, asked)
    try:
        content = pack.read_bytes()
    except OSError as error:
        raise HubError(f"{pack}: {error.strerror or error}", Exit.BAD_INPUT) from None
    with sent_from(pack):
        return hub.post_bytes(path, content, within=_LONGEST, **{k: v for k, v in asked.items() if v is not None})


def _moment(day: str | None) -> str | None:
    """A day is its midnight in China; a moment stays as it is."""
    if day is None:
        return None
    try:
        return f"{date.fromisoformat(day).isoformat()}T00:00:00+08:00"
    except ValueError:
        return day


_BASES = {"obligation": "义务 obligation", "target": "目标 target", "recommendation": "建议 recommendation"}
_VERDICTS = {
    "compliant": "合规",
    "non_compliant": "不合规",
    "unknown": "未知",
    "not_applicable": "不适用",
    "waived": "豁免",
    None: "无此规则",
}


def _turn(one: Any) -> str:
    return f"{_VERDICTS[one['before']]} → {_VERDICTS[one['after']]}"


def _day(document: Any) -> str:
    return datetime.fromisoformat(document["rules_at"]).astimezone(show.BEIJING).strftime("%Y-%m-%d")


def _warn(document: Any) -> None:
    waived = document["waived"]
    if waived["before"] or waived["after"]:
        show.console().print(f"已豁免 Waived: {waived['before']} → {waived['after']}")
    idle = document["not_in_effect"]
    if idle:
        show.complain(
            [f"{document['pack']}: {idle} 条规则在该日不生效 rules do not hold on that day; try them with --at"]
        )


def _losses(document: Any) -> None:
    if not document["parts"]:
        show.console().print("没有单点失效 No single part takes a rule with it.")
        return
    show.table(
        ["失去\nLoss of", "什么\nWhat", "设备\nDevices", "义务\nOblig.", "目标\nTarget", "建议\nRec.", "区域\nZones"],
        (
            [
                one["part"],
                f"{one['title']['zh']}\n{one['title']['en']}",
                *(str(one[key]) for key in ("devices", "obligations", "targets", "recommendations", "zones")),
            ]
            for one in document["parts"]
        ),
    )


def _missing(document: Any) -> None:
    if not document["missing"]:
        show.console().print("不缺设备 Nothing is missing.")
        return
    out = show.console()
    out.print("合计 Altogether")
    show.table(
        ["能力\nCapability", "依据\nBasis", "购置\nBuy", "恢复\nRestore"],
        (
            [
                f"{one['what']['zh']} {one['what']['en']}",
                _BASES[one["basis"]],
                _buy(one),
                str(one["restore"]),
            ]
            for one in document["totals"]
        ),
        whole=(),
    )
    out.print()
    out.print("按区域 By zone")
    show.table(
        ["区域\nZone", "能力\nCapability", "购置\nBuy", "恢复\nRestore", "规则\nRules"],
        (
            [
                "\n".join(_place(one)),
                f"{one['what']['zh']}\n{one['what']['en']}",
                _buy(one),
                "\n".join(
                    [str(one["restore"]), *(f"{idle['device']}\n{idle['reason']['zh']}" for idle in one["idle"])]
                ),
                "\n".join(f"{rule} 已豁免 waived" if rule in one["waived"] else rule for rule in one["rules"]),
            ]
            for one in document["missing"]
        ),
    )


def _buy(one: Any) -> str:
    """Of what covers a share of a room one more may not be enough."""
    return f"≥{one['buy']}" if one["at_least"] and one["buy"] else str(one["buy"])


def _place(one: Any) -> Iterator[str]:
    if one["zone"] is not None:
        yield from (one["zone"], one["title"]["zh"])
    elif one["place"]:
        yield f"{one['place']} 层 floor {one['place']}"
    else:
        yield from ("全机构", "anywhere")


def _rules(document: Any) -> None:
    _warn(document)
    if not document["turns"]:
        show.console().print("判定不变 No verdict would be another.")
        return
    show.table(
        ["规则\nRule", "现在\nNow", "届时\nThen", "说明\nWhy"],
        (
            [
                one["rule"],
                _VERDICTS[one["before"]],
                _VERDICTS[one["after"]],
                f"{one['sentence']['zh']}\n{one['sentence']['en']}",
            ]
            for one in document["turns"]
        ),
        whole=(),
    )
