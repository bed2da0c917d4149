"""The command line of what hides alarms and of being done with them: `anxinctl alarm shelve …`, `maintenance …`, `armed …`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from provisioning.errors import Exit, HubError
from provisioning.options import AlarmId, Context, Institution, InstitutionId, Json, Note, connect

maintenance_app = typer.Typer(help="维护窗口 Maintenance windows: list, book, end.", no_args_is_help=True)
armed_app = typer.Typer(help="布防 The armed state of institutions: show, say.", no_args_is_help=True)

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why.")]
For = Annotated[str, typer.Option("--for", help="How long from now: 30m, 2h, 1d.")]
_SPAN = re.compile(r"(\d{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def ahead(span: str) -> str:
    """The time that lies `span` ahead, RFC 3339; raises HubError."""
    found = _SPAN.fullmatch(span)
    if found is None or int(found[1]) == 0:
        raise HubError(f"--for is written 30m, 2h or 1d, not {span!r}", Exit.BAD_INPUT)
    return (datetime.now(UTC) + timedelta(**{_UNITS[found[2]]: int(found[1])})).isoformat()


def _tell(found: dict[str, Any], done: str, *, as_json: bool) -> None:
    from provisioning import show

    if as_json:
        show.as_json(found)
        return
    hidden = ", ".join(found["hidden"]) or "nothing hides it"
    print(f"{found['id'][:8]} {found['title']['zh']} {found['title']['en']}: {done}, {found['state']}, {hidden}")


def _act(context: Context, alarm: str, action: str, body: dict[str, Any], done: str, *, as_json: bool) -> None:
    from provisioning.alarm_commands import full_id

    hub = connect(context.obj)
    with hub:
        found = hub.post(f"/alarms/{full_id(hub, alarm, ended=True)}/{action}", body)
    if action == "shelve" and found["shelving_asked"] is not None:
        done = "已申请搁置,须第二人同意 asked for: a second person must agree within 10 minutes (alarm agree)"
    _tell(found, done, as_json=as_json)


def alarm_shelve(context: Context, alarm: AlarmId, for_: For, reason: Reason, as_json: Json = False) -> None:
    """搁置 Hide an alarm from paging for a while. A fire or panic takes a second person (alarm agree)."""
    _act(context, alarm, "shelve", {"until": ahead(for_), "reason": reason}, "已搁置 shelved", as_json=as_json)


def alarm_agree(context: Context, alarm: AlarmId, as_json: Json = False) -> None:
    """同意搁置 Agree, as the second person, to shelve a fire or panic alarm."""
    _act(context, alarm, "shelve/agree", {}, "已同意搁置 shelved by two", as_json=as_json)


def alarm_unshelve(context: Context, alarm: AlarmId, note: Note = "", as_json: Json = False) -> None:
    """取消搁置 End a shelving now: what still stands is paged."""
    _act(context, alarm, "unshelve", {"note": note}, "搁置已取消 unshelved", as_json=as_json)


def alarm_dispose(
    context: Context,
    alarm: AlarmId,
    what: Annotated[str, typer.Argument(help="true, false, nuisance or test.")],
    note: Note = "",
    as_json: Json = False,
) -> None:
    """处置结论 Say what an alarm was."""
    _act(context, alarm, "disposition", {"disposition": what, "note": note}, f"结论 {what}", as_json=as_json)


def alarm_close(context: Context, alarm: AlarmId, note: Note = "", as_json: Json = False) -> None:
    """办结 Close an alarm that was acknowledged, has cleared, and has a disposition."""
    _act(context, alarm, "close", {"note": note}, "已办结 closed", as_json=as_json)


def alarm_note(
    context: Context,
    alarm: AlarmId,
    text: Annotated[str, typer.Argument(help="内容 What to write.")],
    as_json: Json = False,
) -> None:
    """备注 Write something into an alarm's history."""
    _act(context, alarm, "note", {"note": text}, "已记录 noted", as_json=as_json)


def add_to(alarm_app: typer.Typer) -> None:
    """The commands of `anxinctl alarm` that stand here."""
    for name, command in (
        ("shelve", alarm_shelve),
        ("agree", alarm_agree),
        ("unshelve", alarm_unshelve),
        ("disposition", alarm_dispose),
        ("close", alarm_close),
        ("note", alarm_note),
    ):
        alarm_app.command(name)(command)


# maintenance ----------------------------------------------------------------------------------------------------------


