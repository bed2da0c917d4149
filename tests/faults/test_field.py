"""The field in short: three sites, bad lines, kills; conservation to the item. `scripts/soak --field` does twenty for half an hour."""

import os
import random
from pathlib import Path

import pytest

from tests.faults.balance import FATES, Balance, Counted, Hour, Spooled, hold_against, weigh
from tests.faults.field import SHORT
from tests.faults.field_soak import report, run_field
from tests.faults.ledger import Ledger, Value

SEED = int(os.environ.get("ANXIN_FAULT_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("engine_prefix")
async def test_conservation_is_exact_on_every_stream_of_a_field_with_bad_lines_and_kills(tmp_path: Path) -> None:
    found, done = await run_field(tmp_path / "field", 3, 12.0, SEED, SHORT)
    print(report(3, 12.0, SEED, found, done, 0))
    assert found.ok, report(3, 12.0, SEED, found, done, 0)
    assert sum(done["kills"].values()) >= 2
    assert sum(done["faults"].values()) >= 5


# the judge must see what it is there to see --------------------------------------------------------------------------

ROWS = {"stored": 5, "events": 0}
STREAMS = {"s": Counted("edge-1", 4, 7, 9)}
SPOOL = Spooled("s", 9, {3: 2, 4: 2, 5: 2})
"""confirmed up to 2 as far as the edge knows, 4 as the hub knows: two items wait"""


def hour(**counts: int) -> Hour:
    return {"stream": "s", "produced": 7, **dict.fromkeys((*FATES, "missing", "surplus"), 0), **counts}


GOOD = hour(stored=5, suppressed=2)


def test_what_adds_up_is_right_and_what_waits_is_counted_once() -> None:
    found = weigh([SPOOL], STREAMS, [GOOD], ROWS)
    assert found.wrong == []
    assert (found.produced, found.in_spool, found.fates["suppressed"]) == (9, 2, 2)


def test_a_stream_that_was_left_behind_is_right_when_all_of_it_has_come() -> None:
    streams = {"s": Counted("edge-1", 4, 7, 9), "memory": Counted("edge-1", 1, 3, 3)}
    found = weigh([SPOOL], streams, [GOOD, {**hour(beats=3, produced=3), "stream": "memory"}], ROWS)
    assert (found.wrong, found.left_behind, found.produced) == ([], 1, 12)


@pytest.mark.parametrize(
    ("spool", "hours", "rows", "said"),
    [
        (Spooled("s", 10, {5: 2}), [GOOD], ROWS, "took 10, hub 7, waiting 2"),
        (SPOOL, [hour(stored=5, suppressed=1)], ROWS, "does not add up"),
        (SPOOL, [hour(stored=5, suppressed=1, missing=1)], ROWS, "1 missing"),
        (SPOOL, [hour(stored=5, suppressed=2, surplus=1)], ROWS, "1 surplus"),
        (SPOOL, [GOOD], {"stored": 4, "events": 0}, "5 stored by the tallies, 4 rows"),
        (SPOOL, [GOOD, hour(stored=1, produced=1)], {"stored": 6, "events": 0}, "counted 7, tallied 8"),
        (Spooled("t", 2, {1: 2}), [GOOD], ROWS, "no spool has it any more"),
    ],
)
def test_an_item_too_few_or_too_many_anywhere_is_seen(
    spool: Spooled, hours: list[Hour], rows: dict[str, int], said: str
) -> None:
    assert any(said in line for line in weigh([spool], STREAMS, hours, rows).wrong)


def test_what_was_pushed_and_is_not_stored_is_seen_and_so_is_what_nobody_sent() -> None:
    one, two, three = (Value("lamp", "level", n) for n in (1, 2, 3))
    ledger = Ledger({one, two}, {one})
    assert hold_against(Balance(), ledger, {one: 1, two: 1}).wrong == []
    assert hold_against(Balance(), ledger, {two: 1}).wrong == [f"1 promised and lost, such as {one}"]
    assert hold_against(Balance(), ledger, {one: 1}).wrong == [f"1 sent and not stored, such as {two}"]
    assert hold_against(Balance(), ledger, {one: 2, two: 1}).wrong == [f"1 stored twice, such as {one}"]
    assert hold_against(Balance(), ledger, {one: 1, two: 1, three: 1}).wrong == [f"1 never sent, such as {three}"]
