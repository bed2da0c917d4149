"""The list of fire-risk scores: a kept score is believed only while it is fresh and nothing has changed; what is not believed is unknown, never low."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.fire_facts import FireFacts
from hub.core.fire_kept import FULL, GAP, Kept, Standing, of_kept, of_risk, rank, sentence, standing, to_score
from hub.core.fire_risk import assess
from hub.model import SECOND, Micros
from tests.core.test_fire_risk import NOW, SAFE, WEIGHTS

MINUTE: Micros = 60 * SECOND
STALE: Micros = round(GAP.total_seconds()) * SECOND


def kept(
    subject: str = "sun", score: int = 10, ago: Micros = 5 * MINUTE, *, hard: bool = False, changed: bool = False
) -> Kept:
    level = [one for one in WEIGHTS.levels if one.least <= score][-1]
    return Kept(subject, score, score, level, hard, (), WEIGHTS.version, NOW - ago, changed)


def test_a_fresh_score_of_what_has_not_changed_is_believed_and_says_of_when_it_is() -> None:
    row = of_kept("sun", kept(), WEIGHTS, NOW)
    assert (row.score, row.certain, row.standing, row.at) == (10, 10, Standing.KEPT, NOW - 5 * MINUTE)
    zh, en = sentence(row, WEIGHTS, NOW)
    assert "5分钟前" in zh
    assert "5 min ago" in en
    assert WEIGHTS.label_zh in zh


@pytest.mark.parametrize(
    ("found", "why", "said"),
    [
        (None, Standing.NEVER, "从未计分"),
        (kept(ago=STALE), Standing.STALE, "已过时"),
        (kept(ago=-2 * MINUTE), Standing.STALE, "已过时"),
        (kept()._replace(weights="of another pack"), Standing.STALE, "已过时"),
        (kept(changed=True), Standing.CHANGED, "情况有变"),
    ],
)
def test_a_score_that_cannot_be_believed_is_unknown_and_says_why(found: Kept | None, why: Standing, said: str) -> None:
    assert standing(found, WEIGHTS, NOW) is why
    row = of_kept("sun", found, WEIGHTS, NOW)
    assert (row.score, row.certain, row.standing, row.level) == (FULL, 0, why, WEIGHTS.levels[-1])
    assert said in sentence(row, WEIGHTS, NOW)[0]


def test_a_fire_that_stood_at_the_last_look_stays_first_until_somebody_saw_it_end() -> None:
    burning = of_kept("fire", kept("fire", 100, hard=True, changed=True), WEIGHTS, NOW)
    unknown = of_kept("new", None, WEIGHTS, NOW)
    live = of_risk(assess(replace(SAFE, subject="live"), WEIGHTS, NOW), WEIGHTS)
    assert [one.subject for one in sorted((live, unknown, burning), key=rank)] == ["fire", "new", "live"]
    assert (live.standing, live.at) == (Standing.LIVE, NOW)


@given(
    st.lists(
        st.none() | st.builds(kept, score=st.integers(0, 100), ago=st.integers(-5, 60).map(lambda one: one * MINUTE), hard=st.booleans(), changed=st.booleans()),
        max_size=12,
    ),
    st.integers(0, 12),
)  # fmt: skip
def test_whatever_is_kept_no_row_is_calmer_than_what_is_known_and_the_most_urgent_are_scored_anew(
    found: list[Kept | None], most: int
) -> None:
    by_subject = {f"i-{n}": one._replace(subject=f"i-{n}") for n, one in enumerate(found) if one is not None}
    subjects = [f"i-{n}" for n in range(len(found))]
    chosen = to_score(subjects, by_subject, WEIGHTS, NOW, most)
    doubted = [one for one in subjects if standing(by_subject.get(one), WEIGHTS, NOW) is not Standing.KEPT]
    assert len(chosen) == min(most, len(doubted))
    assert set(chosen) <= set(doubted)
    for subject in subjects:
        row, last = of_kept(subject, by_subject.get(subject), WEIGHTS, NOW), by_subject.get(subject)
        assert row.score >= (0 if last is None else last.score)
        assert row.hard == (last is not None and last.hard)
        assert (row.certain == 0 and row.score == FULL) or subject not in doubted
        assert row.at is None or row.at <= NOW
    hard = [one for one in doubted if one in by_subject and by_subject[one].hard]
    assert set(hard) <= set(chosen) or set(chosen) <= set(hard), "what may burn goes first"


def test_the_shares_of_a_live_row_add_up_to_its_score() -> None:
    row = of_risk(assess(replace(SAFE, devices=(), measured=()), WEIGHTS, NOW), WEIGHTS)
    assert sum(one.points for one in row.shares) == row.score > 0
    assert sum(one.certain for one in row.shares) == row.certain
    away = of_risk(assess(FireFacts("register:1", connected=False), WEIGHTS, NOW), WEIGHTS)
    assert (sum(one.points for one in away.shares), away.certain) == (FULL, 0)
