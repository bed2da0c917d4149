"""The command line of orders, waivers and ledgers: `anxinctl orders …`, `anxinctl waivers …`, `anxinctl ledger …`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.errors import Exit, HubError
from provisioning.options import Context, Institution, InstitutionId, Json, connect

orders_app = typer.Typer(help="整改 Orders: list, show, issue, answer, withdraw.", no_args_is_help=True)
waivers_app = typer.Typer(help="豁免 Waivers: list, grant, end.", no_args_is_help=True)
ledger_app = typer.Typer(help="台账 Ledgers of a division: month, year.", no_args_is_help=True)

Division = Annotated[str | None, typer.Option("--division", help="Only this division and what is below it.")]
OrderArgument = Annotated[str, typer.Argument(help="Its id, or enough of its beginning.")]
_STATES = {
    "draft": "草拟 draft",
    "issued": "已下达 issued",
    "answered": "已答复 answered",
    "reopened": "重新打开 reopened",
    "raised": "已上报 raised",
    "closed": "已办结 closed",
    "withdrawn": "已撤销 withdrawn",
}
_WAIVER_STATES = {"holds": "有效 holds", "ahead": "未生效 ahead", "expired": "已到期 expired", "ended": "已终止 ended"}


def _full_id(hub: Any, path: str, beginning: str, what: str) -> str:
    fitting = [row["id"] for row in hub.items(path) if row["id"].startswith(beginning)]
    if len(fitting) != 1:
        raise HubError(f"{len(fitting)} {what} begin with {beginning!r}", Exit.REFUSED)
    return str(fitting[0])


@orders_app.command("list")
def orders_list(
    context: Context,
    institution: Institution = None,
    division: Division = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="draft, issued, … (several times).")] = None,
    raised_to: Annotated[str | None, typer.Option("--raised-to", help="What rose to this division.")] = None,
    every: Annotated[bool, typer.Option("--all", help="With those that are closed or withdrawn.")] = False,
    as_json: Json = False,
) -> None:
    """整改清单 Orders that are not done, with what the rule is found to be now."""
    from provisioning import show

    states = state or (None if every else [one for one in _STATES if one not in ("closed", "withdrawn")])
    asked = {"institution": institution, "division": division, "state": states, "raised_to": raised_to}
    hub = connect(context.obj)
    with hub:
        rows = list(hub.items("/orders", **asked))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有整改 No orders.")
        return
    show.table(
        ["编号\nOrder", "机构\nInstitution", "状态\nState", "规则\nRule", "期限\nDue", "现状\nNow"],
        (
            [
                row["id"][:8],
                f"{row['institution']}\n{row['division']}",
                _STATES[row["state"]] + (f"\n→ {row['raised_to']}" if row["state"] == "raised" else ""),
                f"{row['rule_title']['zh']}\n{row['rule']}",
                "-" if row["due_at"] is None else show.moment(row["due_at"]),
                row["verdict"] or "不再适用 applies no more",
            ]
            for row in rows
        ),
        coloured=(5,),
    )


@orders_app.command("show")
def orders_show(context: Context, order: OrderArgument, as_json: Json = False) -> None:
    """整改详情 One order with everything that happened to it."""

    hub = connect(context.obj)
    with hub:
        found = hub.get(f"/orders/{_full_id(hub, '/orders', order, 'orders')}")
    _tell(found, as_json=as_json)


@orders_app.command("issue")
def orders_issue(
    context: Context,
    order: OrderArgument,
    note: Annotated[str, typer.Option("--note", "-m", help="What to write into its history.")] = "",
    as_json: Json = False,
) -> None:
    """下达 Issue a draft: the institution must act within the rule's days to remedy. A named person only."""
    _act(context, order, "issue", {"note": note}, as_json=as_json)


@orders_app.command("answer")
def orders_answer(
    context: Context,
    order: OrderArgument,
    text: Annotated[str, typer.Option("--text", "-m", help="What was done.")],
    attachment: Annotated[str, typer.Option("--attachment", help="A document, or where it lies.")] = "",
    as_json: Json = False,
) -> None:
    """答复 Say for the institution what was done. The facts close an order, an answer does not."""
    _act(context, order, "answer", {"text": text, "attachment": attachment}, as_json=as_json)


@orders_app.command("withdraw")
def orders_withdraw(
    context: Context,
    order: OrderArgument,
    note: Annotated[str, typer.Option("--note", "-m", help="Why.")],
    as_json: Json = False,
) -> None:
    """撤销 Withdraw a draft or an order. What was raised is withdrawn from the division that it was raised to."""
    _act(context, order, "withdraw", {"note": note}, as_json=as_json)


def _act(context: Context, order: str, verb: str, body: Mapping[str, str], *, as_json: bool) -> None:

    hub = connect(context.obj)
    with hub:
        found = hub.post(f"/orders/{_full_id(hub, '/orders', order, 'orders')}/{verb}", body)
    _tell(found, as_json=as_json)


