"""`anxinctl prove`, `proof`, `drill` and `window`: exercises and what came of them, readable at 80 columns."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
import yaml

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError

_ASK_EVERY = 0.5
_GRACE = 15.0
"""seconds longer than the proof itself that this command waits for the hub to judge it"""
_SHORT, _FULL = 8, 36
_MAX_FILE = 4 * 1024 * 1024
_HOPS = (
    ("requested_at", "请求 asked for"),
    ("sent_at", "下发 sent"),
    ("device_at", "设备应答 device answered *"),
    ("edge_at", "网关注入 edge in *"),
    ("spooled_at", "缓存落盘 spooled *"),
    ("hub_at", "平台接收 hub in"),
    ("committed_at", "提交 committed"),
    ("notified_at", "通知生成 notification"),
    ("handed_over_at", "交渠道 handed over"),
    ("received_at", "接收端回执 sink receipt"),
)
_STATES = {
    "requested": "等待",
    "open": "等待",
    "sent": "途中",
    "raised": "途中",
    "passed": "通过",
    "failed": "未通过",
    "preempted": "让位于真实告警",
}
_TIMES = (
    ("first_notice", "首条通知 first notice"),
    ("acknowledged", "接警 acknowledged"),
    ("arrival", "到场 arrival"),
    ("all_clear", "解除 all-clear"),
)


# proofs -------------------------------------------------------------------------------------------------------------


def prove(hub: Hub, asked: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Ask for the proofs, follow them to their end; REFUSED when one did not pass."""
    with hub:
        started = [str(hub.post("/proofs", one)["id"]) for one in asked]
        ended = [_follow(hub, proof) for proof in started]
    if as_json:
        show.as_json(ended)
    else:
        for proof in ended:
            _print_proof(proof)
    if any(proof["state"] != "passed" for proof in ended):
        raise typer.Exit(Exit.REFUSED)


