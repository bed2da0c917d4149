"""At which hours a policy reaches nobody. Pure: policies, rotas, calendar and the horizon are given.

The check is exact: who is on duty changes at finitely many instants, and between two of them nothing changes, so whole intervals are judged
and no minute is sampled. What is judged is an alarm that is raised at an instant and the first round of its policy: a step that is due
`delay` later reaches whoever is on duty then.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from hub.core.escalation import Policy, Step, round_of, uncovered
from hub.core.media import REACHES_A_PERSON, Medium, medium
from hub.core.reach import Way, ways
from hub.core.reachability_wording import CLASSES_ZH, span_en, span_zh, what
from hub.core.rota import DAY, Calendar, Rota, Watch, local_day, midnight, timeline
from hub.model import LIFE_SAFETY, SECOND, DayKind, Micros, Priority, SignalClass

HORIZON: Micros = 400 * DAY
"""How far ahead a policy is checked: a year, with the next one's Spring Festival."""
AT_ONCE: Micros = 15 * SECOND
"""GB/T 45839 5.10.4 (FIR-49): people are told within this time by at least two kinds of channel."""
MEDIA_AT_ONCE = 2
CALENDAR_LATE: Micros = 31 * DAY
"""The State Council's arrangement of a year comes out in October to December of the year before: on its first of December it is missed."""
_MOST_ROWS = 500
"""Rows of a round that are looked at: who would be reached only by a later repetition than that counts as not reached."""


class Person(NamedTuple):
    """A responder as far as reach goes: its live channels in order of preference, and whether somebody is there at every hour."""

    ways: tuple[Way, ...]
    manned: bool = False


@dataclass(frozen=True, slots=True)
class Duty:
    """All that decides who is reached: policies, rotas by id, responders by id, the calendar."""

    policies: tuple[Policy, ...]
    rotas: Mapping[str, Rota] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    calendar: Calendar = field(default_factory=Calendar)


class Site(NamedTuple):
    """An institution with the alarms that its devices can raise, by device."""

    institution: str
    division: str
    type: str = ""
    groups: tuple[str, ...] = ()
    alarms: tuple[tuple[str, SignalClass, Priority], ...] = ()


class Finding(NamedTuple):
    """What is wrong with a policy (or, `uncovered`, with an institution: `policy` is empty then). An error is refused when saved."""

    code: Literal["gap", "two-media", "last-step", "ends", "uncovered", "calendar"]
    severity: Literal["error", "warning"]
    policy: str
    subject: str
    """what it is about besides: step, institution, year"""
    zh: str
    en: str
    since: Micros | None = None
    until: Micros | None = None
    spans: tuple[tuple[Micros, Micros], ...] = ()
    """all the times, of which `since` and `until` are the first; empty where it is so at every hour"""


class Reached(NamedTuple):
    """From `start` until before `end` these media reach somebody."""

    start: Micros
    end: Micros
    media: frozenset[Medium]


def check(duty: Duty, sites: Iterable[Site], start: Micros, end: Micros) -> Iterator[Finding]:
    """Everything that leaves an alarm raised from `start` until before `end` without somebody: policy by policy, then site by site."""
    lines: dict[tuple[str, Micros], tuple[Watch, ...]] = {}
    for policy in duty.policies:
        yield from _policy_findings(duty, policy, start, end, lines)
    yield from _unknown_years(duty, start, end)
    for site in sites:
        yield from _uncovered(duty, site)


def worse(after: Sequence[Finding], before: Sequence[Finding]) -> list[Finding]:
    """The errors of `after` that `before` did not have, or that stand at hours at which they did not."""
    known = {(one.code, one.policy, one.subject): one.spans for one in before if one.severity == "error"}
    found = []
    for one in after:
        old = known.get((one.code, one.policy, one.subject))
        grown = old is None or (bool(old) and (not one.spans or bool(_without(one.spans, old))))
        if (
            one.severity == "error" and one.code != "calendar" and grown
        ):  # a missing notice is no fault of what is saved
            found.append(one)
    return found


def _policy_findings(
    duty: Duty, policy: Policy, start: Micros, end: Micros, lines: dict[tuple[str, Micros], tuple[Watch, ...]]
) -> Iterator[Finding]:
    rows = round_of(policy.plan, 1)[:_MOST_ROWS]
    steps = {step.n: step for step in policy.steps}
    until = end + max((row.offset for row in rows), default=0)

    def reached(step: Step) -> list[Reached]:
        return _reached(duty, step, start, until, lines)

    by_step = {n: reached(step) for n, step in steps.items()}
    gaps = [(start, end)]
    for row in rows:
        if not gaps:
            break
        gaps = _without(gaps, [(r.start - row.offset, r.end - row.offset) for r in by_step[row.step] if r.media])
    if gaps:
        yield _gap(policy, gaps, start, end)
    classes = policy.signal_classes & LIFE_SAFETY
    if not classes:
        return
    first = [(row.offset, by_step[row.step]) for row in rows if row.offset <= AT_ONCE]
    thin = [(since, until) for since, until, media in _together(first, start, end) if len(media) < MEDIA_AT_ONCE]
    few = _without(_joined(thin), gaps)
    if few:
        yield _two_media(policy, few, start, end)
    if Priority.CRITICAL in policy.priorities:
        yield from _last_step(duty, policy, start, end, by_step)


