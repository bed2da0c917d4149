"""What a driver's bug can put into a sample: none of it may end the edge or hold back its neighbours."""

from enum import IntFlag
from typing import Any

import pytest

from hub.core.batching import pack
from hub.core.wire import decode_up
from hub.edge.spool import Spool
from hub.model import Lane, Reject, Sample, Series
from tests.edge.conftest import RunIntake

GOOD = Sample(Series("lamp-1", "level"), 1, 1)


class Counted(float):
    """A number of somebody else's type, as numpy's are."""


class Bits(IntFlag):
    LOW = 1
    HIGH = 4


class Text(str):
    __slots__ = ()


def odd(**changes: Any) -> Sample:
    return GOOD._replace(**changes)


ODD = [
    odd(series=Series(5, "level")),  # type: ignore[arg-type]
    odd(series=Series("lamp-1", None)),  # type: ignore[arg-type]
    odd(series=None),
    odd(at=None),
    odd(at=float("nan")),
    odd(at=1.5),
    odd(raw=None, error=7),
    odd(series=Series("lamp-\ud800", "level")),
]


@pytest.mark.parametrize("sample", ODD)
async def test_a_sample_of_the_wrong_make_becomes_a_reject_and_its_neighbours_are_carried(
    sample: Sample, spool: Spool, run_intake: RunIntake
) -> None:
    async with run_intake(spool) as intake:
        assert intake.disk is not None
        await intake.put(Lane.BULK, [GOOD, sample, GOOD])
        (message,) = await intake.disk.unconfirmed(Lane.BULK, 0, 10)
    up = decode_up(message.payload)
    assert [numbered.sample for numbered in up.samples] == [GOOD, GOOD]
    assert [numbered.reject.code for numbered in up.rejects] == ["sample"]
    assert up.refused == []


@pytest.mark.parametrize(
    "reject",
    [
        Reject(None, "s", "c", "m"),  # type: ignore[arg-type]
        Reject(1, None, "c", "m"),  # type: ignore[arg-type]
        Reject(1, "s", 5, "m"),  # type: ignore[arg-type]
        Reject(1, "s", "c", "m", "text"),  # type: ignore[arg-type]
        Reject(1.5, "s", "c", "m"),  # type: ignore[arg-type]
    ],
)
def test_a_reject_of_the_wrong_make_is_kept_as_one_that_says_so(reject: Reject) -> None:
    (message,) = pack([GOOD], [reject])
    up = decode_up(message.payload)
    assert up.refused == []
    assert len(up.samples) == 1
    assert len(up.rejects) == 1


@pytest.mark.parametrize(("raw", "value"), [(Counted(1.5), 1.5), (Bits.LOW | Bits.HIGH, 5), (Text("on"), "on")])
def test_a_value_of_a_type_derived_from_a_plain_one_travels_as_the_plain_one(raw: Any, value: object) -> None:
    (message,) = pack([odd(raw=raw)])
    assert decode_up(message.payload).samples[0].sample.raw == value
