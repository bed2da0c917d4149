"""Escalation is in its time over kills and a clock that is set: never early, never skipped, doubled under the same key alone.

They run where ANXIN_CLIMB is set: processes that are killed and started again many times need a machine that has time for them. The rules that they try
are tried without processes in tests/store/test_steady.py. `scripts/soak --climb --kills 500` and `--shift-change` play the same at full length.
"""

import os
import random
from pathlib import Path

import pytest

from tests.faults import climb
from tests.faults.shift_change import cross

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("engine_prefix"),
    pytest.mark.skipif("ANXIN_CLIMB" not in os.environ, reason="set ANXIN_CLIMB to let escalations climb over kills"),
]
SEED = int(os.environ.get("ANXIN_FAULT_SEED", random.SystemRandom().randrange(2**32)))

BELIEVER = "tests.faults.believes_the_clock"
PATIENCE = 10.0
"""early and doubled are what they are; late is also a matter of what else the machine does"""


async def test_no_step_is_early_skipped_or_doubled_over_kills_and_steps_of_the_clock(tmp_path: Path) -> None:
    offsets = (0.0, 1.0, 2.5, 4.0)
    outcome = await climb.run(tmp_path, 4, SEED, clock_steps=2, offsets=offsets, end=4.5, patience=PATIENCE)
    print(outcome)
    assert outcome.failures() == []
    assert outcome.clock_steps >= 2
    assert outcome.alarms >= 5


async def test_a_pager_that_believes_the_clock_is_caught(tmp_path: Path) -> None:
    """The negative control: if this run were clean, the others would prove nothing."""
    far = (0.0, 600.0)
    outcome = await climb.run(tmp_path, 0, SEED, 1, pager=BELIEVER, offsets=far, end=10.0, limit=0.0, patience=PATIENCE)
    print(outcome)
    assert outcome.clock_steps == 1
    assert outcome.early


async def test_a_chain_that_crosses_eight_o_clock_between_restarts_tells_the_shift_that_is_on_duty_then(
    fresh_database: str, tmp_path: Path
) -> None:
    found = await cross(fresh_database, tmp_path, steps=8, every=1.5, restart_every=4.0)
    assert [page for page in found.pages if page.told != page.on_duty or page.beyond > 5 * PATIENCE] == []
    assert (found.early, found.doubled) == (0, 0)
    assert found.restarts >= 2
    assert {page.told for page in found.pages} == {"night", "day"}
