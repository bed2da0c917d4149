"""The command line of alarms and of who takes them over: `anxinctl alarm …`, `authority …`. What they do: provisioning/alarm_commands.py and
handover_commands.py; what hides alarms is in provisioning/hiding_app.py."""

from pathlib import Path
from typing import Annotated

import typer

from provisioning.options import AlarmId, AuthorityId, Context, Institution, Json, Note, connect

alarm_app = typer.Typer(help="告警 Alarms: list, ack, reset, shelve, disposition, close …", no_args_is_help=True)
authority_app = typer.Typer(help="接警单位 Authorities: police, fire service, the level above.", no_args_is_help=True)


@alarm_app.command("list")
def alarm_list(
    context: Context,
    institution: Institution = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    as_json: Json = False,
) -> None:
    """告警清单 Alarms, fire and panic first."""
    from provisioning.alarm_commands import list_alarms

    list_alarms(connect(context.obj), institution, every=every, as_json=as_json)


@alarm_app.command("ack")
def alarm_ack(context: Context, alarm: AlarmId, note: Note = "", as_json: Json = False) -> None:
    """接警 Own an alarm: its escalation stops. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "acknowledge", note, as_json=as_json)


@alarm_app.command("confirm")
def alarm_confirm(context: Context, alarm: AlarmId, note: Note = "", as_json: Json = False) -> None:
    """仍在处置 Say that you are still on it (or take it over): an acknowledgement that nothing follows lapses. ALARM is its id, or enough of it."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "confirm", note, as_json=as_json)


@alarm_app.command("reset")
def alarm_reset(context: Context, alarm: AlarmId, note: Note = "", as_json: Json = False) -> None:
    """复位 End a latched alarm whose condition is gone. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import act

    act(connect(context.obj), alarm, "reset", note, as_json=as_json)


@alarm_app.command("why")
def alarm_why(
    context: Context,
    alarm: AlarmId,
    at: Annotated[str | None, typer.Option(help="At this moment, RFC 3339 with offset; now when left out.")] = None,
    as_json: Json = False,
) -> None:
    """为什么 Why it was as it was: who was told, or why nobody was. ALARM is its id, or enough of its beginning."""
    from provisioning.alarm_commands import why

    why(connect(context.obj), alarm, at, as_json=as_json)


@alarm_app.command("noise")
def alarm_noise(
    context: Context,
    post: Annotated[str | None, typer.Argument(help="A rota or a responder; all together when left out.")] = None,
    days: Annotated[int, typer.Option(min=1, max=92, help="So many days back from now.")] = 1,
    as_json: Json = False,
) -> None:
    """告警负荷 What a duty post bears: floods, chattering, fleeting and standing alarms."""
    from provisioning.alarm_commands import noise

    noise(connect(context.obj), post, days, as_json=as_json)


@alarm_app.command("hand-over")
def alarm_hand_over(
    context: Context,
    alarm: AlarmId,
    authority: Annotated[str, typer.Argument(help="An authority's id; `anxinctl authority list` names them.")],
    note: Note = "",
    as_json: Json = False,
) -> None:
    """移交 Hand a real alarm to police, fire service or the level above. Exercises are refused."""
    from provisioning.handover_commands import hand_over

    hand_over(connect(context.obj), alarm, authority, note, as_json=as_json)


@alarm_app.command("received")
def alarm_received(
    context: Context,
    alarm: AlarmId,
    authority: AuthorityId,
    by: Annotated[str, typer.Option("--by", help="Who at the authority said that they have it.")],
    reference: Annotated[str, typer.Option("--reference", help="The number under which they have it.")] = "",
    at: Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")] = None,
    as_json: Json = False,
) -> None:
    """对方已受理 Write down that the authority has the alarm: by whom, under which number, when."""
    from provisioning.handover_commands import received

    received(connect(context.obj), alarm, authority, by, reference, at, as_json=as_json)


@alarm_app.command("arrived")
def alarm_arrived(
    context: Context,
    alarm: AlarmId,
    authority: AuthorityId,
    at: Annotated[str | None, typer.Option("--at", help="When, RFC 3339; now if left out.")] = None,
    note: Note = "",
    as_json: Json = False,
) -> None:
    """对方已到场 Write down that police or fire service are there."""
    from provisioning.handover_commands import arrived

    arrived(connect(context.obj), alarm, authority, at, note, as_json=as_json)


@authority_app.command("list")
def authority_list(context: Context, institution: Institution = None, as_json: Json = False) -> None:
    """接警单位清单 Authorities, with what the operator dials."""
    from provisioning.handover_commands import list_authorities

    list_authorities(connect(context.obj), institution, as_json=as_json)


@authority_app.command("put")
def authority_put(
    context: Context,
    authority: AuthorityId,
    file: Annotated[Path, typer.Option("--file", "-f", help="YAML or JSON: kind, title, division, phone, channels …")],
    as_json: Json = False,
) -> None:
    """登记接警单位 Register or change an authority (role admin). What is handed to it is always real: it cannot be tried with a test."""
    from provisioning.handover_commands import put_authority

    put_authority(connect(context.obj), authority, file, as_json=as_json)


@authority_app.command("retire")
def authority_retire(context: Context, authority: AuthorityId) -> None:
    """停用接警单位 Nothing is handed to it any more (role admin)."""
    from provisioning.handover_commands import retire_authority

    retire_authority(connect(context.obj), authority)
