"""`anxinctl coverage …`: the register with its three figures or one institution with what each rule found, recordings, fire risk."""

import math
from collections.abc import Mapping
from typing import Any

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError

_OF_ALL = ("figures", "register_entries", "not_connected", "never_heard", "discrepancies")
_BASES = {"obligation": "义务 obligation", "target": "目标 target", "recommendation": "建议 recommendation"}


def show_coverage(
    hub: Hub, institution: str | None, *, at: str | None = None, known_at: str | None = None, as_json: bool
) -> None:
    """The register (not connected first), or one subject's findings, at a time and as known at one where these are given."""
    if institution is None and (at is not None or known_at is not None):
        raise HubError("--at and --known-at are asked of one institution: name it", Exit.BAD_INPUT)
    with hub:
        if institution is None:
            rows = list(hub.items("/coverage"))
            page = hub.get("/coverage", limit=1)
            document = {
                "items": rows,
                **{name: page[name] for name in _OF_ALL},
            }
        else:
            document = hub.get(f"/coverage/{institution}", at=at, known_at=known_at)
    if as_json:
        show.as_json(document)
    elif institution is None:
        _register(document)
    else:
        _subject(document)


def show_changes(hub: Hub, institution: str, known_at: str, at: str | None, *, as_json: bool) -> None:
    """What is known otherwise today of a moment than a report said that was made at `known_at`."""
    with hub:
        document = hub.get(f"/institutions/{institution}/coverage/changes", known_at=known_at, at=at)
    if as_json:
        show.as_json(document)
        return
    out = show.console()
    moment, known = show.moment(document["at"]), show.moment(document["known_at"])
    out.print(f"{document['subject']}: {moment}, 当时所知 as known at {known}")
    out.print(f"不变 unchanged: {document['unchanged']}, 已有新知 known otherwise now: {len(document['changes'])}\n")
    if document["changes"]:
        show.table(
            ["规则\nRule", "当时\nThen", "现在\nNow", "说明\nFinding", "获知\nKnown since"],
            (
                [
                    row["rule"],
                    "-" if row["before"] is None else row["before"]["verdict"],
                    "-" if row["after"] is None else row["after"]["verdict"],
                    ""
                    if row["after"] is None
                    else f"{row['after']['sentence']['zh']}\n{row['after']['sentence']['en']}",
                    "" if row["after"] is None else show.moment(row["after"]["recorded_at"]),
                ]
                for row in document["changes"]
            ),
            coloured=(1, 2),
        )


_STANDING = {
    "live": "现在 now",
    "kept": "{}",
    "changed": "{}\n此后有变，未知\nchanged since",
    "stale": "{}\n过时，未知\ntoo old",
    "never": "从未计分，未知\nnever scored",
}


def _minutes(seconds: int | None) -> str:
    return "" if seconds is None else f"{seconds // 60} min"


def show_fire_risk(hub: Hub, institution: str | None, division: str | None, *, as_json: bool) -> None:
    """Scores of many, or of one with what each factor adds."""
    with hub:
        if institution is None:
            document: Any = list(hub.items("/fire-risk", **({} if division is None else {"division": division})))
        else:
            document = hub.get(f"/institutions/{institution}/fire-risk")
    if as_json:
        show.as_json(document)
    elif institution is None:
        show.table(
            ["机构\nInstitution", "风险\nRisk", "由来（分）\nMade of (points)", "时效\nOf when"],
            (
                [
                    f"{row['subject']}\n{row['title']['zh']}",
                    f"{row['score']} {row['level_title']['zh']} {row['level_title']['en']}\n其中未知 unknown {row['score'] - row['certain']}",
                    "\n".join(f"{one['points']} {one['title']['zh']} {one['title']['en']}" for one in row["shares"]),
                    _STANDING[row["standing"]].format(_minutes(row["age_seconds"])),
                ]
                for row in document
            ),
        )
    else:
        out = show.console()
        out.print(f"{document['title']['zh']} {document['title']['en']}")
        out.print(f"{document['sentence']['zh']}\n{document['sentence']['en']}\n")
        show.table(
            ["分\nPoints", "最多\nMost", "说明\nWhy"],
            (
                [str(one["points"]), str(one["most"]), f"{one['sentence']['zh']}\n{one['sentence']['en']}"]
                for one in document["factors"]
            ),
        )


