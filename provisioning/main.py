"""`anxinctl`: the installer's and operator's command. It speaks only the hub's REST API.

Exit codes: 0 done, 1 refused or failed, 2 bad input or usage, 3 the hub cannot be reached, 4 not allowed.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from provisioning.alarm_app import alarm_app, authority_app
from provisioning.duty_app import calendar_app, duty_app, handover_app, policy_app
from provisioning.errors import BadManifest, Exit, HubError
from provisioning.exercise_app import drill_app, proof_app, prove, window_app
from provisioning.hiding_app import add_to, armed_app, maintenance_app
from provisioning.options import Context, DeviceId, Institution, InstitutionId, Json, Options, connect
from provisioning.order_app import ledger_app, orders_app, waivers_app
from provisioning.register_app import attest_app, plan_app, register_app, view_app

_HELP = """安心 · Anxin Hub: plan and apply manifests, test devices, answer alarms.

The hub is named by ANXIN_API, the token by ANXIN_TOKEN (or --token-file).
Exit codes: 0 done, 1 refused or failed, 2 bad input, 3 hub not reachable, 4 not allowed.
"""
_MOST_PROBLEMS = 50
"""lines of what does not hold: whoever named the wrong folder sees that from the first of them"""
app = typer.Typer(name="anxinctl", help=_HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
device_app = typer.Typer(help="设备 Devices: list, show, test.", no_args_is_help=True)
edge_app = typer.Typer(help="网关 Edges and their configuration: list, again.", no_args_is_help=True)
coverage_app = typer.Typer(help="覆盖 Coverage against the rules.", no_args_is_help=True)
app.add_typer(device_app, name="device")
app.add_typer(edge_app, name="edge")
app.add_typer(alarm_app, name="alarm")
app.add_typer(authority_app, name="authority")
app.add_typer(coverage_app, name="coverage")
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


Files = Annotated[
    list[Path], typer.Option("--file", "-f", help="A manifest, or a folder of them; may be given several times.")
]
RulesOf = Annotated[
    str | None, typer.Option("--at", help="Whose rules: those of this day in China, or of a moment with its offset.")
]
TriedPack = Annotated[
    Path | None,
    typer.Option("--pack", help="A rule pack to try (YAML): in the place of the hub's of its name. Not kept."),
]


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


@app.command("plan")
def plan_command(context: Context, files: Files, as_json: Json = False) -> None:
    """计划 Show what a manifest would create, change and retire. Nothing is changed."""
    from provisioning.manifest_commands import plan

    plan(connect(context.obj), files, as_json=as_json)


@app.command("apply")
def apply_command(
    context: Context,
    files: Files,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """执行 Show the plan, ask, and do exactly that: all or nothing. Applying twice changes nothing."""
    from provisioning.manifest_commands import apply

    apply(connect(context.obj), files, yes=yes, as_json=as_json)


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
    """网关清单 Edges with the configuration that is wanted, the one that runs, and what was refused and why."""
    from provisioning.edge_commands import list_edges

    list_edges(connect(context.obj), institution, as_json=as_json)


@edge_app.command("again")
def edge_again(
    context: Context, edge: Annotated[str, typer.Argument(help="The edge's id.")], as_json: Json = False
) -> None:
    """重试配置 Let an edge try once more the configuration that it refused, when the cause lay at the site and is gone."""
    from provisioning.edge_commands import give_again

    give_again(connect(context.obj), edge, as_json=as_json)


@device_app.command("list")
def device_list(
    context: Context,
    institution: Institution = None,
    kind: Annotated[str | None, typer.Option("--kind", help="camera, panic_button, …")] = None,
    as_json: Json = False,
) -> None:
    """设备清单 Devices with their three axes: admin, link, function."""
    from provisioning.device_commands import list_devices

    list_devices(connect(context.obj), institution, kind, as_json=as_json)


@device_app.command("show")
def device_show(context: Context, device: DeviceId, as_json: Json = False) -> None:
    """设备详情 One device with the latest values of its points."""
    from provisioning.device_commands import show_device

    show_device(connect(context.obj), device, as_json=as_json)


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
    """功能测试 Test devices on site. A passed test commissions a device and puts it in service; nobody is paged meanwhile."""
    from provisioning.device_commands import test_devices

    hub = connect(context.obj)
    test_devices(hub, devices or [], institution, within, every=every, as_json=as_json)


@floor_app.command("list")
def floor_list(context: Context, institution: InstitutionId, as_json: Json = False) -> None:
    """平面图清单 The floor plans of an institution."""
    from provisioning.floor_commands import list_floors

    list_floors(connect(context.obj), institution, as_json=as_json)


Floor = Annotated[int, typer.Argument(min=-10, max=200, help="As in the zones; 1 is the ground floor.")]


@floor_app.command("put", context_settings={"ignore_unknown_options": True})
def floor_put(
    context: Context,
    institution: InstitutionId,
    floor: Floor,
    file: Annotated[Path, typer.Argument(help="PNG, JPEG or WebP.")],
) -> None:
    """上传平面图 Store a floor's picture: at most 1.5 MB. Where a position lies on it stands in the manifest (`plan: {x: …, y: …}`)."""
    from provisioning.floor_commands import put_floor

    put_floor(connect(context.obj), institution, floor, file)


