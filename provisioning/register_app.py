"""The command line of the register, zone plans, views and attestations. What they do: register_commands.py, attest_commands.py."""

from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.options import Context, Json, connect
from provisioning.options import Institution as OnlyInstitution

register_app = typer.Typer(help="名册 The register: import, list, imports.", no_args_is_help=True)
plan_app = typer.Typer(
    help="分区图 Zone plans and the signature under them: list, show, sign, retypings.", no_args_is_help=True
)
view_app = typer.Typer(help="摄像机视野 What cameras see: list, attest.", no_args_is_help=True)
attest_app = typer.Typer(
    help="人工记录 Attestations: record, sign, correct, withdraw, list, import.", no_args_is_help=True
)

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Institution = Annotated[str, typer.Argument(help="The institution's id.")]
Attestation = Annotated[str, typer.Argument(help="The attestation's id, or its first 8 signs.")]
Note = Annotated[str, typer.Option("--note", "-m", help="What to write beside it.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")]
At = Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")]
Zone = Annotated[str | None, typer.Option("--zone", help="The zone that it is about.")]
Device = Annotated[str | None, typer.Option("--device", help="The device that it is about.")]
Number = Annotated[str, typer.Option("--number", help="The number of the paper.")]
Value = Annotated[float | None, typer.Option("--value", help="Of a kind that is measured: pieces, hours.")]
By = Annotated[str, typer.Option("--by", help="Who did it.")]
Expires = Annotated[str | None, typer.Option("--expires", help="Until when it holds, RFC 3339.")]
Drill = Annotated[str | None, typer.Option("--drill", help="The drill of this hub that proves it.")]
Window = Annotated[str | None, typer.Option("--window", help="The window at the police centre that proves it.")]
Attach = Annotated[list[Path] | None, typer.Option("--attach", help="A picture or paper; may be given several times.")]


@register_app.command("import")
def register_import(
    context: Context,
    file: Annotated[Path, typer.Argument(help="The filing list 备案名册: CSV or XLSX.")],
    division: Annotated[str, typer.Option("--division", help="Whose whole list it is.")],
    apply: Apply = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out rows that do not hold; nothing is withdrawn then.")
    ] = False,
    as_json: Json = False,
) -> None:
    """导入名册 Show what a filing list would add, change and withdraw; with --apply do exactly that, all or nothing."""
    from provisioning.register_commands import take_in

    take_in(connect(context.obj), file, division, apply=apply, skip_bad=skip_bad, as_json=as_json)