def _percent(rate: float) -> str:
    """Cut off, as the console and the ledger show it: what is not reached does not look reached."""
    return f"{math.floor(rate * 10_000 + 1e-6) / 100:.2f} %"


def _register(document: Mapping[str, Any]) -> None:
    out = show.console()
    for basis, title in _BASES.items():
        counts = document["figures"][basis]["institutions"]
        rate = "-" if counts["rate"] is None else _percent(counts["rate"])
        out.print(
            f"{title}: {rate}  ({counts['compliant']} compliant, {counts['non_compliant']} non_compliant, {counts['unknown']} unknown)"
        )
    out.print(
        f"名册 Register: {document['register_entries']}, 未接入 not connected: {document['not_connected']}, 已接入但从未收到数据 connected and never heard: {document['never_heard']}\n"
    )
    show.table(
        ["机构\nInstitution", "名称\nName", "义务\nObligation", "目标\nTarget", "建议\nRecommend."],
        (
            [
                _named(row),
                f"{row['title']['zh']}\n{row['title']['en']}",
                *(row["verdicts"][basis] for basis in _BASES),
            ]
            for row in document["items"]
        ),
        coloured=(2, 3, 4),
    )


def _named(row: Mapping[str, Any]) -> str:
    if row["institution"] is None:
        return f"未接入 not connected\n{row['filing_number']}"
    return str(row["institution"]) + ("" if row["registered"] else "\n不在名册 not registered") + _differs(row)


def _differs(row: Mapping[str, Any]) -> str:
    """Where register and institution say different things: what is counted is the register's division."""
    if row["discrepancy"] is None:
        return ""
    said = {
        who: " ".join(row["discrepancy"][f"{who}_{name}"] for name in ("division", "type"))
        for who in ("register", "institution")
    }
    return f"\n名册 register {said['register']} ≠ 机构 institution {said['institution']}"


def _subject(document: Mapping[str, Any]) -> None:
    out = show.console()
    checked = show.moment(document["checked_at"]) + (" (过时 stale)" if document["stale"] else "")
    show.pairs(
        [
            ("机构 Institution", f"{document['subject']} {document['title']['zh']} {document['title']['en']}"),
            ("备案号 Filing number", (document["filing_number"] or "不在名册 not registered") + _differs(document)),
            *((title, document["verdicts"][basis]) for basis, title in _BASES.items()),
            ("判定时间 Checked", checked),
        ]
    )
    out.print()
    applying = [row for row in document["findings"] if row["verdict"] != "not_applicable"]
    show.table(
        ["判定\nVerdict", "依据\nClause", "说明\nFinding", "自\nSince"],
        (
            [
                row["verdict"],
                _cited(row),
                f"{row['sentence']['zh']}\n{row['sentence']['en']}",
                show.moment(row["since"]),
            ]
            for row in applying
        ),
        coloured=(0,),
    )


def _cited(finding: Mapping[str, Any]) -> str:
    cited = " ".join(part for part in (finding["document"], finding["number"], finding["clause"]) if part)
    return f"{finding['clause_id']} {cited} ({finding['force']})"


_OUTLOOKS = {
    "holds": "足够 holds",
    "growing": "累积中 growing",
    "shrinking": "将不足 shrinking",
    "short": "不足 short",
    "unknown": "未知 unknown",
}


def show_recordings(hub: Hub, institution: str | None, outlook: str | None, *, as_json: bool) -> None:
    """How far back pictures reach, what does not count, and from when on it will be too little."""
    with hub:
        asked = {key: value for key, value in (("institution", institution), ("outlook", outlook)) if value}
        rows = list(hub.items("/recordings", **asked))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        [
            "设备\nDevice",
            "机构\nInstitution",
            "状态\nOutlook",
            "计入/应有 天\nDays/needed",
            "不计入\nNot counted",
            "不足日期\nShort from",
        ],
        (
            [
                row["device"],
                row["institution"],
                _OUTLOOKS[row["outlook"]],
                f"{_days(row['counted_days'])} / {row['needed_days']:.0f}",
                f"{(row['gap_seconds'] + row['bad_seconds']) / 3600:.1f} h",
                "-" if row["short_at"] is None else show.moment(row["short_at"])[:10],
            ]
            for row in rows
        ),
        coloured=(2,),
    )


def _days(days: float | None) -> str:
    return "?" if days is None else f"{days:.1f}"