def _follow(hub: Hub, proof: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.get(f"/proofs/{proof}")
    longest = (_moment(found["expires_at"]) - _moment(found["requested_at"])).total_seconds() + _GRACE
    deadline = time.monotonic() + longest
    while found["finished_at"] is None:
        if time.monotonic() > deadline:
            raise HubError(f"the hub does not end proof {proof}: does its ingest run?", Exit.REFUSED)
        time.sleep(_ASK_EVERY)
        found = hub.get(f"/proofs/{proof}")
    return found


def show_proof(hub: Hub, proof: str, *, as_json: bool) -> None:
    """One proof with its hops."""
    with hub:
        found = hub.get(f"/proofs/{_whole(hub, '/proofs', proof)}")
    if as_json:
        show.as_json(found)
    else:
        _print_proof(found)


def _print_proof(proof: Mapping[str, Any]) -> None:
    state = f"{proof['state']} {_STATES[proof['state']]}"
    where = f"{proof['institution']}/{proof['position'] or '-'}"
    show.console().print(f"{proof['device']} ({where}) {proof['level']} → {proof['tell']}: {state}")
    if proof["reason"]:
        show.console().print(f"  {proof['reason']}")
    if proof["not_lower_text"] is not None:
        show.console().print(f"  {proof['not_lower_text']['zh']} · {proof['not_lower_text']['en']}")
    before: str | None = None
    rows = []
    for name, title in _HOPS:
        at = proof[name]
        if at is not None:
            rows.append([title, show.moment(at), _since(before, at)])
            before = at
    show.table(["环节\nHop", "时间\nAt", "耗时\nTook"], rows)
    if any(proof[name] is not None for name in ("device_at", "edge_at", "spooled_at")):
        show.console().print("* 按网关时钟 by the edge's clock")
    print()


def _since(before: str | None, at: str) -> str:
    return "" if before is None else f"{(_moment(at) - _moment(before)).total_seconds() * 1000:+.0f} ms"


def list_positions(hub: Hub, institution: str | None, days: int | None, *, as_json: bool) -> None:
    """Positions that can raise fire or panic, with when each was last proven."""
    with hub:
        rows = list(hub.items("/position-proofs", institution=institution, unproven_days=days))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有符合的安装位 No such positions.")
        return
    show.table(
        ["安装位\nPosition", "设备\nDevice", "最近通过\nLast proven", "最近一次\nNewest"],
        (
            [
                f"{row['institution']}\n{row['position']}",
                row["device"],
                "-" if row["last_proven_at"] is None else f"{show.ago(row['last_proven_at'])} {row['last_level']}",
                "-" if row["newest_state"] is None else f"{row['newest_state']} {row['newest_reason']}".strip(),
            ]
            for row in rows
        ),
        coloured=(3,),
    )


# drills -------------------------------------------------------------------------------------------------------------


def declare(hub: Hub, file: Path, *, as_json: bool) -> None:
    """Declare the drill of a file."""
    try:
        with file.open("rb") as opened:
            read = opened.read(_MAX_FILE + 1)
        if len(read) > _MAX_FILE:
            raise HubError(f"{file}: larger than {_MAX_FILE} bytes", Exit.BAD_INPUT)
        document = yaml.safe_load(read.decode("utf-8-sig"))
    except OSError as error:
        raise HubError(f"{file}: {error.strerror}", Exit.BAD_INPUT) from None
    except UnicodeDecodeError:
        raise HubError(f"{file}: not UTF-8: 请另存为 UTF-8 save the file as UTF-8", Exit.BAD_INPUT) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise HubError(f"{file}: {' '.join(str(error).split())[:300]}", Exit.BAD_INPUT) from None
    if not isinstance(document, dict):
        raise HubError(f"{file}: a drill is a mapping: title, place, starts_at, ends_at, presses", Exit.BAD_INPUT)
    with hub:
        made = hub.post("/drills", _plain(document))
    if as_json:
        show.as_json(made)
    else:
        _print_drill(made)


def _plain(value: Any) -> Any:
    """YAML's times as the API writes them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(below) for key, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list) else value


def list_drills(hub: Hub, institution: str | None, *, as_json: bool) -> None:
    """Drills, the newest first."""
    with hub:
        rows = list(hub.items("/drills", institution=institution))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有演练 No drills.")
        return
    show.table(
        ["编号\nDrill", "开始\nStarts", "名称\nTitle", "范围\nPlace", "按下\nPressed"],
        (
            [
                row["id"][:_SHORT],
                show.moment(row["starts_at"]),
                f"{row['title']['zh']}\n{row['title']['en']}" + (" (已取消 cancelled)" if row["cancelled_at"] else ""),
                _place(row),
                f"{row['pressed']}/{row['presses']}",
            ]
            for row in rows
        ),
    )


def show_drill(hub: Hub, drill: str, *, as_json: bool) -> None:
    """One drill, timed, beside the ones before."""
    with hub:
        _print_report(hub.get(f"/drills/{_whole(hub, '/drills', drill)}"), as_json=as_json)


def cancel(hub: Hub, drill: str, *, as_json: bool) -> None:
    """From now on every press is real."""
    with hub:
        found = hub.post(f"/drills/{_whole(hub, '/drills', drill)}/cancel")
    if as_json:
        show.as_json(found)
    else:
        show.console().print(f"{found['id'][:_SHORT]} 已取消，此后按下均为真实告警 cancelled: every press is real now")


def record(hub: Hub, drill: str, institution: str, kind: str, at: str | None, note: str, *, as_json: bool) -> None:
    """Somebody arrived, or all is clear."""
    with hub:
        told = {"institution": institution, "kind": kind, "note": note} | ({} if at is None else {"at": at})
        found = hub.post(f"/drills/{_whole(hub, '/drills', drill)}/marks", told)
    _print_report(found, as_json=as_json)


def write_report(hub: Hub, drill: str, output: Path, *, force: bool) -> None:
    """Write the report; HTML or CSV by the name of the file."""
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("html", "csv"):
        raise HubError(f"{output}: a report is .html or .csv", Exit.BAD_INPUT)
    with hub:
        text = hub.text(f"/drills/{_whole(hub, '/drills', drill)}/report.{kind}")
    try:
        with output.open("w" if force else "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise HubError(f"{output} is there already: --force replaces it", Exit.BAD_INPUT) from None
    except OSError as error:
        raise HubError(f"{output}: {error.strerror}", Exit.BAD_INPUT) from None
    show.console().print(f"已写入 written: {output}")


def _print_report(report: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(report)
        return
    _print_drill(report["drill"])
    for run in report["institutions"]:
        print()
        show.console().print(f"{run['institution']} {run['title']['zh']} {run['title']['en']}")
        earlier = run["earlier"][:2]
        heads = ["自首次按下起\nFrom first press", "本次\nThis", *(f"此前\n{one['starts_at'][:10]}" for one in earlier)]
        rows = [
            [title, _span(run["timings"][name]), *(_span(one["timings"][name]) for one in earlier)]
            for name, title in _TIMES
        ]
        show.table(heads, rows)
        show.table(
            ["安装位\nPosition", "预定\nExpected", "按下\nPressed", "接警\nAcknowledged"],
            (
                [
                    f"{press['position']} {press['signal_class']}",
                    show.moment(press["at"]),
                    show.moment(press["pressed_at"]),
                    f"{show.moment(press['acknowledged_at'])} {press['acknowledged_by'] or ''}".strip(),
                ]
                for press in run["presses"]
            ),
        )
        for alarm in run["real"]:
            show.console().print(
                f"真实告警 REAL: {alarm['device']} {alarm['signal_class']} {show.moment(alarm['raised_at'])}"
            )


def _print_drill(drill: Mapping[str, Any]) -> None:
    state = "" if drill["cancelled_at"] is None else " 已取消 CANCELLED"
    show.console().print(f"【演练 DRILL】{drill['title']['zh']} {drill['title']['en']}{state}")
    span = f"{show.moment(drill['starts_at'])} – {show.moment(drill['ends_at'])}"
    show.console().print(f"{drill['id']}\n{_place(drill)}, {span}, {drill['pressed']}/{drill['presses']}")


def _place(drill: Mapping[str, Any]) -> str:
    named = [drill[name] for name in ("division", "group", "institution", "zone") if drill[name] is not None]
    return "/".join(named)


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


# windows at the police centre ---------------------------------------------------------------------------------------


def book_window(hub: Hub, told: Mapping[str, Any], *, as_json: bool) -> None:
    """Note a window."""
    with hub:
        _print_window(hub.post("/police-windows", dict(told)), as_json=as_json)


def list_windows(hub: Hub, institution: str | None, device: str | None, *, as_json: bool) -> None:
    """Windows, the newest first."""
    with hub:
        rows = list(hub.items("/police-windows", institution=institution, device=device))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有预约 No windows.")
        return
    show.table(
        ["编号\nWindow", "设备\nDevice", "时段\nFrom – to", "预约号\nReference", "回执\nReceipt"],
        (
            [
                row["id"][:_SHORT],
                row["device"],
                f"{show.moment(row['starts_at'])}\n{show.moment(row['ends_at'])}",
                f"{row['reference']}\n{row['agreed_by']}",
                "已取消 cancelled" if row["cancelled_at"] else row["receipt_number"] or "-",
            ]
            for row in rows
        ),
    )


def store_receipt(hub: Hub, window: str, number: str, text: str, *, as_json: bool) -> None:
    """What the centre confirmed."""
    with hub:
        told = {"number": number, "text": text}
        _print_window(
            hub.post(f"/police-windows/{_whole(hub, '/police-windows', window)}/receipt", told), as_json=as_json
        )


def cancel_window(hub: Hub, window: str, *, as_json: bool) -> None:
    """It is no more."""
    with hub:
        _print_window(hub.post(f"/police-windows/{_whole(hub, '/police-windows', window)}/cancel"), as_json=as_json)


def _print_window(window: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(window)
        return
    receipt = "-"
    if window["receipt_at"] is not None:
        receipt = f"{window['receipt_number']}, {window['receipt_by']}, {show.moment(window['receipt_at'])}: {window['receipt_text']}"
    show.pairs(
        [
            ("时段 Window", window["id"]),
            ("设备 Device", f"{window['institution']} / {window['device']}"),
            ("起止 From – to", f"{show.moment(window['starts_at'])} – {show.moment(window['ends_at'])}"),
            ("预约号 Reference", f"{window['reference']}, {window['agreed_by']}"),
            ("状态 State", "open" if window["cancelled_at"] is None else f"cancelled, {window['cancelled_by']}"),
            ("回执 Receipt", receipt),
        ]
    )


def _whole(hub: Hub, path: str, given: str) -> str:
    """The id that begins with what was given."""
    if len(given) == _FULL:
        return given
    fitting = [str(row["id"]) for row in hub.items(path) if row["id"].startswith(given.lower())]
    if len(fitting) != 1:
        what = "nothing begins" if not fitting else f"{len(fitting)} begin"
        raise HubError(f"{what} with {given!r}", Exit.REFUSED if not fitting else Exit.BAD_INPUT)
    return fitting[0]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
