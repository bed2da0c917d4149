"""`anxinctl authority` and `anxinctl alarm hand-over, received, arrived`: police, fire service and the level above."""

from pathlib import Path
from typing import Any

from provisioning import show
from provisioning.alarm_commands import full_id
from provisioning.client import Hub
from provisioning.errors import Exit, HubError
from provisioning.sources import read_document

_KINDS = {"police": "公安 police", "fire": "消防 fire service", "superior": "上级 level above"}


def list_authorities(hub: Hub, institution: str | None, *, as_json: bool) -> None:
    """Authorities of the token's scope, with what the operator dials."""
    with hub:
        found = hub.get("/authorities", institution=institution)
    if as_json:
        show.as_json(found)
        return
    if not found:
        show.console().print("没有接警单位 No authorities.")
        return
    show.table(
        ["编号\nAuthority", "类别\nKind", "名称\nTitle", "辖区\nDivision", "电话\nPhone", "自动移交\nBy itself"],
        (
            [
                row["id"],
                _KINDS[row["kind"]],
                f"{row['title']['zh']}\n{row['title']['en']}",
                row["division"],
                row["phone"] or "-",
                "-"
                if row["automatic_after"] is None
                else f"{', '.join(row['automatic_classes'])}, {row['automatic_after']:g} s",
            ]
            for row in found
        ),
        whole=(0, 4),
    )


def put_authority(hub: Hub, authority: str, file: Path, *, as_json: bool) -> None:
    """Register or change one from a file."""
    given = read_document(file)
    with hub:
        found = hub.put(f"/authorities/{authority}", given)
    if as_json:
        show.as_json(found)
        return
    print(f"{found['id']}: 已登记 registered, {found['title']['zh']} {found['title']['en']}, {found['division']}")


def retire_authority(hub: Hub, authority: str) -> None:
    """Take one out of use."""
    with hub:
        hub.delete(f"/authorities/{authority}")
    print(f"{authority}: 已停用 retired")


def hand_over(hub: Hub, alarm: str, authority: str, note: str, *, as_json: bool) -> None:
    """Hand one alarm over."""
    with hub:
        name = full_id(hub, alarm)
        found = hub.post(f"/alarms/{name}/handovers", {"authority": authority, "note": note})
    _say(found, authority, as_json=as_json)


def received(hub: Hub, alarm: str, authority: str, by: str, reference: str, at: str | None, *, as_json: bool) -> None:
    """Write down who received it."""
    said = {"received_by": by, "reference": reference} | ({} if at is None else {"at": at})
    with hub:
        found = hub.post(f"/alarms/{full_id(hub, alarm)}/handovers/{authority}/received", said)
    _say(found, authority, as_json=as_json)


def arrived(hub: Hub, alarm: str, authority: str, at: str | None, note: str, *, as_json: bool) -> None:
    """Write down that they are there."""
    said = {"note": note} | ({} if at is None else {"at": at})
    with hub:
        found = hub.post(f"/alarms/{full_id(hub, alarm)}/handovers/{authority}/arrived", said)
    _say(found, authority, as_json=as_json)


def _say(found: Any, authority: str, *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    mine = [row for row in found if row["authority"] == authority]
    if not mine:
        raise HubError(f"the alarm was not handed to {authority!r}", Exit.REFUSED)
    row = mine[0]
    phone = row["phone"] if not row["received_at"] else ""
    show.pairs(
        [
            ("接警单位 Authority", f"{row['title']['zh']} {row['title']['en']}"),
            *([("请拨打 Dial", phone)] if phone else []),
            ("移交 Handed over", f"{show.moment(row['begun_at'])} {row['begun_by']}"),
            *[("通道 Channel", f"{told['channel']}: {told['state']}") for told in row["messages"]],
            ("对方接收 Received", _reception(row)),
            ("到场 Arrived", show.moment(row["arrived_at"]) if row["arrived_at"] else "-"),
        ]
    )


def _reception(row: Any) -> str:
    if not row["received_at"]:
        return "尚未核实 not verified yet"
    reference = f" ({row['reference']})" if row["reference"] else ""
    return f"{show.moment(row['received_at'])} {row['received_by']}{reference}"