@floor_app.command("remove", context_settings={"ignore_unknown_options": True})
def floor_remove(context: Context, institution: InstitutionId, floor: Floor) -> None:
    """删除平面图 Delete a floor's picture."""
    from provisioning.floor_commands import remove_floor

    remove_floor(connect(context.obj), institution, floor)


@coverage_app.command("show")
def coverage_show(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="One institution, with every rule.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="RFC 3339: at that time; now if left out.")] = None,
    known_at: Annotated[
        str | None, typer.Option("--known-at", help="RFC 3339: as it was known then; what is known now if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """覆盖情况 Coverage of every institution of the register, or of one with its findings, now or on any day, as known on any day."""
    from provisioning.coverage_commands import show_coverage

    show_coverage(connect(context.obj), institution, at=at, known_at=known_at, as_json=as_json)


@coverage_app.command("changes")
def coverage_changes(
    context: Context,
    institution: Annotated[str, typer.Argument(help="Its id, or register:<filing number>.")],
    known_at: Annotated[str, typer.Option("--known-at", help="RFC 3339: when the report was made.")],
    at: Annotated[
        str | None, typer.Option("--at", help="RFC 3339: the moment it speaks of; --known-at if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """此后所知 What is known otherwise today than it was when a report was made: late facts, and the rules that they turned."""
    from provisioning.coverage_commands import show_changes

    show_changes(connect(context.obj), institution, known_at, at, as_json=as_json)


@coverage_app.command("fire-risk")
def coverage_fire_risk(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="One institution, with every point explained.")] = None,
    division: Annotated[str | None, typer.Option(help="Only in this division and below.")] = None,
    as_json: Json = False,
) -> None:
    """火灾风险 Fire-risk scores, the most dangerous first, or one institution's with every point explained."""
    from provisioning.coverage_commands import show_fire_risk

    show_fire_risk(connect(context.obj), institution, division, as_json=as_json)


@coverage_app.command("what-if")
def coverage_what_if(
    context: Context,
    institution: InstitutionId,
    question: Annotated[
        str, typer.Argument(help="losses (single points of failure), missing (what to buy), or rules.")
    ],
    at: RulesOf = None,
    pack: TriedPack = None,
    as_json: Json = False,
) -> None:
    """假如 What if: one part fails, what is missing for full coverage, or other rules on today's facts."""
    from provisioning.what_if_commands import show_what_if

    if question not in ("losses", "missing", "rules"):
        raise typer.BadParameter("losses, missing or rules", param_hint="QUESTION")
    show_what_if(connect(context.obj), institution, question, at, pack, as_json=as_json)


@coverage_app.command("turns")
def coverage_turns(
    context: Context,
    at: RulesOf = None,
    pack: TriedPack = None,
    division: Annotated[str | None, typer.Option(help="Only in this division and below.")] = None,
    most: Annotated[int, typer.Option(min=0, max=1000, help="How many institutions are listed.")] = 20,
    as_json: Json = False,
) -> None:
    """规则变化的影响 What other rules would turn on today's facts for everybody within your scope: summed by rule, then who loses most."""
    from provisioning.what_if_commands import show_turns

    show_turns(connect(context.obj), division, at, pack, most, as_json=as_json)


@coverage_app.command("recordings")
def coverage_recordings(
    context: Context,
    institution: Annotated[str | None, typer.Argument(help="Of one institution.")] = None,
    outlook: Annotated[str | None, typer.Option(help="Only: holds, growing, shrinking, short or unknown.")] = None,
    as_json: Json = False,
) -> None:
    """录像证明 How many days of pictures recorders hold, and from when on that will be too few."""
    from provisioning.coverage_commands import show_recordings

    show_recordings(connect(context.obj), institution, outlook, as_json=as_json)


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
        for problem in error.problems[:_MOST_PROBLEMS]:
            print(problem, file=sys.stderr)
        if len(error.problems) > _MOST_PROBLEMS:
            more = len(error.problems) - _MOST_PROBLEMS
            print(f"anxinctl: 另有 {more} 处 and {more} more", file=sys.stderr)
        return error.code
    return Exit.OK


def main() -> None:
    """The command `anxinctl`."""
    sys.exit(run())