def _reached(
    duty: Duty, step: Step, start: Micros, end: Micros, lines: dict[tuple[str, Micros], tuple[Watch, ...]]
) -> list[Reached]:
    """By which media the step reaches somebody, from `start` until `end` without gap: neighbours differ."""
    if not step.rota:
        return [Reached(start, end, _media(duty, (step.responder,), step))]
    if step.rota not in duty.rotas:
        return [Reached(start, end, frozenset())]
    key = (step.rota, end)
    if key not in lines:
        lines[key] = timeline(duty.rotas[step.rota], duty.calendar, start, end)
    found: list[Reached] = []
    for watch in lines[key]:
        media = _media(duty, watch.responders, step)
        if found and found[-1].media == media:
            found[-1] = found[-1]._replace(end=watch.end)
        else:
            found.append(Reached(watch.start, watch.end, media))
    return found


def _media(duty: Duty, people: Iterable[str], step: Step) -> frozenset[Medium]:
    chosen = (way for name in people if name in duty.people for way in ways(duty.people[name].ways, step))
    return frozenset(medium(way.kind) for way in chosen) & REACHES_A_PERSON


def _without(
    spans: Sequence[tuple[Micros, Micros]], taken: Sequence[tuple[Micros, Micros]]
) -> list[tuple[Micros, Micros]]:
    """`spans` less `taken`; both in order and without overlap in themselves."""
    left: list[tuple[Micros, Micros]] = []
    at = 0
    for begin, end in spans:
        while at < len(taken) and taken[at][1] <= begin:
            at += 1
        look = at
        while look < len(taken) and taken[look][0] < end:
            if taken[look][0] > begin:
                left.append((begin, taken[look][0]))
            begin = max(begin, taken[look][1])
            look += 1
        if begin < end:
            left.append((begin, end))
    return left


def _joined(spans: Iterable[tuple[Micros, Micros]]) -> list[tuple[Micros, Micros]]:
    """Spans in order, where one begins as another ends made one: too few is too few by whichever medium."""
    found: list[tuple[Micros, Micros]] = []
    for since, until in spans:
        if found and found[-1][1] == since:
            since = found.pop()[0]
        found.append((since, until))
    return found


def _together(first: Sequence[tuple[Micros, Sequence[Reached]]], start: Micros, end: Micros) -> list[Reached]:
    """By which media an alarm raised at an instant is told within AT_ONCE: all rows of (offset, what it reaches) together."""
    if not first:
        return [Reached(start, end, frozenset())]
    lines = [[(r.start - offset, r.media) for r in reached] for offset, reached in first]
    edges = heapq.merge(*([(at, n, media) for at, media in line] for n, line in enumerate(lines)), key=lambda e: e[0])
    now: list[frozenset[Medium]] = [frozenset()] * len(lines)
    found: list[Reached] = []
    for at, n, media in edges:
        now[n] = media
        begin = max(at, start)
        if found and found[-1].start == begin:
            found.pop()
        if begin < end:
            found.append(Reached(begin, end, frozenset().union(*now)))
            if len(found) > 1:
                found[-2] = found[-2]._replace(end=begin)
    merged: list[Reached] = []
    for one in found:
        if merged and merged[-1].media == one.media:
            merged[-1] = merged[-1]._replace(end=one.end)
        else:
            merged.append(one)
    return merged


def _last_step(
    duty: Duty, policy: Policy, start: Micros, end: Micros, by_step: Mapping[int, Sequence[Reached]]
) -> Iterator[Finding]:
    zh, en = what(policy)
    if policy.max_rounds is not None:
        yield Finding(
            "ends",
            "error",
            policy.id,
            "max_rounds",
            f"{zh}：{policy.max_rounds} 轮之后无人再被通知；不得有终点",
            f"{en}: after {policy.max_rounds} rounds nobody is told any more; it may not end",
        )
    last = policy.steps[-1]
    empty = [(r.start, min(r.end, end)) for r in by_step[last.n] if not r.media and r.start < end]
    manned = bool(last.rota) or (last.responder in duty.people and duty.people[last.responder].manned)
    if manned and not empty:
        return
    if not manned:
        yield Finding(
            "last-step",
            "error",
            policy.id,
            f"steps.{last.n}",
            f"{zh}：最后一步（{last.responder}）须为 24 小时有人的值班室（manned）或全天有人的值班表",
            f"{en}: the last step ({last.responder}) must be a room that is manned round the clock (`manned`) or a rota with somebody at every hour",
        )
        return
    (since, until), (when_zh, when_en) = empty[0], _when(empty, start, end)
    yield Finding(
        "last-step",
        "error",
        policy.id,
        f"steps.{last.n}",
        f"{when_zh}：{zh}的最后一步（{last.rota or last.responder}）无人",
        f"{when_en}: the last step ({last.rota or last.responder}) of {en} reaches nobody",
        since,
        until,
        tuple(empty),
    )


