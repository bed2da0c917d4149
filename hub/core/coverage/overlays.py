"""Packs that lie over packs: national ← province ← city. What an overlay may not do, which rules contradict each other, and which of them holds.

Resolution (standards catalogue, section 1): the strictest number wins, a prohibition beats coverage, what holds only in a place holds only there,
and a target or a recommendation never takes the place of an obligation. An overlay may tighten a rule, replace it with a ground, or add rules.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hub.core.coverage.rules import (
    AlwaysArmed,
    AtLeast,
    Attested,
    Basis,
    Bounds,
    Documents,
    Independent,
    NoneIn,
    Proven,
    Requirement,
    Rule,
    RulePack,
    ShareCovered,
    TimeBound,
)
from hub.core.coverage.waivers import NEVER
from hub.model import Micros

RANK = {Basis.OBLIGATION: 2, Basis.TARGET: 1, Basis.RECOMMENDATION: 0}
"""which basis yields to which; never which counts for another"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an overlay may not do: such packs are refused. `rule` is empty where it concerns the pack."""

    pack: str
    rule: str
    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules of which one must yield somewhere. `holds` is the id of the one that decides; empty where nobody can say."""

    kind: str
    """`strictest`, `prohibition`, `overridden`, `bounds`"""
    first: Rule
    second: Rule
    holds: str
    zh: str
    en: str


def faults(packs: Sequence[RulePack]) -> tuple[Fault, ...]:
    """Everything about overlays that makes these packs unusable."""
    by_id = {pack.id: pack for pack in packs}
    found: list[Fault] = []
    for pack in packs:
        below, fault = _below(pack, by_id)
        found += [fault] if fault is not None else []
        bases = {rule.id: rule for name in below for rule in by_id[name].rules}
        for rule in pack.rules:
            if rule.overrides:
                key = "replaces" if rule.replaces else "tightens"
                found += [Fault(pack.id, rule.id, *said) for said in _wrongs(rule, bases.get(rule.overrides), key)]
    return tuple(found)


def _below(pack: RulePack, by_id: dict[str, RulePack]) -> tuple[list[str], Fault | None]:
    """The packs under this one, nearest first."""
    below: list[str] = []
    while pack.overlays:
        if pack.overlays not in by_id:
            return below, Fault(pack.id, "", "overlays", f"there is no pack {pack.overlays!r}")
        if pack.overlays in below or pack.overlays == pack.id:
            return below, Fault(pack.id, "", "overlays", f"pack {pack.overlays!r} lies over itself")
        below.append(pack.overlays)
        pack = by_id[pack.overlays]
    return below, None


def _wrongs(rule: Rule, base: Rule | None, key: str) -> Iterator[tuple[str, str]]:
    if base is None:
        yield key, f"no pack below has a rule {rule.overrides!r}"
        return
    if not rule.jurisdiction.startswith(base.jurisdiction):
        yield "jurisdiction", f"{rule.jurisdiction!r} does not lie within {base.jurisdiction!r} of {base.id!r}"
    if RANK[rule.basis] < RANK[base.basis]:
        yield "force", f"a {rule.basis.value} cannot stand in for the {base.basis.value} {base.id!r}: add it beside"
    if base.force in NEVER and rule.force not in NEVER:
        waivable = f"a {rule.force.value} may be waived and the {base.force.value} {base.id!r} may not"
        yield "force", f"{waivable}: it cannot stand in for it, add it beside"
    if key == "replaces" and base.basis is not Basis.OBLIGATION:
        return
    if type(rule.requirement) is not type(base.requirement):
        yield "requirement", f"cannot be seen to be as strict as {base.id!r}, which asks for another kind of thing"
        return
    for name in looser(rule, base):
        yield f"requirement.{name}" if name not in _OF_RULE else name, f"looser than {base.id!r}: {_cited(base)}"


def _cited(rule: Rule) -> str:
    return " ".join(part for part in (rule.document, rule.number, rule.clause) if part)


_OF_RULE = frozenset({"days_to_remedy", "evidence_max_age", "when"})


def looser(rule: Rule, base: Rule) -> tuple[str, ...]:
    """The keys in which `rule` asks for less than `base`, a rule of the same kind of requirement."""
    asked = _of_kind(rule.requirement, base.requirement)
    asked["days_to_remedy"] = rule.days_to_remedy <= base.days_to_remedy
    asked["evidence_max_age"] = _short(rule.evidence_max_age, base.evidence_max_age)
    asked["when"] = rule.when is None or rule.when == base.when
    return tuple(name for name, holds in asked.items() if not holds)


def _short(new: float | Micros | None, old: float | Micros | None) -> bool:
    """An upper bound at least as tight; None bounds nothing."""
    return old is None or (new is not None and new <= old)


def _high(new: float | None, old: float | None) -> bool:
    """A lower bound at least as tight."""
    return old is None or (new is not None and new >= old)


def _scope(new: frozenset[str], old: frozenset[str]) -> bool:
    """Zones in which every device is looked at: none named is all of them."""
    return not new or (bool(old) and new >= old)


def _of_kind(new: Requirement, old: Requirement) -> dict[str, bool]:
    """Which parts are at least as strict, by key."""
    match new, old:
        case AtLeast(), AtLeast():
            return {
                "capability": new.capabilities <= old.capabilities,
                "n": new.n >= old.n,
                "per": new.per == old.per,
                # in an institution, zones limit where a device counts; elsewhere they are what is asked about
                "zones": _within(new.zones, old.zones) if new.per == "institution" else _asked(new, old),
                "must_exist": new.must_exist >= old.must_exist,
                "per_m2": _per(new.per_m2, old.per_m2) and (old.per_m2 is None or _area(new, old)),
                "per_children": _per(new.per_children, old.per_children),
                "area_above": new.area_above is None or _high(old.area_above, new.area_above),
                "area_up_to": new.area_up_to is None or _short(old.area_up_to, new.area_up_to),
                "views_within": _short(new.views_within, old.views_within),
            }
        case ShareCovered(), ShareCovered():
            return {
                "capability": new.capabilities <= old.capabilities,
                "share": new.share >= old.share,
                "zones": new.zones >= old.zones,
                "must_exist": new.must_exist >= old.must_exist,
                "views_within": _short(new.views_within, old.views_within),
            }
        case NoneIn(), NoneIn():
            return {
                "zones": new.zones >= old.zones,
                "kinds": new.kinds >= old.kinds,
                "capability": new.capabilities >= old.capabilities,
            }
        case Bounds(), Bounds():
            return {
                "of": new.of == old.of,
                "point": new.point == old.point,
                "kinds": _scope(new.kinds, old.kinds),
                "min": _high(new.minimum, old.minimum),
                "max": _short(new.maximum, old.maximum),
                "capability": _scope(new.capabilities, old.capabilities),
                "zones": _scope(new.zones, old.zones),
                "must_exist": new.must_exist >= old.must_exist,
                "except": old.hold_excepted or not new.hold_excepted or old.maximum is None,
                "gaps": new.gaps <= old.gaps,
                "newest_within": _short(new.newest_within, old.newest_within),
            }
        case Proven(), Proven():
            return {
                "capability": new.capabilities >= old.capabilities,
                "within": new.within <= old.within,
                "zones": _scope(new.zones, old.zones),
                "must_exist": new.must_exist >= old.must_exist,
            }
        case Attested(), Attested():
            return {
                "kind": new.kind == old.kind,
                "within": _short(new.within, old.within) if not new.each_open_day else _high(new.within, old.within),
                "n": new.n >= old.n,
                "per": new.per == old.per and new.each_open_day == old.each_open_day,
                "zones": _scope(new.zones, old.zones) and _scope(new.where, old.where),
                "seconded": new.seconded >= old.seconded,
                "value": _high(new.min_value, old.min_value)
                and _short(new.max_value, old.max_value)
                and _per(new.value_per_m2, old.value_per_m2),
                "missing": new.missing == "non_compliant" or old.missing == "unknown",
                "must_exist": new.must_exist >= old.must_exist,
            }
        case Documents(), Documents():
            return {
                "kind": new.kinds >= old.kinds,
                "number": new.number_required >= old.number_required,
                "within": _short(new.within, old.within),
                "missing": new.missing == "non_compliant" or old.missing == "unknown",
            }
        case AlwaysArmed(), AlwaysArmed():
            return {"classes": new.classes >= old.classes, "must_exist": new.must_exist >= old.must_exist}
        case TimeBound(), TimeBound():
            return {
                "from": new.start == old.start,
                "to": new.end == old.end,
                "within": new.within <= old.within,
                "quantile": new.quantile is None or (old.quantile is not None and new.quantile >= old.quantile),
            }
        case Independent(), Independent():
            return {
                "capability": new.capabilities <= old.capabilities,
                "n": new.n >= old.n,
                "of": new.of == old.of,
                "per": new.per == old.per,
                "zones": _within(new.zones, old.zones) if new.per == "institution" else new.zones >= old.zones,
                "must_exist": new.must_exist >= old.must_exist,
            }
        case _:
            return {"kind": False}


def _per(new: float | None, old: float | None) -> bool:
    """So many for each area or number begun: fewer of them for one is more to have."""
    return old is None or (new is not None and new <= old)


def _area(new: AtLeast, old: AtLeast) -> bool:
    """Per institution, the zones are also the area that is counted: then they must be the same."""
    return new.per != "institution" or new.zones == old.zones


def _within(new: frozenset[str], old: frozenset[str]) -> bool:
    """Zones outside of which a device does not count: none named is anywhere."""
    return not old or (bool(new) and new <= old)


def _asked(new: AtLeast, old: AtLeast) -> bool:
    if new.per == "zone":
        return new.zones >= old.zones
    return _scope(new.zones, old.zones)


def conflicts(packs: Sequence[RulePack]) -> tuple[Conflict, ...]:
    """Every two rules of these packs that may hold the same institution at the same time and cannot both decide."""
    rules = [rule for pack in packs for rule in pack.rules]
    return tuple(conflict for one, two in combinations(rules, 2) if _meet(one, two) for conflict in _between(one, two))


def _meet(one: Rule, two: Rule) -> bool:
    """Whether some institution may be held by both at some time."""
    near = one.jurisdiction.startswith(two.jurisdiction) or two.jurisdiction.startswith(one.jurisdiction)
    typed = not one.institution_types or not two.institution_types or one.institution_types & two.institution_types
    apart = (one.until is not None and one.until <= two.since) or (two.until is not None and two.until <= one.since)
    return near and bool(typed) and not apart


def _between(one: Rule, two: Rule) -> Iterator[Conflict]:
    for upper, lower in ((one, two), (two, one)):
        if upper.overrides == lower.id:
            yield _overridden(upper, lower)
            return
        zones = prohibited(upper, lower)
        if zones:
            yield _prohibition(upper, lower, zones)
    first, second = one.requirement, two.requirement
    if isinstance(first, Bounds) and isinstance(second, Bounds) and _same_measure(first, second):
        yield from _bounds(one, first, two, second)
    if one.basis is not two.basis:
        return  # each belongs to a figure of its own: the smaller number of the one is not decided by the other
    if isinstance(first, AtLeast) and isinstance(second, AtLeast) and _same_count(first, second):
        more, less = (one, two) if first.n > second.n else (two, one)
        yield _strictest(more, less, str(max(first.n, second.n)), str(min(first.n, second.n)))
    elif isinstance(first, ShareCovered) and isinstance(second, ShareCovered) and _same_share(first, second):
        more, less = (one, two) if first.share > second.share else (two, one)
        yield _strictest(more, less, str(max(first.share, second.share)), str(min(first.share, second.share)))


def prohibited(upper: Rule, lower: Rule) -> frozenset[str]:
    """The zones that rule `upper` takes out of those that `lower` names to be covered."""
    asked = lower.requirement
    return (
        banned(upper, lower) & asked.zones if isinstance(asked, AtLeast | ShareCovered | Independent) else frozenset()
    )


def banned(upper: Rule, lower: Rule) -> frozenset[str]:
    """The zones in which rule `upper` forbids what `lower` asks for. A prohibition of less force forbids nothing there."""
    ban, asked = upper.requirement, lower.requirement
    if not isinstance(ban, NoneIn) or not isinstance(asked, AtLeast | ShareCovered | Independent):
        return frozenset()
    if isinstance(asked, AtLeast | Independent) and asked.per == "institution":
        return frozenset()
    if RANK[upper.basis] < RANK[lower.basis] or not ban.capabilities & asked.capabilities:
        return frozenset()
    return ban.zones


def _overridden(upper: Rule, lower: Rule) -> Conflict:
    how_zh, how_en = ("替代", "replaces") if upper.replaces else ("从严代替", "tightens and stands in for")
    ground_zh = f"，依据：{upper.ground_zh}" if upper.replaces else ""
    ground_en = f"; ground: {upper.ground_en}" if upper.replaces else ""
    return Conflict(
        "overridden", upper, lower, upper.id, f"{_both(upper)} {how_zh} {_both(lower)}{ground_zh}",
        f"{_both(upper)} {how_en} {_both(lower)}{ground_en}",
    )  # fmt: skip


def _prohibition(upper: Rule, lower: Rule, zones: frozenset[str]) -> Conflict:
    named = ", ".join(sorted(zones))
    return Conflict(
        "prohibition", upper, lower, upper.id, f"禁止优先于覆盖：{named} 不计入 {_both(lower)}，因 {_both(upper)}",
        f"a prohibition beats coverage: {named} left out of {_both(lower)} because of {_both(upper)}",
    )  # fmt: skip


def _strictest(more: Rule, less: Rule, high: str, low: str) -> Conflict:
    return Conflict(
        "strictest", more, less, more.id, f"从严：{_both(more)} 的 {high} 优先于 {_both(less)} 的 {low}",
        f"the strictest number wins: {high} of {_both(more)} over {low} of {_both(less)}",
    )  # fmt: skip


def _bounds(one: Rule, first: Bounds, two: Rule, second: Bounds) -> Iterator[Conflict]:
    for name, stricter in (("minimum", max), ("maximum", min)) if one.basis is two.basis else ():
        a, b = getattr(first, name), getattr(second, name)
        if a is not None and b is not None and a != b:
            more, less = (one, two) if stricter(a, b) == a else (two, one)
            yield _strictest(more, less, f"{stricter(a, b):g}", f"{min(a, b) if stricter is max else max(a, b):g}")
    for floor, low, ceiling, high in ((one, first, two, second), (two, second, one, first)):
        if low.minimum is not None and high.maximum is not None and low.minimum > high.maximum:
            yield _empty(floor, ceiling, f"{low.minimum:g} > {high.maximum:g}")


def _empty(floor: Rule, ceiling: Rule, said: str) -> Conflict:
    """Nothing can meet both. The higher basis holds; between equals nobody can say but a person."""
    gap = RANK[floor.basis] - RANK[ceiling.basis]
    holds = "" if gap == 0 else (floor if gap > 0 else ceiling).id
    zh = f"下限高于上限（{said}）：{_both(floor)} 与 {_both(ceiling)}，" + (
        f"以 {holds} 为准" if holds else "需人工裁定"
    )
    en = f"a floor above a ceiling ({said}): {_both(floor)} and {_both(ceiling)}; "
    return Conflict("bounds", floor, ceiling, holds, zh, en + (f"{holds} holds" if holds else "a person must decide"))


def outranked(rule: Rule, other: Rule) -> bool:
    """Whether `rule` is a bound of lesser basis that nobody could meet beside the other's: then it is not judged where both hold. One that asks only in
    a circumstance puts no other aside."""
    if RANK[rule.basis] >= RANK[other.basis] or other.when is not None:
        return False
    mine, theirs = rule.requirement, other.requirement
    if not (isinstance(mine, Bounds) and isinstance(theirs, Bounds) and _same_measure(mine, theirs)):
        return False
    return _above(mine.minimum, theirs.maximum) or _above(theirs.minimum, mine.maximum)


def _above(floor: float | None, ceiling: float | None) -> bool:
    return floor is not None and ceiling is not None and floor > ceiling


def _same_measure(one: Bounds, two: Bounds) -> bool:
    alike = not one.capabilities or not two.capabilities or bool(one.capabilities & two.capabilities)
    placed = not one.zones or not two.zones or bool(one.zones & two.zones)
    kinds = not one.kinds or not two.kinds or bool(one.kinds & two.kinds)
    return (one.of, one.point) == (two.of, two.point) and alike and placed and kinds


def _same_share(one: ShareCovered, two: ShareCovered) -> bool:
    """The same cover of a zone, by different numbers."""
    return one.capabilities == two.capabilities and bool(one.zones & two.zones) and one.share != two.share


def _same_count(one: AtLeast, two: AtLeast) -> bool:
    """The same count, by different numbers."""
    if one.n == two.n:
        return False
    plain: tuple[Any, ...] = (one.per, one.capabilities, one.per_m2, one.per_children)
    if plain != (two.per, two.capabilities, two.per_m2, two.per_children):
        return False
    return one.zones == two.zones if one.per == "institution" else bool(one.zones & two.zones)


def _both(rule: Rule) -> str:
    """A rule with its citation."""
    return f"{rule.id} ({_cited(rule)})"