def _tell(found: Mapping[str, Any], *, as_json: bool) -> None:
    from provisioning import show

    if as_json:
        show.as_json(found)
        return
    cited = " ".join(part for part in (found["document"], found["number"], found["clause"]) if part)
    show.pairs(
        [
            ("整改 Order", found["id"]),
            ("机构 Institution", f"{found['institution']} {found['title']['zh']} {found['title']['en']}"),
            ("规则 Rule", f"{found['rule_title']['zh']} {found['rule_title']['en']}"),
            ("依据 Clause", cited),
            ("违规 Violation", f"{found['sentence']['zh']} {found['sentence']['en']}"),
            (
                "状态 State",
                _STATES[found["state"]] + ("" if found["raised_to"] is None else f" → {found['raised_to']}"),
            ),
            ("期限 Due", "-" if found["due_at"] is None else show.moment(found["due_at"])),
            ("现状 Now", found["verdict"] or "不再适用 applies no more"),
        ]
    )
    show.console().print()
    show.table(
        ["时间\nAt", "事件\nEvent", "人\nBy", "内容\nNote"],
        (
            [
                show.moment(step["at"]),
                step["event"],
                step["actor"],
                "\n".join(filter(None, (step["note"], step["attachment"]))),
            ]
            for step in found["steps"]
        ),
    )


@waivers_app.command("list")
def waivers_list(
    context: Context,
    institution: Institution = None,
    division: Division = None,
    every: Annotated[bool, typer.Option("--all", help="With those that are over.")] = False,
    as_json: Json = False,
) -> None:
    """豁免清单 Waivers that hold or are ahead."""
    from provisioning import show

    hub = connect(context.obj)
    with hub:
        rows = list(hub.items("/waivers", institution=institution, division=division, open=None if every else True))
    if as_json:
        show.as_json(rows)
        return
    if not rows:
        show.console().print("没有豁免 No waivers.")
        return
    show.table(
        [
            "编号\nWaiver",
            "机构\nInstitution",
            "规则\nRule",
            "理由\nGround",
            "批准\nApproved by",
            "至\nUntil",
            "状态\nState",
        ],
        (
            [
                row["id"][:8],
                row["institution"],
                f"{row['rule_title']['zh']}\n{row['rule']}",
                "\n".join(filter(None, (row["ground"], row["document"]))),
                row["approver"],
                show.moment(row["ended_at"] or row["expires_at"]),
                _WAIVER_STATES[row["state"]],
            ]
            for row in rows
        ),
    )


@waivers_app.command("grant")
def waivers_grant(
    context: Context,
    institution: InstitutionId,
    rule: Annotated[str, typer.Argument(help="The rule's id, as in `anxinctl coverage show`.")],
    ground: Annotated[str, typer.Option("--ground", "-m", help="Why.")],
    until: Annotated[str, typer.Option("--until", help="RFC 3339; a year ahead at most.")],
    since: Annotated[str | None, typer.Option("--from", help="RFC 3339; now if left out.")] = None,
    document: Annotated[str, typer.Option("--document", help="The document that says so.")] = "",
    as_json: Json = False,
) -> None:
    """批准豁免 Excuse a violation for a time. Never of a law or a mandatory national standard; a named person only."""
    from provisioning import show

    body = {"institution": institution, "rule": rule, "ground": ground, "document": document, "expires_at": until}
    hub = connect(context.obj)
    with hub:
        made = hub.post("/waivers", body if since is None else {**body, "since": since})
    if as_json:
        show.as_json(made)
        return
    print(f"{made['id'][:8]} {institution} {rule}: 豁免至 waived until {show.moment(made['expires_at'])}")


@waivers_app.command("end")
def waivers_end(
    context: Context, waiver: Annotated[str, typer.Argument(help="Its id, or enough of its beginning.")]
) -> None:
    """终止豁免 End a waiver now: what it excused is a violation again at once."""

    hub = connect(context.obj)
    with hub:
        full = _full_id(hub, "/waivers", waiver, "waivers")
        hub.delete(f"/waivers/{full}")
    print(f"{full[:8]}: 已终止 ended")


Place = Annotated[str, typer.Option("--division", help="Whose ledger.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where to write it; anxin-DIVISION-PERIOD.FORMAT if left out.")
]
KnownAt = Annotated[
    str | None, typer.Option("--known-at", help="RFC 3339: as it was known then; each month as it closed if left out.")
]
Format = Annotated[str, typer.Option("--format", help="xlsx, pdf or json; of a year xlsx or csv.")]


@ledger_app.command("month")
def ledger_month(
    context: Context,
    month: Annotated[str, typer.Argument(help="Like 2026-10.")],
    division: Place,
    format: Format = "xlsx",
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at", help="RFC 3339: as it was known then; as it was known when the month closed if left out."
        ),
    ] = None,
    seen_at: Annotated[
        str | None,
        typer.Option(
            "--seen-at",
            help="RFC 3339: list what became known until then; until now if left out. --known-at's time lists nothing.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """月度台账 Write the ledger of a division and month, and what became known since. The same month and times give the same file."""
    path = f"/ledgers/{division}/months/{month}.{format}"
    output = output or Path(f"anxin-{division}-{month}.{format}")
    _write(context, path, output, known_at=known_at, seen_at=seen_at)


@ledger_app.command("year")
def ledger_year(
    context: Context,
    year: Annotated[int, typer.Argument(help="Like 2026.")],
    division: Place,
    format: Format = "xlsx",
    known_at: KnownAt = None,
    output: Output = None,
) -> None:
    """年度考核 Write the figures at the end of each month of a year, of a division and of what is below it: what its monthly ledgers sum up, as they closed."""
    path = f"/ledgers/{division}/years/{year}.{format}"
    _write(context, path, output or Path(f"anxin-{division}-{year}.{format}"), known_at=known_at)


def _write(context: Context, path: str, output: Path, **parameters: str | None) -> None:

    hub = connect(context.obj)
    with hub:
        found = hub.content(path, **parameters)
    try:
        output.write_bytes(found)
    except OSError as error:
        raise HubError(f"{output}: {error.strerror}", Exit.BAD_INPUT) from None
    print(f"{output}: {len(found)} bytes")
