"""`anxin rules`: are the rule packs well-formed, does every rule tell right from wrong, which contradict each other, what does one ask, and who
answers for which clause?

Exit codes: 0 all hold, 1 a fixture does not, two rules cannot both be met, or there is no such rule, 2 a file cannot be read; every line names file
and rule.
"""

import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.columns import wrapped
from hub.config import data_folder
from hub.errors import BadInput

if TYPE_CHECKING:
    from hub.clauses import Clauses
    from hub.core.coverage.rules import Requirement, Rule, RulePack

app = typer.Typer(help="规则包 Rule packs.", no_args_is_help=True)

Folders = Annotated[list[Path] | None, typer.Argument(help="folders of rule packs; the shipped ones if none")]
Places = Annotated[
    list[Path] | None, typer.Option("--folder", help="a folder of rule packs; the shipped ones if none is given")
]


@app.callback()
def rules() -> None:
    """Rule packs: the clauses that institutions are held to, as data."""


def _loaded(places: list[Path]) -> "tuple[RulePack, ...]":
    from hub.rulepacks import load_rule_packs

    try:
        packs = load_rule_packs(places)
        if not packs:
            raise BadInput("no rule pack lies there: nothing was checked", str(places[0]), code="pack")
        return packs
    except (BadInput, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def _index(places: list[Path]) -> "Clauses | None":
    from hub.clauses import load_clauses

    try:
        return load_clauses(places)
    except (BadInput, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


@app.command("check")
def check(folders: Folders = None) -> None:
    """检查规则包 Load every pack, play every fixture, and report every two rules of which one decides.

    Each rule must pass where it should and fail where it should; a floor above a ceiling that nobody decided is wrong. Where the packs have an index of
    clauses, every clause is cited by a rule or stands there with its reason.
    """
    from hub.clauses import gaps
    from hub.core.coverage.overlays import conflicts
    from hub.rulepack_fixtures import failures, load_fixtures

    places = folders or [data_folder("rule-packs")]
    packs = _loaded(places)
    try:
        fixtures = load_fixtures(places)
    except (BadInput, OSError) as error:
        print(f"anxin: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    wrong = failures(packs, fixtures)
    index = _index(places)
    if index is not None:
        wrong += gaps(index, packs)
    found = conflicts(packs)
    for conflict in found:
        if conflict.holds:
            _print(conflict.zh, f"conflict ({conflict.kind}): ", 2)
            _print(conflict.en, "  ", 2)
        else:
            wrong.append(f"conflict ({conflict.kind}): {conflict.zh} {conflict.en}")
    for line in wrong:
        print("\n".join(wrapped(line, indent=2)), file=sys.stderr)
    if index is not None:
        unjudged = len(index.unjudged)
        print(
            f"{len(index.keys)} clauses, {len(index.keys) - unjudged} judged by rules, {unjudged} with a reason why not"
        )
    rules_held = sum(len(pack.rules) for pack in packs)
    print(
        f"{len(packs)} packs, {rules_held} rules, {len(fixtures)} fixtures, {len(found)} conflicts, {len(wrong)} wrong"
    )
    if wrong:
        raise typer.Exit(1)


@app.command("list")
def list_rules(
    folders: Places = None,
    division: Annotated[str, typer.Option(help="only rules that may hold in this division")] = "",
    type: Annotated[str, typer.Option(help="only rules that hold institutions of this type")] = "",
) -> None:
    """规则清单 Every rule: id, module, basis, force, catalogue key, where it holds; below it its title."""
    packs = _loaded(folders or [data_folder("rule-packs")])
    count: Counter[str] = Counter()
    for pack in packs:
        for rule in pack.rules:
            if division and not division.startswith(rule.jurisdiction):
                continue
            if type and rule.institution_types and type not in rule.institution_types:
                continue
            count[rule.basis.value] += 1
            where = rule.jurisdiction or "-"
            print(
                f"{rule.id:<34} {rule.module.value:<9} {rule.basis.value:<14} {rule.force.value:<4} {rule.clause_id} {where}"
            )
            _print(f"{rule.title_zh} {rule.title_en}", "    ", 4)
    print(", ".join(f"{n} {basis}s" for basis, n in sorted(count.items())) or "no rules")


@app.command("show")
def show(
    rule: Annotated[str, typer.Argument(help="the rule's id")],
    folders: Places = None,
) -> None:
    """规则详情 One rule: what it cites, whom it holds and since when, what it asks for, and what stands over or under it."""
    packs = _loaded(folders or [data_folder("rule-packs")])
    found = {one.id: (pack, one) for pack in packs for one in pack.rules}
    if rule not in found:
        near = ", ".join(sorted(name for name in found if rule in name)[:10])
        print(f"anxin: there is no rule {rule!r}{f'; near it: {near}' if near else ''}", file=sys.stderr)
        raise typer.Exit(1)
    for name, value in _shown(*found[rule], packs):
        _print(value, f"{name:<14} ", 15)


@app.command("clauses")
def clauses(folders: Places = None) -> None:
    """条款清单 Every clause of the index: the rules that judge it, or why none does."""
    places = folders or [data_folder("rule-packs")]
    packs, index = _loaded(places), _index(places)
    if index is None:
        print("anxin: there is no index of clauses (clauses.yaml) beside these packs", file=sys.stderr)
        raise typer.Exit(1)
    excused = {one.id: one for one in index.unjudged}
    for key in sorted(index.keys):
        judged = [rule.id for pack in packs for rule in pack.rules if rule.clause_id == key]
        said = ", ".join(judged)
        if key in excused:
            reason = index.reasons.get(excused[key].reason)
            said = f"{excused[key].reason}: " + ("" if reason is None else f"{reason.zh} {reason.en}")
            said += f" ({', '.join(excused[key].rules)})" if excused[key].rules else ""
        _print(said or "?", f"{key}  ", 8)


def _print(text: str, first: str, indent: int) -> None:
    print("\n".join(wrapped(text, first, indent)))


def _shown(pack: "RulePack", rule: "Rule", packs: "tuple[RulePack, ...]") -> list[tuple[str, str]]:
    from hub.core.coverage.overlays import conflicts
    from hub.core.coverage.wording import asked_for, circumstance, period
    from hub.model import to_datetime
    from hub.rulepacks import CHINA

    asked_zh, asked_en = asked_for(rule.requirement)
    since = to_datetime(rule.since).astimezone(CHINA).date()
    last = "" if rule.until is None else to_datetime(rule.until - 1).astimezone(CHINA).date()
    age = "" if rule.evidence_max_age is None else " / ".join(period(rule.evidence_max_age))
    ground = f" ({rule.ground_zh} {rule.ground_en})" if rule.replaces else ""
    rows = [
        ("rule", f"{rule.id} ({pack.id} {pack.version})"),
        ("title", f"{rule.title_zh} {rule.title_en}"),
        ("cites", " ".join(part for part in (rule.document, rule.number, rule.clause) if part)),
        ("catalogue", f"{rule.clause_id}, force {rule.force.value}, basis {rule.basis.value}, {rule.confidence}"),
        ("module", rule.module.value),
        ("holds", f"{since} – {last}".strip(" –") + f", division {rule.jurisdiction or 'any'}"),
        ("types", ", ".join(sorted(rule.institution_types)) or "all"),
        ("asks", f"{asked_zh} / {asked_en}"),
        *([] if rule.when is None else [("only where", " / ".join(circumstance(rule.when)))]),
        ("requirement", _written(rule.requirement)),
        ("evidence", age or "as the requirement and the devices' profiles say"),
        ("to remedy", f"{rule.days_to_remedy} days"),
        ("stands in for", rule.overrides + ground if rule.overrides else "-"),
    ]
    met = [one for one in conflicts(packs) if rule.id in (one.first.id, one.second.id)]
    return rows + [("conflict", f"{one.zh}; {one.en}") for one in met]


def _written(requirement: "Requirement") -> str:
    """Every key that differs from what is so when it is left out."""
    given = [(one.name, getattr(requirement, one.name), one.default) for one in fields(requirement)]
    said = [
        f"{name}: {', '.join(sorted(value)) if isinstance(value, frozenset) else value}"
        for name, value, usual in given
        if value != usual
    ]
    return f"{type(requirement).__name__}: {'; '.join(said)}"


@app.command("schema")
def schema() -> None:
    """模式 The JSON schema of a rule pack, for editors."""
    from hub.rulepacks_schema import text

    print(text(), end="")
