"""`anxinctl`: the installer's and operator's command. It speaks only the hub's REST API.

Exit codes: 0 done, 1 refused or failed, 2 bad input or usage, 3 the hub cannot be reached, 4 not allowed.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provisioning.errors import BadManifest, Exit, HubError
from provisioning.exercise_app import drill_app, proof_app, prove, window_app
from provisioning.hiding_app import add_to, armed_app, maintenance_app
from provisioning.order_app import ledger_app, orders_app, waivers_app
from provisioning.register_app import attest_app, plan_app, register_app, view_app

if TYPE_CHECKING:
    from provisioning.client import Hub

_HELP = """安心 · Anxin Hub: plan and apply manifests, test devices, answer alarms.

The hub is named by ANXIN_API, the token by ANXIN_TOKEN (or --token-file).
Exit codes: 0 done, 1 refused or failed, 2 bad input, 3 hub not reachable, 4 not allowed.
"""
app = typer.Typer(name="anxinctl", help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
device_app = typer.Typer(help="设备 Devices: list, show, test.", no_args_is_help=True)
edge_app = typer.Typer(help="网关 Edges and their configuration: list, again.", no_args_is_help=True)
alarm_app = typer.Typer(help="告警 Alarms: list, ack, reset, shelve, disposition, close …", no_args_is_help=True)
coverage_app = typer.Typer(help="覆盖 Coverage against the rules.", no_args_is_help=True)
app.add_typer(device_app, name="device")
app.add_typer(edge_app, name="edge")
app.add_typer(alarm_app, name="alarm")
authority_app = typer.Typer(help="接警单位 Authorities: police, fire service, the level above.", no_args_is_help=True)
app.add_typer(authority_app, name="authority")
app.add_typer(coverage_app, name="coverage")
duty_app = typer.Typer(help="值班 Duty: show, swap, swaps, unswap.", no_args_is_help=True)
handover_app = typer.Typer(help="交接班 Handover notes of duty posts: write, list.", no_args_is_help=True)
calendar_app = typer.Typer(help="放假调休 Days off and made-up working days: list, import.", no_args_is_help=True)
policy_app = typer.Typer(help="升级策略 Escalation policies: check.", no_args_is_help=True)
app.add_typer(duty_app, name="duty")
app.add_typer(handover_app, name="handover")
app.add_typer(calendar_app, name="calendar")
app.add_typer(policy_app, name="policy")
floor_app = typer.Typer(help="平面图 Floor plans: list, put, remove.", no_args_is_help=True)
app.add_typer(floor_app, name="floor")
app.add_typer(proof_app, name="proof")
app.add_typer(drill_app, name="drill")
app.add_typer(window_app, name="window")
app.add_typer(register_app, name="register")
app.add_typer(plan_app, name="zone-plan")
app.add_typer(view_app, name="view")
app.add_typer(attest_app, name="attest")
add_to(alarm_app)
app.add_typer(maintenance_app, name="maintenance")
app.add_typer(armed_app, name="armed")
app.add_typer(orders_app, name="orders")
app.add_typer(waivers_app, name="waivers")
app.add_typer(ledger_app, name="ledger")
app.command("prove")(prove)


@dataclass
class Options:
    """What the command line says for every command."""

    api: str
    token_file: Path | None
    as_json: bool


Context = typer.Context
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Files = Annotated[
    list[Path], typer.Option("--file", "-f", help="A manifest, or a folder of them; may be given several times.")
]
Institution = Annotated[str | None, typer.Option("--institution", help="Only this institution.")]
Note = Annotated[str, typer.Option("--note", "-m", help="What to write into the alarm's history.")]


@app.callback()
def common(
    context: Context,
    api: Annotated[
        str, typer.Option("--api", envvar="ANXIN_API", help="The hub's URL.", show_default=True)
    ] = "http://127.0.0.1:8443",
    token_file: Annotated[Path | None, typer.Option("--token-file", help="A file that holds the token.")] = None,
    as_json: Json = False,
) -> None:
    """Options before the command hold for all commands."""
    context.obj = Options(api, token_file, as_json)


def connect(options: Options) -> "Hub":
    """A session with the hub that the options name; raises HubError."""
    from provisioning.client import Hub

    token = os.environ.get("ANXIN_TOKEN", "")
    if options.token_file is not None:
        try:
            token = options.token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise HubError(f"{options.token_file}: {reason}", Exit.BAD_INPUT) from None
    if not token.strip():
        raise HubError("no token: set ANXIN_TOKEN or name a file with --token-file", Exit.BAD_INPUT)
    return Hub(options.api, token.strip())


@app.command("plan")
def plan_command(context: Context, files: Files, as_json: Json = False) -> None:
    """计划 Show what a manifest would create, change and retire. Nothing is changed."""
    from provisioning.manifest_commands import plan

    plan(connect(context.obj), files, as_json=as_json or context.obj.as_json)


@app.command("apply")
def apply_command(
    context: Context,
    files: Files,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """执行 Show the plan, ask, and do exactly that: all or nothing. Applying twice changes nothing."""
    from provisioning.manifest_commands import apply

    apply(connect(context.obj), files, yes=yes, as_json=as_json or context.obj.as_json)


@app.command("bundle")
def bundle_command(
    context: Context,
    edge: Annotated[str, typer.Argument(help="The edge's id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it (mode 0600).")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """网关文件 Write the one file that an edge runs from. It holds a new password: the edge's old bundle ends."""
    from provisioning.manifest_commands import bundle

    bundle(connect(context.obj), edge, output, force=force)


