"""The command line of exercises: `anxinctl prove`, `proof …`, `drill …`, `window …`. What they do: provisioning/exercise_commands.py."""

from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.errors import Exit, HubError
from provisioning.options import Context, DeviceId, Institution, InstitutionId, Json, connect

proof_app = typer.Typer(help="通路验证 Proofs of the way to people: list, show.", no_args_is_help=True)
drill_app = typer.Typer(
    help="演练 Drills: declare, list, show, cancel, arrived, all-clear, report.", no_args_is_help=True
)
window_app = typer.Typer(
    help="报警中心测试时段 Windows at the police centre: book, list, receipt, cancel.", no_args_is_help=True
)

Drill = Annotated[str, typer.Argument(help="The drill's id, or enough of its beginning.")]
Window = Annotated[str, typer.Argument(help="The window's id, or enough of its beginning.")]
At = Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")]
Note = Annotated[str, typer.Option("--note", "-m", help="What to write beside it.")]


def prove(
    context: Context,
    devices: Annotated[list[str] | None, typer.Argument(help="Device ids.")] = None,
    institution: Annotated[str | None, typer.Option("--institution", help="With --position.")] = None,
    position: Annotated[str | None, typer.Option("--position", help="The device that is there now.")] = None,
    level: Annotated[
        str, typer.Option("--level", help="device, driver, edge or hub; auto: the lowest there is.")
    ] = "auto",
    responders: Annotated[
        bool, typer.Option("--responders", help="Tell the policy's first step as well, every message marked.")
    ] = False,
    within: Annotated[float, typer.Option("--within", min=1, max=600, help="Seconds.")] = 60.0,
    as_json: Json = False,
) -> None:
    """通路验证 Prove the way from a device to people: a marked signal through queues, rules and channels into a sink."""
    from provisioning.exercise_commands import prove as run

    if bool(devices) == (institution is not None and position is not None):
        raise HubError("name devices, or --institution and --position", Exit.BAD_INPUT)
    rest: dict[str, Any] = {"level": level, "tell": "responders" if responders else "sink", "within_seconds": within}
    asked = [{"device": device, **rest} for device in dict.fromkeys(devices or ())]
    if not asked:
        asked = [{"institution": institution, "position": position, **rest}]
    run(connect(context.obj), asked, as_json=as_json)


@proof_app.command("list")
def proof_list(
    context: Context,
    institution: Institution = None,
    unproven: Annotated[
        int | None, typer.Option("--unproven", min=1, max=3650, help="Only positions not proven for so many days.")
    ] = None,
    as_json: Json = False,
) -> None:
    """验证清单 Positions that can raise fire or panic, with when each was last proven. The duty: every 15 days."""
    from provisioning.exercise_commands import list_positions

    list_positions(connect(context.obj), institution, unproven, as_json=as_json)


@proof_app.command("show")
def proof_show(
    context: Context,
    proof: Annotated[str, typer.Argument(help="The proof's id, or enough of its beginning.")],
    as_json: Json = False,
) -> None:
    """验证详情 One proof with the time of every hop."""
    from provisioning.exercise_commands import show_proof

    show_proof(connect(context.obj), proof, as_json=as_json)


@drill_app.command("declare")
def drill_declare(
    context: Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="The drill: title, place, starts_at, ends_at, presses.")],
    as_json: Json = False,
) -> None:
    """声明演练 Declare a drill with the presses that are expected. Whatever else comes while it goes on is real."""
    from provisioning.exercise_commands import declare

    declare(connect(context.obj), file, as_json=as_json)


@drill_app.command("list")
def drill_list(context: Context, institution: Institution = None, as_json: Json = False) -> None:
    """演练清单 Drills, the newest first."""
    from provisioning.exercise_commands import list_drills

    list_drills(connect(context.obj), institution, as_json=as_json)


@drill_app.command("show")
def drill_show(context: Context, drill: Drill, as_json: Json = False) -> None:
    """演练详情 One drill: when the first message arrived, who took it, arrival, all-clear, beside the drills before."""
    from provisioning.exercise_commands import show_drill

    show_drill(connect(context.obj), drill, as_json=as_json)


@drill_app.command("cancel")
def drill_cancel(context: Context, drill: Drill, as_json: Json = False) -> None:
    """取消演练 Cancel a drill: from then on every press is real."""
    from provisioning.exercise_commands import cancel

    cancel(connect(context.obj), drill, as_json=as_json)


@drill_app.command("arrived")
def drill_arrived(
    context: Context, drill: Drill, institution: InstitutionId, at: At = None, note: Note = "", as_json: Json = False
) -> None:
    """到场 Record that somebody arrived at an institution. Said again, it corrects what was said before."""
    from provisioning.exercise_commands import record

    record(connect(context.obj), drill, institution, "arrival", at, note, as_json=as_json)


@drill_app.command("all-clear")
def drill_all_clear(
    context: Context, drill: Drill, institution: InstitutionId, at: At = None, note: Note = "", as_json: Json = False
) -> None:
    """解除 Record that all is clear at an institution. Said again, it corrects what was said before."""
    from provisioning.exercise_commands import record

    record(connect(context.obj), drill, institution, "all_clear", at, note, as_json=as_json)


@drill_app.command("report")
def drill_report(
    context: Context,
    drill: Drill,
    output: Annotated[Path, typer.Option("--output", "-o", help="A file .html (printable) or .csv.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """演练报告 Write the timed report, compared with earlier drills."""
    from provisioning.exercise_commands import write_report

    write_report(connect(context.obj), drill, output, force=force)


@window_app.command("book")
def window_book(
    context: Context,
    device: DeviceId,
    reference: Annotated[str, typer.Option("--reference", help="The centre's reference number.")],
    agreed_by: Annotated[str, typer.Option("--agreed-by", help="Who agreed at the centre.")],
    starts: Annotated[str, typer.Option("--from", help="RFC 3339 with offset.")],
    ends: Annotated[str, typer.Option("--to", help="RFC 3339 with offset.")],
    as_json: Json = False,
) -> None:
    """登记约定的时段 Note a window agreed with the police centre for a button that dials it itself: only in it is the button tested."""
    from provisioning.exercise_commands import book_window

    told = {"device": device, "reference": reference, "agreed_by": agreed_by, "starts_at": starts, "ends_at": ends}
    book_window(connect(context.obj), told, as_json=as_json)


@window_app.command("list")
def window_list(
    context: Context,
    institution: Institution = None,
    device: Annotated[str | None, typer.Option("--device", help="Only this device.")] = None,
    as_json: Json = False,
) -> None:
    """时段清单 Windows, the newest first, with their receipts."""
    from provisioning.exercise_commands import list_windows

    list_windows(connect(context.obj), institution, device, as_json=as_json)


@window_app.command("receipt")
def window_receipt(
    context: Context,
    window: Window,
    number: Annotated[str, typer.Option("--number", help="The number of the centre's receipt.")],
    text: Annotated[str, typer.Option("--text", help="What they confirmed.")],
    as_json: Json = False,
) -> None:
    """保存回执 Store what the centre confirmed after the test, once and for good."""
    from provisioning.exercise_commands import store_receipt

    store_receipt(connect(context.obj), window, number, text, as_json=as_json)


@window_app.command("cancel")
def window_cancel(context: Context, window: Window, as_json: Json = False) -> None:
    """取消时段 The window is no more: no test of the device begins in it."""
    from provisioning.exercise_commands import cancel_window

    cancel_window(connect(context.obj), window, as_json=as_json)
