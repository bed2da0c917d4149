"""`anxinctl register`, `zone-plan` and `view`: the regulator's list and signature, and what cameras are attested to see."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

from provisioning import show
from provisioning.client import Hub
from provisioning.errors import Exit, HubError, sent_from

_SHOWN = 30
"""changes of each kind that a terminal shows; `--json` has more"""


def contents(file: Path) -> bytes:
    """The bytes of a file; raises HubError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise HubError(f"{file}: {error.strerror}", Exit.BAD_INPUT) from None


def take_in(hub: Hub, file: Path, division: str, *, apply: bool, skip_bad: bool, as_json: bool) -> None:
    """Show what a filing list would change, or do exactly that; REFUSED where rows do not hold and nothing was applied."""
    data = contents(file)
    asked: dict[str, Any] = {"division": division, "file_name": file.name}
    with hub, sent_from(file):
        found = hub.post_bytes("/register/imports", data, **asked)
        if apply and (skip_bad or not found["problems"]):
            asked |= {"apply": True, "skip_bad": skip_bad, "digest": found["digest"]}
            found = {**found, **hub.post_bytes("/register/imports", data, **asked)}
    if as_json:
        show.as_json(found)
    else:
        _print_plan(found, division, file.name)
    if found["problems"] and not found["applied"]:
        raise typer.Exit(Exit.REFUSED)


def _print_plan(found: Mapping[str, Any], division: str, name: str) -> None:
    out = show.console()
    _some(out, "+", (f"{one['filing_number']} {one['title_zh']} ({one['division']})" for one in found["additions"]))
    _some(out, "~", map(_difference, found["changes"]))
    _some(out, "-", (f"{one['filing_number']} {one['title_zh']} ({one['division']})" for one in found["withdrawals"]))
    for one in found["problems"]:
        out.print(f"! {one['where']}: {one['message']}", markup=False, highlight=False)
    if found["ignored_columns"]:
        out.print(f"未用的列 columns that are not used: {', '.join(found['ignored_columns'])}", markup=False)
    out.print(
        f"{name} ({found['sha256'][:12]}…), {division}: {found['rows']} 行 rows: {found['added']} 新增 added, {found['changed']} 变更 changed,"
        f" {found['withdrawn']} 撤出 withdrawn, {found['same']} 不变 the same, {found['bad_rows']} 有误 do not hold",
        markup=False,
        highlight=False,
    )
    if found["problems"] and not found["applied"]:
        out.print("没有更改。Nothing was changed: mend the rows, or leave them out with --skip-bad.")
    elif not found["applied"]:
        out.print("以上为计划，未更改。This is a plan: --apply does it.")


def _some(out: Any, sign: str, lines: Iterable[str]) -> None:
    for n, line in enumerate(lines):
        if n == _SHOWN:
            out.print(f"{sign} …", markup=False)
            return
        out.print(f"{sign} {line}", markup=False, highlight=False)


def _difference(change: Mapping[str, Any]) -> str:
    before, after = change["before"], change["after"]
    moved = [f"{name}: {before[name]} → {after[name]}" for name in after if before[name] != after[name]]
    return f"{after['filing_number']} {after['title_zh']}: {'; '.join(moved)}"


def list_entries(hub: Hub, division: str | None, at: str | None, connected: bool | None, *, as_json: bool) -> None:
    """The register, now or as it was."""
    with hub:
        rows = list(hub.items("/register", division=division, at=at, connected=connected))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ["备案号\nFiling number", "名称\nName", "区划\nDivision", "类型\nType", "接入\nConnected"],
        (
            [
                row["filing_number"],
                f"{row['title']['zh']}\n{row['title']['en']}",
                row["division"],
                row["type"],
                row["institution"] or "未接入 not connected",
            ]
            for row in rows
        ),
    )


def list_imports(hub: Hub, *, as_json: bool) -> None:
    """Lists that were taken in."""
    with hub:
        rows = list(hub.items("/register/imports"))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ["时间\nWhen", "区划\nDivision", "文件\nFile", "变化\n+ ~ -", "由\nBy"],
        (
            [
                show.moment(row["imported_at"]),
                row["division"],
                f"{row['file_name']}\n{row['sha256'][:12]}…",
                f"+{row['added']} ~{row['changed']} -{row['withdrawn']}",
                row["imported_by"],
            ]
            for row in rows
        ),
    )


# zone plans -----------------------------------------------------------------------------------------------------------

_STATES = {"none": "没有 none", "unsigned": "未签 unsigned", "changed": "已变更 changed since", "signed": "已签 signed"}


def list_plans(hub: Hub, state: str | None, *, as_json: bool) -> None:
    """How the zone plans stand."""
    with hub:
        rows = list(hub.items("/zone-plans", state=state))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ["机构\nInstitution", "名称\nName", "分区图\nPlan", "签署\nSigned"],
        (
            [
                row["institution"],
                f"{row['title']['zh']}\n{row['title']['en']}",
                _STATES[row["state"]],
                "-" if row["signed_at"] is None else f"{show.moment(row['signed_at'])}\n{row['signed_by']}",
            ]
            for row in rows
        ),
    )