@edge_app.command("list")
def edge_list(context: Context, institution: Institution = None, as_json: Json = False) -> None:
    """Edges with the configuration that is wanted, the one that runs, and what was refused and why."""
    from provisioning.edge_commands import list_edges

    list_edges(connect(context.obj), institution, as_json=as_json or context.obj.as_json)


@edge_app.command("again")
def edge_again(
    context: Context, edge: Annotated[str, typer.Argument(help="The edge's id.")], as_json: Json = False
) -> None:
    """Let an edge try once more the configuration that it refused, when the cause lay at the site and is gone."""
    from provisioning.edge_commands import give_again

    give_again(connect(context.obj), edge, as_json=as_json or context.obj.as_json)


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
    """Who is on duty, and until when."""
    from provisioning.duty_commands import show_duty

    show_duty(connect(context.obj), rota, at, as_json=as_json or context.obj.as_json)


@duty_app.command("swaps")
def duty_swaps(context: Context, rota: RotaArgument, as_json: Json = False) -> None:
    """Swaps that are not over."""
    from provisioning.duty_commands import list_swaps

    list_swaps(connect(context.obj), rota, as_json=as_json or context.obj.as_json)


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
    """Let somebody else be on duty for a time. Refused with the hours where an alarm would reach nobody."""
    from provisioning.duty_commands import swap

    as_json = as_json or context.obj.as_json
    swap(connect(context.obj), rota, absent, present, starts, ends, reason, as_json=as_json)


@duty_app.command("unswap")
def duty_unswap(
    context: Context,
    rota: RotaArgument,
    override: Annotated[str, typer.Argument(help="The swap's id, or its beginning.")],
) -> None:
    """Cancel a swap."""
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
    """Write a handover note; the alarms that stand open go into it."""
    from provisioning.duty_commands import write_handover

    write_handover(connect(context.obj), rota, giver, taker, note, as_json=as_json or context.obj.as_json)


@handover_app.command("list")
def handover_list(
    context: Context,
    rota: RotaArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many.")] = 10,
    as_json: Json = False,
) -> None:
    """The newest handover notes."""
    from provisioning.duty_commands import list_handovers

    list_handovers(connect(context.obj), rota, limit, as_json=as_json or context.obj.as_json)


@calendar_app.command("list")
def calendar_list(context: Context, as_json: Json = False) -> None:
    """The years whose days off are known."""
    from provisioning.duty_commands import list_calendars

    list_calendars(connect(context.obj), as_json=as_json or context.obj.as_json)


@calendar_app.command("import")
def calendar_import(
    context: Context, file: Annotated[Path, typer.Argument(help="A year as in calendars/.")], as_json: Json = False
) -> None:
    """Import a year's days off and made-up working days. Refused with the hours where an alarm would reach nobody."""
    from provisioning.duty_commands import import_calendar

    import_calendar(connect(context.obj), file, as_json=as_json or context.obj.as_json)