@register_app.command("list")
def register_list(
    context: Context,
    division: Annotated[str | None, typer.Option("--division", help="Only this division.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="As it was then, RFC 3339.")] = None,
    missing: Annotated[bool, typer.Option("--not-connected", help="Only what is not connected.")] = False,
    as_json: Json = False,
) -> None:
    """名册 The institutions that must be there, now or on a past day."""
    from provisioning.register_commands import list_entries

    list_entries(connect(context.obj), division, at, False if missing else None, as_json=as_json)


@register_app.command("imports")
def register_imports(context: Context, as_json: Json = False) -> None:
    """导入记录 Lists that were taken in, with their SHA-256, when and by whom."""
    from provisioning.register_commands import list_imports

    list_imports(connect(context.obj), as_json=as_json)


@plan_app.command("list")
def plan_list(
    context: Context,
    state: Annotated[str | None, typer.Option("--state", help="none, unsigned, changed or signed.")] = None,
    as_json: Json = False,
) -> None:
    """分区图状态 How the zone plans of your scope stand."""
    from provisioning.register_commands import list_plans

    list_plans(connect(context.obj), state, as_json=as_json)


@plan_app.command("show")
def plan_show(context: Context, institution: Institution, as_json: Json = False) -> None:
    """分区图 One zone plan as it would be signed."""
    from provisioning.register_commands import show_plan

    show_plan(connect(context.obj), institution, as_json=as_json)


@plan_app.command("sign")
def plan_sign(
    context: Context, institution: Institution, note: Note = "", yes: Yes = False, as_json: Json = False
) -> None:
    """签署 Show the zone plan, ask, and sign exactly that. Any later change takes a new signature."""
    from provisioning.register_commands import sign_plan

    sign_plan(connect(context.obj), institution, note, yes=yes, as_json=as_json)


@plan_app.command("retypings")
def plan_retypings(context: Context, as_json: Json = False) -> None:
    """类型与区划变更 Institutions whose type or division was changed, the newest first."""
    from provisioning.register_commands import list_retypings

    list_retypings(connect(context.obj), as_json=as_json)


@view_app.command("list")
def view_list(context: Context, institution: OnlyInstitution = None, as_json: Json = False) -> None:
    """视野清单 What cameras are declared to see, and what of it somebody attested."""
    from provisioning.register_commands import list_views

    list_views(connect(context.obj), institution, as_json=as_json)


@view_app.command("attest")
def view_attest(
    context: Context,
    device: Annotated[str, typer.Argument(help="The camera's id.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """确认视野 Show what is declared for a camera, ask whether its picture shows exactly that, and state so."""
    from provisioning.register_commands import attest_views

    attest_views(connect(context.obj), device, yes=yes, as_json=as_json)


def _record(
    context: Context,
    institution: str,
    kind: str,
    corrects: str | None,
    attach: list[Path] | None,
    as_json: bool,
    **given: Any,
) -> None:
    from provisioning.attest_commands import attachments, record

    asked = {"institution": institution, "kind": kind, **given, "attachments": attachments(attach or [])}
    asked["expires_at"], asked["done_by"] = asked.pop("expires"), asked.pop("by")
    record(connect(context.obj), asked, corrects, as_json=as_json)


Kind = Annotated[str, typer.Argument(help="patrol, inspection, spot_check, sign, filing_receipt, drill, police_test …")]


@attest_app.command("record")
def attest_record(
    context: Context,
    institution: Institution,
    kind: Kind,
    at: At = None,
    by: By = "",
    zone: Zone = None,
    device: Device = None,
    number: Number = "",
    value: Value = None,
    expires: Expires = None,
    drill: Drill = None,
    window: Window = None,
    note: Note = "",
    attach: Attach = None,
    as_json: Json = False,
) -> None:
    """新增记录 State something that no device can say. It is never changed; patrols and inspections take a second person (attest sign)."""
    given = {"at": at, "by": by, "zone": zone, "device": device, "number": number, "value": value, "expires": expires}
    _record(context, institution, kind, None, attach, as_json, **given, drill=drill, window=window, note=note)


@attest_app.command("correct")
def attest_correct(
    context: Context,
    attestation: Attestation,
    institution: Institution,
    kind: Kind,
    at: At = None,
    by: By = "",
    zone: Zone = None,
    device: Device = None,
    number: Number = "",
    value: Value = None,
    expires: Expires = None,
    note: Note = "",
    attach: Attach = None,
    as_json: Json = False,
) -> None:
    """更正 Another statement in place of one: all of it, with its own second signature."""
    given = {"at": at, "by": by, "zone": zone, "device": device, "number": number, "value": value, "expires": expires}
    _record(context, institution, kind, attestation, attach, as_json, **given, note=note)


@attest_app.command("sign")
def attest_sign(context: Context, attestation: Attestation, as_json: Json = False) -> None:
    """第二人签署 Sign as the second person: another one than who recorded it."""
    from provisioning.attest_commands import sign

    sign(connect(context.obj), attestation, as_json=as_json)


@attest_app.command("withdraw")
def attest_withdraw(
    context: Context,
    attestation: Attestation,
    note: Annotated[str, typer.Option("--note", "-m", help="Why it never was.")],
    as_json: Json = False,
) -> None:
    """撤回 Say that it never was. It stays on record and counts for nothing."""
    from provisioning.attest_commands import withdraw

    withdraw(connect(context.obj), attestation, note, as_json=as_json)


@attest_app.command("list")
def attest_list(
    context: Context,
    institution: OnlyInstitution = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Only what waits for a second person.")] = False,
    as_json: Json = False,
) -> None:
    """记录清单 What was stated, the newest first."""
    from provisioning.attest_commands import list_all

    list_all(connect(context.obj), institution, kind, unsigned=unsigned, as_json=as_json)


@attest_app.command("import")
def attest_import(
    context: Context,
    file: Annotated[
        Path, typer.Argument(help="A table: institution, kind, at, zone, device, number, value, done_by, note.")
    ],
    apply: Apply = False,
    as_json: Json = False,
) -> None:
    """导入记录 A table of statements (CSV or XLSX), all or nothing. What was imported before is not recorded again."""
    from provisioning.attest_commands import take_in

    take_in(connect(context.obj), file, apply=apply, as_json=as_json)
