"""`anxinctl attest`: patrols, inspections, signs, documents and tests that people state; the second signature; corrections."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError, sent_from
from provisioning.register_commands import contents

_STATES = {
    "stands": "有效 stands",
    "unsigned": "待第二人 unsigned",
    "corrected": "已更正 corrected",
    "void": "撤回 void",
}
_SHORT, _FULL = 8, 36


def attachments(files: Sequence[Path]) -> list[dict[str, str]]:
    """Files as the API takes them; raises HubError."""
    return [{"name": one.name, "content": base64.b64encode(contents(one)).decode("ascii")} for one in files]


def record(hub: Hub, asked: dict[str, Any], corrects: str | None, *, as_json: bool) -> None:
    """State something, or correct what was stated."""
    given = {name: value for name, value in asked.items() if value not in (None, "", [])}
    with hub:
        path = "/attestations" if corrects is None else f"/attestations/{_id(hub, corrects)}/correct"
        _tell(hub.post(path, given), as_json=as_json)


def sign(hub: Hub, id: str, *, as_json: bool) -> None:
    """Sign as the second person."""
    with hub:
        _tell(hub.post(f"/attestations/{_id(hub, id)}/second"), as_json=as_json)


def withdraw(hub: Hub, id: str, note: str, *, as_json: bool) -> None:
    """Say that it never was."""
    with hub:
        _tell(hub.post(f"/attestations/{_id(hub, id)}/withdraw", {"note": note}), as_json=as_json)


def _id(hub: Hub, given: str) -> str:
    """The id that begins so; raises HubError where none or several do."""
    if len(given) == _FULL:
        return given
    if len(given) < _SHORT:
        raise HubError(f"an id, or its first {_SHORT} signs", Exit.BAD_INPUT)
    found = [row["id"] for row in hub.items("/attestations", standing=True) if row["id"].startswith(given)]
    if len(found) != 1:
        raise HubError(f"{len(found)} attestations that stand begin with {given!r}", Exit.REFUSED)
    return str(found[0])


def _tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_json(found)
        return
    more = "" if found["state"] != "unsigned" else ": 须第二人签署 a second person must sign (attest sign)"
    title = found["kind_title"]
    show.console().print(
        f"{found['id'][:_SHORT]} {found['institution']} {title['zh']} {title['en']}: {_STATES[found['state']]}{more}",
        markup=False,
        highlight=False,
    )


def list_all(hub: Hub, institution: str | None, kind: str | None, *, unsigned: bool, as_json: bool) -> None:
    """What was stated, the newest first."""
    asked = {"institution": institution, "kind": kind, "unsigned": True if unsigned else None}
    with hub:
        rows = list(hub.items("/attestations", **asked))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ["编号\nId", "机构\nInstitution", "类别\nKind", "时间\nWhen", "签署\nSigned by", "状态\nState"],
        (
            [
                row["id"][:_SHORT],
                row["institution"] + "".join(f"\n{row[name]}" for name in ("zone", "device") if row[name]),
                f"{row['kind_title']['zh']}\n{row['kind_title']['en']}",
                show.moment(row["at"]),
                row["recorded_by"] + (f"\n{row['second']}" if row["second"] else ""),
                _STATES[row["state"]],
            ]
            for row in rows
        ),
    )


def take_in(hub: Hub, file: Path, *, apply: bool, as_json: bool) -> None:
    """A table of attestations: what it would record, or, with `apply`, all of it; REFUSED where a row does not hold."""
    data = contents(file)
    with hub, sent_from(file):
        found = hub.post_bytes("/attestations/imports", data)
        if apply and not found["problems"]:
            found = hub.post_bytes("/attestations/imports", data, apply=True)
    if as_json:
        show.as_json(found)
    else:
        out = show.console()
        for one in found["problems"]:
            out.print(f"! {one['pointer']}: {one['detail']}", markup=False, highlight=False)
        done = "已记录 recorded" if found["applied"] else "将记录 to be recorded (--apply)"
        out.print(f"{found['rows']} 行 rows: {found['recorded']} {done}, {found['already']} 已有 already", markup=False)
    if found["problems"]:
        raise typer.Exit(Exit.REFUSED)
