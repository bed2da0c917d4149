"""The promise: no reading that was confirmed is lost, and none is doubled, whoever is killed at whatever instant.

Rule of three: no failure in 30 kills shows only that fewer than one in ten fails; `scripts/soak --kills 1000` shows more.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.faults.nemesis import EDGE_LABELS, HUB_LABELS, PAGING_LABELS, crash, kill_at_labels, kill_at_random, settle
from tests.faults.stand import Stand

pytestmark = pytest.mark.usefixtures("engine_prefix")
SEED = int(os.environ.get("ANXIN_FAULT_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_nothing_promised_is_lost_or_doubled_over_thirty_kills_at_random(tmp_path: Path) -> None:
    async with Stand(tmp_path) as stand:
        await kill_at_random(stand, kills=30, seed=SEED)
        report = await settle(stand, 30, SEED)
    print(report)
    assert report.ok, str(report)
    assert report.confirmed > 500


@pytest.mark.slow
@pytest.mark.timeout(420)
async def test_nothing_promised_is_lost_or_doubled_at_any_labelled_crash_point(tmp_path: Path) -> None:
    labels = HUB_LABELS + PAGING_LABELS + EDGE_LABELS
    async with Stand(tmp_path) as stand:
        ends = await kill_at_labels(stand, labels)
        report = await settle(stand, len(labels), 0)
    print(report)
    assert ends == dict.fromkeys(labels, -9)
    assert report.ok, str(report)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_hub_that_confirms_before_it_commits_is_caught(tmp_path: Path) -> None:
    """The negative control: if this run were clean, the others would prove nothing."""
    liar = (sys.executable, "-m", "tests.faults.confirms_too_early")
    async with Stand(tmp_path, hub=liar, edge=False) as stand:
        assert await crash(stand.hub, "before-commit:5") == -9
        assert stand.kill("mosquitto")  # it would bring again what the hub has not settled, and hide the lie
        report = await settle(stand, 1, 0, patience=5.0)
    print(report)
    assert report.lost > 0
    assert not report.ok