@policy_app.command("check")
def policy_check(
    context: Context,
    files: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="Check these manifests instead; nothing is changed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether every policy reaches somebody at every hour of the 400 days ahead. Exit code 1 if not."""
    from provisioning.duty_commands import check_policies

    check_policies(connect(context.obj), files or [], as_json=as_json or context.obj.as_json)


@device_app.command("list")
def device_list(
    context: Context,
    institution: Institution = None,
    kind: Annotated[str | None, typer.Option("--kind", help="camera, panic_button, …")] = None,
    as_json: Json = False,
) -> None:
    """Devices with their three axes: admin, link, function."""
    from provisioning.device_commands import list_devices

    list_devices(connect(context.obj), institution, kind, as_json=as_json or context.obj.as_json)


@device_app.command("show")
def device_show(context: Context, device: str, as_json: Json = False) -> None:
    """One device with the latest values of its points."""
    from provisioning.device_commands import show_device

    show_device(connect(context.obj), device, as_json=as_json or context.obj.as_json)


@device_app.command("test")
def device_test(
    context: Context,
    devices: Annotated[list[str] | None, typer.Argument(help="Device ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All devices that have not been commissioned.")] = False,
    institution: Institution = None,
    within: Annotated[
        float | None, typer.Option("--within", min=1, max=3600, help="Seconds; the profile's time if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Test devices on site. A passed test commissions a device and puts it in service; nobody is paged meanwhile."""
    from provisioning.device_commands import test_devices

    hub = connect(context.obj)
    test_devices(hub, devices or [], institution, within, every=every, as_json=as_json or context.obj.as_json)


@floor_app.command("list")
def floor_list(context: Context, institution: str, as_json: Json = False) -> None:
    """The floor plans of an institution."""
    from provisioning.floor_commands import list_floors

    list_floors(connect(context.obj), institution, as_json=as_json or context.obj.as_json)


Floor = Annotated[int, typer.Argument(min=-10, max=200, help="As in the zones; 1 is the ground floor.")]


@floor_app.command("put", context_settings={"ignore_unknown_options": True})
def floor_put(
    context: Context, institution: str, floor: Floor, file: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")]
) -> None:
    """Store a floor's picture: at most 1.5 MB. Where a position lies on it stands in the manifest (`plan: {x: …, y: …}`)."""
    from provisioning.floor_commands import put_floor

    put_floor(connect(context.obj), institution, floor, file)


@floor_app.command("remove", context_settings={"ignore_unknown_options": True})
def floor_remove(context: Context, institution: str, floor: Floor) -> None:
    """Delete a floor's picture."""
    from provisioning.floor_commands import remove_floor

    remove_floor(connect(context.obj), institution, floor)


@alarm_app.command("list")
def alarm_list(
    context: Context,
    institution: Institution = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    as_json: Json = False,
) -> None:
    """Alarms, fire and panic first."""
    from provisioning.alarm_commands import list_alarms

    list_alarms(connect(context.obj), institution, every=every, as_json=as_json or context.obj.as_json)


@alarm_app.command("ack")
def alarm_ack(context: Context, alarm: str, note: Note = "", as_json: Json = False) -> None:
    """Own an alarm: its escalation stops. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "acknowledge", note, as_json=as_json or context.obj.as_json)


@alarm_app.command("confirm")
def alarm_confirm(context: Context, alarm: str, note: Note = "", as_json: Json = False) -> None:
    """Say that you are still on it (or take it over): an acknowledgement that nothing follows lapses. ALARM is its id, or enough of it."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "confirm", note, as_json=as_json or context.obj.as_json)


@alarm_app.command("reset")
def alarm_reset(context: Context, alarm: str, note: Note = "", as_json: Json = False) -> None:
    """End a latched alarm whose condition is gone. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "reset", note, as_json=as_json or context.obj.as_json)


@alarm_app.command("why")
def alarm_why(
    context: Context,
    alarm: str,
    at: Annotated[str | None, typer.Option(help="At this moment, RFC 3339 with offset; now when left out.")] = None,
    as_json: Json = False,
) -> None:
    """为什么 Why it was as it was: who was told, or why nobody was. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import why

    why(connect(context.obj), alarm, at, as_json=as_json or context.obj.as_json)


@alarm_app.command("noise")
def alarm_noise(
    context: Context,
    post: Annotated[str | None, typer.Argument(help="A rota or a responder; all together when left out.")] = None,
    days: Annotated[int, typer.Option(min=1, max=92, help="So many days back from now.")] = 1,
    as_json: Json = False,
) -> None:
    """告警负荷 What a duty post bears: floods, chattering, fleeting and standing alarms."""
    from provisioning.alarm_commands import noise

    noise(connect(context.obj), post, days, as_json=as_json or context.obj.as_json)


@alarm_app.command("hand-over")
def alarm_hand_over(
    context: Context,
    alarm: str,
    authority: Annotated[str, typer.Argument(help="An authority's id; `anxinctl authority list` names them.")],
    note: Note = "",
    as_json: Json = False,
) -> None:
    """移交 Hand a real alarm to police, fire service or the level above. Exercises are refused."""
    from provisioning.handover_commands import hand_over

    hand_over(connect(context.obj), alarm, authority, note, as_json=as_json or context.obj.as_json)


@alarm_app.command("received")
def alarm_received(
    context: Context,
    alarm: str,
    authority: str,
    by: Annotated[str, typer.Option("--by", help="Who at the authority said that they have it.")],
    reference: Annotated[str, typer.Option("--reference", help="The number under which they have it.")] = "",
    at: Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Write down that the authority has the alarm: by whom, under which number, when."""
    from provisioning.handover_commands import received

    received(connect(context.obj), alarm, authority, by, reference, at, as_json=as_json or context.obj.as_json)


@alarm_app.command("arrived")
def alarm_arrived(
    context: Context,
    alarm: str,
    authority: str,
    at: Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")] = None,
    note: Note = "",
    as_json: Json = False,
) -> None:
    """Write down that police or fire service are there."""
    from provisioning.handover_commands import arrived

    arrived(connect(context.obj), alarm, authority, at, note, as_json=as_json or context.obj.as_json)


@authority_app.command("list")
def authority_list(context: Context, institution: Institution = None, as_json: Json = False) -> None:
    """Authorities, with what the operator dials."""
    from provisioning.handover_commands import list_authorities

    list_authorities(connect(context.obj), institution, as_json=as_json or context.obj.as_json)


@authority_app.command("put")
def authority_put(
    context: Context,
    authority: str,
    file: Annotated[Path, typer.Option("--file", "-f", help="YAML or JSON: kind, title, division, phone, channels …")],
    as_json: Json = False,
) -> None:
    """Register or change an authority (role admin). What is handed to it is always real: it cannot be tried with a test."""
    from provisioning.handover_commands import put_authority

    put_authority(connect(context.obj), authority, file, as_json=as_json or context.obj.as_json)


@authority_app.command("retire")
def authority_retire(context: Context, authority: str) -> None:
    """Nothing is handed to it any more (role admin)."""
    from provisioning.handover_commands import retire_authority

    retire_authority(connect(context.obj), authority)


@coverage_app.command("show")
def coverage_show(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="One institution, with every rule.")] = None,
    as_json: Json = False,
) -> None:
    """Coverage of every institution of the register, or of one with its findings."""
    from provisioning.coverage_commands import show_coverage

    show_coverage(connect(context.obj), institution, as_json=as_json or context.obj.as_json)


@coverage_app.command("fire-risk")
def coverage_fire_risk(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="One institution, with every point explained.")] = None,
    division: Annotated[str | None, typer.Option(help="Only in this division and below.")] = None,
    as_json: Json = False,
) -> None:
    """Fire-risk scores, the most dangerous first, or one institution's with every point explained."""
    from provisioning.coverage_commands import show_fire_risk

    show_fire_risk(connect(context.obj), institution, division, as_json=as_json or context.obj.as_json)


@coverage_app.command("what-if")
def coverage_what_if(
    context: Context,
    institution: str,
    question: Annotated[
        str, typer.Argument(help="losses (single points of failure), missing (what to buy), or rules.")
    ],
    at: Annotated[
        str | None, typer.Option(help="With rules: the moment whose rules are tried, with its offset.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What if: one part fails, what is missing for full coverage, or the rules of another day on today's facts."""
    from provisioning.what_if_commands import show_what_if

    if question not in ("losses", "missing", "rules"):
        raise typer.BadParameter("losses, missing or rules", param_hint="QUESTION")
    show_what_if(connect(context.obj), institution, question, at, as_json=as_json or context.obj.as_json)


@coverage_app.command("recordings")
def coverage_recordings(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="Of one institution.")] = None,
    outlook: Annotated[str | None, typer.Option(help="Only: holds, growing, shrinking, short or unknown.")] = None,
    as_json: Json = False,
) -> None:
    """How many days of pictures recorders hold, and from when on that will be too few."""
    from provisioning.coverage_commands import show_recordings

    show_recordings(connect(context.obj), institution, outlook, as_json=as_json or context.obj.as_json)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        app(args=arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK if end.code is None else Exit.REFUSED
    except HubError as error:
        print(f"anxinctl: {error}", file=sys.stderr)
        return error.code
    except BadManifest as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return error.code
    return Exit.OK


def main() -> None:
    """The command `anxinctl`."""
    sys.exit(run())