def _gap(policy: Policy, gaps: Sequence[tuple[Micros, Micros]], start: Micros, end: Micros) -> Finding:
    since, until = gaps[0]
    zh, en = what(policy)
    (when_zh, when_en), (more_zh, more_en) = _when(gaps, start, end), _more(gaps, start)
    return Finding(
        "gap",
        "error",
        policy.id,
        "",
        f"{when_zh}：{zh}通知不到任何人{more_zh}",
        f"{when_en}: {en} reaches nobody{more_en}",
        since,
        until,
        tuple(gaps),
    )


def _two_media(policy: Policy, few: Sequence[tuple[Micros, Micros]], start: Micros, end: Micros) -> Finding:
    since, until = few[0]
    zh, en = what(policy)
    (when_zh, when_en), (more_zh, more_en) = _when(few, start, end), _more(few, start)
    seconds = AT_ONCE // SECOND
    return Finding(
        "two-media",
        "error",
        policy.id,
        "steps",
        f"{when_zh}：{zh}在 {seconds} 秒内不足两种通知方式（FIR-49）{more_zh}",
        f"{when_en}: {en} is not told by two kinds of channel within {seconds} s (FIR-49){more_en}",
        since,
        until,
        tuple(few),
    )


def _shown(spans: Sequence[tuple[Micros, Micros]], start: Micros) -> Sequence[tuple[Micros, Micros]]:
    """The first of the times; with the next one where the first has begun before the check and does not show its whole hours."""
    return spans[: 2 if spans[0][0] == start else 1]


def _when(spans: Sequence[tuple[Micros, Micros]], start: Micros, end: Micros) -> tuple[str, str]:
    if spans[0] == (start, end):
        return "任何时刻", "at every hour"
    shown = _shown(spans, start)
    return "、".join(span_zh(*one) for one in shown), " and ".join(span_en(*one) for one in shown)


def _more(spans: Sequence[tuple[Micros, Micros]], start: Micros) -> tuple[str, str]:
    rest = len(spans) - len(_shown(spans, start))
    return (f"（另有 {rest} 段）", f" (and {rest} more)") if rest else ("", "")


def _unknown_years(duty: Duty, start: Micros, end: Micros) -> Iterator[Finding]:
    """Policies that go by working days and days off, in years of which nobody has said which these are: they go by plain weekdays, which is
    wrong on some thirty days. The notice comes out in November, so the finding is an error from `CALENDAR_LATE` before the year on."""
    for year in range(local_day(start).year, local_day(max(start, end - 1)).year + 1):
        if year in duty.calendar.years:
            continue
        begins = midnight(date(year, 1, 1))
        since, until = max(start, begins), min(end, midnight(date(year + 1, 1, 1)))
        for policy in duty.policies:
            named = {step.rota for step in policy.steps if step.rota in duty.rotas}
            careful = sorted(name for name in named if _goes_by_days_off(duty.rotas[name], since, until))
            if not careful:
                continue
            names = ", ".join(careful[:5]) + (f" +{len(careful) - 5}" if len(careful) > 5 else "")
            zh, en = what(policy)
            yield Finding(
                "calendar",
                "error" if start >= begins - CALENDAR_LATE else "warning",
                policy.id,
                str(year),
                f"没有 {year} 年放假调休数据：{zh}所用值班表 {names} 只按星期排班，请导入国务院办公厅通知",
                f"days off and made-up working days of {year} are not known: {en} goes by plain weekdays in rotas {names};"
                " import the State Council's notice",
                since,
                until,
            )


def _goes_by_days_off(rota: Rota, since: Micros, until: Micros) -> bool:
    """Whether it makes a difference to a shift of that time what a day is."""
    first, last = local_day(since), local_day(until - 1)
    return any(
        shift.day_kinds != frozenset(DayKind) and shift.since <= last and (shift.until is None or shift.until >= first)
        for shift in rota.shifts
    )


def _uncovered(duty: Duty, site: Site) -> Iterator[Finding]:
    missing = uncovered(duty.policies, site.institution, site.division, site.alarms, site.type, site.groups)
    for signal_class in sorted({row.signal_class for row in missing}):
        devices = [row.device for row in missing if row.signal_class is signal_class]
        yield Finding(
            "uncovered",
            "error",
            "",
            site.institution,
            f"机构 {site.institution} 的{CLASSES_ZH[signal_class]}没有任何升级策略（如 {devices[0]}）",
            f"no escalation policy covers {signal_class.value} at institution {site.institution} (such as {devices[0]})",
        )
