"""The ledger of findings: what is ended and added, how late facts amend the past, and that nothing is rewritten."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hub.core.coverage.facts import DeviceFact, InstitutionFacts
from hub.core.coverage.ledger import STALE_AFTER, Held, Moved, Row, Span, recount
from hub.core.coverage.rulebook import Rulebook
from hub.core.coverage.snapshot import Observed, news, put, snapshot, steady
from hub.model import SECOND, AdminState, FunctionState, LinkState, Micros
from tests.core.coverage_city import CAMERA, EACH_ZONE, NOW, OFFLINE, TWO_ANYWHERE, pack, rule, site
from tests.core.coverage_stated import content

RULES = Rulebook([pack(rule(EACH_ZONE, id="zone"), rule(TWO_ANYWHERE, id="two"))])


class Book:
    """A ledger in memory: all rows that ever were, with the time in which they were known, as the store keeps them."""

    def __init__(self, rules: Rulebook = RULES) -> None:
        self.rules = rules
        self.rows: dict[int, tuple[Row, Micros, Micros | None]] = {}
        self.spans: dict[int, tuple[Span, Micros, Micros | None]] = {}
        self.checked_at: Micros | None = None
        self.known_from: Micros = 0
        self.statements: dict[bytes, dict[str, object]] = {}

    def held(self) -> Held:
        spans = sorted((one for one, _, to in self.spans.values() if to is None), key=lambda one: one.start)
        rows = sorted((one for one, _, to in self.rows.values() if to is None), key=lambda one: (one.rule, one.start))
        return Held("inst-1", spans, rows, self.checked_at, self.known_from, self.statements)

    def judge(self, facts: InstitutionFacts | None, at: Micros, late: Sequence[Observed] = ()) -> Moved:
        fresh = None if facts is None else snapshot(facts)
        moved = recount(self.held(), fresh, self.rules.current, at, self.rules, late)
        self._end(self.rows, [row.key for row in moved.ends], moved.at)
        self._end(self.spans, [span.key for span in moved.ends_spans], moved.at)
        for row in moved.adds:
            self.rows[len(self.rows)] = row._replace(key=len(self.rows)), moved.at, None
        for span in moved.adds_spans:
            self.spans[len(self.spans)] = span._replace(key=len(self.spans)), moved.at, None
        self.statements |= {name: content(one) for name, one in moved.shelf.statements.items()}
        self.checked_at = max(at, self.checked_at or 0)
        self.known_from = moved.at if not moved.is_empty else self.known_from
        return moved

    def _end(self, of: dict[int, tuple[Any, Micros, Micros | None]], keys: Sequence[int | None], at: Micros) -> None:
        for key in keys:
            assert key is not None
            one, since, to = of[key]
            assert to is None, "a row is ended once"
            of[key] = one, since, at

    def coverage(self, at: Micros, known_at: Micros) -> dict[str, str]:
        """What every rule said of `at`, as it was known at `known_at`; fails where it says two things."""
        found: dict[str, str] = {}
        for row, since, to in self.rows.values():
            if (
                since <= known_at
                and (to is None or known_at < to)
                and row.start <= at
                and (row.end is None or at < row.end)
            ):
                assert row.rule not in found
                found[row.rule] = row.said.verdict
        return found

    def periods(self, rule: str) -> list[tuple[str, Micros, Micros | None]]:
        return [(row.said.verdict, row.start, row.end) for row in self.held().rows if row.rule == rule]


def late_camera(**change: object) -> DeviceFact:
    return replace(CAMERA, **change)  # type: ignore[arg-type]


def test_the_first_judgement_opens_every_finding_and_keeps_its_facts() -> None:
    moved = Book().judge(site(CAMERA), NOW)
    assert [(row.rule, row.start, row.end) for row in moved.adds] == [("two", NOW, None), ("zone", NOW, None)]
    assert [one.before for one in moved.turned] == [None, None]
    assert [span.kept for span in moved.adds_spans] == [snapshot(site(CAMERA))]
    assert not moved.ends


def test_nothing_moves_when_nothing_changed() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    assert book.judge(site(replace(CAMERA, last_heard_at=NOW + SECOND)), NOW + SECOND).is_empty


def test_another_verdict_holds_from_when_the_fact_is_true_and_is_known_from_when_it_came() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    seen, known = NOW + 10 * SECOND, NOW + 15 * SECOND
    moved = book.judge(site(replace(OFFLINE, link_since=seen)), known)
    assert [(one.rule, one.before, one.said.verdict) for one in moved.turned] == [("zone", "compliant", "unknown")]
    assert book.periods("zone") == [("compliant", NOW, seen), ("unknown", seen, None)]
    assert book.coverage(seen, known - 1)["zone"] == "compliant"  # nobody knew better then
    assert book.coverage(seen, known)["zone"] == "unknown"


def test_what_is_not_dated_holds_from_when_it_is_known() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    # the hub is blind: the device is unknown, and has been what it is for long
    book.judge(site(replace(CAMERA, link_state=LinkState.UNKNOWN)), NOW + SECOND)
    assert book.periods("zone") == [("compliant", NOW, NOW + SECOND), ("unknown", NOW + SECOND, None)]


def test_the_same_verdict_with_other_evidence_is_a_row_of_its_own_and_holds_since_the_first() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    moved = book.judge(site(CAMERA, replace(CAMERA, id="cam-2", zone=None)), NOW + SECOND)
    assert [(one.rule, one.before, one.said.verdict) for one in moved.turned] == [("two", "non_compliant", "compliant")]
    book.judge(
        site(replace(CAMERA, function_state=FunctionState.DEGRADED, function_since=NOW + 2 * SECOND)), NOW + 3 * SECOND
    )
    zone = [row for row in book.held().rows if row.rule == "zone"]
    assert [(row.start, row.verdict_since) for row in zone] == [(NOW, NOW), (NOW + 2 * SECOND, NOW)]


def test_a_rule_that_no_longer_applies_ends_without_a_successor() -> None:
    book = Book(Rulebook([pack(replace(rule(EACH_ZONE, id="zone"), until=NOW + 60 * SECOND))]))
    book.judge(site(CAMERA), NOW)
    moved = book.judge(site(CAMERA), NOW + 62 * SECOND)
    assert [(row.rule, row.end) for row in moved.adds] == [("zone", NOW + 60 * SECOND)]
    assert book.coverage(NOW + 61 * SECOND, NOW + 62 * SECOND) == {}
    assert book.coverage(NOW + 59 * SECOND, NOW + 62 * SECOND) == {"zone": "compliant"}


def test_a_rule_that_begins_to_hold_is_judged_from_its_first_day_on() -> None:
    book = Book(Rulebook([pack(replace(rule(EACH_ZONE, id="zone"), since=NOW + 60 * SECOND))]))
    book.judge(site(CAMERA), NOW)
    book.judge(site(CAMERA), NOW + 62 * SECOND)
    assert book.periods("zone") == [("compliant", NOW + 60 * SECOND, None)]


def test_a_limit_that_passed_while_the_check_was_renewed_is_not_missed() -> None:
    book = Book(Rulebook([pack(replace(rule(EACH_ZONE, id="zone"), since=NOW + 60 * SECOND))]))
    book.judge(site(CAMERA), NOW)
    book.checked_at = NOW + 70 * SECOND  # somebody renewed before the limit was looked at
    book.judge(site(CAMERA), NOW + 71 * SECOND)
    assert book.periods("zone") == [("compliant", NOW + 60 * SECOND, None)]


def test_where_nobody_judged_what_was_compliant_is_unknown_and_what_was_not_stays() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    back = NOW + STALE_AFTER + SECOND
    book.judge(site(CAMERA), back)
    assert [verdict for verdict, _, _ in book.periods("zone")] == ["unknown", "compliant"]
    assert book.periods("two") == [("non_compliant", NOW, None)]
    assert len(book.held().spans) == 1, "the facts are those of the time after; before, nothing proves anything"


def test_a_subject_that_is_gone_ends_and_keeps_its_past() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    book.judge(None, NOW + SECOND)
    assert book.coverage(NOW, NOW + SECOND)["zone"] == "compliant"
    assert book.coverage(NOW + SECOND, NOW + SECOND) == {}


def test_packs_that_change_judge_from_now_on_and_never_the_past() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    stricter = Rulebook([pack(rule(replace(EACH_ZONE, n=2), id="zone"))])
    stricter.learn(RULES.current, RULES.body)
    book.rules = stricter
    book.judge(site(CAMERA), NOW + SECOND)
    assert book.periods("zone") == [("compliant", NOW, NOW + SECOND), ("non_compliant", NOW + SECOND, None)]
    # what comes late for the time before is judged by the packs of that time
    book.judge(site(replace(CAMERA, function_state=FunctionState.DEGRADED, function_since=NOW)), NOW + 2 * SECOND)
    assert book.coverage(NOW, NOW + 2 * SECOND) == {"zone": "compliant", "two": "non_compliant"}


def test_packs_of_the_past_that_cannot_be_read_leave_the_past_as_it_was() -> None:
    book = Book()
    book.judge(site(CAMERA), NOW)
    book.rules = Rulebook([pack(rule(EACH_ZONE, id="zone"))])
    book.judge(site(replace(OFFLINE, link_since=NOW + SECOND)), NOW + 2 * SECOND)
    assert book.periods("zone") == [("compliant", NOW, NOW + 2 * SECOND), ("unknown", NOW + 2 * SECOND, None)]


@pytest.mark.parametrize("axis", ["link", "function", "admin"])
def test_steady_sees_every_axis_and_no_beat(axis: str) -> None:
    before = steady(snapshot(site(CAMERA)))
    other = {"link": LinkState.OFFLINE, "function": FunctionState.FAILED, "admin": AdminState.OUT_OF_SERVICE}[axis]
    assert steady(snapshot(site(late_camera(**{f"{axis}_state": other})))) != before
    assert steady(snapshot(site(replace(CAMERA, last_heard_at=NOW + SECOND)))) == before


def test_devices_that_come_back_within_a_second_are_judged_once_and_count_from_its_end() -> None:
    cameras = [replace(CAMERA, id=f"cam-{n}", link_state=LinkState.UNKNOWN, link_since=NOW) for n in range(40)]
    book = Book()
    book.judge(site(*cameras), NOW)
    back = [
        replace(one, link_state=LinkState.ONLINE, link_since=NOW + 5 * SECOND + 20_000 * (n + 1))
        for n, one in enumerate(cameras)
    ]
    moved = book.judge(site(*back), NOW + 20 * SECOND)
    assert [one.start for one in moved.adds_spans if one.start > NOW] == [NOW + 6 * SECOND]
    assert book.periods("two") == [("unknown", NOW, NOW + 6 * SECOND), ("compliant", NOW + 6 * SECOND, None)]


def test_what_came_back_in_this_very_second_is_believed_now_and_nothing_is_dated_ahead() -> None:
    book = Book()
    book.judge(site(replace(CAMERA, link_state=LinkState.UNKNOWN, link_since=NOW)), NOW)
    at = NOW + 5 * SECOND + 300_000
    book.judge(site(replace(CAMERA, link_since=at - 100_000)), at)
    assert book.periods("zone") == [("unknown", NOW, at), ("compliant", at, None)]


# late and duplicate deliveries ----------------------------------------------------------------------------------------


def observations(dice: random.Random, many: int, since: Micros, until: Micros) -> list[Observed]:
    """Changes of the axes and proofs of three cameras, each at a time of its own."""
    times = dice.sample(range(since + 1, until, SECOND // 10), many)
    out = []
    for at in times:
        device = f"cam-{dice.randrange(3)}"
        match dice.randrange(3):
            case 0:
                out.append(Observed(("link", device), at, dice.choice(list(LinkState))))
            case 1:
                out.append(Observed(("function", device), at, dice.choice(list(FunctionState))))
            case _:
                out.append(
                    Observed(("admin", device), at, dice.choice([AdminState.IN_SERVICE, AdminState.OUT_OF_SERVICE]))
                )
    return out


CAMERAS = [replace(CAMERA, id=f"cam-{n}", admin_since=0, link_since=0, function_since=0) for n in range(3)]


def naive(known: Sequence[Observed], at: Micros) -> dict[str, str]:
    """Everything known of `at` put together afresh, and judged; what became so within a second counts from its end."""
    facts = put(site(*CAMERAS), [one for one in known if -(-one.since // SECOND) * SECOND <= at])
    return {one.rule.id: one.verdict.value for one in RULES.findings(RULES.current, snapshot(facts), at)}


def test_answers_survive_late_and_duplicate_deliveries_in_any_order() -> None:
    """A thousand go through the database (tests/store/test_late_deliveries.py)."""
    dice = random.Random(20261122)
    start, span = NOW, 3600 * SECOND
    made = observations(dice, 40, start, start + span)
    delivered = [dice.choice(made) for _ in range(300 - len(made))] + made
    dice.shuffle(delivered)
    book, known = Book(), list[Observed]()
    book.judge(site(*CAMERAS), start)
    asked: list[tuple[Micros, Micros, dict[str, str]]] = []
    now = start + span
    book.checked_at = now  # it is the deliveries that are late here, not the judge
    probes = [start + span * n // 23 for n in range(24)]
    probes += [one.since + beside for one in made[:8] for beside in (-1, 0, SECOND // 2, SECOND)]
    for n, one in enumerate(delivered):
        now += SECOND
        fresh = put(site(*CAMERAS), [*known, one])
        # what is newest shows in the facts of today; what is not comes beside them
        book.judge(fresh, now, [one])
        known.append(one)
        if n % 20 == 0:
            at = dice.choice(probes)
            answer = book.coverage(at, now)
            assert answer == naive(known, at)
            asked.append((at, now, answer))
    for at in probes:
        assert book.coverage(at, now) == naive(known, at)
    for at, known_at, answer in asked:
        assert book.coverage(at, known_at) == answer, "what was known once never changes"
    for name in ("zone", "two"):
        periods = book.periods(name)
        assert all(before[2] == after[1] for before, after in pairwise(periods)), "no gap, no overlap"
    written = len(book.rows)
    for one in made:
        assert book.judge(put(site(*CAMERAS), known), now, [one]).is_empty, "a duplicate says nothing new"
    assert len(book.rows) == written


def test_news_are_what_is_newer_and_never_what_lies_ahead() -> None:
    ahead = replace(OFFLINE, link_since=NOW + 60 * SECOND)
    assert news(site(CAMERA), site(ahead), NOW) == []
    [one] = news(site(CAMERA), site(ahead), NOW + 61 * SECOND)
    assert one == Observed(("link", "cam-1"), NOW + 60 * SECOND, LinkState.OFFLINE)