@maintenance_app.command("list")
def maintenance_list(
    context: Context,
    institution: Institution = None,
    every: Annotated[bool, typer.Option("--all", help="With those that have ended.")] = False,
    as_json: Json = False,
) -> None:
    """维护窗口清单 Windows that have not ended, with how many alarms each holds."""
    from provisioning import show

    hub = connect(context.obj)
    with hub:
        rows = list(hub.items("/maintenance-windows", institution=institution, open=None if every else True))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有维护窗口 No maintenance windows.")
        return
    show.table(
        ["编号\nWindow", "机构\nInstitution", "范围\nWhere", "起\nFrom", "止\nUntil", "暂缓\nHolds", "原因\nReason"],
        (
            [
                row["id"][:8],
                row["institution"],
                row["device"] or row["zone"] or "全部 all",
                show.moment(row["since"]),
                show.moment(row["until"]),
                str(row["holds"]),
                f"{row['reason']}\n{row['made_by']}",
            ]
            for row in rows
        ),
    )


@maintenance_app.command("book")
def maintenance_book(
    context: Context,
    institution: InstitutionId,
    reason: Reason,
    for_: Annotated[str, typer.Option("--for", help="How long from now: 30m, 2h, 1d.")] = "2h",
    zone: Annotated[str | None, typer.Option("--zone", help="Only this zone.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="Only this device.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="RFC 3339; now if left out.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="RFC 3339, instead of --for.")] = None,
    as_json: Json = False,
) -> None:
    """登记维护窗口 Hold the paging of a place while somebody works there. Fire and panic are never held."""
    from provisioning import show

    place = {"institution": institution, "zone": zone, "device": device}
    hub = connect(context.obj)
    with hub:
        made = hub.post(
            "/maintenance-windows",
            {**place, "since": since, "until": ahead(for_) if until is None else until, "reason": reason},
        )
    if as_json:
        show.as_json(made)
        return
    print(f"{made['id'][:8]} {institution}: 维护至 maintained until {show.moment(made['until'])}")


@maintenance_app.command("end")
def maintenance_end(
    context: Context, window: Annotated[str, typer.Argument(help="Its id, or enough of its beginning.")]
) -> None:
    """提前结束 End a window now: what it holds and still stands is paged at once."""

    hub = connect(context.obj)
    with hub:
        fitting = [row["id"] for row in hub.items("/maintenance-windows", open=True) if row["id"].startswith(window)]
        if len(fitting) != 1:
            raise HubError(f"{len(fitting)} windows that have not ended begin with {window!r}", Exit.REFUSED)
        hub.delete(f"/maintenance-windows/{fitting[0]}")
    print(f"{fitting[0][:8]}: 已结束 ended")


# armed ----------------------------------------------------------------------------------------------------------------


def _tell_armed(found: dict[str, Any], *, as_json: bool) -> None:
    from provisioning import show

    if as_json:
        show.as_json(found)
        return
    last = found["history"][0] if found["history"] else None
    by = "-" if last is None else f"{last['actor'] or last['device']} {show.moment(last['since'])}"
    show.pairs(
        [
            ("机构 Institution", found["institution"]),
            ("布防 Armed", "是 yes" if found["armed"] else "否 no"),
            ("方式 Mode", found["mode"]),
            (
                "营业 Open",
                ("是 yes" if found["open"] else "否 no") + (" (推定 assumed)" if found["assumed_hours"] else ""),
            ),
            ("最近 Last said by", by),
        ]
    )


@armed_app.command("show")
def armed_show(context: Context, institution: InstitutionId, as_json: Json = False) -> None:
    """布防状态 Whether an institution is armed and open now, and who said so last."""

    hub = connect(context.obj)
    with hub:
        found = hub.get(f"/institutions/{institution}/armed")
    _tell_armed(found, as_json=as_json)


@armed_app.command("say")
def armed_say(
    context: Context,
    institution: InstitutionId,
    mode: Annotated[str, typer.Argument(help="armed, disarmed, or auto: armed while it is closed.")],
    for_: Annotated[str | None, typer.Option("--for", help="How long: 30m, 2h, 1d. Disarmed always ends.")] = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """布防撤防 Arm, disarm, or leave it to the opening calendar. Fire and panic are always armed."""

    body = {"mode": mode, "until": None if for_ is None else ahead(for_), "reason": reason}
    hub = connect(context.obj)
    with hub:
        found = hub.post(f"/institutions/{institution}/armed", body)
    _tell_armed(found, as_json=as_json)
