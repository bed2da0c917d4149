"""`anxinctl coverage what-if`: the rules of another day, single points of failure, what is missing."""

from datetime import UTC, datetime
from typing import Any

from provisioning import show
from provisioning.client import Hub


def show_what_if(hub: Hub, institution: str, question: str, day: str | None, *, as_json: bool) -> None:
    """One of `losses`, `missing`, `rules` of an institution; `day` is the day whose rules are tried."""
    asked = {"at": day or datetime.now(UTC).isoformat()} if question == "rules" else {}
    with hub:
        document = hub.get(f"/institutions/{institution}/what-if/{question}", **asked)
    if as_json:
        show.as_json(document)
    else:
        {"losses": _losses, "missing": _missing, "rules": _rules}[question](document)


def _losses(document: Any) -> None:
    if not document["parts"]:
        show.console().print("没有单点失效 No single part takes a rule with it.")
        return
    show.table(
        ["失去\nLoss of", "设备\nDevices", "义务\nOblig.", "目标\nTarget", "建议\nRecomm.", "区域\nZones"],
        (
            [one["part"], *(str(one[key]) for key in ("devices", "obligations", "targets", "recommendations", "zones"))]
            for one in document["parts"]
        ),
    )


def _missing(document: Any) -> None:
    if not document["missing"]:
        show.console().print("不缺设备 Nothing is missing.")
        return
    show.table(
        ["区域\nZone", "能力\nCapability", "购置\nBuy", "恢复\nRestore", "规则\nRules"],
        (
            [
                f"{one['zone'] or '-'} {one['place']}\n{one['title']['zh']}".strip(),
                "\n".join(one["capabilities"]),
                f"{'≥' if one['at_least'] else ''}{one['buy']}",
                str(one["restore"]),
                "\n".join(one["rules"]),
            ]
            for one in document["missing"]
        ),
    )


def _rules(document: Any) -> None:
    if not document["turns"]:
        show.console().print("判定不变 No verdict would be another.")
        return
    show.table(
        ["规则\nRule", "现在\nNow", "届时\nThen", "说明\nWhy"],
        (
            [
                one["rule"],
                one["before"] or "-",
                one["after"] or "-",
                f"{one['sentence']['zh']}\n{one['sentence']['en']}",
            ]
            for one in document["turns"]
        ),
        coloured=(1, 2),
    )
