"""A real spool and the hub's judging, without a line between: whatever a spool drops, replaces, repeats or begins anew, the hub can account for it."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.batching import pack
from hub.core.wire import Items, parse_items, properties_of
from hub.edge.spool import Spool, open_spool
from hub.model import Lane, Reject
from tests.core.lane_world import SECOND, T0, World, sample

BUDGET = 20_000
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 30)),
        st.tuples(st.just("reject"), st.integers(1, 5)),
        st.tuples(st.just("send"), st.integers(1, 40)),
        st.tuples(st.just("unsendable"), st.sampled_from([250, 1000, 5000])),
        st.tuples(st.just("anew"), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=40,
)


class Both:
    """An edge's bulk lane and the hub's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = World(Lane.BULK)
        self.hub.now = T0 + 86_400 * SECOND
        self.total: Counter[str] = Counter()
        self.taken = 0

    def send(self, spool: Spool, number: int) -> None:
        """The next messages, some of them twice, and their confirmation."""
        stream, given = spool.stream(Lane.BULK), spool.items(Lane.BULK)
        upto = spool.confirmed(Lane.BULK)
        for message in spool.unconfirmed(Lane.BULK, upto, number):
            properties = properties_of(stream, message.seq, Items(message.through, given, message.dropped))
            raw = self.hub.raw(message.payload, message.seq, stream=stream)._replace(items=parse_items(properties))
            draft = self.hub.take(raw, raw)
            for tally in draft.tallies.values():
                self.total += Counter(asdict(tally))
            (upto,) = draft.confirm.values()
        spool.confirm(Lane.BULK, upto)


def play(steps: list[tuple[str, int]], folder: Path) -> None:
    both = Both(folder)
    at = T0
    opened = open_spool(folder, lambda: T0, budget=BUDGET)
    spool = opened.__enter__()
    try:
        for what, number in steps:
            if what == "append":
                at += SECOND
                spool.append(Lane.BULK, pack([sample("heat-1", "celsius", "x" * 200, at + n) for n in range(number)]))
                both.taken += number
            elif what == "reject":
                spool.append(Lane.BULK, pack((), [Reject(at, "line", "checksum", "y" * 300)] * number))
                both.taken += number
            elif what == "send":
                both.send(spool, number)
            elif what == "unsendable":
                spool.split(Lane.BULK, number or 1000)
            elif what == "anew":
                spool.restart(Lane.BULK)
            else:
                opened.__exit__(None, None, None)
                opened = open_spool(folder, lambda: T0, budget=BUDGET)
                spool = opened.__enter__()
        both.send(spool, 10_000)
        streamed = both.hub.state.streams.get(spool.stream(Lane.BULK))
        if streamed is not None:
            assert (streamed.counted, streamed.given) == (spool.items(Lane.BULK), spool.items(Lane.BULK))
    finally:
        opened.__exit__(None, None, None)
    assert both.total["missing"] == both.total["surplus"] == 0
    assert both.total["produced"] == both.taken, "each item once, over all streams"
    fates = both.total.total() - both.total["produced"]
    assert fates == both.taken


@settings(max_examples=40)
@given(STEPS)
def test_every_item_that_a_spool_took_has_one_fate_at_the_hub(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder, structlog.testing.capture_logs():
        play(steps, Path(folder))


def test_a_spool_that_overflows_begins_anew_and_overflows_again_is_accounted_for(tmp_path: Path) -> None:
    steps = (
        [("append", 30)] * 5 + [("send", 3), ("anew", 0)] + [("append", 30)] * 5 + [("reopen", 0), ("unsendable", 0)]
    )
    with structlog.testing.capture_logs() as said:
        play(steps, tmp_path)
    assert any(line["event"] == "spool.dropped" for line in said)