def show_plan(hub: Hub, institution: str, *, as_json: bool) -> None:
    """One zone plan with its digest."""
    with hub:
        found = hub.get(f"/institutions/{institution}/zone-plan")
    if as_json:
        show.as_json(found)
    else:
        _print_zones(found)


def _print_zones(found: Mapping[str, Any]) -> None:
    show.table(
        ["区域\nZone", "用途\nPurpose", "m²", "楼层\nFloor", "入口\nEntrances", "儿童\nChildren"],
        (
            [
                zone["id"],
                zone["purpose"],
                "-" if zone["area_m2"] is None else f"{zone['area_m2']:g}",
                "-" if zone["floor"] is None else str(zone["floor"]),
                ", ".join(zone["entrances"]) or "-",
                ", ".join(zone["ages"]) or "-",
            ]
            for zone in found["plan"]["zones"]
        ),
    )
    floors = ", ".join(found["plan"]["floors"]) or "-"
    signed = "" if found["signed_at"] is None else f" ({show.moment(found['signed_at'])}, {found['signed_by']})"
    show.console().print(
        f"{found['institution']}: {_STATES[found['state']]}{signed}; 平面图 floors with a picture: {floors}; {found['digest'][:12]}…",
        markup=False,
        highlight=False,
    )


def sign_plan(hub: Hub, institution: str, note: str, *, yes: bool, as_json: bool) -> None:
    """Show the plan, ask, and sign exactly that."""
    with hub:
        found = hub.get(f"/institutions/{institution}/zone-plan")
        if not as_json:
            _print_zones(found)
        if not yes and not typer.confirm("签署此分区图？ Sign this zone plan?"):
            raise HubError("not signed", Exit.REFUSED)
        asked = {"digest": found["digest"], "note": note}
        done = hub.post(f"/institutions/{institution}/zone-plan/signatures", asked)
    if as_json:
        show.as_json(done)
    else:
        show.console().print(f"{institution}: 已签署 signed {done['digest'][:12]}…", markup=False)


def list_retypings(hub: Hub, *, as_json: bool) -> None:
    """Institutions whose type or division was changed."""
    with hub:
        rows = list(hub.items("/retypings"))
    if as_json:
        show.as_json(rows)
        return
    show.table(
        ["时间\nWhen", "机构\nInstitution", "类型\nType", "区划\nDivision", "由\nBy"],
        (
            [
                show.moment(row["at"]),
                row["institution"],
                _arrow(row["type_before"], row["type_after"]),
                _arrow(row["division_before"], row["division_after"]),
                row["actor"] or "-",
            ]
            for row in rows
        ),
    )


def _arrow(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"


# views ----------------------------------------------------------------------------------------------------------------


def list_views(hub: Hub, institution: str | None, *, as_json: bool) -> None:
    """What cameras are declared to see."""
    with hub:
        rows = list(hub.items("/views", institution=institution))
    if as_json:
        show.as_json(rows)
    else:
        _print_views(rows)


def _print_views(rows: Iterable[Mapping[str, Any]]) -> None:
    show.table(
        ["机构\nInstitution", "安装位\nPosition", "设备\nDevice", "区域\nZone", "占比\nShare", "确认\nAttested"],
        (
            [
                row["institution"],
                row["position"],
                row["device"] or "-",
                f"{row['zone']}\n{row['purpose']}",
                f"{row['share']:.0%}" + (" 遮挡 masked" if row["masked"] else ""),
                _attested(row),
            ]
            for row in rows
        ),
    )


def _attested(row: Mapping[str, Any]) -> str:
    if row["attested_at"] is not None:
        return f"{show.moment(row['attested_at'])}\n{row['attested_by']}"
    return "设备已换 swapped since" if row["swapped"] else "未确认 not attested"


def attest_views(hub: Hub, device: str, *, yes: bool, as_json: bool) -> None:
    """Show what is declared for a camera, ask whether its picture shows that, and attest exactly that."""
    with hub:
        rows = list(hub.items("/views", device=device))
        if not rows:
            raise HubError(
                f"no view is declared for the position of {device}: declare it in the manifest", Exit.REFUSED
            )
        if not as_json:
            _print_views(rows)
        if not yes and not typer.confirm("画面与此一致？ Does the picture show exactly this?"):
            raise HubError("not attested: declare in the manifest what it shows", Exit.REFUSED)
        views = [{"zone": row["zone"], "share": row["share"], "masked": row["masked"]} for row in rows]
        done = hub.post(f"/devices/{device}/views/attest", {"views": views})
    if as_json:
        show.as_json(done)
    else:
        show.console().print(f"{device}: 已确认 attested", markup=False)
