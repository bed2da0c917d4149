"""The command line of duty: `anxinctl duty …`, `handover …`, `calendar …`, `policy …`. What they do: provisioning/duty_commands.py."""

from pathlib import Path
from typing import Annotated

import typer

from provisioning.options import Context, Json, connect

duty_app = typer.Typer(help="值班 Duty: show, swap, swaps, unswap.", no_args_is_help=True)
handover_app = typer.Typer(help="交接班 Handover notes of duty posts: write, list.", no_args_is_help=True)
calendar_app = typer.Typer(help="放假调休 Days off and made-up working days: list, import.", no_args_is_help=True)
policy_app = typer.Typer(help="升级策略 Escalation policies: check.", no_args_is_help=True)
RotaArgument = Annotated[str, typer.Argument(help="The rota's id.")]


@duty_app.command("show")
def duty_show(
    context: Context,
    rota: Annotated[str | None, typer.Argument(help="Only this rota.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="An instant, as 2026-10-01T03:10+08:00; now if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """当班 Who is on duty, and until when."""
    from provisioning.duty_commands import show_duty

    show_duty(connect(context.obj), rota, at, as_json=as_json)


@duty_app.command("swaps")
def duty_swaps(context: Context, rota: RotaArgument, as_json: Json = False) -> None:
    """调班清单 Swaps that are not over."""
    from provisioning.duty_commands import list_swaps

    list_swaps(connect(context.obj), rota, as_json=as_json)


@duty_app.command("swap")
def duty_swap(
    context: Context,
    rota: RotaArgument,
    starts: Annotated[str, typer.Option("--from", help="From this instant, as 2026-10-01T08:00+08:00.")],
    ends: Annotated[str, typer.Option("--to", help="Until this one.")],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why.")],
    absent: Annotated[str | None, typer.Option("--absent", help="Who is not there.")] = None,
    present: Annotated[str | None, typer.Option("--present", help="Who is there instead, or besides.")] = None,
    as_json: Json = False,
) -> None:
    """调班 Let somebody else be on duty for a time. Refused with the hours where an alarm would reach nobody."""
    from provisioning.duty_commands import swap

    swap(connect(context.obj), rota, absent, present, starts, ends, reason, as_json=as_json)


@duty_app.command("unswap")
def duty_unswap(
    context: Context,
    rota: RotaArgument,
    override: Annotated[str, typer.Argument(help="The swap's id, or its beginning.")],
) -> None:
    """取消调班 Cancel a swap."""
    from provisioning.duty_commands import cancel_swap

    cancel_swap(connect(context.obj), rota, override)


@handover_app.command("write")
def handover_write(
    context: Context,
    rota: RotaArgument,
    giver: Annotated[str, typer.Option("--giver", help="The responder who goes.")],
    taker: Annotated[str, typer.Option("--taker", help="The responder who comes.")],
    note: Annotated[str, typer.Option("--note", "-m", help="What the next one must know.")] = "",
    as_json: Json = False,
) -> None:
    """写交接班记录 Write a handover note; the alarms that stand open go into it."""
    from provisioning.duty_commands import write_handover

    write_handover(connect(context.obj), rota, giver, taker, note, as_json=as_json)


@handover_app.command("list")
def handover_list(
    context: Context,
    rota: RotaArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 10,
    as_json: Json = False,
) -> None:
    """交接班记录 The newest handover notes."""
    from provisioning.duty_commands import list_handovers

    list_handovers(connect(context.obj), rota, limit, as_json=as_json)


@calendar_app.command("list")
def calendar_list(context: Context, as_json: Json = False) -> None:
    """已有年份 The years whose days off are known."""
    from provisioning.duty_commands import list_calendars

    list_calendars(connect(context.obj), as_json=as_json)


@calendar_app.command("import")
def calendar_import(
    context: Context, file: Annotated[Path, typer.Argument(help="A year as in calendars/.")], as_json: Json = False
) -> None:
    """导入放假调休 Import a year's days off and made-up working days. Refused with the hours where an alarm would reach nobody."""
    from provisioning.duty_commands import import_calendar

    import_calendar(connect(context.obj), file, as_json=as_json)


@policy_app.command("check")
def policy_check(
    context: Context,
    files: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="Check these manifests instead; nothing is changed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """检查升级策略 Whether every policy reaches somebody at every hour of the 400 days ahead. Exit code 1 if not."""
    from provisioning.duty_commands import check_policies

    check_policies(connect(context.obj), files or [], as_json=as_json)
