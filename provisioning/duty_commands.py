"""`anxinctl duty`, `handover`, `calendar` and `policy check`: who is on duty, who hands over, which days are worked, who would be reached."""

from pathlib import Path
from typing import Any

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import BadManifest, Exit, HubError, Place, Problem
from provisioning.sources import read_document, read_manifest


def show_duty(hub: Hub, rota: str | None, at: str | None, *, as_json: bool) -> None:
    """Who is on duty, now or at an instant."""
    with hub:
        found = hub.get("/rotas", at=at) if rota is None else [hub.get(f"/rotas/{rota}", at=at)]
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有值班表 No rotas.")
        return
    print(f"{show.moment(found[0]['at'])}")
    show.table(
        ["值班表\nRota", "名称\nTitle", "在岗\nOn duty", "至\nUntil"],
        (
            [
                row["id"],
                f"{row['title']['zh']}\n{row['title']['en']}",
                "\n".join(_person(one) for one in row["on_duty"]) or "无人 nobody",
                show.moment(row["until"]),
            ]
            for row in found
        ),
        whole=(0, 3),
    )


def _person(one: Any) -> str:
    return one["id"] if one["title"] is None else f"{one['title']['zh']} ({one['id']})"


def list_swaps(hub: Hub, rota: str, *, as_json: bool) -> None:
    """Swaps that are not over."""
    with hub:
        found = hub.get(f"/rotas/{rota}/overrides")
    _swaps(found, as_json=as_json)


def swap(
    hub: Hub, rota: str, absent: str | None, present: str | None, starts: str, ends: str, reason: str, *, as_json: bool
) -> None:
    """Enter a swap; the hub refuses one that leaves nobody to reach."""
    given = {"absent": absent, "present": present, "starts_at": starts, "ends_at": ends, "reason": reason}
    with hub:
        found = hub.post(f"/rotas/{rota}/overrides", given)
    _swaps(found, as_json=as_json)


def cancel_swap(hub: Hub, rota: str, override: str) -> None:
    """Cancel one."""
    with hub:
        rows = hub.get(f"/rotas/{rota}/overrides")
        full = [row["id"] for row in rows if row["id"].startswith(override) and row["cancelled_at"] is None]
        if len(full) != 1:
            raise HubError(f"{len(full)} swaps of {rota!r} begin with {override!r}", Exit.REFUSED)
        hub.delete(f"/rotas/{rota}/overrides/{full[0]}")
    print(f"{full[0]}: 已取消 cancelled")


def _swaps(found: Any, *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有调班 No swaps.")
        return
    show.table(
        ["编号\nSwap", "自\nFrom", "至\nTo", "缺席\nAbsent", "顶班\nInstead", "事由\nReason"],
        (
            [
                row["id"][:8],
                show.moment(row["starts_at"]),
                show.moment(row["ends_at"]),
                row["absent"] or "-",
                row["present"] or "-",
                ("已取消 cancelled: " if row["cancelled_at"] else "") + row["reason"],
            ]
            for row in found
        ),
        whole=(0, 1, 2),
    )


def write_handover(hub: Hub, rota: str, giver: str, taker: str, note: str, *, as_json: bool) -> None:
    """Write a handover note."""
    with hub:
        found = hub.post(f"/rotas/{rota}/handovers", {"giver": giver, "taker": taker, "note": note})
    if as_json:
        show.as_json(found)
        return
    _note(found)


def list_handovers(hub: Hub, rota: str, limit: int, *, as_json: bool) -> None:
    """The newest handover notes."""
    with hub:
        found = hub.get(f"/rotas/{rota}/handovers", limit=limit)["items"]
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有交接班记录 No handover notes.")
    for n, row in enumerate(found):
        if n:
            print()
        _note(row)


def _note(row: Any) -> None:
    show.pairs(
        [
            ("交接 Handover", f"{show.moment(row['at'])} {row['giver']} → {row['taker']} ({row['written_by']})"),
            *([("内容 Note", row["note"])] if row["note"] else []),
            ("未结告警 Open alarms", str(row["alarm_count"])),
            *[
                ("", f"{one['alarm'][:8]} {one['signal_class']} {one['state']} {one['institution']}/{one['device']}")
                for one in row["alarms"][:20]
            ],
        ]
    )


def list_calendars(hub: Hub, *, as_json: bool) -> None:
    """The years whose days off are known."""
    with hub:
        found = hub.get("/calendars")
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有放假调休数据 No years are known.")
        return
    show.table(
        ["年\nYear", "放假\nOff", "上班\nWorked", "依据\nNotice"],
        (
            [
                str(row["year"]),
                str(sum(kind == "holiday" for kind in row["days"].values())),
                str(sum(kind == "workday" for kind in row["days"].values())),
                row["notice"],
            ]
            for row in found
        ),
    )


def import_calendar(hub: Hub, file: Path, *, as_json: bool) -> None:
    """Import a year from a file."""
    given = read_document(file)
    year = given.get("year") if isinstance(given, dict) else None
    if not isinstance(year, int):
        raise BadManifest([Problem(Place(str(file), 1), "a calendar names its year", "year")])
    with hub:
        found = hub.put(f"/calendars/{year}", given)
    if as_json:
        show.as_json(found)
        return
    print(f"{found['year']}: 已导入 imported, {len(found['days'])} 天 days, {found['notice']}")


def check_policies(hub: Hub, files: list[Path], *, as_json: bool) -> None:
    """What the last check of all policies found; with files, what these would be refused for. Exit code 1 with any error."""
    if files:
        _check_files(hub, files, as_json=as_json)
        return
    with hub:
        found = hub.get("/policies/check")
    bad = found["errors"] > 0 or found["overdue"] or bool(found["problem"])
    if as_json:
        show.as_json(found)
    else:
        age = show.ago(found["checked_at"])
        state = "过期 overdue" if found["overdue"] else "最新 current" if found["current"] else "有变更 changed since"
        show.pairs(
            [
                ("检查 Checked", f"{show.moment(found['checked_at'])} ({age}), {state}"),
                ("错误 Errors", str(found["errors"])),
                ("警告 Warnings", str(found["warnings"])),
                *([("失败 Failed", found["problem"])] if found["problem"] else []),
            ]
        )
        for row in found["findings"]:
            print(f"\n{row['severity']} {row['code']}\n  {row['message']['zh']}\n  {row['message']['en']}")
    if bad:
        raise HubError("policies reach nobody at some hour, or nobody has checked", Exit.REFUSED)


def _check_files(hub: Hub, files: list[Path], *, as_json: bool) -> None:
    manifest = read_manifest(files)
    with hub:
        found = hub.post("/plan", manifest.content)
    if as_json:
        show.as_json({"errors": found["errors"], "warnings": found["warnings"]})
    else:
        show.complain(
            f"{manifest.problem(row['pointer'].removeprefix('#'), row['message'])}"
            for row in (*found["errors"], *found["warnings"])
        )
        print(f"{len(found['errors'])} 错误 errors, {len(found['warnings'])} 警告 warnings")
    if found["errors"]:
        raise HubError("the manifest would be refused", Exit.REFUSED)
