"""Which alarms the check of all policies raises, where they stand, and whom they tell. Pure.

A finding is told by an ordinary alarm of the division whose policy it is: whatever policy covers that alarm pages it. A policy that reaches
nobody at some hour is not trusted with the news of it: then the alarm stands at the nearest division above whose policy for it holds, and where
there is none the standing contacts are told, whatever policies say.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hub.core.escalation import MOST_KINDS, Plan, Step, covers
from hub.core.reach import ways
from hub.core.reachability import Duty, Finding, Site
from hub.model import SECOND, Priority, SignalClass

UNREACHED = "policy_unreached"
UNCHECKED = "policies_unchecked"
"""definitions of the profile `anxin-duty`"""
SIGNAL_CLASS, PRIORITY = SignalClass.FAULT, Priority.HIGH
PLACE_TYPE = "hub"
"""type of the institutions of the hub's own, at which these alarms stand"""
MOST = 200
"""alarms at once; the last one says how many more there are"""
_MOST_STANDING = 20
_MOST_LETTERS = 1000
_STANDING_EVERY = 300 * SECOND


class Wanted(NamedTuple):
    """One alarm that is to stand. `plan`: whom to tell where no policy can be trusted with it; None: by policy, as ever."""

    division: str
    definition: str
    instance: str
    """the policy; empty for institutions that none covers"""
    zh: str
    en: str
    plan: Plan | None = None


def place_of(division: str) -> str:
    """The identifier of the institution, and of the device, at which the alarms of a division stand."""
    return f"anxin-hub-{division}"


def wanted(
    duty: Duty,
    sites: Sequence[Site],
    findings: Sequence[Finding],
    homes: Mapping[str, str | None],
    parents: Mapping[str, str | None],
) -> list[Wanted]:
    """The alarms that these findings make, in the order of their policies; none for a warning.

    `homes`: the division of each policy, None for one that is for everywhere or for a group. `parents`: each division's own, None at the top.
    Where there is no division at all nothing can be raised, and nothing is covered either.
    """
    top = min((code for code, parent in parents.items() if parent is None), default=None)
    places = {site.institution: site.division for site in sites}
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        home = homes.get(one.policy) if one.policy else places.get(one.subject)
        home = home if home in parents else top
        if one.severity == "error" and home is not None:
            grouped.setdefault((one.policy, home), []).append(one)
    broken = {one.policy for one in findings if one.code == "gap"}
    found = []
    for (policy, home), said in sorted(grouped.items()):
        division, plan = told_at(duty, home, broken, parents)
        found.append(Wanted(division, UNREACHED, policy, *_words(said), plan))
    # alarms of uncovered institutions of several divisions may have gone up to one
    merged: dict[tuple[str, str], Wanted] = {}
    for alarm in found:
        before = merged.setdefault((alarm.division, alarm.instance), alarm)
        if before is not alarm:
            words = (_cut(f"{before.zh}；{alarm.zh}"), _cut(f"{before.en}; {alarm.en}"))
            merged[alarm.division, alarm.instance] = before._replace(zh=words[0], en=words[1])
    return _at_most(list(merged.values()))


def unchecked(problem: str, parents: Mapping[str, str | None]) -> list[Wanted]:
    """The alarm that says that the check could not be made, at the top division."""
    top = min((code for code, parent in parents.items() if parent is None), default=None)
    said = _cut(problem)
    return [] if top is None else [Wanted(top, UNCHECKED, "", said, said)]


def _at_most(alarms: list[Wanted]) -> list[Wanted]:
    more = len(alarms) - MOST
    if more <= 0:
        return alarms
    last = alarms[MOST - 1]
    zh, en = f"另有 {more} 条策略未单独告警；", f"{more} more policies have no alarm of their own; "
    return [*alarms[: MOST - 1], last._replace(zh=_cut(zh + last.zh), en=_cut(en + last.en))]


def _words(said: Sequence[Finding]) -> tuple[str, str]:
    more = len(said) - 3
    tail = (f"（另有 {more} 项）", f" (and {more} more)") if more > 0 else ("", "")
    zh, en = "；".join(one.zh for one in said[:3]), "; ".join(one.en for one in said[:3])
    return _cut(zh + tail[0]), _cut(en + tail[1])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"


def told_at(duty: Duty, home: str, broken: set[str], parents: Mapping[str, str | None]) -> tuple[str, Plan | None]:
    """The nearest division from `home` upwards whose policy for such an alarm reaches somebody at every hour; else `home` and who is left."""
    division: str | None = home
    seen: set[str] = set()
    while division is not None and division not in seen:
        seen.add(division)
        policy = covers(duty.policies, place_of(division), division, SIGNAL_CLASS, PRIORITY, PLACE_TYPE)
        if policy is not None and policy.id not in broken:
            return division, None
        division = parents.get(division)
    return home, _standing(duty)


def _standing(duty: Duty) -> Plan | None:
    """Every manned room by all its kinds of channel; where there is none whoever is on duty by any rota; else everybody who has a channel. None: there
    is nobody at all."""

    def live(name: str) -> bool:
        return bool(ways(duty.people[name].ways, Step(1, name, kinds=MOST_KINDS)))

    rooms = [name for name, person in sorted(duty.people.items()) if person.manned and live(name)]
    people = rooms or ([] if duty.rotas else [name for name in sorted(duty.people) if live(name)])
    steps = [Step(n, name, kinds=MOST_KINDS) for n, name in enumerate(people[:_MOST_STANDING], 1)]
    if not rooms:
        rotas = sorted(duty.rotas)[:_MOST_STANDING]
        steps += [Step(n, rota=name, kinds=MOST_KINDS) for n, name in enumerate(rotas, len(steps) + 1)]
    return Plan(_STANDING_EVERY, None, tuple(steps)) if steps else None
